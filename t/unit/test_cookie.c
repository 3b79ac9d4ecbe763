/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A Cookie header taken apart: at ';', and where httpd joined two fields, nowhere else.
 */
#include "request/m2_cookie.h"

#include "unit.h"

/* every cookie as <NAME> or <NAME>VALUE, with a '+' in front where a comma separates it */
static const char *taken(const char *text)
{
    m2_slice_t rest = m2_slice_z(text);
    const char *out = "";
    m2_cookie_t c;

    while (m2_cookie_next(&rest, &c)) {
        out = apr_pstrcat(pool, out, c.joined ? "+" : "", "<", m2_slice_dup(pool, c.name), ">",
                          c.value.p ? m2_slice_dup(pool, c.value) : "(none)", NULL);
    }
    return out;
}

static void test_next(void **state)
{
    (void)state;
    assert_string_equal(taken("a=1; b=2"), "<a>1<b>2");
    assert_string_equal(taken(" a = 1 ;;b;c="), "<a>1<b>(none)<c>");
    assert_string_equal(taken("a=x=y"), "<a>x=y");
    assert_string_equal(taken("a=1, b=2; c=3"), "+<a>1+<b>2<c>3");
    assert_string_equal(taken("a=1, b; c=2"), "<a>1, b<c>2"); /* no name=, so no join */
    assert_string_equal(taken("a=1,b=2"), "<a>1,b=2");
    assert_string_equal(taken("prefs={\"a\":1, \"b\":2}; x=1"), "<prefs>{\"a\":1, \"b\":2}<x>1");
    assert_string_equal(taken(""), "");
    assert_string_equal(taken(" ; , ;"), "");
    assert_string_equal(taken("=x"), "<>x");
}

static void test_without(void **state)
{
    (void)state;
    assert_string_equal(m2_cookie_without(pool, "a=1; tok=x; b=2", "tok"), "a=1; b=2");
    assert_string_equal(m2_cookie_without(pool, "tok=x, a=1", "tok"), "a=1");
    assert_string_equal(m2_cookie_without(pool, "Tok=x; tok=y", "tok"), "Tok=x");
    assert_string_equal(m2_cookie_without(pool, "a;b;c", "tok"), "a; b; c");
    assert_null(m2_cookie_without(pool, "tok=x; tok=y", "tok"));
    assert_null(m2_cookie_without(pool, "", "tok"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_next),
        unit(test_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
