/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Compact JWS: the RFCs' own examples, every algorithm there and back, and the attacks, each
 * beside the token that it was made from.
 */
#include "unit.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "text/m2_b64.h"
#include "token/m2_jws.h"

#define PAYLOAD "{\"sub\":\"x\"}"

static m2_jwk_t *make_key(const char *alg, int bits)
{
    m2_jwk_t *jwk;

    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z(alg)), bits, "k", &err), M2_OK);
    return jwk;
}

static const char *sign(const m2_jwk_t *jwk, const char *alg)
{
    const char *token;

    assert_int_equal(m2_jws_sign(&token, pool, NULL, z(PAYLOAD), jwk, m2_alg_find(z(alg)), &err),
                     M2_OK);
    return token;
}

/* everything up to the payload */
static m2_code_t check(const char *token, const m2_jwk_t *jwk)
{
    const m2_json_t *claims;
    m2_jws_t jws;
    m2_code_t code;

    clean();
    code = m2_jws_split(&jws, z(token), &err);
    code = code == M2_OK ? m2_jws_header(&jws, pool, NULL, &err) : code;
    code = code == M2_OK ? m2_jws_verify(&jws, pool, jwk, &err) : code;
    code = code == M2_OK ? m2_jws_payload(&claims, &jws, pool, &err) : code;
    assert_int_equal(ERR_peek_error(), 0);
    assert_true(code == M2_OK || err.text != NULL);
    return code;
}

static const char *b64(const char *text)
{
    return m2_b64_encode(pool, z(text));
}

/* a token with this header text, and the payload and signature of another */
static const char *with_header(const char *header, const char *token)
{
    return apr_pstrcat(pool, b64(header), strchr(token, '.'), NULL);
}

/* a token signed by HMAC over any header text */
static const char *hmac_token(const char *header, const m2_jwk_t *secret)
{
    const char *text = apr_pstrcat(pool, b64(header), ".", b64(PAYLOAD), NULL);
    unsigned char tag[32];
    size_t n = 0;

    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret->secret.p,
                              secret->secret.n, (const unsigned char *)text, strlen(text), tag,
                              sizeof(tag), &n));
    return apr_pstrcat(pool, text, ".", m2_b64_encode(pool, m2_slice((char *)tag, n)), NULL);
}

/* --- examples of the RFCs --- */

static void check_vector(const m2_json_t *one)
{
    const char *token = m2_slice_dup(pool, m2_json_string(m2_json_get(one, "token")));
    m2_jwk_t *jwk;
    m2_jws_t jws;
    m2_code_t code;
    int object = 0;
    char *spoilt;
    size_t i, n = strlen(token);

    assert_int_equal(m2_jwk_from_json(&jwk, pool, m2_json_get(one, "jwk"),
                                      M2_JWK_PUBLIC | M2_JWK_OCT, &err),
                     M2_OK);
    assert_int_equal(m2_jws_split(&jws, z(token), &err), M2_OK);
    assert_int_equal(m2_jws_header(&jws, pool, NULL, &err), M2_OK);
    assert_true(m2_slice_is(m2_json_string(m2_json_get(one, "alg")), jws.alg->name));
    assert_int_equal(m2_jws_verify(&jws, pool, jwk, &err), M2_OK);
    assert_true(m2_json_bool(m2_json_get(one, "payload_is_object"), &object));
    code = check(token, jwk);
    assert_int_equal(code, object ? M2_OK : M2_E_TOKEN_MALFORMED);
    for (i = n - 2; i > strcspn(token, "."); i -= 1 + n / 40) { /* payload and signature */
        spoilt = apr_pstrdup(pool, token);
        if (spoilt[i] == '.') {
            continue;
        }
        spoilt[i] = spoilt[i] == 'A' ? 'B' : 'A';
        code = check(spoilt, jwk);
        assert_true(code == M2_E_SIGNATURE_INVALID || code == M2_E_TOKEN_MALFORMED);
    }
}

