/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the room: a revocation list in Redis, as its reader and its writer see it.
 */
#ifndef M2_REVOCATION_REDIS_INT_H
#define M2_REVOCATION_REDIS_INT_H

#include "revocation/m2_revocation_mark.h"
#include "revocation/m2_revocation_redis.h"
#include "wire/m2_worker.h"

#include <pthread.h>

#define M2_REVOCATION_KEY (M2_HOST_MAX_PREFIX + 16)

/* Its keys, all of one slot. */
typedef struct m2_revocation_keys_t {
    char lines[M2_REVOCATION_KEY];   /* a set */
    char version[M2_REVOCATION_KEY]; /* m2_mark_t as text */
    char history[M2_REVOCATION_KEY]; /* a hash: of a write's count, what it was called */
    char ends[M2_REVOCATION_KEY];    /* a sorted set: lines, by when their tokens end */
} m2_revocation_keys_t;

struct m2_revocation_redis_t {
    m2_redis_t *redis;
    const char *name;  /* for messages */
    const char *words; /* with its options, as m2mctl takes it */
    m2_revocation_keys_t keys;
    m2_worker_t *worker;
    int told;             /* percent of M2_REVOCATION_REDIS_BYTES that the log was told of */
    pthread_mutex_t lock; /* of all that follows */
    char seen[M2_MARK];   /* the version that text is of; "": there is no list */
    char *text;           /* malloc'd; NULL: nothing was read */
    apr_size_t n;
    apr_int64_t looked;   /* milliseconds of m2_wire_clock: when it was found to be so */
    char why[M2_WIRE_WHY];
    int noted;            /* base is known */
    char base[M2_MARK];   /* the version in force in this process; "": none */
    char judged[M2_MARK]; /* the base that lost is about */
    char lost[M2_WIRE_WHY]; /* what seen lacks of it; "": nothing */
};

#endif /* M2_REVOCATION_REDIS_INT_H */
