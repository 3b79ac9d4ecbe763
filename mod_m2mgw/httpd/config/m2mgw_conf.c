/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Configuration records: made, merged, resolved. Merging happens while requests are served,
 * so it only picks pointers and numbers. Members stand in the order of m2mgw_conf.h.
 */
#include "httpd/config/m2mgw_conf.h"

#define DEFAULT_LEEWAY 60
#define DEFAULT_FORM_LIMIT 65536

/* written while the configuration is read, before there are threads */
static m2_alg_mask_t proof_algs;

/* --- create and merge --- */

/* A row for each member: its value if it is not set, and how an inner and an outer value are
 * merged if the inner value does not simply replace the outer one. */
#define MEMBERS(SAID, OWN)                                                                 \
    SAID(engine, M2MGW_ENGINE_UNSET)                                                       \
    SAID(sources, NULL)                                                                    \
    SAID(forward_token, M2_UNSET)                                                          \
    SAID(bypass_empty, M2_UNSET)                                                           \
    SAID(keys, NULL)                                                                       \
    OWN(bound, NULL, inner->keys ? inner->bound : outer->bound)                            \
    SAID(refresh, NULL)                                                                    \
    SAID(jwks_wait, M2_UNSET)                                                              \
    SAID(algs, 0)                                                                          \
    SAID(issuers, NULL)                                                                    \
    OWN(issuers_narrow, 0, inner->issuers ? inner->issuers_narrow || !inner->keys          \
        : !inner->keys && outer->issuers_narrow)                                           \
    SAID(audiences, NULL)                                                                  \
    SAID(types, NULL)                                                                      \
    SAID(requires, NULL)                                                                   \
    SAID(scopes, NULL)                                                                     \
    SAID(leeway, M2_UNSET)                                                                 \
    SAID(max_age, M2_UNSET)                                                                \
    SAID(max_lifetime, M2_UNSET)                                                           \
    SAID(ignore_expiration, M2_UNSET)                                                      \
    SAID(replay, M2_UNSET)                                                                 \
    SAID(revocation, NULL)                                                                 \
    SAID(constraint, M2_UNSET)                                                             \
    SAID(dpop, NULL)                                                                       \
    SAID(public_urls, NULL)                                                                \
    SAID(certificate, NULL)                                                                \
    OWN(believed, NULL, merge_believed(pool, inner->believed, outer->believed))            \
    SAID(resource, NULL)                                                                   \
    SAID(mapping, NULL)                                                                    \
    OWN(scrub, NULL, merge_scrub(pool, inner->scrub, outer->scrub))                        \
    SAID(scrub_where, M2_UNSET)                                                            \
    SAID(rules, NULL)                                                                      \
    SAID(path_guard, M2_UNSET)                                                             \
    SAID(operations, NULL)                                                                 \
    SAID(operation_unknown, M2_UNSET)                                                      \
    SAID(preflight, M2_UNSET)                                                              \
    SAID(duplicates, M2_UNSET)                                                             \
    SAID(limits, NULL)                                                                     \
    SAID(limit_headers, M2_UNSET)                                                          \
    SAID(user_claims, NULL)                                                                \
    SAID(form_limit, M2_UNSET)                                                             \
    SAID(form_other, M2_UNSET)                                                             \
    SAID(method_names, NULL)                                                               \
    SAID(realm, NULL)                                                                      \
    SAID(profile, M2MGW_PROFILE_UNSET)                                                     \
    SAID(any_document, M2_UNSET)                                                           \
    SAID(trace_parent, M2_UNSET)                                                           \
    SAID(stage, NULL)                                                                      \
    SAID(api_name, NULL)                                                                   \
    OWN(checks, 0, inner->checks | outer->checks)                                          \
    SAID(section, NULL)                                                                    \
    OWN(settled, NULL, NULL)

void *m2mgw_config_dir_create(apr_pool_t *pool, char *path)
{
    m2mgw_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    (void)path;
#define CREATE(member, unset, ...) dir->member = unset;
    MEMBERS(CREATE, CREATE)
#undef CREATE
    return dir;
}

/* Both chains, the inner one in front; it is nearly always one list. */
static const m2_scrub_t *merge_scrub(apr_pool_t *pool, const m2_scrub_t *inner,
                                     const m2_scrub_t *outer)
{
    m2_scrub_t *first;

    if (!inner || !outer || inner == outer) {
        return inner ? inner : outer;
    }
    first = apr_palloc(pool, sizeof(*first));
    first->mapping = inner->mapping;
    first->outer = merge_scrub(pool, inner->outer, outer);
    return first;
}

