/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The decision about one request_rec, top to bottom: names scrubbed, the token taken and
 * judged, claims published, rules asked; later the mark in the replay store, and what all of
 * it comes to.
 */
#include "httpd/request/m2mgw_decide.h"

#include "httpd/request/m2mgw_apply.h"
#include "httpd/request/m2mgw_body.h"
#include "httpd/request/m2mgw_errordoc.h"
#include "httpd/request/m2mgw_facts.h"
#include "httpd/request/m2mgw_limits.h"
#include "httpd/request/m2mgw_method.h"
#include "httpd/request/m2mgw_nocache.h"
#include "httpd/request/m2mgw_operation.h"
#include "httpd/request/m2mgw_path.h"
#include "httpd/request/m2mgw_proof.h"
#include "httpd/request/m2mgw_response.h"
#include "httpd/request/m2mgw_token.h"
#include "httpd/request/m2mgw_upgrade.h"
#include "httpd/runtime/m2mgw_cache.h"
#include "httpd/runtime/m2mgw_counters.h"
#include "httpd/runtime/m2mgw_keys.h"
#include "httpd/runtime/m2mgw_replay.h"

#include "jwks/m2_jwks.h"

/* One mark per token and client request, whatever policies it meets on its way. */
static m2_code_t spend_once(const m2_verdict_t *verdict, void *baton, m2_err_t *err)
{
    m2mgw_ctx_t *ctx = baton;
    apr_array_header_t *spent = &ctx->root->spent;
    m2mgw_spent_t *mark;
    int i;

    for (i = 0; i < spent->nelts; i++) {
        mark = &APR_ARRAY_IDX(spent, i, m2mgw_spent_t);
        if (m2_slice_eq(mark->token, ctx->token)) {
            return m2_err_set(err, mark->code, "decided earlier in this request");
        }
    }
    mark = apr_array_push(spent);
    mark->token = ctx->token;
    mark->code = m2mgw_runtime_spend(verdict, err);
    return mark->code;
}

static m2_code_t spend_proof(const m2_verdict_t *verdict, void *baton, m2_err_t *err)
{
    return m2mgw_proof_spend(baton, verdict, err);
}

static int missing_kid(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       void *baton)
{
    const m2mgw_ctx_t *ctx = baton;

    ctx->root->kid_asked = m2_feed_fetched(m2_keyring_feed(ring));
    return m2mgw_keys_missing(ring, kid, generation, ctx->effective.jwks_wait);
}

static m2_services_t services_for(m2mgw_ctx_t *ctx, const m2_presented_t *presented)
{
    m2_services_t services;

    memset(&services, 0, sizeof(services));
    services.spend = spend_once;
    services.spend_proof = spend_proof;
    services.spend_baton = ctx;
    services.presented = presented;
    services.absent = ctx->token.p ? NULL : m2mgw_token_why_none(ctx, ctx->r);
    services.cache = m2mgw_cache();
    services.missing = missing_kid;
    services.missing_baton = ctx;
    return services;
}

/* The token half, from memory when this client request met the same policy before. */
static void judge_token(m2mgw_ctx_t *ctx, apr_time_t now)
{
    m2_presented_t presented;
    const m2_services_t services = services_for(ctx, &presented);
    m2mgw_root_t *root = ctx->root;
    const m2_policy_t *policy = &ctx->effective.policy;
    m2mgw_judged_t *judged;

    for (judged = root->judged; judged; judged = judged->next) {
        if (memcmp(&judged->policy, policy, sizeof(*policy)) == 0
            && (m2_slice_eq(judged->token, ctx->token)
                || (!judged->token.p && !ctx->token.p))) {
            ctx->verdict = judged->verdict;
            return;
        }
    }
    judged = root->judged ? apr_pcalloc(root->r->pool, sizeof(*judged))
                          : &root->first_judged;
    memcpy(&judged->policy, policy, sizeof(*policy)); /* compared by its bytes, padding too */
    judged->token = ctx->token;
    m2mgw_proof_presented(&presented, ctx);
    m2_gate_token(&judged->verdict, root->r->pool, policy, ctx->token, now, &services);
    if (ctx->token.p) {
        const int cached = judged->verdict.cached;

        m2mgw_count_token(cached, judged->verdict.tries, cached ? 0 : apr_time_now() - now);
    }
    judged->next = root->judged;
    root->judged = judged;
    ctx->verdict = judged->verdict;
}

static void deny(m2mgw_ctx_t *ctx, m2_code_t code, const char *why)
{
    ctx->verdict.code = code;
    ctx->verdict.err.pool = ctx->r->pool;
    m2_err_set(&ctx->verdict.err, code, "%s", why);
}

