/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of algorithms: what is in it, and that nothing else can be asked for.
 */
#include "unit.h"

#include "key/m2_alg.h"

#define ALL                                                                                 \
            "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 Ed448 " \
            "HS256 HS384 HS512"
#define ONCE "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512"

static void test_rows(void **state)
{
    m2_alg_mask_t seen = 0;
    int i;

    (void)state;
    for (i = 0; m2_alg_at(i); i++) {
        const m2_alg_t *alg = m2_alg_at(i);

        assert_int_equal(seen & alg->bit, alg->name[1] == 'd' && alg->name[2] != 'D' ? alg->bit : 0);
        assert_int_equal(m2_alg_index(alg), i);
        assert_ptr_equal(m2_alg_find(z(alg->name)), alg);
        seen |= alg->bit;
    }
    assert_int_equal(i, M2_ALGS);
    assert_null(m2_alg_at(-1));
    assert_null(m2_alg_at(i + 1));
    assert_string_equal(m2_alg_mask_names(pool, seen), ONCE);
    assert_string_equal(m2_alg_names(pool), ALL);
    assert_string_equal(m2_alg_mask_names(pool, 0), "");
}

static void test_exact_names_only(void **state)
{
    static const char *const no[] = { "none", "None", "NONE", "nOnE", "", "RS", "RS25",
                                      "RS2566", "rs256", "Rs256", " RS256", "RS256 ", "HS1",
                                      "ES256K", "RS1", "ed25519", "ED448", "EDDSA", "RSA-OAEP", "dir" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_null(m2_alg_find(z(no[i])));
    }
    assert_null(m2_alg_find(m2_slice("RS256\0", 6)));
    assert_null(m2_alg_find(m2_slice(NULL, 0)));
    assert_non_null(m2_alg_find(m2_slice("RS256xyz", 5)));
}

static void test_mask_add(void **state)
{
    m2_alg_mask_t mask = 0;

    (void)state;
    assert_int_equal(m2_alg_mask_add(&mask, "rs256", &err), M2_OK);
    assert_int_equal(m2_alg_mask_add(&mask, "EDDSA", &err), M2_OK);
    assert_string_equal(m2_alg_mask_names(pool, mask), "RS256 EdDSA");
    assert_int_equal(m2_alg_mask_add(&mask, "none", &err), M2_E_CONFIG);
    assert_string_equal(err.text, "'none' is not an algorithm; there are: " ALL);
    assert_string_equal(m2_alg_mask_names(pool, mask), "RS256 EdDSA");
    assert_int_equal(m2_alg_mask_add(&mask, "none", NULL), M2_E_CONFIG);
}

/* RFC 9864: EdDSA is either curve, and each has a name of its own */
static void test_curves(void **state)
{
    m2_alg_mask_t mask = 0;

    (void)state;
    assert_int_equal(m2_alg_mask_add(&mask, "ed25519", &err), M2_OK);
    assert_string_equal(m2_alg_mask_names(pool, mask), "Ed25519");
    assert_string_equal(m2_alg_spellings(pool, mask), "EdDSA Ed25519");
    assert_true(mask & m2_alg_find(z("EdDSA"))->bit);
    assert_false(mask & m2_alg_find(z("Ed448"))->bit);
    assert_int_equal(m2_alg_mask_add(&mask, "Ed448", &err), M2_OK);
    assert_string_equal(m2_alg_mask_names(pool, mask), "EdDSA");
    assert_string_equal(m2_alg_spellings(pool, mask), "EdDSA Ed25519 Ed448");
    assert_string_equal(m2_alg_spellings(pool, m2_alg_find(m2_slice_z("RS256"))->bit), "RS256");
    assert_string_equal(m2_alg_spellings(pool, 0), "");
}

static void test_families(void **state)
{
    (void)state;
    assert_string_equal(m2_alg_mask_names(pool, m2_alg_mask_of(M2_FAMILY_HMAC)),
                        "HS256 HS384 HS512");
    assert_string_equal(m2_alg_mask_names(pool, m2_alg_mask_of(M2_FAMILY_RSA)),
                        "RS256 RS384 RS512");
    assert_string_equal(m2_alg_mask_names(pool, m2_alg_mask_of(M2_FAMILY_RSA_PSS)),
                        "PS256 PS384 PS512");
    assert_string_equal(m2_alg_mask_names(pool, m2_alg_mask_of(M2_FAMILY_ECDSA)),
                        "ES256 ES384 ES512");
    assert_string_equal(m2_alg_mask_names(pool, m2_alg_mask_of(M2_FAMILY_EDDSA)), "EdDSA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_rows), unit(test_curves),
        unit(test_exact_names_only),
        unit(test_mask_add),
        unit(test_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
