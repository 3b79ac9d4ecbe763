/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Urlencoded text, taken apart and written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/m2_form.h"

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

static void assert_slice(m2_slice_t s, const char *expected)
{
    if (!expected) {
        assert_null(s.p);
        return;
    }
    assert_non_null(s.p);
    assert_string_equal(apr_pstrmemdup(pool, s.p, s.n), expected);
}

/* every pair of text as NAME or NAME=VALUE, each followed by '|' */
static const char *pairs(const char *text)
{
    m2_slice_t rest = m2_slice_z(text);
    m2_pair_t pair;
    char *out = apr_pstrdup(pool, "");

    while (m2_form_next(&rest, &pair)) {
        out = apr_pstrcat(pool, out, apr_pstrmemdup(pool, pair.name.p, pair.name.n),
                          pair.value.p ? "=" : "",
                          pair.value.p ? apr_pstrmemdup(pool, pair.value.p, pair.value.n)
                                       : "",
                          "|", NULL);
    }
    return out;
}

static void test_next(void **state)
{
    m2_slice_t nothing = { NULL, 0 };
    m2_pair_t pair;

    (void)state;
    assert_string_equal(pairs("a=1&b=2"), "a=1|b=2|");
    assert_string_equal(pairs("a=1;b=2"), "a=1|b=2|");
    assert_string_equal(pairs("&&a=1&;&b"), "a=1|b|");
    assert_string_equal(pairs("a="), "a=|");
    assert_string_equal(pairs("a=b=c"), "a=b=c|");
    assert_string_equal(pairs("=x"), "=x|");
    assert_string_equal(pairs(""), "");
    assert_string_equal(pairs("&;&"), "");
    assert_false(m2_form_next(&nothing, &pair));
}

static void test_pair_borrows(void **state)
{
    const char *text = "x=1&token=abc";
    m2_slice_t rest = m2_slice_z(text);
    m2_pair_t pair;

    (void)state;
    assert_true(m2_form_next(&rest, &pair));
    assert_true(m2_form_next(&rest, &pair));
    assert_ptr_equal(pair.raw.p, text + 4);
    assert_slice(pair.raw, "token=abc");
    assert_slice(pair.value, "abc");
    assert_false(m2_form_next(&rest, &pair));
}

static void test_decode(void **state)
{
    m2_slice_t nul;

    (void)state;
    assert_slice(m2_form_decode(pool, m2_slice_z("a%20b+c")), "a b c");
    assert_slice(m2_form_decode(pool, m2_slice_z("%41%6a%6A")), "Ajj");
    assert_slice(m2_form_decode(pool, m2_slice_z("%")), "%");
    assert_slice(m2_form_decode(pool, m2_slice_z("%4")), "%4");
    assert_slice(m2_form_decode(pool, m2_slice_z("%4x%x4%%41")), "%4x%x4%A");
    assert_slice(m2_form_decode(pool, m2_slice_z("%u0041")), "%u0041");
    assert_slice(m2_form_decode(pool, m2_slice_z("%2541")), "%41"); /* once, not twice */
    assert_slice(m2_form_decode(pool, m2_slice_z("")), "");
    assert_slice(m2_form_decode(pool, m2_slice(NULL, 0)), NULL);
    nul = m2_form_decode(pool, m2_slice_z("a%00b"));
    assert_int_equal(nul.n, 3);
    assert_memory_equal(nul.p, "a\0b", 4);
}

/* an escape that the slice ends in the middle of is not completed from behind it */
static void test_decode_stays_inside(void **state)
{
    (void)state;
    assert_slice(m2_form_decode(pool, m2_slice("a%41", 3)), "a%4");
    assert_slice(m2_form_decode(pool, m2_slice("a%41", 2)), "a%");
}

static void test_name_is(void **state)
{
    (void)state;
    assert_true(m2_form_name_is(m2_slice_z("id_token"), "id_token"));
    assert_true(m2_form_name_is(m2_slice_z("%69d_token"), "id_token"));
    assert_true(m2_form_name_is(m2_slice_z("a+b"), "a b"));
    assert_false(m2_form_name_is(m2_slice_z("ID_TOKEN"), "id_token"));
    assert_false(m2_form_name_is(m2_slice_z("id_toke"), "id_token"));
    assert_false(m2_form_name_is(m2_slice_z("id_tokens"), "id_token"));
    assert_false(m2_form_name_is(m2_slice_z("id_token%00"), "id_token"));
    assert_false(m2_form_name_is(m2_slice_z(""), "id_token"));
}

static const char *decoded(const char *raw, unsigned how)
{
    m2_decoder_t d = m2_decoder(m2_slice_z(raw), how);
    char *out = apr_pcalloc(pool, strlen(raw) * 3 + 1), *p = out;
    int c;

    while ((c = m2_decode_next(&d)) >= 0) {
        *p++ = (char)c;
    }
    return out;
}

static void test_decoder(void **state)
{
    const unsigned all = M2_DECODE_PERCENT | M2_DECODE_PLUS | M2_DECODE_UNICODE;

    (void)state;
    assert_string_equal(decoded("%41+%u0042%U00e9%uFEFFx", all),
                        "A B\xc3\xa9\xef\xbb\xbfx");
    assert_string_equal(decoded("%41+%u0042", M2_DECODE_PERCENT), "A+%u0042");
    assert_string_equal(decoded("%41+%u0042", 0), "%41+%u0042");
    assert_string_equal(decoded("%u00+%4%uzzzz%", all), "%u00 %4%uzzzz%");
}

