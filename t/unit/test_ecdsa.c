/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Our DER of a signature is OpenSSL's, to the byte, whatever its two numbers are.
 */
#include "unit.h"

#include "key/m2_ecdsa.h"

#include <openssl/bn.h>
#include <openssl/ec.h>

#define MOST 132

/* A generator of our own: the same bytes on every machine. */
static unsigned next(void)
{
    static uint64_t state = 20260719;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33);
}

static m2_slice_t as_openssl_writes(const unsigned char *raw, size_t size)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    const int half = (int)size / 2;
    unsigned char *der = NULL;
    m2_slice_t copy;
    int n;

    assert_true(ECDSA_SIG_set0(pair, BN_bin2bn(raw, half, NULL),
                               BN_bin2bn(raw + half, half, NULL)));
    n = i2d_ECDSA_SIG(pair, &der);
    assert_true(n > 0);
    copy = m2_slice(apr_pmemdup(pool, der, (size_t)n), (size_t)n);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return copy;
}

static void expect_same(const unsigned char *raw, size_t size)
{
    /* no longer than it says: whoever writes beyond is seen by the sanitizers */
    unsigned char *room = malloc(M2_ECDSA_DER), back[MOST];
    m2_slice_t der = z("untouched");

    assert_non_null(room);
    assert_true(m2_ecdsa_to_der(&der, room, m2_slice((const char *)raw, size)));
    assert_true(der.n <= M2_ECDSA_DER);
    assert_true(m2_slice_eq(der, as_openssl_writes(raw, size)));
    assert_true(m2_ecdsa_from_der(back, size, der));
    assert_memory_equal(back, raw, size);
    free(room);
}

static const size_t sizes[] = { 64, 96, 132 };

/* Each number begins with so many zeros and then a byte whose first bit is set or not. */
static void test_leading_bytes(void **state)
{
    static const unsigned char firsts[] = { 0x01, 0x7f, 0x80, 0xff };
    size_t i, r, s, k;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const size_t half = sizes[i] / 2;

        for (r = 0; r < half; r++) {
            for (s = 0; s < half; s++) {
                unsigned char raw[MOST] = { 0 };

                for (k = r; k < half; k++) {
                    raw[k] = (unsigned char)next();
                }
                for (k = s; k < half; k++) {
                    raw[half + k] = (unsigned char)next();
                }
                raw[r] = firsts[(r + s) % 4];
                raw[half + s] = firsts[(r / 4 + s) % 4];
                expect_same(raw, sizes[i]);
            }
        }
    }
}

static void test_any_bytes(void **state)
{
    int round;
    size_t k;

    (void)state;
    for (round = 0; round < 3000; round++) {
        const size_t size = sizes[round % 3];
        unsigned char raw[MOST];

        for (k = 0; k < size; k++) {
            raw[k] = (unsigned char)next();
        }
        expect_same(raw, size);
    }
}

static void test_zero(void **state)
{
    unsigned char raw[MOST] = { 0 }, room[M2_ECDSA_DER];
    m2_slice_t der;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const m2_slice_t all = m2_slice((const char *)raw, sizes[i]);

        memset(raw, 0, sizeof(raw));
        assert_false(m2_ecdsa_to_der(&der, room, all));
        raw[0] = 1;
        assert_false(m2_ecdsa_to_der(&der, room, all));
        raw[sizes[i] - 1] = 1;
        assert_true(m2_ecdsa_to_der(&der, room, all));
        raw[0] = 0;
        assert_false(m2_ecdsa_to_der(&der, room, all));
    }
}

/* what is no signature, and one whose numbers are longer than the curve's */
static void test_not_der(void **state)
{
    static const unsigned char longer[] = { 0x30, 0x07, 0x02, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01 };
    unsigned char out[MOST];

    (void)state;
    assert_false(m2_ecdsa_from_der(out, 64, z("")));
    assert_false(m2_ecdsa_from_der(out, 64, z("no signature")));
    assert_true(m2_ecdsa_from_der(out, 64, m2_slice((const char *)longer, sizeof(longer))));
    assert_false(m2_ecdsa_from_der(out, 2, m2_slice((const char *)longer, sizeof(longer))));
    assert_false(m2_ecdsa_from_der(out, 64, m2_slice((const char *)longer, sizeof(longer) - 1)));
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_leading_bytes),
        unit(test_any_bytes),
        unit(test_zero),
        unit(test_not_der),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
