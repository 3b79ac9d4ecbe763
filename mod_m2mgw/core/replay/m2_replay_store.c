/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the remote stores have in common: how a key is spelled and how long it is kept.
 */
#include "replay/m2_replay_store.h"

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
