/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which operation of the section a request is, and whether the caller may use it. Found before a
 * token is looked for, since an operation may need no token; judged after the token.
 */
#ifndef M2MGW_OPERATION_H
#define M2MGW_OPERATION_H

#include "httpd/request/m2mgw_ctx.h"

#include "operation/m2_operation.h"

/* What a look-up found; in the pool of the request. */
typedef struct m2mgw_operation_t {
    m2_code_t code;             /* M2_OK, or why none was found */
    m2_operation_match_t match;
    int needs_token;
    int is_preflight;           /* a CORS preflight that M2MPreflight lets pass */
} m2mgw_operation_t;

/** Find the operation of r; sets ctx->operation (NULL where no operations are in force), and
 *  whether the policy asks for a token. Names no decision yet. */
void m2mgw_operation_find(m2mgw_ctx_t *ctx, request_rec *r);

/** Whether keys are needed and are not in force here: the request is 503. */
int m2mgw_operation_lacks_keys(const m2mgw_ctx_t *ctx);

/**
 * Judge a request whose token half passed: unknown operations, methods, scopes. Returns M2_OK
 * or a reason with a sentence in err; fills in the refusal's status, Allow and missing scopes.
 */
m2_code_t m2mgw_operation_judge(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Whether a lenient backend might take the request for another operation than we did. */
int m2mgw_operation_is_ambiguous(const m2mgw_ctx_t *ctx, request_rec *r);

/** The value of a variable of the operation's template; absent otherwise. */
m2_slice_t m2mgw_operation_value(const m2mgw_ctx_t *ctx, const char *name);

/** The name of the operation that was found, or NULL. */
const char *m2mgw_operation_name(const m2mgw_ctx_t *ctx);

#endif /* M2MGW_OPERATION_H */
