/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The keys of one section: always some current immutable set, swapped as a whole. A request
 * takes the current set once and uses it to the end of its decision.
 */
#ifndef M2_KEYRING_H
#define M2_KEYRING_H

#include "m2_keyset.h"

/** A ring in pool whose current set is set (may be NULL: no keys yet, 503). */
m2_keyring_t *m2_keyring_make(apr_pool_t *pool, const m2_keyset_t *set);

/** The current set, valid until the caller's m2_keyring_leave; NULL when there is none that
 *  may be used (every source down for longer than its max-stale). No lock. */
const m2_keyset_t *m2_keyring_enter(const m2_keyring_t *ring);
void m2_keyring_leave(const m2_keyring_t *ring);

/** Make set the current one. Called by one thread at a time. */
void m2_keyring_swap(m2_keyring_t *ring, const m2_keyset_t *set);

#endif /* M2_KEYRING_H */
