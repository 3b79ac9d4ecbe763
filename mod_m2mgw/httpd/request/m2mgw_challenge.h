/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * WWW-Authenticate: one field for each scheme that a section takes tokens by.
 */
#ifndef M2MGW_CHALLENGE_H
#define M2MGW_CHALLENGE_H

#include "httpd/request/m2mgw_ctx.h"

/** Set the challenges of a refusal (RFC 6750 3). error, error_description and scope are in the
 *  challenge of the scheme that the request used; a request without a token used none. */
void m2mgw_challenge(const m2mgw_ctx_t *ctx, request_rec *r, const m2_reason_t *reason);

#endif /* M2MGW_CHALLENGE_H */
