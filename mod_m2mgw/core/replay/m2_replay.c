/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The front of the replay stores: the id of a token, the counters, and the rate-limited line
 * about a store in trouble. What a mark answers to the
 * gate is decided here once, for all stores.
 */
#include "replay/m2_replay.h"
#include "base/m2_log.h"

#include <apr_shm.h>

#include <openssl/evp.h>

#include <pthread.h>

#define LOG_EVERY 10 /* seconds between two lines about one store's trouble */

/* A kind that is not built in is NULL, and m2_replay_parse does not let it through. */
static const m2_replay_impl_t *const stores[] = { /* ORDER STORE */
    [M2_REPLAY_SHM] = &m2_replay_shm,
    [M2_REPLAY_MEMCACHE] = &m2_replay_memcache,
#if defined(M2_HAVE_HIREDIS)
    [M2_REPLAY_REDIS] = &m2_replay_redis,
#else
    [M2_REPLAY_REDIS] = NULL,
#endif
    [M2_REPLAY_DBD] = &m2_replay_dbd,
};

_Static_assert(sizeof(stores) / sizeof(stores[0]) == M2_REPLAY_KINDS, "ORDER STORE");

/**************************************************************************************/
/* ids */

/* Fetched once per process and never given back: a fetch per mark costs more than the hash,
 * and OpenSSL may be gone by the time the last pool is. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int hash_part(EVP_MD_CTX *ctx, m2_slice_t part)
{
    unsigned char head[9];
    int i;

    head[0] = part.p != NULL; /* "no issuer" is not the empty issuer */
    for (i = 0; i < 8; i++) {
        head[1 + i] = (unsigned char)((apr_uint64_t)part.n >> (8 * (7 - i)));
    }
    return EVP_DigestUpdate(ctx, head, sizeof(head)) == 1
           && EVP_DigestUpdate(ctx, part.n ? part.p : "", part.n) == 1;
}

/* Lengths go in front of the parts, so that ("a", "bc") and ("ab", "c") differ. */
static int make_id(unsigned char *id, m2_slice_t issuer, m2_slice_t jti)
{
    static const char tag[] = "m2m jti 1";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok;

    pthread_once(&sha256_once, fetch_sha256);
    ok = ctx && sha256 && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1
         && EVP_DigestUpdate(ctx, tag, sizeof(tag)) == 1 && hash_part(ctx, issuer)
         && hash_part(ctx, jti) && EVP_DigestFinal_ex(ctx, id, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

/**************************************************************************************/
/* a store and its answers */

static void count(apr_uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* One process of all gets to write the line; the others only count. */
static void log_trouble(const m2_replay_t *store, apr_time_t now, const char *why)
{
    apr_uint64_t *last = &store->counters->last_log;
    apr_uint64_t then = __atomic_load_n(last, __ATOMIC_RELAXED);
    apr_uint64_t sec = (apr_uint64_t)apr_time_sec(now);

    count(&store->counters->unlogged);
    if ((then && sec < then + LOG_EVERY && sec >= then)
        || !__atomic_compare_exchange_n(last, &then, sec, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        return;
    }
    m2_log(M2_LOG_ERR, "replay store %s: %s (%" APR_UINT64_T_FMT " refused since last told)",
           store->name, why, __atomic_exchange_n(&store->counters->unlogged, 0,
                                                 __ATOMIC_RELAXED));
}

m2_code_t m2_replay_open(m2_replay_t **pstore, apr_pool_t *pool, apr_pool_t *process,
                         const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_replay_t *store = apr_pcalloc(pool, sizeof(*store));
    apr_shm_t *shm;
    m2_code_t code;

    *pstore = NULL;
    if (apr_shm_create(&shm, sizeof(*store->counters), NULL, pool) != APR_SUCCESS) {
        return m2_err_set(err, M2_E_CONFIG, "cannot get shared memory for replay counters");
    }
    store->counters = apr_shm_baseaddr_get(shm);
    memset(store->counters, 0, sizeof(*store->counters));
    store->impl = stores[spec->kind];
    store->spec = spec;
    store->name = m2_replay_name(pool, spec);
    if ((code = store->impl->open(store, pool, process, err)) == M2_OK) {
        *pstore = store;
    }
    return code;
}

m2_code_t m2_replay_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    return store->impl->attach(store, pool, err);
}

m2_code_t m2_replay_mark(m2_replay_t *store, m2_slice_t issuer, m2_slice_t jti,
                         apr_time_t expires_at, apr_time_t now, m2_err_t *err)
{
    unsigned char id[M2_REPLAY_ID];
    char why[M2_REPLAY_WHY] = "";
    m2_code_t code;
    int full = 0;

    if (expires_at <= now) {
        return m2_err_set(err, M2_E_EXPIRED, "token expired before it could be spent");
    }
    if (!make_id(id, issuer, jti)) {
        return m2_err_set(err, M2_E_INTERNAL, "cannot hash a jti");
    }
    code = store->impl->mark(store, id, expires_at, now, &full, why);
    if (code == M2_OK) {
        count(&store->counters->marked);
        return M2_OK;
    }
    if (code == M2_E_JTI_REPLAYED) {
        count(&store->counters->replayed);
        return m2_err_set(err, code, "token with jti hash %02x%02x%02x%02x was used before",
                          id[0], id[1], id[2], id[3]);
    }
    count(full ? &store->counters->full : &store->counters->errors);
    log_trouble(store, now, why);
    return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "replay store %s",
                      full ? "is full" : "does not answer");
}

int m2_replay_leeway(const m2_replay_t *store, apr_time_t now)
{
    return m2_leeway_judges(store->leeway, (apr_uint64_t)apr_time_sec(now));
}

void m2_replay_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    memset(stats, 0, sizeof(*stats));
    stats->kind = store->spec->kind;
    stats->name = store->name;
    stats->marked = __atomic_load_n(&store->counters->marked, __ATOMIC_RELAXED);
    stats->replayed = __atomic_load_n(&store->counters->replayed, __ATOMIC_RELAXED);
    stats->full = __atomic_load_n(&store->counters->full, __ATOMIC_RELAXED);
    stats->errors = __atomic_load_n(&store->counters->errors, __ATOMIC_RELAXED);
    store->impl->stats(stats, store);
}
