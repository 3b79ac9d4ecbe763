/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the remote stores have in common: how a key is spelled, how long it is kept, whose
 * addresses are asked for.
 */
#include "replay/m2_replay_store.h"

#define LEEWAY_KEY "m2_replay_leeway/1" /* names the layout: another release may find it */
#define DRAIN 300 /* seconds that children of an older configuration may serve on */

void m2_replay_key(char *key, const m2_replay_t *store, const unsigned char *id)
{
    static const char hex[] = "0123456789abcdef";
    apr_size_t n = strlen(store->spec->prefix);
    int i;

    memcpy(key, store->spec->prefix, n);
    for (i = 0; i < M2_REPLAY_ID; i++) {
        key[n++] = hex[id[i] >> 4];
        key[n++] = hex[id[i] & 15];
    }
    key[n] = '\0';
}

apr_uint64_t m2_replay_ttl(apr_time_t expires_at, apr_time_t now)
{
    return (apr_uint64_t)((expires_at - now + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC) + 2;
}

void m2_replay_note_leeway(m2_replay_t *store, apr_pool_t *process)
{
    const m2_replay_spec_t *spec = store->spec;
    const apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    void *data = NULL;

    apr_pool_userdata_get(&data, LEEWAY_KEY, process);
    store->leeway = data;
    if (!store->leeway) {
        store->leeway = apr_pcalloc(process, sizeof(*store->leeway));
        apr_pool_userdata_set(store->leeway, LEEWAY_KEY, NULL, process);
    }
    m2_leeway_set(store->leeway, (apr_uint32_t)spec->leeway,
                  (apr_uint64_t)spec->lifetime + DRAIN, now);
}

int m2_replay_first(m2_replay_t *store)
{
    return !__atomic_exchange_n(&store->told, 1, __ATOMIC_RELAXED);
}

m2_code_t m2_replay_names(m2_names_t **pnames, apr_pool_t *pool,
                          const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_addr_t addrs[M2_NAMES_ADDRS];
    m2_code_t code = m2_names_make(pnames, pool, err);
    int i;

    for (i = 0; code == M2_OK && i < spec->hosts->nelts; i++) {
        const m2_host_t *host = &APR_ARRAY_IDX(spec->hosts, i, m2_host_t);

        if (host->name[0] != '/') {
            m2_names_find(addrs, *pnames, host->name, host->port);
        }
    }
    if (code == M2_OK) {
        m2_names_wait(*pnames, spec->timeout);
    }
    return code;
}
