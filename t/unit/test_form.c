/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Urlencoded text. Spellings a backend might take for one of our names have to be found
 * (spoofing), and names that are somebody else's have to stay.
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

static const apr_array_header_t *names(const char *a, const char *b)
{
    apr_array_header_t *list = apr_array_make(pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(list, const char *) = a;
    if (b) {
        APR_ARRAY_PUSH(list, const char *) = b;
    }
    return list;
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
    assert_false(m2_form_name_like(pool, m2_slice("%u0061", 5), "a"));
}

static void test_name_is(void **state)
{
    (void)state;
    assert_true(m2_form_name_is(pool, m2_slice_z("id_token"), "id_token"));
    assert_true(m2_form_name_is(pool, m2_slice_z("%69d_token"), "id_token"));
    assert_true(m2_form_name_is(pool, m2_slice_z("a+b"), "a b"));
    assert_false(m2_form_name_is(pool, m2_slice_z("ID_TOKEN"), "id_token"));
    assert_false(m2_form_name_is(pool, m2_slice_z("id_toke"), "id_token"));
    assert_false(m2_form_name_is(pool, m2_slice_z("id_tokens"), "id_token"));
    assert_false(m2_form_name_is(pool, m2_slice_z("id_token%00"), "id_token"));
    assert_false(m2_form_name_is(pool, m2_slice_z(""), "id_token"));
}

static void test_name_like(void **state)
{
    static const char *const same[] = {
        "client_id",
        "CLIENT_ID",
        "%63lient_id",
        "Client%5FId",
        "client.id",
        "client-id",
        "client id",
        "client+id",
        "client%20id",
        "+client_id",
        "%20%09client_id",
        "%00client_id",
        "%01%1Fclient_id",
        "client_id%01",
        "client_id[]",
        "client_id%5B%5D",
        "client_id[0]",
        "client_id[a][b]",
        "client_id[",
        "client[id",
        "[client_id]",
        "client_id]",
        "client_id%00x",
        "client_id%00",
        "client_id%20",
        "%u0063lient_id",
        "%U0063lient_id",
        NULL,
    };
    static const char *const other[] = {
        "client_i",  "client_idx",    "xclient_id",
        "clientid",  "client__id",    "id",
        "",          "client%255Fid", "client_id_",
        "client/id", "c[client_id]",  "%uzzzzclient_id",
        NULL,
    };
    int i;

    (void)state;
    for (i = 0; same[i]; i++) {
        if (!m2_form_name_like(pool, m2_slice_z(same[i]), "client_id")) {
            fail_msg("%s is not taken for client_id", same[i]);
        }
    }
    for (i = 0; other[i]; i++) {
        if (m2_form_name_like(pool, m2_slice_z(other[i]), "client_id")) {
            fail_msg("%s is taken for client_id", other[i]);
        }
    }
}

/* the name that is configured is folded too */
static void test_name_like_folds_ours(void **state)
{
    (void)state;
    assert_true(m2_form_name_like(pool, m2_slice_z("user_name"), "User.Name"));
    assert_true(m2_form_name_like(pool, m2_slice_z("user[x]"), "user[name]"));
    assert_true(m2_form_name_like(pool, m2_slice_z("user"), "user[]"));
    assert_false(m2_form_name_like(pool, m2_slice_z("username"), "User.Name"));
    assert_false(m2_form_name_like(pool, m2_slice(NULL, 0), "a"));
}

static void assert_removed(const char *text, const char *expected)
{
    assert_string_equal(
        m2_form_remove(pool, text, names("id_token", NULL), names("client_id", "scope")),
        expected);
}

static void test_remove(void **state)
{
    (void)state;
    assert_removed("client_id=x", "");
    assert_removed("client_id=x&a=1", "a=1");
    assert_removed("a=1&client_id=x", "a=1");
    assert_removed("a=1&client_id=x&b=2", "a=1&b=2");
    assert_removed("a=1;client_id=x;b=2", "a=1;b=2");
    assert_removed("a=1;Client-Id=x&b=2", "a=1&b=2");
    assert_removed("client_id&scope&a", "a");
    assert_removed("id_token=t&ID_TOKEN=u&a=%2b+", "ID_TOKEN=u&a=%2b+");
    assert_removed("x=%26client_id%3dy&scope[]=1&SCOPE=2", "x=%26client_id%3dy");
    assert_removed("client_id=x&&a=1&", "a=1");
    assert_removed("&&client_id=x&&", "");
}

static void test_remove_nothing(void **state)
{
    const char *text = "&a=1&&b=%zz;c;";

    (void)state;
    assert_ptr_equal(m2_form_remove(pool, text, names("x", NULL), names("y", NULL)),
                     text);
    assert_ptr_equal(m2_form_remove(pool, text, NULL, NULL), text);
    assert_null(m2_form_remove(pool, NULL, names("x", NULL), NULL));
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
    assert_true(m2_form_name_is(pool, pair.name, "n"));
    assert_true(m2_slice_eq(m2_form_decode(pool, pair.value), m2_slice(bytes, 255)));
    assert_false(m2_form_next(&rest, &pair));
}

static const char *masked(const char *text)
{
    return m2_form_mask(pool, text, names("id_token", "t"), "[redacted]");
}

static void test_mask(void **state)
{
    const char *text = "a=1&ID_TOKEN=x&id_token&id_token=";

    (void)state;
    assert_string_equal(masked("id_token=abc"), "id_token=[redacted]");
    assert_string_equal(masked("a=1&id_token=abc&b=2"), "a=1&id_token=[redacted]&b=2");
    assert_string_equal(masked("%69d_token=abc;t=x"),
                        "%69d_token=[redacted];t=[redacted]");
    assert_string_equal(masked("id_token=a=b=c"), "id_token=[redacted]");
    assert_ptr_equal(masked(text), text);
    assert_null(masked(NULL));
}

static void test_header_name(void **state)
{
    (void)state;
    assert_true(m2_header_name_like("X-Client-Id", "x-client-id"));
    assert_true(m2_header_name_like("X_Client.Id", "x-client-id"));
    assert_true(m2_header_name_like("X!Client~Id", "X-Client-Id"));
    assert_false(m2_header_name_like("XClientId", "X-Client-Id"));
    assert_false(m2_header_name_like("X-Client-I", "X-Client-Id"));
    assert_false(m2_header_name_like("X-Client-Id", "X-Client-I"));
    assert_true(m2_header_name_like("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_pair_borrows),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_stays_inside),
        cmocka_unit_test(test_name_is),
        cmocka_unit_test(test_name_like),
        cmocka_unit_test(test_name_like_folds_ours),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_remove_nothing),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_append_round_trip),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_header_name),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
