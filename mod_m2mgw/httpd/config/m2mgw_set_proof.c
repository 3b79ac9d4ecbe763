/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Directives about tokens that only their owner can use: which proofs a section takes, the URL
 * they are made for, the name of the resource.
 */
#include "httpd/config/m2mgw_kept.h"
#include "httpd/config/m2mgw_set.h"

#include "proof/m2_target.h"
#include "text/m2_form.h"

#define MAX_WINDOW 86400  /* seconds; a proof's jti is kept as long */
#define MAX_NONCE_KEY 65536
#define PROOF_ENTRIES 1048576 /* of the table of proofs, where nothing else is said */

/* A second one would take the place of the first, with all that it says. */
static const char *once(cmd_parms *cmd, const void *given)
{
    return given ? m2mgw_cfg_error(cmd, "it was given in this section already; write all its "
                                   "values in one line")
                 : NULL;
}

/* --- M2MDPoP --- */

static const char *read_algs(m2_proof_policy_t *dpop, cmd_parms *cmd, const char *value)
{
    char *last = NULL, *rest = apr_pstrdup(cmd->pool, value), *one;
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    dpop->algs = 0;
    while ((one = apr_strtok(rest, ", ", &last)) != NULL) {
        rest = NULL;
        if (m2_alg_mask_add(&dpop->algs, one, &err) != M2_OK) {
            return m2mgw_cfg_fault(cmd, &err);
        }
    }
    if (!dpop->algs || (dpop->algs & ~m2_proof_algs())) {
        return m2mgw_cfg_error(cmd, "algs=%s is not allowed; it takes a list of algorithms "
                               "with a public key", value);
    }
    return NULL;
}

static const char *read_window(m2_proof_policy_t *dpop, cmd_parms *cmd, const char *value)
{
    return m2mgw_cfg_number(&dpop->window, value, 1, MAX_WINDOW)
               ? NULL
               : m2mgw_cfg_error(cmd, "window=%s is not allowed; it takes a number of seconds "
                                 "from 1 to %d", value, MAX_WINDOW);
}

static const char *read_nonce(m2_proof_policy_t *dpop, cmd_parms *cmd, const char *value)
{
    dpop->nonce = ap_cstr_casecmp(value, "On") == 0;
    return dpop->nonce || ap_cstr_casecmp(value, "Off") == 0
               ? NULL
               : m2mgw_cfg_unknown(cmd, "nonce=", value, "On or Off");
}

static const struct dpop_option_t {
    const char *name;
    const char *(*read)(m2_proof_policy_t *dpop, cmd_parms *cmd, const char *value);
} dpop_options[] = {
    { "algs", read_algs },
    { "window", read_window },
    { "nonce", read_nonce },
};

#define DPOP_USAGE "algs=LIST, window=SECONDS and nonce=On|Off"

static const char *dpop_option(m2_proof_policy_t *dpop, cmd_parms *cmd, const char *name,
                               const char *value)
{
    apr_size_t i;

    for (i = 0; i < sizeof(dpop_options) / sizeof(dpop_options[0]); i++) {
        if (ap_cstr_casecmp(dpop_options[i].name, name) == 0) {
            return dpop_options[i].read(dpop, cmd, value);
        }
    }
    return m2mgw_cfg_no_option(cmd, name, DPOP_USAGE);
}

const char *m2mgw_cfg_dpop(cmd_parms *cmd, void *dir, const char *args)
{
    m2_proof_policy_t *dpop = apr_pcalloc(cmd->pool, sizeof(*dpop));
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    m2mgw_section_t *section;
    const char *name = NULL, *value;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    int given = 0;

    dpop->algs = m2_proof_algs();
    dpop->window = M2_PROOF_WINDOW;
    while (!bad) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            break;
        }
        bad = dpop_option(dpop, cmd, name, value);
        given++;
    }
    if (!bad && !given) {
        bad = m2mgw_cfg_error(cmd, "it takes one or more of " DPOP_USAGE);
    }
    bad = bad ? bad : once(cmd, section->dir->dpop);
    if (!bad) {
        section->dir->dpop = dpop;
    }
    return bad;
}

/* --- M2MPublicURL, M2MResource --- */

/* Whoever writes a wildcard as the host means more than the one name that it is. */
static const char *check_wildcard(cmd_parms *cmd, const char *url)
{
    const char *authority = ap_strstr_c(url, "://"), *star = strchr(url, '*');

    if (!authority || !star) {
        return NULL;
    }
    if (star < authority + 3 + strcspn(authority + 3, "/")) {
        return m2mgw_cfg_error(cmd, "\"%s\" has a wildcard: it takes the URLs themselves, each "
                               "host with its name", url);
    }
    m2mgw_cfg_notice(M2_LOG_WARNING, "M2MPublicURL in %s: the * of \"%s\" is no wildcard, and a "
                     "path covers what is below it: proofs that are made for other paths are "
                     "refused", m2mgw_cfg_place(cmd->pool, cmd->directive), url);
    return NULL;
}

