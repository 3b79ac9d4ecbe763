/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Composing sources into sets. Composed sets live in pools without a parent, so that the
 * ticking thread can free them and nobody else does; a composed set holds the documents it
 * borrows keys from.
 */
#include "jwks/m2_feed.h"

#include "base/m2_log.h"
#include "jwks/m2_keysource_int.h"

#include <apr_hash.h>

struct m2_feed_t {
    m2_keyring_t *ring;
    const m2_keyset_t *fixed;
    const apr_array_header_t *sources;
    const m2_keyset_t *composed; /* what the ring holds; NULL: nothing may be used */
    int warned;
};

/* a composed set that requests may still hold */
typedef struct m2_retired_t {
    struct m2_retired_t *next;
    m2_grace_t grace;
    apr_pool_t *pool;
} m2_retired_t;

/* --- composing --- */

static const m2_jwk_t nobody; /* a kid that two sources use for different keys */

/* Which key each kid stands for, over all sources of a feed. What an administrator wrote
 * into the configuration is not pushed out by what somebody else publishes. */
static void claim_kids(apr_hash_t *kids, m2_feed_t *feed, const m2_keyset_t *set)
{
    int i;

    for (i = 0; i < set->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *), *other;

        if (!jwk->kid) {
            continue;
        }
        other = apr_hash_get(kids, jwk->kid, APR_HASH_KEY_STRING);
        if (!other) {
            apr_hash_set(kids, jwk->kid, APR_HASH_KEY_STRING, jwk);
        }
        else if (other == &nobody || !m2_keyset_same_key(other, jwk)) {
            int fixed =
                feed->fixed
                && apr_hash_get(feed->fixed->by_kid, jwk->kid, APR_HASH_KEY_STRING);

            if (!fixed) {
                apr_hash_set(kids, jwk->kid, APR_HASH_KEY_STRING, &nobody);
            }
            if (!feed->warned) {
                m2_log(M2_LOG_WARNING,
                       "key '%s' of one source has the kid of a different key "
                       "of another; %s",
                       jwk->kid, fixed ? "the configured one counts" : "neither counts");
                feed->warned = 1;
            }
        }
    }
}

static void add_keys(m2_keyset_t *set, apr_hash_t *kids, const m2_keyset_t *from)
{
    int i;

    for (i = 0; i < from->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(from->keys, i, const m2_jwk_t *);

        if (!jwk->kid || apr_hash_get(kids, jwk->kid, APR_HASH_KEY_STRING) == jwk) {
            m2_keyset_add(set, jwk, NULL); /* beyond M2_MAX_KEYS: not added */
        }
    }
}

/* The set of a feed as its sources are now; NULL when nothing in it may be used. */
static m2_keyset_t *compose(m2_feed_t *feed)
{
    apr_hash_t *kids;
    m2_keyset_t *set;
    apr_pool_t *pool;
    int i, round;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return NULL;
    }
    set = m2_keyset_make(pool);
    kids = apr_hash_make(pool);
    for (round = 0; round < 2; round++) {
        if (feed->fixed && round == 0) {
            claim_kids(kids, feed, feed->fixed);
        }
        else if (feed->fixed) {
            add_keys(set, kids, feed->fixed);
        }
        for (i = 0; i < feed->sources->nelts; i++) {
            m2_keysource_t *source = APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *);

            if (!source->usable) {
                set->incomplete = 1;
            }
            else if (round == 0) {
                claim_kids(kids, feed, source->current->set);
                m2_generation_hold(pool, source->current);
            }
            else {
                add_keys(set, kids, source->current->set);
            }
        }
    }
    if (!set->keys->nelts) {
        apr_pool_destroy(pool);
        return NULL;
    }
    return set;
}

static void publish(m2_feeds_t *feeds, m2_feed_t *feed)
{
    const m2_keyset_t *old = feed->composed;
    m2_retired_t *retired;

    feed->composed = compose(feed);
    m2_keyring_swap(feed->ring, feed->composed);
    if (old) {
        retired = apr_palloc(old->pool, sizeof(*retired));
        retired->pool = old->pool;
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

m2_feed_t *m2_feed_add(m2_feeds_t *feeds, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources)
{
    m2_feed_t *feed = apr_pcalloc(feeds->list->pool, sizeof(*feed));

    feed->ring = ring;
    feed->fixed = fixed;
    feed->sources = sources;
    APR_ARRAY_PUSH(feeds->list, m2_feed_t *) = feed;
    m2_keyring_set_feed(ring, feed);
    publish(feeds, feed);
    return feed;
}

static int is_dirty(const m2_feed_t *feed)
{
    int i;

    for (i = 0; i < feed->sources->nelts; i++) {
        if (APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *)->dirty) {
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
            apr_pool_destroy(feed->composed->pool);
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
        if (APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *)->kind != M2_KEYSOURCE_FILE) {
            return 1;
        }
    }
    return 0;
}