static int passes(const m2mgw_ctx_t *ctx)
{
    return ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS;
}

void m2mgw_recheck_path(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (passes(ctx) && m2mgw_path_is_unsafe(&ctx->effective, r)) {
        deny(ctx, M2_E_PATH_UNSAFE, "the path could mean another path to the backend");
        m2mgw_note_decision(ctx, r);
    }
}

/* Parameters and headers that override the method are removed, whatever was decided so far. */
static void guard_method(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2_err_t err;
    m2_code_t code;

    if (!passes(ctx) && ctx->effective.engine != M2MGW_ENGINE_SHADOW) {
        return;
    }
    m2_err_init(&err, r->pool);
    code = m2mgw_method_guard(ctx, r, &err);
    if (code != M2_OK && passes(ctx)) {
        deny(ctx, code, err.text);
    }
}

static void judge_operation(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, r->pool);
    code = passes(ctx) ? m2mgw_operation_judge(ctx, r, &err) : M2_OK;
    if (code != M2_OK) {
        deny(ctx, code, err.text);
    }
}

/* What rules in shadow would have refused, for administrators who are about to enforce them. */
static void log_shadowed(const m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_array_header_t *all = ctx->verdict.shadowed;
    int i;

    for (i = 0; all && i < all->nelts; i++) {
        const m2_shadowed_t *one = &APR_ARRAY_IDX(all, i, m2_shadowed_t);

        if (one->code != M2_OK) {
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-204: %s: rule %s (shadow) would "
                          "refuse: %s%s%s [%s]", r->uri, one->rule->name,
                          m2_reason_of(one->code)->reason, one->why ? ": " : "",
                          one->why ? one->why : "", ctx->root->request_id);
        }
    }
}

static void ask_rules(m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    const m2_policy_t *policy = &ctx->effective.policy;
    m2_facts_t facts;

    if (m2_gate_asks(&ctx->verdict, policy)) {
        m2mgw_facts_init(&facts, ctx, r, now);
    }
    else {
        memset(&facts, 0, sizeof(facts));
    }
    m2_gate_rules(&ctx->verdict, policy, &facts);
    log_shadowed(ctx, r);
    if (ctx->verdict.code == M2_E_RULE_ERROR && m2mgw_body_is_too_large(ctx)) {
        ctx->verdict.code = M2_E_BODY_TOO_LARGE; /* the sentence stays the rule's */
    }
}

static void judge_request(m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    m2mgw_recheck_path(ctx, r);
    if (m2_gate_scopes(&ctx->verdict, &ctx->effective.policy) == M2_E_INSUFFICIENT_SCOPE) {
        ctx->missing_scope = ctx->verdict.missing_scope;
    }
    judge_operation(ctx, r);
    if (passes(ctx) && !(ctx->operation && ctx->operation->is_preflight)) {
        ask_rules(ctx, r, now);
    }
    if (passes(ctx) && m2mgw_operation_is_ambiguous(ctx, r)) {
        deny(ctx, M2_E_PATH_UNSAFE, "a lenient backend may read the path as another operation");
    }
}

/* The mark, behind rules and `Require`: so that a refusal by any of them spends no token. */
static void spend(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_policy_t *policy = &ctx->effective.policy;
    m2_services_t services;

    if (ctx->verdict.code != M2_OK || !m2_gate_spends(&ctx->verdict, policy)) {
        return;
    }
    services = services_for(ctx, NULL);
    if (m2_gate_spend(&ctx->verdict, policy, &services) != M2_OK) {
        m2mgw_note_decision(ctx, r);
    }
}

/* A request whose body cannot be read or rewritten is refused. */
static void publish(m2mgw_ctx_t *ctx, request_rec *r)
{
    const int passed = passes(ctx);
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, r->pool);
    m2mgw_publish(ctx, r);
    if (passed || ctx->effective.engine == M2MGW_ENGINE_SHADOW) {
        code = m2mgw_publish_form(ctx, r, &err);
        ctx->body_unusable = code != M2_OK;
        if (code != M2_OK) {
            deny(ctx, code, err.text);
        }
    }
}

/* What the decision is about. */
static void keep_current(m2mgw_ctx_t *ctx, const request_rec *r)
{
    ctx->decided = 1;
    ctx->uri = r->uri;
    ctx->method = r->method;
    ctx->args = r->args;
}

/* Names that a client must not set are removed before anything is read. */
static void prepare(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2mgw_request_id(ctx);
    m2mgw_scrub_env(ctx, r);
    m2mgw_scrub(ctx, r);
    m2mgw_certificate_scrub(r);
    m2mgw_set_request_id(ctx, r);
    m2mgw_operation_find(ctx, r);
}