static void test_rfc_examples(void **state)
{
    const m2_json_t *all;
    apr_size_t i;

    (void)state;
    assert_int_equal(m2_json_parse(&all, pool, source_file("t/vectors/rfc.json"), M2_E_CONFIG,
                                   &err),
                     M2_OK);
    assert_int_equal(m2_json_length(all), 9);
    for (i = 0; i < m2_json_length(all); i++) {
        check_vector(m2_json_at(all, i));
    }
}

/* --- every algorithm --- */

static void test_every_algorithm(void **state)
{
    m2_jwk_t *rsa = make_key("RS256", 0), *ed = make_key("EdDSA", 0);
    int i;

    (void)state;
    for (i = 0; m2_alg_at(i); i++) {
        const char *alg = m2_alg_at(i)->name, *token;
        m2_jwk_t *jwk = alg[0] == 'R' || alg[0] == 'P' ? rsa
                        : m2_slice_is(z(alg), "EdDSA") ? ed
                                                       : make_key(alg, 0);

        jwk->algs = alg[0] == 'H' || alg[0] == 'E' ? jwk->algs : m2_alg_at(i)->bit;
        token = sign(jwk, alg);
        assert_int_equal(check(token, jwk), M2_OK);
        assert_int_equal(check(apr_pstrcat(pool, token, "A", NULL), jwk) == M2_OK, 0);
        jwk->algs = ~m2_alg_at(i)->bit;
        assert_int_equal(check(token, jwk), M2_E_ALG_NOT_ALLOWED);
    }
    ed = make_key("EdDSA", 448);
    assert_int_equal(check(sign(ed, "EdDSA"), ed), M2_OK);
    assert_int_equal(check(sign(ed, "EdDSA"), make_key("EdDSA", 448)), M2_E_SIGNATURE_INVALID);
    assert_int_equal(check(sign(ed, "EdDSA"), make_key("EdDSA", 0)), M2_E_SIGNATURE_INVALID);
}

static void test_sign(void **state)
{
    m2_jwk_t *jwk = make_key("ES256", 0), *public;
    m2_json_t *header = m2_json_make(pool);
    const char *token;
    m2_jws_t jws;

    (void)state;
    m2_json_set_string(header, "typ", "at+jwt");
    m2_json_set_string(header, "alg", "none");
    assert_int_equal(m2_jws_sign(&token, pool, header, z("{}"), jwk, m2_alg_find(z("ES256")), &err),
                     M2_OK);
    assert_int_equal(m2_jws_split(&jws, z(token), &err), M2_OK);
    assert_int_equal(m2_jws_header(&jws, pool, NULL, &err), M2_OK);
    assert_string_equal(m2_json_dump(pool, jws.header),
                        "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"at+jwt\"}");
    assert_true(m2_slice_is(jws.kid, "k"));
    assert_int_equal(m2_jws_sign(&token, pool, NULL, z("{}"), jwk, m2_alg_find(z("RS256")), &err),
                     M2_E_ALG_NOT_ALLOWED);
    assert_null(token);
    assert_int_equal(m2_jwk_from_json(&public, pool, m2_jwk_to_json(pool, jwk, 0), M2_JWK_PUBLIC,
                                      &err),
                     M2_OK);
    assert_int_equal(m2_jws_sign(&token, pool, NULL, z("{}"), public, m2_alg_find(z("ES256")),
                                 NULL),
                     M2_E_ALG_NOT_ALLOWED);
}

static void test_sign_under(void **state)
{
    m2_jwk_t *jwk = make_key("ES256", 0);
    const m2_alg_t *alg = m2_alg_find(z("ES256"));
    m2_json_t *header = m2_json_make(pool);
    const char *head, *token;
    m2_jws_t jws;
    int i;

    (void)state;
    m2_json_set_string(header, "typ", "at+jwt");
    head = m2_jws_head(pool, header, jwk, alg);
    for (i = 0; i < 3; i++) { /* of one head as many as are wanted */
        assert_int_equal(m2_jws_sign_under(&token, pool, head, z(PAYLOAD), jwk, alg, &err), M2_OK);
        assert_int_equal(m2_jws_split(&jws, z(token), &err), M2_OK);
        assert_int_equal(m2_jws_header(&jws, pool, NULL, &err), M2_OK);
        assert_string_equal(m2_json_dump(pool, jws.header),
                            "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"at+jwt\"}");
        assert_int_equal(m2_jws_verify(&jws, pool, jwk, &err), M2_OK);
        assert_true(m2_slice_is(jws.payload, PAYLOAD));
    }
    assert_int_equal(m2_jws_sign_under(&token, pool, head, z(PAYLOAD), jwk,
                                       m2_alg_find(z("RS256")), &err),
                     M2_E_ALG_NOT_ALLOWED);
    assert_null(token);
}

