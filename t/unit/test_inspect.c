/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens that are asked about: ours and alive, or nothing at all.
 */
#include "unit.h"

#include "oauth/m2_inspect.h"
#include "token/m2_jws.h"

#define NOW 1800000000
#define US "https://m2m.example"
#define GOOD "\"iss\":\"" US "\",\"aud\":\"api\",\"client_id\":\"app\",\"sub\":\"app\"," \
             "\"scope\":\"r\",\"jti\":\"j1\",\"iat\":1799999000,\"nbf\":1799999000"
#define EXP ",\"exp\":1800000001"

static m2_jwk_t *key, *stranger;
static m2_keyset_t *keys;
static m2_inspected_t token;

static void begin(void)
{
    const m2_alg_t *es256 = m2_alg_find(z("ES256"));

    clean();
    assert_int_equal(m2_jwk_generate(&key, pool, es256, 0, "k1", &err), M2_OK);
    assert_int_equal(m2_jwk_generate(&stranger, pool, es256, 0, "k1", &err), M2_OK);
    keys = m2_keyset_make(pool);
    assert_int_equal(m2_keyset_add(keys, key, &err), M2_OK);
}

static m2_code_t look(const char *claims, const m2_jwk_t *with, const char *typ)
{
    m2_inspect_rules_t rules = { US, keys, apr_time_from_sec(NOW) };
    m2_json_t *header = m2_json_make(pool);
    const char *text = NULL;

    clean();
    if (typ) {
        m2_json_set_string(header, "typ", typ);
    }
    assert_int_equal(m2_jws_sign(&text, pool, header, z(claims), with, m2_alg_find(z("ES256")),
                                 &err), M2_OK);
    return m2_inspect(&token, pool, z(text), &rules, &err);
}

static void ours(void **state)
{
    (void)state;
    begin();
    assert_int_equal(look("{" GOOD EXP "}", key, "at+jwt"), M2_OK);
    assert_string_equal(token.audience, "api");
    assert_string_equal(token.client, "app");
    assert_string_equal(token.jti, "j1");
    assert_int_equal(token.exp, 1800000001);
    assert_string_equal(token.kid, "k1");
    assert_string_equal(m2_json_dump(pool, m2_inspect_document(pool, &token)),
                        "{\"active\":true,\"iss\":\"" US "\",\"aud\":\"api\",\"sub\":\"app\","
                        "\"client_id\":\"app\",\"scope\":\"r\",\"exp\":1800000001,"
                        "\"iat\":1799999000,\"nbf\":1799999000,\"jti\":\"j1\","
                        "\"token_type\":\"Bearer\"}");
    assert_int_equal(look("{" GOOD EXP ",\"cnf\":{\"jkt\":\"x\"},\"secret\":1}", key, "at+jwt"),
                     M2_OK);
    assert_non_null(strstr(m2_json_dump(pool, m2_inspect_document(pool, &token)),
                           "\"cnf\":{\"jkt\":\"x\"},\"token_type\":\"DPoP\"}"));
    assert_null(strstr(m2_json_dump(pool, m2_inspect_document(pool, &token)), "secret"));
    assert_string_equal(m2_json_dump(pool, m2_inspect_nothing(pool)), "{\"active\":false}");
}

static void not_ours(void **state)
{
    (void)state;
    begin();
    assert_int_equal(look("{" GOOD EXP "}", stranger, "at+jwt"), M2_E_SIGNATURE_INVALID);
    assert_int_equal(look("{" GOOD EXP "}", key, "JWT"), M2_E_TYP_MISMATCH);
    assert_int_equal(look("{" GOOD EXP "}", key, NULL), M2_E_TYP_MISMATCH);
    assert_int_equal(look("{" GOOD ",\"exp\":1800000000}", key, "at+jwt"), M2_E_EXPIRED);
    assert_int_equal(look("{" GOOD "}", key, "at+jwt"), M2_E_CLAIM_MISSING);
    assert_int_equal(look("{\"iss\":\"x\",\"aud\":\"a\",\"client_id\":\"b\",\"jti\":\"j\"" EXP "}",
                          key, "at+jwt"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(look("{\"iss\":\"" US "\",\"aud\":[\"a\"],\"client_id\":\"b\",\"jti\":\"j\""
                          EXP "}", key, "at+jwt"), M2_E_CLAIM_MISSING);
    assert_int_equal(look("{\"iss\":\"" US "\",\"aud\":\"a\",\"client_id\":\"b\"" EXP "}", key,
                          "at+jwt"), M2_E_CLAIM_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(ours), unit(not_ours) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
