/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One spelling for every URL (RFC 3986 6.2.2 and 6.2.3), and what is refused as no URL at all.
 */
#include "unit.h"

#include "proof/m2_target.h"

static const struct {
    const char *uri, *normal; /* NULL: refused */
} uris[] = {
    { "https://api.example/orders", "https://api.example/orders" },
    { "HTTPS://API.Example/orders", "https://api.example/orders" },
    { "https://api.example:443/orders", "https://api.example/orders" },
    { "https://api.example:0443/orders", "https://api.example/orders" },
    { "https://api.example:/orders", "https://api.example/orders" },
    { "https://api.example:80/", "https://api.example:80/" },
    { "http://api.example:80/", "http://api.example/" },
    { "http://api.example:443/", "http://api.example:443/" },
    { "http://api.example:8080/", "http://api.example:8080/" },
    { "https://api.example", "https://api.example/" },
    { "https://api.example?x=1", "https://api.example/" },
    { "https://api.example#top", "https://api.example/" },
    { "https://api.example/a?b=/c#d", "https://api.example/a" },
    { "https://api.example/a#b?c", "https://api.example/a" },
    { "https://api.example/%7Eme/%41%2d", "https://api.example/~me/A-" },
    { "https://api.example/a%2fb%3b", "https://api.example/a%2Fb%3B" },
    { "https://api.example/%252e", "https://api.example/%252e" },
    { "https://api.example/%25%32e", "https://api.example/%252e" },
    { "https://api.example/a/./b", "https://api.example/a/b" },
    { "https://api.example/a/../b", "https://api.example/b" },
    { "https://api.example/a/%2e%2E/b/%2e", "https://api.example/b/" },
    { "https://api.example/../../a/..", "https://api.example/" },
    { "https://api.example/a/.", "https://api.example/a/" },
    { "https://api.example/a/b/../", "https://api.example/a/" },
    { "https://api.example/a//../b", "https://api.example/a/b" },
    { "https://api.example//a///b/", "https://api.example//a///b/" },
    { "https://api.example/.../..a/a..", "https://api.example/.../..a/a.." },
    { "https://api.example/a;v=1,2/(b)!$&'*+=:@", "https://api.example/a;v=1,2/(b)!$&'*+=:@" },
    { "https://%61pi.Ex%2Dample/", "https://api.ex-ample/" },
    { "https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a" },
    { "https://[::1]:8443/", "https://[::1]:8443/" },
    { "https://127.0.0.1/", "https://127.0.0.1/" },
    { "https://api.example/[a]^{b}|c", "https://api.example/%5Ba%5D%5E%7Bb%7D%7Cc" },
    { "https://api.example/%5ba%5d%5e%7Bb%7d%7cc", "https://api.example/%5Ba%5D%5E%7Bb%7D%7Cc" },
    { "https://api.example/||||||||||||||||?|",
      "https://api.example/%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C%7C" },
    { "https://api.ex|ample/", NULL },
    { "https://{api}.example/", NULL },
    { "https://api.example/<", NULL },
    { "https://api.example/`", NULL },
    { "", NULL },
    { "/orders", NULL },
    { "//api.example/orders", NULL },
    { "api.example/orders", NULL },
    { "https:/api.example/orders", NULL },
    { "https:api.example", NULL },
    { "ftp://api.example/", NULL },
    { "https://", NULL },
    { "https:///orders", NULL },
    { "https://:443/orders", NULL },
    { "https://me@api.example/orders", NULL },
    { "https://me:pw@api.example/orders", NULL },
    { "https://api.example@evil/orders", NULL },
    { "https://api.example:99999/", NULL },
    { "https://api.example:0/", NULL },
    { "https://api.example:4a3/", NULL },
    { "https://api.example:44:3/", NULL },
    { "https://::1/", NULL },
    { "https://[::1/", NULL },
    { "https://[::1]x/", NULL },
    { "https://[fe80::1%25eth0]/", NULL },
    { "https://api.example/a b", NULL },
    { " https://api.example/", NULL },
    { "https://api.example/%", NULL },
    { "https://api.example/%4", NULL },
    { "https://api.example/%4g", NULL },
    { "https://api.example\\a", NULL },
    { "https://api.example/a\\b", NULL },
    { "https://api.example/\"", NULL },
    { "https://api.example/a\tb", NULL },
    { "https://api.ex\xc3\xa4mple/", NULL },
    { "https://api.example/\xc3\xa4", NULL },
};

static void test_uris(void **state)
{
    const char *normal;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        clean();
        if (m2_target_uri(&normal, pool, z(uris[i].uri), &err) != M2_OK) {
            assert_non_null(err.text);
            normal = NULL;
        }
        if (!normal || !uris[i].normal) {
            if (normal != uris[i].normal) {
                fail_msg("%s became %s", uris[i].uri, normal ? normal : "(refused)");
            }
            continue;
        }
        assert_string_equal(normal, uris[i].normal);
        assert_int_equal(m2_target_uri(&normal, pool, z(normal), &err), M2_OK);
        assert_string_equal(normal, uris[i].normal); /* a normal form stays as it is */
    }
}

static void test_bytes(void **state)
{
    const char *normal;

    (void)state;
    assert_int_not_equal(m2_target_uri(&normal, pool, m2_slice(NULL, 0), &err), M2_OK);
    assert_int_not_equal(m2_target_uri(&normal, pool, m2_slice("https://a/\0b", 12), &err),
                         M2_OK);
    assert_int_equal(m2_target_uri(&normal, pool, m2_slice("https://a/bcd", 11), &err), M2_OK);
    assert_string_equal(normal, "https://a/b"); /* not a byte behind the slice */
    assert_int_not_equal(m2_target_uri(&normal, pool, m2_slice("https://a/%41", 12), &err),
                         M2_OK);
}

static const struct {
    const char *target, *path;
} paths[] = {
    { "/orders?x=1", "/orders" },
    { "/a/%2e%2e/b%2Fc;d", "/b%2Fc;d" },
    { "//a", "//a" },
    { "http://evil.example/orders?x=1", "/orders" },
    { "HTTP://evil.example:1/a/../b", "/b" },
    { "http://evil.example", "/" },
    { "http://evil.example?x", "/" },
    { "*", NULL },
    { "", NULL },
    { "evil.example:443", NULL },
    { "ftp://evil.example/a", NULL },
    { "/a|b/{c}/%7b", "/a%7Cb/%7Bc%7D/%7B" },
    { "/[a]^|/../d", "/d" },
    { "/a\\b", NULL },
    { "/a\"b", NULL },
    { NULL, NULL },
};

static void test_paths(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *path = m2_target_path(pool, paths[i].target);

        if (!path || !paths[i].path) {
            assert_ptr_equal(path, paths[i].path);
        }
        else {
            assert_string_equal(path, paths[i].path);
        }
    }
}

/* a path of the public URL is a prefix that no dot segment climbs out of */
static void test_below(void **state)
{
    const char *base;

    (void)state;
    assert_int_equal(m2_target_uri(&base, pool, z("https://api.example/v1/"), &err), M2_OK);
    assert_string_equal(m2_target_below(pool, base, m2_target_path(pool, "/../orders")),
                        "https://api.example/v1/orders");
    assert_string_equal(m2_target_below(pool, "https://api.example/v1", "/orders"),
                        "https://api.example/v1/orders");
    assert_string_equal(m2_target_below(pool, "https://api.example/", "/"),
                        "https://api.example/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_uris), unit(test_bytes), unit(test_paths), unit(test_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
