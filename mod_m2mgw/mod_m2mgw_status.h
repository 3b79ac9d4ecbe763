/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Counting what happens, in memory that all child processes share, and showing it
 * (`SetHandler m2m-status`): for people, as JSON, for Prometheus. Never a token, a key or
 * anything a client sent.
 */
#ifndef MOD_M2MGW_STATUS_H
#define MOD_M2MGW_STATUS_H

#include "mod_m2mgw_request.h"

/** Count the decision on a client's request, once, when it is over. r is the initial
 *  request; redirects are followed. */
void m2mgw_status_count(request_rec *r);

/** Count one token: found in the verified-token cache, or judged anew in so much time. */
void m2mgw_status_token(int cached, apr_interval_time_t took);

/** The cache's hits and misses of all processes, as members of json. */
void m2mgw_status_cache_counts(m2_json_t *json);

/* What others add to the document: called with the document and the pool of the request. */
typedef void m2mgw_status_fn(m2_json_t *document, apr_pool_t *pool);

/** Add a part to the status document. Called while hooks are registered. */
void m2mgw_status_add(m2mgw_status_fn *fn);

void m2mgw_status_register(void);

#endif /* MOD_M2MGW_STATUS_H */
