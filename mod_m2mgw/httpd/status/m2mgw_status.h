/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Counting what happens, in memory that all child processes share, and showing it
 * (`SetHandler m2m-status`): for people, as JSON, for Prometheus. Never a token, a key or
 * anything a client sent.
 */
#ifndef MOD_M2MGW_STATUS_H
#define MOD_M2MGW_STATUS_H

#include "httpd/config/m2mgw_conf.h"

/** Count the decision on a client's request, once, when it is over; rule is the one that made
 *  it, or NULL. */
void m2mgw_status_count(m2_code_t code, int shadow, const m2_rule_t *rule);

/** Count one token: found in the verified-token cache, or judged anew in so much time. */
void m2mgw_status_token(int cached, apr_interval_time_t took);

/** The cache's hits and misses of all processes, as members of json. */
void m2mgw_status_cache_counts(m2_json_t *json);

/** When counting began: the last start or restart. */
apr_time_t m2mgw_status_since(void);

/** Set a member to text that somebody else wrote; what is no UTF-8 in it is masked. */
void m2mgw_status_text(m2_json_t *json, apr_pool_t *pool, const char *name,
                       const char *text);

/* What others add to the document: called with it and the pool of the request. */
typedef void m2mgw_status_fn(m2_json_t *document, apr_pool_t *pool);

/** Add a part to the status document. Called while hooks are registered. */
void m2mgw_status_add(m2mgw_status_fn *fn);

void m2mgw_status_register(void);

/* --- m2mgw_html.c, m2mgw_prometheus.c --- */

void m2mgw_status_html(request_rec *r, const m2_json_t *document);
void m2mgw_status_prometheus(request_rec *r, const m2_json_t *document);

/** A whole number of the document; 0 when there is none. */
apr_int64_t m2mgw_status_int(const m2_json_t *json, const char *name);

/** The row of a reason by its name; NULL: no request can end with it. */
const m2_reason_t *m2mgw_status_reason(const char *name);

#endif /* MOD_M2MGW_STATUS_H */
