/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a decision does to the request: names out, claims in, variables set.
 */
#ifndef M2MGW_APPLY_H
#define M2MGW_APPLY_H

#include "httpd/request/m2mgw_ctx.h"

/** Remove every name that we publish from what the client sent. */
void m2mgw_scrub(m2mgw_ctx_t *ctx, request_rec *r);

/** Set X-Ca-Request-Id, in place of what the client sent. */
void m2mgw_set_request_id(m2mgw_ctx_t *ctx, request_rec *r);

/** Remove our own variables from the environment, before a decision sets them again. */
void m2mgw_scrub_env(m2mgw_ctx_t *ctx, request_rec *r);

/** Publish what the token half collected: args, headers, environment, user. */
void m2mgw_publish(m2mgw_ctx_t *ctx, request_rec *r);

/** Rewrite an urlencoded body where claims go into it: our names are removed and verified values
 *  added. M2_E_BODY_UNSUPPORTED for a body that could hold form fields and cannot be rewritten. */
m2_code_t m2mgw_publish_form(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Remove our names from the request line while handlers run, and restore the line for the log. */
void m2mgw_line_scrub(m2mgw_ctx_t *ctx, request_rec *r);
void m2mgw_line_restore(m2mgw_ctx_t *ctx, request_rec *r);

/** Once mod_rewrite and mod_proxy know the backend's URL: a raw query inside it (nocanon,
 *  [P,NE]) is replaced by r->args. */
void m2mgw_fix_raw_query(request_rec *r);

/** Write the decision into the environment. */
void m2mgw_note_decision(m2mgw_ctx_t *ctx, request_rec *r);

#endif /* M2MGW_APPLY_H */
