/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Checks once the whole configuration is read: whether it is complete, and what follows from it.
 *
 * Where an endpoint lies is read off the <Location> that has its handler, so that what the
 * metadata says and what the server does cannot drift apart.
 */
#include "issuer/m2mi.h"

#include <apr_fnmatch.h>
#include <apr_uri.h>

#include <mod_watchdog.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* what the sections of a server say about a handler */
typedef struct found_t {
    const char *path;        /* of the plain <Location> that has it, or NULL */
    int any;                 /* some section has it */
    int own;                 /* path is of the virtual host itself, not inherited */
} found_t;

/* --- where things are --- */

/* the nearest section of that name around a directive */
static const ap_directive_t *around(const ap_directive_t *node, const char *section)
{
    for (node = node->parent; node; node = node->parent) {
        if (ap_cstr_casecmp(node->directive, section) == 0) {
            return node;
        }
    }
    return NULL;
}

/* The path of a <Location> as httpd reads it; NULL for a pattern. */
static const char *location_path(apr_pool_t *pool, const ap_directive_t *location)
{
    const char *end = location ? ap_strrchr_c(location->args, '>') : NULL;
    const char *args, *path;

    if (!end) {
        return NULL;
    }
    args = apr_pstrmemdup(pool, location->args, (apr_size_t)(end - location->args));
    path = ap_getword_conf(pool, &args);
    return *path == '/' && !apr_fnmatch_test(path) ? path : NULL;
}

/* 1: said in the virtual host itself, 0: inherited from the main server, -1: elsewhere */
static int host_of(const ap_directive_t *node, const server_rec *s)
{
    const ap_directive_t *host = around(node, "<VirtualHost");

    if (!host) {
        return s->is_virtual ? 0 : 1;
    }
    return s->is_virtual && s->defn_name && strcmp(host->filename, s->defn_name) == 0 &&
                   host->line_num == (int)s->defn_line_number
               ? 1
               : -1;
}

static void handler_note(found_t *found, apr_pool_t *pool, const server_rec *s,
                         const ap_directive_t *node)
{
    const char *path = location_path(pool, around(node, "<Location"));
    int own = host_of(node, s);

    if (own < 0) {
        return;
    }
    found->any = 1;
    if (path && (!found->path || own > found->own)) {
        found->path = path;
        found->own = own;
    }
}

/* SetHandler is an expression by the time it is configuration, so it is looked for in the
 * text that was read. */
static void handler_walk(found_t *found, apr_pool_t *pool, const server_rec *s,
                         const char *handler, const ap_directive_t *node)
{
    for (; node; node = node->next) {
        const char *args = node->args;

        if (ap_cstr_casecmp(node->directive, "SetHandler") == 0 &&
            strcmp(ap_getword_conf(pool, &args), handler) == 0) {
            handler_note(found, pool, s, node);
        }
        handler_walk(found, pool, s, handler, node->first_child);
    }
}

static found_t find_handler(apr_pool_t *pool, const server_rec *s, const char *handler)
{
    found_t found = { NULL, 0, 0 };

    handler_walk(&found, pool, s, handler, ap_conftree);
    return found;
}

/* whether a <Location> or <LocationMatch> covers path, as httpd walks them */
static int covers(const core_dir_config *dir, const char *path)
{
    apr_size_t n = dir->d ? strlen(dir->d) : 0;

    if (dir->r) {
        return ap_regexec(dir->r, path, 0, NULL, 0) == 0;
    }
    if (!n || strlen(path) < n || !m2_slice_is(m2_slice(path, n), dir->d)) {
        return 0;
    }
    return dir->d[n - 1] == '/' || !path[n] || path[n] == '/';
}

/* whether some section that covers path names providers; path NULL: any section */
static int has_providers(const server_rec *s, const char *path)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const m2mi_dir_t *ours = ap_get_module_config(s->lookup_defaults, &m2m_issuer_module);
    int i, has = ours && ours->providers;

    for (i = 0; !has && i < core->sec_url->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const core_dir_config *dir = ap_get_core_module_config(section);

        ours = ap_get_module_config(section, &m2m_issuer_module);
        has = ours && ours->providers && (!path || covers(dir, path));
    }
    return has;
}