static const m2mgw_believed_t *merge_believed(apr_pool_t *pool, const m2mgw_believed_t *inner,
                                              const m2mgw_believed_t *outer)
{
    m2mgw_believed_t *first;

    if (!inner || !outer || inner == outer) {
        return inner ? inner : outer;
    }
    first = apr_palloc(pool, sizeof(*first));
    first->certificate = inner->certificate;
    first->outer = merge_believed(pool, inner->outer, outer);
    return first;
}

void *m2mgw_config_dir_merge(apr_pool_t *pool, void *base, void *add)
{
    const m2mgw_dir_t *outer = base, *inner = add;
    m2mgw_dir_t *dir;

    if (!inner->section || !outer->section) { /* one says nothing of ours, as most do */
        return inner->section ? add : base;
    }
    dir = apr_pcalloc(pool, sizeof(*dir));
#define PICK(member, unset)                                                               \
    dir->member = inner->member != (unset) ? inner->member : outer->member;
#define MERGE(member, unset, merged) dir->member = merged;
    MEMBERS(PICK, MERGE)
#undef MERGE
#undef PICK
    return dir;
}

/* What else a virtual host needs is computed from all sections once they have been read
 * (m2mgw_config_check). */
void *m2mgw_config_server_create(apr_pool_t *pool, server_rec *s)
{
    (void)s;
    proof_algs = m2_proof_algs();
    return apr_pcalloc(pool, sizeof(m2mgw_server_t));
}

void *m2mgw_config_server_merge(apr_pool_t *pool, void *base, void *add)
{
    const m2mgw_server_t *outer = base, *inner = add;
    m2mgw_server_t *server = m2mgw_config_server_create(pool, NULL);

    server->decision_log = inner->decision_log ? inner->decision_log
                                               : outer->decision_log;
    return server;
}

/* --- what is in force --- */

#define LIST(elts) { NULL, sizeof((elts)[0]), sizeof(elts) / sizeof((elts)[0]), \
                     sizeof(elts) / sizeof((elts)[0]), (char *)(elts) }

static m2_token_source_t source_elts[] = { { M2_TOKEN_HEADER, "Authorization" } };
static apr_array_header_t source_list = LIST(source_elts);
static const m2mgw_sources_t default_sources = { &source_list };

static const char *user_elts[] = { "client_id", "azp", "sub" };
static const apr_array_header_t default_user_claims = LIST(user_elts);

static void resolve_claims(m2_claims_policy_t *claims, const m2mgw_dir_t *dir)
{
    claims->issuers = dir->issuers;
    claims->bound = dir->issuers_narrow ? NULL : dir->bound;
    claims->scopes = dir->scopes;
    claims->audiences = dir->audiences;
    claims->requires = dir->requires;
    claims->leeway = dir->leeway != M2_UNSET ? dir->leeway : DEFAULT_LEEWAY;
    claims->max_age = dir->max_age >= 0 ? dir->max_age : -1;
    claims->max_lifetime = dir->max_lifetime > 0 ? dir->max_lifetime : 0;
    claims->ignore_expiration = dir->ignore_expiration == 1;
    claims->need_exp = dir->replay == M2_REPLAY_ON;
}

/* In Shadow a token is only recorded as used: a caller who is let through by Shadow must not
 * spend it. */
static m2_replay_use_t resolve_replay(const m2mgw_dir_t *dir)
{
    if (dir->replay == M2_UNSET) {
        return M2_REPLAY_OFF;
    }
    return dir->replay == M2_REPLAY_ON && dir->engine == M2MGW_ENGINE_SHADOW
               ? M2_REPLAY_OBSERVE
               : (m2_replay_use_t)dir->replay;
}

/* In Shadow a proof is judged and recorded; the client is not asked for a nonce, so a missing
 * nonce does not count as a refusal. */
static void resolve_bound(m2_bound_policy_t *bound, const m2mgw_dir_t *dir)
{
    const int shadow = dir->engine == M2MGW_ENGINE_SHADOW;

    bound->constraint = dir->constraint != M2_UNSET ? (m2_constraint_t)dir->constraint
                                                    : M2_CONSTRAINT_AUTO;
    bound->proof.algs = dir->dpop ? dir->dpop->algs : proof_algs;
    bound->proof.window = dir->dpop ? dir->dpop->window : M2_PROOF_WINDOW;
    bound->proof.nonce = dir->dpop && dir->dpop->nonce && !shadow;
    bound->observe = shadow;
    bound->public_urls = dir->public_urls;
    bound->certificate = dir->certificate;
}

