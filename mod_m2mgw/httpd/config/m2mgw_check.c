/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Checks that need the whole configuration: contradictions of a whole section, and what each
 * virtual host needs to know. An error here stops `httpd -t` like one of a directive, with file
 * and line.
 */
#include "httpd/config/m2mgw_check.h"
#include "httpd/config/m2mgw_dump.h"
#include "httpd/config/m2mgw_guarded.h"
#include "httpd/config/m2mgw_kept.h"
#include "httpd/config/m2mgw_notices.h"
#include "httpd/config/m2mgw_places.h"
#include "httpd/config/m2mgw_set.h"

#include "host/m2h_modes.h"

#include "base/m2_log.h"

typedef const char *section_check_fn(const ap_directive_t **pat, apr_pool_t *pool,
                                     const m2mgw_section_t *section);

static void complain(const ap_directive_t *at, const char *bad)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, NULL,
                 "Syntax error on line %d of %s:", at->line_num, at->filename);
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, NULL, "%s", bad);
}

/* Parameters, headers, a path or a default action do not replace inherited rules; alone in a
 * section they would never be in force, contrary to what their author expects. */
static const char *check_rules(const ap_directive_t **pat, apr_pool_t *pool,
                               const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->native[M2MGW_PLUGIN_ACCESS];

    if (!section->rules || section->rules->rules->nelts
        || (section->limit_lines && section->limit_lines->nelts && !section->default_at)) {
        return NULL;
    }
    *pat = section->default_at ? section->default_at : at ? at : section->path_at;
    if (!*pat) {
        return NULL; /* made for limits that name no parameter */
    }
    return section->default_at
               ? apr_psprintf(pool, "%s: its section has no M2MRule", (*pat)->directive)
               : apr_psprintf(pool, "%s: its section has no M2MRule, no M2MLimit and no "
                              "M2MPlugin accessControl; rules of an outer section do not see "
                              "it", (*pat)->directive);
}

/* --- limits --- */

typedef struct stated_t {
    const m2_limit_t *limit;
    const m2_limits_t *limits;
    const ap_directive_t *at;
} stated_t;

/* One name is one bucket: two sections that use it must give the same terms. */
static int check_limit(apr_hash_t *stated, apr_pool_t *pool, const m2mgw_section_t *section,
                       int i)
{
    const m2_limit_t *limit = APR_ARRAY_IDX(section->limits->list, i, const m2_limit_t *);
    const ap_directive_t *at = APR_ARRAY_IDX(section->limit_lines, i, const ap_directive_t *);
    stated_t *first = apr_hash_get(stated, limit->name, APR_HASH_KEY_STRING);
    const char *what;

    if (!first) {
        first = apr_pcalloc(pool, sizeof(*first));
        first->limit = limit;
        first->limits = section->limits;
        first->at = at;
        apr_hash_set(stated, limit->name, APR_HASH_KEY_STRING, first);
        return 1;
    }
    what = m2_limit_differs(first->limit, first->limits, limit, section->limits);
    if (what) {
        complain(at, apr_psprintf(pool, "M2MLimit %s: %s: not as in %s; one name is one bucket, "
                                  "wherever it is stated", limit->name, what,
                                  m2mgw_cfg_place(pool, first->at)));
    }
    return what == NULL;
}

static int check_limits(apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    apr_hash_t *stated = apr_hash_make(pool);
    int i, k;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        for (k = 0; section->limit_lines && k < section->limits->list->nelts; k++) {
            if (!check_limit(stated, pool, section, k)) {
                return 0;
            }
        }
    }
    return 1;
}

/* some of its keys are not known yet */
static int is_fetched(const m2mgw_section_t *section)
{
    int i;

    if (section->keyset && section->keyset->incomplete) {
        return 1;
    }
    for (i = 0; section->key_sources && i < section->key_sources->nelts; i++) {
        if (!m2_keysource_keys(APR_ARRAY_IDX(section->key_sources, i, m2_fed_t).source)) {
            return 1;
        }
    }
    return 0;
}

static const char *check_keys(const ap_directive_t **pat, apr_pool_t *pool,
                              const m2mgw_section_t *section)
{
    *pat = section->keys_at;
    if (!section->keyset || section->keyset->keys->nelts || is_fetched(section)) {
        return NULL;
    }
    return apr_psprintf(pool, "%s: its section has no usable key; the first is left out: %s",
                        (*pat)->directive,
                        section->keyset->skipped ? section->keyset->skipped : "there is none");
}

