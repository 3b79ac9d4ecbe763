/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A directive has a handful of options, so a list is searched.
 */
#include "text/m2_once.h"

m2_code_t m2_once(apr_array_header_t **pseen, apr_pool_t *pool, m2_slice_t name,
                  m2_err_t *err)
{
    int i;

    if (!*pseen) {
        *pseen = apr_array_make(pool, 4, sizeof(m2_slice_t));
    }
    for (i = 0; i < (*pseen)->nelts; i++) {
        const m2_slice_t other = APR_ARRAY_IDX(*pseen, i, m2_slice_t);

        if (m2_slice_is_nocase(name, apr_pstrmemdup(pool, other.p, other.n))) {
            return m2_err_set(err, M2_E_CONFIG, "%.*s= is given twice", (int)other.n, other.p);
        }
    }
    APR_ARRAY_PUSH(*pseen, m2_slice_t) = name;
    return M2_OK;
}

m2_code_t m2_once_flag(int *pflag, const char *word, m2_err_t *err)
{
    if (*pflag) {
        return m2_err_set(err, M2_E_CONFIG, "%s is given twice", word);
    }
    *pflag = 1;
    return M2_OK;
}

m2_code_t m2_once_words(const apr_array_header_t *words, int first, m2_err_t *err)
{
    apr_array_header_t *seen = NULL;
    m2_code_t code = M2_OK;
    int i;

    for (i = first; code == M2_OK && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        const char *equals = strchr(word, '=');

        if (equals) {
            code = m2_once(&seen, words->pool, m2_slice(word, (apr_size_t)(equals - word)), err);
        }
    }
    return code;
}
