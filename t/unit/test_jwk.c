/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Keys: what each kind can do, everything that makes one unusable next to the same key
 * unspoilt, and the ways out (JWK, PEM, thumbprint) and in again.
 */
#include "unit.h"

#include "text/m2_b64.h"
#include "key/m2_jwk.h"

#define VERIFY (M2_JWK_PUBLIC | M2_JWK_OCT)

/* RFC 7517 A.1 */
#define RSA_N                                                                               \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_" \
    "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_" \
    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI" \
    "4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" /* RFC 7515 A.3 */
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" /* RFC 8037 A.2 */
#define ED_D "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" /* RFC 8037 A.1 */
#define SECRET32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

#define RSA "'kty':'RSA','n':'" RSA_N "','e':'AQAB'"
#define EC "'kty':'EC','crv':'P-256','x':'" EC_X "','y':'" EC_Y "'"
#define ED "'kty':'OKP','crv':'Ed25519','x':'" ED_X "'"
#define OCT "'kty':'oct','k':'" SECRET32 "'"

/* Read members written with ' for ". */
static m2_code_t read_as(m2_jwk_t **pjwk, const char *members, int flags)
{
    char *text = apr_pstrcat(pool, "{", members, "}", NULL), *p;
    const m2_json_t *json;

    clean();
    for (p = text; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    assert_int_equal(m2_json_parse(&json, pool, z(text), M2_E_CONFIG, &err), M2_OK);
    return m2_jwk_from_json(pjwk, pool, json, flags, &err);
}

static void expect(const char *members, int flags, m2_code_t code, const char *words)
{
    m2_jwk_t *jwk;
    m2_code_t got = read_as(&jwk, members, flags);

    if (got != code || (words && !strstr(err.text ? err.text : "", words))) {
        print_error("%s: code %d: %s\n", members, (int)got, err.text ? err.text : "");
        fail();
    }
    assert_int_equal(jwk != NULL, code == M2_OK);
}

static void can(const char *members, const char *names)
{
    m2_jwk_t *jwk;

    if (read_as(&jwk, members, VERIFY) != M2_OK) {
        print_error("%s: %s\n", members, err.text);
        fail();
    }
    assert_string_equal(m2_alg_mask_names(pool, jwk->algs), names);
}

/* base64url of n bytes of value b */
static const char *fill(int n, int b)
{
    char *bytes = apr_palloc(pool, (apr_size_t)n + 1);

    memset(bytes, b, (apr_size_t)n);
    return m2_b64_encode(pool, m2_slice(bytes, (apr_size_t)n));
}

static void test_what_keys_can_do(void **state)
{
    (void)state;
    can(RSA, "RS256 RS384 RS512 PS256 PS384 PS512");
    can(EC, "ES256");
    can(ED, "Ed25519");
    can(OCT, "HS256");
    can(apr_psprintf(pool, "'kty':'oct','k':'%s'", fill(48, 1)), "HS256 HS384");
    can(apr_psprintf(pool, "'kty':'oct','k':'%s'", fill(64, 1)), "HS256 HS384 HS512");
}

static void test_narrowing(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    can(RSA ",'alg':'PS384'", "PS384");
    can(RSA ",'use':'sig','key_ops':['verify']", "RS256 RS384 RS512 PS256 PS384 PS512");
    can(RSA ",'key_ops':['sign','verify'],'ext':true,'x5c':['junk']",
        "RS256 RS384 RS512 PS256 PS384 PS512");
    can(ED ",'alg':'EdDSA'", "Ed25519");
    can(ED ",'alg':'Ed25519'", "Ed25519");
    expect(ED ",'alg':'Ed448'", VERIFY, M2_E_CONFIG, "cannot do its alg");
    assert_int_equal(read_as(&jwk, ED, VERIFY), M2_OK);
    assert_string_equal(m2_jwk_alg_names(pool, jwk), "EdDSA");
    expect(RSA ",'alg':'ES256'", VERIFY, M2_E_CONFIG, "cannot do its alg ES256");
    expect(RSA ",'alg':'HS256'", VERIFY, M2_E_CONFIG, "cannot do its alg HS256");
    expect(EC ",'alg':'ES384'", VERIFY, M2_E_CONFIG, "cannot do its alg ES384");
    expect(OCT ",'alg':'HS512'", VERIFY, M2_E_CONFIG, "cannot do its alg HS512");
    expect(RSA ",'alg':'RSA-OAEP'", VERIFY, M2_E_KEY_SKIPPED, "alg");
    expect(RSA ",'alg':'none'", VERIFY, M2_E_KEY_SKIPPED, "alg");
    expect(RSA ",'alg':7", VERIFY, M2_E_CONFIG, "alg is not a string");
    expect(RSA ",'use':'enc'", VERIFY, M2_E_KEY_SKIPPED, "use");
    expect(RSA ",'use':''", VERIFY, M2_E_KEY_SKIPPED, "use");
    expect(RSA ",'use':['sig']", VERIFY, M2_E_CONFIG, "use is not a string");
    expect(RSA ",'key_ops':['encrypt']", VERIFY, M2_E_KEY_SKIPPED, "key_ops");
    expect(RSA ",'key_ops':['sign']", VERIFY, M2_E_KEY_SKIPPED, "key_ops");
    expect(RSA ",'key_ops':['verify','verify']", VERIFY, M2_E_CONFIG, "each once");
    expect(RSA ",'key_ops':['verify',1]", VERIFY, M2_E_CONFIG, "each once");
    expect(RSA ",'key_ops':'verify'", VERIFY, M2_E_CONFIG, "not a list");
}

static void test_kid(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    assert_int_equal(read_as(&jwk, RSA ",'kid':'K1'", VERIFY), M2_OK);
    assert_string_equal(jwk->kid, "K1");
    assert_int_equal(read_as(&jwk, RSA ",'kid':''", VERIFY), M2_OK);
    assert_null(jwk->kid);
    expect(RSA ",'kid':1", VERIFY, M2_E_CONFIG, "kid is not a string");
    expect(RSA ",'kid':7", VERIFY, M2_E_CONFIG, "kid is not a string");
}

static void test_kinds(void **state)
{
    (void)state;
    expect("'kty':'DSA'", VERIFY, M2_E_KEY_SKIPPED, "kty");
    expect("'kty':'rsa','n':'" RSA_N "','e':'AQAB'", VERIFY, M2_E_KEY_SKIPPED, "kty");
    expect("'kty':1", VERIFY, M2_E_CONFIG, "kty");
    expect("'n':'AQAB'", VERIFY, M2_E_CONFIG, "kty");
    expect("'kty':'EC','crv':'secp256k1','x':'AA','y':'AA'", VERIFY, M2_E_KEY_SKIPPED, "curve");
    expect("'kty':'EC','crv':'Ed25519','x':'" ED_X "'", VERIFY, M2_E_KEY_SKIPPED, "curve");
    expect("'kty':'OKP','crv':'X25519','x':'" ED_X "'", VERIFY, M2_E_KEY_SKIPPED, "curve");
    expect("'kty':'OKP','crv':'P-256','x':'" EC_X "'", VERIFY, M2_E_KEY_SKIPPED, "curve");
    expect("'kty':'EC','x':'AA','y':'AA'", VERIFY, M2_E_CONFIG, "crv");
    expect(OCT, M2_JWK_PUBLIC, M2_E_CONFIG, "symmetric");
    expect(OCT, VERIFY, M2_OK, NULL);
}

static void rsa_of(int bytes, int top, int bottom, const char *e, m2_code_t code,
                   const char *words)
{
    char *n = apr_palloc(pool, (apr_size_t)bytes);

    memset(n, 0x5a, (apr_size_t)bytes);
    n[0] = (char)top;
    n[bytes - 1] = (char)bottom;
    expect(apr_psprintf(pool, "'kty':'RSA','n':'%s','e':'%s'",
                        m2_b64_encode(pool, m2_slice(n, (apr_size_t)bytes)), e),
           VERIFY, code, words);
}

static void test_rsa(void **state)
{
    (void)state;
    rsa_of(256, 0x80, 0x0b, "AQAB", M2_OK, NULL);
    rsa_of(257, 0x00, 0x0b, "AQAB", M2_E_CONFIG, "2048"); /* a leading zero adds no bits */
    rsa_of(256, 0x7f, 0x0b, "AQAB", M2_E_CONFIG, "2048");
    rsa_of(128, 0x80, 0x0b, "AQAB", M2_E_CONFIG, "2048");
    rsa_of(1, 0x0b, 0x0b, "AQAB", M2_E_CONFIG, "2048");
    rsa_of(256, 0x80, 0x0a, "AQAB", M2_E_CONFIG, "even");
    rsa_of(2048, 0x80, 0x0b, "AQAB", M2_OK, NULL);
    rsa_of(2049, 0x01, 0x0b, "AQAB", M2_E_CONFIG, "16384");
    rsa_of(256, 0x80, 0x0b, "Aw", M2_OK, NULL);              /* 3 */
    rsa_of(256, 0x80, 0x0b, "AQ", M2_E_CONFIG, "exponent");  /* 1 */
    rsa_of(256, 0x80, 0x0b, "AA", M2_E_CONFIG, "");          /* 0 */
    rsa_of(256, 0x80, 0x0b, "Ag", M2_E_CONFIG, "exponent");  /* 2 */
    rsa_of(256, 0x80, 0x0b, "AQAA", M2_E_CONFIG, "exponent"); /* 65536 */
    rsa_of(256, 0x80, 0x0b, "AQAAAAAAAAAB", M2_E_CONFIG, "exponent");
    rsa_of(256, 0x80, 0x0b, "AQAB=", M2_E_CONFIG, "e is not base64url"); /* four need none */
    rsa_of(256, 0x80, 0x0b, "", M2_E_CONFIG, "e is not base64url");
    expect("'kty':'RSA','n':'" RSA_N "'", VERIFY, M2_E_CONFIG, "member e");
    expect("'kty':'RSA','e':'AQAB'", VERIFY, M2_E_CONFIG, "member n");
    expect("'kty':'RSA','n':12345,'e':'AQAB'", VERIFY, M2_E_CONFIG, "member n");
    expect("'kty':'RSA','n':'" RSA_N "=','e':'AQAB'", VERIFY, M2_E_CONFIG, "base64url");
    expect("'kty':'RSA','n':'" RSA_N " ','e':'AQAB'", VERIFY, M2_E_CONFIG, "base64url");
}

static void test_ec(void **state)
{
    (void)state;
    expect(EC, VERIFY, M2_OK, NULL);
    expect("'kty':'EC','crv':'P-256','x':'" EC_X "','y':'" EC_X "'", VERIFY, M2_E_CONFIG, NULL);
    expect("'kty':'EC','crv':'P-384','x':'" EC_X "','y':'" EC_Y "'", VERIFY, M2_E_CONFIG,
           "no point of curve");
    expect("'kty':'EC','crv':'P-256','x':'AAAA','y':'" EC_Y "'", VERIFY, M2_E_CONFIG, "no point of curve");
    expect("'kty':'EC','crv':'P-256','x':'" EC_X "'", VERIFY, M2_E_CONFIG, "member y");
    /* the point at infinity, the origin, and coordinates above the field's prime */
    expect(apr_psprintf(pool, "'kty':'EC','crv':'P-256','x':'%s','y':'%s'", fill(32, 0),
                        fill(32, 0)),
           VERIFY, M2_E_CONFIG, NULL);
    expect(apr_psprintf(pool, "'kty':'EC','crv':'P-256','x':'%s','y':'%s'", fill(32, 255),
                        fill(32, 255)),
           VERIFY, M2_E_CONFIG, NULL);
}

static void test_okp(void **state)
{
    (void)state;
    expect(ED, VERIFY, M2_OK, NULL);
    expect(apr_psprintf(pool, "'kty':'OKP','crv':'Ed25519','x':'%s'", fill(31, 1)), VERIFY,
           M2_E_CONFIG, "32 bytes");
    expect(apr_psprintf(pool, "'kty':'OKP','crv':'Ed448','x':'%s'", fill(56, 1)), VERIFY,
           M2_E_CONFIG, "57 bytes");
    expect("'kty':'OKP','crv':'Ed25519'", VERIFY, M2_E_CONFIG, "member x");
}

static void test_oct(void **state)
{
    (void)state;
    expect(apr_psprintf(pool, "'kty':'oct','k':'%s'", fill(31, 1)), VERIFY, M2_E_CONFIG,
           "256 bits");
    expect("'kty':'oct','k':''", VERIFY, M2_E_CONFIG, "base64url");
    expect("'kty':'oct'", VERIFY, M2_E_CONFIG, "member k");
    expect("'kty':'oct','k':'" SECRET32 "='", VERIFY, M2_E_CONFIG, "base64url");
}

static void test_private_where_public_belongs(void **state)
{
    (void)state;
    expect(EC ",'d':'" EC_D "'", VERIFY, M2_E_CONFIG, "private");
    expect(ED ",'d':'" ED_D "'", VERIFY, M2_E_CONFIG, "private");
    expect(RSA ",'d':'AQAB'", VERIFY, M2_E_CONFIG, "private");
    expect(RSA ",'p':'AQAB'", VERIFY, M2_E_CONFIG, "private");
    expect(RSA ",'qi':7", VERIFY, M2_E_CONFIG, "private");
    expect(EC ",'d':'" EC_D "'", M2_JWK_PRIVATE, M2_OK, NULL);
    expect(ED ",'d':'" ED_D "'", M2_JWK_PRIVATE, M2_OK, NULL);
    expect(EC, M2_JWK_PRIVATE, M2_E_CONFIG, "not a private key");
    expect(EC, M2_JWK_PRIVATE | M2_JWK_PUBLIC, M2_OK, NULL);
    expect(EC ",'d':'" EC_D "','key_ops':['sign']", M2_JWK_PRIVATE, M2_OK, NULL);
}

static void test_private_parts_must_belong(void **state)
{
    (void)state;
    expect(EC ",'d':'" SECRET32 "'", M2_JWK_PRIVATE, M2_E_CONFIG, "belong");
    expect(EC ",'d':'AQAB'", M2_JWK_PRIVATE, M2_E_CONFIG, "32 bytes");
    expect(ED ",'d':'" SECRET32 "'", M2_JWK_PRIVATE, M2_E_CONFIG, NULL);
    expect(RSA ",'d':'AQAB'", M2_JWK_PRIVATE, M2_E_CONFIG, NULL);
    expect(RSA ",'d':'AQAB','p':'AQAB'", M2_JWK_PRIVATE, M2_E_CONFIG, "member q");
    expect(RSA ",'d':'AQAB','oth':[{}]", M2_JWK_PRIVATE, M2_E_CONFIG, "two primes");
}

/* RFC 7638 3.1 and RFC 8037 A.3 */
static void test_thumbprints(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    assert_int_equal(read_as(&jwk, RSA ",'alg':'RS256','kid':'2011-04-29'", VERIFY), M2_OK);
    assert_string_equal(m2_jwk_thumbprint(pool, jwk),
                        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_int_equal(read_as(&jwk, ED ",'d':'" ED_D "'", M2_JWK_PRIVATE), M2_OK);
    assert_string_equal(m2_jwk_thumbprint(pool, jwk),
                        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_int_equal(read_as(&jwk, OCT, VERIFY), M2_OK);
    assert_int_equal(strlen(m2_jwk_thumbprint(pool, jwk)), 43);
}

static m2_code_t from_words(m2_jwk_t **pjwk, const char *words)
{
    clean();
    return m2_jwk_from_words(pjwk, pool, z(words), VERIFY, &err);
}

static void test_words(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    assert_int_equal(from_words(&jwk, " kty=RSA e=AQAB\tkid=K1 alg=RS256  n=" RSA_N " "), M2_OK);
    assert_string_equal(jwk->kid, "K1");
    assert_string_equal(m2_alg_mask_names(pool, jwk->algs), "RS256");
    assert_int_equal(from_words(&jwk, "kty=oct k=" SECRET32 " key_ops=sign,verify"), M2_OK);
    assert_int_equal(from_words(&jwk, "kty=oct k=" SECRET32 " kid=a=b"), M2_OK);
    assert_string_equal(jwk->kid, "a=b");
    assert_int_equal(from_words(&jwk, "kty=oct k=" SECRET32 "="), M2_E_CONFIG);
    assert_int_equal(from_words(&jwk, "kty=oct kty=oct k=" SECRET32), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "twice"));
    assert_int_equal(from_words(&jwk, "kty=oct k"), M2_E_CONFIG);
    assert_int_equal(from_words(&jwk, "kty=oct k=" SECRET32 " isuser=a"), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "a key has no member \"isuser\""));
    assert_int_equal(from_words(&jwk, "kty=oct k=" SECRET32 " KID=a"), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "did you mean kid?"));
    assert_int_equal(from_words(&jwk, "=oct"), M2_E_CONFIG);
    assert_int_equal(from_words(&jwk, ""), M2_E_CONFIG);
    assert_null(jwk);
}

