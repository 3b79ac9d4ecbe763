/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MLimit, while configuration is read.
 */
#include "limit/m2_limit.h"
#include "text/m2_nearest.h"

#define OPTIONS "burst=, null=, when=, special= and shadow"

#define MAX_COUNT 1000000000
#define MAX_WINDOW (31 * 86400)
#define NAME_BYTES "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-"

m2_limits_t *m2_limits_make(apr_pool_t *pool, const m2_rules_t *scope)
{
    m2_limits_t *limits = apr_pcalloc(pool, sizeof(*limits));

    limits->scope = scope;
    limits->list = apr_array_make(pool, 4, sizeof(m2_limit_t *));
    return limits;
}

/* --- numbers --- */

/* Digits of text up to end; 0 when there are none, others, or the number is over most. */
static apr_uint32_t number(const char *text, const char *end, apr_uint32_t most)
{
    apr_uint64_t n = 0;

    if (text == end) {
        return 0;
    }
    for (; text < end; text++) {
        if (!apr_isdigit(*text)) {
            return 0;
        }
        n = n * 10 + (apr_uint64_t)(*text - '0');
        if (n > most) {
            return 0;
        }
    }
    return (apr_uint32_t)n;
}

/* `10s`, `5m`, `1h`, `31d`; 0 for anything else */
static apr_uint32_t window_of(const char *text)
{
    static const struct { char letter; apr_uint32_t seconds; } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
    };
    const apr_size_t n = strlen(text);
    apr_size_t i;

    for (i = 0; n && i < sizeof(units) / sizeof(units[0]); i++) {
        if (apr_tolower(text[n - 1]) == units[i].letter) {
            return number(text, text + n - 1, MAX_WINDOW / units[i].seconds)
                   * units[i].seconds;
        }
    }
    return 0;
}

static m2_code_t set_terms(m2_limit_rate_t *rate, m2_err_t *err)
{
    return m2_gcra_terms(&rate->terms, rate->count, rate->window, rate->burst)
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG,
                            "burst=%u at %u in %u s would take more than a hundred years to "
                            "come back", rate->burst, rate->count, rate->window);
}

m2_code_t m2_limit_rate_parse(m2_limit_rate_t *rate, const char *text, apr_uint32_t burst,
                              m2_err_t *err)
{
    const char *slash = strchr(text, '/');

    rate->count = slash ? number(text, slash, MAX_COUNT) : 0;
    rate->window = slash ? window_of(slash + 1) : 0;
    rate->burst = burst ? burst : rate->count;
    if (!rate->count || !rate->window) {
        return m2_err_set(err, M2_E_CONFIG,
                          "\"%s\" is not COUNT/WINDOW; COUNT is a number from 1 to %d, WINDOW "
                          "a time from 1s to 31d, such as 100/1m", text, MAX_COUNT);
    }
    return set_terms(rate, err);
}

/* --- the three words --- */

static m2_code_t add_part(m2_limit_t *limit, const m2_limits_t *limits, m2_slice_t name,
                          m2_err_t *err)
{
    const int index = name.n && m2_name_length(name) == name.n
                          ? m2_params_find(limits->scope->params, name)
                          : -1;

    if (index < 0) {
        return m2_err_set(err, M2_E_CONFIG,
                          "KEY: \"%.*s\" is not a parameter; it takes * or names of M2MParameter "
                          "lines above it in its own section, or Ca... names, without $, joined "
                          "by commas", (int)(name.n < 100 ? name.n : 100), name.p);
    }
    if (limit->key->nelts == M2_LIMIT_MAX_PARTS) {
        return m2_err_set(err, M2_E_CONFIG, "KEY: more than %d parts", M2_LIMIT_MAX_PARTS);
    }
    APR_ARRAY_PUSH(limit->key, int) = index;
    return M2_OK;
}