static void resolve_policy(m2_policy_t *policy, const m2mgw_dir_t *dir)
{
    policy->keys = dir->keys;
    policy->revocation = dir->revocation ? dir->revocation->ring : NULL;
    policy->algs = dir->algs ? dir->algs : ~(m2_alg_mask_t)0;
    policy->types = dir->types;
    resolve_claims(&policy->claims, dir);
    policy->user_claims = dir->user_claims ? dir->user_claims : &default_user_claims;
    policy->mapping = dir->mapping;
    policy->rules = dir->rules;
    policy->bypass_empty = dir->bypass_empty == 1;
    policy->replay = resolve_replay(dir);
    resolve_bound(&policy->bound, dir);
}

static m2mgw_unknown_t resolve_unknown(const m2mgw_dir_t *dir)
{
    if (dir->operations && dir->operations->unknown != M2MGW_UNKNOWN_UNSET) {
        return dir->operations->unknown;
    }
    return dir->operation_unknown != M2_UNSET ? (m2mgw_unknown_t)dir->operation_unknown
                                              : M2MGW_UNKNOWN_DENY;
}

static int has_limits(const m2mgw_dir_t *dir)
{
    return dir->limits && dir->limits->list->nelts;
}

/* A policy without keys is closed, not open: an administrator who requires an audience and
 * forgot the line with the keys did not mean to let anonymous callers in. */
static const char *why_closed(const m2mgw_dir_t *dir)
{
    if (dir->keys) {
        return NULL;
    }
    if (dir->checks) {
        return "the section says what tokens must be like, but no keys are in force";
    }
    return dir->rules || dir->operations || has_limits(dir)
               ? NULL
               : "M2MEngine is on, but no keys, rules or limits are in force";
}

m2mgw_profile_t m2mgw_profile_of(const m2mgw_dir_t *dir)
{
    return dir->profile != M2MGW_PROFILE_UNSET ? dir->profile : M2MGW_PROFILE_RFC6750;
}

static int resolve(m2mgw_effective_t *effective, const m2mgw_dir_t *dir)
{
    int protects = dir && (dir->keys || dir->rules || dir->operations || dir->checks
                           || has_limits(dir));

    memset(effective, 0, sizeof(*effective));
    effective->form_limit = dir && dir->form_limit != M2_UNSET ? dir->form_limit
                                                               : DEFAULT_FORM_LIMIT;
    if (!dir || dir->engine == M2MGW_ENGINE_OFF
        || (dir->engine == M2MGW_ENGINE_UNSET && !protects)) {
        return 0;
    }
    effective->dir = dir;
    effective->engine = dir->engine == M2MGW_ENGINE_UNSET ? M2MGW_ENGINE_ON : dir->engine;
    resolve_policy(&effective->policy, dir);
    effective->closed = why_closed(dir);
    effective->sources = dir->sources ? dir->sources : &default_sources;
    effective->deny_duplicates = dir->duplicates != M2_UNSET ? dir->duplicates
                                 : dir->rules ? dir->rules->deny_duplicates : 1;
    effective->operations = dir->operations;
    effective->operation_unknown = resolve_unknown(dir);
    effective->limits = has_limits(dir) ? dir->limits : NULL;
    effective->limit_headers = dir->limit_headers != 0
                               && effective->engine != M2MGW_ENGINE_SHADOW;
    effective->jwks_wait = dir->jwks_wait != M2_UNSET ? dir->jwks_wait : 0;
    effective->profile = m2mgw_profile_of(dir);
    effective->any_document = dir->any_document == 1;
    return 1;
}

int m2mgw_effective(m2mgw_effective_t *effective, const m2mgw_dir_t *dir)
{
    if (dir && dir->settled) {
        memcpy(effective, dir->settled, sizeof(*effective)); /* its padding is compared too */
        return 1;
    }
    return resolve(effective, dir);
}

void m2mgw_settle(m2mgw_dir_t *dir, apr_pool_t *pool)
{
    m2mgw_effective_t effective;

    if (resolve(&effective, dir)) {
        dir->settled = apr_pmemdup(pool, &effective, sizeof(effective));
    }
}

int m2mgw_takes_dpop(const m2mgw_effective_t *effective)
{
    const apr_array_header_t *sources = effective->sources->list;
    int i;

    for (i = 0; i < sources->nelts; i++) {
        if (APR_ARRAY_IDX(sources, i, m2_token_source_t).place == M2_TOKEN_HEADER) {
            return 1;
        }
    }
    return 0;
}
