/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Buckets of limits in memory that the processes of a server share. A bucket takes a slot
 * only while it is not full; one that is full again tells nothing that an absent one does
 * not, and its slot may be reused. Where there is no slot, the bucket of those without one
 * is used, one for each limit: nothing that holds a client back is ever dropped, and nobody
 * gets a fresh bucket for the asking.
 */
#ifndef M2_LIMIT_TABLE_H
#define M2_LIMIT_TABLE_H

#include "limit/m2_gcra.h"

#define M2_LIMIT_ENTRIES 65536         /* default */
#define M2_LIMIT_MAX_ENTRIES 100000000
#define M2_LIMIT_NAME 128              /* bytes of a row's name, its NUL included */
#define M2_LIMIT_ROWS 4096             /* limits of a server */
#define M2_LIMIT_TAKES 64              /* limits of one request */

/* Mapped in a process; holds no pointer into code. */
typedef struct m2_lt_t m2_lt_t;

/* One bucket that a request takes from. */
typedef struct m2_lt_take_t {
    int row;                 /* the limit's, from m2_lt_row */
    int shadow;              /* refuses no request */
    const m2_gcra_t *terms;
    apr_uint64_t id[2];      /* of the bucket, from m2_lt_id */
    m2_gcra_answer_t answer; /* out */
    struct m2_lt_slot_t *slot; /* the table's own */
} m2_lt_take_t;

/* sums of one limit */
typedef struct m2_lt_stats_t {
    apr_uint64_t passed, refused;
    apr_uint64_t overflow; /* requests that were counted without a slot of their own */
    apr_uint64_t keys;     /* buckets that are not full now */
} m2_lt_stats_t;

/** A table of entries buckets, kept in process (the pool of the parent process) under the key
 *  that names the layout: a restart that asks for the same size gets the same table back.
 *  NULL when there is no memory, no lock, or no random bytes. */
m2_lt_t *m2_lt_open(apr_pool_t *process, apr_uint32_t entries);

/** The row of a limit by its name, made if needed; -1 when all are in use. In the parent,
 *  after m2_lt_open. Rows that no configuration asked for twice in a row are reused. */
int m2_lt_row(m2_lt_t *table, const char *name);

/** The id of a bucket by all bytes that make it one. SipHash with a secret of the table: what
 *  a client sends cannot be made to meet another's bucket. */
void m2_lt_id(apr_uint64_t id[2], const m2_lt_t *table, const void *bytes, apr_size_t n);

/** Take one request from all n buckets, or from none when one that is not a shadow refuses; now
 *  in nanoseconds of CLOCK_MONOTONIC. Answers are filled in every case. 1: it passes, 0: it is
 *  refused, -1: the lock is stuck, because a process that holds it was stopped. */
int m2_lt_take(m2_lt_t *table, m2_lt_take_t *takes, int n, apr_uint64_t now);

/** Count a request that was answered elsewhere, with nothing taken here. Thread-safe. */
void m2_lt_count(m2_lt_t *table, int row, int passes);

/** The sums of all M2_LIMIT_ROWS rows, in one walk over the table. */
void m2_lt_stats(m2_lt_stats_t *stats, const m2_lt_t *table, apr_uint64_t now);

/** Slots in use, full again or not; never more than entries. */
apr_uint64_t m2_lt_used(const m2_lt_t *table);

#endif /* M2_LIMIT_TABLE_H */
