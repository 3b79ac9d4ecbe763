/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 *   hash(token) --> bucket: | slot | slot | slot | slot | slot | slot | slot | slot |
 *                             |
 *                             state: WRITER bit, and how many requests hold a pin
 *                             hash, used (seconds), entry --> one malloc'd block
 *
 * Slots are never freed, so counting a pin up is always safe; what is behind it is looked at
 * only when the WRITER bit was not set. A writer takes the bit only from a slot that nobody
 * pins, and nobody can pin it until the bit is gone again.
 */
#include "gate/m2_cache.h"

#include "base/m2_fold.h"
#include "base/m2_hold.h"
#include "gate/m2_settle.h"

#include <openssl/rand.h>

#include <stdlib.h>

#define WAYS 8
#define WRITER 0x80000000u
#define HASHED 64 /* bytes of a token, at its end; a multiple of 16 */
#define DOOR_PER_SLOT 4 /* marks of tokens seen once; more marks mean fewer collisions */

/* everything of one kept verdict, in one block */
typedef struct entry_t {
    m2_policy_t policy;
    apr_uint64_t generation;
    m2_slice_t token;
    m2_json_t *claims; /* a copy of our own */
    const char *kid, *alg, *user;
    apr_uint64_t sought; /* of m2_revocations_check */
    m2_times_t times;
    apr_array_header_t publish, env;
    m2_settled_t settled;
    apr_size_t size;
} entry_t;

typedef struct slot_t {
    apr_uint32_t state;
    apr_uint32_t used; /* seconds, of the last hit */
    apr_uint64_t hash;
    entry_t *entry;
} slot_t;

struct m2_cache_t {
    slot_t *slots;
    apr_size_t buckets;      /* a power of two */
    apr_uint32_t *door;      /* hashes of tokens seen once */
    apr_size_t doors;        /* a power of two */
    apr_uint64_t seed[2];
};

/* --- hashing: only spreads, equality is checked byte by byte --- */

/* Keyed per process, over length and end of the token: a verified one ends in its signature,
 * which an attacker cannot choose. */
static apr_uint64_t hash_of(const m2_cache_t *cache, apr_uint64_t generation,
                            m2_slice_t token)
{
    apr_uint64_t h = cache->seed[0] ^ generation ^ token.n;
    const apr_size_t whole = token.n < HASHED ? token.n & ~(apr_size_t)15 : HASHED;
    const char *p = token.p + token.n - whole;
    apr_size_t i;

    for (i = 0; i < whole; i += 16) {
        h = m2_fold(m2_word_at(p + i) ^ cache->seed[1], m2_word_at(p + i + 8) ^ h);
    }
    return h ? h : 1; /* 0 is the hash of an empty slot; each other bit spreads over the doors */
}

/* --- entries --- */

static void entry_free(entry_t *entry)
{
    if (entry) {
        m2_json_drop(entry->claims);
        free(entry);
    }
}

static apr_size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static apr_size_t list_size(const apr_array_header_t *list)
{
    apr_size_t size = 0;
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *one = &APR_ARRAY_IDX(list, i, m2_publish_t);

        size += sizeof(*one) + text_size(one->name) + text_size(one->value);
    }
    return size;
}

static char *put_text(char **at, const char *text)
{
    char *copy = *at;
    const apr_size_t n = text_size(text);

    if (!text) {
        return NULL;
    }
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

/* The elements were placed first, where they are aligned; their texts follow at *at. */
static void put_list(apr_array_header_t *copy, m2_publish_t *elements, char **at,
                     const apr_array_header_t *list)
{
    int i;

    memset(copy, 0, sizeof(*copy));
    copy->elt_size = (int)sizeof(m2_publish_t);
    copy->elts = (char *)elements;
    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *one = &APR_ARRAY_IDX(list, i, m2_publish_t);

        elements[i].place = one->place;
        elements[i].name = put_text(at, one->name);
        elements[i].value = put_text(at, one->value);
    }
    copy->nelts = copy->nalloc = list ? list->nelts : 0;
}

static apr_size_t rest_size(const m2_settled_t *settled)
{
    return settled->rest.rules ? (apr_size_t)settled->rest.n * sizeof(apr_uint32_t) : 0;
}

/* Its indices are placed behind the elements, and the texts behind them. */
static void put_settled(m2_settled_t *copy, char **at, const m2_settled_t *settled)
{
    const apr_size_t size = rest_size(settled);

    *copy = *settled;
    copy->rest.which = (const apr_uint32_t *)(void *)*at;
    if (size) {
        memcpy(*at, settled->rest.which, size);
    }
    *at += size;
}

