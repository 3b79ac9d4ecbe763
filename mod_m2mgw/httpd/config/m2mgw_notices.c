/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is legal in a whole section and deserves a second look: a table of questions, each
 * answered for every section with what is in force in it.
 */
#include "httpd/config/m2mgw_notices.h"

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
