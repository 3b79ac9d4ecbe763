/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Shared memory that outlives restarts. A restart unloads the module, so that nothing kept in
 * the pool of the process may point to its code or its texts.
 */
#include "httpd/runtime/m2mgw_shared.h"

#include <apr_shm.h>

#define LINE 64 /* bytes of a cache line */

m2mgw_shared_t *m2mgw_shared_kept(server_rec *s, const char *key)
{
    void *kept = NULL;

    apr_pool_userdata_get(&kept, key, s->process->pool);
    return kept;
}

m2mgw_shared_t *m2mgw_shared_make(server_rec *s, apr_size_t size, apr_uint64_t layout)
{
    m2mgw_shared_t *shared;
    apr_uintptr_t start;
    apr_pool_t *pool;
    apr_shm_t *shm;

    apr_pool_create(&pool, s->process->pool);
    /* the system gives zeros, and a page of them only once it is used */
    if (apr_shm_create(&shm, size + LINE, NULL, pool) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return NULL;
    }
    shared = apr_palloc(pool, sizeof(*shared));
    start = ((apr_uintptr_t)apr_shm_baseaddr_get(shm) + LINE - 1) & ~(apr_uintptr_t)(LINE - 1);
    shared->pool = pool;
    shared->base = (void *)start;
    shared->size = size;
    shared->layout = layout;
    return shared;
}

void m2mgw_shared_keep(server_rec *s, const char *key, m2mgw_shared_t *shared)
{
    m2mgw_shared_t *old = m2mgw_shared_kept(s, key);

    apr_pool_userdata_set(shared, key, NULL, s->process->pool); /* which copies the key */
    if (old && old != shared) {
        apr_pool_destroy(old->pool);
    }
}
