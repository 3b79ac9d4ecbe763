/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A slot is 64 bytes, a bucket has one place of eight. A slot is taken for another bucket only
 * when it holds nothing: no request, and no process that is asking. A process that is killed
 * within the lock leaves at worst a lease that is lost: `left` is written last.
 */
#include "limit/m2_limit_lease.h"

#include "replay/m2_lock.h"

#include <apr_strings.h>

#include <string.h>
#include <sys/mman.h>

#define WAYS 8
#define PLACES 8192
#define LOCK_WAIT 1 /* seconds until a stuck lock counts as such */
#define SLOTS_AT 4096
#define USERDATA "m2_limit_lease/1" /* names the layout: another release may find it */

typedef struct slot_t {
    apr_uint64_t id[2];
    apr_uint64_t asking_until; /* a process asks for a lease, until then at the latest */
    apr_uint64_t lapses;       /* when what is left has flowed back elsewhere anyway */
    apr_uint64_t empty_until;  /* the bucket elsewhere refuses until then */
    apr_uint64_t full_at;      /* when it is full, by this clock */
    apr_uint64_t left;         /* requests that are held */
    apr_uint64_t spare;
} slot_t;

typedef struct head_t {
    pthread_mutex_t lock;
    m2_lease_common_t common;
} head_t;

struct m2_lease_t {
    head_t *head;
    slot_t *slots;
};

_Static_assert(sizeof(head_t) <= SLOTS_AT, "the head ends before the slots");
_Static_assert(sizeof(slot_t) == 64, "a slot is a cache line");

/* --- the lock --- */

static void mend(void *data)
{
    (void)data; /* each slot is whole at any instruction */
}

static int take_lock(m2_lease_t *table)
{
    return m2_lock_take(&table->head->lock, LOCK_WAIT, mend, NULL);
}

/* --- slots; the lock is held --- */

static int holds(const slot_t *slot, apr_uint64_t now)
{
    return (slot->left && now < slot->lapses) || now < slot->asking_until;
}

static int is_of(const slot_t *slot, const apr_uint64_t *id)
{
    return slot->id[0] == id[0] && slot->id[1] == id[1];
}

/* The bucket's slot; or, where make says so, one that holds nothing. */
static slot_t *find(const m2_lease_t *table, const apr_uint64_t *id, int make,
                    apr_uint64_t now)
{
    slot_t *place = table->slots + id[0] % PLACES * WAYS;
    slot_t *spare = NULL;
    int i;

    for (i = 0; i < WAYS; i++) {
        if (is_of(&place[i], id)) {
            return &place[i];
        }
        if (!holds(&place[i], now) && (!spare || place[i].empty_until < spare->empty_until)) {
            spare = &place[i];
        }
    }
    if (!make || !spare) {
        return NULL;
    }
    memset(spare, 0, sizeof(*spare));
    spare->id[0] = id[0];
    spare->id[1] = id[1];
    return spare;
}

/* What the client is told: the unused part of the lease, and what the bucket has regained since. */
static void tell(m2_lease_take_t *take, const slot_t *slot, apr_uint64_t now)
{
    const m2_gcra_t *terms = take->terms;
    const apr_uint64_t most = terms->depth / terms->step;
    apr_uint64_t owed = slot->full_at > now ? slot->full_at - now : 0;

    owed = owed < terms->depth ? owed : terms->depth;
    memset(&take->answer, 0, sizeof(take->answer));
    take->answer.passes = now >= slot->empty_until || slot->left;
    take->answer.wait = take->answer.passes ? 0 : slot->empty_until - now;
    take->answer.full_in = owed;
    take->answer.left = (terms->depth - owed) / terms->step + slot->left;
    if (take->answer.left > most) {
        take->answer.left = most;
    }
    if (!take->answer.passes) {
        take->answer.left = 0;
    }
}

/* --- taking --- */

/* What can be said of one bucket here; 1 unless it refuses. */
static int judge(m2_lease_t *table, m2_lease_take_t *take, apr_uint64_t now)
{
    slot_t *slot = find(table, take->id, 0, now);

    take->asks = take->leads = 0;
    take->granted = -1;
    if (slot && now >= slot->lapses) {
        slot->left = 0;
    }
    if (slot && slot->empty_until > now + take->terms->step) {
        slot->empty_until = now + take->terms->step; /* terms that were loosened */
    }
    if (slot && (slot->left || now < slot->empty_until)) {
        tell(take, slot, now);
        return take->answer.passes || take->shadow;
    }
    take->asks = 1;
    memset(&take->answer, 0, sizeof(take->answer)); /* if another bucket refuses: no lease */
    take->answer.passes = 1;
    take->answer.left = take->terms->depth / take->terms->step;
    return 1;
}

