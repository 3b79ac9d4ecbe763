/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Proofs of possession: for each of the twelve checks of RFC 9449 4.3 a proof in which nothing
 * else is wrong, beside the one it was made from; then the edges of what is accepted.
 */
#include "unit.h"

#include "proof/m2_proof.h"
#include "text/m2_b64.h"
#include "token/m2_jws.h"

#include <openssl/evp.h>

#define NOW 1700000000
#define URL "https://api.example/orders"
#define TOKEN "header.payload.signature"
#define KEY "0123456789abcdef0123456789abcdef"
#define CLAIMS "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000"
#define TYP "\"typ\":\"dpop+jwt\""

static m2_jwk_t *key;
static m2_proof_policy_t policy;
static m2_proof_request_t request;
static m2_proof_t proof;

static m2_jwk_t *make_key(const char *alg)
{
    m2_jwk_t *jwk;

    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z(alg)), 0, NULL, &err), M2_OK);
    return jwk;
}

static const char *hash(const char *text)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    assert_int_equal(EVP_Digest(text, strlen(text), bytes, &n, EVP_sha256(), NULL), 1);
    return m2_b64_encode(pool, m2_slice((char *)bytes, n));
}

static const char *jwk_of(const m2_jwk_t *jwk)
{
    return m2_json_dump(pool, m2_jwk_to_json(pool, jwk, 0));
}

/* the request that good() is a proof for */
static void begin(const char *alg)
{
    apr_array_header_t *targets = apr_array_make(pool, 2, sizeof(const char *));

    *(const char **)apr_array_push(targets) = "http://elsewhere.example/orders";
    *(const char **)apr_array_push(targets) = URL;
    key = make_key(alg);
    memset(&policy, 0, sizeof(policy));
    memset(&request, 0, sizeof(request));
    policy.algs = m2_proof_algs();
    policy.window = 60;
    request.fields = 1;
    request.method = "POST";
    request.targets = targets;
    request.token = z(TOKEN);
    request.jkt = z(m2_jwk_thumbprint(pool, key));
    request.nonce_key = z(KEY);
    request.nonce_role = M2_NONCE_RESOURCE;
}

/* header and claims as JSON members; the header's alg is set by the signer */
static const char *made(const char *header, const char *claims, const m2_jwk_t *by,
                        const char *alg)
{
    const m2_json_t *json;
    const char *text;

    clean();
    assert_int_equal(m2_json_parse(&json, pool, z(apr_pstrcat(pool, "{", header, "}", NULL)),
                                   M2_E_CONFIG, &err),
                     M2_OK);
    assert_int_equal(m2_jws_sign(&text, pool, json, z(apr_pstrcat(pool, "{", claims, "}", NULL)),
                                 by, m2_alg_find(z(alg)), &err),
                     M2_OK);
    return text;
}

static const char *with_jwk(const char *jwk)
{
    return apr_pstrcat(pool, TYP ",\"jwk\":", jwk, NULL);
}

/* a proof by key in which the claims are these, beside a right ath */
static const char *saying(const char *claims)
{
    return made(with_jwk(jwk_of(key)),
                apr_pstrcat(pool, claims, ",\"ath\":\"", hash(TOKEN), "\"", NULL), key,
                "ES256");
}

static const char *good(void)
{
    return saying(CLAIMS);
}

static m2_code_t judge(const char *text)
{
    m2_code_t code;

    clean();
    request.proof = z(text);
    code = m2_proof_check(&proof, pool, &policy, &request, apr_time_from_sec(NOW), &err);
    assert_int_equal(ERR_peek_error(), 0);
    assert_true((code == M2_OK) == (proof.step == M2_PROOF_STEPS));
    assert_true(code == M2_OK || err.text);
    return code;
}

static void passes(const char *text)
{
    if (judge(text) != M2_OK) {
        fail_msg("refused at \"%s\": %s", m2_proof_step_text(proof.step), err.text);
    }
}

static void fails(const char *text, m2_proof_step_t step)
{
    assert_int_equal(judge(text), M2_E_PROOF_INVALID);
    if (proof.step != step) {
        fail_msg("refused at \"%s\": %s", m2_proof_step_text(proof.step), err.text);
    }
}

/* --- the twelve checks of RFC 9449 4.3, in its order --- */

