/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The form body of a client's request, read once.
 */
#ifndef M2MGW_BODY_H
#define M2MGW_BODY_H

#include "httpd/request/m2mgw_ctx.h"

#include "request/m2_body.h"

/** The urlencoded body of the client's request, read once and handed on to the handler; absent
 *  when the request has no urlencoded body, or a handler has read it. M2_E_BODY_TOO_LARGE over
 *  M2MFormLimit, M2_E_BODY_UNREADABLE when the client does not send it, M2_E_BODY_UNSUPPORTED for
 *  a form in a character set that changes the spelling of names. */
m2_code_t m2mgw_body_form(m2_slice_t *pform, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** The same for an urlencoded body or one without a type, which some backends read as a form. */
m2_code_t m2mgw_body_text(m2_slice_t *ptext, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** The same for any body; there is one. */
m2_code_t m2mgw_body_whole(m2_slice_t *ptext, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** How a backend may read the body of the client's request. */
m2_body_kind_t m2mgw_body_kind(m2mgw_ctx_t *ctx, request_rec *r);

/** Whether somebody wanted to read a body of this request that is over the limit. */
int m2mgw_body_is_too_large(const m2mgw_ctx_t *ctx);

/** Whether the client did not send the whole body that was read: then no one gets the part that
 *  arrived. */
int m2mgw_body_is_broken(const m2mgw_ctx_t *ctx);

/** Hand form to the backend in place of the urlencoded body read before. */
void m2mgw_body_replace(m2mgw_ctx_t *ctx, request_rec *r, const char *form);

void m2mgw_body_register(void);

#endif /* M2MGW_BODY_H */