/* Take what is held; mark what is asked for. */
static void commit(m2_lease_t *table, m2_lease_take_t *take, apr_uint64_t now,
                   apr_uint64_t patience)
{
    slot_t *slot = find(table, take->id, take->asks && take->size > 1, now);

    if (!take->asks) {
        if (take->answer.passes && slot && slot->left) {
            slot->left--;
            take->answer.left--;
        }
        return;
    }
    if (slot && take->size > 1 && now >= slot->asking_until) {
        slot->asking_until = now + patience;
        take->leads = 1;
        take->asks = (int)take->size;
    }
}

m2_lease_verdict_t m2_lease_take(m2_lease_t *table, m2_lease_take_t *takes, int n,
                                 apr_uint64_t now, apr_uint64_t patience)
{
    int i, passes = 1, asks = 0;

    if (take_lock(table) != 0) {
        return M2_LEASE_STUCK;
    }
    for (i = 0; i < n; i++) {
        passes &= judge(table, &takes[i], now);
        asks |= takes[i].asks;
    }
    for (i = 0; passes && i < n; i++) {
        commit(table, &takes[i], now, patience);
    }
    pthread_mutex_unlock(&table->head->lock);
    if (!passes) {
        return M2_LEASE_REFUSED;
    }
    return asks ? M2_LEASE_ASK : M2_LEASE_PASSES;
}

/* --- settling --- */

/* A bucket that was asked for elsewhere. */
static void note(m2_lease_t *table, m2_lease_take_t *take, apr_uint64_t now)
{
    slot_t *slot = find(table, take->id, take->leads || !take->answer.passes, now);

    if (!slot) {
        return; /* a lease that finds no place is one that is lost */
    }
    if (take->leads) {
        slot->asking_until = 0;
    }
    if (take->granted < 0) {
        return; /* no answer came */
    }
    slot->full_at = now + take->answer.full_in;
    slot->empty_until = take->answer.passes ? 0 : now + take->answer.wait;
    if (take->granted > 1) {
        slot->lapses = now + take->terms->depth;
        slot->left += (apr_uint64_t)take->granted - 1;
        take->answer.left += slot->left;
    }
}

static void give_back(m2_lease_t *table, m2_lease_take_t *take, apr_uint64_t now)
{
    slot_t *slot = find(table, take->id, 0, now);

    if (take->answer.passes && slot && now < slot->lapses) {
        slot->left++;
        take->answer.left++;
    }
}

void m2_lease_settle(m2_lease_t *table, m2_lease_take_t *takes, int n, int passes,
                     apr_uint64_t now)
{
    int i;

    if (take_lock(table) != 0) {
        return; /* leases are lost, and asked for again when patience ends */
    }
    for (i = 0; i < n; i++) {
        if (takes[i].asks) {
            note(table, &takes[i], now);
        }
        else if (!passes) {
            give_back(table, &takes[i], now);
        }
    }
    pthread_mutex_unlock(&table->head->lock);
}

/* --- making --- */

m2_lease_common_t *m2_lease_common(m2_lease_t *table)
{
    return &table->head->common;
}

m2_lease_t *m2_lease_open(apr_pool_t *process)
{
    const apr_size_t size = SLOTS_AT + (apr_size_t)PLACES * WAYS * sizeof(slot_t);
    void *data = NULL;
    m2_lease_t *table;
    char *base;

    apr_pool_userdata_get(&data, USERDATA, process);
    if (data) {
        return data;
    }
    base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    table = apr_pcalloc(process, sizeof(*table));
    table->head = (head_t *)(void *)base;
    table->slots = (slot_t *)(void *)(base + SLOTS_AT);
    if (!m2_lock_make(&table->head->lock)) {
        munmap(base, size);
        return NULL;
    }
    /* the key is copied: the text of a module does not survive a restart */
    apr_pool_userdata_set(table, USERDATA, NULL, process);
    return table;
}
