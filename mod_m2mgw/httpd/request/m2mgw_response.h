/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the client gets to see of a decision.
 */
#ifndef M2MGW_RESPONSE_H
#define M2MGW_RESPONSE_H

#include "httpd/request/m2mgw_ctx.h"

/** Turn the refusal in ctx->verdict into headers and body; returns the HTTP status. */
int m2mgw_refuse(m2mgw_ctx_t *ctx, request_rec *r);

/** One line about a refusal. Refusals that a caller can repeat are logged at info; more severe
 *  ones are logged at their level once in a while for each section and reason, otherwise at info
 *  as well. detail is the sentence of the log, or NULL. */
void m2mgw_log_refusal(const m2mgw_ctx_t *ctx, request_rec *r, m2_code_t code, int status,
                       const char *detail);

void m2mgw_response_register(void);

/** insert_filter hook: what a response of ours needs on its way out. */
void m2mgw_response_insert(request_rec *r);

#endif /* M2MGW_RESPONSE_H */
