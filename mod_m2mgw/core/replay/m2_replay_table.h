/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of spent tokens, in memory that processes share. Everything except m2_rt_lock itself
 * needs the lock held, or a table that no other process has yet. The layout is drawn in the .c.
 */
#ifndef M2_REPLAY_TABLE_H
#define M2_REPLAY_TABLE_H

#include "base/m2.h"
#include "replay/m2_leeway.h"

#include <pthread.h>
#include <sys/types.h>

#define M2_RT_MAGIC "m2m jti"
#define M2_RT_VERSION 1
#define M2_RT_BYTE_ORDER 0x01020304u

typedef struct m2_rt_slot_t {
    apr_uint64_t id[2];
    apr_uint64_t check;
    apr_uint64_t expiry; /* first second the mark is dead */
} m2_rt_slot_t;

typedef struct m2_rt_head_t {
    char magic[8];
    apr_uint32_t version;
    apr_uint32_t order;
    apr_uint32_t entries;
    apr_uint32_t buckets;
    apr_uint64_t size;
    apr_uint64_t salt[2]; /* places of ids cannot be predicted */
    apr_uint64_t created;
    apr_uint64_t check;   /* over all before */
} m2_rt_head_t;

typedef struct m2_rt_state_t {
    pthread_mutex_t lock;
    apr_uint64_t hand;    /* second up to which the wheel has been walked */
    apr_uint64_t live;
    apr_uint64_t held;    /* slots ever used: tells zeroed pages from unused ones */
    apr_uint32_t retired; /* another table took over: no more marks here */
    apr_uint32_t clean;   /* written back on an orderly stop */
    char boot[40];        /* kernel's boot id when it was last opened */
    m2_leeway_t leeway;   /* what the marks were made with */
} m2_rt_state_t;

/* A mapped table. Lives in the process pool, holds no pointer into code. */
typedef struct m2_rt_t {
    m2_rt_head_t *head;
    m2_rt_state_t *state;
    apr_uint32_t *wheel;
    m2_rt_slot_t *slots;
    apr_size_t size;
    int fd;               /* of the file, holding its lock; -1 without */
    dev_t dev;
    ino_t ino;
    char path[4096];      /* "" without */
    pid_t opener;
} m2_rt_t;

typedef enum m2_rt_marked_t { M2_RT_MARKED, M2_RT_KNOWN, M2_RT_FULL } m2_rt_marked_t;

/** Take the lock: 0, or an errno when it is stuck for two seconds. When its last holder was
 *  killed the table is counted anew as of now (seconds). */
int m2_rt_lock(m2_rt_t *table, apr_uint64_t now);

/** Bring the count of live marks to now: forward by the wheel, backward by counting anew. */
void m2_rt_advance(m2_rt_t *table, apr_uint64_t now);
void m2_rt_recount(m2_rt_t *table, apr_uint64_t now);

/** Mark id (16 bytes) until expiry, the first second it is dead; the hand is at now or ahead. */
m2_rt_marked_t m2_rt_mark(m2_rt_t *table, const apr_uint64_t *id, apr_uint64_t expiry,
                          apr_uint64_t now);

/** Make every live mark longer by that many seconds, and count anew. */
void m2_rt_extend(m2_rt_t *table, apr_uint32_t seconds, apr_uint64_t now);

/** Copy what is alive in old, locked by the caller, to a table that no other process has: 0 when
 *  it does not have room for all of it. */
int m2_rt_take_over(m2_rt_t *table, m2_rt_t *old, apr_uint64_t now);

/* geometry of a table of that many entries, and what a whole head and slot add up to */
apr_uint32_t m2_rt_buckets(apr_uint32_t entries);
apr_size_t m2_rt_size(apr_uint32_t entries);
apr_uint64_t m2_rt_slots(const m2_rt_t *table);
apr_uint64_t m2_rt_head_check(const m2_rt_head_t *head);
apr_uint64_t m2_rt_slot_check(const m2_rt_slot_t *slot, apr_uint64_t expiry);

/** Fill a head for that many entries; 0 when there are no random bytes. */
int m2_rt_make_head(m2_rt_head_t *head, apr_uint32_t entries);

/** Map size bytes of fd, or of memory for -1; 0 with errno. */
int m2_rt_map(m2_rt_t *table, int fd, apr_size_t size);
void m2_rt_unmap(m2_rt_t *table);

#endif /* M2_REPLAY_TABLE_H */
