/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 *     0      +-----------------------------------------------------------+
 *            | head   lock | geometry, secret | used, hand, generation    |
 *     4096   +-----------------------------------------------------------+
 *            | rows   a name, its sums, its bucket for who has no slot    |
 *            +-----------------------------------------------------------+
 *            | buckets of 16 slots, 512 bytes                            |
 *            |   slot  id (16) | full_at (8) | row (8)                   |
 *            |   full_at = 0: unused   <= now: may be reused   else live |
 *            +-----------------------------------------------------------+
 *
 * An id has two places of 16 slots, and goes to the one with fewer live ones; there are 16
 * slots for ten entries. What bounds the table is the count of slots in use. Once that is
 * reached, each new bucket has the hand walk on a few slots and free those that are full
 * again: what a request costs does not depend on how many keys there are.
 *
 * One robust lock guards it all, for some 100 ns. When its holder is killed the table is
 * whole at any instruction, since a slot counts from its last store (full_at) on; only the
 * count of slots is made anew. Several buckets are judged first and written then, so that a
 * request which one of them refuses is taken from none.
 */
#include "limit/m2_limit_table.h"

#include "replay/m2_lock.h"

#include <apr_strings.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define WAYS 16
#define MEAN 10
#define LOCK_WAIT 1  /* seconds until a stuck lock refuses */
#define SWEEP 64     /* slots that the hand walks for a new bucket */
#define ROWS_AT 4096
#define USERDATA "m2_limit_table/1" /* name the layout: another release may find it */

typedef struct m2_lt_slot_t {
    apr_uint64_t id[2];
    apr_uint64_t full_at;
    apr_uint64_t row;
} slot_t;

typedef struct row_t {
    char name[M2_LIMIT_NAME];
    apr_uint64_t generation; /* of the last configuration that asked for it */
    apr_uint64_t passed, refused, overflow;
    apr_uint64_t full_at;    /* the bucket of those who have no slot */
} row_t;

typedef struct head_t {
    pthread_mutex_t lock;
    apr_uint64_t secret[2];
    apr_uint64_t used;       /* slots with a full_at */
    apr_uint64_t hand;       /* the next slot to look at for one that is full again */
    apr_uint64_t generation; /* of the configuration */
    apr_uint32_t entries;
    apr_uint32_t buckets;
} head_t;

struct m2_lt_t {
    head_t *head;
    row_t *rows;
    slot_t *slots;
    apr_size_t size;
};

_Static_assert(sizeof(head_t) <= ROWS_AT, "the head ends before the rows");
_Static_assert(sizeof(slot_t) == 32, "two slots in a cache line");

/* --- SipHash-2-4, 128 bits (Aumasson, Bernstein: "SipHash: a fast short-input PRF") --- */

typedef struct sip_t {
    apr_uint64_t a, b, c, d;
} sip_t;

