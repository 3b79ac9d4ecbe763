/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A revocation list in Redis: a set of lines, and a version (m2_revocation_mark.h) that each
 * writer moves on. A thread of each process looks at the version several times a second and reads
 * the set when it has changed; no request reads from Redis.
 *
 * A Redis that restarts empty, or whose successor lacks the last writes, has a list that is
 * shorter. It is told by its version and never taken: what was in force stays so until an
 * operator restores the list, or says that it counts as it is.
 */
#ifndef M2_REVOCATION_REDIS_H
#define M2_REVOCATION_REDIS_H

#include "jwks/m2_fetch.h"
#include "redis/m2_redis.h"
#include "revocation/m2_revocation.h"

#define M2_REVOCATION_PREFIX "m2m:revoked:" /* default of prefix= */
#define M2_REVOCATION_REDIS_BYTES 16777000 /* of a list as Redis sends it, some 200,000 entries */

typedef struct m2_revocation_redis_t m2_revocation_redis_t;

/** In the parent. spec must live as long as pool. M2_E_CONFIG with a sentence. */
m2_code_t m2_revocation_redis_open(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                   const m2_redis_spec_t *spec, m2_err_t *err);

/** m2_puller_t: baton is the m2_revocation_redis_t. */
m2_puller_fn m2_revocation_redis_attach;
m2_pull_fn m2_revocation_redis_pull;
m2_note_fn m2_revocation_redis_note;

/** Add an entry to a list that is attached, in the thread of a request: waits for the answer,
 *  its timeout at most. Drops lines whose tokens ended long ago. M2_E_CONFIG with a sentence:
 *  nothing was added as far as is known, also where the list is not the one in force. */
m2_code_t m2_revocation_redis_add(m2_revocation_redis_t *list, apr_pool_t *pool,
                                  const m2_revoked_t *entry, apr_time_t now, m2_err_t *err);

/* --- for the command line tool: each waits for the answer --- */

/** The list that words name, one string as M2MRevocation has it. M2_E_CONFIG. */
m2_code_t m2_revocation_redis_named(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                    const char *words, m2_err_t *err);

/* what became of a list to which an entry was added */
typedef struct m2_revocation_added_t {
    int begun;   /* there was no list before */
    int percent; /* of M2_REVOCATION_REDIS_BYTES, from 80 on; 0: less */
} m2_revocation_added_t;

/** Add an entry. M2_E_CONFIG also when readers would not take so long a list: nothing was
 *  added. */
m2_code_t m2_revocation_redis_append(m2_revocation_redis_t *list, apr_pool_t *pool,
                                     const m2_revoked_t *entry, apr_time_t now,
                                     m2_revocation_added_t *added, m2_err_t *err);

/** Add the entries of a text (its comments are left out), which may be absent, and say to all
 *  readers that the list counts as it is then, whatever they knew before. *pcount becomes the
 *  number of its lines. M2_E_CONFIG also when readers would not take so long a list; then the
 *  list that was there still has its version. */
m2_code_t m2_revocation_redis_restore(m2_revocation_redis_t *list, apr_pool_t *pool,
                                      m2_slice_t text, apr_time_t now, apr_int64_t *pcount,
                                      m2_err_t *err);

#endif /* M2_REVOCATION_REDIS_H */