static void round_trip(const char *alg, int bits)
{
    m2_jwk_t *made, *back;
    m2_json_t *json;
    const char *print;

    clean();
    assert_int_equal(m2_jwk_generate(&made, pool, m2_alg_find(z(alg)), bits, "k", &err), M2_OK);
    assert_string_equal(m2_jwk_alg_names(pool, made), alg);
    print = m2_jwk_thumbprint(pool, made);
    json = m2_jwk_to_json(pool, made, 1);
    assert_int_equal(m2_jwk_from_json(&back, pool, json, M2_JWK_PRIVATE | M2_JWK_OCT, &err),
                     M2_OK);
    assert_string_equal(m2_jwk_thumbprint(pool, back), print);
    assert_string_equal(back->kid, "k");
    if (!made->pkey) {
        assert_null(m2_jwk_to_json(pool, made, 0));
        assert_null(m2_jwk_to_pem(pool, made, 1));
        return;
    }
    json = m2_jwk_to_json(pool, made, 0);
    assert_null(m2_json_get(json, "d"));
    assert_null(m2_json_get(json, "p"));
    assert_int_equal(m2_jwk_from_json(&back, pool, json, M2_JWK_PUBLIC, &err), M2_OK);
    assert_false(back->is_private);
    assert_int_equal(m2_jwk_from_pem(&back, pool, z(m2_jwk_to_pem(pool, made, 0)), "p", alg,
                                     VERIFY, &err),
                     M2_OK);
    assert_string_equal(m2_jwk_thumbprint(pool, back), print);
    assert_null(m2_jwk_to_pem(pool, back, 1));
    assert_int_equal(m2_jwk_from_pem(&back, pool, z(m2_jwk_to_pem(pool, made, 1)), NULL, NULL,
                                     M2_JWK_PRIVATE, &err),
                     M2_OK);
    assert_string_equal(m2_jwk_thumbprint(pool, back), print);
    assert_int_equal(m2_jwk_from_pem(&back, pool, z(m2_jwk_to_pem(pool, made, 1)), NULL, NULL,
                                     VERIFY, &err),
                     M2_E_CONFIG);
}