static apr_uint64_t turn(apr_uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(sip_t *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = turn(s->b, 13) ^ s->a;
    s->d = turn(s->d, 16) ^ s->c;
    s->a = turn(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = turn(s->b, 17) ^ s->c;
    s->d = turn(s->d, 21) ^ s->a;
    s->c = turn(s->c, 32);
}

static void sip_rounds(sip_t *s, int n)
{
    while (n-- > 0) {
        sip_round(s);
    }
}

static apr_uint64_t little_endian(const unsigned char *p, apr_size_t n)
{
    apr_uint64_t word = 0;

    while (n-- > 0) {
        word = word << 8 | p[n];
    }
    return word;
}

static void sip_word(sip_t *s, apr_uint64_t word)
{
    s->d ^= word;
    sip_rounds(s, 2);
    s->a ^= word;
}

static void sip_hash(apr_uint64_t out[2], const apr_uint64_t key[2], const void *bytes,
                     apr_size_t n)
{
    const unsigned char *p = bytes;
    sip_t s = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f83u,
                key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
    apr_size_t left = n;

    for (; left >= 8; p += 8, left -= 8) {
        sip_word(&s, little_endian(p, 8));
    }
    sip_word(&s, (apr_uint64_t)n << 56 | little_endian(p, left));
    s.c ^= 0xee;
    sip_rounds(&s, 4);
    out[0] = s.a ^ s.b ^ s.c ^ s.d;
    s.b ^= 0xdd;
    sip_rounds(&s, 4);
    out[1] = s.a ^ s.b ^ s.c ^ s.d;
}

void m2_lt_id(apr_uint64_t id[2], const m2_lt_t *table, const void *bytes, apr_size_t n)
{
    sip_hash(id, table->head->secret, bytes, n);
}

/* --- the lock --- */

static apr_uint64_t slots_of(const m2_lt_t *table)
{
    return (apr_uint64_t)table->head->buckets * WAYS;
}

/* Writers hold the lock; the status page reads without it. */
static void set(apr_uint64_t *member, apr_uint64_t value)
{
    __atomic_store_n(member, value, __ATOMIC_RELAXED);
}

static void recount(void *data)
{
    m2_lt_t *table = data;
    apr_uint64_t i, n = slots_of(table), used = 0;

    for (i = 0; i < n; i++) {
        used += table->slots[i].full_at != 0;
    }
    set(&table->head->used, used);
}

static int take_lock(m2_lt_t *table)
{
    return m2_lock_take(&table->head->lock, LOCK_WAIT, recount, table);
}

/* --- slots; the lock is held --- */

static void places(slot_t *pair[2], const m2_lt_t *table, const apr_uint64_t *id)
{
    const apr_uint64_t n = table->head->buckets;
    const apr_uint64_t first = id[0] % n;

    pair[0] = table->slots + first * WAYS;
    pair[1] = table->slots + (first + 1 + id[1] % (n - 1)) % n * WAYS;
}

typedef struct look_t {
    slot_t *found;
    slot_t *again;  /* in use and full again */
    slot_t *unused;
    int live;
} look_t;

/* Whether an earlier bucket of the same request is to have that slot. */
static int is_promised(const m2_lt_take_t *takes, int n, const slot_t *slot)
{
    while (n-- > 0) {
        if (takes[n].slot == slot) {
            return 1;
        }
    }
    return 0;
}

static void look(look_t *seen, slot_t *place, const m2_lt_take_t *takes, int i,
                 apr_uint64_t now)
{
    const apr_uint64_t *id = takes[i].id;
    int k;

    memset(seen, 0, sizeof(*seen));
    for (k = 0; k < WAYS; k++) {
        slot_t *slot = &place[k];

        if (slot->full_at && slot->id[0] == id[0] && slot->id[1] == id[1]) {
            seen->found = slot;
        }
        else if (slot->full_at > now || is_promised(takes, i, slot)) {
            seen->live++;
        }
        else if (slot->full_at) {
            seen->again = slot;
        }
        else {
            seen->unused = slot;
        }
    }
}

/* Free what is full again of the next slots. */
static void sweep(m2_lt_t *table, apr_uint64_t now)
{
    const apr_uint64_t n = slots_of(table);
    int i;

    for (i = 0; i < SWEEP; i++) {
        slot_t *slot = &table->slots[table->head->hand++ % n];

        if (slot->full_at && slot->full_at <= now) {
            set(&slot->full_at, 0);
            set(&table->head->used, table->head->used - 1);
        }
    }
}

/* How many of the first n buckets take a slot that is not in use yet. */
static apr_uint64_t promised(const m2_lt_take_t *takes, int n)
{
    apr_uint64_t count = 0;

    while (n-- > 0) {
        count += takes[n].slot && !takes[n].slot->full_at;
    }
    return count;
}

static int has_room(m2_lt_t *table, const m2_lt_take_t *takes, int i, apr_uint64_t now)
{
    if (table->head->used + promised(takes, i) >= table->head->entries) {
        sweep(table, now);
    }
    return table->head->used + promised(takes, i) < table->head->entries;
}

/* The slot for bucket i: its own, or one it may have, or NULL. */
static slot_t *slot_for(m2_lt_t *table, const m2_lt_take_t *takes, int i, apr_uint64_t now)
{
    slot_t *pair[2];
    look_t seen[2];
    const look_t *better;

    places(pair, table, takes[i].id);
    look(&seen[0], pair[0], takes, i, now);
    look(&seen[1], pair[1], takes, i, now);
    if (seen[0].found || seen[1].found) {
        return seen[0].found ? seen[0].found : seen[1].found;
    }
    better = &seen[seen[1].live < seen[0].live];
    if (better->again) {
        return better->again;
    }
    return better->unused && has_room(table, takes, i, now) ? better->unused : NULL;
}

/* --- taking --- */

static void count(apr_uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); /* also without the lock */
}

void m2_lt_count(m2_lt_t *table, int row, int passes)
{
    count(passes ? &table->rows[row].passed : &table->rows[row].refused);
}

static int is_own(const m2_lt_take_t *take)
{
    const slot_t *slot = take->slot;

    return slot->full_at && slot->id[0] == take->id[0] && slot->id[1] == take->id[1];
}

/* Terms that were loosened: no bucket is emptier than empty, and from now on it fills. */
static apr_uint64_t cut(apr_uint64_t *pfull_at, const m2_gcra_t *terms, apr_uint64_t now)
{
    if (*pfull_at > now + terms->depth) {
        __atomic_store_n(pfull_at, now + terms->depth, __ATOMIC_SEQ_CST);
    }
    return *pfull_at;
}

static void judge(m2_lt_t *table, m2_lt_take_t *takes, int i, apr_uint64_t now)
{
    m2_lt_take_t *take = &takes[i];
    apr_uint64_t full_at;

    take->slot = slot_for(table, takes, i, now);
    if (!take->slot) {
        full_at = cut(&table->rows[take->row].full_at, take->terms, now);
    }
    else {
        full_at = is_own(take) ? cut(&take->slot->full_at, take->terms, now) : 0;
    }
    m2_gcra_ask(&take->answer, take->terms, full_at, now);
}

/* A process that is killed in here leaves a slot unused, or a request that was counted. */
static void write_slot(m2_lt_t *table, const m2_lt_take_t *take)
{
    slot_t *slot = take->slot;

    if (!is_own(take)) {
        set(&table->head->used, table->head->used + (slot->full_at == 0));
        __atomic_store_n(&slot->full_at, 0, __ATOMIC_SEQ_CST);
        slot->id[0] = take->id[0];
        slot->id[1] = take->id[1];
        set(&slot->row, (apr_uint64_t)take->row);
    }
    __atomic_store_n(&slot->full_at, take->answer.full_at, __ATOMIC_SEQ_CST);
}

static void commit(m2_lt_t *table, const m2_lt_take_t *take)
{
    row_t *row = &table->rows[take->row];

    count(take->answer.passes ? &row->passed : &row->refused);
    if (!take->slot) {
        count(&row->overflow);
    }
    if (!take->answer.passes) {
        return; /* a shadow */
    }
    if (take->slot) {
        write_slot(table, take);
    }
    else {
        row->full_at = take->answer.full_at;
    }
}

/* What a refused request reports about the buckets in which it was not counted. */
static void leave(m2_lt_t *table, m2_lt_take_t *take)
{
    if (!take->answer.passes) {
        row_t *row = &table->rows[take->row];

        count(&row->refused);
        if (!take->slot) {
            count(&row->overflow);
        }
        return;
    }
    take->answer.left++;
    take->answer.full_in -= take->terms->step;
    take->answer.full_at -= take->terms->step;
}

int m2_lt_take(m2_lt_t *table, m2_lt_take_t *takes, int n, apr_uint64_t now)
{
    int i, passes = 1;

    if (take_lock(table) != 0) {
        return -1;
    }
    for (i = 0; i < n; i++) {
        judge(table, takes, i, now);
        passes &= takes[i].answer.passes || takes[i].shadow;
    }
    for (i = 0; i < n; i++) {
        if (passes) {
            commit(table, &takes[i]);
        }
        else {
            leave(table, &takes[i]);
        }
    }
    pthread_mutex_unlock(&table->head->lock);
    return passes;
}

/* --- sums --- */

void m2_lt_stats(m2_lt_stats_t *stats, const m2_lt_t *table, apr_uint64_t now)
{
    const apr_uint64_t n = slots_of(table);
    apr_uint64_t i;

    memset(stats, 0, sizeof(*stats) * M2_LIMIT_ROWS);
    for (i = 0; i < M2_LIMIT_ROWS; i++) {
        const row_t *row = &table->rows[i];

        stats[i].passed = __atomic_load_n(&row->passed, __ATOMIC_RELAXED);
        stats[i].refused = __atomic_load_n(&row->refused, __ATOMIC_RELAXED);
        stats[i].overflow = __atomic_load_n(&row->overflow, __ATOMIC_RELAXED);
    }
    for (i = 0; i < n; i++) {
        const slot_t *slot = &table->slots[i];
        const apr_uint64_t row = __atomic_load_n(&slot->row, __ATOMIC_RELAXED);

        if (__atomic_load_n(&slot->full_at, __ATOMIC_RELAXED) > now && row < M2_LIMIT_ROWS) {
            stats[row].keys++;
        }
    }
}

apr_uint64_t m2_lt_used(const m2_lt_t *table)
{
    return __atomic_load_n(&table->head->used, __ATOMIC_RELAXED);
}

/* --- rows; in the parent --- */

static int is_free(const m2_lt_t *table, const row_t *row)
{
    return !row->name[0] || row->generation + 1 < table->head->generation;
}

int m2_lt_row(m2_lt_t *table, const char *name)
{
    int i, free_row = -1;

    for (i = 0; i < M2_LIMIT_ROWS; i++) {
        row_t *row = &table->rows[i];

        if (row->name[0] && strcmp(row->name, name) == 0) {
            row->generation = table->head->generation;
            return i;
        }
        if (free_row < 0 && is_free(table, row)) {
            free_row = i;
        }
    }
    if (free_row >= 0) {
        row_t *row = &table->rows[free_row];

        memset(row, 0, sizeof(*row));
        apr_cpystrn(row->name, name, sizeof(row->name));
        row->generation = table->head->generation;
    }
    return free_row;
}

/* --- making --- */

static apr_uint32_t buckets_for(apr_uint32_t entries)
{
    const apr_uint32_t buckets = entries / MEAN + 1;

    return buckets < 2 ? 2 : buckets; /* an id has two places */
}

static int make_table(m2_lt_t *table, apr_uint32_t entries)
{
    const apr_size_t slots_at = ROWS_AT + sizeof(row_t) * M2_LIMIT_ROWS;
    head_t *head;
    char *base;

    table->size = slots_at + (apr_size_t)buckets_for(entries) * WAYS * sizeof(slot_t);
    base = mmap(NULL, table->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return 0;
    }
    table->head = head = (head_t *)(void *)base;
    table->rows = (row_t *)(void *)(base + ROWS_AT);
    table->slots = (slot_t *)(void *)(base + slots_at);
    head->entries = entries;
    head->buckets = buckets_for(entries);
    if (getrandom(head->secret, sizeof(head->secret), 0) != (ssize_t)sizeof(head->secret)
        || !m2_lock_make(&head->lock)) {
        munmap(base, table->size);
        return 0;
    }
    return 1;
}

m2_lt_t *m2_lt_open(apr_pool_t *process, apr_uint32_t entries)
{
    m2_lt_t *kept, table;
    void *data = NULL;

    apr_pool_userdata_get(&data, USERDATA, process);
    kept = data;
    if (!kept || kept->head->entries != entries) {
        if (!make_table(&table, entries)) {
            return NULL;
        }
        if (!kept) {
            kept = apr_pcalloc(process, sizeof(*kept));
            /* the key is copied: the text of a module does not survive a restart */
            apr_pool_userdata_set(kept, USERDATA, NULL, process);
        }
        else {
            munmap(kept->head, kept->size); /* children have their own mapping of it */
        }
        *kept = table;
    }
    kept->head->generation++;
    return kept;
}
