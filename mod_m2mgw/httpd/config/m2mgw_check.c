/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What can be said only once all of the configuration has been read: contradictions of a
 * whole section, what each virtual host needs to know, and notices about what is legal and
 * deserves a second look. An error here stops `httpd -t` like one of a directive, with file
 * and line.
 */
#include "httpd/config/m2mgw_section.h"
#include "httpd/runtime/m2mgw_keys.h"

#include "base/m2_log.h"

typedef const char *section_check_fn(const ap_directive_t **pat, apr_pool_t *pool,
                                     const m2mgw_section_t *section);

/* Parameters, headers, a path or a default action do not replace inherited rules; alone in
 * a section they would be in force nowhere, and their author believes otherwise. */
static const char *check_rules(const ap_directive_t **pat, apr_pool_t *pool,
                               const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->native[M2MGW_PLUGIN_ACCESS];

    if (!section->rules || section->rules->rules->nelts) {
        return NULL;
    }
    *pat = at ? at : section->path_at;
    return apr_psprintf(pool, "%s: its section has no M2MRule and no M2MPlugin accessControl; "
                        "rules of an outer section do not see it", (*pat)->directive);
}

static int is_fetched(const m2mgw_section_t *section)
{
    int i;

    for (i = 0; section->key_sources && i < section->key_sources->nelts; i++) {
        if (!m2_keysource_keys(APR_ARRAY_IDX(section->key_sources, i, m2_keysource_t *))) {
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
    return apr_psprintf(pool, "%s: its section has no usable key, see the notices about the "
                        "keys that were left out", (*pat)->directive);
}

static section_check_fn *const section_checks[] = { check_rules, check_keys };

static void complain(const ap_directive_t *at, const char *bad)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, NULL,
                 "Syntax error on line %d of %s:", at->line_num, at->filename);
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_CRIT, 0, NULL, "%s", bad);
}

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

/* From here on the ring has keys: those that stand here, and those its sources bring. */
static void fill_ring(const m2mgw_section_t *section)
{
    m2mgw_dir_t *dir = section->dir;

    if (!section->keyset) {
        return;
    }
    if (section->key_sources && section->key_sources->nelts) {
        m2_jwks_feed(m2mgw_keys_registry(), dir->keys, section->fixed, section->key_sources);
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
        if (m2_keysource_refresh(APR_ARRAY_IDX(sources, i, m2_keysource_t *), &refresh, &err)
            != M2_OK) {
            return apr_pstrcat(pool, "M2MJwksRefresh: ", err.text, NULL);
        }
    }
    return NULL;
}

/* One source is refreshed in one way, wherever it is inherited to. */
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

static void add_query_names(m2mgw_server_t *server, const m2mgw_sources_t *sources)
{
    int i;

    for (i = 0; sources && i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);
        if (source->place == M2_TOKEN_QUERY
            && !ap_array_str_contains(server->query_names, source->name)) {
            *(const char **)apr_array_push(server->query_names) = source->name;
        }
    }
}

static void add_section(m2mgw_server_t *server, const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = section->dir;

    add_query_names(server, dir->sources);
    if (dir->keys || dir->rules || dir->engine == M2MGW_ENGINE_ON
        || dir->engine == M2MGW_ENGINE_SHADOW) {
        server->has_policy = 1;
        server->policy_outside_location |= !is_location(section);
    }
}

/* A virtual host has its own sections and those of the main server, which httpd merges
 * below its own. Records are made anew: a host without directives of ours would share the
 * main server's, and must not be written to twice. */
static void make_server(apr_pool_t *pool, server_rec *main_server, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2mgw_server_t *server = m2mgw_config_server_create(pool, s);
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        if (section->server == s || section->server == main_server) {
            add_section(server, section);
        }
    }
    ap_set_module_config(s->module_config, &m2mgw_module, server);
}

