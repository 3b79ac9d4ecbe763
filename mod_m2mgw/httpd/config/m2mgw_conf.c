/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Configuration records: made, merged, resolved. Merging happens while requests are served,
 * so it only picks pointers and numbers. Members stand in the order of m2mgw_conf.h.
 */
#include "httpd/config/m2mgw_conf.h"

#define DEFAULT_LEEWAY 60
#define DEFAULT_FORM_LIMIT 65536

/* --- create and merge --- */

void *m2mgw_config_dir_create(apr_pool_t *pool, char *path)
{
    m2mgw_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    (void)path;
    dir->engine = M2MGW_ENGINE_UNSET;
    dir->sources = NULL;
    dir->forward_token = M2_UNSET;
    dir->bypass_empty = M2_UNSET;
    dir->keys = NULL;
    dir->bound = NULL;
    dir->refresh = NULL;
    dir->jwks_wait = M2_UNSET;
    dir->algs = 0;
    dir->issuers = NULL;
    dir->issuers_narrow = 0;
    dir->audiences = NULL;
    dir->types = NULL;
    dir->requires = NULL;
    dir->scopes = NULL;
    dir->leeway = M2_UNSET;
    dir->max_age = M2_UNSET;
    dir->max_lifetime = M2_UNSET;
    dir->ignore_expiration = M2_UNSET;
    dir->replay = M2_UNSET;
    dir->constraint = M2_UNSET;
    dir->dpop = NULL;
    dir->public_urls = NULL;
    dir->certificate = NULL;
    dir->resource = NULL;
    dir->mapping = NULL;
    dir->scrub = NULL;
    dir->scrub_where = M2_UNSET;
    dir->rules = NULL;
    dir->path_guard = M2_UNSET;
    dir->operations = NULL;
    dir->operation_unknown = M2_UNSET;
    dir->preflight = M2_UNSET;
    dir->duplicates = M2_UNSET;
    dir->limits = NULL;
    dir->limit_headers = M2_UNSET;
    dir->user_claims = NULL;
    dir->form_limit = M2_UNSET;
    dir->form_other = M2_UNSET;
    dir->method_names = NULL;
    dir->realm = NULL;
    dir->profile = M2MGW_PROFILE_UNSET;
    dir->any_document = M2_UNSET;
    dir->trace_parent = M2_UNSET;
    dir->stage = NULL;
    dir->api_name = NULL;
    dir->checks = 0;
    dir->section = NULL;
    return dir;
}

static int merge_int(int inner, int outer)
{
    return inner != M2_UNSET ? inner : outer;
}

#define merge_ptr(inner, outer) ((inner) ? (inner) : (outer))

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