static void test_1_single(void **state)
{
    const char *text;

    (void)state;
    begin("ES256");
    text = good();
    passes(text);
    assert_string_equal(proof.jkt, request.jkt.p);
    assert_true(m2_slice_is(proof.jti, "j1"));
    request.fields = 2;
    fails(text, M2_PROOF_SINGLE);
    request.fields = 1;
    fails(apr_pstrcat(pool, text, ", ", text, NULL), M2_PROOF_SINGLE);
    fails(apr_pstrcat(pool, text, ",", NULL), M2_PROOF_SINGLE);
    assert_int_equal(judge(""), M2_E_PROOF_MISSING);
    assert_int_equal(judge(NULL), M2_E_PROOF_MISSING);
    request.fields = 0;
    assert_int_equal(judge(text), M2_E_PROOF_MISSING);
}

static void test_2_form(void **state)
{
    const char *text, *b64;
    char *large;

    (void)state;
    begin("ES256");
    text = good();
    passes(text);
    fails("abc", M2_PROOF_FORM);
    fails(apr_pstrcat(pool, text, ".x", NULL), M2_PROOF_FORM);
    fails(apr_pstrcat(pool, " ", text, NULL), M2_PROOF_FORM);
    fails(made(apr_pstrcat(pool, with_jwk(jwk_of(key)), ",\"crit\":[\"a\"]", NULL), CLAIMS, key,
               "ES256"),
          M2_PROOF_FORM);
    fails(made(apr_pstrcat(pool, with_jwk(jwk_of(key)), ",\"b64\":false", NULL), CLAIMS, key,
               "ES256"),
          M2_PROOF_FORM);
    fails(made(with_jwk(jwk_of(key)), CLAIMS ",\"jti\":\"j2\"", key, "ES256"), M2_PROOF_FORM);
    b64 = m2_b64_encode(pool, z("[1]"));
    fails(apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(strchr(text, '.') - text)),
                      ".", b64, strrchr(text, '.'), NULL),
          M2_PROOF_FORM);
    large = apr_palloc(pool, 6200);
    memset(large, 'a', 6199);
    large[6199] = '\0';
    text = saying(apr_pstrcat(pool, CLAIMS ",\"x\":\"", large, "\"", NULL));
    assert_true(strlen(text) > M2_MAX_PROOF);
    fails(text, M2_PROOF_FORM);
    large[5000] = '\0';
    passes(saying(apr_pstrcat(pool, CLAIMS ",\"x\":\"", large, "\"", NULL)));
}

static void test_3_claims(void **state)
{
    static const char *const bad[] = {
        "\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":null,\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":1,\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":\"\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":\"j1\",\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":\"j1\",\"htm\":[\"POST\"],\"htu\":\"" URL "\",\"iat\":1700000000",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"iat\":1700000000",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":[\"" URL "\"],\"iat\":1700000000",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\"",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":\"1700000000\"",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":-1",
        "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1e300",
    };
    size_t i;

    (void)state;
    begin("ES256");
    passes(good());
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fails(saying(bad[i]), M2_PROOF_CLAIMS);
    }
    fails(made(with_jwk(jwk_of(key)), CLAIMS, key, "ES256"), M2_PROOF_CLAIMS); /* no ath */
    request.token = m2_slice(NULL, 0); /* at a token endpoint there is none */
    passes(made(with_jwk(jwk_of(key)), CLAIMS, key, "ES256"));
}

static const char *typed(const char *typ)
{
    return made(apr_pstrcat(pool, typ, "\"jwk\":", jwk_of(key), NULL),
                apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL), key, "ES256");
}

static void test_4_typ(void **state)
{
    (void)state;
    begin("ES256");
    passes(typed("\"typ\":\"dpop+jwt\","));
    passes(typed("\"typ\":\"application/DPoP+jwt\",")); /* RFC 7515 4.1.9, as for tokens */
    fails(typed(""), M2_PROOF_TYP);
    fails(typed("\"typ\":\"JWT\","), M2_PROOF_TYP);
    fails(typed("\"typ\":\"at+jwt\","), M2_PROOF_TYP);
    fails(typed("\"typ\":\"dpop+jwt2\","), M2_PROOF_TYP);
    fails(typed("\"typ\":\"dpop\","), M2_PROOF_TYP);
    fails(typed("\"typ\":\"\","), M2_PROOF_TYP);
    fails(typed("\"typ\":1,"), M2_PROOF_FORM);
}

/* the header of another with the rest of text */
static const char *reheaded(const char *header, const char *text)
{
    return apr_pstrcat(pool, m2_b64_encode(pool, z(header)), strchr(text, '.'), NULL);
}

