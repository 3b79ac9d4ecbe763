/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay table of one machine: shared memory, or a mapped file that survives restarts.
 *
 *     0      +-----------------------------------------------------------+
 *            | head    magic, version, geometry, salt, check     (fixed) |
 *     4096   +-----------------------------------------------------------+
 *            | state   lock | hand | live | retired | boot, clean | held |
 *     8192   +-----------------------------------------------------------+
 *            | wheel   131072 counters: how many marks end in a second   |
 *            |         index = second mod 131072                         |
 *     532480 +-----------------------------------------------------------+
 *            | buckets of 16 slots, 512 bytes                            |
 *            |   slot  id (16) | check (8) | expiry (8)                  |
 *            |   expiry = 0: never used   <= now: free   > now: live     |
 *            +-----------------------------------------------------------+
 *
 * An id has two buckets, and goes to the one with fewer live marks. There are 16 slots for
 * ten entries promised, and with two choices hardly a bucket grows past its mean of 10 by
 * more than log log n: with all entries alive 13 in 100000 hold 14, none of 50 million was
 * seen to hold 15, and each step up squares the rarity. So what bounds the table is the exact
 * count of live marks. Slots are never moved; a mark reads 32 slots and writes one, and that
 * is all it ever costs.
 *
 * The count is exact without a sweep: each mark is counted in `live` and in the wheel at the
 * second it ends; as time passes the hand walks the wheel and takes from `live` what ended.
 *
 * One robust lock guards it all, for some 200 ns. When its holder is killed the next one
 * gets EOWNERDEAD: the table is whole at any instruction, since a slot counts only from its
 * last store (expiry) on and is emptied by its first; only live and wheel are counted anew.
 */
#include "replay/m2_replay_table.h"

#include "replay/m2_lock.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define WAYS 16              /* slots of a bucket */
#define MEAN 10              /* of them taken when all entries are alive */
#define MIN_BUCKETS 256      /* so that small tables are bounded by their count as well */
#define WHEEL 131072         /* seconds, more than a day */
#define HEAD_AT 0
#define STATE_AT 4096
#define WHEEL_AT 8192
#define BUCKETS_AT (WHEEL_AT + WHEEL * 4)
#define STEP_BACK 300        /* seconds the clock must fall back for a recount */
#define LOCK_WAIT 2          /* seconds until a stuck lock is an unavailable store */

/**************************************************************************************/
/* mixing */

static apr_uint64_t fold(apr_uint64_t a, apr_uint64_t b)
{
    __extension__ typedef unsigned __int128 wide_t;
    wide_t r = (wide_t)a * b;

    return (apr_uint64_t)r ^ (apr_uint64_t)(r >> 64);
}

apr_uint64_t m2_rt_slot_check(const m2_rt_slot_t *slot, apr_uint64_t expiry)
{
    return fold(slot->id[0] ^ 0x9e3779b97f4a7c15u, slot->id[1] ^ 0xd1b54a32d192ed03u)
           + fold(expiry ^ 0x8cb92ba72f3d8dd7u, 0xaef17502108ef2d9u);
}

