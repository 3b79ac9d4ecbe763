/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What one server holds of buckets that lie elsewhere: a lease of some requests that were
 * taken there at once, and how long a bucket there stays empty. In memory that its processes
 * share, so that a server holds one lease of a bucket and not one for each process.
 *
 * While somebody asks for a lease of a bucket, others who find none take single requests, so
 * there is never a second one. A lease that is dropped costs its client those requests, and
 * gives nobody one too many; only those are dropped that have flowed back meanwhile.
 */
#ifndef M2_LIMIT_LEASE_H
#define M2_LIMIT_LEASE_H

#include "limit/m2_gcra.h"

#include <apr_pools.h>

typedef struct m2_lease_t m2_lease_t;

/* One bucket that a request takes from. */
typedef struct m2_lease_take_t {
    /* in */
    apr_uint64_t id[2];
    const m2_gcra_t *terms;
    const char *name;   /* of the limit */
    const char *key;    /* of the bucket in its own store */
    int shadow;         /* refuses no request */
    apr_uint32_t size;  /* requests of a lease, 1: no leases */
    /* out */
    m2_gcra_answer_t answer;
    int asks;           /* how many to ask for there; 0: it is answered here */
    int granted;        /* in for m2_lease_settle: how many were given, -1 for "not asked" */
    int leads;          /* it is this one that asks for a lease */
} m2_lease_take_t;

typedef enum m2_lease_verdict_t {
    M2_LEASE_PASSES,
    M2_LEASE_REFUSED,
    M2_LEASE_ASK,   /* then m2_lease_settle has to follow */
    M2_LEASE_STUCK  /* the lock is held by a process that was stopped */
} m2_lease_verdict_t;

/** A table of some 65,536 leases, kept in process (the pool of the parent process) over
 *  restarts. NULL when there is no memory. */
m2_lease_t *m2_lease_open(apr_pool_t *process);

/** Take one request from all buckets, as far as it can be said here; what is held of the
 *  others is taken, too, until m2_lease_settle. now in nanoseconds of CLOCK_MONOTONIC;
 *  patience: how long asking may take. */
m2_lease_verdict_t m2_lease_take(m2_lease_t *table, m2_lease_take_t *takes, int n,
                                 apr_uint64_t now, apr_uint64_t patience);

/** What came of asking: answers and granted are filled of those that asked. passes: the
 *  request does; else what was taken here is given back. */
void m2_lease_settle(m2_lease_t *table, m2_lease_take_t *takes, int n, int passes,
                     apr_uint64_t now);

/* --- what processes know of the store together --- */

/* Written with atomics. */
typedef struct m2_lease_common_t {
    apr_uint64_t alone_until; /* nanoseconds: not asked before; 0: it answers */
    apr_uint64_t down;        /* it has been logged that it does not */
    apr_uint64_t asked;       /* requests that the store elsewhere answered */
    apr_uint64_t held;        /* that were answered by what is held here */
    apr_uint64_t local;       /* that were answered by the local share */
    apr_uint64_t failed;      /* questions that were not answered */
} m2_lease_common_t;

/** What the processes of a table know together; it lives as long as the table. */
m2_lease_common_t *m2_lease_common(m2_lease_t *table);

#endif /* M2_LIMIT_LEASE_H */
