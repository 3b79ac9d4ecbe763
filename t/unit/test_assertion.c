/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * private_key_jwt: one assertion that passes, and every way it may fall short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oauth/m2_assertion.h"

#define NOW 1800000000
#define US "https://issuer.example.com"
#define TOKEN_URL US "/token"

static apr_pool_t *pool;
static m2_jwk_t *key, *stranger;
static m2_keyset_t *keys;
static apr_array_header_t *names;
static m2_assertion_t result;
static m2_err_t err;

static const m2_keyset_t *keys_of(const char *client, void *baton)
{
    (void)baton;
    return strcmp(client, "app") == 0 ? keys : NULL;
}

static int decoys; /* how often one was asked for */

static const m2_jwk_t *decoy_of(const char *client, const m2_alg_t *alg, void *baton)
{
    (void)client;
    (void)baton;
    decoys++;
    return stranger->algs & alg->bit ? stranger : NULL;
}

static int setup(void **state)
{
    const m2_alg_t *es256;

    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    es256 = m2_alg_find(m2_slice_z("ES256"));
    if (m2_jwk_generate(&key, pool, es256, 0, "k1", &err) != M2_OK ||
        m2_jwk_generate(&stranger, pool, es256, 0, "k1", &err) != M2_OK) {
        return -1;
    }
    keys = m2_keyset_make(pool);
    names = apr_array_make(pool, 2, sizeof(const char *));
    APR_ARRAY_PUSH(names, const char *) = US;
    APR_ARRAY_PUSH(names, const char *) = TOKEN_URL;
    return m2_keyset_add(keys, key, &err) == M2_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static const char *sign(const char *claims, const m2_jwk_t *with)
{
    const char *token = NULL;

    m2_err_init(&err, pool);
    assert_int_equal(m2_jws_sign(&token, pool, NULL, m2_slice_z(claims), with,
                                 m2_alg_find(m2_slice_z("ES256")), &err),
                     M2_OK);
    return token;
}

static m2_code_t check_token(const char *token, const char *client_id)
{
    m2_code_t rc;

    m2_err_init(&err, pool);
    decoys = 0;
    rc = m2_assertion_check(&result, pool, m2_slice_z(token), client_id,
                            &(m2_assertion_rules_t){ keys_of, decoy_of, NULL, names,
                                                     apr_time_from_sec(NOW) }, &err);
    assert_true(rc == M2_OK || err.text);
    return rc;
}

static m2_code_t check(const char *claims)
{
    return check_token(sign(claims, key), NULL);
}

#define WHO "\"iss\":\"app\",\"sub\":\"app\""
#define AUD ",\"aud\":\"" US "\""
#define EXP ",\"exp\":1800000060"
#define JTI ",\"jti\":\"j1\""

static void passes(void **state)
{
    (void)state;
    assert_int_equal(check("{" WHO AUD EXP JTI "}"), M2_OK);
    assert_string_equal(result.client, "app");
    assert_string_equal(result.jti, "j1");
    assert_true(result.exp == 1800000060.0);
    assert_int_equal(check("{" WHO ",\"aud\":\"" TOKEN_URL "\"" EXP JTI "}"), M2_OK);
    assert_int_equal(check("{" WHO ",\"aud\":[\"" TOKEN_URL "\"]" EXP JTI "}"), M2_OK);
    assert_int_equal(check("{" WHO ",\"aud\":[\"" US "\",\"" TOKEN_URL "\"]" EXP JTI "}"), M2_OK);
    assert_int_equal(check("{" WHO AUD EXP JTI ",\"iat\":1800000000,\"nbf\":1800000000}"),
                     M2_OK);
    assert_int_equal(check_token(sign("{" WHO AUD EXP JTI "}", key), "app"), M2_OK);
}

static void who(void **state)
{
    (void)state;
    assert_int_equal(check("{\"iss\":\"app\"" AUD EXP JTI "}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"sub\":\"app\"" AUD EXP JTI "}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"iss\":\"x\",\"sub\":\"app\"" AUD EXP JTI "}"),
                     M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"iss\":1,\"sub\":1" AUD EXP JTI "}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check_token(sign("{" WHO AUD EXP JTI "}", key), "other"),
                     M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"iss\":\"nobody\",\"sub\":\"nobody\"" AUD EXP JTI "}"),
                     M2_E_KID_UNKNOWN);
}

static void signature(void **state)
{
    const char *good = sign("{" WHO AUD EXP JTI "}", key);

    (void)state;
    assert_int_equal(check_token(sign("{" WHO AUD EXP JTI "}", stranger), NULL),
                     M2_E_SIGNATURE_INVALID);
    assert_int_equal(check_token(apr_pstrcat(pool, good, ".x", NULL), NULL),
                     M2_E_TOKEN_MALFORMED);
    assert_int_equal(check_token("", NULL), M2_E_TOKEN_MALFORMED);
    assert_int_equal(check_token("eyJhbGciOiJub25lIn0.e30.", NULL), M2_E_TOKEN_MALFORMED);
    assert_int_not_equal(check_token("eyJhbGciOiJub25lIn0.e30.AA", NULL), M2_OK);
}

