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
#include "token/m2_scope.h"

#include <mod_auth.h>

/* m2mgw_ctx_t.in_authz, while our own run of the hooks goes on */
#define ASK 1
#define LET_PASS 2

/* One line, as it was parsed. */
typedef struct line_t {
    const char *text;           /* as written, for the log */
    int negated;                /* after `not` or in a <RequireNone>: a line that holds refuses */
    m2_require_t claim;         /* of m2m-claim */
    apr_array_header_t *scopes; /* of m2m-scope: const char * */
} line_t;

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

static int is_negated(cmd_parms *cmd)
{
    const char *args = cmd->directive->args;
    const ap_directive_t *around;

    if (ap_cstr_casecmp(ap_getword_conf(cmd->temp_pool, &args), "not") == 0) {
        return 1;
    }
    for (around = cmd->directive->parent; around; around = around->parent) {
        if (ap_cstr_casecmp(around->directive, "<RequireNone") == 0) {
            return 1;
        }
    }
    return 0;
}

/* An alias may be used after `not` in one place and without it in another, and our lines have to
 * know which (LET_PASS). */
static const char *line_make(line_t **pline, cmd_parms *cmd, const char *provider,
                             const char *args)
{
    line_t *line = apr_pcalloc(cmd->pool, sizeof(*line));

    if (ap_cstr_casecmp(cmd->directive->directive, "<AuthzProviderAlias") == 0) {
        return apr_pstrcat(cmd->pool, "<AuthzProviderAlias> cannot stand for ", provider,
                           ": write Require ", provider, " where it is needed", NULL);
    }
    line->text = apr_pstrcat(cmd->pool, provider, " ", args, NULL);
    line->negated = is_negated(cmd);
    *pline = line;
    return NULL;
}

static const char *claim_parse(cmd_parms *cmd, const char *args, const void **parsed)
{
    apr_array_header_t *words = words_of(cmd->pool, args);
    apr_array_header_t *values = apr_array_make(cmd->pool, 4, sizeof(const char *));
    line_t *line;
    const char *fault = line_make(&line, cmd, "m2m-claim", args);
    m2_err_t err;
    int i;

    if (fault) {
        return fault;
    }
    if (words->nelts == 0) {
        return "Require m2m-claim needs a claim name: m2m-claim NAME [VALUE ...]";
    }
    m2_err_init(&err, cmd->pool);
    if (m2_json_path_check(APR_ARRAY_IDX(words, 0, const char *), &err) != M2_OK) {
        return apr_pstrcat(cmd->pool, "Require m2m-claim: ", err.text, NULL);
    }
    for (i = 1; i < words->nelts; i++) {
        APR_ARRAY_PUSH(values, const char *) = APR_ARRAY_IDX(words, i, const char *);
    }
    line->claim.name = APR_ARRAY_IDX(words, 0, const char *);
    line->claim.values = values;
    *parsed = line;
    return NULL;
}

static const char *scope_parse(cmd_parms *cmd, const char *args, const void **parsed)
{
    line_t *line;
    const char *fault = line_make(&line, cmd, "m2m-scope", args);

    if (fault) {
        return fault;
    }
    line->scopes = words_of(cmd->pool, args);
    if (line->scopes->nelts == 0) {
        return "Require m2m-scope needs at least one scope: m2m-scope SCOPE ...";
    }
    *parsed = line;
    return NULL;
}

/* The answer of a line to httpd; a line that refuses is remembered, the first one of a run.
 * Without a verified token no line grants. */
static authz_status answer(m2mgw_ctx_t *ctx, const line_t *line, int holds, m2_code_t code)
{
    if (ctx && ctx->in_authz == LET_PASS) {
        return line->negated ? AUTHZ_DENIED : AUTHZ_GRANTED;
    }
    if (ctx && ctx->in_force && holds == line->negated && ctx->authz == M2_OK) {
        ctx->authz = code;
        ctx->authz_line = line->text;
        ctx->missing_scope = line->scopes && !line->negated
                                 ? apr_array_pstrcat(ctx->r->pool, line->scopes, ' ')
                                 : NULL;
    }
    return holds ? AUTHZ_GRANTED : AUTHZ_DENIED;
}

