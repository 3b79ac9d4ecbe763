/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One spelling per byte string: everything base64url could be respelled as is refused.
 */
#include "unit.h"

#include "text/m2_b64.h"

static m2_code_t decode(m2_slice_t *pbytes, const char *text)
{
    return m2_b64_decode(pbytes, pool, z(text));
}

/* RFC 4648 10, without padding; RFC 7515 appendix C */
static void test_known_texts(void **state)
{
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
                                            { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
                                            { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" },
                                            { "\x03\xec\xff\xe0\xc1", "A-z_4ME" } };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        m2_slice_t bytes;

        assert_string_equal(m2_b64_encode(pool, z(pairs[i][0])), pairs[i][1]);
        assert_int_equal(decode(&bytes, pairs[i][1]), M2_OK);
        assert_true(m2_slice_is(bytes, pairs[i][0]));
    }
}

static void test_every_byte_and_length(void **state)
{
    unsigned char bytes[256];
    m2_slice_t back;
    int i;

    (void)state;
    for (i = 0; i < 256; i++) {
        bytes[i] = (unsigned char)(i * 167 + 13);
    }
    for (i = 0; i <= 256; i++) {
        m2_slice_t in = m2_slice((const char *)bytes, (apr_size_t)i);

        const char *text = m2_b64_encode(pool, in);

        assert_int_equal(strlen(text), (i * 4 + 2) / 3);
        assert_int_equal(m2_b64_decode(&back, pool, z(text)), M2_OK);
        assert_true(m2_slice_eq(back, in));
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "Zg=",   "Zg==", "Zm8=",  "Zm9v=", "Z",     "Zm9vY",
                                       " Zm9v", "Zm9v ", "Zm\n9v", "Zm9v\n", "Zm9v\r\n", "Zm+v",
                                       "Zm/v",  "Zm.v", "Zm9v.", "Zh",    "Zm9",   "Zm9vYh",
                                       "\xc3\xa9", "Zm9\xff", "%5A", "Zm9v\t", "=", "====" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        m2_slice_t bytes = z("untouched");

        if (decode(&bytes, bad[i]) != M2_E_TOKEN_MALFORMED) {
            print_error("accepted: '%s'\n", bad[i]);
            fail();
        }
        assert_null(bytes.p);
    }
}

/* of the 64 last characters of a one-byte text only four leave no bits behind */
static void test_trailing_bits(void **state)
{
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    m2_slice_t bytes;
    int i, two = 0, three = 0;

    (void)state;
    for (i = 0; i < 64; i++) {
        two += decode(&bytes, apr_psprintf(pool, "A%c", all[i])) == M2_OK;
        three += decode(&bytes, apr_psprintf(pool, "AA%c", all[i])) == M2_OK;
    }
    assert_int_equal(two, 4);
    assert_int_equal(three, 16);
}

static void test_nul_and_none(void **state)
{
    m2_slice_t bytes;

    (void)state;
    assert_int_equal(m2_b64_decode(&bytes, pool, m2_slice("Zm\0v", 4)), M2_E_TOKEN_MALFORMED);
    assert_int_equal(m2_b64_decode(&bytes, pool, m2_slice(NULL, 0)), M2_E_TOKEN_MALFORMED);
    assert_int_equal(decode(&bytes, ""), M2_OK);
    assert_non_null(bytes.p);
    assert_int_equal(bytes.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_known_texts),
        unit(test_every_byte_and_length),
        unit(test_refused),
        unit(test_trailing_bits),
        unit(test_nul_and_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
