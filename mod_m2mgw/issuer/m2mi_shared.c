/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The lock is the number of the process that holds it. Nobody waits for it: who finds it
 * held comes again with the next look. A holder that was killed is known by its number being
 * free; what it may have left half written is then dropped.
 */
#include "issuer/m2mi_shared.h"

#include <apr_shm.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

struct m2mi_shared_t {
    pid_t holder;
    int writing;          /* the holder is at the text */
    apr_uint32_t version; /* 0: there is no text */
    apr_uint64_t stamp;
    apr_size_t size, max;
    char text[];          /* pages that nobody wrote take no memory */
};

static int lock(m2mi_shared_t *shared)
{
    const pid_t mine = getpid();
    pid_t holder = 0;

    if (__atomic_compare_exchange_n(&shared->holder, &holder, mine, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
        return 1;
    }
    if (kill(holder, 0) == 0 || errno != ESRCH
        || !__atomic_compare_exchange_n(&shared->holder, &holder, mine, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        return 0;
    }
    if (shared->writing) {
        shared->writing = 0;
        shared->version = 0;
    }
    return 1;
}

static void unlock(m2mi_shared_t *shared)
{
    __atomic_store_n(&shared->holder, 0, __ATOMIC_RELEASE);
}

m2mi_shared_t *m2mi_shared_open(server_rec *s, const char *name, apr_size_t max)
{
    apr_pool_t *pool = s->process->pool;
    const char *key = apr_pstrcat(pool, "m2m_issuer_text:", name, NULL);
    void *data = NULL;
    m2mi_shared_t *shared;
    apr_shm_t *shm;

    apr_pool_userdata_get(&data, key, pool);
    shared = data;
    if (shared && shared->max == max) {
        return shared;
    }
    if (apr_shm_create(&shm, sizeof(*shared) + max + 1, NULL, pool) != APR_SUCCESS) {
        return NULL;
    }
    shared = apr_shm_baseaddr_get(shm); /* anonymous, so it comes zeroed */
    shared->max = max;
    apr_pool_userdata_set(shared, key, NULL, pool);
    return shared;
}

void m2mi_shared_put(m2mi_shared_t *shared, apr_uint32_t *pversion, m2_slice_t text,
                     apr_uint64_t stamp)
{
    if (text.n > shared->max || !lock(shared)) {
        return;
    }
    if (!shared->version || shared->stamp != stamp) {
        shared->writing = 1;
        memcpy(shared->text, text.p, text.n);
        shared->size = text.n;
        shared->stamp = stamp;
        shared->version = shared->version + 1 ? shared->version + 1 : 1;
        shared->writing = 0;
    }
    *pversion = shared->version;
    unlock(shared);
}

m2_slice_t m2mi_shared_get(m2mi_shared_t *shared, apr_uint32_t *pversion, apr_pool_t *pool)
{
    m2_slice_t text = m2_slice(NULL, 0);

    if (!lock(shared)) {
        return text;
    }
    if (shared->version && shared->version != *pversion) {
        text = m2_slice(apr_pstrmemdup(pool, shared->text, shared->size), shared->size);
        *pversion = shared->version;
    }
    unlock(shared);
    return text;
}
