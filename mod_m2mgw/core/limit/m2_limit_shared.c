/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Redis that does not answer is left alone for a second, by all processes of the server; then
 * one request asks it, and the others go on by this server's part meanwhile. What is held here
 * holds on: a lease, and that a bucket was found empty. The log says it once when that begins
 * and once when it ends.
 */
#include "limit/m2_limit_shared.h"

#include "base/m2_log.h"
#include "limit/m2_limit_redis.h"

#define ALONE M2_GCRA_SEC  /* nanoseconds that Redis is left alone */
#define PATIENCE 100000000 /* nanoseconds more than the timeout until an asker counts as dead */
#define OF_ALL 10          /* a lease is a tenth of COUNT and of burst at most */

struct m2_limit_shared_t {
    const m2_limit_spec_t *spec;
    const char *name;
    m2_lr_t *lr;
    m2_lease_t *leases;
    m2_lease_common_t *common;
    m2_lt_t *table;
};

/* --- whether it answers --- */

static void count(apr_uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Whether it is not to be asked. When its second is over, one of all comes through, and has
 * another second. */
static int is_alone(m2_lease_common_t *common, apr_uint64_t now)
{
    apr_uint64_t until = __atomic_load_n(&common->alone_until, __ATOMIC_ACQUIRE);

    return until
           && (now < until
               || !__atomic_compare_exchange_n(&common->alone_until, &until, now + ALONE, 0,
                                               __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

static void note_failure(m2_limit_shared_t *shared, const char *why)
{
    m2_lease_common_t *common = shared->common;
    const apr_uint64_t now = (apr_uint64_t)m2_wire_clock() * 1000000; /* it took its time */

    count(&common->failed);
    __atomic_store_n(&common->alone_until, now + ALONE, __ATOMIC_RELEASE);
    if (!__atomic_exchange_n(&common->down, 1, __ATOMIC_ACQ_REL)) {
        m2_log(M2_LOG_ERR, "limit store %s: %s; until it answers, each of %d servers holds to "
               "its part of each limit", shared->name, why, shared->spec->nodes);
    }
}

static void note_answer(m2_limit_shared_t *shared)
{
    m2_lease_common_t *common = shared->common;

    count(&common->asked);
    if (__atomic_load_n(&common->alone_until, __ATOMIC_RELAXED)) {
        __atomic_store_n(&common->alone_until, 0, __ATOMIC_RELEASE);
    }
    if (__atomic_load_n(&common->down, __ATOMIC_RELAXED)
        && __atomic_exchange_n(&common->down, 0, __ATOMIC_ACQ_REL)) {
        m2_log(M2_LOG_NOTICE, "limit store %s: it answers again", shared->name);
    }
}

/* --- taking --- */

/* min(COUNT * lease / WINDOW, COUNT / 10, burst / 10) requests, 1 for "no lease". */
static apr_uint32_t lease_of(const m2_limit_spec_t *spec, const m2_limit_rate_t *rate)
{
    apr_uint64_t n = (apr_uint64_t)rate->count * (apr_uint64_t)spec->lease
                     / (1000 * (apr_uint64_t)rate->window);

    n = n < rate->count / OF_ALL ? n : rate->count / OF_ALL;
    n = n < rate->burst / OF_ALL ? n : rate->burst / OF_ALL;
    return n < 2 ? 1 : (apr_uint32_t)n;
}

/* What m2_limit_redis and the leases want to know; 0 when there is no hash to be had. */
static int prepare(m2_lease_take_t *takes, char keys[][M2_LR_KEY],
                   const m2_limit_shared_t *shared, const m2_limit_use_t *uses, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        m2_lease_take_t *take = &takes[i];

        memset(take, 0, sizeof(*take));
        take->terms = &uses[i].rate->terms;
        take->name = uses[i].name;
        take->shadow = uses[i].limit->shadow;
        take->size = lease_of(shared->spec, uses[i].rate);
        take->key = keys[i];
        if (!m2_lr_key(keys[i], take->id, shared->lr, uses[i].bucket.p, uses[i].bucket.n)) {
            return 0;
        }
    }
    return 1;
}

/* Ask for what is not held. 0 when there is no answer. */
static int ask(m2_limit_shared_t *shared, m2_lease_take_t *takes, int n, apr_uint64_t now)
{
    char why[M2_WIRE_WHY] = "";
    const int alone = is_alone(shared->common, now);
    const int passes = alone ? -1 : m2_lr_ask(shared->lr, takes, n, why);
    int i;

    for (i = 0; passes < 0 && i < n; i++) {
        takes[i].granted = -1;
    }
    m2_lease_settle(shared->leases, takes, n, passes > 0, now);
    if (passes >= 0) {
        note_answer(shared);
    }
    else if (!alone) {
        note_failure(shared, why);
    }
    return passes >= 0;
}

/* 0 when it is for this server's part to answer. */
static int take_shared(m2_limit_shared_t *shared, m2_lease_take_t *takes, int n,
                       apr_uint64_t now)
{
    const apr_uint64_t patience = (apr_uint64_t)shared->spec->redis->timeout * 1000000
                                  + PATIENCE;
    const m2_lease_verdict_t verdict = m2_lease_take(shared->leases, takes, n, now, patience);

    if (verdict == M2_LEASE_STUCK) {
        return 0;
    }
    if (verdict == M2_LEASE_ASK) {
        return ask(shared, takes, n, now);
    }
    count(&shared->common->held);
    return 1;
}

void m2_limit_shared_take(m2_limit_shared_t *shared, m2_limit_use_t *uses, int n,
                          apr_uint64_t now)
{
    m2_lease_take_t takes[M2_LIMIT_TAKES];
    char keys[M2_LIMIT_TAKES][M2_LR_KEY];
    int i, passes = 1;

    if (!n) {
        return;
    }
    if (!prepare(takes, keys, shared, uses, n) || !take_shared(shared, takes, n, now)) {
        count(&shared->common->local);
        m2_limit_local_take(shared->table, uses, n, shared->spec->nodes, now);
        return;
    }
    for (i = 0; i < n; i++) {
        uses[i].answer = takes[i].answer;
        passes &= takes[i].answer.passes || takes[i].shadow;
    }
    for (i = 0; i < n; i++) { /* as in memory: a refused one counts where it was refused */
        if (passes || !takes[i].answer.passes) {
            m2_lt_count(shared->table, uses[i].row, takes[i].answer.passes);
        }
    }
}

/* --- making --- */

m2_code_t m2_limit_shared_open(m2_limit_shared_t **pshared, apr_pool_t *pool,
                               apr_pool_t *process, const m2_limit_spec_t *spec,
                               m2_lt_t *table, m2_err_t *err)
{
    m2_limit_shared_t *shared = apr_pcalloc(pool, sizeof(*shared));

    *pshared = shared;
    shared->spec = spec;
    shared->table = table;
    shared->name = m2_redis_spec_name(pool, spec->redis);
    shared->leases = m2_lease_open(process);
    if (!shared->leases) {
        return m2_err_set(err, M2_E_CONFIG, "cannot get the memory for leases");
    }
    shared->common = m2_lease_common(shared->leases);
    return m2_lr_open(&shared->lr, pool, spec->redis, err);
}

m2_code_t m2_limit_shared_attach(m2_limit_shared_t *shared, apr_pool_t *pool, m2_err_t *err)
{
    return m2_lr_attach(shared->lr, pool, err);
}

void m2_limit_shared_stats(m2_limit_remote_t *remote, const m2_limit_shared_t *shared)
{
    const m2_lease_common_t *common = shared->common;

    remote->name = shared->name;
    remote->down = __atomic_load_n(&common->down, __ATOMIC_RELAXED) != 0;
    remote->asked = __atomic_load_n(&common->asked, __ATOMIC_RELAXED);
    remote->held = __atomic_load_n(&common->held, __ATOMIC_RELAXED);
    remote->local = __atomic_load_n(&common->local, __ATOMIC_RELAXED);
    remote->failed = __atomic_load_n(&common->failed, __ATOMIC_RELAXED);
}
