/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is recorded of a request when it is over.
 */
#include "httpd/request/m2mgw_record.h"

#include "httpd/request/m2mgw_operation.h"
#include "httpd/runtime/m2mgw_counters.h"
#include "httpd/runtime/m2mgw_decisions.h"
#include "httpd/runtime/m2mgw_operation_counts.h"
#include "httpd/runtime/m2mgw_recent.h"

/* The decision that stands for the whole: the first refusal, else the last pass. */
static m2mgw_ctx_t *deciding(request_rec *r)
{
    m2mgw_ctx_t *found = NULL;

    for (; r; r = r->next) {
        m2mgw_ctx_t *ctx = m2mgw_ctx(r);

        if (ctx && (ctx->decided || ctx->refused)) {
            found = ctx;
            if (ctx->refused || ctx->require_denied) {
                break;
            }
        }
    }
    return found;
}

static int final_status(const request_rec *r)
{
    while (r->next) {
        r = r->next;
    }
    return r->status;
}

/* Only verified facts about the caller. */
static void tell_token(m2mgw_decision_t *decision, const m2_verdict_t *verdict,
                       apr_pool_t *pool)
{
    const m2_slice_t iss = m2_json_string(m2_json_get(verdict->claims, "iss"));

    if (verdict->verified) {
        decision->kid = verdict->kid;
        decision->alg = verdict->alg;
        decision->iss = iss.p ? m2_slice_dup(pool, iss) : NULL;
        decision->client = verdict->user;
    }
    else if (verdict->code == M2_E_REVOKED) {
        decision->kid = verdict->was.kid;
        decision->alg = verdict->was.alg;
        decision->iss = verdict->was.iss;
        decision->client = verdict->was.client;
    }
}

/* What is counted. */
static void tell(m2mgw_decision_t *decision, request_rec *r, const m2mgw_ctx_t *ctx)
{
    memset(decision, 0, sizeof(*decision));
    decision->code = ctx->require_denied ? M2_E_REQUIRE_DENIED : ctx->verdict.code;
    decision->shadow = !ctx->require_denied && !ctx->refused
                       && ctx->effective.engine == M2MGW_ENGINE_SHADOW
                       && !m2mgw_decision_passes(decision);
    decision->time = r->request_time;
    decision->section = ctx->effective.dir ? ctx->effective.dir->section : NULL;
    decision->rule = ctx->require_denied ? NULL : ctx->verdict.rule;
    decision->shadowed = ctx->verdict.shadowed;
    if (ctx->operation && ctx->operation->match.operation) {
        decision->operations = ctx->effective.operations;
        decision->operation_number = ctx->operation->match.operation->number;
    }
    if (!m2mgw_decision_passes(decision) && !ctx->require_denied) {
        decision->detail = ctx->verdict.err.text;
    }
}

/* What is written down, of refusals and where every decision is logged. */
static void tell_more(m2mgw_decision_t *decision, request_rec *r, const m2mgw_ctx_t *ctx)
{
    decision->duration = apr_time_now() - r->request_time;
    decision->status = final_status(r);
    decision->request_id = ctx->root->request_id;
    decision->trace_id = apr_table_get(ctx->r->subprocess_env, "M2M_TRACE_ID");
    decision->vhost = r->server->server_hostname;
    decision->operation = m2mgw_operation_name(ctx);
    decision->address = r->useragent_ip;
    decision->line = r->the_request;
    tell_token(decision, &ctx->verdict, r->pool);
}

/* The request_rec whose path a section in Shadow was missed by, if there is one. */
static const m2mgw_ctx_t *missed_in_shadow(request_rec *r)
{
    for (; r; r = r->next) {
        const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

        if (ctx && ctx->path_shadow) {
            return ctx;
        }
    }
    return NULL;
}

static void tell_missed(m2mgw_decision_t *decision, const m2mgw_ctx_t *ctx)
{
    decision->code = M2_E_PATH_UNSAFE;
    decision->shadow = 1;
    decision->section = ctx->path_section;
    decision->rule = NULL;
    decision->shadowed = NULL;
    decision->detail = ctx->path_shadow;
}

/* One request, one decision: a refusal counts before one that Shadow let pass. */
void m2mgw_record(request_rec *r)
{
    const m2mgw_ctx_t *ctx = deciding(r), *missed = missed_in_shadow(r);
    m2mgw_decision_t decision;
    int is_recent, is_logged;

    if ((!ctx && !missed) || (ctx && ctx->uncharged)) { /* the upgrade's request is recorded */
        return;
    }
    tell(&decision, r, ctx ? ctx : missed);
    if (missed && (!ctx || m2mgw_decision_passes(&decision))) {
        tell_missed(&decision, missed);
    }
    m2mgw_count_decision(&decision);
    m2mgw_count_operation(&decision);
    is_recent = !m2mgw_decision_passes(&decision) && !decision.shadow;
    is_logged = m2mgw_decision_is_logged(r, &decision);
    if (is_recent || is_logged) {
        tell_more(&decision, r, ctx ? ctx : missed);
    }
    if (is_recent) {
        m2mgw_recent_add(&decision);
    }
    if (is_logged) {
        m2mgw_decision_log(r, &decision);
    }
}
