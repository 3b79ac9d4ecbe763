/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What expressions of paths say about themselves. One that is taken for readable and is not
 * would refuse ordinary requests; a start that is too long would miss a section.
 */
#include "unit.h"

#include "request/m2_path_pattern.h"

static const char *exact(const char *pattern)
{
    return m2_path_pattern_exact(pattern, M2_PATTERN_REGEX);
}

static const char *start(const char *pattern)
{
    return m2_path_pattern_start(pool, pattern, M2_PATTERN_REGEX);
}

static void test_readable(void **state)
{
    static const char *const good[] = {
        "^/app", "^/App/[0-9]+$", "^/[A-Za-z0-9_-]+/x", "^/[a-z]+", "^/[[:alnum:]]+", "^/\\w+\\.json",
        "^/[^/;%]+/x", "^/[^A-Za-z]", "\\.(php|cgi)$", "^/a/(?<id>[^/]+)", "^/[\\w.]+", "[]/]",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (exact(good[i])) {
            fail_msg("%s has a %s", good[i], exact(good[i]));
        }
    }
}

static void test_exact(void **state)
{
    static const char *const bad[] = {
        "^/[A-Z]{2}/", "^/[^a-z]", "^/[^A-Z]/", "^/[[:upper:]]", "^/[Ab]", "^/\\p{Lu}", "(?-i)^/a",
        "^/a;v=1", "^/a%2f", "^/a\\\\b", "^/a[;/]b", "^/a\\x3bb", "^/[%;]", "^/a\\;", "[A-",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!exact(bad[i])) {
            fail_msg("%s is taken for readable", bad[i]);
        }
    }
}

static void test_wildcards(void **state)
{
    (void)state;
    assert_null(m2_path_pattern_exact("/u/*/x?", M2_PATTERN_WILDCARD));
    assert_null(m2_path_pattern_exact("/u/\\*/[!/]", M2_PATTERN_WILDCARD));
    assert_non_null(m2_path_pattern_exact("/u/[!ab]", M2_PATTERN_WILDCARD));
    assert_non_null(m2_path_pattern_exact("/u/[A-Z]*", M2_PATTERN_WILDCARD));
    assert_non_null(m2_path_pattern_exact("/u/*;x", M2_PATTERN_WILDCARD));
    assert_non_null(m2_path_pattern_exact("/u/\\\\*", M2_PATTERN_WILDCARD));
    assert_string_equal(m2_path_pattern_start(pool, "/U/v?x", M2_PATTERN_WILDCARD), "/u/v");
    assert_string_equal(m2_path_pattern_start(pool, "*/x", M2_PATTERN_WILDCARD), "");
    assert_string_equal(m2_path_pattern_start(pool, "/u/\\*x[a]", M2_PATTERN_WILDCARD),
                        "/u/*x");
}

static void test_starts(void **state)
{
    (void)state;
    assert_string_equal(start("^/App/x"), "/app/x");
    assert_string_equal(start("^/app/.*"), "/app/");
    assert_string_equal(start("^/app$"), "/app");
    assert_string_equal(start("^/apps?/"), "/app");
    assert_string_equal(start("^/app*"), "/ap");
    assert_string_equal(start("^/app{2}"), "/ap");
    assert_string_equal(start("^/app+x"), "/app");
    assert_string_equal(start("^/a\\.b\\/c"), "/a.b/c");
    assert_string_equal(start("^/a\\.?b"), "/a");
    assert_string_equal(start("^/a\\d"), "/a");
    assert_string_equal(start("^/(app|api)/x"), "/");
    assert_string_equal(start("^/app|^/api"), "");
    assert_string_equal(start("^/app[|]x"), "/app");
    assert_string_equal(start("^/app\\|x"), "/app|x");
    assert_string_equal(start("/app"), "");
    assert_string_equal(start("\\.php$"), "");
    assert_string_equal(start(""), "");
    assert_string_equal(start("^"), "");
    assert_string_equal(start("^/a\\"), "/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_readable), unit(test_exact), unit(test_wildcards), unit(test_starts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
