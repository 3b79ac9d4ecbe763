/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A reader counts itself in before it reads the pointer, and out when it is done. Counters
 * are spread over stripes, a thread keeps to one, so that readers do not fight for a cache
 * line. A writer that has exchanged the pointer waits until it has seen each stripe at zero
 * once: whoever read the old pointer was counted in before the exchange, and holds its
 * stripe above zero until it is done (all operations are sequentially consistent).
 *
 *     reader   stripe++   read pointer   ...use...   stripe--
 *     writer              exchange       stripe 0: zero? stripe 1: zero? ...   free
 *
 * The counters belong to the process: one pool of stripes serves all rings.
 */
#include "key/m2_keyring.h"

#define STRIPES 64 /* one per bit of m2_grace_t */

struct m2_keyring_t {
    const m2_keyset_t *current;
    struct m2_feed_t *feed;
};

static struct stripe_t {
    apr_uint32_t readers;
    char padding[60]; /* a cache line of its own */
} stripes[STRIPES];

/* The stripe of the calling thread; threads beyond the number of stripes share. */
static apr_uint32_t *my_readers(void)
{
    static apr_uint32_t threads;
    static __thread struct stripe_t *mine;

    if (!mine) {
        mine = &stripes[__atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % STRIPES];
    }
    return &mine->readers;
}

m2_keyring_t *m2_keyring_make(apr_pool_t *pool, const m2_keyset_t *set)
{
    m2_keyring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->current = set;
    return ring;
}

const m2_keyset_t *m2_keyring_enter(const m2_keyring_t *ring)
{
    __atomic_add_fetch(my_readers(), 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&ring->current, __ATOMIC_SEQ_CST);
}

void m2_keyring_leave(const m2_keyring_t *ring)
{
    (void)ring;
    __atomic_sub_fetch(my_readers(), 1, __ATOMIC_SEQ_CST);
}

const m2_keyset_t *m2_keyring_swap(m2_keyring_t *ring, const m2_keyset_t *set)
{
    return __atomic_exchange_n(&ring->current, set, __ATOMIC_SEQ_CST);
}

m2_grace_t m2_grace_begin(void)
{
    return ~(m2_grace_t)0;
}

int m2_grace_over(m2_grace_t *pgrace)
{
    int i;

    for (i = 0; i < STRIPES; i++) {
        m2_grace_t bit = (m2_grace_t)1 << i;

        if ((*pgrace & bit)
            && __atomic_load_n(&stripes[i].readers, __ATOMIC_SEQ_CST) == 0) {
            *pgrace &= ~bit;
        }
    }
    return *pgrace == 0;
}

void m2_keyring_set_feed(m2_keyring_t *ring, struct m2_feed_t *feed)
{
    ring->feed = feed;
}

struct m2_feed_t *m2_keyring_feed(const m2_keyring_t *ring)
{
    return ring->feed;
}
