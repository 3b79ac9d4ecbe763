/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How a path may be read: every device that some backend has, alone, in several layers and
 * in one order and the other; and the ordinary paths that have one reading.
 */
#include "unit.h"

#include "request/m2_path_reading.h"

/* whether some reading of path is expected */
static int is_read(const char *path, const char *expected)
{
    m2_path_reading_t readings[M2_PATH_READINGS];
    int i, n = m2_path_readings(readings, pool, path);

    assert_in_range(n, 1, M2_PATH_READINGS);
    for (i = 0; i < n; i++) {
        if (m2_slice_is(m2_slice_z(readings[i].path), expected)) {
            return 1;
        }
    }
    return 0;
}

static void assert_read(const char *path, const char *expected)
{
    if (!(m2_path_marks(path) & (M2_PATH_DEVICE | M2_PATH_CAPITAL | M2_PATH_CONTROL))) {
        fail_msg("%s has no mark", path);
    }
    if (!is_read(path, expected)) {
        fail_msg("%s is not read as %s", path, expected);
    }
}

/* the one reading of an ordinary path */
static void assert_plain(const char *path, const char *expected)
{
    m2_path_reading_t readings[M2_PATH_READINGS];

    assert_int_equal(m2_path_marks(path), 0);
    assert_int_equal(m2_path_readings(readings, pool, path), 1);
    assert_string_equal(readings[0].path, expected);
    assert_int_equal(readings[0].dots, 0);
    assert_string_equal(m2_path_fold(pool, path), expected);
}

static void test_plain(void **state)
{
    (void)state;
    assert_plain("/", "");
    assert_plain("/app", "/app");
    assert_plain("/app/", "/app");
    assert_plain("/a b/c", "/a b/c");
    assert_plain("/a..b/...", "/a..b/...");
    assert_plain("/products(1)/$value", "/products(1)/$value");
    assert_plain("/caf\xc3\xa9/\xd1\x85", "/caf\xc3\xa9/\xd1\x85");
    assert_plain("/x\xa0/y\x85", "/x\xa0/y\x85");
    assert_plain("/a+b/c.json", "/a+b/c.json");
    assert_plain("/a:b@c,d=e&f", "/a:b@c,d=e&f");
}

static void test_devices(void **state)
{
    (void)state;
    assert_read("/APP/Admin", "/app/admin");
    assert_read("/app;x/admin", "/app/admin");
    assert_read("/app;x=1;y=2/admin;z", "/app/admin");
    assert_read("/;/app/admin", "/app/admin");
    assert_read("//app///admin//", "/app/admin");
    assert_read("/app\\admin", "/app/admin");
    assert_read("/app%2fadmin", "/app/admin");
    assert_read("/%2Fapp/admin", "/app/admin");
    assert_read("/app%5cadmin", "/app/admin");
    assert_read("/%61pp/admin", "/app/admin");
    assert_read("/app%3bx/admin", "/app/admin");
    assert_read("/app/admin ", "/app/admin");
    assert_read("/app /admin", "/app/admin");
    assert_read("/app/admin\n", "/app/admin");
    assert_read("/app/admin%0a", "/app/admin");
    assert_read("/app/admin%00.txt", "/app/admin\x01.txt");
    assert_read("/app/admin%2500", "/app/admin");
    assert_read("/app/admin;", "/app/admin");
}

static void test_layers(void **state)
{
    (void)state;
    assert_read("/app%252fadmin", "/app/admin");
    assert_read("/app%25252fadmin", "/app/admin");
    assert_read("/app%2525252fadmin", "/app%2fadmin"); /* three at most */
    assert_false(is_read("/app%2525252fadmin", "/app/admin"));
    assert_read("/app%253bx/admin", "/app/admin");
    assert_read("/%2561pp/admin", "/app/admin");
    assert_read("/100%/x", "/100%/x");
    assert_read("/100%25/x", "/100%/x");
    assert_read("/a%zz%4", "/a%zz%4");
    assert_read("/%2%66app", "/app"); /* an escape made of two layers */
}

/* what cuts before it decodes, what decodes before it cuts, and what does something between */
static void test_orders(void **state)
{
    (void)state;
    assert_read("/;%2fx/y", "/y");
    assert_read("/;%2fx/y", "/x/y");
    assert_read("/a;b%2fc/d", "/a/d");
    assert_read("/a;b%2fc/d", "/a/c/d");
    assert_read("/;%2fA%3b%252fB/c", "/c");
    assert_read("/;%2fA%3b%252fB/c", "/a/c");
    assert_read("/;%2fA%3b%252fB/c", "/a/b/c");
    assert_read("/;\\app/x", "/x");
    assert_read("/;\\app/x", "/app/x");
}

static int dots(const char *path)
{
    m2_path_reading_t readings[M2_PATH_READINGS];
    int i, most = 0, n = m2_path_readings(readings, pool, path);

    for (i = 0; i < n; i++) {
        most = readings[i].dots > most ? readings[i].dots : most;
    }
    return most;
}