/* whether clients may log in without a secret */
static int has_keys(const server_rec *s)
{
    const m2mi_server_t *conf = ap_get_module_config(s->module_config, &m2m_issuer_module);

    return conf->client_keys || conf->client_certs;
}

/* scheme://host:port of the issuer */
static const char *origin_of(apr_pool_t *pool, const apr_uri_t *uri)
{
    return apr_pstrcat(pool, uri->scheme, "://", uri->hostinfo, NULL);
}

static const char *without_slash(apr_pool_t *pool, const char *text)
{
    apr_size_t n = text ? strlen(text) : 0;

    return apr_pstrmemdup(pool, text ? text : "", n && text[n - 1] == '/' ? n - 1 : n);
}

static const char *endpoint_url(apr_pool_t *pool, const m2mi_server_t *conf,
                                const apr_uri_t *uri, const char *set, const found_t *found,
                                const char *fallback)
{
    if (set) {
        return set;
    }
    if (found->path) {
        return apr_pstrcat(pool, origin_of(pool, uri), found->path, NULL);
    }
    return apr_pstrcat(pool, without_slash(pool, conf->name), fallback, NULL);
}

/* RFC 8414 2 wants https; a plain issuer is for one machine, or for one who insists */
static int is_loopback_name(const char *host)
{
    struct in_addr v4;

    if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0) {
        return 1;
    }
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* --- checks --- */

/* mod_ssl calls a resumed TLS 1.2 session SUCCESS that it did not verify at all */
static int has_optional_no_ca(const server_rec *s, const ap_directive_t *node)
{
    for (; node; node = node->next) {
        if (ap_cstr_casecmp(node->directive, "SSLVerifyClient") == 0
            && ap_cstr_casecmp(node->args, "optional_no_ca") == 0 && host_of(node, s) >= 0) {
            return 1;
        }
        if (has_optional_no_ca(s, node->first_child)) {
            return 1;
        }
    }
    return 0;
}

static int needs_ca(apr_pool_t *pool, const m2mi_server_t *conf)
{
    apr_hash_index_t *hi;
    int i;

    for (hi = apr_hash_first(pool, conf->client_certs); hi; hi = apr_hash_next(hi)) {
        const apr_array_header_t *certs = apr_hash_this_val(hi);

        for (i = 0; i < certs->nelts; i++) {
            if (APR_ARRAY_IDX(certs, i, m2_client_cert_t).name != M2_CERT_X5T) {
                return 1;
            }
        }
    }
    return 0;
}

/* whether a section of the server takes certificates from a header */
static int has_header(const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    m2_view_t view;
    int i;

    m2mi_view(&view, s->lookup_defaults, NULL);
    for (i = 0; !view.certificate_by_header && i < core->sec_url->nelts; i++) {
        m2mi_view(&view, APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *), NULL);
    }
    return view.certificate_by_header;
}

static const char *bad_certs(apr_pool_t *pool, const server_rec *s, const m2mi_server_t *conf)
{
    if (!conf->client_certs || has_header(s)) {
        return NULL;
    }
    if (!m2mi_cert_has_tls()) {
        return "M2MClientCert needs mod_ssl to be loaded";
    }
    return needs_ca(pool, conf) && has_optional_no_ca(s, ap_conftree)
               ? "M2MClientCert with a name needs certificates that a CA stands behind: only "
                 "x5t= goes with SSLVerifyClient optional_no_ca"
               : NULL;
}