static m2_code_t set_key(m2_limit_t *limit, const m2_limits_t *limits, const char *key,
                         m2_err_t *err)
{
    m2_code_t code = M2_OK;
    const char *comma;

    if (m2_slice_is(m2_slice_z(key), "*")) {
        return M2_OK;
    }
    while (code == M2_OK && (comma = strchr(key, ',')) != NULL) {
        code = add_part(limit, limits, m2_slice(key, (apr_size_t)(comma - key)), err);
        key = comma + 1;
    }
    return code ? code : add_part(limit, limits, m2_slice_z(key), err);
}

m2_code_t m2_limit_make(m2_limit_t **plimit, m2_limits_t *limits, const char *name,
                        const char *key, const char *rate, m2_err_t *err)
{
    apr_pool_t *pool = limits->list->pool;
    m2_limit_t *limit = apr_pcalloc(pool, sizeof(*limit));
    m2_limit_rate_t *terms = apr_pcalloc(pool, sizeof(*terms));
    m2_code_t code;

    *plimit = limit;
    limit->name = apr_pstrdup(pool, name);
    limit->scope = "";
    limit->rate = terms;
    limit->key = apr_array_make(pool, 1, sizeof(int));
    if (!*name || strspn(name, NAME_BYTES) != strlen(name)
        || strlen(name) > M2_LIMIT_MAX_NAME) {
        return m2_err_set(err, M2_E_CONFIG,
                          "\"%.100s\" is not a name: it takes 1 to %d letters, digits, dots, "
                          "hyphens and underscores", name, M2_LIMIT_MAX_NAME);
    }
    code = set_key(limit, limits, key, err);
    return code ? code : m2_limit_rate_parse(terms, rate, 0, err);
}

/* --- options --- */

typedef m2_code_t set_fn(m2_limit_t *limit, m2_limits_t *limits, const char *value,
                         m2_err_t *err);

static m2_code_t set_burst(m2_limit_t *limit, m2_limits_t *limits, const char *value,
                           m2_err_t *err)
{
    m2_limit_rate_t *rate = apr_pmemdup(limits->list->pool, limit->rate, sizeof(*rate));

    rate->burst = number(value, value + strlen(value), M2_LIMIT_MAX_BURST);
    limit->rate = rate;
    return rate->burst ? set_terms(rate, err)
                       : m2_err_set(err, M2_E_CONFIG,
                                    "burst=%s: it takes a number from 1 to %d", value,
                                    M2_LIMIT_MAX_BURST);
}

static m2_code_t set_null(m2_limit_t *limit, m2_limits_t *limits, const char *value,
                          m2_err_t *err)
{
    (void)limits;
    limit->null_denies = m2_slice_is_nocase(m2_slice_z(value), "deny");
    return limit->null_denies || m2_slice_is_nocase(m2_slice_z(value), "pass")
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "null=%s: it takes pass or deny", value);
}

static m2_code_t set_when(m2_limit_t *limit, m2_limits_t *limits, const char *value,
                          m2_err_t *err)
{
    m2_err_t cause;

    if (limit->when) {
        return m2_err_set(err, M2_E_CONFIG, "when= was given already");
    }
    m2_err_init(&cause, err->pool);
    if (m2_expr_compile(&limit->when, limits->list->pool, value, limits->scope->params, &cause)
        != M2_OK) {
        return m2_err_set(err, M2_E_CONFIG, "when=: column %d: %s", cause.column,
                          cause.text ? cause.text : "not understood");
    }
    return M2_OK;
}

/* VALUE:COUNT/WINDOW, split at the last colon */
static m2_code_t set_special(m2_limit_t *limit, m2_limits_t *limits, const char *value,
                             m2_err_t *err)
{
    apr_pool_t *pool = limits->list->pool;
    const char *colon = strrchr(value, ':');
    m2_limit_rate_t *rate = apr_pcalloc(pool, sizeof(*rate));
    const char *name;
    m2_code_t code;

    if (!colon || !limit->key->nelts) {
        return m2_err_set(err, M2_E_CONFIG, "special=%s: %s", value,
                          colon ? "the limit has one bucket for all, so no value is special"
                                : "it takes VALUE:COUNT/WINDOW");
    }
    code = m2_limit_rate_parse(rate, colon + 1, 0, err);
    if (code != M2_OK) {
        return code;
    }
    name = apr_pstrmemdup(pool, value, (apr_size_t)(colon - value));
    limit->specials = limit->specials ? limit->specials : apr_hash_make(pool);
    if (apr_hash_get(limit->specials, name, APR_HASH_KEY_STRING)) {
        return m2_err_set(err, M2_E_CONFIG, "special=%s: the value has terms already", value);
    }
    apr_hash_set(limit->specials, name, APR_HASH_KEY_STRING, rate);
    return M2_OK;
}

