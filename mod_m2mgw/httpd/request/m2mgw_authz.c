/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `Require m2m-claim` and `Require m2m-scope`, and what becomes of a request that httpd's
 * authorization refuses because of them. Lines are parsed when configuration is read; a
 * request only compares.
 */
#include "httpd/request/m2mgw_authz.h"

#include "httpd/request/m2mgw_apply.h"
#include "httpd/request/m2mgw_response.h"

#include <mod_auth.h>

/* m2mgw_ctx_t.in_authz, while our own run of the hooks goes on */
#define ASK 1
#define GRANT_ALL 2

/* The words of a Require line. Expressions in them are not supported: what a token must
 * hold should not depend on what a client sends. */
static apr_array_header_t *words_of(apr_pool_t *pool, const char *line)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    const char *word = ap_getword_conf(pool, &line);

    for (; *word; word = ap_getword_conf(pool, &line)) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    return words;
}

static const char *claim_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    apr_array_header_t *words = words_of(cmd->pool, line);
    m2_require_t *require = apr_pcalloc(cmd->pool, sizeof(*require));
    const char **name = apr_array_pop(words);
    int i;

    if (!name) {
        return "Require m2m-claim needs a claim name: m2m-claim NAME [VALUE ...]";
    }
    APR_ARRAY_PUSH(words, const char *) = *name;
    require->name = APR_ARRAY_IDX(words, 0, const char *);
    require->values = apr_array_make(cmd->pool, 4, sizeof(const char *));
    for (i = 1; i < words->nelts; i++) {
        APR_ARRAY_PUSH((apr_array_header_t *)require->values, const char *) =
            APR_ARRAY_IDX(words, i, const char *);
    }
    *parsed = require;
    return NULL;
}

static const char *scope_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    apr_array_header_t *words = words_of(cmd->pool, line);

    if (words->nelts == 0) {
        return "Require m2m-scope needs at least one scope: m2m-scope SCOPE ...";
    }
    *parsed = words;
    return NULL;
}

/* Without a verified token there is nobody to grant to. */
static authz_status conclude(m2mgw_ctx_t *ctx, int granted, m2_code_t code)
{
    if (granted) {
        return AUTHZ_GRANTED;
    }
    if (!ctx || !ctx->in_force) {
        return AUTHZ_DENIED;
    }
    ctx->authz = code;
    return ctx->in_authz == GRANT_ALL ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static authz_status claim_check(request_rec *r, const char *line, const void *parsed)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const m2_require_t *require = parsed;
    const int granted = ctx && ctx->verdict.verified
                        && m2_claim_matches(r->pool, ctx->verdict.claims, require);

    (void)line;
    return conclude(ctx, granted, M2_E_CLAIM_DENIED);
}

static authz_status scope_check(request_rec *r, const char *line, const void *parsed)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const apr_array_header_t *scopes = parsed;
    const m2_json_t *scope;
    int granted;
    int i;

    (void)line;
    granted = ctx && ctx->verdict.verified;
    scope = granted ? m2_json_get(ctx->verdict.claims, "scope") : NULL;
    for (i = 0; granted && i < scopes->nelts; i++) {
        granted = scope
                  && m2_json_has(scope, m2_slice_z(APR_ARRAY_IDX(scopes, i, const char *)),
                                 1);
    }
    return conclude(ctx, granted, M2_E_INSUFFICIENT_SCOPE);
}

static const authz_provider claim_provider = { claim_check, claim_parse };
static const authz_provider scope_provider = { scope_check, scope_parse };

static int refused_by_ours(const m2mgw_ctx_t *ctx, int status)
{
    return (status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN) && ctx->authz != M2_OK;
}

/* Makes what our providers say the decision, unless it is a refusal already. */
static void mark(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS) {
        ctx->verdict.code = ctx->authz;
        ctx->verdict.rule = NULL;
        m2mgw_note_decision(ctx, r);
    }
}

/* Runs the rest of one authorization stage, and when it refuses because of our providers
 * writes the refusal: 403 also where httpd would ask for other credentials (RFC 6750 3.1).
 * In Shadow the stage is then asked once more, with providers that grant. */
static int run_stage(request_rec *r, int (*stage)(request_rec *r))
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status;

    if (!ctx || !ctx->in_force || ctx->in_authz) {
        return DECLINED;
    }
    ctx->in_authz = ASK;
    ctx->authz = M2_OK;
    status = stage(r);
    if (refused_by_ours(ctx, status)) {
        mark(ctx, r);
        apr_table_unset(r->err_headers_out, "WWW-Authenticate");
        ctx->in_authz = GRANT_ALL;
        status = ctx->effective.engine == M2MGW_ENGINE_SHADOW ? stage(r)
                                                              : m2mgw_refuse(ctx, r);
    }
    ctx->in_authz = 0;
    return status;
}

/* The local document of a refusal is for whoever was refused. */
int m2mgw_authz_userless(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (ctx && ctx->error_document) {
        return OK;
    }
    return run_stage(r, ap_run_access_checker_ex);
}

int m2mgw_authz_user(request_rec *r)
{
    return run_stage(r, ap_run_auth_checker);
}

void m2mgw_authz_register(apr_pool_t *pool)
{
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "m2m-claim",
                              AUTHZ_PROVIDER_VERSION, &claim_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "m2m-scope",
                              AUTHZ_PROVIDER_VERSION, &scope_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
}