static const char *incomplete(const server_rec *s, const m2mi_server_t *conf,
                              const found_t *token, const apr_uri_t *uri)
{
    if (!conf->keys) {
        return "M2MIssuerName needs an M2MSigningKey";
    }
    if (token->any && !conf->client_keys && !conf->client_certs && !has_providers(s, token->path)) {
        return "SetHandler " M2MI_HANDLER_TOKEN " needs M2MClientProvider in its <Location>, "
               "M2MClientKeys or M2MClientCert: nobody could get a token";
    }
    if (strcmp(uri->scheme, "https") != 0 && conf->plain != 1 &&
        !is_loopback_name(uri->hostname)) {
        return "M2MIssuerName is an http:// URL of another host than this one: use https://, "
               "or say M2MAllowPlainHTTP On";
    }
    return NULL;
}

static void say_guess(server_rec *s, apr_pool_t *pool, const found_t *found, const char *set,
                      const char *handler, const char *url)
{
    if (!found->path && !set) {
        m2mi_notice(s, apr_psprintf(pool, "no <Location> has SetHandler %s: metadata says it "
                                    "is at %s (M2MIssuerEndpoint says otherwise)", handler,
                                    url));
    }
}

static void say_keys_only(server_rec *s, apr_pool_t *pool, const found_t *token)
{
    if (token->any && !has_providers(s, token->path)) {
        m2mi_notice(s, apr_psprintf(pool, "%s names no M2MClientProvider: only clients that "
                                    "have keys (M2MClientKeys) or certificates "
                                    "(M2MClientCert) can log in",
                                    token->path
                                        ? apr_psprintf(pool, "<Location %s>", token->path)
                                        : "SetHandler " M2MI_HANDLER_TOKEN));
    }
}

/* the password files of the sections of a server */
static const char *open_passwords(apr_pool_t *pool, server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const char *wrong = NULL;
    int i;

    for (i = 0; !wrong && i < core->sec_url->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const m2mi_dir_t *ours = ap_get_module_config(section, &m2m_issuer_module);

        if (ours && ours->providers) {
            wrong = m2mi_passwords_open(ours->providers, pool, s, section);
        }
    }
    return wrong;
}

/* The list that a section with m2m-introspect or m2m-revoke works on: its own, or that of
 * the server. One in Redis is mod_m2mgw's to open. */
static const char *open_list(apr_pool_t *pool, server_rec *s, ap_conf_vector_t *section,
                             const char *handler, const char *path)
{
    m2_view_t view;

    m2mi_view(&view, section, NULL);
    if (!view.revocations) {
        m2mi_view(&view, s->lookup_defaults, NULL);
    }
    if ((!view.revocation && !view.revocation_stored) || view.revocations != 1) {
        return apr_psprintf(pool, "SetHandler %s needs one M2MRevocation file: or redis (of "
                            "mod_m2mgw) that it can write", handler);
    }
    if (!has_providers(s, path) && !has_keys(s)) {
        return apr_psprintf(pool, "SetHandler %s needs M2MClientProvider, as "
                            M2MI_HANDLER_TOKEN " does", handler);
    }
    if (view.revocation) {
        m2mi_list_open(view.revocation);
    }
    return NULL;
}

static const char *open_lists(apr_pool_t *pool, server_rec *s)
{
    static const char *const handlers[] = { M2MI_HANDLER_INTROSPECT, M2MI_HANDLER_REVOKE };
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const char *wrong = NULL;
    size_t h;
    int i;

    for (h = 0; h < sizeof(handlers) / sizeof(*handlers); h++) {
        const found_t found = find_handler(pool, s, handlers[h]);

        if (found.any && !found.path) {
            return apr_psprintf(pool, "SetHandler %s belongs into a <Location>", handlers[h]);
        }
        for (i = 0; found.path && !wrong && i < core->sec_url->nelts; i++) {
            ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
            const core_dir_config *dir = ap_get_core_module_config(section);

            if (!dir->r && dir->d && strcmp(dir->d, found.path) == 0) {
                wrong = open_list(pool, s, section, handlers[h], found.path);
            }
        }
    }
    return wrong;
}

