/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One `INSERT ... ON CONFLICT DO NOTHING` per mark: the database's unique index decides which
 * of two comes first. One row is acceptance, none is replay, anything else refuses. Rows of
 * dead tokens are deleted by a thread, by one process of all, once a minute.
 */
#include "replay/m2_replay_dbd.h"

#include "base/m2_log.h"
#include "replay/m2_replay_store.h"
#include "wire/m2_dbd_desk.h"
#include "wire/m2_worker.h"

#define CLEAR_EVERY 60 /* seconds */
#define SETTLE 5       /* seconds from the start to the first time, and between two looks */

typedef struct dbd_t {
    const m2_dbd_host_t *host;
    const char *insert, *clear; /* labels */
    m2_worker_t *worker;
} dbd_t;

/* --- statements --- */

int m2_replay_dbd_statement(const char **plabel, const char **psql, apr_pool_t *pool,
                            const char *table, int i)
{
    static const struct {
        const char *label, *before, *behind;
    } statements[] = {
        { "m2m_insert_", "INSERT INTO ",
          " (id, expires) VALUES (%s, %lld) ON CONFLICT DO NOTHING" },
        { "m2m_clear_", "DELETE FROM ", " WHERE expires < %lld" }
    };
    char *label, *dot;

    if (i < 0 || i >= (int)(sizeof(statements) / sizeof(statements[0]))) {
        return 0;
    }
    label = apr_pstrcat(pool, statements[i].label, table, NULL);
    dot = strchr(label, '.');
    if (dot) {
        *dot = '_'; /* a label is an identifier to some databases */
    }
    *plabel = label;
    *psql = apr_pstrcat(pool, statements[i].before, table, statements[i].behind, NULL);
    return 1;
}

/* --- using them --- */

static m2_code_t dbd_mark(m2_replay_t *store, const unsigned char *id, apr_time_t expires_at,
                          apr_time_t now, int *pfull, char *why)
{
    const dbd_t *dbd = store->state;
    const apr_time_t until = apr_time_sec(now) + (apr_time_t)m2_replay_ttl(expires_at, now);
    char key[M2_REPLAY_KEY], time[24];
    const char *args[] = { key, time };
    int rows;

    (void)pfull;
    m2_replay_key(key, store, id);
    apr_snprintf(time, sizeof(time), "%" APR_TIME_T_FMT, until);
    rows = m2_dbd_desk_change(dbd->host, dbd->insert, 2, args, why);
    if (rows == 1) {
        return M2_OK;
    }
    if (rows == 0) {
        return M2_E_JTI_REPLAYED;
    }
    if (rows > 1) {
        apr_cpystrn(why, "the database has inserted more than one row", M2_REPLAY_WHY);
    }
    return M2_E_REPLAY_UNAVAILABLE;
}

/* --- clearing up --- */

/* One process of all; some seconds after the start, then once a minute. */
static int is_due(m2_replay_counters_t *counters, apr_uint64_t now)
{
    apr_uint64_t last = __atomic_load_n(&counters->last_clear, __ATOMIC_RELAXED);

    if (!last) {
        __atomic_compare_exchange_n(&counters->last_clear, &last,
                                    now - CLEAR_EVERY + SETTLE, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
        return 0;
    }
    return now >= last + CLEAR_EVERY
           && __atomic_compare_exchange_n(&counters->last_clear, &last, now, 0,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static int turn(m2_worker_t *worker, void *baton)
{
    m2_replay_t *store = baton;
    const dbd_t *dbd = store->state;
    const apr_time_t now = apr_time_sec(apr_time_now());
    char why[M2_DBD_WHY] = "", time[24];
    const char *args[] = { time };

    apr_snprintf(time, sizeof(time), "%" APR_TIME_T_FMT, now);
    if (!m2_worker_ended(worker) && is_due(store->counters, (apr_uint64_t)now)
        && m2_dbd_desk_change(dbd->host, dbd->clear, 1, args, why) < 0) {
        m2_log(M2_LOG_WARNING, "replay store %s: rows of dead tokens cannot be deleted: %s",
               store->name, why);
    }
    return SETTLE * 1000;
}

/* --- the store --- */

static m2_code_t dbd_open(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                          m2_err_t *err)
{
    dbd_t *dbd = apr_pcalloc(pool, sizeof(*dbd));
    const char *sql;

    if (!store->spec->dbd) {
        return m2_err_set(err, M2_E_CONFIG, "there is no database layer here");
    }
    dbd->host = store->spec->dbd;
    m2_replay_dbd_statement(&dbd->insert, &sql, pool, store->spec->table, 0);
    m2_replay_dbd_statement(&dbd->clear, &sql, pool, store->spec->table, 1);
    store->state = dbd;
    m2_replay_note_leeway(store, process);
    return M2_OK;
}

static m2_code_t dbd_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    dbd_t *dbd = store->state;

    return m2_worker_make(&dbd->worker, pool, turn, store, err);
}

static void dbd_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    (void)stats;
    (void)store;
}

const m2_replay_impl_t m2_replay_dbd = { dbd_open, dbd_attach, dbd_mark, dbd_stats };
