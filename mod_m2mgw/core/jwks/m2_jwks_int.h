/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the m2_jwks*.c files: a source, its slot in shared memory, and who calls whom.
 */
#ifndef M2_JWKS_INT_H
#define M2_JWKS_INT_H

#include "jwks/m2_jwks.h"

#include <apr_file_info.h>

#define M2_KIDS 64         /* unknown kids a source remembers */
#define M2_FAULT_BYTES 120 /* of the last fault's text */

/* One per source, in memory all children share. Every member is read and written
 * atomically; `claimed` is won by compare-and-swap and guards the writing of the others
 * (but asked, kids and noted, which have rules of their own). Times are apr_time_t. */
typedef struct m2_slot_t {
    apr_uint64_t version;  /* of the document in the state directory; 0: there is none */
    apr_uint64_t digest;   /* of that document */
    apr_uint64_t checked;  /* when somebody last confirmed it */
    apr_uint64_t interval; /* between two fetches, as the last answer wants it */
    apr_uint64_t due;      /* next fetch */
    apr_uint64_t claimed;  /* until when the fetch belongs to whoever set this; 0: free */
    apr_uint64_t ended;    /* attempts that ended, well or not */
    apr_uint64_t asked;    /* last early refresh that was granted */
    apr_uint64_t noted;    /* last thing that was logged: one process of all logs it */
    apr_uint64_t keys;     /* in the document */
    apr_uint64_t fetches, failures, early, swaps; /* counters for people */
    apr_uint64_t failing; /* attempts that failed since the last good one */
    struct {
        apr_uint64_t hash, since;
    } kids[M2_KIDS];
    char fault[M2_FAULT_BYTES];
} m2_slot_t;

/* A parsed document; lives while it is current, or part of a composed set. Only the
 * thread that ticks counts. */
typedef struct m2_generation_t {
    apr_pool_t *pool;
    m2_keyset_t *set;
    int holders;
} m2_generation_t;

typedef struct m2_signature_t {
    apr_time_t mtime, ctime;
    apr_off_t size;
    apr_ino_t inode;
    apr_dev_t device;
} m2_signature_t;

struct m2_keysource_t {
    m2_jwks_t *jwks;
    m2_keysource_kind_t kind;
    const char *name;
    m2_refresh_t refresh; /* ttl 0: not yet set */
    m2_slot_t *slot;
    m2_generation_t *current; /* NULL: none */
    int usable;               /* current may be used now */
    apr_uint64_t taken;       /* version that current was read from */
    apr_uint64_t seen;        /* likewise, once the rings have it; read by requests */
    /* a file */
    m2_signature_t signature, settling;
    apr_uint64_t digest; /* of the text that current was read from */
    apr_time_t looked;
    /* what is fetched */
    const char *state_path;
    apr_pool_t *fetching; /* NULL: no fetch of this process is under way */
    int step;             /* of the fetch that is under way */
    const char *etag;     /* of current, in its pool */
};

struct m2_feed_t {
    m2_keyring_t *ring;
    const m2_keyset_t *fixed;
    const apr_array_header_t *sources;
    const m2_keyset_t *composed; /* what the ring holds; NULL: nothing may be used */
    int dirty;
    int warned;
};

/* a composed set that requests may still hold */
typedef struct m2_retired_t m2_retired_t;
struct m2_retired_t {
    m2_retired_t *next;
    m2_grace_t grace;
    apr_pool_t *pool;
};

struct m2_jwks_t {
    apr_pool_t *pool;
    apr_array_header_t *sources; /* of m2_keysource_t * */
    apr_array_header_t *feeds;   /* of m2_feed_t * */
    m2_slot_t *slots;            /* NULL until shared */
    apr_uint64_t *seed;          /* of the hashes of kids, behind the slots */
    m2_fetch_t *fetch;
    m2_retired_t *retired;
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

/* --- m2_jwks.c --- */

/** Parse text and make it the source's current document. */
m2_code_t m2_keysource_take(m2_keysource_t *source, m2_slice_t text, int flags,
                            m2_keyset_mode_t mode, m2_err_t *err);

/** Until when a document that was confirmed at `checked` may be used, in microseconds:
 *  for max-stale, but never less than it takes to refresh it in good order. */
apr_time_t m2_keysource_lifetime(const m2_keysource_t *source);

/** Whether what the source holds may be used has to be looked at again. */
void m2_keysource_judge(m2_keysource_t *source, apr_time_t now);

/** Every feed of the source is to be composed again. */
void m2_keysource_soil(m2_keysource_t *source);

/** The words for people about the last attempt. */
void m2_keysource_set_fault(m2_keysource_t *source, const char *fault);

/** Log by one process of all: 1 for the caller who is first to note this. */
int m2_keysource_note(m2_keysource_t *source, apr_uint64_t what);

/* --- m2_jwks_state.c --- */

/* what a file of the state directory says; document and etag only while it is read */
typedef struct m2_state_t {
    m2_slice_t document;
    const char *etag;
    int interval; /* seconds */
    apr_time_t checked;
    apr_uint64_t digest;
} m2_state_t;

/** Where the copy of a source lies; NULL when OpenSSL refuses. */
const char *m2_state_path(m2_keysource_t *source, const char *state_dir);

/** Store a document that was found good. */
apr_status_t m2_state_write(const m2_keysource_t *source, apr_pool_t *pool,
                            m2_slice_t document, const char *etag, apr_uint64_t interval);

/** Make the copy the source's current document; 0 when there is none that is good. */
int m2_state_take(m2_state_t *state, m2_keysource_t *source, int flags);

/* --- m2_jwks_fetch.c --- */

/** Pick up what another child fetched. */
void m2_keysource_pick_up(m2_keysource_t *source, apr_time_t now);

/** Likewise, and fetch when it is due. */
void m2_keysource_tick(m2_keysource_t *source, apr_time_t now);

/** Read the last good copy, if there is one that may still be used. */
void m2_keysource_restore(m2_keysource_t *source, apr_time_t now);

/** Give back a claim. */
void m2_keysource_abandon(m2_keysource_t *source);

#endif /* M2_JWKS_INT_H */