/* --- shape --- */

static void test_split(void **state)
{
    static const char *const bad[] = { "", ".", "..", "...", "a", "a.b", "a.b.", ".b.c", "a..c",
                                       "a.b.c.d", "a.b.c.d.e", "..c", "a.." };
    m2_jws_t jws;
    char *longest = apr_palloc(pool, M2_MAX_TOKEN + 2);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        clean();
        assert_int_equal(m2_jws_split(&jws, z(bad[i]), &err), M2_E_TOKEN_MALFORMED);
    }
    assert_int_equal(m2_jws_split(&jws, z(NULL), &err), M2_E_TOKEN_MALFORMED);
    assert_int_equal(m2_jws_split(&jws, z("aa.bbb.c"), &err), M2_OK);
    assert_true(m2_slice_is(jws.header64, "aa"));
    assert_true(m2_slice_is(jws.payload64, "bbb"));
    assert_true(m2_slice_is(jws.signature64, "c"));
    assert_true(m2_slice_is(jws.signed_part, "aa.bbb"));
    memset(longest, 'A', M2_MAX_TOKEN + 2);
    longest[4] = longest[8] = '.';
    assert_int_equal(m2_jws_split(&jws, m2_slice(longest, M2_MAX_TOKEN), &err), M2_OK);
    assert_int_equal(m2_jws_split(&jws, m2_slice(longest, M2_MAX_TOKEN + 1), &err),
                     M2_E_TOKEN_MALFORMED);
}

static m2_code_t header(const char *text)
{
    m2_jws_t jws;

    clean();
    assert_int_equal(m2_jws_split(&jws, z(apr_pstrcat(pool, b64(text), ".e30.AA", NULL)), &err),
                     M2_OK);
    return m2_jws_header(&jws, pool, NULL, &err);
}

static void test_headers(void **state)
{
    static const struct {
        const char *text;
        m2_code_t code;
    } cases[] = { { "{\"alg\":\"RS256\"}", M2_OK },
                  { "{\"alg\":\"RS256\",\"kid\":\"\",\"typ\":\"\"}", M2_OK },
                  { "{\"alg\":\"RS256\",\"jwk\":{},\"jku\":\"https://evil.example/\",\"x5u\":1,"
                    "\"x5c\":[],\"cty\":5,\"zip\":\"DEF\",\"enc\":\"x\"}",
                    M2_OK },
                  { "{\"alg\":\"none\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"None\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"nOnE\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"RS256 \"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"rs256\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{\"alg\":\"RSA-OAEP\"}", M2_E_ALG_NOT_ALLOWED },
                  { "{}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":null}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":[\"RS256\"]}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":256}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"alg\":\"none\"}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"kid\":1}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"kid\":null}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"kid\":\"a\\u0000b\"}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"typ\":[]}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", M2_E_CRIT_UNSUPPORTED },
                  { "{\"alg\":\"RS256\",\"crit\":[]}", M2_E_CRIT_UNSUPPORTED },
                  { "{\"alg\":\"RS256\",\"crit\":null}", M2_E_CRIT_UNSUPPORTED },
                  { "{\"alg\":\"RS256\",\"b64\":false}", M2_E_CRIT_UNSUPPORTED },
                  { "{\"alg\":\"RS256\",\"b64\":true}", M2_E_CRIT_UNSUPPORTED },
                  { "[]", M2_E_TOKEN_MALFORMED },
                  { "\"RS256\"", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\"}}", M2_E_TOKEN_MALFORMED },
                  { "{\"alg\":\"RS256\",}", M2_E_TOKEN_MALFORMED } };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        m2_code_t code = header(cases[i].text);

        if (code != cases[i].code) {
            print_error("%s: %d\n", cases[i].text, (int)code);
            fail();
        }
    }
}

