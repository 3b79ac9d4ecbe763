/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens against sets of keys: which key is tried, how often, and for whom.
 */
#include "unit.h"

#include "token/m2_verify.h"

#define ANY (~(m2_alg_mask_t)0)

static m2_keyset_t *set;
static const m2_jwk_t *used;
static int tries;

static m2_jwk_t *add_key(const char *alg, const char *kid, const char *issuer)
{
    m2_jwk_t *jwk = NULL, *public;

    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z(alg)), 0, kid, &err), M2_OK);
    assert_int_equal(m2_jwk_from_json(&public, pool, m2_jwk_to_json(pool, jwk, 0), M2_JWK_PUBLIC,
                                      &err),
                     M2_OK);
    public->issuer = issuer;
    assert_int_equal(m2_keyset_add(set, public, &err), M2_OK);
    return jwk;
}

/* kid of the token's own choice, or NULL */
static const char *token_of(const m2_jwk_t *jwk, const char *alg, const char *kid,
                            const char *payload)
{
    m2_jwk_t nameless = *jwk;
    const char *token;

    nameless.kid = kid;
    assert_int_equal(m2_jws_sign(&token, pool, NULL, z(payload), &nameless, m2_alg_find(z(alg)),
                                 &err),
                     M2_OK);
    return token;
}

static m2_code_t check(const char *token)
{
    m2_jws_t jws;

    clean();
    assert_int_equal(m2_jws_split(&jws, z(token), &err), M2_OK);
    assert_int_equal(m2_jws_header(&jws, pool, NULL, &err), M2_OK);
    return m2_jws_verify_with(&used, &tries, &jws, pool, set, ANY, &err);
}

static void test_tried_in_turn(void **state)
{
    m2_jwk_t *keys[M2_MAX_TRIES + 1], *stranger;
    m2_keyset_t *all;
    int i;

    (void)state;
    set = m2_keyset_make(pool);
    for (i = 0; i < M2_MAX_TRIES; i++) {
        keys[i] = add_key("ES256", NULL, NULL);
    }
    for (i = 0; i < M2_MAX_TRIES; i++) {
        assert_int_equal(check(token_of(keys[i], "ES256", NULL, "{}")), M2_OK);
        assert_int_equal(tries, i + 1);
        assert_true(m2_keyset_same_key(used, keys[i]));
    }
    all = set;
    set = m2_keyset_make(pool);
    stranger = add_key("ES256", NULL, NULL);
    set = all;
    assert_int_equal(check(token_of(stranger, "ES256", NULL, "{}")), M2_E_SIGNATURE_INVALID);
    assert_int_equal(tries, M2_MAX_TRIES); /* what a forged token costs at most */
    assert_null(used);
    keys[i] = add_key("ES256", NULL, NULL);
    assert_int_equal(check(token_of(keys[0], "ES256", NULL, "{}")), M2_E_KID_UNKNOWN);
    assert_int_equal(tries, 0);
}

static void test_kid_is_one_try(void **state)
{
    m2_jwk_t *a, *b;

    (void)state;
    set = m2_keyset_make(pool);
    a = add_key("ES256", "a", NULL);
    b = add_key("ES256", "b", NULL);
    assert_int_equal(check(token_of(a, "ES256", "a", "{}")), M2_OK);
    assert_int_equal(check(token_of(b, "ES256", "a", "{}")), M2_E_SIGNATURE_INVALID);
    assert_int_equal(tries, 1);
}

static void test_malformed_signature(void **state)
{
    m2_jwk_t *a;

    (void)state;
    set = m2_keyset_make(pool);
    a = add_key("ES256", NULL, NULL);
    add_key("ES256", NULL, NULL);
    assert_int_equal(check(apr_pstrcat(pool, token_of(a, "ES256", NULL, "{}"), "=", NULL)),
                     M2_E_TOKEN_MALFORMED);
    assert_int_equal(tries, 1);
}

/* RFC 8725 3.8: a provider cannot make another's tokens pass */
static void test_bound(void **state)
{
    static const char one[] = "{\"iss\":\"https://one.example\"}";
    static const char two[] = "{\"iss\":\"https://two.example\"}";
    m2_jwk_t *a, *b;
    const char *kid = NULL;
    int round;

    (void)state;
    for (round = 0; round < 2; round++, kid = "k") {
        set = m2_keyset_make(pool);
        a = add_key("ES256", kid, "https://one.example");
        b = add_key("ES256", kid, "https://two.example");
        assert_int_equal(check(token_of(a, "ES256", kid, one)), M2_OK);
        assert_int_equal(check(token_of(b, "ES256", kid, two)), M2_OK);
        assert_int_equal(check(token_of(b, "ES256", kid, one)), M2_E_SIGNATURE_INVALID);
        assert_int_equal(check(token_of(a, "ES256", kid, two)), M2_E_SIGNATURE_INVALID);
        assert_int_equal(check(token_of(a, "ES256", kid, "{}")), M2_E_CLAIM_MISSING);
        assert_int_equal(check(token_of(a, "ES256", kid, "{\"iss\":[\"https://one.example\"]}")),
                         M2_E_CLAIM_MISSING);
        assert_int_equal(check(token_of(a, "ES256", kid, "no JSON")), M2_E_TOKEN_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_tried_in_turn), unit(test_kid_is_one_try),
                                        unit(test_malformed_signature), unit(test_bound) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
