/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One pointer, read and written atomically. Sets live as long as the ring's pool.
 */
#include "m2_keyring.h"

struct m2_keyring_t {
    const m2_keyset_t *current;
};

m2_keyring_t *m2_keyring_make(apr_pool_t *pool, const m2_keyset_t *set)
{
    m2_keyring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->current = set;
    return ring;
}

const m2_keyset_t *m2_keyring_enter(const m2_keyring_t *ring)
{
    return __atomic_load_n(&ring->current, __ATOMIC_ACQUIRE);
}

void m2_keyring_leave(const m2_keyring_t *ring)
{
    (void)ring;
}

void m2_keyring_swap(m2_keyring_t *ring, const m2_keyset_t *set)
{
    __atomic_store_n(&ring->current, set, __ATOMIC_RELEASE);
}
