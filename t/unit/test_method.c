/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Methods that a framework may take from elsewhere than the request line.
 */
#include "request/m2_method.h"

#include "unit.h"

static void test_respelled(void **state)
{
    (void)state;
    assert_true(m2_method_is_respelled("delete"));
    assert_true(m2_method_is_respelled("Version-Control"));
    assert_false(m2_method_is_respelled("DELETE"));
    assert_false(m2_method_is_respelled("foo"));
    assert_false(m2_method_is_respelled(""));
}

static void test_headers(void **state)
{
    (void)state;
    assert_true(m2_method_is_override("X-HTTP-Method-Override"));
    assert_true(m2_method_is_override("x_http_method"));
    assert_true(m2_method_is_override("X.METHOD.OVERRIDE"));
    assert_false(m2_method_is_override("X-HTTP-Method-Overrides"));
    assert_true(m2_method_differs(z("DELETE"), "GET"));
    assert_false(m2_method_differs(z("get"), "GET"));
    assert_false(m2_method_differs(z(""), "GET"));
}

static void test_parameters(void **state)
{
    static const char *const bad[] = {
        "_method=DELETE", "a=1&_method=delete", ".method=DELETE", "_METHOD=PUT", "+method=PUT",
        "_method[]=PUT", "a=1;_method=PUT", "_method=GET&_method=PUT", "%5fmethod=P%55T",
        "_method=GET,PUT",
    };
    static const char *const good[] = {
        "", "a=1", "_method=", "_method", "_method=get", "_methods=DELETE", "method=DELETE",
        "x_method=DELETE", "a=_method%3DDELETE",
    };
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);
    apr_size_t i;

    (void)state;
    m2_nameset_add(names, "_method");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!m2_method_differs_in(pool, bad[i], names, "GET")) {
            fail_msg("%s passes", bad[i]);
        }
    }
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (m2_method_differs_in(pool, good[i], names, "GET")) {
            fail_msg("%s does not pass", good[i]);
        }
    }
    assert_false(m2_method_differs_in(pool, NULL, names, "GET"));
    assert_false(m2_method_differs_in(pool, "_method=PUT", m2_nameset_make(pool, M2_READ_FORM),
                                      "GET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_respelled),
        unit(test_headers),
        unit(test_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