static const char *read_url(const char **purl, cmd_parms *cmd, const char *url)
{
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    if (m2_target_uri(purl, cmd->pool, m2_slice_z(url), &err) != M2_OK) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not usable: %s", url, err.text);
    }
    return NULL;
}

const char *m2mgw_cfg_public_url(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *urls;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    int i;

    bad = bad ? bad : once(cmd, section->dir->public_urls);
    if (!bad) {
        bad = m2mgw_cfg_words(&urls, cmd, args, 1, 0, "one or more URLs");
    }
    for (i = 0; !bad && i < urls->nelts; i++) {
        const char **purl = &APR_ARRAY_IDX(urls, i, const char *);

        bad = strpbrk(*purl, "?#") ? m2mgw_cfg_error(cmd, "\"%s\" has a query or a fragment",
                                                     *purl)
                                   : check_wildcard(cmd, *purl);
        bad = bad ? bad : read_url(purl, cmd, *purl);
    }
    if (!bad) {
        section->dir->public_urls = urls;
    }
    return bad;
}

/* Whether what follows the scheme is this machine (RFC 9728 1.2 asks for https elsewhere). */
static int is_loopback(const char *normal)
{
    static const char *const hosts[] = { "localhost", "127.0.0.1", "[::1]" };
    const char *host = normal + sizeof("http://") - 1;
    apr_size_t i;

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const apr_size_t n = strlen(hosts[i]);

        if (strlen(host) > n && m2_slice_is(m2_slice(host, n), hosts[i])
            && (host[n] == ':' || host[n] == '/')) {
            return 1;
        }
    }
    return 0;
}

#define WELL_KNOWN "/.well-known/oauth-protected-resource"

/* RFC 9728 3.1: the well-known name comes between authority and path; a path that is only a
 * slash counts as none. */
static void place_metadata(m2mgw_resource_t *resource, apr_pool_t *pool, const char *normal)
{
    const char *path = strchr(strstr(normal, "://") + 3, '/');
    const char *query = strchr(resource->url, '?');
    char *decoded = apr_pstrdup(pool, path[1] ? path : "");

    resource->metadata = apr_pstrcat(
        pool, apr_pstrmemdup(pool, normal, (apr_size_t)(path - normal)), WELL_KNOWN,
        path[1] ? path : "", query ? query : "", NULL);
    ap_unescape_url_keep2f(decoded, 1);
    resource->path = apr_pstrcat(pool, WELL_KNOWN, decoded, NULL);
}

const char *m2mgw_cfg_resource(cmd_parms *cmd, void *dir, const char *arg)
{
    m2mgw_resource_t *resource = apr_pcalloc(cmd->pool, sizeof(*resource));
    m2mgw_section_t *section;
    const char *normal = NULL;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (!bad && strchr(arg, '#')) {
        bad = m2mgw_cfg_error(cmd, "\"%s\" has a fragment", arg);
    }
    if (!bad) {
        bad = read_url(&normal, cmd, arg);
    }
    if (!bad && normal[4] != 's' && !is_loopback(normal)) {
        bad = m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes an https URL, or an http "
                              "one of this machine", arg);
    }
    if (!bad) {
        resource->url = arg;
        resource->at = cmd->directive;
        place_metadata(resource, cmd->pool, normal);
        section->dir->resource = resource;
    }
    return bad;
}

/* --- the whole server --- */

static const char *nonce_key(cmd_parms *cmd, const m2mgw_kept_t *file)
{
    return file->text.n < M2_NONCE_MIN_KEY
               ? m2mgw_cfg_error(cmd, "%s has %d bytes; it takes %d or more", file->path,
                                 (int)file->text.n, M2_NONCE_MIN_KEY)
               : NULL;
}

/* If the file is bad at a restart by signal, the server goes on with its earlier content. */
const char *m2mgw_cfg_nonce_key(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    m2mgw_kept_t key;

    (void)dir;
    if (bad) {
        return bad;
    }
    bad = m2mgw_kept_read(&key, cmd, arg, MAX_NONCE_KEY);
    bad = bad ? bad : nonce_key(cmd, &key);
    if (!bad) {
        m2mgw_kept_put(&key);
    }
    else if (!m2mgw_kept_stand_in(&key, bad, "a random key stands in for it")) {
        return bad;
    }
    if (key.text.p) {
        m2mgw_cfg_globals()->nonce_key = key.text;
        m2mgw_cfg_globals()->nonce_key_file = key.path;
    }
    return NULL;
}

static int has_prefix(const char *word, const char *prefix)
{
    return ap_cstr_casecmpn(word, prefix, strlen(prefix)) == 0;
}

static int says_entries(const apr_array_header_t *words)
{
    int i;

    for (i = 1; i < words->nelts; i++) {
        if (has_prefix(APR_ARRAY_IDX(words, i, const char *), "entries=")) {
            return 1;
        }
    }
    return 0;
}

