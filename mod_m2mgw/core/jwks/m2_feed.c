/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Composing sources into sets. Composed sets live in pools without a parent, so that only the
 * ticking thread frees them; a composed set holds the documents it borrows keys from.
 */
#include "jwks/m2_feed.h"

#include "base/m2_log.h"
#include "jwks/m2_keysource_int.h"

#include <apr_hash.h>

struct m2_feed_t {
    m2_keyring_t *ring;
    const m2_keyset_t *fixed;
    const apr_array_header_t *sources; /* of m2_fed_t */
    int lists;            /* the ring holds an m2_parts_t, else a key set */
    const void *composed; /* what the ring holds; NULL: nothing may be used */
    apr_pool_t *pool;     /* of that */
    int warned;
    int full;             /* it was logged that keys are left out */
};

/* a composed set that requests may still hold */
typedef struct m2_retired_t {
    struct m2_retired_t *next;
    m2_grace_t grace;
    apr_pool_t *pool;
} m2_retired_t;

/* --- composing --- */

/* a key as this feed has it */
typedef struct entry_t {
    m2_jwk_t *jwk; /* a copy: bound, and without what is contested */
    const char *from; /* label of its source; NULL: it is in the configuration */
    struct entry_t *next; /* of the same kid */
} entry_t;

/* all keys of a feed while its set is composed */
typedef struct composer_t {
    m2_feed_t *feed;
    m2_keyset_t *set;
    apr_array_header_t *entries; /* of entry_t *, in order */
    apr_hash_t *by_kid;          /* kid -> entry_t * */
} composer_t;

static const char *place_of(const entry_t *entry)
{
    return entry->from ? entry->from : "the configuration";
}

/* Each is found in the list of its kid behind those that came later. */
static void tell_contested(m2_feed_t *feed, const entry_t *later, const entry_t *earlier,
                           m2_alg_mask_t algs)
{
    if (!feed->warned) {
        m2_log(M2_LOG_WARNING,
               "key '%s' of %s has the kid of a different key of %s and can do %s as well; %s",
               later->jwk->kid, place_of(later), place_of(earlier),
               m2_alg_mask_names(feed->sources->pool, algs),
               later->from && earlier->from ? "neither counts" : "the configured one counts");
        feed->warned = 1;
    }
}

static void tell_left_out(m2_feed_t *feed, int n)
{
    if (n && !feed->full) {
        m2_log(M2_LOG_WARNING, "the sources of a section have more than %d keys together; %d are "
               "left out", M2_MAX_KEYS, n);
    }
    feed->full = n > 0;
}

/* Two sources use one kid for different keys: for an algorithm that both support it is unknown
 * which is meant. A key in the configuration is not displaced by a published one. */
static void contest(m2_feed_t *feed, entry_t *a, entry_t *b, m2_alg_mask_t *pa,
                    m2_alg_mask_t *pb)
{
    const m2_alg_mask_t algs = a->jwk->algs & b->jwk->algs;

    if (algs && m2_keyset_same_issuer(a->jwk, b->jwk) && !m2_keyset_same_key(a->jwk, b->jwk)) {
        *pa |= a->from ? algs : 0;
        *pb |= b->from ? algs : 0;
        tell_contested(feed, a, b, algs);
    }
}

/* Every pair of one kid. */
static void settle_kid(composer_t *c, entry_t *first)
{
    m2_alg_mask_t *lost;
    entry_t *a, *b;
    int i, k, n = 0;

    for (a = first; a; a = a->next) {
        n++;
    }
    lost = apr_pcalloc(c->set->pool, (apr_size_t)n * sizeof(*lost));
    for (a = first, i = 0; a; a = a->next, i++) {
        for (b = a->next, k = i + 1; b; b = b->next, k++) {
            contest(c->feed, a, b, &lost[i], &lost[k]);
        }
    }
    for (a = first, i = 0; a; a = a->next, i++) {
        a->jwk->algs &= ~lost[i];
    }
}

static void collect(composer_t *c, const m2_keyset_t *from, const char *issuer,
                    const char *label)
{
    int i;

    for (i = 0; i < from->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(from->keys, i, const m2_jwk_t *);
        entry_t *entry = apr_palloc(c->set->pool, sizeof(*entry));

        entry->jwk = apr_pmemdup(c->set->pool, jwk, sizeof(*jwk));
        entry->jwk->issuer = issuer ? issuer : jwk->issuer;
        entry->from = label;
        entry->next = NULL;
        if (jwk->kid) {
            entry->next = apr_hash_get(c->by_kid, jwk->kid, APR_HASH_KEY_STRING);
            apr_hash_set(c->by_kid, jwk->kid, APR_HASH_KEY_STRING, entry);
        }
        APR_ARRAY_PUSH(c->entries, entry_t *) = entry;
    }
}

static void collect_all(composer_t *c)
{
    const m2_feed_t *feed = c->feed;
    int i;

    if (feed->fixed) {
        collect(c, feed->fixed, NULL, NULL);
        c->set->incomplete = feed->fixed->incomplete;
    }
    for (i = 0; i < feed->sources->nelts; i++) {
        const m2_fed_t *fed = &APR_ARRAY_IDX(feed->sources, i, m2_fed_t);

        if (!fed->source->usable) {
            c->set->incomplete = 1;
            continue;
        }
        m2_generation_hold(c->set->pool, fed->source->current);
        collect(c, fed->source->current->object, fed->issuer,
                m2_keysource_label(fed->source));
    }
}

