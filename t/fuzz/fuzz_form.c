/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any bytes as a query string. Whatever it is, a name that was taken out is gone in every
 * spelling, what was masked is gone, and what was encoded reads back.
 */
#include "request/m2_cookie.h"
#include "request/m2_nameset.h"
#include "request/m2_pairs.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

static int is_ours(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

static void check_removed(apr_pool_t *pool, const char *text, const m2_nameset_t *names)
{
    const char *left = m2_nameset_remove(pool, text, is_ours, names);
    m2_slice_t rest = m2_slice_z(left);
    m2_pair_t pair;

    insist(strlen(left) <= strlen(text));
    insist(m2_nameset_remove(pool, left, is_ours, names) == left);
    while (m2_form_next(&rest, &pair)) {
        insist(!m2_name_like(pair.name, "client_id", M2_READ_FORM));
        insist(!m2_form_name_is(pair.name, "client_id"));
    }
}

/* Behind our pair nothing in the text makes the value another one, or unclear. */
static void check_inserted(apr_pool_t *pool, const char *text, const m2_nameset_t *names)
{
    const char *left = m2_nameset_remove(pool, text, is_ours, names);
    const char *whole = m2_form_insert(pool, m2_form_clean(pool, left), "client_id=v");
    const m2_reply_t reply = m2_pairs_get(m2_pairs_make(pool, m2_slice_z(whole),
                                                        M2_READ_FORM), "client_id");

    insist(m2_slice_is(reply.value, "v") && !reply.unclear && reply.count == 1);
}

static void check_masked(apr_pool_t *pool, const char *text, const m2_nameset_t *names)
{
    m2_slice_t rest = m2_slice_z(m2_nameset_mask(pool, text, names, "MASK"));
    m2_pair_t pair;

    while (m2_form_next(&rest, &pair)) {
        insist(!is_ours(names, pair.name) || !pair.value.n || m2_slice_is(pair.value, "MASK"));
    }
}

/* The same bytes as cookies: whatever is found is found in them. */
static void check_cookies(apr_pool_t *pool, const char *text)
{
    const m2_reply_t reply = m2_pairs_get(m2_pairs_make(pool, m2_slice_z(text),
                                                        M2_READ_COOKIE), "client_id");
    const char *left = m2_cookie_without(pool, text, "client_id");

    insist(!reply.value.p || strstr(text, "client_id"));
    insist(!left || strlen(left) <= strlen(text) * 2);
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
    m2_nameset_t *names;
    m2_slice_t bytes = m2_slice((const char *)data, size);
    apr_pool_t *pool;
    const char *text;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    names = m2_nameset_make(pool, M2_READ_FORM);
    m2_nameset_add(names, "client_id");
    text = apr_pstrmemdup(pool, bytes.p, bytes.n);
    check_removed(pool, text, names);
    check_inserted(pool, text, names);
    check_masked(pool, text, names);
    check_cookies(pool, text);
    check_encoded(pool, m2_slice(size ? bytes.p : "", size));
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
