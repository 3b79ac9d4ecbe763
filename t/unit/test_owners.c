/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Keys that are kept by who proved to own a token: the next proof uses the same one, nobody else
 * gets it meanwhile, and what did not prove anything, or says more than which key it is, is not
 * kept.
 */
#include "unit.h"

#include "gate/m2_owners.h"
#include "text/m2_b64.h"
#include "token/m2_jws.h"

#include <pthread.h>

#define NOW 1700000000
#define URL "https://api.example/orders"

static m2_owners_t *owners;
static m2_proof_keys_t keys;
static int read_anew; /* how many keys were read */

static m2_owner_t *counting_take(void *baton, const char *jkt)
{
    m2_owner_t *owner = m2_owners_keys(owners).take(baton, jkt);

    read_anew += owner && !owner->jwk;
    return owner;
}

static void begin(apr_size_t room)
{
    owners = m2_owners_make(pool, room);
    keys = m2_owners_keys(owners);
    keys.take = counting_take;
    read_anew = 0;
}

static m2_jwk_t *make_key(const char *alg)
{
    m2_jwk_t *jwk;

    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z(alg)), 0, NULL, &err), M2_OK);
    return jwk;
}

/* the public members alone, and what more says */
static m2_json_t *bare(const m2_jwk_t *jwk, const char *more)
{
    static const char *const names[] = { "crv", "e", "kty", "n", "x", "y" };
    const m2_json_t *whole = m2_jwk_to_json(pool, jwk, 0);
    m2_json_t *out = m2_json_make(pool);
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (m2_json_get(whole, names[i])) {
            m2_json_set_json(out, names[i], m2_json_get(whole, names[i]));
        }
    }
    if (more) {
        m2_json_set_string(out, more, "sig");
    }
    return out;
}

/* a proof in which jwk stands, signed by another perhaps */
static m2_code_t judge(const m2_json_t *jwk, const m2_jwk_t *by, const char *alg,
                       const char *method)
{
    apr_array_header_t *targets = apr_array_make(pool, 1, sizeof(const char *));
    const m2_proof_policy_t policy = { m2_proof_algs(), 60, 0 };
    m2_json_t *header = m2_json_make(pool), *claims = m2_json_make(pool);
    m2_proof_request_t request;
    const char *text;
    m2_proof_t proof;

    clean();
    m2_json_set_string(header, "typ", "dpop+jwt");
    m2_json_set_json(header, "jwk", jwk);
    m2_json_set_string(claims, "jti", "j");
    m2_json_set_string(claims, "htm", method);
    m2_json_set_string(claims, "htu", URL);
    m2_json_set_int(claims, "iat", NOW);
    assert_int_equal(m2_jws_sign(&text, pool, header, z(m2_json_dump(pool, claims)), by,
                                 m2_alg_find(z(alg)), &err),
                     M2_OK);
    memset(&request, 0, sizeof(request));
    APR_ARRAY_PUSH(targets, const char *) = URL;
    request.proof = z(text);
    request.fields = 1;
    request.method = "GET";
    request.targets = targets;
    request.keys = &keys;
    return m2_proof_check(&proof, pool, &policy, &request, apr_time_from_sec(NOW), &err);
}

static void test_kept(void **state)
{
    static const char *const algs[] = { "ES256", "ES512", "EdDSA", "RS256" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        const m2_jwk_t *jwk = make_key(algs[i]);

        begin(16);
        assert_int_equal(judge(bare(jwk, NULL), jwk, algs[i], "GET"), M2_OK);
        assert_int_equal(judge(bare(jwk, NULL), jwk, algs[i], "GET"), M2_OK);
        assert_int_equal(read_anew, 1);
    }
}

/* a kept key is that key, whoever writes its name above another signature */
static void test_stranger(void **state)
{
    const m2_jwk_t *jwk = make_key("ES256"), *thief = make_key("ES256");

    (void)state;
    begin(16);
    assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "GET"), M2_OK);
    assert_int_equal(judge(bare(jwk, NULL), thief, "ES256", "GET"), M2_E_PROOF_INVALID);
    assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "POST"), M2_E_PROOF_INVALID);
    assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "GET"), M2_OK);
    assert_int_equal(read_anew, 1);
}