/* The set of a feed as its sources are now; NULL when nothing in it may be used. */
static const void *compose_keys(m2_feed_t *feed, apr_pool_t *pool)
{
    composer_t c = { feed, NULL, NULL, NULL };
    int i, left_out = 0;

    c.set = m2_keyset_make(pool);
    c.entries = apr_array_make(pool, 16, sizeof(entry_t *));
    c.by_kid = apr_hash_make(pool);
    collect_all(&c);
    for (i = 0; i < c.entries->nelts; i++) {
        entry_t *entry = APR_ARRAY_IDX(c.entries, i, entry_t *);

        if (entry->jwk->kid
            && apr_hash_get(c.by_kid, entry->jwk->kid, APR_HASH_KEY_STRING) == entry) {
            settle_kid(&c, entry);
        }
    }
    for (i = 0; i < c.entries->nelts; i++) {
        entry_t *entry = APR_ARRAY_IDX(c.entries, i, entry_t *);

        if (entry->jwk->algs) {
            left_out += m2_keyset_add(c.set, entry->jwk, NULL) != M2_OK
                        && c.set->keys->nelts >= M2_MAX_KEYS;
        }
    }
    tell_left_out(feed, left_out);
    return c.set->keys->nelts ? c.set : NULL;
}

static const void *compose_lists(const m2_feed_t *feed, apr_pool_t *pool)
{
    static apr_uint64_t made;
    const int n = feed->sources->nelts;
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + (apr_size_t)n * sizeof(void *));
    int i;

    parts->id = __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    for (i = 0; i < n; i++) {
        const m2_keysource_t *source = APR_ARRAY_IDX(feed->sources, i, m2_fed_t).source;

        if (source->usable) {
            m2_generation_hold(pool, source->current);
            parts->part[parts->n++] = source->current->object;
        }
        else {
            parts->missing++;
        }
    }
    return parts;
}

/* Without memory nothing may be used. */
static void compose(m2_feed_t *feed)
{
    apr_pool_t *pool;

    feed->composed = NULL;
    if (apr_pool_create_unmanaged(&pool) == APR_SUCCESS) {
        feed->composed = feed->lists ? compose_lists(feed, pool) : compose_keys(feed, pool);
        feed->pool = pool;
        if (!feed->composed) {
            apr_pool_destroy(pool);
        }
    }
}

static void publish(m2_feeds_t *feeds, m2_feed_t *feed)
{
    apr_pool_t *old = feed->composed ? feed->pool : NULL;
    m2_retired_t *retired;

    compose(feed);
    m2_keyring_swap(feed->ring, feed->composed);
    if (old) {
        retired = apr_palloc(old, sizeof(*retired));
        retired->pool = old;
        retired->grace = m2_grace_begin();
        retired->next = feeds->retired;
        feeds->retired = retired;
    }
}

void m2_feeds_reclaim(m2_feeds_t *feeds)
{
    m2_retired_t **slot = &feeds->retired, *retired;

    while ((retired = *slot) != NULL) {
        if (m2_grace_over(&retired->grace)) {
            *slot = retired->next;
            apr_pool_destroy(retired->pool);
        }
        else {
            slot = &retired->next;
        }
    }
}

static m2_feed_t *add(m2_feeds_t *feeds, m2_keyring_t *ring, const m2_keyset_t *fixed,
                      const apr_array_header_t *sources, int lists)
{
    m2_feed_t *feed = apr_pcalloc(feeds->list->pool, sizeof(*feed));

    feed->ring = ring;
    feed->fixed = fixed;
    feed->sources = sources;
    feed->lists = lists;
    APR_ARRAY_PUSH(feeds->list, m2_feed_t *) = feed;
    m2_keyring_set_feed(ring, feed);
    publish(feeds, feed);
    return feed;
}

m2_feed_t *m2_feed_add(m2_feeds_t *feeds, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources)
{
    return add(feeds, ring, fixed, sources, 0);
}

m2_feed_t *m2_feed_add_lists(m2_feeds_t *feeds, m2_keyring_t *ring,
                             const apr_array_header_t *sources)
{
    return add(feeds, ring, NULL, sources, 1);
}

static int is_dirty(const m2_feed_t *feed)
{
    int i;

    for (i = 0; i < feed->sources->nelts; i++) {
        if (APR_ARRAY_IDX(feed->sources, i, m2_fed_t).source->dirty) {
            return 1;
        }
    }
    return 0;
}

void m2_feeds_publish(m2_feeds_t *feeds)
{
    int i;

    for (i = 0; i < feeds->list->nelts; i++) {
        m2_feed_t *feed = APR_ARRAY_IDX(feeds->list, i, m2_feed_t *);

        if (is_dirty(feed)) {
            publish(feeds, feed);
        }
    }
}

void m2_feeds_destroy(m2_feeds_t *feeds)
{
    m2_retired_t *retired, *next;
    int i;

    for (i = 0; i < feeds->list->nelts; i++) {
        m2_feed_t *feed = APR_ARRAY_IDX(feeds->list, i, m2_feed_t *);

        if (feed->composed) {
            m2_keyring_swap(feed->ring, NULL);
            apr_pool_destroy(feed->pool);
        }
    }
    for (retired = feeds->retired; retired; retired = next) {
        next = retired->next;
        apr_pool_destroy(retired->pool);
    }
}

/* --- looking --- */

const apr_array_header_t *m2_feed_sources(const m2_feed_t *feed)
{
    return feed ? feed->sources : NULL;
}

int m2_feed_fetched(const m2_feed_t *feed)
{
    int i;

    for (i = 0; feed && i < feed->sources->nelts; i++) {
        if (APR_ARRAY_IDX(feed->sources, i, m2_fed_t).source->kind != M2_KEYSOURCE_FILE) {
            return 1;
        }
    }
    return 0;
}
