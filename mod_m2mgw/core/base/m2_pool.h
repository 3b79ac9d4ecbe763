/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Pools for large work that is done once. What an ordinary pool gives back stays with the
 * allocator that it shares with its parent, for the life of the process.
 */
#ifndef M2_POOL_H
#define M2_POOL_H

#include <apr_pools.h>

/** A pool below parent, with an allocator of its own: its memory goes back to the system when it
 *  is destroyed. Where there is none, that of parent. */
static inline apr_pool_t *m2_pool_own(apr_pool_t *parent)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        allocator = NULL;
    }
    apr_pool_create_ex(&pool, parent, NULL, allocator);
    if (allocator) {
        apr_allocator_owner_set(allocator, pool);
    }
    return pool;
}

#endif /* M2_POOL_H */