int m2mgw_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    server_rec *each;
    int i;

    (void)plog;
    for (i = 0; i < sections->nelts; i++) {
        m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        if (!check_section(ptemp, section)) {
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        fill_ring(section);
    }
    if (!check_refresh(ptemp, sections)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (each = s; each; each = each->next) {
        make_server(pconf, s, each);
    }
    if (ap_exists_config_define("DUMP_M2M")
        && ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        m2mgw_cfg_dump(ptemp, s);
    }
    return OK;
}

/* --- notices --- */

typedef struct look_t {
    const m2mgw_section_t *section;
    const m2mgw_dir_t *own;     /* what the section says itself */
    m2mgw_effective_t in_force; /* with the server's and the enclosing sections' */
    int active;
} look_t;

typedef struct notice_row_t {
    int (*applies)(const look_t *look);
    m2_level_t level;
    const char *text;
} notice_row_t;

static int orphan(const look_t *look)
{
    return look->own->engine != M2MGW_ENGINE_UNSET && look->active && look->in_force.orphan;
}

/* An outer Off holds until an inner section says otherwise. */
static int kept_off(const look_t *look)
{
    const m2mgw_dir_t *own = look->own;

    return (own->keys || own->rules) && own->engine == M2MGW_ENGINE_UNSET && !look->active;
}

static int no_issuer(const look_t *look)
{
    return look->own->keys && look->active && !look->in_force.policy.claims.issuers;
}

static int no_audience(const look_t *look)
{
    return look->own->keys && look->active && !look->in_force.policy.claims.audiences;
}

static int mixed_keys(const look_t *look)
{
    const m2_keyset_t *set = look->section->keyset;
    m2_alg_mask_t hmac = m2_alg_mask_of(M2_FAMILY_HMAC);

    return set && (set->algs & hmac) && (set->algs & ~hmac);
}

static int replay_needs_exp(const look_t *look)
{
    const m2mgw_dir_t *dir = look->in_force.dir;

    return look->active && (look->own->replay == M2_REPLAY_ON
                            || look->own->ignore_expiration == 1)
           && dir->replay == M2_REPLAY_ON && dir->ignore_expiration == 1;
}

static int in_proxy(const look_t *look)
{
    const ap_directive_t *d = look->section->where;

    for (; d; d = d->parent) {
        if (ap_cstr_casecmp(d->directive, "<Proxy") == 0
            || ap_cstr_casecmp(d->directive, "<ProxyMatch") == 0) {
            return 1;
        }
    }
    return 0;
}

static int idle_refresh(const look_t *look)
{
    const m2mgw_dir_t *dir = look->in_force.dir;

    return look->own->refresh && look->section->where
           && !(look->active && dir->keys && m2_feed_fetched(m2_keyring_feed(dir->keys)));
}

static int uses_xff(const look_t *look)
{
    return look->own->rules && m2_params_use(look->own->rules->params, M2_SRC_XFF);
}

static int shadow(const look_t *look)
{
    return look->own->engine == M2MGW_ENGINE_SHADOW;
}

static const notice_row_t notice_rows[] = {
    { orphan, M2_LOG_WARNING, "M2MEngine is on without keys or rules: every request is "
      "answered 503, unless a section that matches as well brings some" },
    { kept_off, M2_LOG_WARNING, "its keys or rules are not in force: an outer section says "
      "M2MEngine Off and this one says nothing" },
    { no_issuer, M2_LOG_NOTICE, "claim iss is not checked: name the issuers with M2MIssuer, "
      "or any token these keys can verify is accepted" },
    { no_audience, M2_LOG_NOTICE, "claim aud is not checked: name the audiences with "
      "M2MAudience, or tokens meant for other services of the issuer are accepted" },
    { mixed_keys, M2_LOG_NOTICE, "shared secrets (oct) and public keys stand in one set: "
      "whoever knows a secret can sign what the other issuers sign" },
    { replay_needs_exp, M2_LOG_WARNING, "M2MPreventJtiReplay needs exp: it stays required "
      "and checked in spite of M2MIgnoreExpiration" },
    { in_proxy, M2_LOG_WARNING, "a policy in <Proxy> covers ProxyPass and server-level "
      "RewriteRule [P] only, not SetHandler proxy: and not what httpd serves itself; "
      "<Location> covers all" },
    { idle_refresh, M2_LOG_WARNING, "M2MJwksRefresh is without effect: it belongs into the "
      "section that names the URL, or into the server config" },
    { uses_xff, M2_LOG_NOTICE, "XFF: reads X-Forwarded-For, which clients can write: use it "
      "only behind a proxy that overwrites it, or mod_remoteip and CaClientIp" },
    { shadow, M2_LOG_WARNING, "M2MEngine Shadow: decisions are recorded and every request "
      "passes" },
};

static const int server_levels[] = { /* ORDER LEVEL: m2_level_t */
    APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO, APLOG_DEBUG
};

static look_t *look_everywhere(apr_pool_t *pool, const apr_array_header_t *sections)
{
    look_t *looks = apr_pcalloc(pool, sizeof(*looks) * (apr_size_t)(sections->nelts + 1));
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        looks[i].section = section;
        looks[i].own = section->dir;
        looks[i].active = m2mgw_effective(&looks[i].in_force,
                                          m2mgw_cfg_resolved(pool, section));
    }
    return looks;
}

/* One notice per row, whatever the number of sections it is about. */
static void add_row(apr_array_header_t *all, apr_pool_t *pool, const notice_row_t *row,
                    const look_t *looks, int n)
{
    const m2mgw_section_t *first = NULL;
    const char *others = "";
    m2mgw_notice_t *notice;
    int i, found = 0;

    for (i = 0; i < n; i++) {
        if (row->applies(&looks[i]) && found++ == 0) {
            first = looks[i].section;
        }
    }
    if (!first) {
        return;
    }
    if (found > 1) {
        others = apr_psprintf(pool, " and %d more", found - 1);
    }
    notice = apr_array_push(all);
    notice->level = row->level;
    notice->text = apr_psprintf(pool, "the section in %s%s: %s",
                                m2mgw_cfg_place(pool, first->where ? first->where
                                                                   : first->first),
                                others, row->text);
}

apr_array_header_t *m2mgw_cfg_all_notices(apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    apr_array_header_t *all = apr_array_copy(pool, m2mgw_cfg_notices());
    look_t *looks = look_everywhere(pool, sections);
    apr_size_t i;

    for (i = 0; i < sizeof(notice_rows) / sizeof(notice_rows[0]); i++) {
        add_row(all, pool, &notice_rows[i], looks, sections->nelts);
    }
    return all;
}

static void log_core(m2_level_t level, const char *text, void *baton)
{
    ap_log_error(APLOG_MARK, server_levels[level], 0, baton, "M2-102: %s", text);
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
        ap_log_error(APLOG_MARK, server_levels[notice->level], 0, s, "M2-101: %s",
                     notice->text);
    }
    return OK;
}
