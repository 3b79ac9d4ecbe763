/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a section has in force: fixed keys and sources, composed into one immutable set that
 * is swapped into the section's ring.
 */
#ifndef M2_FEED_H
#define M2_FEED_H

#include "jwks/m2_keysource.h"
#include "key/m2_keyring.h"

typedef struct m2_feed_t m2_feed_t;

/* a source of a feed */
typedef struct m2_fed_t {
    m2_keysource_t *source;
    const char *issuer; /* its keys are bound to that one here; NULL: as they say themselves */
} m2_fed_t;

/** The sources of a feed (of m2_fed_t); NULL for NULL. */
const apr_array_header_t *m2_feed_sources(const m2_feed_t *feed);

/** Whether a feed has a source that is fetched, so that asking for a key may help. */
int m2_feed_fetched(const m2_feed_t *feed);

/* --- private to the room --- */

/* all feeds of a registry, and composed sets that requests may still hold */
typedef struct m2_feeds_t {
    apr_array_header_t *list; /* of m2_feed_t * */
    struct m2_retired_t *retired;
} m2_feeds_t;

/** Feed ring from fixed keys (may be NULL) and sources (of m2_fed_t), and fill it. */
m2_feed_t *m2_feed_add(m2_feeds_t *feeds, m2_keyring_t *ring, const m2_keyset_t *fixed,
                       const apr_array_header_t *sources);

/** Likewise of sources that are lists: the ring holds an m2_parts_t. */
m2_feed_t *m2_feed_add_lists(m2_feeds_t *feeds, m2_keyring_t *ring,
                             const apr_array_header_t *sources);

/** Compose every feed of a source that is dirty again. */
void m2_feeds_publish(m2_feeds_t *feeds);

/** Free what is no longer referenced. */
void m2_feeds_reclaim(m2_feeds_t *feeds);

/** Empty all rings and free all sets; no request runs any more. */
void m2_feeds_destroy(m2_feeds_t *feeds);

#endif /* M2_FEED_H */
