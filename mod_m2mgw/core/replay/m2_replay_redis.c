/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Marks in Redis: one `SET key 1 NX EX ttl` per mark, and with wait= a WAIT behind it, on the
 * same connection. Any answer but OK and nil refuses the mark: out of memory, read-only
 * replica, loading, no permission, fewer replicas than asked for. No answer is not a mark that
 * anybody may count on, and no leave to try again. What a failover loses: docs/replay.md.
 */
#include "replay/m2_replay_store.h"

#include "redis/m2_redis.h"

static void complain(const m2_redis_reply_t *reply, char *why)
{
    if (m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses SET: %.90s", m2_redis_text(reply).p);
    }
    else {
        apr_cpystrn(why, "Redis gives no clear answer to SET", M2_WIRE_WHY);
    }
}

static m2_code_t code_of(const m2_redis_reply_t *reply, const m2_redis_call_t *call,
                         int *pfull, char *why)
{
    if (m2_redis_is(reply, "OK")) {
        return call->acked >= call->wait ? M2_OK : M2_E_REPLAY_UNAVAILABLE;
    }
    if (m2_redis_kind(reply) == M2_REDIS_NIL) {
        return M2_E_JTI_REPLAYED;
    }
    complain(reply, why);
    *pfull = m2_redis_fails(reply, "OOM");
    return M2_E_REPLAY_UNAVAILABLE;
}

static m2_code_t redis_mark(m2_replay_t *store, const unsigned char *id,
                            apr_time_t expires_at, apr_time_t now, int *pfull, char *why)
{
    char key[M2_REPLAY_KEY], ttl[24];
    const char *const argv[] = { "SET", key, "1", "NX", "EX", ttl };
    m2_redis_call_t call = { key, 6, argv, store->spec->wait, 0, 0 };
    m2_redis_reply_t *reply;
    m2_code_t code;

    m2_replay_key(key, store, id);
    apr_snprintf(ttl, sizeof(ttl), "%" APR_UINT64_T_FMT, m2_replay_ttl(expires_at, now));
    reply = m2_redis_ask(store->state, &call, why);
    if (!reply) {
        return M2_E_REPLAY_UNAVAILABLE;
    }
    code = code_of(reply, &call, pfull, why);
    m2_redis_free(reply);
    return code;
}

static m2_code_t redis_open(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                            m2_err_t *err)
{
    m2_redis_t *redis;
    m2_code_t code = m2_redis_open(&redis, pool, store->spec->redis,
                                   apr_pstrcat(pool, "replay store ", store->name, NULL),
                                   "a dropped mark is a token accepted twice", err);

    store->state = redis;
    m2_replay_note_leeway(store, process);
    return code;
}

static m2_code_t redis_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    return m2_redis_attach(store->state, pool, err);
}

static void redis_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    (void)stats;
    (void)store;
}

const m2_replay_impl_t m2_replay_redis = { redis_open, redis_attach, redis_mark,
                                           redis_stats };
