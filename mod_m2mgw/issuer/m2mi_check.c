/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Once all of the configuration is read: is it complete, and what follows from it. The
 * documents for strangers are written here, once, and served as they are: the key set (RFC
 * 7517 5) and the metadata (RFC 8414 2).
 *
 * Where an endpoint lies is read off the <Location> that has its handler, so that what the
 * metadata says and what the server does cannot drift apart.
 */
#include "issuer/m2mi.h"

#include <apr_fnmatch.h>
#include <apr_uri.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* what the sections of a server say about a handler */
typedef struct found_t {
    const char *path;        /* of the plain <Location> that has it, or NULL */
    int any;                 /* some section has it */
    int own;                 /* path is of the virtual host itself, not inherited */
} found_t;

static int config_error(server_rec *s, const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s, "%s (server %s:%d)", text,
                 s->defn_name ? s->defn_name : "-", (int)s->defn_line_number);
    return HTTP_INTERNAL_SERVER_ERROR;
}

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

static int path_begins(const char *path, const char *prefix)
{
    apr_size_t n = strlen(prefix);

    return strlen(path) >= n && m2_slice_is(m2_slice(path, n), prefix);
}

/* whether some section that covers path names providers */
static int has_providers(const server_rec *s, const char *path)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const m2mi_dir_t *ours = ap_get_module_config(s->lookup_defaults, &m2m_issuer_module);
    int i, has = ours && ours->providers;

    for (i = 0; !has && i < core->sec_url->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const core_dir_config *dir = ap_get_core_module_config(section);

        ours = ap_get_module_config(section, &m2m_issuer_module);
        has = ours && ours->providers && dir->d &&
              path_begins(path, dir->d);
    }
    return has;
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

/* --- documents --- */

static const char *jwks_text(apr_pool_t *pool, const m2mi_server_t *conf)
{
    m2_json_t *set = m2_json_make(pool);
    m2_json_t *keys = m2_json_make_array(pool);
    int i;

    for (i = 0; i < conf->keys->nelts; i++) {
        m2_json_t *jwk =
            m2_jwk_to_json(pool, APR_ARRAY_IDX(conf->keys, i, m2mi_key_t).jwk, 0);
        if (!jwk) {
            return NULL;
        }
        m2_json_append(keys, jwk);
    }
    m2_json_set_json(set, "keys", keys);
    return m2_json_dump(pool, set);
}

/* blank-separated words as an array of strings */
static m2_json_t *words_array(apr_pool_t *pool, const char *words)
{
    m2_json_t *array = m2_json_make_array(pool);
    m2_slice_t rest = m2_slice_z(words), word;

    while (m2_grant_word(&rest, &word)) {
        m2_json_append_string(array, m2_slice_dup(pool, word));
    }
    return array;
}

static m2_alg_mask_t client_algs(apr_pool_t *pool, const m2mi_server_t *conf)
{
    apr_hash_index_t *hi;
    m2_alg_mask_t algs = 0;

    for (hi = apr_hash_first(pool, conf->client_keys); hi; hi = apr_hash_next(hi)) {
        const m2_keyset_t *set = apr_hash_this_val(hi);
        algs |= set->algs;
    }
    return algs;
}

static const char *metadata_text(apr_pool_t *pool, const m2mi_server_t *conf, int secrets)
{
    m2_json_t *doc = m2_json_make(pool);
    const char *methods = secrets ? "client_secret_basic client_secret_post" : "";

    if (conf->client_keys) {
        methods = apr_pstrcat(pool, methods, " private_key_jwt", NULL);
    }
    m2_json_set_string(doc, "issuer", conf->name);
    m2_json_set_string(doc, "token_endpoint", conf->token_url);
    m2_json_set_string(doc, "jwks_uri", conf->jwks_url);
    m2_json_set_json(doc, "response_types_supported", m2_json_make_array(pool));
    m2_json_set_json(doc, "grant_types_supported",
                     words_array(pool, M2_GRANT_CLIENT_CREDENTIALS));
    m2_json_set_json(doc, "token_endpoint_auth_methods_supported",
                     words_array(pool, methods));
    if (conf->client_keys) {
        m2_json_set_json(
            doc, "token_endpoint_auth_signing_alg_values_supported",
            words_array(pool, m2_alg_mask_names(pool, client_algs(pool, conf))));
    }
    return m2_json_dump(pool, doc);
}

/* --- checks --- */

static const char *incomplete(const server_rec *s, const m2mi_server_t *conf,
                              const found_t *token, const apr_uri_t *uri)
{
    if (!conf->keys) {
        return "M2MIssuerName needs an M2MSigningKey";
    }
    if (token->path && !conf->client_keys && !has_providers(s, token->path)) {
        return "SetHandler " M2MI_HANDLER_TOKEN " needs M2MClientProvider in its <Location>, "
               "or M2MClientKeys";
    }
    if (strcmp(uri->scheme, "https") != 0 && conf->plain != 1 &&
        !is_loopback_name(uri->hostname)) {
        return "M2MIssuerName is an http:// URL of another host than this one: use https://, "
               "or say M2MAllowPlainHTTP On";
    }
    return NULL;
}

static void say_guess(server_rec *s, const found_t *found, const char *set,
                      const char *handler, const char *url)
{
    if (!found->path && !set) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE | APLOG_STARTUP, 0, s,
                     "M2-701: no <Location> has SetHandler %s: metadata says it is at %s "
                     "(M2MIssuerEndpoint says otherwise)", handler, url);
    }
}

static const char *work_out(apr_pool_t *pool, server_rec *s, m2mi_server_t *conf,
                            const apr_uri_t *uri, const found_t *token)
{
    found_t jwks = find_handler(pool, s, M2MI_HANDLER_JWKS);
    int secrets = !token->path || has_providers(s, token->path);
    const char *token_url = endpoint_url(pool, conf, uri, conf->token_url, token, "/token");
    const char *jwks_url = endpoint_url(pool, conf, uri, conf->jwks_url, &jwks, "/jwks");

    say_guess(s, token, conf->token_url, M2MI_HANDLER_TOKEN, token_url);
    say_guess(s, &jwks, conf->jwks_url, M2MI_HANDLER_JWKS, jwks_url);
    conf->token_url = token_url;
    conf->jwks_url = jwks_url;
    conf->path = without_slash(pool, uri->path);
    ap_unescape_url((char *)(apr_uintptr_t)conf->path); /* compared with what r->uri is */
    conf->audiences = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(conf->audiences, const char *) = conf->name;
    APR_ARRAY_PUSH(conf->audiences, const char *) = conf->token_url;
    conf->jwks = jwks_text(pool, conf);
    conf->metadata = metadata_text(pool, conf, secrets);
    if (!conf->jwks) {
        return "M2MSigningKey: a key cannot be written as a JWK";
    }
    return conf->grants && conf->grants->file && !conf->grants->watch
               ? m2mi_watch_open(conf->grants, pool)
               : NULL;
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
                   ? config_error(s, "SetHandler " M2MI_HANDLER_TOKEN " needs M2MIssuerName")
                   : OK;
    }
    apr_uri_parse(pool, conf->name, &uri);
    text = incomplete(s, conf, &token, &uri);
    if (!text) {
        text = work_out(pool, s, conf, &uri, &token);
    }
    return text ? config_error(s, text) : OK;
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
    return rc;
}