/* One signature is checked whether there is such a client or not, so that time tells nothing;
 * and that of the decoy never makes an assertion good. */
static void same_work(void **state)
{
    static const char nobody[] = "{\"iss\":\"nobody\",\"sub\":\"nobody\"" AUD EXP JTI "}";

    (void)state;
    assert_int_equal(check("{" WHO AUD EXP JTI "}"), M2_OK);
    assert_int_equal(decoys, 0);
    assert_int_equal(check_token(sign("{" WHO AUD EXP JTI "}", stranger), NULL),
                     M2_E_SIGNATURE_INVALID);
    assert_int_equal(decoys, 0);
    assert_int_equal(check_token(sign(nobody, key), NULL), M2_E_KID_UNKNOWN);
    assert_int_equal(decoys, 1);
    assert_int_equal(check_token(sign(nobody, stranger), NULL), M2_E_KID_UNKNOWN);
    assert_int_equal(decoys, 1);
}

static void meant_for_us(void **state)
{
    (void)state;
    assert_int_not_equal(check("{" WHO EXP JTI "}"), M2_OK);
    assert_int_equal(check("{" WHO ",\"aud\":\"https://evil.example\"" EXP JTI "}"),
                     M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(check("{" WHO ",\"aud\":\"" US "/\"" EXP JTI "}"),
                     M2_E_AUDIENCE_MISMATCH);
    assert_int_not_equal(check("{" WHO ",\"aud\":[]" EXP JTI "}"), M2_OK);
}

/* All of it in one claim: who else it names could log in here with it. */
static void meant_for_nobody_else(void **state)
{
    static const char *const lists[] = { "\"x\",\"" TOKEN_URL "\"", "\"" US "\",\"x\"",
                                         "\"" US "\",\"" US "/\"",
                                         "\"" US "\",\"" US "/introspect\"",
                                         "\"" US "\",\"\"" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(check(apr_psprintf(pool, "{" WHO ",\"aud\":[%s]" EXP JTI "}", lists[i])),
                         M2_E_AUDIENCE_MISMATCH);
    }
    assert_int_equal(check("{" WHO ",\"aud\":[\"" US "\",1]" EXP JTI "}"), M2_E_CLAIM_INVALID);
}

static m2_code_t check_typ(const char *typ)
{
    m2_json_t *header = m2_json_make(pool);
    const char *token = NULL;

    m2_json_set_string(header, "typ", typ);
    m2_err_init(&err, pool);
    assert_int_equal(m2_jws_sign(&token, pool, header, m2_slice_z("{" WHO AUD EXP JTI "}"), key,
                                 m2_alg_find(m2_slice_z("ES256")), &err), M2_OK);
    return check_token(token, NULL);
}

static void of_its_kind(void **state)
{
    static const char *const good[] = { "JWT", "jwt", "application/JWT",
                                        "client-authentication+jwt",
                                        "application/client-authentication+jwt" };
    static const char *const bad[] = { "dpop+jwt", "at+jwt", "application/at+jwt", "logout+jwt",
                                       "token-introspection+jwt", "", "JWS", "JWT2" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check_typ(good[i]), M2_OK);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check_typ(bad[i]), M2_E_TYP_MISMATCH);
        assert_null(result.client);
    }
}

static void in_time(void **state)
{
    (void)state;
    assert_int_equal(check("{" WHO AUD JTI "}"), M2_E_CLAIM_MISSING);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":1799999940}"), M2_E_EXPIRED);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":1799999941}"), M2_OK);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":\"1800000060\"}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":1800003600}"), M2_OK);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":1800003601}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{" WHO AUD JTI ",\"exp\":9007199254740992}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{" WHO AUD EXP JTI ",\"nbf\":1800000061}"), M2_E_NOT_YET_VALID);
    assert_int_equal(check("{" WHO AUD EXP JTI ",\"iat\":1800000061}"), M2_E_NOT_YET_VALID);
}

static void with_id(void **state)
{
    char jti[300];

    (void)state;
    assert_int_equal(check("{" WHO AUD EXP "}"), M2_E_JTI_MISSING);
    assert_int_equal(check("{" WHO AUD EXP ",\"jti\":\"\"}"), M2_E_JTI_MISSING);
    assert_int_equal(check("{" WHO AUD EXP ",\"jti\":7}"), M2_E_JTI_MISSING);
    memset(jti, 'j', sizeof(jti));
    jti[256] = '\0';
    assert_int_equal(check(apr_psprintf(pool, "{" WHO AUD EXP ",\"jti\":\"%s\"}", jti)),
                     M2_E_JTI_MISSING);
    jti[255] = '\0';
    assert_int_equal(check(apr_psprintf(pool, "{" WHO AUD EXP ",\"jti\":\"%s\"}", jti)),
                     M2_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),       cmocka_unit_test(who),
        cmocka_unit_test(signature),    cmocka_unit_test(meant_for_us),
        cmocka_unit_test(in_time),      cmocka_unit_test(with_id),
        cmocka_unit_test(same_work),    cmocka_unit_test(meant_for_nobody_else),
        cmocka_unit_test(of_its_kind),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
