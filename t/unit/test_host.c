/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_host: words that name servers. What a whole directive says of bad ones is in test_replay.
 */
#include "unit.h"

#include "wire/m2_host.h"

static void test_hosts(void **state)
{
    apr_array_header_t *hosts = apr_array_make(pool, 2, sizeof(m2_host_t));

    (void)state;
    assert_int_equal(m2_hosts_read(hosts, "x", "a:1,[::1]:2,/run/s", 3, &err), M2_OK);
    assert_int_equal(hosts->nelts, 3);
    assert_string_equal(m2_host_name(pool, &APR_ARRAY_IDX(hosts, 0, m2_host_t)), "a:1");
    assert_string_equal(m2_host_name(pool, &APR_ARRAY_IDX(hosts, 1, m2_host_t)), "[::1]:2");
    assert_string_equal(m2_host_name(pool, &APR_ARRAY_IDX(hosts, 2, m2_host_t)), "/run/s");
    assert_int_equal(m2_hosts_read(hosts, "x", "b:1", 3, &err), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "too many"));
}

static void test_values(void **state)
{
    const char *prefix, *rest;
    int n = 0;

    (void)state;
    assert_int_equal(m2_number_read(&n, "o", "12", 1, 12, &err), M2_OK);
    assert_int_equal(n, 12);
    assert_int_equal(m2_number_read(&n, "o", "13", 1, 12, &err), M2_E_CONFIG);
    assert_int_equal(m2_timeout_read(&n, "60", &err), M2_OK);
    assert_int_equal(n, 60000);
    assert_int_equal(m2_timeout_read(&n, "61", &err), M2_E_CONFIG);
    assert_int_equal(m2_prefix_read(&prefix, pool, "a:", &err), M2_OK);
    assert_string_equal(prefix, "a:");
    assert_int_equal(m2_prefix_read(&prefix, pool, "a b", &err), M2_E_CONFIG);
    assert_true(m2_host_kind(&rest, "Word:x", "word"));
    assert_string_equal(rest, "x");
    assert_true(m2_host_kind(&rest, "word", "word"));
    assert_null(rest);
    assert_false(m2_host_kind(&rest, "words:x", "word"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_hosts),
        unit(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
