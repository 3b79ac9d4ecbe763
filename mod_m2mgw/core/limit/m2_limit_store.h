/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Where the buckets of limits are kept: in memory that the processes of one server share. One
 * verb takes a request from all its buckets, or from none. No answer of it is "unavailable".
 */
#ifndef M2_LIMIT_STORE_H
#define M2_LIMIT_STORE_H

#include "limit/m2_limit.h"
#include "limit/m2_limit_table.h"

/* What M2MLimitStore said. */
typedef struct m2_limit_spec_t {
    apr_uint32_t entries; /* buckets that are not full at the same time */
} m2_limit_spec_t;

typedef struct m2_limit_store_t m2_limit_store_t;

/** Words of M2MLimitStore (const char *): `shm [entries=N]`. M2_E_CONFIG with a sentence. */
m2_code_t m2_limit_store_parse(m2_limit_spec_t *spec, const apr_array_header_t *words,
                               m2_err_t *err);

/** The words again. */
const char *m2_limit_store_describe(apr_pool_t *pool, const m2_limit_spec_t *spec);

/** In the parent. Buckets are kept in process, the pool of the parent process, over restarts
 *  that ask for the same number of entries. M2_E_CONFIG when there is no memory. */
m2_code_t m2_limit_store_open(m2_limit_store_t **pstore, apr_pool_t *pool,
                              apr_pool_t *process, const m2_limit_spec_t *spec, m2_err_t *err);

/** Give the limits their rows. In the parent, behind m2_limit_store_open. M2_E_CONFIG when
 *  there are more names than rows. */
m2_code_t m2_limit_store_rows(m2_limit_store_t *store, const m2_limits_t *limits,
                              m2_err_t *err);

/** Take one request from all of uses (m2_limit_use_t), at most M2_LIMIT_TAKES, whose answers
 *  are filled; the first that refuses, or NULL. Thread-safe; allocates nothing. */
const m2_limit_use_t *m2_limit_store_take(m2_limit_store_t *store, apr_array_header_t *uses);

/** The sums of each row, M2_LIMIT_ROWS of them, in pool. */
const m2_lt_stats_t *m2_limit_store_stats(apr_pool_t *pool, const m2_limit_store_t *store);

/** Buckets in use, full again or not. */
apr_uint64_t m2_limit_store_used(const m2_limit_store_t *store);

#endif /* M2_LIMIT_STORE_H */