static void test_5_alg(void **state)
{
    m2_jwk_t *secret;
    const char *text;

    (void)state;
    begin("ES256");
    text = good();
    passes(text);
    fails(reheaded(apr_pstrcat(pool, "{\"alg\":\"none\",", with_jwk(jwk_of(key)), "}", NULL), text),
          M2_PROOF_ALG);
    fails(reheaded(apr_pstrcat(pool, "{\"alg\":\"es256\",", with_jwk(jwk_of(key)), "}", NULL), text),
          M2_PROOF_ALG);
    fails(reheaded(apr_pstrcat(pool, "{", with_jwk(jwk_of(key)), "}", NULL), text), M2_PROOF_FORM);
    secret = make_key("HS256");
    policy.algs = ~(m2_alg_mask_t)0; /* whatever a policy says */
    fails(made(with_jwk(jwk_of(key)), CLAIMS, secret, "HS256"), M2_PROOF_ALG);
    policy.algs = m2_alg_find(z("ES384"))->bit;
    fails(text, M2_PROOF_ALG);
    policy.algs |= m2_alg_find(z("ES256"))->bit;
    passes(text);
    begin("Ed25519"); /* EdDSA says either curve, and one of them was said */
    text = made(with_jwk(jwk_of(key)), apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL),
                key, "EdDSA");
    passes(text);
    policy.algs = m2_alg_find(z("Ed448"))->bit;
    fails(text, M2_PROOF_SIGNATURE);
    policy.algs = m2_alg_find(z("Ed25519"))->bit;
    passes(text);
}

static void test_6_signature(void **state)
{
    const char *text, *other, *dot;

    (void)state;
    begin("ES256");
    text = good();
    passes(text);
    /* signed by another key than the one in jwk */
    fails(made(with_jwk(jwk_of(key)), CLAIMS, make_key("ES256"), "ES256"), M2_PROOF_SIGNATURE);
    other = saying("\"jti\":\"j2\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000");
    dot = strrchr(text, '.');
    fails(apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(dot - text)),
                      strrchr(other, '.'), NULL),
          M2_PROOF_SIGNATURE);
    fails(apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(dot - text)), ".AAAA", NULL),
          M2_PROOF_SIGNATURE);
}

/* jwk_of(key) with members in front */
static const char *jwk_with(const char *members)
{
    return apr_pstrcat(pool, "{", members, jwk_of(key) + 1, NULL);
}

static const char *keyed(const char *jwk)
{
    return made(with_jwk(jwk), apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL),
                key, "ES256");
}

static void test_7_public(void **state)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    const m2_json_t *json;
    const char *jwk;
    size_t i;

    (void)state;
    begin("ES256");
    passes(keyed(jwk_of(key)));
    passes(keyed(jwk_with("\"x5c\":[\"\"],\"kid\":\"a\",\"key_ops\":[\"verify\"],")));
    fails(keyed(m2_json_dump(pool, m2_jwk_to_json(pool, key, 1))), M2_PROOF_PUBLIC);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fails(keyed(jwk_with(apr_pstrcat(pool, "\"", names[i], "\":\"AQAB\",", NULL))),
              M2_PROOF_PUBLIC);
        fails(keyed(jwk_with(apr_pstrcat(pool, "\"", names[i], "\":null,", NULL))),
              M2_PROOF_PUBLIC);
    }
    fails(keyed("{\"kty\":\"oct\"}"), M2_PROOF_PUBLIC);
    fails(made(TYP, CLAIMS, key, "ES256"), M2_PROOF_PUBLIC);
    fails(keyed("null"), M2_PROOF_PUBLIC);
    fails(keyed("[]"), M2_PROOF_PUBLIC);
    fails(keyed(apr_pstrcat(pool, "\"", request.jkt.p, "\"", NULL)), M2_PROOF_PUBLIC);
    /* strict: what is let pass in keys that are published is not here */
    fails(keyed(jwk_with("\"kid\":null,")), M2_PROOF_PUBLIC);
    fails(keyed(jwk_with("\"key_ops\":[],")), M2_PROOF_PUBLIC);
    fails(keyed(jwk_with("\"key_ops\":[\"sign\"],")), M2_PROOF_PUBLIC);
    json = m2_jwk_to_json(pool, key, 0);
    jwk = apr_psprintf(pool, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s=\",\"y\":\"%s\"}",
                       m2_json_string(m2_json_get(json, "x")).p,
                       m2_json_string(m2_json_get(json, "y")).p);
    fails(keyed(jwk), M2_PROOF_PUBLIC);
    jwk = apr_psprintf(pool, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA%s\",\"y\":\"%s\"}",
                       m2_json_string(m2_json_get(json, "x")).p,
                       m2_json_string(m2_json_get(json, "y")).p);
    fails(keyed(jwk), M2_PROOF_PUBLIC);
    jwk = apr_psprintf(pool, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}",
                       m2_json_string(m2_json_get(json, "x")).p,
                       m2_json_string(m2_json_get(json, "x")).p);
    fails(keyed(jwk), M2_PROOF_PUBLIC); /* not a point of the curve */
    jwk = apr_psprintf(pool, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\",\"x\":\"%s\",\"y\":\"%s\"}",
                       m2_json_string(m2_json_get(json, "x")).p,
                       m2_json_string(m2_json_get(json, "y")).p);
    fails(keyed(jwk), M2_PROOF_PUBLIC);
}

