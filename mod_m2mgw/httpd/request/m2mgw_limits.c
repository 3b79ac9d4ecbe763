/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Limits come behind rules and `Require`, and in front of the replay store: a request that is
 * refused here spends no token, one that was refused before takes from no bucket. A client's
 * request is taken from a bucket once, whatever requests httpd makes of it.
 */
#include "httpd/request/m2mgw_limits.h"

#include "httpd/request/m2mgw_facts.h"
#include "httpd/runtime/m2mgw_limit_store.h"

#define POLICY "RateLimit-Policy"
#define LIMIT "RateLimit"

static int was_taken(const apr_array_header_t *uses, const m2_limit_use_t *use)
{
    int i;

    for (i = 0; i < uses->nelts; i++) {
        if (m2_slice_eq(APR_ARRAY_IDX(uses, i, m2_limit_use_t).bucket, use->bucket)) {
            return 1;
        }
    }
    return 0;
}

/* Without the buckets that an earlier section on the way took the request from. */
static void leave_out_taken(apr_array_header_t *uses, const apr_array_header_t *earlier)
{
    int i, kept = 0;

    for (i = 0; i < uses->nelts; i++) {
        m2_limit_use_t *use = &APR_ARRAY_IDX(uses, i, m2_limit_use_t);

        if (!was_taken(earlier, use)) {
            APR_ARRAY_IDX(uses, kept++, m2_limit_use_t) = *use;
        }
    }
    uses->nelts = kept;
}

static m2_code_t refuse(m2mgw_ctx_t *ctx, request_rec *r, m2_code_t code, const char *name)
{
    m2_refusal_t *refusal = &ctx->verdict.refusal;

    if (code == M2_E_RULE_ERROR) {
        return code;
    }
    memset(refusal, 0, sizeof(*refusal));
    refusal->message = apr_pstrcat(r->pool, "Throttled by ", name, NULL);
    return code;
}

/* The store's answer for uses; a request does not wait for an answer that cannot come. */
static m2_code_t take(m2mgw_ctx_t *ctx, request_rec *r, apr_array_header_t *uses,
                      m2_err_t *err)
{
    const m2_limit_use_t *refusing = m2mgw_limit_store_take(uses);
    apr_uint64_t wait;
    int i;

    if (!refusing) {
        return M2_OK;
    }
    wait = m2_limit_retry(&refusing->answer);
    for (i = 0; i < uses->nelts; i++) { /* a client that waits this long passes them all */
        const m2_limit_use_t *use = &APR_ARRAY_IDX(uses, i, m2_limit_use_t);

        if (!use->answer.passes && !use->limit->shadow && m2_limit_retry(&use->answer) > wait) {
            wait = m2_limit_retry(&use->answer);
        }
    }
    ctx->retry_after = apr_psprintf(r->pool, "%" APR_UINT64_T_FMT, wait);
    m2_err_set(err, M2_E_LIMIT_EXCEEDED, "limit %s of %u in %u s", refusing->name,
               refusing->rate->count, refusing->rate->window);
    return refuse(ctx, r, M2_E_LIMIT_EXCEEDED, refusing->name);
}

m2_code_t m2mgw_limits_take(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2_limits_t *limits = ctx->effective.limits;
    apr_pool_t *pool = ctx->root->r->pool;
    const m2_limit_t *limit = NULL;
    apr_array_header_t *uses;
    m2_facts_t facts;
    m2_code_t code;

    m2mgw_facts_for(&facts, ctx, limits->scope, r, apr_time_now());
    facts.pool = pool; /* a bucket is remembered as long as the client's request */
    code = m2_limit_gather(&uses, &limit, limits, &facts, err);
    if (!ctx->root->limits) {
        ctx->root->limits = apr_array_make(pool, 2, sizeof(m2_limit_use_t));
    }
    if (code != M2_OK) {
        return refuse(ctx, r, code, limit->name);
    }
    leave_out_taken(uses, ctx->root->limits);
    code = take(ctx, r, uses, err);
    ctx->root->limit_headers |= ctx->effective.limit_headers;
    apr_array_cat(ctx->root->limits, uses);
    return code;
}

void m2mgw_limits_answer(const m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2mgw_root_t *root = ctx->root;
    const char *policy, *limit;

    if (!root->limits || !root->limit_headers) {
        return;
    }
    m2_limit_headers(&policy, &limit, r->pool, root->limits);
    if (!*policy) {
        return;
    }
    apr_table_unset(r->headers_out, POLICY);
    apr_table_unset(r->headers_out, LIMIT);
    apr_table_setn(r->err_headers_out, POLICY, policy);
    apr_table_setn(r->err_headers_out, LIMIT, limit);
}
