/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a request takes from which bucket. The bytes of a bucket are its scope, its name and
 * the values of its key, each behind its length, so that ("a", "bc") and ("ab", "c") differ.
 */
#include "limit/m2_limit.h"

/* --- the bucket of a request --- */

typedef struct bytes_t {
    char *p;
    apr_size_t n, size;
    apr_pool_t *pool;
} bytes_t;

static void put(bytes_t *bytes, m2_slice_t part)
{
    const apr_uint64_t n = part.n;

    if (bytes->size - bytes->n < sizeof(n) + part.n) {
        char *more = apr_palloc(bytes->pool, 2 * bytes->size + sizeof(n) + part.n);

        memcpy(more, bytes->p, bytes->n);
        bytes->p = more;
        bytes->size = 2 * bytes->size + sizeof(n) + part.n;
    }
    memcpy(bytes->p + bytes->n, &n, sizeof(n));
    bytes->n += sizeof(n);
    if (part.n) {
        memcpy(bytes->p + bytes->n, part.p, part.n);
        bytes->n += part.n;
    }
}

/* The values of a key; M2_E_NOT_FOUND when one is null. */
static m2_code_t ask_parts(m2_slice_t *parts, const m2_limit_t *limit, m2_facts_t *facts)
{
    int i;

    for (i = 0; i < limit->key->nelts; i++) {
        m2_value_t value;
        m2_code_t code = m2_facts_get(&value, facts, APR_ARRAY_IDX(limit->key, i, int));

        if (code != M2_OK) {
            return M2_E_RULE_ERROR;
        }
        if (!value.text.p) {
            return M2_E_NOT_FOUND;
        }
        parts[i] = value.text;
    }
    return M2_OK;
}

static m2_slice_t joined(apr_pool_t *pool, const m2_slice_t *parts, int n)
{
    const char *text = n ? m2_slice_dup(pool, parts[0]) : "";
    int i;

    if (n == 1) {
        return parts[0];
    }
    for (i = 1; i < n; i++) {
        text = apr_pstrcat(pool, text, ",", m2_slice_dup(pool, parts[i]), NULL);
    }
    return m2_slice_z(text);
}

/* By which terms: those of a special value, or those of all others; NULL for neither. */
static void choose_rate(m2_limit_use_t *use, const m2_limit_t *limit, apr_pool_t *pool,
                        const m2_slice_t *parts)
{
    const m2_limit_rate_t *special = NULL;

    if (limit->specials) {
        const m2_slice_t value = joined(pool, parts, limit->key->nelts);

        special = apr_hash_get(limit->specials, value.p, (apr_ssize_t)value.n);
    }
    use->limit = limit;
    use->rate = special ? special : limit->rate;
    use->name = special && limit->special_name ? limit->special_name : limit->name;
    use->row = special && limit->special_name ? limit->special_row : limit->row;
}

static m2_slice_t bucket_of(apr_pool_t *pool, const m2_limit_use_t *use,
                            const m2_slice_t *parts)
{
    const m2_limit_t *limit = use->limit;
    bytes_t bytes = { apr_palloc(pool, 256), 0, 256, pool };
    int i;

    put(&bytes, m2_slice_z(limit->scope));
    put(&bytes, m2_slice_z(limit->name)); /* a special value is no other's, whatever its name */
    for (i = 0; i < limit->key->nelts; i++) {
        put(&bytes, parts[i]);
    }
    return m2_slice(bytes.p, bytes.n);
}

static int applies(const m2_limit_t *limit, m2_facts_t *facts)
{
    m2_err_t ignored;

    if (!limit->when) {
        return 1;
    }
    m2_err_init(&ignored, facts->pool);
    return m2_expr_eval(limit->when, facts, &ignored) != M2_FALSE;
}

static m2_code_t gather_one(apr_array_header_t *uses, const m2_limit_t *limit,
                            m2_facts_t *facts, m2_err_t *err)
{
    m2_slice_t parts[M2_LIMIT_MAX_PARTS];
    m2_limit_use_t use;
    m2_code_t code = ask_parts(parts, limit, facts);

    if (code == M2_E_NOT_FOUND) {
        return limit->null_denies && !limit->shadow
                   ? m2_err_set(err, M2_E_LIMIT_NULL, "a part of the key of limit %s is null",
                                limit->name)
                   : M2_OK;
    }
    if (code != M2_OK) {
        return limit->shadow ? M2_OK
                             : m2_err_set(err, code, "the key of limit %s cannot be evaluated",
                                          limit->name);
    }
    memset(&use, 0, sizeof(use));
    choose_rate(&use, limit, facts->pool, parts);
    if (use.rate) {
        use.bucket = bucket_of(facts->pool, &use, parts);
        APR_ARRAY_PUSH(uses, m2_limit_use_t) = use;
    }
    return M2_OK;
}

m2_code_t m2_limit_gather(apr_array_header_t **puses, const m2_limit_t **plimit,
                          const m2_limits_t *limits, m2_facts_t *facts, m2_err_t *err)
{
    apr_array_header_t *uses = apr_array_make(facts->pool, limits->list->nelts + 1,
                                              sizeof(m2_limit_use_t));
    m2_code_t code = M2_OK;
    int i;

    *puses = uses;
    for (i = 0; code == M2_OK && i < limits->list->nelts; i++) {
        *plimit = APR_ARRAY_IDX(limits->list, i, const m2_limit_t *);
        if (applies(*plimit, facts)) {
            code = gather_one(uses, *plimit, facts, err);
        }
    }
    return code;
}

/* --- what the client is told --- */

static apr_uint64_t seconds_up(apr_uint64_t nanoseconds)
{
    return nanoseconds / M2_GCRA_SEC + (nanoseconds % M2_GCRA_SEC != 0);
}

apr_uint64_t m2_limit_retry(const m2_gcra_answer_t *answer)
{
    const apr_uint64_t seconds = seconds_up(answer->wait);

    return seconds ? seconds : 1;
}

void m2_limit_headers(const char **ppolicy, const char **plimit, apr_pool_t *pool,
                      const apr_array_header_t *uses)
{
    const char *policy = "", *limit = "";
    int i;

    for (i = 0; i < uses->nelts; i++) {
        const m2_limit_use_t *use = &APR_ARRAY_IDX(uses, i, m2_limit_use_t);
        const char *comma = *policy ? ", " : "";

        if (use->limit->shadow) {
            continue;
        }
        policy = apr_psprintf(pool, "%s%s\"%s\";q=%u;w=%u", policy, comma, use->name,
                              use->rate->count, use->rate->window);
        limit = apr_psprintf(pool, "%s%s\"%s\";r=%" APR_UINT64_T_FMT ";t=%" APR_UINT64_T_FMT,
                             limit, comma, use->name, use->answer.left,
                             seconds_up(use->answer.full_in));
    }
    *ppolicy = policy;
    *plimit = limit;
}