m2_code_t m2_limit_option(m2_limit_t *limit, m2_limits_t *limits, const char *name,
                          const char *value, m2_err_t *err)
{
    static const struct { const char *name; set_fn *set; } options[] = {
        { "burst", set_burst }, { "null", set_null }, { "when", set_when },
        { "special", set_special },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(name), options[i].name)) {
            return options[i].set(limit, limits, value, err);
        }
    }
    return m2_err_set(err, M2_E_CONFIG,
                      "there is no option \"%s\"; there are " OPTIONS "%s", name,
                      m2_nearest_hint(err ? err->pool : NULL, name, OPTIONS));
}

m2_code_t m2_limits_add(m2_limits_t *limits, m2_limit_t *limit, m2_err_t *err)
{
    int i;

    for (i = 0; i < limits->list->nelts; i++) {
        if (m2_slice_is(m2_slice_z(limit->name),
                        APR_ARRAY_IDX(limits->list, i, m2_limit_t *)->name)) {
            return m2_err_set(err, M2_E_CONFIG, "the section has a limit of this name already");
        }
    }
    APR_ARRAY_PUSH(limits->list, m2_limit_t *) = limit;
    return M2_OK;
}

/* --- one name, one bucket --- */

static int same_rate(const m2_limit_rate_t *a, const m2_limit_rate_t *b)
{
    return a == b
           || (a && b && a->count == b->count && a->window == b->window
               && a->burst == b->burst);
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && m2_slice_is(m2_slice_z(a), b));
}

static int same_key(const m2_limit_t *a, const m2_params_t *of_a, const m2_limit_t *b,
                    const m2_params_t *of_b)
{
    int i;

    for (i = 0; i < a->key->nelts && i < b->key->nelts; i++) {
        const m2_param_t *p = &APR_ARRAY_IDX(of_a->list, APR_ARRAY_IDX(a->key, i, int),
                                             m2_param_t);
        const m2_param_t *q = &APR_ARRAY_IDX(of_b->list, APR_ARRAY_IDX(b->key, i, int),
                                             m2_param_t);

        if (p->source != q->source || p->index != q->index || !same_text(p->arg, q->arg)) {
            return 0;
        }
    }
    return a->key->nelts == b->key->nelts;
}

/* Whether every special value of a is one of b, by the same terms. */
static int holds_specials(apr_hash_t *a, apr_hash_t *b, apr_pool_t *pool)
{
    apr_hash_index_t *i;

    for (i = a ? apr_hash_first(pool, a) : NULL; i; i = apr_hash_next(i)) {
        const m2_limit_rate_t *rate =
            b ? apr_hash_get(b, apr_hash_this_key(i), apr_hash_this_key_len(i)) : NULL;

        if (!rate || !same_rate(apr_hash_this_val(i), rate)) {
            return 0;
        }
    }
    return 1;
}

const char *m2_limit_differs(const m2_limit_t *a, const m2_limits_t *of_a, const m2_limit_t *b,
                             const m2_limits_t *of_b)
{
    apr_pool_t *pool = of_a->list->pool;

    if (!same_rate(a->rate, b->rate)) {
        return "COUNT, WINDOW or burst";
    }
    if (!same_key(a, of_a->scope->params, b, of_b->scope->params)) {
        return "the sources of KEY";
    }
    if (!holds_specials(a->specials, b->specials, pool)
        || !holds_specials(b->specials, a->specials, pool)) {
        return "special=";
    }
    return NULL;
}
