/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * ErrorDocument for refusals of ours: which documents may be served to a caller who was refused.
 */
#ifndef M2MGW_ERRORDOC_H
#define M2MGW_ERRORDOC_H

#include "httpd/request/m2mgw_ctx.h"

/** Whether r is the local document of a refusal of ours (and no subrequest of it). */
int m2mgw_is_error_document(request_rec *r);

/** First sight of such a document: the verdict's variables, where LogFormat and the document
 *  look for them, and the status line of the refusal. */
void m2mgw_error_document_meet(request_rec *r);

/** In the guard, before mod_proxy looks at it: DECLINED, or the status of the refusal where the
 *  document would be fetched and M2MErrorDocuments is Static. */
int m2mgw_error_document_guard(request_rec *r);

/** In the handler stage, where nothing can change the handler any more. Under Static a regular
 *  file is served by httpd's default handler, and by no other; anything else is the status of the
 *  refusal, with our own body. Under Any the request goes on. Either way the client's body has
 *  been read and thrown away. */
int m2mgw_error_document_handle(request_rec *r);

/** Whether the ErrorDocument that is configured may be used for a refusal, as far as its text
 *  tells: a full URL may not be followed under Static. configured may be NULL. */
int m2mgw_error_document_may_be(const m2mgw_ctx_t *ctx, const char *configured);

void m2mgw_errordoc_register(void);

#endif /* M2MGW_ERRORDOC_H */