/* everything that is read and watched from now on */
static const char *open_files(apr_pool_t *pool, server_rec *s, m2mi_server_t *conf)
{
    const char *wrong = conf->grants ? m2mi_grants_open(conf->grants, pool, s) : NULL;

    wrong = wrong ? wrong : m2mi_client_keys_open(conf, pool, s);
    wrong = wrong ? wrong : open_passwords(pool, s);
    if (!wrong && (m2mi_watch_any() || m2mi_client_keys_fetched())
        && !APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance)) {
        wrong = "M2MGrantFile, M2MClientKeys and M2MClientProvider file need mod_watchdog to "
                "be loaded";
    }
    return wrong;
}

/* what M2MDPoP says at the token endpoint */
static m2_alg_mask_t proof_algs(const server_rec *s, const found_t *token)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    m2_view_t view;
    int i;

    m2mi_view(&view, s->lookup_defaults, NULL);
    for (i = 0; token->path && i < core->sec_url->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const core_dir_config *dir = ap_get_core_module_config(section);

        if (!dir->r && dir->d && strcmp(dir->d, token->path) == 0) {
            m2mi_view(&view, section, NULL);
        }
    }
    return view.proof.algs;
}

/* the URL of an endpoint that need not be there; NULL where it is not */
static const char *manage_url(apr_pool_t *pool, const server_rec *s,
                              const m2mi_server_t *conf, const apr_uri_t *uri,
                              const char *set, const char *handler)
{
    const found_t found = find_handler(pool, s, handler);

    return set || found.path ? endpoint_url(pool, conf, uri, set, &found, "") : NULL;
}

static const char *keys_collect(apr_pool_t *pool, m2mi_server_t *conf)
{
    m2_err_t err;
    int i;

    m2_err_init(&err, pool);
    conf->own_keys = m2_keyset_make(pool);
    for (i = 0; i < conf->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(conf->keys, i, m2mi_key_t).jwk;

        if (jwk && m2_keyset_add(conf->own_keys, jwk, &err) != M2_OK) {
            return apr_pstrcat(pool, "M2MSigningKey: ", err.text, NULL);
        }
    }
    return NULL;
}

static const char *work_out(apr_pool_t *pool, server_rec *s, m2mi_server_t *conf,
                            const apr_uri_t *uri, const found_t *token)
{
    found_t jwks = find_handler(pool, s, M2MI_HANDLER_JWKS);
    int secrets = !token->path || has_providers(s, token->path);
    const char *token_url = endpoint_url(pool, conf, uri, conf->token_url, token, "/token");
    const char *jwks_url = endpoint_url(pool, conf, uri, conf->jwks_url, &jwks, "/jwks");

    say_keys_only(s, pool, token);
    say_guess(s, pool, token, conf->token_url, M2MI_HANDLER_TOKEN, token_url);
    say_guess(s, pool, &jwks, conf->jwks_url, M2MI_HANDLER_JWKS, jwks_url);
    conf->token_url = token_url;
    conf->jwks_url = jwks_url;
    conf->introspect_url = manage_url(pool, s, conf, uri, conf->introspect_url,
                                      M2MI_HANDLER_INTROSPECT);
    conf->revoke_url = manage_url(pool, s, conf, uri, conf->revoke_url, M2MI_HANDLER_REVOKE);
    conf->path = without_slash(pool, uri->path);
    ap_unescape_url((char *)(apr_uintptr_t)conf->path); /* compared with what r->uri is */
    conf->audiences = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf->audiences, const char *) = conf->name;
    APR_ARRAY_PUSH(conf->audiences, const char *) = conf->token_url;
    conf->proof_algs = proof_algs(s, token);
    conf->jwks = m2mi_jwks_text(pool, conf);
    conf->metadata = m2mi_metadata_text(pool, conf, secrets);
    if (!conf->jwks) {
        return "M2MSigningKey: a key cannot be written as a JWK";
    }
    return keys_collect(pool, conf);
}

/* --- which line is wrong --- */

/* what a sentence is about */
typedef struct blame_t {
    const char *name;          /* the directive, which every sentence begins with */
    const char *text;          /* the rest */
    const ap_directive_t *at;  /* the one it is most likely about, or NULL */
    apr_size_t score;
} blame_t;

