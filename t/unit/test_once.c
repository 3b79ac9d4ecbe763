/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Options that a line may have once.
 */
#include "unit.h"

#include "text/m2_once.h"

static const char *said(const char *line, int first)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *last, *word = apr_strtok(apr_pstrdup(pool, line), " ", &last);
    m2_err_t fault;

    for (; word; word = apr_strtok(NULL, " ", &last)) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    m2_err_init(&fault, pool);
    return m2_once_words(words, first, &fault) == M2_OK ? NULL : fault.text;
}

static void test_words(void **state)
{
    (void)state;
    assert_null(said("", 0));
    assert_null(said("a=1 b=1 aa=1 =a", 0));
    assert_null(said("shadow shadow a b", 0));
    assert_null(said("a=1 a=2", 1));
    assert_string_equal(said("a=1 a=2", 0), "a= is given twice");
    assert_string_equal(said("x b=1 max-stale=1 c= MAX-Stale=2", 1),
                        "max-stale= is given twice");
}

static void test_names(void **state)
{
    apr_array_header_t *seen = NULL;

    (void)state;
    assert_int_equal(m2_once(&seen, pool, m2_slice("ttlx", 3), &err), M2_OK);
    assert_int_equal(m2_once(&seen, pool, m2_slice_z("tt"), &err), M2_OK);
    assert_int_equal(m2_once(&seen, pool, m2_slice_z("ttlx"), &err), M2_OK);
    assert_int_equal(m2_once(&seen, pool, m2_slice_z("TTL"), &err), M2_E_CONFIG);
    assert_string_equal(err.text, "ttl= is given twice");
}

static void test_flag(void **state)
{
    int flag = 0;

    (void)state;
    assert_int_equal(m2_once_flag(&flag, "shadow", &err), M2_OK);
    assert_int_equal(flag, 1);
    assert_int_equal(m2_once_flag(&flag, "shadow", &err), M2_E_CONFIG);
    assert_string_equal(err.text, "shadow is given twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_words), unit(test_names), unit(test_flag) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