static authz_status claim_check(request_rec *r, const char *args, const void *parsed)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const line_t *line = parsed;
    const int holds = ctx && ctx->verdict.verified
                      && m2_claim_matches(ctx->verdict.claims, &line->claim,
                                          ctx->effective.policy.claims.scopes);

    (void)args;
    return answer(ctx, line, holds, M2_E_CLAIM_DENIED);
}

static authz_status scope_check(request_rec *r, const char *args, const void *parsed)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const line_t *line = parsed;
    int holds;
    int i;

    (void)args;
    holds = ctx && ctx->verdict.verified;
    for (i = 0; holds && i < line->scopes->nelts; i++) {
        const m2_slice_t wanted = m2_slice_z(APR_ARRAY_IDX(line->scopes, i, const char *));

        holds = m2_scope_has(ctx->effective.policy.claims.scopes, ctx->verdict.claims, wanted);
    }
    return answer(ctx, line, holds, M2_E_INSUFFICIENT_SCOPE);
}

static const authz_provider claim_provider = { claim_check, claim_parse };
static const authz_provider scope_provider = { scope_check, scope_parse };

static int is_refusal(int status)
{
    return status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN;
}

static int passes(const m2mgw_ctx_t *ctx)
{
    return ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS;
}

/* Makes the refusal of our providers the decision, unless the decision is a refusal already. */
static void mark(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (passes(ctx)) {
        ctx->verdict.code = ctx->authz;
        ctx->verdict.rule = NULL;
        m2_err_init(&ctx->verdict.err, r->pool);
        m2_err_set(&ctx->verdict.err, ctx->authz, "Require %s", ctx->authz_line);
        m2mgw_note_decision(ctx, r);
    }
}

/* Only our lines refuse the request: it would go on without them. 403 also where httpd would ask
 * for other credentials (RFC 6750 3.1). */
static int refuse(m2mgw_ctx_t *ctx, request_rec *r, int without_ours)
{
    mark(ctx, r);
    apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    return ctx->effective.engine == M2MGW_ENGINE_SHADOW ? without_ours : m2mgw_refuse(ctx, r);
}

/* Runs the rest of one authorization stage. If it refuses and some of our lines refused, it runs
 * once more with our lines passing: if it still refuses, the refusal is httpd's own. */
static int run_stage(request_rec *r, int (*stage)(request_rec *r))
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status, without_ours;

    if (!ctx || !ctx->in_force || ctx->in_authz) {
        return DECLINED;
    }
    ctx->in_authz = ASK;
    ctx->authz = M2_OK;
    status = without_ours = stage(r);
    if (is_refusal(status) && ctx->authz != M2_OK) {
        ctx->in_authz = LET_PASS;
        without_ours = stage(r);
    }
    ctx->in_authz = 0;
    if (is_refusal(status) && !is_refusal(without_ours)) {
        return refuse(ctx, r, without_ours);
    }
    if (is_refusal(status) && passes(ctx)) {
        ctx->require_denied = status;
        m2mgw_log_refusal(ctx, r, M2_E_REQUIRE_DENIED, status, NULL);
    }
    return status;
}

/* The caller who was refused may get the local document of the refusal. */
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

/* written once, before the server has threads */
static int has_others = 1;

int m2mgw_authz_has_others(void)
{
    return has_others;
}

/* Modules may be loaded behind this one, so their hooks are counted when all are there. */
static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const apr_array_header_t *hooks = ap_hook_get_auth_checker();
    int i;

    (void)pconf;
    (void)plog;
    (void)ptemp;
    (void)s;
    has_others = 0;
    for (i = 0; hooks && i < hooks->nelts; i++) {
        const char *name = APR_ARRAY_IDX(hooks, i, const ap_LINK_auth_checker_t).szName;

        has_others |= !name || (strcmp(name, "mod_authz_core.c") != 0
                                  && strcmp(name, "mod_m2mgw.c") != 0);
    }
    return OK;
}

void m2mgw_authz_register(apr_pool_t *pool)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_LAST);
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "m2m-claim",
                              AUTHZ_PROVIDER_VERSION, &claim_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(pool, AUTHZ_PROVIDER_GROUP, "m2m-scope",
                              AUTHZ_PROVIDER_VERSION, &scope_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
}