/* A section that says what tokens must be like, where no keys can be in force. */
static const char *check_closed(const ap_directive_t **pat, apr_pool_t *pool,
                                const m2mgw_section_t *section)
{
    *pat = section->check_at;
    if (!section->check_at || m2mgw_cfg_may_have_keys(section)
        || m2mgw_cfg_in_force(pool, section)->engine == M2MGW_ENGINE_OFF) {
        return NULL;
    }
    return apr_psprintf(pool, "%s: there are no keys for it: no section and no server that its "
                        "requests could meet has an M2MJwk, M2MJwks, M2MIssuerDiscovery or "
                        "M2MPlugin jwtAuth", (*pat)->directive);
}

/* The keys given here support none of the allowed algorithms: every token is refused. */
static const char *check_algorithms(const ap_directive_t **pat, apr_pool_t *pool,
                                    const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = m2mgw_cfg_in_force(pool, section);

    if (!(section->dir->algs || section->dir->keys) || dir->engine == M2MGW_ENGINE_OFF
        || m2mgw_cfg_can_verify(dir) || is_fetched(m2mgw_cfg_keys_of(dir))) {
        return NULL;
    }
    *pat = m2mgw_cfg_stated_at(section, "M2MAlgorithms");
    return apr_psprintf(pool, "M2MAlgorithms: no key in force in this section can do one of "
                        "%s; the keys can do %s", m2_alg_mask_names(pool, dir->algs),
                        m2_alg_mask_names(pool, m2mgw_cfg_keys_of(dir)->keyset->algs));
}

static section_check_fn *const section_checks[] = {
    m2mgw_cfg_check_place, m2mgw_cfg_check_names,      check_rules,           check_keys,
    check_closed,          check_algorithms,           m2mgw_cfg_check_operations,
    m2mgw_cfg_check_proof, m2mgw_cfg_check_resource,   m2mgw_cfg_check_holes,
};

static int check_section(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *at = NULL;
    const char *bad;
    apr_size_t i;

    for (i = 0; i < sizeof(section_checks) / sizeof(section_checks[0]); i++) {
        bad = section_checks[i](&at, pool, section);
        if (bad) {
            complain(at, bad);
            return 0;
        }
    }
    return 1;
}

/* --- keys --- */

/* From here on the ring has keys: those given here, and those from its sources. */
static void fill_ring(const m2mgw_section_t *section)
{
    m2mgw_dir_t *dir = section->dir;

    if (!section->keyset) {
        return;
    }
    if (section->key_sources && section->key_sources->nelts) {
        m2_jwks_feed(m2mgw_cfg_registry(), dir->keys, section->fixed, section->key_sources);
    }
    else {
        m2_keyring_swap(dir->keys, section->keyset);
    }
}

static const char *set_refresh(apr_pool_t *pool, const m2mgw_dir_t *dir)
{
    static const m2mgw_refresh_t defaults = M2MGW_REFRESH_DEFAULTS;
    const m2mgw_refresh_t *r = dir->refresh ? dir->refresh : &defaults;
    const m2_refresh_t refresh = { r->ttl, r->max_stale, r->timeout, r->cooldown };
    const apr_array_header_t *sources = m2_feed_sources(m2_keyring_feed(dir->keys));
    m2_err_t err;
    int i;

    m2_err_init(&err, pool);
    for (i = 0; sources && i < sources->nelts; i++) {
        if (m2_keysource_refresh(APR_ARRAY_IDX(sources, i, m2_fed_t).source, &refresh, &err)
            != M2_OK) {
            return apr_pstrcat(pool, "M2MJwksRefresh: ", err.text, NULL);
        }
    }
    return NULL;
}

/* A source has one refresh policy, in every section that inherits it. */
static int check_refresh(apr_pool_t *pool, const apr_array_header_t *sections)
{
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        const m2mgw_dir_t *dir = m2mgw_cfg_resolved(pool, section);
        const char *bad = dir->keys ? set_refresh(pool, dir) : NULL;

        if (bad) {
            complain(section->first, bad);
            return 0;
        }
    }
    return 1;
}

/* --- per virtual host --- */

static int is_location(const m2mgw_section_t *section)
{
    const ap_directive_t *d = section->where;

    for (; d && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0; d = d->parent) {
        if (ap_cstr_casecmp(d->directive, "<Location") != 0
            && ap_cstr_casecmp(d->directive, "<LocationMatch") != 0) {
            return 0;
        }
    }
    return 1;
}

static void add_elsewhere(m2mgw_server_t *server, apr_pool_t *pool,
                          const m2_token_source_t *source)
{
    if (source->place == M2_TOKEN_HEADER
        && m2_slice_is_nocase(m2_slice_z(source->name), "Authorization")) {
        server->reads_authorization = 1;
        return;
    }
    if (!server->elsewhere) {
        server->elsewhere = apr_array_make(pool, 4, sizeof(m2_token_source_t));
    }
    APR_ARRAY_PUSH(server->elsewhere, m2_token_source_t) = *source;
}