static void test_unproven(void **state)
{
    const m2_jwk_t *jwk = make_key("ES256"), *thief = make_key("ES256");
    int i;

    (void)state;
    begin(16);
    for (i = 0; i < 3; i++) {
        assert_int_equal(judge(bare(jwk, NULL), thief, "ES256", "GET"), M2_E_PROOF_INVALID);
        assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "POST"), M2_E_PROOF_INVALID);
    }
    assert_int_equal(read_anew, 6);
}

/* what a key says of itself is looked at each time */
static void test_not_bare(void **state)
{
    const m2_jwk_t *jwk = make_key("ES256");

    (void)state;
    begin(16);
    assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "GET"), M2_OK);
    assert_int_equal(judge(bare(jwk, "use"), jwk, "ES256", "GET"), M2_OK);
    assert_int_equal(judge(bare(jwk, "kid"), jwk, "ES256", "GET"), M2_OK);
    assert_int_equal(judge(bare(jwk, "alg"), jwk, "ES256", "GET"), M2_E_PROOF_INVALID);
    assert_int_equal(judge(bare(jwk, "d"), jwk, "ES256", "GET"), M2_E_PROOF_INVALID);
    assert_int_equal(read_anew, 1);
}

/* names that would make another key's text, members that are missing */
static void test_crafted(void **state)
{
    const m2_jwk_t *jwk = make_key("ES256");
    m2_json_t *odd = bare(jwk, NULL);
    const char *x = m2_slice_dup(pool, m2_json_string(m2_json_get(odd, "x")));

    (void)state;
    begin(16);
    assert_int_equal(judge(bare(jwk, NULL), jwk, "ES256", "GET"), M2_OK);
    m2_json_set_string(odd, "crv", apr_pstrcat(pool, "P-256\",\"kty\":\"EC\",\"x\":\"", x, NULL));
    assert_int_equal(judge(odd, jwk, "ES256", "GET"), M2_E_PROOF_INVALID);
    odd = m2_json_make(pool);
    m2_json_set_string(odd, "kty", "EC");
    m2_json_set_string(odd, "crv", "P-256");
    m2_json_set_string(odd, "x", x);
    assert_int_equal(judge(odd, jwk, "ES256", "GET"), M2_E_PROOF_INVALID);
    assert_int_equal(read_anew, 1);
}

static void test_one_pair_of_hands(void **state)
{
    m2_owner_t *a, *b;

    (void)state;
    begin(1);
    a = keys.take(owners, "one");
    a->jwk = make_key("ES256");
    a->proven = 1;
    keys.give(owners, a);
    a = keys.take(owners, "one");
    assert_non_null(a->jwk);
    b = keys.take(owners, "one"); /* while it is out */
    assert_null(b->jwk);
    assert_ptr_not_equal(a, b);
    keys.give(owners, b);
    keys.give(owners, a);
    b = keys.take(owners, "two"); /* another of the same slot */
    assert_null(b->jwk);
    b->proven = 1;
    keys.give(owners, b);
    a = keys.take(owners, "one"); /* whose place it took */
    assert_null(a->jwk);
    keys.give(owners, a);
}

#define ROUNDS 20000

static void *race(void *data)
{
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    const m2_proof_keys_t shared = m2_owners_keys(owners);
    apr_size_t i, wrong = 0;

    for (i = 0; i < ROUNDS; i++) {
        const char *name = names[(i + (apr_uintptr_t)data) % 5];
        m2_owner_t *owner = shared.take(shared.baton, name);

        wrong += !owner || strcmp(owner->jkt, name) != 0 || owner->proven > 1;
        if (owner) {
            owner->proven++; /* nobody else sees it so */
            wrong += owner->proven > 2;
            owner->proven = 1;
            shared.give(shared.baton, owner);
        }
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    pthread_t threads[8];
    apr_uintptr_t i;
    void *wrong;

    (void)state;
    begin(2);
    for (i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)i), 0);
    }
    for (i = 0; i < 8; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_kept), unit(test_stranger), unit(test_unproven),
                                        unit(test_not_bare), unit(test_crafted),
                                        unit(test_one_pair_of_hands), unit(test_threads) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
