/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A slot holds a key or nothing. Taking is an exchange with nothing, giving back an exchange
 * with whatever is there, which is freed: so a key is never in two pairs of hands, and who comes
 * while it is out makes one of his own. A thumbprint has one slot; its hash is that of SHA-256.
 */
#include "gate/m2_owners.h"

#include "base/m2_hold.h"

struct m2_owners_t {
    apr_size_t mask;
    m2_owner_t *slots[1];
};

static m2_owner_t **slot_of(m2_owners_t *owners, const char *jkt)
{
    apr_size_t i, place = 0;

    for (i = 0; i < 5 && jkt[i]; i++) {
        place = (place << 6) ^ (unsigned char)jkt[i];
    }
    return &owners->slots[place & owners->mask];
}

static void owner_free(m2_owner_t *owner)
{
    if (owner) {
        apr_pool_destroy(owner->pool);
    }
}

static m2_owner_t *owner_make(const char *jkt)
{
    m2_owner_t *owner;
    apr_pool_t *pool;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return NULL;
    }
    owner = apr_pcalloc(pool, sizeof(*owner));
    owner->pool = pool;
    owner->jkt = apr_pstrdup(pool, jkt);
    return owner;
}

static void give(void *baton, m2_owner_t *owner)
{
    m2_owner_t **slot = slot_of(baton, owner->jkt);

    owner_free(owner->proven ? __atomic_exchange_n(slot, owner, __ATOMIC_ACQ_REL) : owner);
}

static m2_owner_t *take(void *baton, const char *jkt)
{
    m2_owner_t **slot = slot_of(baton, jkt);
    m2_owner_t *owner = NULL;

    if (__atomic_load_n(slot, __ATOMIC_RELAXED)) {
        owner = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQUIRE);
    }
    if (owner && !m2_slice_is(m2_slice_z(owner->jkt), jkt)) {
        give(baton, owner);
        owner = NULL;
    }
    return owner ? owner : owner_make(jkt);
}

m2_proof_keys_t m2_owners_keys(m2_owners_t *owners)
{
    m2_proof_keys_t keys = { take, give, owners };

    return keys;
}

static apr_status_t owners_free(void *data)
{
    m2_owners_t *owners = data;
    apr_size_t i;

    for (i = 0; i <= owners->mask && !m2_hold_needed(); i++) {
        owner_free(__atomic_exchange_n(&owners->slots[i], NULL, __ATOMIC_ACQUIRE));
    }
    return APR_SUCCESS;
}

m2_owners_t *m2_owners_make(apr_pool_t *pool, apr_size_t keys)
{
    m2_owners_t *owners;
    apr_size_t n = 1;

    while (n < keys) {
        n *= 2;
    }
    owners = apr_pcalloc(pool, sizeof(*owners) + n * sizeof(m2_owner_t *));
    if (owners) {
        owners->mask = n - 1;
        apr_pool_cleanup_register(pool, owners, owners_free, apr_pool_cleanup_null);
    }
    return owners;
}
