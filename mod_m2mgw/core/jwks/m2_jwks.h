/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Where keys come from while a server runs: files that change, URLs that are fetched again,
 * issuers that are asked for their URL. One registry per server: a source that a hundred
 * sections name is one source. What a section has in force is a feed: fixed keys and
 * sources, composed into one immutable set that is swapped into the section's ring.
 *
 * Who does what:
 *   parent, reading configuration   make, file, url, refresh, feed
 *   parent, before children         share (memory), open (last good copies)
 *   each child, before it serves    catch up
 *   each child, one thread          start, tick ten times a second, stop
 *   each child, any request         ask, wait
 *
 * Children share one slot per source, without a lock: who may fetch (one of them, the
 * others see a claim that ends by itself), when the next fetch is due, and the version of
 * the document that lies in the state directory, from where all of them read it.
 *
 * A source's document is only ever replaced by one that holds a usable key. Documents that
 * were fetched are not trusted for symmetric keys, nor for more than max-stale seconds
 * behind the last time that somebody confirmed them.
 */
#ifndef M2_JWKS_H
#define M2_JWKS_H

#include "jwks/m2_fetch.h"
#include "key/m2_keyring.h"

typedef struct m2_jwks_t m2_jwks_t;
typedef struct m2_keysource_t m2_keysource_t;
typedef struct m2_feed_t m2_feed_t;

/* M2MJwksRefresh, in seconds */
typedef struct m2_refresh_t {
    int ttl;       /* between two fetches, unless the answer says sooner */
    int max_stale; /* how long the last good set may be used without a successful fetch */
    int timeout;   /* of one request */
    int cooldown;  /* between two early fetches for unknown kids */
} m2_refresh_t;

typedef enum m2_keysource_kind_t {
    M2_KEYSOURCE_FILE,
    M2_KEYSOURCE_URL,
    M2_KEYSOURCE_ISSUER /* finds its URL by RFC 8414 or OpenID discovery */
} m2_keysource_kind_t;

/* --- while configuration is read --- */

m2_jwks_t *m2_jwks_make(apr_pool_t *pool);

/** The source of a file, absolute path, which is read now and strictly. M2_E_CONFIG with
 *  the fault. */
m2_code_t m2_jwks_file(m2_keysource_t **psource, m2_jwks_t *jwks, const char *path,
                       m2_err_t *err);

/** The source of a URL or an issuer. M2_E_CONFIG for a URL that keys must not come from.
 *  */
m2_code_t m2_jwks_url(m2_keysource_t **psource, m2_jwks_t *jwks, m2_keysource_kind_t kind,
                      const char *url, m2_err_t *err);

/** https, or http to a loopback address; with a host, without user name or fragment. */
m2_code_t m2_url_check(apr_pool_t *pool, const char *url, m2_err_t *err);

/** The refresh policy of a URL or issuer. M2_E_CONFIG when another was set before. */
m2_code_t m2_keysource_refresh(m2_keysource_t *source, const m2_refresh_t *refresh,
                               m2_err_t *err);

/** What a file held when it was read strictly; NULL for others. */
const m2_keyset_t *m2_keysource_keys(const m2_keysource_t *source);

/** Its path, URL or issuer. */
const char *m2_keysource_name(const m2_keysource_t *source);

/** Feed ring from fixed keys (may be NULL) and sources (of m2_keysource_t *), and fill
 *  it. */
m2_feed_t *m2_jwks_feed(m2_jwks_t *jwks, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources);

/** Whether there is anything to watch, and anything to fetch. */
int m2_jwks_watched(const m2_jwks_t *jwks);
int m2_jwks_fetched(const m2_jwks_t *jwks);

/** The sources of a feed (of m2_keysource_t *); NULL for NULL. */
const apr_array_header_t *m2_feed_sources(const m2_feed_t *feed);

/** Whether a feed has a source that is fetched, so that asking for a key may help. */
int m2_feed_fetched(const m2_feed_t *feed);

/* --- before there are children --- */

/** Bytes of memory to share, and the memory (zeroed), inherited by all children. */
apr_size_t m2_jwks_shared_size(const m2_jwks_t *jwks);
void m2_jwks_share(m2_jwks_t *jwks, void *memory);

/** Read the last good copies of what was fetched. state_dir is writable by the children.
 *  */
void m2_jwks_open(m2_jwks_t *jwks, const char *state_dir, apr_time_t now);

/* --- in one thread of each child --- */

/** Before the child serves: bring what it inherited up to date, so that a child that
 *  starts late knows what the others know. */
void m2_jwks_catch_up(m2_jwks_t *jwks, apr_time_t now);

/** tls lives as long as the registry. 0 when there is no memory. */
int m2_jwks_start(m2_jwks_t *jwks, const m2_fetch_tls_t *tls, apr_pool_t *pool);

/** Look at files, pick up what other children fetched, fetch what is due, swap what
 *  changed, free what nobody holds. Returns within about a tenth of a second. */
void m2_jwks_tick(m2_jwks_t *jwks, apr_time_t now);

/** Drop what is under way, so that another child may do it. Where a signal handler may be the
 *  caller (m2_hold_needed), nothing is freed: the process ends. */
void m2_jwks_stop(m2_jwks_t *jwks);

/* --- in requests --- */

/**
 * A token named a kid that ring's set does not hold: ask for an early refresh. Granted once
 * per cooldown and source whoever asks, and never again for a kid that a refresh did not
 * bring, for five cooldowns or ttl. Returns whether a refresh that this kid asked for is on
 * its way.
 */
int m2_jwks_ask(const m2_keyring_t *ring, m2_slice_t kid, apr_time_t now);

/** Wait for what was asked for, not between enter and leave. Whether it is worth to
 *  choose again. At most a few requests of a process wait; for the others this returns 0.
 *  */
int m2_jwks_wait(const m2_keyring_t *ring, apr_uint64_t generation,
                 apr_interval_time_t most);

/* --- for people --- */

typedef struct m2_keysource_info_t {
    const char *name;  /* path, URL or issuer */
    const char *kind;  /* file, url or issuer */
    const char *state; /* fresh, stale, unavailable (a URL); ok, broken (a file) */
    const char *fault; /* of the last attempt, or NULL */
    int keys;
    int usable;         /* its keys are in use */
    apr_time_t checked; /* last time the document was confirmed; 0: never */
    apr_time_t due;     /* next fetch; 0: none */
    apr_uint64_t fetches, failures, early, swaps;
} m2_keysource_info_t;

int m2_jwks_count(const m2_jwks_t *jwks);
void m2_jwks_info(m2_keysource_info_t *info, apr_pool_t *pool, const m2_jwks_t *jwks,
                  int i, apr_time_t now);

#endif /* M2_JWKS_H */