static void add_sources(m2mgw_server_t *server, apr_pool_t *pool,
                        const m2mgw_sources_t *sources)
{
    int i;

    for (i = 0; sources && i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);

        add_elsewhere(server, pool, source);
        if (source->place == M2_TOKEN_QUERY) {
            if (!server->query_names) {
                server->query_names = m2_nameset_make(pool, M2_READ_FORM);
            }
            m2_nameset_add(server->query_names, source->name);
        }
    }
}

/* The module's own headers, and those that some servers and frameworks behind a proxy trust more
 * than the request's own path. */
static const char *const own_headers[] = {
    "X-Ca-Request-Id", "SCRIPT_NAME", "PATH_INFO", "X-Original-URL", "X-Rewrite-URL",
};

static void add_header_names(m2mgw_server_t *server, const m2_mapping_t *mapping)
{
    const apr_array_header_t *names = mapping ? mapping->names[M2_PLACE_HEADER] : NULL;
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        m2_nameset_add(server->header_names, APR_ARRAY_IDX(names, i, const char *));
    }
}

static void add_section(m2mgw_server_t *server, apr_pool_t *pool,
                        const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = section->dir;

    add_sources(server, pool, dir->sources);
    server->reads_authorization |= dir->keys && !m2mgw_cfg_resolved(pool, section)->sources;
    if (server->scrubs_host) {
        add_header_names(server, dir->mapping);
        m2mgw_cfg_add_certificate(server, pool, dir->certificate);
    }
    if (dir->keys || dir->rules || dir->operations || dir->checks
        || (dir->limits && dir->limits->list->nelts) || dir->engine == M2MGW_ENGINE_ON
        || dir->engine == M2MGW_ENGINE_SHADOW) {
        server->has_policy = 1;
        server->policy_outside_location |= !is_location(section);
    }
}

/* The header in which one section looks for tokens and to which another maps claims, so that
 * M2MScrub Host removes it from every request of the virtual host; NULL: no such header. */
static const char *lost_source(const m2mgw_server_t *server)
{
    int i;

    if (server->reads_authorization
        && m2_nameset_find(server->header_names, m2_slice_z("Authorization"))) {
        return "Authorization";
    }
    for (i = 0; server->elsewhere && i < server->elsewhere->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(server->elsewhere, i,
                                                         m2_token_source_t);

        if (source->place == M2_TOKEN_HEADER
            && m2_nameset_find(server->header_names, m2_slice_z(source->name))) {
            return source->name;
        }
    }
    return NULL;
}

static int maps_to_header(const m2mgw_section_t *section, const char *header)
{
    const m2_mapping_t *mapping = section->dir->mapping;
    const apr_array_header_t *names = mapping ? mapping->names[M2_PLACE_HEADER] : NULL;
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        if (m2_header_name_like(APR_ARRAY_IDX(names, i, const char *), header)) {
            return 1;
        }
    }
    return 0;
}

static const char *other_use(const m2mgw_server_t *server, const char *header)
{
    int i;

    if (m2_nameset_find(server->header_names, m2_slice_z(header))) {
        return "maps claims to";
    }
    for (i = 0; server->elsewhere && i < server->elsewhere->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(server->elsewhere, i,
                                                         m2_token_source_t);

        if (source->place == M2_TOKEN_HEADER && m2_header_name_like(source->name, header)) {
            return "looks for tokens in";
        }
    }
    return NULL;
}

/* A header is removed from every request of the virtual host for one of two uses. */
static int check_certificates(apr_pool_t *pool, const m2mgw_server_t *server)
{
    int i;

    for (i = 0; server->certificates && i < server->certificates->nelts; i++) {
        const m2mgw_certificate_t *one = APR_ARRAY_IDX(server->certificates, i,
                                                       const m2mgw_certificate_t *);
        const char *use = other_use(server, one->header);

        if (use) {
            complain(one->at,
                     apr_psprintf(pool, "M2MClientCertificate: header:%s is what another section "
                                  "of the virtual host %s, and one use would remove what the "
                                  "other needs (M2MScrub Host)", one->header, use));
            return 0;
        }
    }
    return 1;
}

static int check_sources(apr_pool_t *pool, const m2mgw_server_t *server)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    const char *lost = lost_source(server);
    int i;

    for (i = 0; lost && i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (maps_to_header(section, lost)) {
            complain(m2mgw_cfg_stated_at(section, "M2MClaim"),
                     apr_psprintf(pool, "M2MClaim: header:%s is where another section of the "
                                  "virtual host looks for tokens, and what claims are mapped to "
                                  "is taken out of every request (M2MScrub Host): every token "
                                  "would be lost", lost));
            return 0;
        }
    }
    return 1;
}

