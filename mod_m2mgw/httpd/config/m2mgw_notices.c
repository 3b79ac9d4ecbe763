/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Legal settings of a whole section that deserve a second look: a table of questions, each
 * answered for every section from the values in force there.
 */
#include "httpd/config/m2mgw_notices.h"

#include "httpd/config/m2mgw_endpoints.h"
#include "httpd/config/m2mgw_places.h"
#include "httpd/config/m2mgw_set.h"

#include "host/m2h_dbd.h"

#include "text/m2_file.h"

typedef struct look_t {
    apr_pool_t *pool;
    const m2mgw_section_t *section;
    const m2mgw_dir_t *own;     /* what the section says itself */
    const apr_array_header_t *offs; /* all sections that are Off, of const m2mgw_section_t * */
    m2mgw_effective_t in_force; /* with the server's and every covering section's */
    int active;
    m2mgw_effective_t nested;   /* with the server's and the enclosing sections' alone */
    int nested_active;
} look_t;

/* One question about a section: applies answers yes or no, or detail returns what the notice is
 * about, which is appended to the text. */
typedef struct notice_row_t {
    int (*applies)(const look_t *look);
    const char *(*detail)(const look_t *look);
    m2_level_t level;
    const char *text;
} notice_row_t;

static int orphan(const look_t *look)
{
    const m2mgw_dir_t *dir = look->in_force.dir;

    return look->own->engine == M2MGW_ENGINE_ON && look->active && look->in_force.closed
           && !dir->checks;
}

static int closed(const look_t *look)
{
    return look->section->check_at && look->active && look->in_force.closed;
}

/* An outer Off holds until an inner section says otherwise. */
static int protects_in_vain(const look_t *look)
{
    const m2mgw_dir_t *own = look->own;

    return (own->keys || own->rules || own->operations) && own->engine == M2MGW_ENGINE_UNSET
           && !look->active;
}

static int kept_off(const look_t *look)
{
    return protects_in_vain(look) && !look->nested_active;
}

static int kept_off_by_path(const look_t *look)
{
    return protects_in_vain(look) && look->nested_active;
}

static int no_issuer(const look_t *look)
{
    const m2_claims_policy_t *claims = &look->in_force.policy.claims;

    return look->own->keys && look->active && !claims->issuers
           && !(claims->bound && claims->bound->nelts);
}

/* A bound key whose issuer the list of a narrower section lacks verifies nothing there. */
static int bound_elsewhere(const look_t *look)
{
    const m2mgw_dir_t *dir = look->in_force.dir;
    int i, k;

    if (!look->active || !look->own->issuers || !dir->issuers_narrow || !dir->bound) {
        return 0;
    }
    for (i = 0; i < dir->bound->nelts; i++) {
        const m2_slice_t issuer = m2_slice_z(APR_ARRAY_IDX(dir->bound, i, const char *));
        int listed = 0;

        for (k = 0; k < dir->issuers->nelts; k++) {
            listed |= m2_slice_is(issuer, APR_ARRAY_IDX(dir->issuers, k, const char *));
        }
        if (!listed) {
            return 1;
        }
    }
    return 0;
}

/* Whether the section, which may be NULL, has a key that is bound to no issuer. */
static int has_unbound(const m2mgw_section_t *section)
{
    int i;

    for (i = 0; section && section->key_sources && i < section->key_sources->nelts; i++) {
        if (!APR_ARRAY_IDX(section->key_sources, i, m2_fed_t).issuer) {
            return 1;
        }
    }
    for (i = 0; section && section->fixed && i < section->fixed->keys->nelts; i++) {
        if (!APR_ARRAY_IDX(section->fixed->keys, i, const m2_jwk_t *)->issuer) {
            return 1;
        }
    }
    return 0;
}

/* RFC 8725 3.8: the owner of an unbound key can sign for every issuer that is accepted. */
static int unbound_keys(const look_t *look)
{
    const m2_claims_policy_t *claims = &look->in_force.policy.claims;
    const int issuers = (claims->issuers ? claims->issuers->nelts : 0)
                        + (claims->bound ? claims->bound->nelts : 0);

    return (look->own->keys || look->own->issuers) && look->active && look->in_force.policy.keys
           && issuers > 1 && has_unbound(m2mgw_cfg_keys_of(look->in_force.dir));
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
    const m2mgw_dir_t *dir = look->nested.dir;

    return look->nested_active
           && (look->own->replay == M2_REPLAY_ON || look->own->ignore_expiration == 1)
           && dir->replay == M2_REPLAY_ON && dir->ignore_expiration == 1;
}