static void test_round_trips(void **state)
{
    (void)state;
    round_trip("RS256", 0);
    round_trip("PS512", 3072);
    round_trip("ES256", 0);
    round_trip("ES384", 0);
    round_trip("ES512", 0);
    round_trip("EdDSA", 0);
    round_trip("EdDSA", 448);
    round_trip("HS256", 0);
    round_trip("HS512", 1024);
}

static void test_generate_refuses(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z("RS256")), 1024, NULL, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z("HS256")), 128, NULL, NULL),
                     M2_E_CONFIG);
    assert_null(jwk);
}

static void test_pem(void **state)
{
    m2_jwk_t *made, *jwk;
    const char *pem, *alone = "-----BEGIN JUNK-----\nAAAA\n-----END JUNK-----\n";

    (void)state;
    assert_int_equal(m2_jwk_generate(&made, pool, m2_alg_find(z("ES256")), 0, NULL, &err), M2_OK);
    pem = m2_jwk_to_pem(pool, made, 0);
    assert_int_equal(m2_jwk_from_pem(&jwk, pool, z(apr_pstrcat(pool, "text before\n", pem, NULL)),
                                     "", NULL, VERIFY, &err),
                     M2_OK);
    assert_null(jwk->kid);
    assert_int_equal(m2_jwk_from_pem(&jwk, pool, z(pem), NULL, "ES384", VERIFY, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_jwk_from_pem(&jwk, pool, z(alone), NULL, NULL, VERIFY, NULL),
                     M2_E_CONFIG);
    assert_int_equal(m2_jwk_from_pem(&jwk, pool, z(""), NULL, NULL, VERIFY, NULL), M2_E_CONFIG);
    assert_int_equal(m2_jwk_from_pem(&jwk, pool, m2_slice(pem, strlen(pem) / 2), NULL, NULL,
                                     VERIFY, NULL),
                     M2_E_CONFIG);
    assert_null(jwk);
}

/* what serialisers and providers write, which says no other thing than the RFC's spelling */
static void test_as_published(void **state)
{
    static const char *const same[] = {
        RSA ",'key_ops':[],'oth':[],'x5c':[]",
        RSA ",'d':null,'p':null,'q':null,'dp':null,'dq':null,'qi':null",
        RSA ",'alg':null,'use':null,'kid':null,'key_ops':null,'x5t':null,'x5c':null",
        RSA ",'use':'jwt-svid'",
        "'kty':'RSA','n':'AAAA" RSA_N "','e':'AAAB'",
    };
    m2_jwk_t *jwk;
    size_t i;

    (void)state;
    for (i = 0; i + 1 < sizeof(same) / sizeof(same[0]); i++) {
        expect(same[i], VERIFY, M2_OK, NULL);
        can(same[i], "RS256 RS384 RS512 PS256 PS384 PS512");
    }
    expect(same[i], VERIFY, M2_E_CONFIG, "exponent"); /* AAAB is 1 */
    assert_int_equal(read_as(&jwk, "'kty':'RSA','n':'AAAA" RSA_N "','e':'AAEAAQ'", VERIFY), M2_OK);
    assert_int_equal(jwk->bits, 2048);
    assert_null(jwk->odd);
    /* a negative twin of each */
    expect(RSA ",'d':'AQAB','q':null", VERIFY, M2_E_CONFIG, "private");
    expect(RSA ",'use':'enc'", VERIFY, M2_E_KEY_SKIPPED, "use");
    expect(RSA ",'use':'x509-svid'", VERIFY, M2_E_KEY_SKIPPED, "use");
    expect(RSA ",'key_ops':['encrypt']", VERIFY, M2_E_KEY_SKIPPED, "verify");
    expect("'kty':null", VERIFY, M2_E_CONFIG, "kty");
}

/* base64 with padding and in the standard alphabet, for members of public keys alone */
static void test_odd_spelling(void **state)
{
    static const char standard[] =
        "'kty':'EC','crv':'P-256','x':'" EC_X "=','y':'x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0='";
    m2_jwk_t *jwk, *plain;

    (void)state;
    assert_int_equal(read_as(&plain, EC, VERIFY), M2_OK);
    assert_null(plain->odd);
    assert_int_equal(read_as(&jwk, standard, VERIFY), M2_OK);
    assert_string_equal(jwk->odd, "its member x is base64 padded");
    assert_string_equal(m2_jwk_thumbprint(pool, jwk), m2_jwk_thumbprint(pool, plain));
    expect("'kty':'OKP','crv':'Ed25519','x':'" ED_X "='", VERIFY, M2_OK, NULL);
    expect("'kty':'OKP','crv':'Ed25519','x':'" ED_X "=='", VERIFY, M2_E_CONFIG, "base64url");
    expect("'kty':'OKP','crv':'Ed25519','x':' " ED_X "'", VERIFY, M2_E_CONFIG, "base64url");
    expect("'kty':'oct','k':'" SECRET32 "='", VERIFY, M2_E_CONFIG, "base64url");
    expect(ED ",'d':'" ED_D "='", M2_JWK_PRIVATE, M2_E_CONFIG, NULL);
    expect(ED ",'d':'" ED_D "'", M2_JWK_PRIVATE, M2_OK, NULL);
}

/* coordinates short of a zero, as writers of numbers leave them */
static void test_short_coordinates(void **state)
{
    m2_jwk_t *made = NULL, *back;
    m2_json_t *json;
    int i;

    (void)state;
    for (i = 0; i < 4000; i++) { /* one key in 256 has an x that begins with a zero */
        m2_slice_t x;

        assert_int_equal(m2_jwk_generate(&made, pool, m2_alg_find(z("ES256")), 0, NULL, &err),
                         M2_OK);
        json = m2_jwk_to_json(pool, made, 0);
        assert_int_equal(m2_b64_decode(&x, pool, m2_json_string(m2_json_get(json, "x"))), M2_OK);
        if (x.p[0] == 0 && x.p[1] != 0) { /* another zero could be left out as well */
            m2_json_set_string(json, "x", m2_b64_encode(pool, m2_slice(x.p + 1, x.n - 1)));
            assert_int_equal(m2_jwk_from_json(&back, pool, json, VERIFY, &err), M2_OK);
            assert_string_equal(m2_jwk_thumbprint(pool, back), m2_jwk_thumbprint(pool, made));
            m2_json_set_string(json, "x", m2_b64_encode(pool, m2_slice(x.p + 2, x.n - 2)));
            assert_int_equal(m2_jwk_from_json(&back, pool, json, VERIFY, &err), M2_E_CONFIG);
            return;
        }
    }
    fail_msg("no key of 4000 had a short x");
}

/* a key of small order has signatures that anybody can make */
static void test_small_order(void **state)
{
    static const char *const bad25519[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    static const char *const bad448[] = {
        "00", "01", "fe", /* then filled up with what 0, 1 and p - 1 continue with */
    };
    char bytes[57];
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(bad25519) / sizeof(bad25519[0]); i++) {
        for (k = 0; k < 32; k++) {
            char pair[3] = { bad25519[i][2 * k], bad25519[i][2 * k + 1], '\0' };

            bytes[k] = (char)strtol(pair, NULL, 16);
        }
        expect(apr_psprintf(pool, "'kty':'OKP','crv':'Ed25519','x':'%s'",
                            m2_b64_encode(pool, m2_slice(bytes, 32))),
               VERIFY, M2_E_CONFIG, "small order");
    }
    for (i = 0; i < 3; i++) {
        memset(bytes, i < 2 ? 0 : 0xff, sizeof(bytes));
        bytes[0] = (char)strtol(bad448[i], NULL, 16);
        bytes[28] = (char)(i < 2 ? 0 : 0xfe);
        bytes[56] = 0;
        expect(apr_psprintf(pool, "'kty':'OKP','crv':'Ed448','x':'%s'",
                            m2_b64_encode(pool, m2_slice(bytes, 57))),
               VERIFY, M2_E_CONFIG, "small order");
    }
    memset(bytes, 0, sizeof(bytes));
    bytes[0] = 2;
    expect(apr_psprintf(pool, "'kty':'OKP','crv':'Ed25519','x':'%s'",
                        m2_b64_encode(pool, m2_slice(bytes, 32))),
           VERIFY, M2_E_CONFIG, "its point is not on curve Ed25519");
    expect(ED, VERIFY, M2_OK, NULL);
}

/* RFC 7517 4.7 to 4.9: stated, or computed from the certificate */
static void test_certificate(void **state)
{
    m2_jwk_t *jwk;

    (void)state;
    assert_int_equal(read_as(&jwk, EC ",'x5t':'abc','x5t#S256':'def'", VERIFY), M2_OK);
    assert_string_equal(jwk->x5t, "abc");
    assert_string_equal(jwk->x5t256, "def");
    assert_int_equal(read_as(&jwk, EC ",'x5c':['AQID']", VERIFY), M2_OK); /* bytes 1, 2, 3 */
    assert_null(jwk->x5t);
    assert_null(jwk->x5t256);
    assert_null(jwk->odd);
    assert_int_equal(read_as(&jwk, EC ",'x5t':7,'x5c':['?']", VERIFY), M2_OK);
    assert_null(jwk->x5t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_what_keys_can_do), unit(test_narrowing),
        unit(test_kid),              unit(test_kinds),
        unit(test_rsa),              unit(test_ec),
        unit(test_okp),              unit(test_oct),
        unit(test_private_where_public_belongs),
        unit(test_private_parts_must_belong),
        unit(test_thumbprints),      unit(test_words),
        unit(test_round_trips),      unit(test_generate_refuses),
        unit(test_pem),              unit(test_as_published),
        unit(test_odd_spelling),     unit(test_short_coordinates),
        unit(test_small_order),      unit(test_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