static void test_blank(void **state)
{
    (void)state;
    assert_int_equal(m2_form_blank("\xc2\xa0x", 3), 2);
    assert_int_equal(m2_form_blank("\xe2\x80\x83", 3), 3);
    assert_int_equal(m2_form_blank("\xe3\x80\x80", 3), 3);
    assert_int_equal(m2_form_blank("\xe3\x80", 2), 0);
    assert_int_equal(m2_form_blank("\xe2\x80\x8c", 3), 0);
    assert_int_equal(m2_form_blank("\xc3\xa0", 2), 0);
    assert_int_equal(m2_form_blank(" ", 1), 0);
    assert_int_equal(m2_form_blank("", 0), 0);
}

static void test_encode(void **state)
{
    (void)state;
    assert_string_equal(m2_form_encode(pool, m2_slice_z("aZ09-._~")), "aZ09-._~");
    assert_string_equal(m2_form_encode(pool, m2_slice_z("a b&c=d;e+f%g/h?i#j")),
                        "a%20b%26c%3Dd%3Be%2Bf%25g%2Fh%3Fi%23j");
    assert_string_equal(m2_form_encode(pool, m2_slice_z("\xc3\xa4\r\n")), "%C3%A4%0D%0A");
    assert_string_equal(m2_form_encode(pool, m2_slice("a\0b", 3)), "a%00b");
    assert_string_equal(m2_form_encode(pool, m2_slice_z("")), "");
}

static void test_append(void **state)
{
    (void)state;
    assert_string_equal(m2_form_append(pool, NULL, "a", m2_slice_z("1")), "a=1");
    assert_string_equal(m2_form_append(pool, "", "a", m2_slice_z("1")), "a=1");
    assert_string_equal(m2_form_append(pool, "x=1", "a b", m2_slice_z("&c=d")),
                        "x=1&a%20b=%26c%3Dd");
}

/* what is appended reads back as it was, whatever the bytes */
static void test_append_round_trip(void **state)
{
    char bytes[255];
    const char *text;
    m2_slice_t rest;
    m2_pair_t pair;
    int i;

    (void)state;
    for (i = 0; i < 255; i++) {
        bytes[i] = (char)(i + 1);
    }
    text = m2_form_append(pool, "a=1", "n", m2_slice(bytes, sizeof(bytes)));
    rest = m2_slice_z(text);
    assert_true(m2_form_next(&rest, &pair) && m2_form_next(&rest, &pair));
    assert_true(m2_form_name_is(pair.name, "n"));
    assert_true(m2_slice_eq(m2_form_decode(pool, pair.value), m2_slice(bytes, 255)));
    assert_false(m2_form_next(&rest, &pair));
}

static void test_insert(void **state)
{
    (void)state;
    assert_string_equal(m2_form_insert(pool, NULL, "n=1"), "n=1");
    assert_string_equal(m2_form_insert(pool, "", "n=1"), "n=1");
    assert_string_equal(m2_form_insert(pool, "a=1&b=2", "n=1&m=2"), "n=1&m=2&a=1&b=2");
    assert_string_equal(m2_form_insert(pool, "wsdl", "n=1"), "wsdl&n=1");
    assert_string_equal(m2_form_insert(pool, "wsdl&a=1", "n=1"), "wsdl&n=1&a=1");
    assert_string_equal(m2_form_insert(pool, "wsdl&b&a=1", "n=1"), "wsdl&n=1&b&a=1");
    assert_string_equal(m2_form_insert(pool, "&&wsdl&a=1", "n=1"), "&&wsdl&n=1&a=1");
    assert_string_equal(m2_form_insert(pool, "&a=1", "n=1"), "n=1&&a=1");
    assert_string_equal(m2_form_insert(pool, "a;b=1", "n=1"), "n=1&a;b=1");
    assert_string_equal(m2_form_insert(pool, "a;b", "n=1"), "a;b&n=1");
    assert_string_equal(m2_form_insert(pool, "=x", "n=1"), "n=1&=x");
    assert_string_equal(m2_form_insert(pool, "a=1", ""), "a=1");
    assert_string_equal(m2_form_insert(pool, NULL, ""), "");
}

static void test_clean(void **state)
{
    const char *text = "a=%zz&b=~!";

    (void)state;
    assert_ptr_equal(m2_form_clean(pool, text), text);
    assert_string_equal(m2_form_clean(pool, "a=\xc3\xa4 b\x7f\t"), "a=%C3%A4%20b%7F%09");
    assert_string_equal(m2_form_text(pool, m2_slice("a\0b\0", 4)), "a%00b%00");
    assert_string_equal(m2_form_text(pool, m2_slice_z("a=1")), "a=1");
    assert_string_equal(m2_form_text(pool, m2_slice("", 0)), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_pair_borrows),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_stays_inside),
        cmocka_unit_test(test_name_is),
        cmocka_unit_test(test_decoder),
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_append_round_trip),
        cmocka_unit_test(test_insert),
        cmocka_unit_test(test_clean),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
