/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any bytes as a query string. Whatever it is, a name that was taken out is gone in every
 * spelling, what was masked is gone, and what was encoded reads back.
 */
#include "text/m2_form.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

static void check_removed(apr_pool_t *pool, const char *text,
                          const apr_array_header_t *names)
{
    const char *left = m2_form_remove(pool, text, NULL, names);
    m2_slice_t rest = m2_slice_z(left);
    m2_pair_t pair;

    insist(strlen(left) <= strlen(text));
    insist(m2_form_remove(pool, left, NULL, names) == left);
    while (m2_form_next(&rest, &pair)) {
        insist(!m2_form_name_like(pool, pair.name, "client_id"));
        insist(!m2_form_name_is(pool, pair.name, "client_id"));
    }
}

static void check_masked(apr_pool_t *pool, const char *text,
                         const apr_array_header_t *names)
{
    m2_slice_t rest = m2_slice_z(m2_form_mask(pool, text, names, "MASK"));
    m2_pair_t pair;

    while (m2_form_next(&rest, &pair)) {
        insist(!m2_form_name_is(pool, pair.name, "client_id") || !pair.value.n ||
               m2_slice_is(pair.value, "MASK"));
    }
}

static void check_encoded(apr_pool_t *pool, m2_slice_t bytes)
{
    m2_slice_t rest = m2_slice_z(m2_form_append(pool, NULL, "n", bytes));
    m2_pair_t pair;

    insist(m2_form_next(&rest, &pair));
    insist(m2_slice_eq(m2_form_decode(pool, pair.value), bytes));
    insist(!m2_form_next(&rest, &pair));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_array_header_t *names;
    m2_slice_t bytes = m2_slice((const char *)data, size);
    apr_pool_t *pool;
    const char *text;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    names = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(names, const char *) = "client_id";
    text = apr_pstrmemdup(pool, bytes.p, bytes.n);
    check_removed(pool, text, names);
    check_masked(pool, text, names);
    check_encoded(pool, m2_slice(size ? bytes.p : "", size));
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
