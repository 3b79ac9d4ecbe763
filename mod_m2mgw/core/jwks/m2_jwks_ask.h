/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What requests may ask of sources: an early refresh, and to wait for it.
 */
#ifndef M2_JWKS_ASK_H
#define M2_JWKS_ASK_H

#include "key/m2_keyring.h"

/**
 *  A token named a kid that ring's set does not hold: ask for an early refresh. Granted once per
 *  cooldown and source, whatever the request, and never again for a kid that a refresh did not
 *  bring, for five cooldowns or ttl. Returns whether a refresh that this kid asked for is on its
 *  way.
 */
int m2_jwks_ask(const m2_keyring_t *ring, m2_slice_t kid, apr_time_t now);

/** Wait for what was asked for, not between enter and leave. Returns 1 if choosing again may
 *  succeed. As many requests of all children wait as there are seats, and no more than
 *  m2_jwks_set_waiters says; for the others this returns 0. */
int m2_jwks_wait(const m2_keyring_t *ring, apr_uint64_t generation,
                 apr_interval_time_t most, apr_size_t seats);

#endif /* M2_JWKS_ASK_H */
