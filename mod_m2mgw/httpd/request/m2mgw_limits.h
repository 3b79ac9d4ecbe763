/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The limits of a request that passed everything except the replay store.
 */
#ifndef M2MGW_LIMITS_H
#define M2MGW_LIMITS_H

#include "httpd/request/m2mgw_ctx.h"

/** Count r in those buckets of the limits in force in which its client's request was not counted
 *  yet: M2_OK, or what refuses it, with the verdict's message, err and ctx->retry_after. */
m2_code_t m2mgw_limits_take(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** RateLimit and RateLimit-Policy of an answer that reached limits, in the place of a
 *  backend's. */
void m2mgw_limits_answer(const m2mgw_ctx_t *ctx, request_rec *r);

#endif /* M2MGW_LIMITS_H */