/* A virtual host has its own sections and those of the main server, which httpd merges below its
 * own. Records are made anew: a host without directives of this module would share the main
 * server's record, which must not be written twice. */
static const m2mgw_server_t *make_server(apr_pool_t *pool, server_rec *main_server, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    const m2mgw_server_t *said = ap_get_module_config(s->module_config, &m2mgw_module);
    m2mgw_server_t *server = m2mgw_config_server_create(pool, s);
    const m2mgw_dir_t *defaults = ap_get_module_config(s->lookup_defaults, &m2mgw_module);
    apr_size_t k;
    int i;

    server->scrubs_host = !defaults || defaults->scrub_where != 0;
    server->header_names = m2_nameset_make(pool, M2_READ_HEADER);
    for (k = 0; k < sizeof(own_headers) / sizeof(own_headers[0]); k++) {
        m2_nameset_add(server->header_names, own_headers[k]);
    }
    server->decision_log = said->decision_log;
    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        if (section->server == s || section->server == main_server) {
            add_section(server, pool, section);
        }
    }
    server->guard = m2mgw_guarded(pool, main_server, s);
    ap_set_module_config(s->module_config, &m2mgw_module, server);
    return server;
}

/* `httpd -t` runs no post_config, and what it logs would be cut off by LogLevel. */
static void print_notices(apr_pool_t *pool)
{
    const apr_array_header_t *all = m2mgw_cfg_all_notices(pool);
    apr_file_t *out;
    int i;

    if (apr_file_open_stderr(&out, pool) != APR_SUCCESS) {
        return;
    }
    for (i = 0; i < all->nelts; i++) {
        apr_file_printf(out, "M2-101: %s\n", APR_ARRAY_IDX(all, i, m2mgw_notice_t).text);
    }
}

int m2mgw_config_pre(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    m2mgw_cfg_reset(pconf);
    m2mgw_kept_reset(pconf);
    m2h_modes_look_ahead();
    return OK;
}

static int open_datasets(apr_pool_t *pool)
{
    const ap_directive_t *at = NULL;
    const char *bad = m2mgw_cfg_open_datasets(&at, pool);

    if (bad) {
        complain(at, bad);
    }
    return !bad;
}

/* Lists of revoked tokens are read here. */
static int open_lists(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->first;
    const char *bad = m2mgw_cfg_open_lists(&at, pool, section);

    if (!bad) {
        bad = m2mgw_cfg_resolve_datasets(&at, pool, section);
    }

    if (bad) {
        complain(at, bad);
    }
    return !bad;
}

int m2mgw_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    server_rec *each;
    int i;

    (void)plog;
    if (!open_datasets(pconf)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (i = 0; i < sections->nelts; i++) {
        m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        if (!check_section(ptemp, section) || !open_lists(pconf, section)) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        fill_ring(section);
        m2mgw_cfg_finish_operations(pconf, section);
    }
    if (!check_refresh(ptemp, sections) || !check_limits(ptemp)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (each = s; each; each = each->next) {
        const m2mgw_server_t *server = make_server(pconf, s, each);

        if (!check_sources(ptemp, server) || !check_certificates(ptemp, server)) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        print_notices(ptemp);
    }
    if (ap_exists_config_define("DUMP_M2M")
        && ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        m2mgw_cfg_dump(ptemp, s);
    }
    if (ap_exists_config_define("DUMP_M2M_JSON")
        && ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        m2mgw_cfg_dump_json(ptemp, s);
    }
    for (i = 0; i < sections->nelts; i++) {
        m2mgw_settle(APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->dir, pconf);
    }
    return OK;
}

/* --- hooks --- */

static void log_core(m2_level_t level, const char *text, void *baton)
{
    ap_log_error(APLOG_MARK, m2mgw_level(level), 0, baton, "M2-102: %s", text);
}

/* httpd reads its configuration twice when it starts; only the second time counts. */
int m2mgw_config_post(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const apr_array_header_t *all;
    int i;

    (void)pconf;
    (void)plog;
    m2_log_set(log_core, s);
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    all = m2mgw_cfg_all_notices(ptemp);
    for (i = 0; i < all->nelts; i++) {
        const m2mgw_notice_t *notice = &APR_ARRAY_IDX(all, i, m2mgw_notice_t);
        ap_log_error(APLOG_MARK, m2mgw_level(notice->level), 0, s, "M2-101: %s",
                     notice->text);
    }
    return OK;
}
