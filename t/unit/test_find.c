/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which values carry a token, which none, and which carry one too many or one in hiding.
 */
#include "request/m2_find.h"

#include "unit.h"

/* tokens with '|' behind each, or the reason of a refusal */
static const char *in_header(const char *name, const char *value)
{
    m2_tokens_t *tokens = apr_array_make(pool, 2, sizeof(m2_slice_t));
    const char *out = "";
    m2_code_t code;
    int i;

    clean();
    code = m2_find_in_header(tokens, name, value, &err);
    if (code != M2_OK) {
        return m2_reason_of(code)->reason;
    }
    for (i = 0; i < tokens->nelts; i++) {
        out = apr_pstrcat(pool, out, m2_slice_dup(pool, APR_ARRAY_IDX(tokens, i, m2_slice_t)),
                          "|", NULL);
    }
    return out;
}

static void test_authorization(void **state)
{
    static const char *const rows[][2] = {
        { "Bearer x", "x|" },
        { "bEARER\t x ", "x|" },
        { "Bearer", "" },
        { "Bearer ", "" },
        { "", "" },
        { "x", "" },
        { "Token x.y.z", "" },
        { "Basic dXNlcjpwYXNz", "" },
        { "Basic bearer", "" },
        { "Negotiate dpop/x", "" },
        { "Foo a+bearer/dpop", "" },
        { "Digest realm=\"a bearer b\", nonce=\"\\\"bearer\"", "" },
        { "AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host", "" },
        { "Bearer x, Bearer y", "token_multiple" },
        { "Bearer x, Basic y", "token_multiple" },
        { "Basic y, Bearer x", "token_multiple" },
        { "Bearer\xa0x", "token_malformed" },
        { "Bearerx", "token_malformed" },
        { "Bearer:x", "token_malformed" },
        { "Foo Bearer x", "token_malformed" },
        { "Foo bearer", "token_malformed" },
        { "Foo=bearer x", "token_malformed" },
        { "Basic abc Bearer x", "token_malformed" },
        { "Basic abc,bearer=x", "token_malformed" },
        { "Digest realm=\"x\" Bearer y", "token_malformed" },
        { "Digest realm=\"a, Bearer b\", nonce=\"\\\", bearer c\"", "" },
        { "Digest realm=\"a\", Bearer b", "token_multiple" },
        { "Digest realm=\"a, Bearer b", "token_multiple" }, /* a quote that is not closed */
        { "Digest realm=\"a bearer", "token_malformed" },
        { "Foo realm=\"a, Bearer b\"", "token_multiple" },
        { "\"Bearer x\"", "token_malformed" },
        { "DPoPx", "token_malformed" },
        { "dpop x", "x|" },
        { "DPoP", "" },
        { "Foo dpop x", "token_malformed" },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(in_header("Authorization", rows[i][0]), rows[i][1]) != 0) {
            fail_msg("%s: %s", rows[i][0], in_header("Authorization", rows[i][0]));
        }
    }
    assert_string_equal(in_header("authorization", "x"), "");
    assert_string_equal(in_header("Authorization", NULL), "");
}

static void test_why_none(void **state)
{
    (void)state;
    assert_null(m2_find_why_none(NULL));
    assert_null(m2_find_why_none(" "));
    assert_non_null(strstr(m2_find_why_none("x.y.z"), "no scheme"));
    assert_non_null(strstr(m2_find_why_none("Token x.y.z"), "another scheme"));
    assert_non_null(strstr(m2_find_why_none("Bearer "), "no token"));
}

static void test_other_header(void **state)
{
    (void)state;
    assert_string_equal(in_header("X-Token", "x"), "x|");
    assert_string_equal(in_header("X-Token", "Bearer x"), "x|");
    assert_string_equal(in_header("X-Token", ""), "");
    assert_string_equal(in_header("X-Token", "x, y"), "token_multiple");
    assert_string_equal(in_header("X-Token", "Foo Bearer x"), "Foo Bearer x|");
    assert_true(m2_find_is_twin("X_Token", "X-Token"));
    assert_false(m2_find_is_twin("x-token", "X-Token"));
    assert_false(m2_find_is_twin("X-Tokens", "X-Token"));
}

static const char *in_pairs(const char *text, m2_reading_t reading)
{
    m2_tokens_t *tokens = apr_array_make(pool, 2, sizeof(m2_slice_t));
    m2_code_t code;

    clean();
    code = m2_find_in_pairs(tokens, m2_pairs_make(pool, m2_slice_z(text), reading), "tok",
                            &err);
    if (code != M2_OK) {
        return m2_reason_of(code)->reason;
    }
    return apr_psprintf(pool, "%d %s", tokens->nelts, tokens->nelts
                        ? m2_slice_dup(pool, APR_ARRAY_IDX(tokens, 0, m2_slice_t)) : "");
}

static void test_pairs(void **state)
{
    (void)state;
    assert_string_equal(in_pairs("a=1&tok=x", M2_READ_FORM), "1 x");
    assert_string_equal(in_pairs("%74ok=x%2E", M2_READ_FORM), "1 x.");
    assert_string_equal(in_pairs("tok=&tok=x", M2_READ_FORM), "1 x");
    assert_string_equal(in_pairs("tok=x&tok=y", M2_READ_FORM), "2 x");
    assert_string_equal(in_pairs("tok=&a=1", M2_READ_FORM), "0 ");
    assert_string_equal(in_pairs("tok.en=x", M2_READ_FORM), "token_multiple");
    assert_string_equal(in_pairs("tok=x&Tok=y", M2_READ_FORM), "token_multiple");
    assert_string_equal(in_pairs("tok[]=y", M2_READ_FORM), "token_multiple");
    assert_string_equal(in_pairs("tok[]=&tok=x", M2_READ_FORM), "1 x");
    assert_string_equal(in_pairs("a=1; tok=\"x\"", M2_READ_COOKIE), "1 x");
    assert_string_equal(in_pairs("a=1, tok=x", M2_READ_COOKIE), "1 x");
    assert_string_equal(in_pairs("tok.0=x; tok.1=y", M2_READ_COOKIE), "0 ");
    assert_string_equal(in_pairs("a=1 tok=x", M2_READ_COOKIE), "token_multiple");
    assert_string_equal(in_pairs("TOK=x", M2_READ_COOKIE), "token_multiple");
}

/* The short reader of `Bearer TOKEN` takes what the long one does, which a blank in front asks. */
static void test_readers_agree(void **state)
{
    static const char *const words[] = { "Bearer ", "bearer ", "DPoP ", "Bearer", " ", "\t", ",",
                                         "x", "\"", "=", "\\", "\xa0", "Digest " };
    static const char *const names[] = { "Authorization", "X-Token" };
    const size_t n = sizeof(words) / sizeof(words[0]);
    size_t i, name;

    (void)state;
    for (name = 0; name < 2; name++) {
        for (i = 0; i < n * n * n * n; i++) {
            const char *value = apr_pstrcat(pool, "Bearer ", words[i % n], words[i / n % n],
                                            words[i / n / n % n], words[i / n / n / n], NULL);

            assert_string_equal(in_header(names[name], value),
                                in_header(names[name], apr_pstrcat(pool, " ", value, NULL)));
            apr_pool_clear(pool);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_authorization),
        unit(test_readers_agree),
        unit(test_why_none),
        unit(test_other_header),
        unit(test_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