static m2_code_t typed(const char *member, const char *a, const char *b)
{
    apr_array_header_t *types = apr_array_make(pool, 2, sizeof(const char *));
    m2_jws_t jws;
    const char *text = apr_psprintf(pool, "{\"alg\":\"RS256\"%s}", member);

    clean();
    APR_ARRAY_PUSH(types, const char *) = a;
    APR_ARRAY_PUSH(types, const char *) = b;
    assert_int_equal(m2_jws_split(&jws, z(apr_pstrcat(pool, b64(text), ".e30.AA", NULL)), &err),
                     M2_OK);
    return m2_jws_header(&jws, pool, types, &err);
}

static void test_types(void **state)
{
    (void)state;
    assert_int_equal(typed(",\"typ\":\"JWT\"", "at+jwt", "JWT"), M2_OK);
    assert_int_equal(typed(",\"typ\":\"AT+JWT\"", "at+jwt", "x"), M2_OK);
    assert_int_equal(typed(",\"typ\":\"application/at+jwt\"", "at+jwt", "x"), M2_OK);
    assert_int_equal(typed(",\"typ\":\"at+jwt\"", "Application/at+JWT", "x"), M2_OK);
    assert_int_equal(typed(",\"typ\":\"at+jw\"", "at+jwt", "x"), M2_E_TYP_MISMATCH);
    assert_int_equal(typed(",\"typ\":\"at+jwtx\"", "at+jwt", "x"), M2_E_TYP_MISMATCH);
    assert_int_equal(typed(",\"typ\":\"text/at+jwt\"", "at+jwt", "x"), M2_E_TYP_MISMATCH);
    assert_int_equal(typed(",\"typ\":\"application/a/at+jwt\"", "a/at+jwt", "x"),
                     M2_E_TYP_MISMATCH);
    assert_int_equal(typed(",\"typ\":\"\"", "at+jwt", "x"), M2_E_TYP_MISMATCH);
    assert_int_equal(typed("", "at+jwt", "x"), M2_E_TYP_MISMATCH);
}

/* --- attacks --- */

/* the public key, in any spelling, used as an HMAC secret */
static void test_hmac_with_public_key(void **state)
{
    m2_jwk_t *rsa = make_key("RS256", 0), forged = { 0 };
    const char *token = sign(rsa, "RS256");
    const char *const spellings[] = {
        m2_jwk_to_pem(pool, rsa, 0),
        m2_json_dump(pool, m2_jwk_to_json(pool, rsa, 0)),
        m2_slice_dup(pool, m2_json_string(m2_json_get(m2_jwk_to_json(pool, rsa, 0), "n"))),
    };
    size_t i;

    (void)state;
    assert_int_equal(check(token, rsa), M2_OK);
    for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        forged.secret = z(spellings[i]);
        assert_int_equal(check(hmac_token("{\"alg\":\"HS256\"}", &forged), rsa),
                         M2_E_ALG_NOT_ALLOWED);
    }
}

