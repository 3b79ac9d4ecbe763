/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MLimitStore. How many servers share a store has to be said: it is what each
 * may let pass when the store is gone.
 */
#include "limit/m2_limit_spec.h"

#include "limit/m2_limit_table.h"
#include "text/m2_once.h"

#define PREFIX "m2m:limit:"
#define MAX_NODES 10000
#define MAX_LEASE 1000 /* milliseconds */

static m2_code_t set_lease(m2_limit_spec_t *spec, const char *value, m2_err_t *err)
{
    char *end = NULL;
    const apr_int64_t n = apr_strtoi64(value, &end, 10);
    const int unit = m2_slice_is_nocase(m2_slice_z(end), "ms");

    if (!apr_isdigit(*value) || n > MAX_LEASE || (n ? !unit : *end && !unit)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "lease=%s: must be a time such as 50ms, up to %dms, or 0 for none",
                          value, MAX_LEASE);
    }
    spec->lease = (int)n;
    return M2_OK;
}

static m2_code_t set_redis_option(m2_limit_spec_t *spec, apr_pool_t *pool, m2_slice_t name,
                                  const char *word, const char *value, m2_err_t *err)
{
    m2_code_t code;

    if (m2_slice_is_nocase(name, "nodes")) {
        return m2_number_read(&spec->nodes, "nodes", value, 1, MAX_NODES, err);
    }
    if (m2_slice_is_nocase(name, "lease")) {
        return set_lease(spec, value, err);
    }
    code = m2_redis_spec_option(spec->redis, pool, name, value, err);
    return code != M2_E_NOT_FOUND
               ? code
               : m2_err_set(err, M2_E_CONFIG, "%s: this store has only the options nodes= "
                            "lease= entries= %s", word,
                            m2_redis_spec_options(pool, spec->redis));
}

static m2_code_t set_option(m2_limit_spec_t *spec, apr_pool_t *pool, const char *word,
                            m2_err_t *err)
{
    const apr_size_t n = strcspn(word, "=");
    const m2_slice_t name = m2_slice(word, n);
    const char *value = word[n] && word[n + 1] ? word + n + 1 : NULL;
    int entries = 0;
    m2_code_t code;

    if (!value) {
        return m2_err_set(err, M2_E_CONFIG, "%s: a value is missing", word);
    }
    if (m2_slice_is_nocase(name, "entries")) {
        code = m2_number_read(&entries, "entries", value, 1, M2_LIMIT_MAX_ENTRIES, err);
        spec->entries = (apr_uint32_t)entries;
        return code;
    }
    return spec->redis ? set_redis_option(spec, pool, name, word, value, err)
                       : m2_err_set(err, M2_E_CONFIG,
                                    "%s: the store shm has only the option entries=N", word);
}

static m2_code_t check_whole(const m2_limit_spec_t *spec, m2_err_t *err)
{
    if (!spec->redis) {
        return M2_OK;
    }
    if (!spec->nodes) {
        return m2_err_set(err, M2_E_CONFIG,
                          "nodes=N is missing: how many servers share the store, each of "
                          "which holds to its part while the store does not answer");
    }
    return m2_redis_spec_check(spec->redis, err);
}

static m2_code_t start(m2_limit_spec_t *spec, apr_pool_t *pool, const char *kind,
                       m2_err_t *err)
{
    m2_code_t code;

    memset(spec, 0, sizeof(*spec));
    spec->entries = M2_LIMIT_ENTRIES;
    spec->lease = M2_LIMIT_LEASE;
    if (m2_redis_built_in() && m2_redis_spec_is(kind)) {
        code = m2_redis_spec_start(&spec->redis, pool, kind, PREFIX, err);
        if (code == M2_OK) {
            spec->redis->timeout = M2_LIMIT_TIMEOUT;
        }
        return code;
    }
    if (!m2_slice_is_nocase(m2_slice_z(kind), "shm")) {
        return m2_err_set(err, M2_E_CONFIG, "%s: must be shm [entries=N], " M2_REDIS_WORDS "%s",
                          kind, m2_redis_built_in() ? "" : " (redis is not built in here)");
    }
    return M2_OK;
}

m2_code_t m2_limit_spec_parse(m2_limit_spec_t *spec, const apr_array_header_t *words,
                              m2_err_t *err)
{
    const char *kind = words->nelts ? APR_ARRAY_IDX(words, 0, const char *) : "";
    m2_code_t code = start(spec, words->pool, kind, err);
    int i;

    code = code ? code : m2_once_words(words, 1, err);
    for (i = 1; code == M2_OK && i < words->nelts; i++) {
        code = set_option(spec, words->pool, APR_ARRAY_IDX(words, i, const char *), err);
    }
    return code == M2_OK ? check_whole(spec, err) : code;
}

const char *m2_limit_spec_describe(apr_pool_t *pool, const m2_limit_spec_t *spec)
{
    if (!spec->redis) {
        return apr_psprintf(pool, "shm entries=%u", spec->entries);
    }
    return apr_psprintf(pool, "%s nodes=%d lease=%dms entries=%u",
                        m2_redis_spec_describe(pool, spec->redis), spec->nodes, spec->lease,
                        spec->entries);
}
