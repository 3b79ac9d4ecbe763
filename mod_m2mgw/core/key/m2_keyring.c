/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A reader counts itself in before it reads the pointer, and out when it is done. Counters
 * are spread over stripes, a thread keeps to one, so that readers do not fight for a cache
 * line; more threads than stripes share them. Each stripe has two counters, of which readers
 * enter one, so that the other can only fall, however many threads share it. When it has been
 * seen at zero in every stripe the sides change: that is one turn.
 *
 *     reader   stripe[turn & 1]++   read pointer   ...use...   the same one--
 *     writer   exchange   side at rest 0 everywhere: turn   the other: turn   ...   free
 *
 * Whoever read the old pointer was counted in, on either side, before the exchange. The turn
 * that is under way then may have looked at stripes already; each of the next two looks at all
 * stripes of one side, so that behind the third turn that reader is gone (all operations are
 * sequentially consistent).
 *
 * The counters belong to the process: one pool of stripes serves all rings.
 */
#include "key/m2_keyring.h"

#define STRIPES 64 /* one per bit of turning.seen */
#define TURNS 3    /* after which sets that were exchanged before it are not in use */

struct m2_keyring_t {
    const m2_keyset_t *current;
    struct m2_feed_t *feed;
};

static struct stripe_t {
    apr_uint32_t readers[2];
    char padding[56]; /* a cache line of its own */
} stripes[STRIPES];

static apr_uint64_t turn; /* readers enter side turn & 1 */

/* Where the calling thread is counted while it holds sets, of however many rings. */
static __thread struct reader_t {
    struct stripe_t *stripe;
    unsigned side, depth;
} reader;

m2_keyring_t *m2_keyring_make(apr_pool_t *pool, const m2_keyset_t *set)
{
    m2_keyring_t *ring = apr_pcalloc(pool, sizeof(*ring));

    ring->current = set;
    return ring;
}

static struct stripe_t *next_stripe(void)
{
    static apr_uint32_t threads;

    return &stripes[__atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % STRIPES];
}

const m2_keyset_t *m2_keyring_enter(const m2_keyring_t *ring)
{
    if (reader.depth++ == 0) {
        reader.stripe = reader.stripe ? reader.stripe : next_stripe();
        reader.side = (unsigned)__atomic_load_n(&turn, __ATOMIC_SEQ_CST) & 1;
        __atomic_add_fetch(&reader.stripe->readers[reader.side], 1, __ATOMIC_SEQ_CST);
    }
    return __atomic_load_n(&ring->current, __ATOMIC_SEQ_CST);
}

void m2_keyring_leave(const m2_keyring_t *ring)
{
    (void)ring;
    if (--reader.depth == 0) {
        __atomic_sub_fetch(&reader.stripe->readers[reader.side], 1, __ATOMIC_SEQ_CST);
    }
}

const m2_keyset_t *m2_keyring_swap(m2_keyring_t *ring, const m2_keyset_t *set)
{
    return __atomic_exchange_n(&ring->current, set, __ATOMIC_SEQ_CST);
}

/* Looks at the stripes that have not been seen at zero on the side at rest. 1 when the sides
 * have changed. Only one thread looks at a time; another one comes again. */
static int look(void)
{
    static struct turning_t {
        int busy;
        apr_uint64_t seen; /* the stripes that were at zero in this turn, a bit each */
    } turning;
    unsigned rest;
    int i, turned;

    if (__atomic_exchange_n(&turning.busy, 1, __ATOMIC_SEQ_CST)) {
        return 0;
    }
    rest = (unsigned)~__atomic_load_n(&turn, __ATOMIC_SEQ_CST) & 1;
    for (i = 0; i < STRIPES; i++) {
        if (__atomic_load_n(&stripes[i].readers[rest], __ATOMIC_SEQ_CST) == 0) {
            turning.seen |= (apr_uint64_t)1 << i;
        }
    }
    turned = turning.seen == ~(apr_uint64_t)0;
    if (turned) {
        turning.seen = 0;
        __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&turning.busy, 0, __ATOMIC_SEQ_CST);
    return turned;
}

m2_grace_t m2_grace_begin(void)
{
    return __atomic_load_n(&turn, __ATOMIC_SEQ_CST) + TURNS;
}

int m2_grace_over(const m2_grace_t *pgrace)
{
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) < *pgrace) {
        if (!look()) {
            return 0;
        }
    }
    return 1;
}

void m2_keyring_set_feed(m2_keyring_t *ring, struct m2_feed_t *feed)
{
    ring->feed = feed;
}

struct m2_feed_t *m2_keyring_feed(const m2_keyring_t *ring)
{
    return ring->feed;
}
