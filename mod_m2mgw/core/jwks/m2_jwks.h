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
 * the document, which all of them read from memory (m2_copy), or from the state directory.
 *
 * A source's document is only ever replaced by one that holds a usable key. Documents that
 * were fetched are not trusted for symmetric keys, nor for more than max-stale seconds
 * behind the last time that somebody confirmed them.
 *
 * The room jwks decides when keys are read or fetched again, and whether what came may
 * be used. Never knows a token.
 */
#ifndef M2_JWKS_H
#define M2_JWKS_H

#include "jwks/m2_document.h"
#include "jwks/m2_feed.h"
#include "jwks/m2_fetch.h"
#include "jwks/m2_jwks_ask.h"
#include "jwks/m2_keysource.h"
#include "jwks/m2_url.h"

typedef struct m2_jwks_t m2_jwks_t;

/* --- while configuration is read --- */

m2_jwks_t *m2_jwks_make(apr_pool_t *pool);

/** Keep the last good text of each source that is named from now on, over restarts: in memory of
 *  `process`, the pool of the process. */
void m2_jwks_keep_copies(m2_jwks_t *jwks, apr_pool_t *process);

/** The source of a file, absolute path, which is read now and strictly. M2_E_CONFIG with
 *  the fault. */
m2_code_t m2_jwks_file(m2_keysource_t **psource, m2_jwks_t *jwks, const char *path,
                       m2_err_t *err);

/** Likewise of documents of another kind. may_miss: a file that is not there is empty. */
m2_code_t m2_jwks_list_file(m2_keysource_t **psource, m2_jwks_t *jwks,
                            const m2_document_t *document, const char *path, int may_miss,
                            m2_err_t *err);

/** The source of a file that cannot be used, and this is why: with the last text of it that any
 *  process believed. For the restart of a running server. m2_keysource_keys is NULL if no such
 *  text is known; its keys are then unavailable until the file is good. */
m2_keysource_t *m2_jwks_file_kept(m2_jwks_t *jwks, const char *path, const char *why);

/** The source of a URL or an issuer. plain: http to any host is allowed for it and for what its
 *  metadata names. M2_E_CONFIG for a URL that keys must not come from. */
m2_code_t m2_jwks_url(m2_keysource_t **psource, m2_jwks_t *jwks, m2_keysource_kind_t kind,
                      const char *url, int plain, m2_err_t *err);

/** Likewise of a list at a URL, and of a list file that cannot be used. */
m2_code_t m2_jwks_list_url(m2_keysource_t **psource, m2_jwks_t *jwks,
                           const m2_document_t *document, const char *url, m2_err_t *err);
m2_keysource_t *m2_jwks_list_kept(m2_jwks_t *jwks, const m2_document_t *document,
                                  const char *path, const char *why);

/** The source of a list that puller brings; name tells it from others. One that is named again
 *  has the puller of the first time. */
m2_keysource_t *m2_jwks_list_pulled(m2_jwks_t *jwks, const m2_document_t *document,
                                    const char *name, const m2_puller_t *puller);

/** Feed ring from sources that are lists: it holds an m2_parts_t. */
m2_feed_t *m2_jwks_feed_lists(m2_jwks_t *jwks, m2_keyring_t *ring,
                              const apr_array_header_t *sources);

/** Feed ring from fixed keys (may be NULL) and sources (of m2_fed_t), and fill
 *  it. */
m2_feed_t *m2_jwks_feed(m2_jwks_t *jwks, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources);

/** Whether there is anything to watch, and anything to fetch. */
int m2_jwks_watched(const m2_jwks_t *jwks);
int m2_jwks_fetched(const m2_jwks_t *jwks);

/* --- before there are children --- */

/** How many requests of all children may wait at a time; 1 unless it is said before sharing. */
void m2_jwks_set_waiters(m2_jwks_t *jwks, apr_size_t most);

/** Bytes of memory to share, and the memory (zeroed), inherited by all children. */
apr_size_t m2_jwks_shared_size(const m2_jwks_t *jwks);
void m2_jwks_share(m2_jwks_t *jwks, void *memory);

/** The user that the children run as, whose copies in the state directory count; those of others
 *  but root do not. */
void m2_jwks_trust(apr_uint32_t uid);

/** Read the last good copies of what was fetched, and remove what killed children left. state_dir
 *  is writable by the children; NULL: no directory can be used, so that every child fetches for
 *  itself. */
void m2_jwks_open(m2_jwks_t *jwks, const char *state_dir, apr_time_t now);

/* --- in one thread of each child --- */

/** Before the child serves: bring what it inherited up to date, so that a child that
 *  starts late knows what the others know. */
void m2_jwks_catch_up(m2_jwks_t *jwks, apr_time_t now);

/** Likewise: what brings documents starts, for as long as pool, that of the process. */
m2_code_t m2_jwks_attach(m2_jwks_t *jwks, apr_pool_t *pool, m2_err_t *err);

/** tls lives as long as the registry. 0 when there is no memory. */
int m2_jwks_start(m2_jwks_t *jwks, const m2_fetch_tls_t *tls, apr_pool_t *pool);

/** Look at files, pick up what other children fetched, fetch what is due, swap what changed, free
 *  what is no longer referenced. Returns within about a tenth of a second. */
void m2_jwks_tick(m2_jwks_t *jwks, apr_time_t now);

/** Drop what is under way, so that another child may do it. Where a signal handler may be the
 *  caller (m2_hold_needed), nothing is freed: the process ends. */
void m2_jwks_stop(m2_jwks_t *jwks);

/* --- for people --- */

typedef struct m2_keysource_info_t {
    const char *name;  /* path, URL or issuer */
    const m2_document_t *document; /* what it brings */
    const char *kind;  /* file, url, issuer, or that of its puller */
    int is_file;
    const char *state; /* fresh, stale, unavailable (a URL); ok, broken (a file) */
    const char *fault; /* of the last attempt, or NULL */
    int keys;           /* or entries */
    int usable;         /* they are in use */
    apr_time_t checked; /* last time the document was confirmed; 0: never */
    apr_time_t due;     /* next fetch; 0: none */
    apr_uint64_t fetches, failures, early, swaps;
} m2_keysource_info_t;

/** How many sources there are, and what the i-th of them is at now. info->fault lives in pool, the
 *  other texts as long as jwks. Any thread. */
int m2_jwks_count(const m2_jwks_t *jwks);
void m2_jwks_info(m2_keysource_info_t *info, apr_pool_t *pool, const m2_jwks_t *jwks,
                  int i, apr_time_t now);

#endif /* M2_JWKS_H */