static int idle_refresh(const look_t *look)
{
    const m2mgw_dir_t *dir = m2mgw_cfg_resolved(look->pool, look->section);

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

/* but for where replay, too, needs exp, which is told */
static int ignores_expiration(const look_t *look)
{
    return look->active && look->own->ignore_expiration == 1
           && look->nested.dir->replay != M2_REPLAY_ON;
}

static int bypass(const look_t *look)
{
    return look->active && look->own->bypass_empty == 1;
}

static int within(const ap_directive_t *d, const char *const *containers)
{
    const char *const *name;

    for (; d; d = d->parent) {
        for (name = containers; *name; name++) {
            if (ap_cstr_casecmp(d->directive, *name) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static int in_proxy(const look_t *look)
{
    static const char *const proxy[] = { "<Proxy", "<ProxyMatch", NULL };

    return within(look->section->where, proxy);
}

/* In httpd <Location /x/> does not cover /x, although many backends serve both alike. */
static int ends_in_slash(const look_t *look)
{
    const char *path = look->section->location;
    const apr_size_t n = path ? strlen(path) : 0;

    return look->active && n > 1 && path[n - 1] == '/';
}

static int has_target(const m2_mapping_t *mapping, const char *claim, m2_place_t place)
{
    int i;

    for (i = 0; i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);

        if (target->place == place && strcmp(target->claim, claim) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *query_alone(const look_t *look)
{
    const m2_mapping_t *mapping = look->own->mapping;
    int i;

    for (i = 0; look->active && mapping && i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);

        if (target->place == M2_PLACE_QUERY
            && !has_target(mapping, target->claim, M2_PLACE_HEADER)
            && !has_target(mapping, target->claim, M2_PLACE_FORM)) {
            return target->name;
        }
    }
    return NULL;
}

/* the section's own ProxyPass lines; NULL: it has none */
static const char *proxied_to(const look_t *look)
{
    const ap_directive_t *d = look->section->where ? look->section->where->first_child : NULL;
    const char *all = NULL;

    for (; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "ProxyPass") == 0
            || ap_cstr_casecmp(d->directive, "ProxyPassMatch") == 0) {
            all = apr_pstrcat(look->pool, all ? all : "", " ", d->args, NULL);
        }
    }
    return all;
}

static const char *no_placeholder(const look_t *look)
{
    const m2_mapping_t *mapping = look->own->mapping;
    const char *urls = mapping ? proxied_to(look) : NULL;
    int i;

    for (i = 0; urls && i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);
        const char *hole = apr_pstrcat(look->pool, "{", target->name, "}", NULL);

        if (target->place == M2_PLACE_PATH && !strstr(urls, hole)) {
            return hole;
        }
    }
    return NULL;
}

/* When a client sends a name twice, such rules read one value, and the backend may read the
 * other. */
static int plugin_reads_first(const look_t *look)
{
    static const m2_source_t sent[] = { M2_SRC_QUERY, M2_SRC_HEADER, M2_SRC_FORM,
                                        M2_SRC_COOKIE, M2_SRC_PARAMETER };
    apr_size_t i;

    if (!look->section->plugin[M2MGW_PLUGIN_ACCESS] || !look->active
        || look->in_force.deny_duplicates) {
        return 0;
    }
    for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        if (m2_params_use(look->own->rules->params, sent[i])) {
            return 1;
        }
    }
    return 0;
}

/* A URL may bring other keys; files and inline keys are an error (m2mgw_check.c). */
static int no_algorithm_yet(const look_t *look)
{
    const m2mgw_dir_t *dir = look->in_force.dir;

    return look->active && !m2mgw_cfg_can_verify(dir)
           && m2mgw_cfg_keys_of(dir)->keyset->keys->nelts;
}

static const char *unreadable(const look_t *look)
{
    const apr_array_header_t *sources = look->section->key_sources;
    int i;

    for (i = 0; sources && i < sources->nelts; i++) {
        const m2_keysource_t *source = APR_ARRAY_IDX(sources, i, m2_fed_t).source;

        if (m2_keysource_keys(source)
            && !m2mgw_cfg_user_reads(m2_keysource_label(source))) {
            return m2_keysource_label(source);
        }
    }
    return NULL;
}

static const char *unreadable_list(const look_t *look)
{
    const m2mgw_revocation_t *own = look->own->revocation;
    int i;

    for (i = 0; own && i < own->lists->nelts; i++) {
        const m2mgw_list_t *list = APR_ARRAY_IDX(own->lists, i, const m2mgw_list_t *);

        if (!list->is_url && !m2mgw_cfg_user_reads(list->name)) {
            return list->name;
        }
    }
    return NULL;
}

/* The order in which httpd merges what covers a request. */
typedef enum kind_t { IN_SERVER, IN_DIRECTORY, IN_FILES, IN_LOCATION, IN_IF } kind_t;

static kind_t kind_of(const m2mgw_section_t *section)
{
    static const char *const conditions[] = { "<If", "<ElseIf", "<Else", NULL };
    static const char *const files[] = { "<Files", "<FilesMatch", NULL };
    static const char *const directories[] = { "<Directory", "<DirectoryMatch", NULL };

    return !section->where                       ? IN_SERVER
           : within(section->where, conditions)  ? IN_IF
           : within(section->where, files)       ? IN_FILES
           : within(section->where, directories) ? IN_DIRECTORY
                                                 : IN_LOCATION;
}

/* An Off of another kind of section, which some request meets together with this one. */
static const char *beaten_by_off(const look_t *look)
{
    const kind_t own = kind_of(look->section);
    int i;

    if (!look->active || own == IN_SERVER || look->own->engine != M2MGW_ENGINE_UNSET
        || !(look->own->keys || look->own->rules || look->own->operations
             || look->own->checks)) {
        return NULL;
    }
    for (i = 0; i < look->offs->nelts; i++) {
        const m2mgw_section_t *off = APR_ARRAY_IDX(look->offs, i, const m2mgw_section_t *);
        kind_t kind;

        if (!m2mgw_cfg_may_meet(off, look->section)) {
            continue;
        }
        kind = kind_of(off);
        if (kind != own && kind != IN_SERVER && kind != IN_LOCATION) {
            return m2mgw_cfg_place(look->pool, off->where);
        }
    }
    return NULL;
}

static const char *overridden(const look_t *look)
{
    return m2mgw_cfg_overridden(look->pool, look->section);
}

static const char *misfit(const look_t *look)
{
    return m2mgw_cfg_misfit(look->pool, look->section);
}

static const char *lost_query(const look_t *look)
{
    return m2mgw_cfg_lost_query(look->pool, look->section);
}

static const char *beside_path(const look_t *look)
{
    return m2mgw_cfg_beside_path(look->pool, look->section);
}

static int unconstrained(const look_t *look)
{
    return look->active && look->own->constraint == M2_CONSTRAINT_OFF;
}

static int unprovable(const look_t *look)
{
    return look->active && look->in_force.policy.bound.constraint == M2_CONSTRAINT_DPOP
           && !m2mgw_takes_dpop(&look->in_force);
}

static int idle_operations(const look_t *look)
{
    return look->active && !look->in_force.operations && m2mgw_cfg_lacks_operations(look->section);
}

static const notice_row_t notice_rows[] = {
    { orphan, NULL, M2_LOG_WARNING, "M2MEngine is on without keys or rules: every request is "
      "answered 503, unless a section that matches as well brings some" },
    { closed, NULL, M2_LOG_NOTICE, "it says what tokens must be like, and no keys are in force: "
      "every request is answered 503, unless a section that matches as well brings some" },
    { kept_off, NULL, M2_LOG_WARNING, "its keys or rules are not in force: an outer section says "
      "M2MEngine Off and this one says nothing" },
    { kept_off_by_path, NULL, M2_LOG_NOTICE, "its keys or rules are not in force: a <Location> "
      "that covers it says M2MEngine Off and this one says nothing" },
    { no_issuer, NULL, M2_LOG_NOTICE, "claim iss is not checked: name the issuers with M2MIssuer, "
      "or any token these keys can verify is accepted" },
    { bound_elsewhere, NULL, M2_LOG_NOTICE, "M2MIssuer lacks an issuer that keys are bound to: "
      "those keys verify nothing here" },
    { no_audience, NULL, M2_LOG_NOTICE, "claim aud is not checked: name the audiences with "
      "M2MAudience, or tokens meant for other services of the issuer are accepted" },
    { mixed_keys, NULL, M2_LOG_NOTICE, "shared secrets (oct) and public keys stand in one set: "
      "whoever knows a secret can sign what the other issuers sign" },
    { replay_needs_exp, NULL, M2_LOG_WARNING, "M2MPreventJtiReplay needs exp: it stays required "
      "and checked in spite of M2MIgnoreExpiration" },
    { in_proxy, NULL, M2_LOG_WARNING, "a policy in <Proxy> covers ProxyPass and server-level "
      "RewriteRule [P] only, not SetHandler proxy: and not what httpd serves itself; "
      "<Location> covers all" },
    { idle_refresh, NULL, M2_LOG_WARNING, "M2MJwksRefresh has no effect here: put it in the "
      "section that names the URL, or in the server config" },
    { uses_xff, NULL, M2_LOG_NOTICE, "XFF: reads X-Forwarded-For, which clients can write: use it "
      "only behind a proxy that overwrites it, or mod_remoteip and CaClientIp" },
    { shadow, NULL, M2_LOG_WARNING, "M2MEngine Shadow: decisions are recorded and every request "
      "passes" },
    { bypass, NULL, M2_LOG_NOTICE, "M2MBypassEmptyToken On: a request without a token is let "
      "through, and nobody is named to the backend" },
    { ignores_expiration, NULL, M2_LOG_NOTICE, "M2MIgnoreExpiration On: tokens are accepted "
      "for ever, also those that have expired" },
    { unbound_keys, NULL, M2_LOG_NOTICE, "several issuers, and a key source that is bound to "
      "none: each of them can sign tokens of the others; bind it with issuer=" },
    { ends_in_slash, NULL, M2_LOG_NOTICE, "its path ends in a slash: it does not cover the "
      "path without it" },
    { NULL, query_alone, M2_LOG_NOTICE, "a query target without a header or form target: a "
      "framework that merges query and body may read the client's body first: " },
    { NULL, no_placeholder, M2_LOG_NOTICE, "a path target that its ProxyPass does not hold: " },
    { plugin_reads_first, NULL, M2_LOG_NOTICE, "rules of its script read what clients send, "
      "and the first value counts: a backend may read another one; see "
      "M2MDuplicateParameter Deny" },
    { no_algorithm_yet, NULL, M2_LOG_WARNING, "M2MAlgorithms allows nothing that a key which "
      "is known by now can do" },
    { NULL, unreadable, M2_LOG_NOTICE, "the server's User cannot read a key file, and changes "
      "of it will not be seen: " },
    { NULL, unreadable_list, M2_LOG_WARNING, "the server's User cannot read a list of revoked "
      "tokens, so that what is added to it is not revoked: " },
    { NULL, beaten_by_off, M2_LOG_NOTICE, "it says nothing about M2MEngine, so that it is not "
      "in force where the M2MEngine Off counts that stands in the section in " },
    { NULL, overridden, M2_LOG_WARNING, "httpd merges sections in the order they stand, and a "
      "wider <Location> behind this one says the same directives again, so that its lines count; "
      "put this one behind it: " },
    { NULL, misfit, M2_LOG_WARNING, "no path fits its M2MPath, so that Path: is always null, in " },
    { NULL, lost_query, M2_LOG_WARNING, "tokens are looked for where a claim is mapped to, which "
      "is taken out of requests: every such token is lost: " },
    { NULL, beside_path, M2_LOG_WARNING, "httpd compares decoded paths with <Location>, without "
      "query and fragment: " },
    { unconstrained, NULL, M2_LOG_WARNING, "M2MSenderConstraint Off: a token that is bound to its "
      "owner's key or certificate is accepted from anybody" },
    { unprovable, NULL, M2_LOG_WARNING, "M2MSenderConstraint DPoP takes tokens in a header, and "
      "M2MToken names none: no token is accepted" },
    { idle_operations, NULL, M2_LOG_WARNING, "M2MOperationUnknown and M2MPreflight have no effect "
      "without M2MOpenAPI or M2MOperation" },
};

static look_t *look_everywhere(apr_pool_t *pool, const apr_array_header_t *sections)
{
    look_t *looks = apr_pcalloc(pool, sizeof(*looks) * (apr_size_t)(sections->nelts + 1));
    apr_array_header_t *offs = apr_array_make(pool, 4, sizeof(const m2mgw_section_t *));
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        looks[i].pool = pool;
        looks[i].section = section;
        looks[i].own = section->dir;
        looks[i].offs = offs;
        if (section->dir->engine == M2MGW_ENGINE_OFF) {
            APR_ARRAY_PUSH(offs, const m2mgw_section_t *) = section;
        }
        looks[i].nested_active = m2mgw_effective(&looks[i].nested,
                                                 m2mgw_cfg_resolved(pool, section));
        looks[i].active = m2mgw_effective(&looks[i].in_force, m2mgw_cfg_in_force(pool, section));
    }
    return looks;
}

/* NULL: the row does not apply */
static const char *ask(const notice_row_t *row, const look_t *look)
{
    return row->detail ? row->detail(look) : row->applies(look) ? "" : NULL;
}

/* One notice per row, whatever the number of sections it is about. */
static void add_row(apr_array_header_t *all, apr_pool_t *pool, const notice_row_t *row,
                    const look_t *looks, int n)
{
    const m2mgw_section_t *first = NULL;
    const char *detail = NULL, *others = "";
    m2mgw_notice_t *notice;
    int i, found = 0;

    for (i = 0; i < n; i++) {
        const char *about = ask(row, &looks[i]);

        if (about && found++ == 0) {
            first = looks[i].section;
            detail = about;
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
    notice->text = apr_psprintf(pool, "the section in %s%s: %s%s",
                                m2mgw_cfg_place(pool, first->where ? first->where
                                                                   : first->first),
                                others, row->text, detail);
}

static void add_global(apr_array_header_t *all, m2_level_t level, const char *text)
{
    m2mgw_notice_t *notice = apr_array_push(all);

    notice->level = level;
    notice->text = text;
}

static void add_datasets(apr_array_header_t *all, apr_pool_t *pool)
{
    int i;

    for (i = 0; i < m2mgw_cfg_datasets()->nelts; i++) {
        const m2mgw_dataset_t *set = APR_ARRAY_IDX(m2mgw_cfg_datasets(), i, m2mgw_dataset_t *);

        if (!set->list.is_url && !m2mgw_cfg_user_reads(set->list.name)) {
            add_global(all, M2_LOG_WARNING,
                       apr_psprintf(pool, "the server's User cannot read the data set %s, %s, so "
                                    "that changes of it will not be seen and it counts until its "
                                    "max-stale", set->name, set->list.name));
        }
    }
    if (m2h_dbd_notice()) {
        add_global(all, M2_LOG_NOTICE, m2h_dbd_notice());
    }
}

static void add_globals(apr_array_header_t *all, apr_pool_t *pool)
{
    const m2mgw_globals_t *globals = m2mgw_globals();

    if (globals->state_dir && m2_dir_is_open(globals->state_dir)) {
        add_global(all, M2_LOG_NOTICE, apr_psprintf(pool, "M2MStateDir %s: everybody may write "
                                                    "there; of the copies in it, those of root "
                                                    "and User count",
                                                    globals->state_dir));
    }
    if (globals->state_dir && !m2mgw_cfg_user_fills(globals->state_dir)) {
        add_global(all, M2_LOG_NOTICE, apr_psprintf(pool, "M2MStateDir %s: the server's User "
                                                    "cannot write there: keys that were fetched "
                                                    "are not kept over restarts, and every child "
                                                    "fetches for itself", globals->state_dir));
    }
    add_datasets(all, pool);
    if (!globals->file_modes) {
        add_global(all, M2_LOG_WARNING, "M2MFileModes Ignore: keys, scripts and other files that "
                   "decide are believed though everybody may write them");
    }
}

apr_array_header_t *m2mgw_cfg_all_notices(apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    apr_array_header_t *all = apr_array_copy(pool, m2mgw_cfg_notices());
    look_t *looks = look_everywhere(pool, sections);
    apr_size_t i;

    add_globals(all, pool);
    m2mgw_cfg_tell_endpoints(all);
    for (i = 0; i < sizeof(notice_rows) / sizeof(notice_rows[0]); i++) {
        add_row(all, pool, &notice_rows[i], looks, sections->nelts);
    }
    return all;
}
