/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Operations of a request. The look-up has no effect of its own: a caller without a token
 * gets 401 before it could learn which operations there are.
 */
#include "httpd/request/m2mgw_operation.h"

#include "request/m2_path_reading.h"
#include "token/m2_scope.h"

/* Fetch standard, 4.8: OPTIONS with Origin and the method that is to follow */
static int is_preflight(const m2mgw_ctx_t *ctx, request_rec *r)
{
    const char *method = apr_table_get(r->headers_in, "Access-Control-Request-Method");
    m2_operation_match_t match;

    return ctx->effective.dir->preflight == 1 && r->method_number == M_OPTIONS && method
           && apr_table_get(r->headers_in, "Origin")
           && m2_operations_find(&match, ctx->effective.operations->table, method,
                                 m2_slice_z(r->uri)) == M2_OK;
}

void m2mgw_operation_find(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2mgw_operations_t *operations = ctx->effective.operations;
    m2mgw_operation_t *found;

    ctx->operation = NULL;
    if (!operations) {
        return;
    }
    ctx->operation = found = apr_palloc(r->pool, sizeof(*found));
    found->code = m2_operations_find(&found->match, operations->table, r->method,
                                     m2_slice_z(r->uri));
    found->is_preflight = (found->code || !found->match.operation->is_public)
                          && is_preflight(ctx, r);
    found->needs_token = found->code == M2_OK ? !found->match.operation->is_public
                         : found->code == M2_E_METHOD_NOT_ALLOWED
                             ? !m2_operations_place_is_public(&found->match)
                             : 1;
    ctx->effective.policy.bypass_empty = !found->needs_token;
}

int m2mgw_operation_lacks_keys(const m2mgw_ctx_t *ctx)
{
    return ctx->operation && ctx->operation->needs_token && !ctx->operation->is_preflight
           && !ctx->effective.policy.keys;
}

static int has_scope(const char *scope, const void *baton)
{
    const m2mgw_ctx_t *ctx = baton;

    return m2_scope_has(ctx->effective.policy.claims.scopes, ctx->verdict.claims,
                        m2_slice_z(scope));
}

/* the scopes of the first alternative, for the challenge (RFC 6750 3) */
static const char *wanted_scopes(apr_pool_t *pool, const m2_operation_t *operation)
{
    const apr_array_header_t *way = APR_ARRAY_IDX(operation->alternatives, 0,
                                                  const apr_array_header_t *);

    return apr_array_pstrcat(pool, way, ' ');
}

/* Empty where the path takes no method (RFC 9110 10.2.1). */
static void set_allow(m2mgw_ctx_t *ctx, request_rec *r, const char *methods)
{
    apr_array_header_t *headers = apr_array_make(r->pool, 1, sizeof(m2_publish_t));
    m2_publish_t *allow = apr_array_push(headers);

    memset(allow, 0, sizeof(*allow));
    allow->place = M2_PLACE_HEADER;
    allow->name = "Allow";
    allow->value = methods;
    ctx->verdict.refusal.headers = headers;
}

static m2_code_t judge_unknown(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    if (ctx->operation->code == M2_E_METHOD_NOT_ALLOWED) {
        const char *allowed = m2_operations_allow(r->pool, &ctx->operation->match);

        set_allow(ctx, r, allowed);
        return m2_err_set(err, M2_E_METHOD_NOT_ALLOWED, "the path takes %s",
                          *allowed ? allowed : "no method");
    }
    if (ctx->effective.operation_unknown == M2MGW_UNKNOWN_PASS) {
        return M2_OK;
    }
    if (ctx->effective.operation_unknown == M2MGW_UNKNOWN_NOT_FOUND) {
        ctx->verdict.refusal.status = HTTP_NOT_FOUND;
    }
    return m2_err_set(err, M2_E_OPERATION_UNKNOWN, "no template of the section's operations "
                      "matches the path");
}

m2_code_t m2mgw_operation_judge(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2mgw_operation_t *found = ctx->operation;

    if (!found || found->is_preflight) {
        return M2_OK;
    }
    if (found->code != M2_OK) {
        return judge_unknown(ctx, r, err);
    }
    if (m2_operations_is_respelled(&found->match, r->method)) {
        return m2_err_set(err, M2_E_RULE_ERROR, "the method is that of another operation in other "
                          "letters");
    }
    if (found->match.operation->is_public
        || m2_operation_allows(found->match.operation, has_scope, ctx)) {
        return M2_OK;
    }
    ctx->missing_scope = wanted_scopes(r->pool, found->match.operation);
    return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE, "operation %s needs scope \"%s\"",
                      found->match.operation->name, ctx->missing_scope);
}

int m2mgw_operation_is_ambiguous(const m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_operations_t *table;
    m2_path_reading_t readings[M2_PATH_READINGS];
    int i, n;

    if (!ctx->operation || ctx->effective.dir->path_guard == 0) {
        return 0;
    }
    table = ctx->effective.operations->table;
    if (!m2_path_marks(r->uri)) {
        return !m2_operations_agree(table, &ctx->operation->match, m2_slice_z(r->uri));
    }
    n = m2_path_readings(readings, r->pool, r->uri);
    for (i = 0; i < n; i++) {
        const char *path = *readings[i].path ? readings[i].path : "/";

        if (readings[i].dots || !m2_operations_agree(table, &ctx->operation->match,
                                                     m2_slice_z(path))) {
            return 1;
        }
    }
    return 0;
}

m2_slice_t m2mgw_operation_value(const m2mgw_ctx_t *ctx, const char *name)
{
    return ctx->operation ? m2_operation_value(&ctx->operation->match, name)
                          : m2_slice(NULL, 0);
}

const char *m2mgw_operation_name(const m2mgw_ctx_t *ctx)
{
    return ctx->operation && ctx->operation->match.operation
               ? ctx->operation->match.operation->name
               : NULL;
}