static apr_uint64_t bytes_check(const void *bytes, apr_size_t n)
{
    const unsigned char *p = bytes;
    apr_uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    apr_size_t i;

    for (i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return h;
}

/* The two buckets of an id, never the same. */
static void places(m2_rt_slot_t *pair[2], const m2_rt_t *table, const apr_uint64_t *id)
{
    const apr_uint64_t *salt = table->head->salt;
    apr_uint64_t n = table->head->buckets;
    apr_uint64_t a = fold(id[0] ^ salt[0], id[1] ^ salt[1]);
    apr_uint64_t b = fold(a ^ id[1], salt[0] ^ 0x9e3779b97f4a7c15u);
    apr_uint64_t first = a % n;
    apr_uint64_t second = (first + 1 + b % (n - 1)) % n;

    pair[0] = table->slots + first * WAYS;
    pair[1] = table->slots + second * WAYS;
}

/**************************************************************************************/
/* counting; the lock is held */

/* The status page reads it without the lock. */
static void set_live(m2_rt_t *table, apr_uint64_t live)
{
    __atomic_store_n(&table->state->live, live, __ATOMIC_RELAXED);
}

static void count_mark(m2_rt_t *table, apr_uint64_t expiry)
{
    m2_rt_state_t *state = table->state;

    if (expiry <= state->hand) {
        return; /* the clock stepped back a little: bounded by the slots alone */
    }
    if (expiry - state->hand >= WHEEL) {
        expiry = state->hand + WHEEL - 1;
    }
    table->wheel[expiry % WHEEL]++;
    set_live(table, state->live + 1);
}

apr_uint64_t m2_rt_slots(const m2_rt_t *table)
{
    return (apr_uint64_t)table->head->buckets * WAYS;
}

void m2_rt_recount(m2_rt_t *table, apr_uint64_t now)
{
    m2_rt_state_t *state = table->state;
    apr_uint64_t i, n = m2_rt_slots(table);

    memset(table->wheel, 0, WHEEL * sizeof(*table->wheel));
    state->hand = now;
    set_live(table, 0);
    state->held = 0;
    for (i = 0; i < n; i++) {
        if (table->slots[i].expiry) {
            state->held++;
            count_mark(table, table->slots[i].expiry);
        }
    }
}

void m2_rt_advance(m2_rt_t *table, apr_uint64_t now)
{
    m2_rt_state_t *state = table->state;

    if (now + STEP_BACK < state->hand || now >= state->hand + WHEEL) {
        m2_rt_recount(table, now);
        return;
    }
    while (state->hand < now) {
        apr_uint32_t *ended = &table->wheel[++state->hand % WHEEL];

        set_live(table, state->live - *ended);
        *ended = 0;
    }
}

/**************************************************************************************/
/* marking */

typedef struct mend_t {
    m2_rt_t *table;
    apr_uint64_t now;
} mend_t;

static void mend(void *data)
{
    const mend_t *m = data;

    m2_rt_recount(m->table, m->now);
}

/* 0 with the lock held; the table counted anew when the last holder died with it. */
int m2_rt_lock(m2_rt_t *table, apr_uint64_t now)
{
    mend_t m = { table, now };

    return m2_lock_take(&table->state->lock, LOCK_WAIT, mend, &m);
}

/* What one bucket says about an id. */
typedef struct look_t {
    m2_rt_slot_t *room; /* a free slot, or NULL */
    int live;
    int found;
} look_t;

static void look(look_t *seen, m2_rt_slot_t *bucket, const apr_uint64_t *id, apr_uint64_t now)
{
    int i;

    memset(seen, 0, sizeof(*seen));
    for (i = 0; i < WAYS; i++) {
        if (bucket[i].expiry <= now) {
            seen->room = &bucket[i];
            continue;
        }
        seen->live++;
        seen->found |= bucket[i].id[0] == id[0] && bucket[i].id[1] == id[1];
    }
}

static void write_slot(m2_rt_t *table, m2_rt_slot_t *slot, const apr_uint64_t *id,
                       apr_uint64_t expiry)
{
    table->state->held += slot->expiry == 0;
    __atomic_store_n(&slot->expiry, 0, __ATOMIC_SEQ_CST); /* killed behind here: free */
    slot->id[0] = id[0];
    slot->id[1] = id[1];
    slot->check = m2_rt_slot_check(slot, expiry);
    __atomic_store_n(&slot->expiry, expiry, __ATOMIC_SEQ_CST);
}

/* The lock is held, the hand is at now or ahead. */
m2_rt_marked_t m2_rt_mark(m2_rt_t *table, const apr_uint64_t *id, apr_uint64_t expiry,
                            apr_uint64_t now)
{
    m2_rt_slot_t *pair[2], *room;
    look_t seen[2];

    places(pair, table, id);
    look(&seen[0], pair[0], id, now);
    look(&seen[1], pair[1], id, now);
    if (seen[0].found || seen[1].found) {
        return M2_RT_KNOWN;
    }
    room = seen[1].live < seen[0].live ? seen[1].room : seen[0].room;
    if (!room || table->state->live >= table->head->entries) {
        return M2_RT_FULL;
    }
    write_slot(table, room, id, expiry);
    count_mark(table, expiry);
    return M2_RT_MARKED;
}

/* A process that is killed in here leaves the one mark it was at behind. */
void m2_rt_extend(m2_rt_t *table, apr_uint32_t seconds, apr_uint64_t now)
{
    apr_uint64_t i, n = m2_rt_slots(table);

    for (i = 0; i < n; i++) {
        m2_rt_slot_t *slot = &table->slots[i];

        if (slot->expiry > now) {
            const apr_uint64_t id[2] = { slot->id[0], slot->id[1] };
            const apr_uint64_t held = table->state->held;

            write_slot(table, slot, id, slot->expiry + seconds);
            table->state->held = held;
        }
    }
    m2_rt_recount(table, now);
}

/**************************************************************************************/
/* making and mapping */

apr_uint32_t m2_rt_buckets(apr_uint32_t entries)
{
    apr_uint32_t buckets = entries / MEAN + 1;

    return buckets < MIN_BUCKETS ? MIN_BUCKETS : buckets;
}

apr_size_t m2_rt_size(apr_uint32_t entries)
{
    return BUCKETS_AT + (apr_size_t)m2_rt_buckets(entries) * WAYS * sizeof(m2_rt_slot_t);
}

apr_uint64_t m2_rt_head_check(const m2_rt_head_t *head)
{
    return bytes_check(head, offsetof(m2_rt_head_t, check));
}

int m2_rt_make_head(m2_rt_head_t *head, apr_uint32_t entries)
{
    memset(head, 0, sizeof(*head));
    memcpy(head->magic, M2_RT_MAGIC, sizeof(head->magic));
    head->version = M2_RT_VERSION;
    head->order = M2_RT_BYTE_ORDER;
    head->entries = entries;
    head->buckets = m2_rt_buckets(entries);
    head->size = m2_rt_size(entries);
    head->created = (apr_uint64_t)apr_time_sec(apr_time_now());
    if (getrandom(head->salt, sizeof(head->salt), 0) != (ssize_t)sizeof(head->salt)) {
        return 0;
    }
    head->check = m2_rt_head_check(head);
    return 1;
}

/* Map fd (or nothing, -1) of that size. */
int m2_rt_map(m2_rt_t *table, int fd, apr_size_t size)
{
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return 0;
    }
    table->head = (m2_rt_head_t *)(void *)(base + HEAD_AT);
    table->state = (m2_rt_state_t *)(void *)(base + STATE_AT);
    table->wheel = (apr_uint32_t *)(void *)(base + WHEEL_AT);
    table->slots = (m2_rt_slot_t *)(void *)(base + BUCKETS_AT);
    table->size = size;
    table->fd = fd;
    return 1;
}

void m2_rt_unmap(m2_rt_t *table)
{
    munmap(table->head, table->size);
    if (table->fd >= 0) {
        close(table->fd); /* and with it this process's hold on the file */
    }
    table->head = NULL;
}

/* Copy what is alive in old, which is locked by the caller, to a table that no other process
 * has. */
int m2_rt_take_over(m2_rt_t *table, m2_rt_t *old, apr_uint64_t now)
{
    apr_uint64_t i, n = m2_rt_slots(old);

    m2_leeway_join(&table->state->leeway, &old->state->leeway);
    for (i = 0; i < n; i++) {
        const m2_rt_slot_t *slot = &old->slots[i];

        if (slot->expiry > now
            && m2_rt_mark(table, slot->id, slot->expiry, now) == M2_RT_FULL) {
            return 0;
        }
    }
    return 1;
}
