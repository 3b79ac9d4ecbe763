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

/* --- against a reader that takes one character after the other --- */

static int value_of(char c)
{
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(all, c) : NULL;

    return at ? (int)(at - all) : -1;
}

/* The bytes of text in out; their number, or -1 for what is no base64url. */
static int decode_simply(unsigned char *out, const char *text, size_t n)
{
    unsigned bits = 0, held = 0;
    int bytes = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        const int value = value_of(text[i]);

        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (unsigned)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[bytes++] = (unsigned char)(bits >> held);
            bits &= (1u << held) - 1;
        }
    }
    return n % 4 == 1 || bits ? -1 : bytes;
}

/* In memory of its own, so that a sanitizer sees who reads behind it. */
static void expect_same(const char *text, size_t n)
{
    unsigned char *bytes = malloc(n + 1);
    char *own = malloc(n ? n : 1);
    m2_slice_t got;
    int wanted;

    assert_non_null(bytes);
    assert_non_null(own);
    memcpy(own, text, n);
    wanted = decode_simply(bytes, own, n);
    assert_int_equal(m2_b64_decode(&got, pool, m2_slice(own, n)),
                     wanted < 0 ? M2_E_TOKEN_MALFORMED : M2_OK);
    if (wanted >= 0) {
        assert_true(m2_slice_eq(got, m2_slice((const char *)bytes, (size_t)wanted)));
    }
    free(own);
    free(bytes);
}

/* A generator of our own: the same texts on every machine. */
static unsigned next(void)
{
    static uint64_t state = 15;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33);
}

static void fill(char *text, size_t n)
{
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t i;

    for (i = 0; i < n; i++) {
        text[i] = all[next() % 64];
    }
}

/* every byte at every place of texts of every length */
static void test_each_byte_at_each_place(void **state)
{
    char text[70] = { 0 };
    size_t n, at;
    int c;

    (void)state;
    for (n = 0; n < sizeof(text); n++) {
        fill(text, n);
        expect_same(text, n);
        for (at = 0; at < n; at++) {
            const char was = text[at];

            for (c = 0; c < 256; c++) {
                text[at] = (char)c;
                expect_same(text, n);
            }
            text[at] = was;
        }
        apr_pool_clear(pool);
    }
}

static void test_long_texts(void **state)
{
    char text[1500];
    int round;

    (void)state;
    for (round = 0; round < 4000; round++) {
        const size_t n = next() % sizeof(text);

        fill(text, n);
        if (n && round % 4 == 0) {
            text[next() % n] = (char)next();
        }
        expect_same(text, n);
        apr_pool_clear(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_known_texts),
        unit(test_every_byte_and_length),
        unit(test_refused),
        unit(test_trailing_bits),
        unit(test_nul_and_none),
        unit(test_each_byte_at_each_place),
        unit(test_long_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
