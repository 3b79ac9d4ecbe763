/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A tag belongs into one set of eight doors, and into any of them. Where two are expected, one of
 * a thousand meets more than seven others of its set, and all of these take turns.
 *
 * A door is written by whoever gets it and read by anybody, without a lock: its number is
 * odd while it is written, and a reader that sees it odd or changed has read nothing.
 */
#include "oauth/m2_recall.h"

#define DOORS 8      /* of a set */
#define SHARE 2      /* tags a set is meant for */
#define FEWEST 256   /* sets: 96 KiB */
#define MOST 16384   /* sets: 6 MiB */

typedef struct door_t {
    apr_uint32_t number;
    apr_uint32_t version;
    apr_int64_t until;
    apr_uint64_t tag[M2_RECALL_WORDS];
} door_t;

struct m2_recall_t {
    apr_size_t sets;
    door_t *doors;
};

m2_recall_t *m2_recall_make(apr_pool_t *pool, apr_size_t tags)
{
    m2_recall_t *recall = apr_palloc(pool, sizeof(*recall));

    recall->sets = tags / SHARE < FEWEST ? FEWEST : tags / SHARE > MOST ? MOST : tags / SHARE;
    recall->doors = apr_pcalloc(pool, recall->sets * DOORS * sizeof(door_t));
    return recall;
}

static door_t *set_of(const m2_recall_t *recall, const apr_uint64_t *tag)
{
    return &recall->doors[tag[0] % recall->sets * DOORS];
}

static int is_tag(const door_t *door, const apr_uint64_t *tag)
{
    apr_uint64_t differs = 0;
    int i;

    for (i = 0; i < M2_RECALL_WORDS; i++) {
        differs |= tag[i] ^ __atomic_load_n(&door->tag[i], __ATOMIC_RELAXED);
    }
    return !differs;
}

static int door_has(const door_t *door, const apr_uint64_t *tag, apr_uint32_t version,
                    apr_int64_t now)
{
    const apr_uint32_t number = __atomic_load_n(&door->number, __ATOMIC_ACQUIRE);
    const int current = __atomic_load_n(&door->version, __ATOMIC_RELAXED) == version;
    const int in_time = now < __atomic_load_n(&door->until, __ATOMIC_RELAXED);
    const int own = is_tag(door, tag);
    int whole;

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    whole = !(number & 1) & (__atomic_load_n(&door->number, __ATOMIC_RELAXED) == number);
    return current & in_time & own & whole;
}

int m2_recall_has(m2_recall_t *recall, const apr_uint64_t tag[M2_RECALL_WORDS],
                  apr_uint32_t version, apr_int64_t now)
{
    const door_t *set = set_of(recall, tag);
    int i, has = 0;

    for (i = 0; i < DOORS; i++) {
        has |= door_has(&set[i], tag, version, now);
    }
    return has;
}

/* The tag's own, or the one that ends first. What another thread writes meanwhile may make it
 * another one, which costs somebody a check. */
static door_t *door_for(const m2_recall_t *recall, const apr_uint64_t *tag)
{
    door_t *set = set_of(recall, tag), *first = set;
    int i;

    for (i = 0; i < DOORS; i++) {
        if (is_tag(&set[i], tag)) {
            return &set[i];
        }
        if (__atomic_load_n(&set[i].until, __ATOMIC_RELAXED)
            < __atomic_load_n(&first->until, __ATOMIC_RELAXED)) {
            first = &set[i];
        }
    }
    return first;
}

void m2_recall_put(m2_recall_t *recall, const apr_uint64_t tag[M2_RECALL_WORDS],
                   apr_uint32_t version, apr_int64_t until)
{
    door_t *door = door_for(recall, tag);
    apr_uint32_t number = __atomic_load_n(&door->number, __ATOMIC_RELAXED);
    int i;

    if ((number & 1)
        || !__atomic_compare_exchange_n(&door->number, &number, number + 1, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE); /* whoever sees what follows sees the odd number */
    __atomic_store_n(&door->version, version, __ATOMIC_RELAXED);
    __atomic_store_n(&door->until, until, __ATOMIC_RELAXED);
    for (i = 0; i < M2_RECALL_WORDS; i++) {
        __atomic_store_n(&door->tag[i], tag[i], __ATOMIC_RELAXED);
    }
    __atomic_store_n(&door->number, number + 2, __ATOMIC_RELEASE);
}