/* Bytes of the longest word of a directive that the sentence names: a file, a handler, a client. */
static apr_size_t words_named(apr_pool_t *pool, const ap_directive_t *node, const char *text)
{
    const char *args = node->args, *word, *full;
    apr_size_t longest = 0;

    while (*(word = ap_getword_conf(pool, &args))) {
        word += ap_cstr_casecmpn(word, "file:", 5) == 0 ? 5 : 0;
        full = ap_server_root_relative(pool, word);
        if ((strstr(text, word) || (full && strstr(text, full))) && strlen(word) > longest) {
            longest = strlen(word);
        }
    }
    return longest;
}

/* What the virtual host says itself counts more than what it inherits, and a word that is named
 * more than that. */
static void blame_walk(blame_t *blame, apr_pool_t *pool, const server_rec *s,
                       const ap_directive_t *node)
{
    for (; node; node = node->next) {
        const int own = host_of(node, s);

        if (own >= 0 && ap_cstr_casecmp(node->directive, blame->name) == 0) {
            const apr_size_t score = 2 * words_named(pool, node, blame->text)
                                     + (apr_size_t)own + 1;

            if (score > blame->score) {
                blame->score = score;
                blame->at = node;
            }
        }
        blame_walk(blame, pool, s, node->first_child);
    }
}

/* The section around a directive, as it is written; "" if absent. */
static const char *in_section(apr_pool_t *pool, const ap_directive_t *at)
{
    const ap_directive_t *section = at->parent;

    return section && *section->directive == '<'
               ? apr_psprintf(pool, " (in %s %s)", section->directive, section->args)
               : "";
}

/* Stop, with a sentence that begins with the directive it is about. */
static int config_error(apr_pool_t *pool, server_rec *s, const char *text)
{
    const apr_size_t n = strcspn(text, " :,");
    blame_t blame = { apr_pstrmemdup(pool, text, n), text + n, NULL, 0 };

    blame_walk(&blame, pool, s, ap_conftree);
    if (blame.at) {
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                     "Syntax error on line %d of %s:", blame.at->line_num, blame.at->filename);
    }
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s, "%s%s", text,
                 blame.at ? in_section(pool, blame.at) : "");
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* A host that inherits its configuration shares the record; what we work out differs. */
static m2mi_server_t *own_record(apr_pool_t *pool, server_rec *s)
{
    m2mi_server_t *conf = ap_get_module_config(s->module_config, &m2m_issuer_module);

    conf = apr_pmemdup(pool, conf, sizeof(*conf));
    ap_set_module_config(s->module_config, &m2m_issuer_module, conf);
    return conf;
}

static int check_server(apr_pool_t *pool, server_rec *s, const server_rec *first)
{
    m2mi_server_t *conf = own_record(pool, s);
    found_t token = find_handler(pool, s, M2MI_HANDLER_TOKEN);
    apr_uri_t uri;
    const char *text;

    if (!conf->name) {
        /* sections of the main server are often there for its virtual hosts alone */
        int for_others = s == first && first->next;
        return token.any && !for_others
                   ? config_error(pool, s, "SetHandler " M2MI_HANDLER_TOKEN " needs M2MIssuerName")
                   : OK;
    }
    apr_uri_parse(pool, conf->name, &uri);
    text = incomplete(s, conf, &token, &uri);
    text = text ? text : bad_certs(pool, s, conf);
    text = text ? text : open_lists(pool, s);
    text = text ? text : open_files(pool, s, conf);
    if (!text) {
        text = work_out(pool, s, conf, &uri, &token);
    }
    return text ? config_error(pool, s, text) : OK;
}

int m2mi_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *first)
{
    server_rec *s;
    int rc = OK;

    (void)plog;
    (void)ptemp;
    for (s = first; s && rc == OK; s = s->next) {
        rc = check_server(pconf, s, first);
    }
    if (rc == OK) {
        m2mi_notices(pconf, first);
    }
    return rc;
}
