/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Finding the one token of a request, removing it, masking it in request lines.
 */
#ifndef M2MGW_TOKEN_H
#define M2MGW_TOKEN_H

#include "httpd/request/m2mgw_ctx.h"

/** Find the token of r by the policy's sources, remember it at the root, and remove it from the
 *  forwarded request unless M2MForwardToken keeps it. M2_OK with ctx->token (which may be
 *  absent), M2_E_TOKEN_MULTIPLE, or a body fault. */
m2_code_t m2mgw_token_take(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Why m2mgw_token_take found no token, as a sentence for people, or NULL. */
const char *m2mgw_token_why_none(const m2mgw_ctx_t *ctx, const request_rec *r);

/** Mask the values of the virtual host's query token names in the request line of r and in
 *  its unparsed URI; with args also in r->args and in the backend's URL (only when the
 *  request is over). */
void m2mgw_token_mask(request_rec *r, int args);

#endif /* M2MGW_TOKEN_H */
