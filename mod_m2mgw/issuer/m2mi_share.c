/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A client's marks are counted by the minute they end in, in a ring of words: minute in the
 * upper half, count in the lower one. A word whose minute is over counts nothing, so nobody
 * has to tidy up, and a process that is killed leaves at most one count too many for an hour.
 */
#include "issuer/m2mi_share.h"

#include "oauth/m2_assertion.h"

#include <apr_shm.h>

#define MINUTE 60
/* the furthest end of a mark: life, leeway on both sides, and a minute begun at either end */
#define MINUTES ((M2_ASSERTION_LIFE + 2 * M2_ASSERTION_LEEWAY) / MINUTE + 3)
#define POOL_KEY "m2m_issuer_share"

typedef struct account_t {
    apr_uint64_t client; /* hash of the name, 0: free */
    apr_uint64_t minutes[MINUTES];
} account_t;

struct m2mi_share_t {
    apr_uint32_t accounts;
    account_t account[];
};

/* FNV-1a; two names of one hash share an account, which costs them room and nothing else */
static apr_uint64_t name_hash(const char *name)
{
    apr_uint64_t hash = 14695981039346656037u;

    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    }
    return hash ? hash : 1;
}

m2mi_share_t *m2mi_share_open(server_rec *s, apr_uint32_t clients)
{
    apr_pool_t *pool = s->process->pool;
    const apr_uint32_t accounts = clients < 64 ? 128 : clients * 2;
    m2mi_share_t *share;
    void *data = NULL;
    apr_shm_t *shm;

    apr_pool_userdata_get(&data, POOL_KEY, pool);
    share = data;
    if (share && share->accounts >= accounts) {
        return share;
    }
    if (apr_shm_create(&shm, sizeof(*share) + accounts * sizeof(account_t), NULL, pool)
        != APR_SUCCESS) {
        return NULL;
    }
    share = apr_shm_baseaddr_get(shm); /* anonymous, so it comes zeroed */
    share->accounts = accounts;
    apr_pool_userdata_set(share, POOL_KEY, NULL, pool);
    return share;
}

/* NULL where more clients came and went than there is room for: then nothing is counted */
static account_t *account_of(m2mi_share_t *share, const char *client)
{
    const apr_uint64_t hash = name_hash(client);
    apr_uint32_t i;

    for (i = 0; i < share->accounts; i++) {
        account_t *account = &share->account[(hash + i) % share->accounts];
        apr_uint64_t there = 0;

        if (__atomic_compare_exchange_n(&account->client, &there, hash, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) || there == hash) {
            return account;
        }
    }
    return NULL;
}

static apr_uint32_t minute_of(apr_time_t time)
{
    return (apr_uint32_t)(apr_time_sec(time) / MINUTE);
}

/* marks that are alive, and the first minute in which some end */
static apr_uint64_t count(account_t *account, apr_uint32_t now, apr_uint32_t *pfirst)
{
    apr_uint64_t sum = 0;
    int i;

    *pfirst = APR_UINT32_MAX;
    for (i = 0; i < MINUTES; i++) {
        apr_uint64_t word = __atomic_load_n(&account->minutes[i], __ATOMIC_RELAXED);
        apr_uint32_t minute = (apr_uint32_t)(word >> 32);

        if (minute >= now && (apr_uint32_t)word) {
            sum += (apr_uint32_t)word;
            *pfirst = minute < *pfirst ? minute : *pfirst;
        }
    }
    return sum;
}

static void add(account_t *account, apr_uint32_t minute, int by)
{
    apr_uint64_t *slot = &account->minutes[minute % MINUTES];
    apr_uint64_t old = __atomic_load_n(slot, __ATOMIC_RELAXED), word;

    do {
        apr_uint32_t n = (apr_uint32_t)(old >> 32) == minute ? (apr_uint32_t)old : 0;

        if (by < 0 && n == 0) {
            return;
        }
        word = (apr_uint64_t)minute << 32 | (by < 0 ? n - 1 : n + 1);
    } while (!__atomic_compare_exchange_n(slot, &old, word, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
}

int m2mi_share_take(m2mi_share_t *share, const char *client, apr_time_t until,
                    apr_time_t now, apr_uint32_t limit)
{
    account_t *account = account_of(share, client);
    apr_uint32_t first;
    apr_int64_t wait;

    if (!account) {
        return 0;
    }
    if (count(account, minute_of(now), &first) >= limit) {
        wait = ((apr_int64_t)first + 1) * MINUTE - apr_time_sec(now);
        return wait < 1 ? 1 : (int)wait;
    }
    add(account, minute_of(until), 1);
    return 0;
}

void m2mi_share_give(m2mi_share_t *share, const char *client, apr_time_t until)
{
    account_t *account = account_of(share, client);

    if (account) {
        add(account, minute_of(until), -1);
    }
}
