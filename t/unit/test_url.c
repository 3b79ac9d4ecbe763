/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * URLs that keys may come from, and what only looks like one.
 */
#include "unit.h"

#include "jwks/m2_url.h"

static void test_urls(void **state)
{
    static const char *const good[] = { "https://idp.example/jwks", "HTTPS://idp.example",
                                        "http://127.0.0.1:8080/x", "http://localhost/x",
                                        "http://[::1]:81/", "https://idp.example:444/a?b=c&d=%20",
                                        "https://idp.example:65535/", "https://idp.example:/" };
    static const char *const bad[] = { "http://idp.example/", "http://127.0.0.1.example/",
                                       "http://localhost.example/", "ftp://idp.example/",
                                       "file:///etc/passwd", "https://", "https:///x", "idp.example",
                                       "https://u:p@idp.example/", "https://u@idp.example/",
                                       "https://idp.example/#x", "https://idp.example/a b", "",
                                       "http://1270.0.0.1/", "http://128.0.0.1/",
                                       "https://idp.example/\xc3\xa9",
                                       "https://idp.example:0/", "https://idp.example:65536/",
                                       "https://idp.example:443443443443/k",
                                       "https://idp.example:44x/" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(m2_url_check(pool, good[i], 0, &err), M2_OK);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        clean();
        if (m2_url_check(pool, bad[i], 0, &err) != M2_E_CONFIG) {
            print_error("accepted: %s\n", bad[i]);
            fail();
        }
    }
}

static void test_plain(void **state)
{
    (void)state;
    assert_int_equal(m2_url_check(pool, "http://idp.example/k", 1, &err), M2_OK);
    assert_int_equal(m2_url_check(pool, "ftp://idp.example/k", 1, &err), M2_E_CONFIG);
    assert_true(m2_url_is_plain(pool, "http://idp.example/k"));
    assert_false(m2_url_is_plain(pool, "http://127.0.0.1/k"));
    assert_false(m2_url_is_plain(pool, "https://idp.example/k"));
    assert_true(m2_url_is_loopback("LocalHost") && m2_url_is_loopback("127.9.9.9"));
    assert_false(m2_url_is_loopback("localhost.example"));
}

static void test_label(void **state)
{
    (void)state;
    assert_string_equal(m2_url_label(pool, "https://a.example/k?code=secret"),
                        "https://a.example/k?...");
    assert_string_equal(m2_url_label(pool, "https://a.example/k"), "https://a.example/k");
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_urls), unit(test_plain), unit(test_label) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
