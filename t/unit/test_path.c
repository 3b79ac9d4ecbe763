/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Path templates. A path that does not fit gives no value, and no value is what a rule can
 * refuse; so the doubtful fits are all here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/m2_path.h"

static apr_pool_t *pool;

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    return apr_pool_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static const m2_path_template_t *compiled(const char *text)
{
    const m2_path_template_t *path = NULL;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_path_compile(&path, pool, text, &err)) {
        fail_msg("%s: %s", text, err.text);
    }
    return path;
}

static void assert_value(const char *template, const char *path, const char *name,
                         const char *expected)
{
    m2_slice_t value;

    assert_int_equal(m2_path_value(&value, compiled(template), path, name), M2_OK);
    if (!expected) {
        if (value.p) {
            fail_msg("%s fits %s", path ? path : "nothing", template);
        }
        return;
    }
    if (!m2_slice_is(value, expected)) {
        fail_msg("%s in %s is not %s", name, path, expected);
    }
}

static void assert_refused(const char *template, const char *words)
{
    const m2_path_template_t *path;
    m2_err_t err;

    m2_err_init(&err, pool);
    assert_int_equal(m2_path_compile(&path, pool, template, &err), M2_E_CONFIG);
    assert_null(path);
    if (!strstr(err.text, words)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", template, err.text, words);
    }
}

static void test_values(void **state)
{
    (void)state;
    assert_value("/users/{userId}/*", "/users/7/orders/1", "userId", "7");
    assert_value("/users/{userId}/*", "/users/7/", "userId", "7");
    assert_value("/{a}/{b}", "/1/2", "a", "1");
    assert_value("/{a}/{b}", "/1/2", "b", "2");
    assert_value("/{a}", "/x y+%41;v=1", "a", "x y+%41;v=1");
    assert_value("/{user-Id_1}", "/7", "user-Id_1", "7");
    assert_value("/v1/{a}/", "/v1/7/", "a", "7");
    assert_value("/{a}/*", "/..//", "a", "..");
}

static void test_mismatches(void **state)
{
    (void)state;
    assert_value("/users/{userId}/*", "/users/7", "userId", NULL);
    assert_value("/users/{userId}/*", "/users//orders", "userId", NULL);
    assert_value("/users/{userId}/*", "/users/", "userId", NULL);
    assert_value("/users/{userId}/*", "/Users/7/", "userId", NULL);
    assert_value("/users/{userId}/*", "/x/users/7/", "userId", NULL);
    assert_value("/users/{userId}/*", "users/7/", "userId", NULL);
    assert_value("/users/{userId}/*", "", "userId", NULL);
    assert_value("/users/{userId}/*", NULL, "userId", NULL);
    assert_value("/users/{userId}/*", "//users/7/", "userId", NULL);
    assert_value("/users/{userId}", "/users/7/x", "userId", NULL);
    assert_value("/{a}", "/", "a", NULL);
    assert_value("/{a}/{b}", "/1", "a", NULL);
    assert_value("/{a}/x", "/1/y", "a", NULL); /* what fits first does not count alone */
    assert_value("/{a}", "/1", "b", NULL);
    assert_value("/{a}", "/1", "A", NULL);
    assert_value("/*", "/1", "a", NULL);
    assert_value("/", "/", "a", NULL);
}

/* Express, Flask and others read /users/7/ as /users/7. */
static void assert_doubtful(const char *template, const char *path, const char *name)
{
    m2_slice_t value;

    assert_int_equal(m2_path_value(&value, compiled(template), path, name), M2_E_RULE_ERROR);
    assert_null(value.p);
}

static void test_a_slash_at_the_end(void **state)
{
    (void)state;
    assert_doubtful("/users/{userId}", "/users/7/", "userId");
    assert_doubtful("/users/{userId}", "/users/7/", "other");
    assert_doubtful("/{a}", "/1/", "a");
    assert_doubtful("/{a}/x", "/1/x/", "a");
    assert_doubtful("/a", "/a/", "a");
    assert_doubtful("/users/{userId}/", "/users/7", "userId");
    assert_doubtful("/{a}/", "/1", "a");
    assert_value("/users/{userId}/", "/users", "userId", NULL);
    assert_value("/users/{userId}/*", "/users/7", "userId", NULL); /* no slash, but a part less */
    assert_value("/", "/1", "a", NULL);
    assert_value("/users/{userId}", "/users/7//", "userId", NULL); /* one, not two */
    assert_value("/users/{userId}", "/users/", "userId", NULL);
    assert_value("/{a}/{b}", "/1/", "a", NULL);
    assert_value("/users/{userId}/", "/users/7/", "userId", "7");
    assert_value("/users/{userId}/*", "/users/7/", "userId", "7");
    assert_value("/users/{userId}/*", "/users/7/x/", "userId", "7");
}

static void test_has(void **state)
{
    const m2_path_template_t *path = compiled("/a/{x}/{yy}/*");

    (void)state;
    assert_true(m2_path_has(path, "x"));
    assert_true(m2_path_has(path, "yy"));
    assert_false(m2_path_has(path, "y"));
    assert_false(m2_path_has(path, "a"));
    assert_false(m2_path_has(path, "*"));
}

static void test_refused(void **state)
{
    char *text = apr_palloc(pool, 5000);

    (void)state;
    memset(text, 'a', 4999);
    text[0] = '/';
    text[4999] = '\0';
    assert_refused(text, "longer");
    assert_refused("", "begin with");
    assert_refused("users/{a}", "begin with");
    assert_refused("{a}", "begin with");
    assert_refused("/{a}/{a}", "twice");
    assert_refused("/{}", "name");
    assert_refused("/{a", "name");
    assert_refused("/a}", "name");
    assert_refused("/x{a}", "x{a}");
    assert_refused("/{a}x", "{a}x");
    assert_refused("/{a}{b}", "{a}{b}");
    assert_refused("/{a b}", "name");
    assert_refused("/{a.b}", "name");
    assert_refused("/{{a}}", "name");
    assert_refused("/*/{a}", "last");
    assert_refused("/a*", "last");
    assert_refused("/**", "last");
    assert_refused("/{a}/*/", "last");
}

static void test_the_text_may_go(void **state)
{
    char text[] = "/u/{x}/*";
    const m2_path_template_t *path = compiled(text);
    m2_slice_t value;

    (void)state;
    memset(text, '#', sizeof(text) - 1);
    assert_int_equal(m2_path_value(&value, path, "/u/7/", "x"), M2_OK);
    assert_true(m2_slice_is(value, "7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_mismatches),
        cmocka_unit_test(test_has),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_text_may_go), cmocka_unit_test(test_a_slash_at_the_end),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