const char *m2mgw_cfg_dpop_store(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words = NULL;
    m2_replay_spec_t *spec;
    const char *bad = m2mgw_cfg_store(&spec, &words, cmd, args);

    (void)dir;
    if (!bad) {
        if (spec->kind == M2_REPLAY_SHM && !says_entries(words)) {
            spec->entries = PROOF_ENTRIES;
        }
        m2mgw_cfg_globals()->dpop_store = spec;
    }
    return bad;
}

const m2_replay_spec_t *m2mgw_cfg_dpop_spec(apr_pool_t *pool)
{
    const m2mgw_globals_t *globals = m2mgw_globals();
    m2_replay_spec_t *spec;

    if (globals->dpop_store) {
        return globals->dpop_store;
    }
    spec = apr_pmemdup(pool, globals->replay_store, sizeof(*spec));
    if (spec->kind == M2_REPLAY_SHM) {
        spec->entries = PROOF_ENTRIES;
        spec->path = spec->path ? apr_pstrcat(pool, spec->path, ".dpop", NULL) : NULL;
    }
    return spec;
}

/* --- what can be said once a section is whole --- */

/* The first directive of the server that contains a directive. */
static const ap_directive_t *server_scope(const ap_directive_t *d)
{
    while (d && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0) {
        d = d->parent;
    }
    return d ? d->first_child : ap_conftree;
}

static int has_server_name(const ap_directive_t *d)
{
    for (; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "ServerName") == 0
            || (ap_cstr_casecmp(d->directive, "<VirtualHost") != 0 && d->first_child
                && has_server_name(d->first_child))) {
            return 1;
        }
    }
    return 0;
}

/* Whether a claim goes to a header that the client's proof or certificate comes in. */
static const char *taken_name(const m2_mapping_t *mapping,
                              const m2mgw_certificate_t *certificate)
{
    int i;

    for (i = 0; mapping && i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);

        if (target->place == M2_PLACE_HEADER
            && (m2_header_name_like(target->name, "DPoP")
                || (certificate && certificate->header
                    && m2_header_name_like(target->name, certificate->header)))) {
            return target->name;
        }
    }
    return NULL;
}

/* Whether tokens are looked for in the header of certificates. */
static int is_source(const m2mgw_sources_t *sources, const m2mgw_certificate_t *certificate)
{
    int i;

    for (i = 0; sources && certificate && certificate->header && i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);

        if (source->place == M2_TOKEN_HEADER
            && m2_header_name_like(source->name, certificate->header)) {
            return 1;
        }
    }
    return 0;
}

/* What M2MSenderConstraint needs and is not there. */
static const char *lacks(const m2mgw_dir_t *dir, const m2mgw_section_t *section)
{
    if (dir->constraint == M2_CONSTRAINT_DPOP && !dir->public_urls
        && !has_server_name(server_scope(section->first))) {
        return "M2MSenderConstraint DPoP: proofs are made for a URL, and this server has "
               "neither a ServerName nor an M2MPublicURL";
    }
    if (dir->constraint == M2_CONSTRAINT_MTLS
        && !(dir->certificate && dir->certificate->header)
        && !ap_find_linked_module("mod_ssl.c")) {
        return "M2MSenderConstraint mTLS: it needs mod_ssl, or an M2MClientCertificate "
               "header:NAME";
    }
    return NULL;
}

/* Lines are looked for only once something is wrong: there may be thousands of sections. */
const char *m2mgw_cfg_check_proof(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = m2mgw_cfg_resolved(pool, section);
    const char *name = taken_name(dir->mapping, dir->certificate), *bad;

    if (name) {
        *pat = m2mgw_cfg_stated_at(section, "M2MClaim");
        return apr_psprintf(pool, "M2MClaim: header:%s is the name of a header that clients "
                            "prove themselves with", name);
    }
    if (is_source(dir->sources, dir->certificate)) {
        *pat = dir->certificate->at;
        return apr_psprintf(pool, "M2MClientCertificate: header:%s is where M2MToken looks for "
                            "tokens", dir->certificate->header);
    }
    bad = dir->keys && dir->engine != M2MGW_ENGINE_OFF ? lacks(dir, section) : NULL;
    if (bad) {
        *pat = m2mgw_cfg_stated_at(section, "M2MSenderConstraint");
    }
    return bad;
}

/* One document for one path: two sections may inherit one M2MResource, not state one each. */
const char *m2mgw_cfg_check_resource(const ap_directive_t **pat, apr_pool_t *pool,
                                     const m2mgw_section_t *section)
{
    const apr_array_header_t *all = m2mgw_cfg_sections();
    const m2mgw_resource_t *own = section->dir->resource;
    int i;

    for (i = 0; own && i < all->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(all, i, m2mgw_section_t *);
        const m2mgw_resource_t *another = other->dir->resource;

        if (another && another != own && other->server == section->server
            && m2_slice_is(m2_slice_z(own->path), another->path)) {
            *pat = own->at;
            return apr_psprintf(pool, "M2MResource: %s has the path of that in %s", own->url,
                                m2mgw_cfg_place(pool, another->at));
        }
    }
    return NULL;
}
