/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between the front (m2_replay.c) and the stores behind it. A store is a row of functions over
 * its own state; it gets the id of a token, never the token.
 */
#ifndef M2_REPLAY_STORE_H
#define M2_REPLAY_STORE_H

#include "replay/m2_leeway.h"
#include "wire/m2_names.h"
#include "replay/m2_replay_spec.h"

#define M2_REPLAY_ID 32 /* bytes of an id, a SHA-256 */

/* Sums over all processes that share the store object (a parent and its children). */
typedef struct m2_replay_stats_t {
    m2_replay_kind_t kind;
    const char *name;        /* for people: "shm", "shm:PATH", "redis:HOST:PORT" */
    apr_uint64_t marked;     /* accepted */
    apr_uint64_t replayed;   /* refused as used before */
    apr_uint64_t full;       /* refused because there was no room */
    apr_uint64_t errors;     /* refused because the store did not answer */
    apr_uint64_t entries;    /* shm: what it holds at most; else 0 */
    apr_uint64_t live;       /* shm: marks alive at the last mark; else 0 */
    apr_uint64_t bytes;      /* shm: size of the table; else 0 */
} m2_replay_stats_t;

/* Shared by the parent and all children; written with atomics. */
typedef struct m2_replay_counters_t {
    apr_uint64_t marked, replayed, full, errors;
    apr_uint64_t last_log; /* second of the last line about a store in trouble */
    apr_uint64_t unlogged; /* troubles since */
    apr_uint64_t last_clear; /* dbd: second of the last clearing up */
} m2_replay_counters_t;

typedef struct m2_replay_t m2_replay_t;

/* one kind of store */
typedef struct m2_replay_impl_t {
    m2_code_t (*open)(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                      m2_err_t *err);
    m2_code_t (*attach)(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err);
    /* M2_OK, M2_E_JTI_REPLAYED, M2_E_REPLAY_UNAVAILABLE; *pfull set when for want of room.
     * why, of at least M2_REPLAY_WHY bytes, says what is wrong in the last case. */
    m2_code_t (*mark)(m2_replay_t *store, const unsigned char *id, apr_time_t expires_at,
                      apr_time_t now, int *pfull, char *why);
    void (*stats)(m2_replay_stats_t *stats, const m2_replay_t *store);
} m2_replay_impl_t;

#define M2_REPLAY_WHY 256

struct m2_replay_t {
    const m2_replay_impl_t *impl;
    const m2_replay_spec_t *spec;
    const char *name;
    m2_replay_counters_t *counters;
    void *state; /* the store's own */
    m2_leeway_t *leeway; /* what marks were made with, set by open */
    int told;    /* this process has said that the server forgets marks */
};

extern const m2_replay_impl_t m2_replay_shm;      /* m2_replay_shm.c */
extern const m2_replay_impl_t m2_replay_memcache; /* m2_replay_memcache.c */
extern const m2_replay_impl_t m2_replay_redis;    /* m2_replay_redis.c, where it is built */
extern const m2_replay_impl_t m2_replay_dbd;      /* m2_replay_dbd.c */

/** Seconds a remote store has to remember: up to expires_at, rounded up, and two more,
 *  because their clocks tick in whole seconds of their own. */
apr_uint64_t m2_replay_ttl(apr_time_t expires_at, apr_time_t now);

/** prefix and id in hex, NUL-terminated, in a buffer of M2_REPLAY_KEY bytes. */
#define M2_REPLAY_KEY (M2_HOST_MAX_PREFIX + 2 * M2_REPLAY_ID + 1)
void m2_replay_key(char *key, const m2_replay_t *store, const unsigned char *id);

/** 1 for the first caller in this process, which gets to say that the server forgets marks. */
int m2_replay_first(m2_replay_t *store);

/** Note, in memory that outlives configurations, the leeway that a remote store's marks are
 *  made with from now on. Those made before cannot be made longer. */
void m2_replay_note_leeway(m2_replay_t *store, apr_pool_t *process);

/** The names of this process, those of the spec's hosts asked for and waited for, timeout= at
 *  most: a process that starts while its resolver is down starts all the same. */
m2_code_t m2_replay_names(m2_names_t **pnames, apr_pool_t *pool,
                          const m2_replay_spec_t *spec, m2_err_t *err);

#endif /* M2_REPLAY_STORE_H */
