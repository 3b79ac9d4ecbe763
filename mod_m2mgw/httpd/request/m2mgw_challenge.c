/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * WWW-Authenticate. A scheme is a row: its name, whether the section takes tokens by it,
 * whether the request used it, and what it adds of its own.
 */
#include "httpd/request/m2mgw_challenge.h"

#include <apr_lib.h>

typedef struct scheme_t {
    const char *name;
    int (*is_taken)(const m2mgw_ctx_t *ctx);
    int (*was_used)(const m2mgw_ctx_t *ctx);
    const char *(*own)(const m2mgw_ctx_t *ctx, apr_pool_t *pool); /* parameters, or NULL */
} scheme_t;

/* A quoted-string (RFC 9110 5.6.4) without its quotes; control bytes are not allowed in it. */
static const char *quotable(apr_pool_t *pool, const char *text)
{
    char *copy = apr_palloc(pool, 2 * strlen(text) + 1);
    char *c = copy;

    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            *c++ = '\\';
        }
        *c++ = (char)(apr_iscntrl(*text) ? '\'' : *text);
    }
    *c = '\0';
    return copy;
}

/* text with `, name="value"` behind it */
static const char *with(apr_pool_t *pool, const char *text, const char *name,
                        const char *value)
{
    return apr_pstrcat(pool, text, ", ", name, "=\"", quotable(pool, value), "\"", NULL);
}

static m2_constraint_t constraint_of(const m2mgw_ctx_t *ctx)
{
    return ctx->effective.policy.bound.constraint;
}

static int takes_bearer(const m2mgw_ctx_t *ctx)
{
    return constraint_of(ctx) != M2_CONSTRAINT_DPOP;
}

static int takes_dpop(const m2mgw_ctx_t *ctx)
{
    return constraint_of(ctx) != M2_CONSTRAINT_OFF && constraint_of(ctx) != M2_CONSTRAINT_MTLS;
}

/* A second token in another spelling was not found as a token, but is still an error. */
static int with_token(const m2mgw_ctx_t *ctx)
{
    return ctx->token.p != NULL || ctx->verdict.code == M2_E_TOKEN_MULTIPLE
           || ctx->verdict.code == M2_E_TOKEN_MALFORMED;
}

/* A scheme that is not accepted here has no field for the error: the field of the other scheme
 * has it. */
static int used_bearer(const m2mgw_ctx_t *ctx)
{
    return with_token(ctx) && (!ctx->as_dpop || !takes_dpop(ctx));
}

static int used_dpop(const m2mgw_ctx_t *ctx)
{
    return with_token(ctx) && (ctx->as_dpop || !takes_bearer(ctx));
}

/* RFC 9449 7.1: every algorithm name that a proof may use, Ed25519 beside EdDSA, as in the
 * metadata. */
static const char *dpop_algs(const m2mgw_ctx_t *ctx, apr_pool_t *pool)
{
    const m2_alg_mask_t algs = ctx->effective.policy.bound.proof.algs & m2_proof_algs();

    return apr_pstrcat(pool, "algs=\"", m2_alg_spellings(pool, algs), "\", ", NULL);
}

static const scheme_t schemes[] = {
    { "Bearer", takes_bearer, used_bearer, NULL },
    { "DPoP", takes_dpop, used_dpop, dpop_algs },
};

/* The missing scopes, blank-separated; NULL: no scope is missing. */
static const char *scope_of(const m2mgw_ctx_t *ctx)
{
    return ctx->verdict.code == M2_E_INSUFFICIENT_SCOPE ? ctx->missing_scope : NULL;
}

static const char *errors(const m2mgw_ctx_t *ctx, request_rec *r, const m2_reason_t *reason,
                          const char *value)
{
    const char *scope = scope_of(ctx);

    if (reason->oauth_error) {
        value = with(r->pool, value, "error", reason->oauth_error);
        value = with(r->pool, value, "error_description", reason->text);
    }
    return scope ? with(r->pool, value, "scope", scope) : value;
}

void m2mgw_challenge(const m2mgw_ctx_t *ctx, request_rec *r, const m2_reason_t *reason)
{
    const char *realm = ctx->effective.dir ? ctx->effective.dir->realm : NULL;
    const m2mgw_resource_t *resource = ctx->effective.dir ? ctx->effective.dir->resource : NULL;
    apr_size_t i;

    if (!realm) {
        realm = r->server->server_hostname ? r->server->server_hostname : "";
    }
    apr_table_unset(r->err_headers_out, "WWW-Authenticate");
    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const char *value;

        if (!schemes[i].is_taken(ctx)) {
            continue;
        }
        value = apr_pstrcat(r->pool, schemes[i].name, " ",
                            schemes[i].own ? schemes[i].own(ctx, r->pool) : "", "realm=\"",
                            quotable(r->pool, realm), "\"", NULL);
        if (schemes[i].was_used(ctx)) {
            value = errors(ctx, r, reason, value);
        }
        if (resource) { /* RFC 9728 5.1 */
            value = with(r->pool, value, "resource_metadata", resource->metadata);
        }
        apr_table_addn(r->err_headers_out, "WWW-Authenticate", value);
    }
}
