/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Limits that several servers hold together: by what this one has a lease of, by asking
 * Redis, and, while that does not answer, by this server's part.
 */
#ifndef M2_LIMIT_SHARED_H
#define M2_LIMIT_SHARED_H

#include "limit/m2_limit_local.h"
#include "limit/m2_limit_spec.h"

typedef struct m2_limit_shared_t m2_limit_shared_t;

/* How requests were answered. */
typedef struct m2_limit_remote_t {
    const char *name;    /* of the store */
    int down;            /* it does not answer now */
    apr_uint64_t asked;  /* requests for which it was asked */
    apr_uint64_t held;   /* that a lease, or a bucket known to be empty, answered */
    apr_uint64_t local;  /* that this server's part answered */
    apr_uint64_t failed; /* questions without an answer */
} m2_limit_remote_t;

/** In the parent. spec and table must live as long as pool; leases are kept in process.
 *  M2_E_CONFIG with a sentence. */
m2_code_t m2_limit_shared_open(m2_limit_shared_t **pshared, apr_pool_t *pool,
                               apr_pool_t *process, const m2_limit_spec_t *spec,
                               m2_lt_t *table, m2_err_t *err);

/** In each process of its own, before it serves. */
m2_code_t m2_limit_shared_attach(m2_limit_shared_t *shared, apr_pool_t *pool, m2_err_t *err);

/** Take one request from the buckets of all n uses, or from none: answers are filled, in every
 *  case. now in nanoseconds of CLOCK_MONOTONIC. Thread-safe. */
void m2_limit_shared_take(m2_limit_shared_t *shared, m2_limit_use_t *uses, int n,
                          apr_uint64_t now);

/** Sums over all processes since the start. Any thread, no lock; remote->name is of shared. */
void m2_limit_shared_stats(m2_limit_remote_t *remote, const m2_limit_shared_t *shared);

#endif /* M2_LIMIT_SHARED_H */
