/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The keys of one section: always some current immutable set, swapped as a whole. A request
 * takes the current set once and uses it to the end of its decision. Taking it costs one
 * atomic addition in a line of memory that hardly anybody else writes to; no lock, and no
 * reference count that all threads share. Whoever swaps frees the old set when no request
 * can hold it any more.
 */
#ifndef M2_KEYRING_H
#define M2_KEYRING_H

#include "key/m2_keyset.h"

struct m2_feed_t; /* what fills a ring, see m2_jwks.h */

/* What a ring of lists holds: the current object of each source. Lists are asked one by one. */
typedef struct m2_parts_t {
    apr_uint64_t id; /* no other one of this process has it, before or after; 0: it has none */
    int missing; /* sources without keys that may be used */
    int n;
    const void *part[];
} m2_parts_t;

/** A ring in pool whose current set is set (may be NULL: no keys yet, 503). */
m2_keyring_t *m2_keyring_make(apr_pool_t *pool, const m2_keyset_t *set);

/** The current set, valid until the caller's m2_keyring_leave; NULL when no set may be used
 *  (every source down for longer than its max-stale). No lock. Never wait between the two; leave
 *  in the thread that entered, also when the set was NULL. */
const m2_keyset_t *m2_keyring_enter(const m2_keyring_t *ring);
void m2_keyring_leave(const m2_keyring_t *ring);

/** Make set the current one; returns the one before. Called by one thread at a time. */
const m2_keyset_t *m2_keyring_swap(m2_keyring_t *ring, const m2_keyset_t *set);

/* Until when requests may still hold what was swapped out: begin behind the swap, then ask
 * until it is over, which comes however many threads there are. */
typedef apr_uint64_t m2_grace_t;

m2_grace_t m2_grace_begin(void);
int m2_grace_over(const m2_grace_t *pgrace);

/** What fills the ring; NULL for a ring of fixed keys. */
void m2_keyring_set_feed(m2_keyring_t *ring, struct m2_feed_t *feed);
struct m2_feed_t *m2_keyring_feed(const m2_keyring_t *ring);

#endif /* M2_KEYRING_H */
