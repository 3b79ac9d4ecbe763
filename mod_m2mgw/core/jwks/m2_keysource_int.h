/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the room: a source, and its slot in memory that all children share.
 */
#ifndef M2_KEYSOURCE_INT_H
#define M2_KEYSOURCE_INT_H

#include "jwks/m2_document.h"
#include "jwks/m2_fetch.h"
#include "jwks/m2_keysource.h"

#include "text/m2_copy.h"

#define M2_KIDS 64         /* unknown kids a source remembers */
#define M2_FAULT_BYTES 640 /* of the last fault's text: two names of issuers and a URL */

/* One per source, in memory all children share. Every member is read and written
 * atomically; `claimed` is won by compare-and-swap and guards the writing of the others
 * (but asked, kids and noted, which have rules of their own). Times are apr_time_t. */
typedef struct m2_slot_t {
    apr_uint64_t version;  /* of the document in the state directory; 0: absent */
    apr_uint64_t digest;   /* of that document */
    apr_uint64_t checked;  /* when a process last confirmed it */
    apr_uint64_t interval; /* between two fetches, as the last answer wants it */
    apr_uint64_t due;      /* next fetch */
    apr_uint64_t claimed;  /* until when the fetch belongs to the process that set this; 0: free */
    apr_uint64_t ended;    /* attempts that ended, well or not */
    apr_uint64_t asked;    /* last early refresh that was granted */
    apr_uint64_t noted;    /* last thing that was logged: one process of all logs it */
    apr_uint64_t keys;     /* in the document, or entries */
    apr_uint64_t fetches, failures, early, swaps; /* counters for people */
    apr_uint64_t failing; /* attempts that failed since the last good one */
    apr_uint64_t lost;    /* since then, what was there before was found to be lost */
    apr_uint64_t unstored; /* what was fetched last could not be stored: until it can, every
                              child fetches for itself */
    struct {
        apr_uint64_t hash, since;
    } kids[M2_KIDS];
    char fault[M2_FAULT_BYTES];
} m2_slot_t;

/* Requests that wait, of all children: each has a seat until then, or until it leaves. A child
 * that is killed gives its seats back by the time. */
typedef struct m2_waiters_t {
    apr_uint64_t most; /* seats */
    apr_uint64_t until[1];
} m2_waiters_t;

/* A parsed document; lives while it is current, or part of a composed set. Only the
 * thread that ticks counts. */
typedef struct m2_generation_t {
    apr_pool_t *pool;
    const void *object; /* of the source's kind of document: a key set, a list */
    int holders;
} m2_generation_t;

struct m2_keysource_t {
    apr_pool_t *pool;         /* of the registry */
    m2_keysource_kind_t kind;
    const m2_document_t *document; /* what its documents are */
    const char *name;         /* path, URL or issuer */
    const char *label;        /* it, for messages */
    int plain;                /* http is allowed to any host */
    m2_refresh_t refresh; /* ttl 0: not yet set */
    m2_slot_t *slot;          /* NULL until shared */
    const apr_uint64_t *seed; /* of the hashes of kids; NULL until shared */
    m2_waiters_t *waiters;    /* likewise */
    m2_generation_t *current; /* NULL: none */
    int usable;               /* current may be used now */
    int dirty;                /* every feed of it is to be composed again */
    m2_copy_t *copy;          /* of what any process believed last; NULL: none is kept */
    apr_uint64_t copied;      /* its version that this process has */
    apr_uint64_t taken;       /* version that current was read from */
    apr_uint64_t seen;        /* likewise, once the rings have it; read by requests */
    /* a file */
    m2_watch_t watch;
    apr_uint64_t digest; /* of the text that current was read from */
    apr_size_t size;     /* of that text */
    apr_time_t looked;
    apr_time_t taking;     /* how long the last look took */
    int may_miss;          /* a missing file counts as empty: it will be created later */
    int broken;            /* what the file holds cannot be used */
    const char *kept_for;  /* why it counts from the start; NULL: the file was good */
    /* what is fetched */
    m2_puller_t puller;   /* pull is NULL: by a transfer */
    const char *state_path;
    apr_uint64_t own_checked; /* when what is current was last confirmed, by this process */
    apr_uint64_t untaken;     /* version that could not be read, as already logged */
    apr_uint64_t own_due;     /* while nothing can be stored: the next fetch of this process */
    apr_uint64_t own_tried;   /* likewise the last one */
    apr_uint64_t own_digest;  /* of current, which this process fetched for itself; else 0 */
    m2_fetch_t *fetcher;  /* of the fetch that is under way */
    apr_pool_t *fetching; /* NULL: no fetch of this process is under way */
    int step;             /* of the fetch that is under way */
    apr_uint64_t claim;   /* what it set `claimed` to */
    const char *asked;    /* the URL that was asked last, for messages, in fetching */
    const char *refused;  /* why metadata that the first step found was not taken, or NULL */
    const char *etag;     /* of current, in its pool */
};

