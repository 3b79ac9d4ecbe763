/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Words that were mistyped, and words that are something else.
 */
#include "unit.h"

#include "text/m2_nearest.h"

static const char *const words[] = { "issuer", "audience", "token-file", "On", "Off", "Shadow" };

static const char *near(const char *word)
{
    return m2_nearest(word, words, sizeof(words) / sizeof(words[0]));
}

static void test_near(void **state)
{
    (void)state;
    assert_string_equal(near("isuer"), "issuer");
    assert_string_equal(near("issuers"), "issuer");
    assert_string_equal(near("sisuer"), "issuer");
    assert_string_equal(near("ISSUR"), "issuer");
    assert_string_equal(near("audiense"), "audience");
    assert_string_equal(near("tokenfile"), "token-file");
    assert_string_equal(near("tok"), "token-file");
    assert_string_equal(near("of"), "Off");
    assert_string_equal(near("shadw"), "Shadow");
}

static void test_far(void **state)
{
    char longest[200];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_null(near("revoke"));
    assert_null(near(""));
    assert_null(near("--"));
    assert_null(near("x"));
    assert_null(near("no"));
    assert_null(near("n"));
    assert_null(near(longest));
    assert_null(m2_nearest("issuer", words, 0));
}

static void test_hint(void **state)
{
    static const char list[] = "ttl=, max-stale=, timeout= and cooldown=";

    (void)state;
    assert_string_equal(m2_nearest_hint(pool, "maxstale", list), "; did you mean max-stale=?");
    assert_string_equal(m2_nearest_hint(pool, "cooldwn", list), "; did you mean cooldown=?");
    assert_string_equal(m2_nearest_hint(pool, "nd", list), "");
    assert_string_equal(m2_nearest_hint(pool, "whatever", list), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_near), unit(test_far), unit(test_hint) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