static void test_8_method(void **state)
{
    (void)state;
    begin("ES256");
    passes(good());
    request.method = "GET";
    fails(good(), M2_PROOF_METHOD);
    request.method = "post";
    fails(good(), M2_PROOF_METHOD);
    request.method = "POS";
    fails(good(), M2_PROOF_METHOD);
}

static const char *at(const char *htu)
{
    return saying(apr_pstrcat(pool, "\"jti\":\"j1\",\"htm\":\"POST\",\"iat\":1700000000,\"htu\":\"",
                              htu, "\"", NULL));
}

static void test_9_target(void **state)
{
    (void)state;
    begin("ES256");
    passes(at(URL));
    passes(at("HTTPS://API.example:443/%6frders?x=1#y"));
    passes(at("https://api.example/./a/../orders"));
    passes(at("http://elsewhere.example/orders"));
    fails(at("http://api.example/orders"), M2_PROOF_TARGET);
    fails(at("https://api.example:8443/orders"), M2_PROOF_TARGET);
    fails(at("https://api2.example/orders"), M2_PROOF_TARGET);
    fails(at("https://api.example/orders/"), M2_PROOF_TARGET);
    fails(at("https://api.example//orders"), M2_PROOF_TARGET);
    fails(at("https://api.example/Orders"), M2_PROOF_TARGET);
    fails(at("https://api.example/orders%2F"), M2_PROOF_TARGET);
    fails(at("https://x@api.example/orders"), M2_PROOF_TARGET);
    fails(at("/orders"), M2_PROOF_TARGET);
    fails(at(""), M2_PROOF_TARGET);
    request.targets = apr_array_make(pool, 1, sizeof(const char *));
    fails(at(URL), M2_PROOF_TARGET); /* a request without a URL of its own */
}

static const char *with_nonce(const char *nonce)
{
    return saying(apr_pstrcat(pool, CLAIMS ",\"nonce\":", nonce, NULL));
}

static void test_10_nonce(void **state)
{
    const char *own = apr_pstrcat(
        pool, "\"", m2_nonce_make(pool, z(KEY), M2_NONCE_RESOURCE, 60, apr_time_from_sec(NOW)),
        "\"", NULL);
    const char *old = apr_pstrcat(pool, "\"",
                                  m2_nonce_make(pool, z(KEY), M2_NONCE_RESOURCE, 60,
                                                apr_time_from_sec(NOW - 140)),
                                  "\"", NULL);

    (void)state;
    begin("ES256");
    passes(with_nonce("\"anything\"")); /* none is asked for */
    policy.nonce = 1;
    passes(with_nonce(own));
    assert_int_equal(judge(good()), M2_E_PROOF_NONCE);
    assert_int_equal(judge(with_nonce("\"anything\"")), M2_E_PROOF_NONCE);
    assert_int_equal(judge(with_nonce("null")), M2_E_PROOF_NONCE);
    assert_int_equal(judge(with_nonce("7")), M2_E_PROOF_NONCE);
    assert_int_equal(judge(with_nonce(old)), M2_E_PROOF_NONCE);
    request.nonce_role = M2_NONCE_ISSUER;
    assert_int_equal(judge(with_nonce(own)), M2_E_PROOF_NONCE);
    request.method = "GET"; /* a fault that a new nonce does not mend comes first */
    fails(good(), M2_PROOF_METHOD);
}

static const char *issued(const char *iat)
{
    return saying(apr_pstrcat(pool, "\"jti\":\"j1\",\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":",
                              iat, NULL));
}

static void test_11_time(void **state)
{
    (void)state;
    begin("ES256");
    passes(issued("1699999940"));
    fails(issued("1699999939"), M2_PROOF_TIME);
    passes(issued("1700000060"));
    fails(issued("1700000061"), M2_PROOF_TIME);
    fails(issued("1700000060.5"), M2_PROOF_TIME);
    passes(issued("1700000059.5"));
    fails(issued("0"), M2_PROOF_TIME);
    policy.window = 61;
    passes(issued("1699999939"));
    assert_true(m2_proof_spent_until(&proof, 61) == apr_time_from_sec(1699999939 + 62));
}

