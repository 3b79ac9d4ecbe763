/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Public keys of Ed25519 and Ed448 that are no point, or a point of small order, beside those of
 * fresh keys. Which small y have an x was computed from the curves' equations.
 */
#include "unit.h"

#include "key/m2_edwards.h"

#include <openssl/evp.h>

/* The fault of a key whose y is a small number, or, where above, that number above the prime of
 * Ed25519. */
static const char *fault_of_y(apr_size_t n, int y, int above)
{
    unsigned char key[57];

    memset(key, above ? 0xff : 0, sizeof(key));
    key[0] = (unsigned char)(above ? 0xed + y : y); /* 2^255 - 19, little-endian */
    key[n - 1] = (unsigned char)(above ? 0x7f : 0);
    return m2_edwards_fault(key, n);
}

static void expect_fault(const char *fault, const char *words)
{
    if (!words) {
        assert_null(fault);
    }
    else if (!fault || !strstr(fault, words)) {
        fail_msg("\"%s\" where \"%s\" was wanted", fault ? fault : "nothing", words);
    }
}

/* RFC 8032 5.1.3, 5.2.3: not every y has an x, and each point has one encoding */
static void test_points(void **state)
{
    static const int off25519[] = { 2, 7, 8, 11, 12, 13, 17 };
    static const int on25519[] = { 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19 };
    static const int off448[] = { 2, 6, 10, 11, 14, 15, 16, 17, 18 };
    static const int on448[] = { 3, 4, 5, 7, 8, 9, 12, 13, 19 };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(off25519) / sizeof(int); i++) {
        expect_fault(fault_of_y(32, off25519[i], 0), "is not on curve Ed25519");
    }
    for (i = 0; i < sizeof(on25519) / sizeof(int); i++) {
        expect_fault(fault_of_y(32, on25519[i], 0), NULL);
        if (on25519[i] < 0x13) {
            expect_fault(fault_of_y(32, on25519[i], 1), "too large for its curve");
        }
    }
    for (i = 0; i < sizeof(off448) / sizeof(int); i++) {
        expect_fault(fault_of_y(57, off448[i], 0), "is not on curve Ed448");
    }
    for (i = 0; i < sizeof(on448) / sizeof(int); i++) {
        expect_fault(fault_of_y(57, on448[i], 0), NULL);
    }
}

static void test_small_order(void **state)
{
    (void)state;
    expect_fault(fault_of_y(32, 0, 0), "small order");
    expect_fault(fault_of_y(32, 1, 0), "small order");
    expect_fault(fault_of_y(32, 0, 1), "small order");
    expect_fault(fault_of_y(32, 1, 1), "small order");
    expect_fault(fault_of_y(57, 0, 0), "small order");
    expect_fault(fault_of_y(57, 1, 0), "small order");
    expect_fault(fault_of_y(31, 3, 0), "cannot be read");
}

static void test_fresh_keys(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 100; i++) {
        unsigned char key[57];
        size_t n = sizeof(key);
        EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, i & 1 ? "ED448" : "ED25519");

        assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, key, &n), 1);
        expect_fault(m2_edwards_fault(key, n), NULL);
        EVP_PKEY_free(pkey);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_points), unit(test_small_order), unit(test_fresh_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