static void test_alg_none(void **state)
{
    m2_jwk_t *secret = make_key("HS256", 0);
    const char *token = sign(secret, "HS256"), *end = strrchr(token, '.');

    (void)state;
    assert_int_equal(check(token, secret), M2_OK);
    assert_int_equal(check(with_header("{\"alg\":\"none\"}", token), secret),
                     M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(check(apr_pstrmemdup(pool, token, (apr_size_t)(end - token) + 1), secret),
                     M2_E_TOKEN_MALFORMED);
    assert_int_equal(check(apr_pstrcat(pool, b64("{\"alg\":\"none\"}"), ".", b64(PAYLOAD), ".",
                                       NULL),
                           secret),
                     M2_E_TOKEN_MALFORMED);
}

static void test_respelt_tokens(void **state)
{
    m2_jwk_t *secret = make_key("HS256", 0);
    char *token = apr_pstrdup(pool, sign(secret, "HS256"));
    size_t n = strlen(token);

    (void)state;
    assert_int_equal(check(token, secret), M2_OK);
    assert_int_equal(check(apr_pstrcat(pool, token, "=", NULL), secret), M2_E_TOKEN_MALFORMED);
    assert_int_equal(check(apr_pstrcat(pool, token, "\n", NULL), secret), M2_E_TOKEN_MALFORMED);
    assert_int_equal(check(apr_pstrcat(pool, " ", token, NULL), secret), M2_E_TOKEN_MALFORMED);
    token[n - 1]++; /* a bit behind the last byte: 43 characters carry 256 of 258 */
    assert_int_equal(check(token, secret), M2_E_TOKEN_MALFORMED);
}

/* signature bytes of our choice under an ES256 token */
static m2_code_t ecdsa_with(const m2_jwk_t *jwk, const char *token, const unsigned char *bytes,
                            size_t n)
{
    const char *end = strrchr(token, '.');

    return check(apr_pstrcat(pool, apr_pstrmemdup(pool, token, (apr_size_t)(end - token) + 1),
                             m2_b64_encode(pool, m2_slice((const char *)bytes, n)), NULL),
                 jwk);
}

static void test_ecdsa_signatures(void **state)
{
    m2_jwk_t *jwk = make_key("ES256", 0);
    const char *token = sign(jwk, "ES256");
    unsigned char bytes[128] = { 0 }, der[80], *p = der;
    m2_slice_t good;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int n;

    (void)state;
    assert_int_equal(m2_b64_decode(&good, pool, z(strrchr(token, '.') + 1)), M2_OK);
    assert_int_equal(ecdsa_with(jwk, token, (const unsigned char *)good.p, 64), M2_OK);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 64), M2_E_SIGNATURE_INVALID); /* r = s = 0 */
    bytes[31] = bytes[63] = 1;
    assert_int_equal(ecdsa_with(jwk, token, bytes, 64), M2_E_SIGNATURE_INVALID);
    memset(bytes, 255, 64);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 64), M2_E_SIGNATURE_INVALID);
    memcpy(bytes, good.p, 64);
    memset(bytes, 0, 32);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 64), M2_E_SIGNATURE_INVALID);
    memcpy(bytes + 1, good.p, 64);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 65), M2_E_SIGNATURE_INVALID);
    assert_int_equal(ecdsa_with(jwk, token, (const unsigned char *)good.p, 63),
                     M2_E_SIGNATURE_INVALID);
    ECDSA_SIG_set0(pair, BN_bin2bn((const unsigned char *)good.p, 32, NULL),
                   BN_bin2bn((const unsigned char *)good.p + 32, 32, NULL));
    n = i2d_ECDSA_SIG(pair, &p);
    ECDSA_SIG_free(pair);
    assert_int_equal(ecdsa_with(jwk, token, der, (size_t)n), M2_E_SIGNATURE_INVALID);
}

static void test_rsa_signature_length(void **state)
{
    m2_jwk_t *jwk = make_key("RS256", 0);
    const char *token = sign(jwk, "RS256");
    unsigned char bytes[257] = { 0 };
    m2_slice_t good;

    (void)state;
    assert_int_equal(m2_b64_decode(&good, pool, z(strrchr(token, '.') + 1)), M2_OK);
    memcpy(bytes + 1, good.p, 256);
    assert_int_equal(ecdsa_with(jwk, token, bytes + 1, 256), M2_OK);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 257), M2_E_SIGNATURE_INVALID);
    assert_int_equal(ecdsa_with(jwk, token, bytes + 1, 255), M2_E_SIGNATURE_INVALID);
    assert_int_equal(ecdsa_with(jwk, token, bytes, 1), M2_E_SIGNATURE_INVALID);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(ecdsa_with(jwk, token, bytes, 256), M2_E_SIGNATURE_INVALID);
}

