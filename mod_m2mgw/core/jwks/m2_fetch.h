/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Fetching documents over HTTP, many at a time, by one thread that never blocks: it starts
 * transfers, runs them a little, and is called back for each that ends. m2_fetch_curl.c is
 * the only home of libcurl; without it m2_fetch_none.c says so.
 *
 * What comes back is bounded in time and size, came over TLS that was verified (or from
 * loopback), and is otherwise not trusted.
 */
#ifndef M2_FETCH_H
#define M2_FETCH_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#define M2_MAX_FETCHES 64 /* transfers at a time in one process: dead hosts hold theirs */
#define M2_MAX_REDIRECTS 3 /* and never to anything but https */

typedef struct m2_fetch_t m2_fetch_t;

/* M2MJwksTLS; members NULL where nothing was said */
typedef struct m2_fetch_tls_t {
    const char *ca, *cert, *key, *proxy;
    const char *no_proxy; /* hosts joined by commas that are asked without it: exact names, or
                             with a leading dot what lies below as well */
} m2_fetch_tls_t;

/* How a transfer ended. Valid during the callback. */
typedef struct m2_answer_t {
    const char *fault; /* a few words for the log; NULL when there is an answer */
    int status;        /* HTTP status of the answer */
    m2_slice_t body;
    const char *etag;  /* NULL: none */
    int max_age;       /* of Cache-Control in seconds, 0 for no-store and no-cache;
                          M2_UNSET: nothing was said */
    int lost;          /* fault: there is an answer, and it lacks what was there before */
    int unbounded;     /* it ended with the connection, by HTTP/1 without a Content-Length or
                          chunks: one that was cut off looks the same (RFC 9112 6.3) */
} m2_answer_t;

typedef void m2_fetched_fn(const m2_answer_t *answer, void *baton);

/** What brings a document in the place of a transfer: fills answer, which is zeroed but for
 *  max_age, by what it knows already, with texts in pool. etag is that of the document that is
 *  in use, or NULL: 304 when it is still the one. Never waits: what leaves answer as it was has
 *  nothing to say yet, and is called again. */
typedef void m2_pull_fn(m2_answer_t *answer, apr_pool_t *pool, const char *etag, void *baton);

/** Begin to know, in a process of its own, as long as pool. */
typedef m2_code_t m2_puller_fn(void *baton, apr_pool_t *pool, m2_err_t *err);

/** Be told what is in force in this process: the etag of that document, NULL for none. Often,
 *  and in the thread that pulls. */
typedef void m2_note_fn(const char *etag, void *baton);

typedef struct m2_puller_t {
    m2_pull_fn *pull;
    m2_puller_fn *attach;
    m2_note_fn *note; /* or NULL */
    const char *kind; /* a word for people */
    void *baton;
} m2_puller_t;

/** Whether this build can fetch. */
int m2_fetch_available(void);

/** Once per process before threads start, and when the process is done with fetching. */
int m2_fetch_init(void);
void m2_fetch_exit(void);

/** A fetcher for one thread. tls is borrowed. NULL when there is no memory. */
m2_fetch_t *m2_fetch_open(apr_pool_t *pool, const m2_fetch_tls_t *tls);

/** Start a transfer of at most timeout seconds and max bytes. etag, unless NULL, goes into
 *  If-None-Match. 0 when too many are under way; fn is not called then. */
int m2_fetch_start(m2_fetch_t *fetch, const char *url, const char *etag, int timeout,
                   apr_size_t max, m2_fetched_fn *fn, void *baton);

/** Run transfers for at most `wait`, return early when one ends; fn is called from here and
 *  may start others. Returns how many are under way. */
int m2_fetch_run(m2_fetch_t *fetch, apr_interval_time_t wait);

/** Drop all transfers; no callback is called. */
void m2_fetch_close(m2_fetch_t *fetch);

#endif /* M2_FETCH_H */