static inline apr_uint64_t m2_slot_get(const apr_uint64_t *member)
{
    return __atomic_load_n(member, __ATOMIC_ACQUIRE);
}

static inline void m2_slot_set(apr_uint64_t *member, apr_uint64_t value)
{
    __atomic_store_n(member, value, __ATOMIC_RELEASE);
}

static inline int m2_slot_win(apr_uint64_t *member, apr_uint64_t old, apr_uint64_t value)
{
    return __atomic_compare_exchange_n(member, &old, value, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static inline void m2_slot_count(apr_uint64_t *member)
{
    __atomic_add_fetch(member, 1, __ATOMIC_ACQ_REL);
}

/** FNV-1a of bytes, from a start value. */
static inline apr_uint64_t m2_slot_hash(apr_uint64_t hash, m2_slice_t bytes)
{
    apr_size_t i;

    hash ^= 0xcbf29ce484222325u;
    for (i = 0; i < bytes.n; i++) {
        hash = (hash ^ (unsigned char)bytes.p[i]) * 0x100000001b3u;
    }
    return hash;
}

/* A clock that was set back delays nothing: what is due later than ttl from now is due, and a
 * claim that outlives the longest fetch is void. */

#define M2_CLAIM_MARGIN 5 /* seconds a claim outlives its timeouts, for a busy machine */
#define M2_FETCH_STEPS 3  /* requests of one fetch at most */

/** Whether a fetch is due. */
int m2_keysource_is_due(const m2_keysource_t *source, apr_time_t now);

/** Whether a fetch is under way in some child. */
int m2_keysource_is_claimed(const m2_keysource_t *source, apr_time_t now);

/** Keep a document as long as pool. Only the thread that ticks may destroy pool. */
void m2_generation_hold(apr_pool_t *pool, m2_generation_t *generation);

/** Let go of a document (may be NULL), freed with the last holder. */
void m2_generation_drop(m2_generation_t *generation);

/** Parse text and make it the source's current document. */
m2_code_t m2_keysource_take(m2_keysource_t *source, m2_slice_t text, int flags,
                            m2_keyset_mode_t mode, m2_err_t *err);

/** Until when a document that was confirmed at `checked` may be used, in microseconds:
 *  for max-stale; keys for never less than it takes to refresh them in good order. */
apr_time_t m2_keysource_lifetime(const m2_keysource_t *source);

/** Whether what the source holds may be used has to be looked at again. */
void m2_keysource_judge(m2_keysource_t *source, apr_time_t now);

/** Every feed of the source is to be composed again. */
void m2_keysource_soil(m2_keysource_t *source);

/** The words for people about the last attempt. */
void m2_keysource_set_fault(m2_keysource_t *source, const char *fault);

/** Log by one process of all: 1 for the caller who is first to note this. */
int m2_keysource_note(m2_keysource_t *source, apr_uint64_t what);

#endif /* M2_KEYSOURCE_INT_H */