/* a PKCS1 signature is not a PSS signature, though key and digest are the same */
static void test_families_do_not_mix(void **state)
{
    m2_jwk_t *jwk = make_key("RS256", 0);
    const char *token;

    (void)state;
    jwk->algs = m2_alg_mask_of(M2_FAMILY_RSA) | m2_alg_mask_of(M2_FAMILY_RSA_PSS);
    token = sign(jwk, "RS256");
    assert_int_equal(check(token, jwk), M2_OK);
    assert_int_equal(check(with_header("{\"alg\":\"PS256\",\"kid\":\"k\"}", token), jwk),
                     M2_E_SIGNATURE_INVALID);
    assert_int_equal(check(with_header("{\"alg\":\"RS512\",\"kid\":\"k\"}", token), jwk),
                     M2_E_SIGNATURE_INVALID);
}

/* RFC 7518 3.5: the salt is as long as the hash */
static void test_pss_salt(void **state)
{
    static const int salts[] = { 0, 20, 32, 33, 64 };
    m2_jwk_t *jwk = make_key("PS256", 0);
    const char *text = apr_pstrcat(pool, b64("{\"alg\":\"PS256\"}"), ".", b64(PAYLOAD), NULL);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
        unsigned char out[256];
        size_t n = sizeof(out);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *params;

        assert_int_equal(EVP_DigestSignInit(ctx, &params, EVP_sha256(), NULL, jwk->pkey), 1);
        EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(params, salts[i]);
        assert_int_equal(EVP_DigestSign(ctx, out, &n, (const unsigned char *)text, strlen(text)),
                         1);
        EVP_MD_CTX_free(ctx);
        assert_int_equal(check(apr_pstrcat(pool, text, ".",
                                           m2_b64_encode(pool, m2_slice((char *)out, n)), NULL),
                               jwk),
                         salts[i] == 32 ? M2_OK : M2_E_SIGNATURE_INVALID);
    }
}

static void test_hmac_tags(void **state)
{
    m2_jwk_t *secret = make_key("HS256", 0);
    const char *token = sign(secret, "HS256");
    m2_slice_t good;

    (void)state;
    assert_int_equal(m2_b64_decode(&good, pool, z(strrchr(token, '.') + 1)), M2_OK);
    assert_int_equal(ecdsa_with(secret, token, (const unsigned char *)good.p, 32), M2_OK);
    assert_int_equal(ecdsa_with(secret, token, (const unsigned char *)good.p, 16),
                     M2_E_SIGNATURE_INVALID);
    assert_int_equal(ecdsa_with(secret, token, (const unsigned char *)"\0", 1),
                     M2_E_SIGNATURE_INVALID);
    assert_int_equal(check(token, make_key("HS256", 0)), M2_E_SIGNATURE_INVALID);
    assert_int_equal(check(hmac_token("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\"}}", secret),
                           secret),
                     M2_OK);
}

static void test_payloads(void **state)
{
    static const char *const bad[] = { "[]", "\"x\"", "1", "null", "{} {}", "{\"a\":1,\"a\":2}",
                                       "{\"a\":1e999}", "\xff", "{\"a\":\"\\u0000\"}" };
    m2_jwk_t *secret = make_key("HS256", 0);
    const char *token;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(m2_jws_sign(&token, pool, NULL, z(bad[i]), secret,
                                     m2_alg_find(z("HS256")), &err),
                         M2_OK);
        assert_int_equal(check(token, secret), M2_E_TOKEN_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_rfc_examples),         unit(test_every_algorithm),
        unit(test_sign), unit(test_sign_under),                 unit(test_split),
        unit(test_headers),              unit(test_types),
        unit(test_hmac_with_public_key), unit(test_alg_none),
        unit(test_respelt_tokens),       unit(test_ecdsa_signatures),
        unit(test_rsa_signature_length), unit(test_families_do_not_mix),
        unit(test_pss_salt),             unit(test_hmac_tags),
        unit(test_payloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
