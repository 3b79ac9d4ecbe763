/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Where the buckets of limits are kept: in memory that the processes of one server share, or
 * in Redis, which servers share. One verb takes a request from all its buckets, or from none.
 * No answer of it is "unavailable": while Redis does not answer, each server holds to its part
 * of each limit by itself.
 */
#ifndef M2_LIMIT_STORE_H
#define M2_LIMIT_STORE_H

#include "limit/m2_limit_shared.h"

typedef struct m2_limit_store_t m2_limit_store_t;

/** In the parent. Buckets are kept in process, the pool of the parent process, over restarts
 *  that ask for the same number of entries. M2_E_CONFIG when there is no memory. */
m2_code_t m2_limit_store_open(m2_limit_store_t **pstore, apr_pool_t *pool,
                              apr_pool_t *process, const m2_limit_spec_t *spec, m2_err_t *err);

/** In each process of its own, before it serves. */
m2_code_t m2_limit_store_attach(m2_limit_store_t *store, apr_pool_t *pool, m2_err_t *err);

/** Give the limits their rows. In the parent, behind m2_limit_store_open. M2_E_CONFIG when
 *  there are more names than rows. */
m2_code_t m2_limit_store_rows(m2_limit_store_t *store, const m2_limits_t *limits,
                              m2_err_t *err);

/** Take one request from all of uses (m2_limit_use_t), at most M2_LIMIT_TAKES, whose answers
 *  are filled; the first that refuses, or NULL. Thread-safe; allocates nothing. */
const m2_limit_use_t *m2_limit_store_take(m2_limit_store_t *store, apr_array_header_t *uses);

/** The sums of each row, M2_LIMIT_ROWS of them, in pool. */
const m2_lt_stats_t *m2_limit_store_stats(apr_pool_t *pool, const m2_limit_store_t *store);

/** How requests were answered where buckets are in Redis; 0 where they are in memory. */
int m2_limit_store_remote(m2_limit_remote_t *remote, const m2_limit_store_t *store);

/** Buckets in use, full again or not. */
apr_uint64_t m2_limit_store_used(const m2_limit_store_t *store);

#endif /* M2_LIMIT_STORE_H */