static entry_t *entry_make(const m2_verdict_t *verdict, const m2_settled_t *settled,
                           const m2_policy_t *policy, apr_uint64_t generation, m2_slice_t token)
{
    const apr_size_t size = sizeof(entry_t) + token.n + text_size(verdict->kid)
                            + text_size(verdict->user) + list_size(verdict->publish)
                            + list_size(verdict->env) + rest_size(settled);
    apr_size_t claims_size;
    m2_json_t *claims = m2_json_keep(verdict->claims, &claims_size);
    entry_t *entry = claims ? malloc(size) : NULL;
    m2_publish_t *elements;
    char *at;

    if (!entry) {
        m2_json_drop(claims);
        return NULL;
    }
    elements = (m2_publish_t *)(void *)(entry + 1);
    at = (char *)(elements + (verdict->publish ? verdict->publish->nelts : 0)
                  + (verdict->env ? verdict->env->nelts : 0));
    memcpy(&entry->policy, policy, sizeof(*policy)); /* compared by its bytes, padding too */
    entry->generation = generation;
    entry->sought = 0;
    entry->times = verdict->times;
    entry->alg = verdict->alg; /* of the table of algorithms */
    entry->size = size + claims_size;
    entry->claims = claims;
    put_settled(&entry->settled, &at, settled);
    put_list(&entry->publish, elements, &at, verdict->publish);
    put_list(&entry->env, elements + entry->publish.nelts, &at, verdict->env);
    entry->kid = put_text(&at, verdict->kid);
    entry->user = put_text(&at, verdict->user);
    entry->token = m2_slice(at, token.n);
    memcpy(at, token.p, token.n);
    return entry;
}

static int entry_is(const entry_t *entry, const m2_policy_t *policy, apr_uint64_t generation,
                    m2_slice_t token)
{
    return entry && entry->generation == generation && m2_slice_eq(entry->token, token)
           && memcmp(&entry->policy, policy, sizeof(*policy)) == 0;
}

/* --- the table --- */

static apr_status_t cache_free(void *data)
{
    m2_cache_t *cache = data;
    apr_size_t i;

    if (m2_hold_needed()) {
        return APR_SUCCESS; /* the process ends */
    }
    for (i = 0; i < cache->buckets * WAYS; i++) {
        entry_free(cache->slots[i].entry);
    }
    free(cache->slots);
    free(cache->door);
    return APR_SUCCESS;
}

static apr_size_t power_of_two(apr_size_t least)
{
    apr_size_t n = 1;

    while (n < least) {
        n *= 2;
    }
    return n;
}

m2_cache_t *m2_cache_make(apr_pool_t *pool, apr_size_t entries)
{
    m2_cache_t *cache;

    if (entries == 0) {
        return NULL;
    }
    cache = apr_pcalloc(pool, sizeof(*cache));
    cache->buckets = power_of_two((entries + WAYS - 1) / WAYS);
    cache->doors = power_of_two(cache->buckets * WAYS * DOOR_PER_SLOT);
    cache->slots = calloc(cache->buckets * WAYS, sizeof(slot_t));
    cache->door = calloc(cache->doors, sizeof(apr_uint32_t));
    if (!cache->slots || !cache->door
        || RAND_bytes((unsigned char *)cache->seed, sizeof(cache->seed)) != 1) {
        free(cache->slots);
        free(cache->door);
        return NULL;
    }
    apr_pool_cleanup_register(pool, cache, cache_free, apr_pool_cleanup_null);
    return cache;
}

static slot_t *bucket_of(m2_cache_t *cache, apr_uint64_t hash)
{
    return &cache->slots[((hash >> 32) & (cache->buckets - 1)) * WAYS];
}

static int pin(slot_t *slot)
{
    if (__atomic_fetch_add(&slot->state, 1, __ATOMIC_ACQUIRE) & WRITER) {
        __atomic_fetch_sub(&slot->state, 1, __ATOMIC_RELEASE);
        return 0;
    }
    return 1;
}

