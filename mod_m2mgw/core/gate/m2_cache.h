/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens that were verified before, kept by one process. A look-up compares policy, key set
 * generation and every byte of the token, so the hash only finds the place and a collision gives
 * an attacker nothing. What is kept does not depend on the time: the caller checks times,
 * revocation, proofs, replay and every rule that reads more than the token on every hit.
 *
 * Readers never wait, for each other or for a writer; a writer that would have to wait gives
 * up. Only a token seen twice is kept, so that a flood of distinct ones costs a store each.
 */
#ifndef M2_CACHE_H
#define M2_CACHE_H

#include "gate/m2_verdict.h"

typedef struct m2_cache_t m2_cache_t;

/** A cache of about that many entries; pool's cleanup frees them. NULL for 0 entries. Make it
 *  once per process, before its threads start. */
m2_cache_t *m2_cache_make(apr_pool_t *pool, apr_size_t entries);

/**
 * Find token under policy and generation. On a hit fills verdict's verified, sought, claims, kid,
 * alg, user, times, publish, env and settled, and returns 1; all of that stays valid until pool is
 * cleared (the entry is pinned by a cleanup). Thread-safe.
 */
int m2_cache_get(m2_verdict_t *verdict, m2_cache_t *cache, apr_pool_t *pool,
                 const m2_policy_t *policy, apr_uint64_t generation, m2_slice_t token,
                 apr_time_t now);

/** Offer a verdict with code M2_OK on a verified token; kept, and settled, the second time it is
 *  offered. Everything is copied, claims are shared by reference. pool is for the work.
 *  Thread-safe. */
void m2_cache_put(m2_cache_t *cache, apr_pool_t *pool, const m2_verdict_t *verdict,
                  const m2_policy_t *policy, apr_uint64_t generation, m2_slice_t token,
                  apr_time_t now);

typedef struct m2_cache_stats_t {
    apr_size_t slots;   /* room for so many entries */
    apr_size_t entries; /* kept now */
    apr_size_t bytes;   /* of these entries, without their claims' JSON */
} m2_cache_stats_t;

/** Walk the table and count; approximate while others work. */
void m2_cache_stats(m2_cache_stats_t *stats, const m2_cache_t *cache);

#endif /* M2_CACHE_H */