void *m2mgw_config_dir_merge(apr_pool_t *pool, void *base, void *add)
{
    const m2mgw_dir_t *outer = base, *inner = add;
    m2mgw_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    dir->engine = inner->engine != M2MGW_ENGINE_UNSET ? inner->engine : outer->engine;
    dir->sources = merge_ptr(inner->sources, outer->sources);
    dir->forward_token = merge_int(inner->forward_token, outer->forward_token);
    dir->bypass_empty = merge_int(inner->bypass_empty, outer->bypass_empty);
    dir->keys = merge_ptr(inner->keys, outer->keys);
    dir->bound = inner->keys ? inner->bound : outer->bound;
    dir->refresh = merge_ptr(inner->refresh, outer->refresh);
    dir->jwks_wait = merge_int(inner->jwks_wait, outer->jwks_wait);
    dir->algs = inner->algs ? inner->algs : outer->algs;
    dir->issuers = merge_ptr(inner->issuers, outer->issuers);
    dir->issuers_narrow = inner->issuers ? inner->issuers_narrow || !inner->keys
                                         : !inner->keys && outer->issuers_narrow;
    dir->audiences = merge_ptr(inner->audiences, outer->audiences);
    dir->types = merge_ptr(inner->types, outer->types);
    dir->requires = merge_ptr(inner->requires, outer->requires);
    dir->scopes = merge_ptr(inner->scopes, outer->scopes);
    dir->leeway = merge_int(inner->leeway, outer->leeway);
    dir->max_age = merge_int(inner->max_age, outer->max_age);
    dir->max_lifetime = merge_int(inner->max_lifetime, outer->max_lifetime);
    dir->ignore_expiration = merge_int(inner->ignore_expiration, outer->ignore_expiration);
    dir->replay = merge_int(inner->replay, outer->replay);
    dir->constraint = merge_int(inner->constraint, outer->constraint);
    dir->dpop = merge_ptr(inner->dpop, outer->dpop);
    dir->public_urls = merge_ptr(inner->public_urls, outer->public_urls);
    dir->certificate = merge_ptr(inner->certificate, outer->certificate);
    dir->resource = merge_ptr(inner->resource, outer->resource);
    dir->mapping = merge_ptr(inner->mapping, outer->mapping);
    dir->scrub = merge_scrub(pool, inner->scrub, outer->scrub);
    dir->scrub_where = merge_int(inner->scrub_where, outer->scrub_where);
    dir->rules = merge_ptr(inner->rules, outer->rules);
    dir->path_guard = merge_int(inner->path_guard, outer->path_guard);
    dir->operations = merge_ptr(inner->operations, outer->operations);
    dir->operation_unknown = merge_int(inner->operation_unknown, outer->operation_unknown);
    dir->preflight = merge_int(inner->preflight, outer->preflight);
    dir->duplicates = merge_int(inner->duplicates, outer->duplicates);
    dir->limits = merge_ptr(inner->limits, outer->limits);
    dir->limit_headers = merge_int(inner->limit_headers, outer->limit_headers);
    dir->user_claims = merge_ptr(inner->user_claims, outer->user_claims);
    dir->form_limit = inner->form_limit != M2_UNSET ? inner->form_limit : outer->form_limit;
    dir->form_other = merge_int(inner->form_other, outer->form_other);
    dir->method_names = merge_ptr(inner->method_names, outer->method_names);
    dir->realm = merge_ptr(inner->realm, outer->realm);
    dir->profile = inner->profile != M2MGW_PROFILE_UNSET ? inner->profile : outer->profile;
    dir->any_document = merge_int(inner->any_document, outer->any_document);
    dir->trace_parent = merge_int(inner->trace_parent, outer->trace_parent);
    dir->stage = merge_ptr(inner->stage, outer->stage);
    dir->api_name = merge_ptr(inner->api_name, outer->api_name);
    dir->checks = inner->checks | outer->checks;
    dir->section = merge_ptr(inner->section, outer->section);
    return dir;
}

/* What a virtual host needs besides is worked out from all sections once they have been read
 * (m2mgw_config_check). */
void *m2mgw_config_server_create(apr_pool_t *pool, server_rec *s)
{
    (void)s;
    return apr_pcalloc(pool, sizeof(m2mgw_server_t));
}

void *m2mgw_config_server_merge(apr_pool_t *pool, void *base, void *add)
{
    const m2mgw_server_t *outer = base, *inner = add;
    m2mgw_server_t *server = m2mgw_config_server_create(pool, NULL);

    server->decision_log = merge_ptr(inner->decision_log, outer->decision_log);
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

/* In Shadow a token is only recorded as used, since a caller who is let through must not
 * be the one to spend it. */
static m2_replay_use_t resolve_replay(const m2mgw_dir_t *dir)
{
    if (dir->replay == M2_UNSET) {
        return M2_REPLAY_OFF;
    }
    return dir->replay == M2_REPLAY_ON && dir->engine == M2MGW_ENGINE_SHADOW
               ? M2_REPLAY_OBSERVE
               : (m2_replay_use_t)dir->replay;
}

/* In Shadow a proof is judged and recorded; a client that has never been asked for a nonce
 * is not refused for want of one when the policy becomes earnest. */
static void resolve_bound(m2_bound_policy_t *bound, const m2mgw_dir_t *dir)
{
    const int shadow = dir->engine == M2MGW_ENGINE_SHADOW;

    bound->constraint = dir->constraint != M2_UNSET ? (m2_constraint_t)dir->constraint
                                                    : M2_CONSTRAINT_AUTO;
    bound->proof.algs = dir->dpop ? dir->dpop->algs : m2_proof_algs();
    bound->proof.window = dir->dpop ? dir->dpop->window : M2_PROOF_WINDOW;
    bound->proof.nonce = dir->dpop && dir->dpop->nonce && !shadow;
    bound->observe = shadow;
    bound->public_urls = dir->public_urls;
    bound->certificate = dir->certificate;
}

static void resolve_policy(m2_policy_t *policy, const m2mgw_dir_t *dir)
{
    policy->keys = dir->keys;
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

/* A policy without keys is closed, not open: who asks for an audience and forgot the line with
 * the keys meant no anonymous caller. */
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

int m2mgw_effective(m2mgw_effective_t *effective, const m2mgw_dir_t *dir)
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