static apr_status_t unpin(void *data)
{
    slot_t *slot = data;

    __atomic_fetch_sub(&slot->state, 1, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

/* Written once a second at most, so that readers do not fight for the line. */
static void touch(slot_t *slot, apr_time_t now)
{
    const apr_uint32_t seconds = (apr_uint32_t)apr_time_sec(now);

    if (__atomic_load_n(&slot->used, __ATOMIC_RELAXED) != seconds) {
        __atomic_store_n(&slot->used, seconds, __ATOMIC_RELAXED);
    }
}

static void fill(m2_verdict_t *verdict, entry_t *entry)
{
    verdict->code = M2_OK;
    verdict->cached = 1;
    verdict->sought = &entry->sought;
    verdict->verified = 1;
    verdict->claims = entry->claims;
    verdict->kid = entry->kid;
    verdict->alg = entry->alg;
    verdict->user = entry->user;
    verdict->times = entry->times;
    verdict->publish = &entry->publish;
    verdict->env = &entry->env;
    verdict->settled = &entry->settled;
}

int m2_cache_get(m2_verdict_t *verdict, m2_cache_t *cache, apr_pool_t *pool,
                 const m2_policy_t *policy, apr_uint64_t generation, m2_slice_t token,
                 apr_time_t now)
{
    const apr_uint64_t hash = hash_of(cache, generation, token);
    slot_t *bucket = bucket_of(cache, hash);
    int i;

    for (i = 0; i < WAYS; i++) {
        slot_t *slot = &bucket[i];

        if (__atomic_load_n(&slot->hash, __ATOMIC_RELAXED) != hash || !pin(slot)) {
            continue;
        }
        if (entry_is(slot->entry, policy, generation, token)) {
            fill(verdict, slot->entry);
            touch(slot, now);
            apr_pool_cleanup_register(pool, slot, unpin, apr_pool_cleanup_null);
            return 1;
        }
        unpin(slot);
    }
    return 0;
}

/* Whether the token was offered before; if not, it is remembered for the next time. */
static int seen_before(m2_cache_t *cache, apr_uint64_t hash)
{
    apr_uint32_t *door = &cache->door[hash & (cache->doors - 1)];
    const apr_uint32_t mark = (apr_uint32_t)(hash >> 32) | 1;

    if (__atomic_load_n(door, __ATOMIC_RELAXED) == mark) {
        return 1;
    }
    __atomic_store_n(door, mark, __ATOMIC_RELAXED);
    return 0;
}

/* An empty slot, else the one used longest ago, never one that is pinned. */
static slot_t *victim_of(slot_t *bucket)
{
    slot_t *victim = NULL;
    apr_uint32_t oldest = 0;
    int i;

    for (i = 0; i < WAYS; i++) {
        const apr_uint32_t used = __atomic_load_n(&bucket[i].used, __ATOMIC_RELAXED);

        if (__atomic_load_n(&bucket[i].state, __ATOMIC_RELAXED) == 0
            && (!victim || used < oldest)) {
            victim = &bucket[i];
            oldest = used;
        }
    }
    return victim;
}

void m2_cache_put(m2_cache_t *cache, apr_pool_t *pool, const m2_verdict_t *verdict,
                  const m2_policy_t *policy, apr_uint64_t generation, m2_slice_t token,
                  apr_time_t now)
{
    const apr_uint64_t hash = hash_of(cache, generation, token);
    apr_uint32_t idle = 0;
    m2_settled_t settled;
    slot_t *slot;
    entry_t *entry;

    if (!seen_before(cache, hash)) {
        return;
    }
    m2_settle(&settled, pool, verdict, policy, token);
    slot = victim_of(bucket_of(cache, hash));
    if (!slot
        || !__atomic_compare_exchange_n(&slot->state, &idle, WRITER, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        return;
    }
    entry = entry_make(verdict, &settled, policy, generation, token);
    if (entry) {
        entry_free(slot->entry);
        slot->entry = entry;
        __atomic_store_n(&slot->hash, hash, __ATOMIC_RELAXED);
        touch(slot, now);
    }
    __atomic_fetch_sub(&slot->state, WRITER, __ATOMIC_RELEASE);
}

void m2_cache_stats(m2_cache_stats_t *stats, const m2_cache_t *cache)
{
    apr_size_t i;

    memset(stats, 0, sizeof(*stats));
    stats->slots = cache->buckets * WAYS;
    for (i = 0; i < stats->slots; i++) {
        slot_t *slot = &cache->slots[i];

        if (pin(slot)) {
            stats->entries += slot->entry != NULL;
            stats->bytes += slot->entry ? slot->entry->size : 0;
            unpin(slot);
        }
    }
}