static void test_dots(void **state)
{
    (void)state;
    assert_int_equal(dots("/x/..;/app"), 1);
    assert_read("/x/..;/app", "/app");
    assert_int_equal(dots("/x/..%3b/app"), 1);
    assert_int_equal(dots("/x/.;a=b/app"), 1);
    assert_read("/x/.;a=b/app", "/x/app");
    assert_int_equal(dots("/x%2f..%2fapp"), 1);
    assert_int_equal(dots("/x/%2e%2e/app"), 1);
    assert_int_equal(dots("/x/%252e%252E/app"), 1);
    assert_int_equal(dots("/x\\..\\app"), 1);
    assert_int_equal(dots("/x/.. /app"), 1);
    assert_read("/..;/..;/app", "/app");
    assert_int_equal(dots("/x/.../app"), 0);
    assert_int_equal(dots("/x/..a;/a..;/app"), 0);
    assert_int_equal(dots("/x/../app"), 0); /* everybody sees it */
    assert_int_equal(dots("/x/../..;/app"), 1);
}

static void test_raw_dots(void **state)
{
    (void)state;
    assert_true(m2_path_has_dots(pool, "/x/../app"));
    assert_true(m2_path_has_dots(pool, "/./x"));
    assert_true(m2_path_has_dots(pool, "/x/.."));
    assert_true(m2_path_has_dots(pool, "/x/%2e./app"));
    assert_true(m2_path_has_dots(pool, "/x/%252e%252e/app"));
    assert_true(m2_path_has_dots(pool, "/x/%25252e%25252e/app"));
    assert_false(m2_path_has_dots(pool, "/x/..;v=1/app")); /* stays in the decoded path */
    assert_false(m2_path_has_dots(pool, "/x/a%2f..%2fb"));
    assert_false(m2_path_has_dots(pool, "/x/a..b/..."));
    assert_false(m2_path_has_dots(pool, "/x/%2e%2e%2e/"));
    assert_false(m2_path_has_dots(pool, "/"));
    assert_false(m2_path_has_dots(pool, ""));
}

static void test_marks(void **state)
{
    (void)state;
    assert_int_equal(m2_path_marks("/A"), M2_PATH_CAPITAL);
    assert_int_equal(m2_path_marks("/a\tb"), M2_PATH_CONTROL);
    assert_int_equal(m2_path_marks("/a\x7f/b"), M2_PATH_CONTROL);
    assert_int_equal(m2_path_marks("/a;b"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a%"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a\\"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("//a"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a//"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a "), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a /b"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/x/../a"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/./a"), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a/.."), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/a/."), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/.well-known/..a/a../...//."), M2_PATH_DEVICE);
    assert_int_equal(m2_path_marks("/.well-known/..a/a../.../.a"), 0);
    assert_int_equal(m2_path_marks("/a\n/b"), M2_PATH_DEVICE | M2_PATH_CONTROL);
}

static void test_folding_into(void **state)
{
    char buffer[8];

    (void)state;
    assert_true(m2_path_fold_into(buffer, sizeof(buffer), "/ABCdef/"));
    assert_string_equal(buffer, "/abcdef");
    assert_false(m2_path_fold_into(buffer, sizeof(buffer), "/ABCdefg"));
    assert_true(m2_path_fold_into(buffer, sizeof(buffer), "/"));
    assert_string_equal(buffer, "");
}

static void test_parameters(void **state)
{
    (void)state;
    assert_true(m2_path_has_parameters(pool, "/u/7;x", 1));
    assert_true(m2_path_has_parameters(pool, "/u/..;/x", 1));
    assert_true(m2_path_has_parameters(pool, "/u/a\\b", 1));
    assert_true(m2_path_has_parameters(pool, "/u/7%3Bx", 1));
    assert_true(m2_path_has_parameters(pool, "/u/7%5cx", 1));
    assert_true(m2_path_has_parameters(pool, "/u/7%253bx", 1));
    assert_false(m2_path_has_parameters(pool, "/u/7,x%2c%", 1));
    assert_false(m2_path_has_parameters(pool, "/", 1));
    assert_true(m2_path_has_parameters(pool, "/u/7;x", 0));
    assert_true(m2_path_has_parameters(pool, "/u/a\\b", 0));
    assert_false(m2_path_has_parameters(pool, "/u/7%3Bx%5c", 0));
}

static void test_ambiguous(void **state)
{
    static const char *const bad[] = { "/a%2fb", "/a%2Fb", "/a%5cb", "/a%2e%2e", "/a;b",
                                       "//a",    "/a//",   "/a%252f", "/a%2541" };
    static const char *const good[] = { "/", "/a%20b", "/100%25", "/100%25/x", "/a%2Bb",
                                        "/%C3%A9", "/a..b", "/%", "/%2" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(m2_path_is_ambiguous(bad[i]));
    }
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_false(m2_path_is_ambiguous(good[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_plain),  unit(test_devices),      unit(test_layers),
        unit(test_orders), unit(test_dots),         unit(test_raw_dots),
        unit(test_marks),  unit(test_folding_into), unit(test_parameters),
        unit(test_ambiguous),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