static void test_12_token(void **state)
{
    const m2_jwk_t *stranger;

    (void)state;
    begin("ES256");
    passes(good());
    /* a: for another token */
    fails(made(with_jwk(jwk_of(key)),
               apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash("another.token.text"), "\"", NULL),
               key, "ES256"),
          M2_PROOF_TOKEN);
    fails(made(with_jwk(jwk_of(key)),
               apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "=\"", NULL), key, "ES256"),
          M2_PROOF_TOKEN);
    /* b: by a key that the token is not bound to */
    stranger = make_key("ES256");
    fails(made(with_jwk(jwk_of(stranger)),
               apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL), stranger,
               "ES256"),
          M2_PROOF_BINDING);
    request.jkt = m2_slice(NULL, 0); /* at a token endpoint any key may come */
    passes(made(with_jwk(jwk_of(stranger)),
                apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL), stranger,
                "ES256"));
    assert_string_equal(proof.jkt, m2_jwk_thumbprint(pool, stranger));
}

/* --- more --- */

static void test_every_algorithm(void **state)
{
    const m2_alg_t *alg;
    int i, n = 0;

    (void)state;
    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (alg->family == M2_FAMILY_HMAC) {
            continue;
        }
        begin(alg->name);
        passes(made(with_jwk(jwk_of(key)),
                    apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL), key,
                    alg->name));
        assert_string_equal(proof.alg, alg->name);
        assert_string_equal(proof.jkt, m2_jwk_thumbprint(pool, key));
        n++;
    }
    assert_true(n >= 10);
    assert_int_equal(m2_proof_algs() & m2_alg_mask_of(M2_FAMILY_HMAC), 0);
}

/* `exp nbf kid x5c jku` say nothing, whatever they hold */
static void test_ignored(void **state)
{
    (void)state;
    begin("ES256");
    passes(saying(CLAIMS ",\"exp\":1,\"nbf\":9999999999,\"iss\":7"));
    passes(saying(CLAIMS ",\"exp\":\"soon\",\"nbf\":[]"));
    passes(made(apr_pstrcat(pool, with_jwk(jwk_of(key)),
                            ",\"kid\":7,\"x5c\":1,\"jku\":\"https://evil.example/\"", NULL),
                apr_pstrcat(pool, CLAIMS ",\"ath\":\"", hash(TOKEN), "\"", NULL), key, "ES256"));
}

static void test_jti_length(void **state)
{
    char jti[257 * 2 + 1];
    int i;

    (void)state;
    begin("ES256");
    for (i = 0; i < 257; i++) { /* of two bytes each */
        memcpy(jti + 2 * i, "\xc3\xa4", 3);
    }
    fails(saying(apr_pstrcat(pool, "\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,"
                             "\"jti\":\"", jti, "\"", NULL)),
          M2_PROOF_CLAIMS);
    passes(saying(apr_pstrcat(pool, "\"htm\":\"POST\",\"htu\":\"" URL "\",\"iat\":1700000000,"
                              "\"jti\":\"", jti + 2, "\"", NULL)));
}

/* the proof of RFC 9449 4.1, at its time; it stands in a file of the fuzz corpus */
static void test_rfc_example(void **state)
{
    const m2_slice_t text = source_file("t/fuzz/corpus/proof/rfc9449-4.1");

    (void)state;
    begin("ES256");
    request.proof = text;
    request.token = m2_slice(NULL, 0);
    request.jkt = z("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    *(const char **)request.targets->elts = "https://server.example.com/token";
    assert_int_equal(m2_proof_check(&proof, pool, &policy, &request,
                                    apr_time_from_sec(1562262616), &err),
                     M2_OK);
    assert_true(m2_slice_is(proof.jti, "-BwC3ESc6acc2lTc"));
}

static void test_step_texts(void **state)
{
    int i;

    (void)state;
    for (i = 0; i <= M2_PROOF_STEPS; i++) {
        assert_non_null(m2_proof_step_text((m2_proof_step_t)i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_1_single), unit(test_2_form),      unit(test_3_claims),
        unit(test_4_typ),    unit(test_5_alg),       unit(test_6_signature),
        unit(test_7_public), unit(test_8_method),    unit(test_9_target),
        unit(test_10_nonce), unit(test_11_time),     unit(test_12_token),
        unit(test_ignored),  unit(test_jti_length),  unit(test_every_algorithm),
        unit(test_rfc_example), unit(test_step_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