/* M2_OK with the one token of the request, or with none. */
static m2_code_t take_token(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    m2_code_t found;

    if (!ctx->effective.policy.keys) {
        return M2_OK;
    }
    m2mgw_proof_keep(ctx);
    found = m2mgw_token_take(ctx, r, err);
    m2mgw_proof_remove(ctx, r);
    return found;
}

static void judge_caller(m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    m2_err_t err;
    m2_code_t found;

    m2_err_init(&err, r->pool);
    found = take_token(ctx, r, &err);
    memset(&ctx->verdict, 0, sizeof(ctx->verdict));
    if (found != M2_OK) {
        deny(ctx, found, err.text ? err.text : "");
    }
    else if (ctx->effective.closed) {
        deny(ctx, M2_E_KEYS_UNAVAILABLE, ctx->effective.closed);
    }
    else if (m2mgw_operation_lacks_keys(ctx)) {
        deny(ctx, M2_E_KEYS_UNAVAILABLE, "the operation needs a token, but no keys are in force");
    }
    else if (ctx->operation && ctx->operation->is_preflight) {
        m2_err_init(&ctx->verdict.err, r->pool);
        ctx->verdict.code = M2_BYPASS;
    }
    else {
        judge_token(ctx, now);
    }
}

/* The claims of a verified token are published before the rules are asked, so that both see
 * the request as the backend will. */
static void decide(m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_time_t now = apr_time_now();

    prepare(ctx, r);
    judge_caller(ctx, r, now);
    publish(ctx, r);
    guard_method(ctx, r);
    judge_request(ctx, r, now);
    ctx->body_unusable |= m2mgw_body_is_broken(ctx);
    m2mgw_note_decision(ctx, r);
    keep_current(ctx, r);
}

/* Where no policy is in force, names are still removed, and no request may claim another method
 * that an <If> would have matched. A body that cannot be searched does not pass. */
static void decide_open(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2_err_t err;
    m2_code_t code;

    m2mgw_scrub(ctx, r);
    m2mgw_certificate_scrub(r);
    m2_err_init(&err, r->pool);
    code = m2mgw_publish_form(ctx, r, &err);
    code = code ? code : m2mgw_method_guard(ctx, r, &err);
    if (code != M2_OK) {
        m2mgw_ctx_close(ctx, ap_get_module_config(r->per_dir_config, &m2mgw_module), code,
                        err.text);
        ctx->body_unusable = code != M2_E_RULE_ERROR;
        m2mgw_note_decision(ctx, r);
        keep_current(ctx, r);
    }
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && m2_slice_is(m2_slice_z(a), b));
}

int m2mgw_is_current(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    if (!ctx || !ctx->seen || ctx->section != r->per_dir_config) {
        return 0;
    }
    return !ctx->in_force || ctx->error_document
           || (ctx->decided && same_text(ctx->uri, r->uri) && same_text(ctx->args, r->args)
               && same_text(ctx->method, r->method));
}

int m2mgw_conclude(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2mgw_nocache_store(r);
    if (passes(ctx)
        || (ctx->effective.engine == M2MGW_ENGINE_SHADOW && !ctx->body_unusable)) {
        return OK;
    }
    return m2mgw_refuse(ctx, r);
}

m2mgw_ctx_t *m2mgw_meet(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx_make(r);

    ctx->seen = 1;
    if (m2mgw_is_error_document(r)) {
        ctx->error_document = 1;
        m2mgw_error_document_meet(r);
        m2mgw_scrub(ctx, r); /* served to anyone, without claims */
        m2mgw_certificate_scrub(r);
    }
    else if (ctx->in_force) {
        decide(ctx, r);
    }
    else {
        decide_open(ctx, r);
    }
    return ctx;
}

/* Limits, likewise, and before the mark: a request that they refuse spends no token. */
static void hold_back(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2_code_t code;
    m2_err_t err;

    if (!ctx->effective.limits || !passes(ctx)) {
        return;
    }
    m2_err_init(&err, r->pool);
    code = m2mgw_limits_take(ctx, r, &err);
    if (code != M2_OK) {
        deny(ctx, code, err.text ? err.text : "");
        m2mgw_note_decision(ctx, r);
    }
}

int m2mgw_charge(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (!ctx->uncharged && m2mgw_upgrade_is_due(r)) {
        ctx->uncharged = 1;
        return m2mgw_conclude(ctx, r);
    }
    ctx->uncharged = 0;
    hold_back(ctx, r);
    spend(ctx, r);
    return m2mgw_conclude(ctx, r);
}
