/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The decision about a request: made once for every URI it comes to, and confirmed by the
 * guard.
 */
#ifndef M2MGW_DECIDE_H
#define M2MGW_DECIDE_H

#include "httpd/request/m2mgw_ctx.h"

/** First sight of r, in the access stage or, where httpd skips that, in the guard: makes its
 *  record and, where something is in force, the decision. A local error document for a refusal
 *  of ours is recognised and not judged. */
m2mgw_ctx_t *m2mgw_meet(request_rec *r);

/** Whether ctx is about r as it is now: mod_rewrite changes it, and mod_dir and
 *  mod_negotiation put a subrequest in its place, with that one's section. ctx may be NULL. */
int m2mgw_is_current(const m2mgw_ctx_t *ctx, const request_rec *r);

/** Look at the path once more: only in the guard it is known what a RewriteRule of a directory
 *  does with it. A pass may become M2_E_PATH_UNSAFE. */
void m2mgw_recheck_path(m2mgw_ctx_t *ctx, request_rec *r);

/** OK when the request may go on, else the HTTP status of the refusal, which is written. */
int m2mgw_conclude(m2mgw_ctx_t *ctx, request_rec *r);

/** Take the request from its limits and mark the token in the replay store, where that is asked
 *  for, then conclude. Where httpd is about to upgrade r only the second call does so. */
int m2mgw_charge(m2mgw_ctx_t *ctx, request_rec *r);

#endif /* M2MGW_DECIDE_H */
