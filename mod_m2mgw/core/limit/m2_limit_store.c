/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The front of the store. It reads the monotonic clock: a bucket must not become full again
 * because the date was changed.
 */
#include "limit/m2_limit_store.h"

#include <time.h>

struct m2_limit_store_t {
    m2_limit_spec_t spec;
    m2_lt_t *table;             /* buckets of this server; the rows of all */
    m2_limit_shared_t *shared;  /* NULL: there are no others */
};

static apr_uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (apr_uint64_t)t.tv_sec * M2_GCRA_SEC + (apr_uint64_t)t.tv_nsec;
}

/* --- opening --- */

m2_code_t m2_limit_store_open(m2_limit_store_t **pstore, apr_pool_t *pool,
                              apr_pool_t *process, const m2_limit_spec_t *spec, m2_err_t *err)
{
    m2_limit_store_t *store = apr_pcalloc(pool, sizeof(*store));

    *pstore = NULL;
    store->spec = *spec;
    store->table = m2_lt_open(process, spec->entries);
    if (!store->table) {
        return m2_err_set(err, M2_E_CONFIG, "cannot get the memory for entries=%u",
                          spec->entries);
    }
    *pstore = store;
    return spec->redis ? m2_limit_shared_open(&store->shared, pool, process, &store->spec,
                                              store->table, err)
                       : M2_OK;
}

m2_code_t m2_limit_store_attach(m2_limit_store_t *store, apr_pool_t *pool, m2_err_t *err)
{
    return store->shared ? m2_limit_shared_attach(store->shared, pool, err) : M2_OK;
}

static int row_of(m2_limit_store_t *store, const char *scope, const char *name)
{
    char text[M2_LIMIT_NAME];

    /* two sections' scripts of one file may meet in a row when their places are long: they
     * share its sums, never a bucket */
    apr_snprintf(text, sizeof(text), "%s%s%s", name, *scope ? " " : "", scope);
    return m2_lt_row(store->table, text);
}

m2_code_t m2_limit_store_rows(m2_limit_store_t *store, const m2_limits_t *limits,
                              m2_err_t *err)
{
    int i;

    for (i = 0; i < limits->list->nelts; i++) {
        m2_limit_t *limit = APR_ARRAY_IDX(limits->list, i, m2_limit_t *);

        limit->row = row_of(store, limit->scope, limit->name);
        limit->special_row = limit->special_name
                                 ? row_of(store, limit->scope, limit->special_name)
                                 : limit->row;
        if (limit->row < 0 || limit->special_row < 0) {
            return m2_err_set(err, M2_E_CONFIG, "a server may have %d limits by name, and %s "
                              "is one more", M2_LIMIT_ROWS, limit->name);
        }
    }
    return M2_OK;
}

/* --- taking --- */

const m2_limit_use_t *m2_limit_store_take(m2_limit_store_t *store, apr_array_header_t *list)
{
    m2_limit_use_t *uses = (m2_limit_use_t *)(void *)list->elts;
    const int n = list->nelts < M2_LIMIT_TAKES ? list->nelts : M2_LIMIT_TAKES;
    int i;

    if (store->shared) {
        m2_limit_shared_take(store->shared, uses, n, now_ns());
    }
    else {
        m2_limit_local_take(store->table, uses, n, 1, now_ns());
    }
    for (i = 0; i < n; i++) {
        if (!uses[i].answer.passes && !uses[i].limit->shadow) {
            return &uses[i];
        }
    }
    return NULL;
}

/* --- sums --- */

const m2_lt_stats_t *m2_limit_store_stats(apr_pool_t *pool, const m2_limit_store_t *store)
{
    m2_lt_stats_t *stats = apr_palloc(pool, sizeof(*stats) * M2_LIMIT_ROWS);

    m2_lt_stats(stats, store->table, now_ns());
    return stats;
}

apr_uint64_t m2_limit_store_used(const m2_limit_store_t *store)
{
    return m2_lt_used(store->table);
}

int m2_limit_store_remote(m2_limit_remote_t *remote, const m2_limit_store_t *store)
{
    if (store->shared) {
        m2_limit_shared_stats(remote, store->shared);
    }
    return store->shared != NULL;
}
