/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The front of the store of limits. It reads the clock, the one that nobody sets: a bucket
 * must not be full again because somebody changed the date.
 */
#include "limit/m2_limit_store.h"

#include "base/m2_log.h"

#include <time.h>

struct m2_limit_store_t {
    m2_limit_spec_t spec;
    m2_lt_t *table;
};

static apr_uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (apr_uint64_t)t.tv_sec * M2_GCRA_SEC + (apr_uint64_t)t.tv_nsec;
}

/* --- words --- */

static m2_code_t set_entries(m2_limit_spec_t *spec, const char *word, m2_err_t *err)
{
    const char *digits = word + 8;
    char *end = NULL;
    apr_int64_t n = m2_slice_is_nocase(m2_slice(word, strlen(word) < 8 ? 0 : 8), "entries=")
                            && apr_isdigit(*digits)
                        ? apr_strtoi64(digits, &end, 10)
                        : 0;

    if (n < 1 || n > M2_LIMIT_MAX_ENTRIES || *end) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s: the store shm has only the option entries=N, with N from 1 to %d",
                          word, M2_LIMIT_MAX_ENTRIES);
    }
    spec->entries = (apr_uint32_t)n;
    return M2_OK;
}

m2_code_t m2_limit_store_parse(m2_limit_spec_t *spec, const apr_array_header_t *words,
                               m2_err_t *err)
{
    const char *kind = words->nelts ? APR_ARRAY_IDX(words, 0, const char *) : "";
    m2_code_t code = M2_OK;
    int i;

    spec->entries = M2_LIMIT_ENTRIES;
    if (!m2_slice_is_nocase(m2_slice_z(kind), "shm")) {
        return m2_err_set(err, M2_E_CONFIG, "%s: must be shm [entries=N]", kind);
    }
    for (i = 1; code == M2_OK && i < words->nelts; i++) {
        code = set_entries(spec, APR_ARRAY_IDX(words, i, const char *), err);
    }
    return code;
}

const char *m2_limit_store_describe(apr_pool_t *pool, const m2_limit_spec_t *spec)
{
    return apr_psprintf(pool, "shm entries=%u", spec->entries);
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
    return M2_OK;
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

/* Nobody can tell what is left: no door opens, and the client may come again. */
static void refuse_all(m2_lt_take_t *takes, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        memset(&takes[i].answer, 0, sizeof(takes[i].answer));
        takes[i].answer.wait = takes[i].answer.full_in = M2_GCRA_SEC;
    }
}

const m2_limit_use_t *m2_limit_store_take(m2_limit_store_t *store, apr_array_header_t *uses)
{
    m2_lt_take_t takes[M2_LIMIT_TAKES];
    const m2_limit_use_t *refusing = NULL;
    const int n = uses->nelts < M2_LIMIT_TAKES ? uses->nelts : M2_LIMIT_TAKES;
    int i;

    for (i = 0; i < n; i++) {
        const m2_limit_use_t *use = &APR_ARRAY_IDX(uses, i, m2_limit_use_t);

        takes[i].row = use->row;
        takes[i].shadow = use->limit->shadow;
        takes[i].terms = &use->rate->terms;
        takes[i].slot = NULL;
        m2_lt_id(takes[i].id, store->table, use->bucket.p, use->bucket.n);
    }
    if (n && m2_lt_take(store->table, takes, n, now_ns()) < 0) {
        refuse_all(takes, n);
    }
    for (i = 0; i < n; i++) {
        m2_limit_use_t *use = &APR_ARRAY_IDX(uses, i, m2_limit_use_t);

        use->answer = takes[i].answer;
        if (!refusing && !use->answer.passes && !use->limit->shadow) {
            refusing = use;
        }
    }
    return refusing;
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
