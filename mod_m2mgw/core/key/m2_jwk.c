/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Every way to a key ends in take_pkey() or take_secret(), which ask the key itself what it
 * can do; what a document says about it only narrows. Faults name the member, never quote
 * its value. OpenSSL's error queue is empty when a public function returns.
 */
#include "key/m2_jwk.h"

#include "text/m2_b64.h"
#include "key/m2_kept.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#define MAX_EXPONENT_BITS 64 /* OpenSSL verifies no larger ones with a large modulus */
#define MAX_COORDINATE 66    /* bytes of a P-521 coordinate */
#define MAX_OKP 57           /* bytes of an Ed448 key */

/* one key on its way in */
typedef struct reader_t {
    apr_pool_t *pool;
    const m2_json_t *json;
    int flags;
    int is_private; /* the document holds a private part */
    m2_jwk_t *jwk;
    m2_err_t *err;
} reader_t;

/* RFC 7518 6.3: members of an RSA key and what OpenSSL calls them. */
static const struct rsa_member_t {
    const char *name, *param;
    int is_private;
} rsa_members[] = { { "n", OSSL_PKEY_PARAM_RSA_N, 0 },
                    { "e", OSSL_PKEY_PARAM_RSA_E, 0 },
                    { "d", OSSL_PKEY_PARAM_RSA_D, 1 },
                    { "p", OSSL_PKEY_PARAM_RSA_FACTOR1, 1 },
                    { "q", OSSL_PKEY_PARAM_RSA_FACTOR2, 1 },
                    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, 1 },
                    { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, 1 },
                    { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 1 } };

#define RSA_MEMBERS (sizeof(rsa_members) / sizeof(rsa_members[0]))

/* RFC 7518 6.2.1.1 and RFC 8037 2: curves, their OpenSSL names and the bytes of a member.
 * */
static const struct curve_t {
    const char *crv, *kty, *name;
    apr_size_t size;
} curves[] = { { "P-256", "EC", "prime256v1", 32 },
               { "P-384", "EC", "secp384r1", 48 },
               { "P-521", "EC", "secp521r1", MAX_COORDINATE },
               { "Ed25519", "OKP", "ED25519", 32 },
               { "Ed448", "OKP", "ED448", MAX_OKP } };

#define CURVES (sizeof(curves) / sizeof(curves[0]))

static const struct curve_t *curve_by_crv(m2_slice_t crv, const char *kty)
{
    apr_size_t i;

    for (i = 0; i < CURVES; i++) {
        if (m2_slice_is(crv, curves[i].crv)
            && m2_slice_is(m2_slice_z(kty), curves[i].kty)) {
            return &curves[i];
        }
    }
    return NULL;
}

/* The curve of an EC or Ed key, NULL for every other. */
static const struct curve_t *curve_of(const EVP_PKEY *pkey)
{
    char group[64];
    size_t n = 0;
    apr_size_t i;

    if (!EVP_PKEY_is_a(pkey, "EC")
        || !EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n)) {
        group[0] = '\0';
    }
    for (i = 0; i < CURVES; i++) {
        if (m2_slice_is(m2_slice_z(group), curves[i].name)
            || (curves[i].kty[0] == 'O' && EVP_PKEY_is_a(pkey, curves[i].name))) {
            return &curves[i];
        }
    }
    return NULL;
}

/* --- what a key can do --- */

static apr_status_t free_pkey(void *pkey)
{
    EVP_PKEY_free(pkey);
    return APR_SUCCESS;
}

static apr_status_t cleanse_secret(void *data)
{
    m2_slice_t *secret = data;

    OPENSSL_cleanse((char *)secret->p, secret->n);
    return APR_SUCCESS;
}

/* The document's `alg`, if any, narrows what the key can do, and never widens it. */
static m2_code_t narrow(reader_t *r, m2_alg_mask_t can)
{
    const m2_alg_t *alg;

    r->jwk->algs = can;
    if (!r->jwk->alg) {
        return M2_OK;
    }
    alg = m2_alg_find(m2_slice_z(r->jwk->alg));
    if (!alg) {
        return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its alg is none of ours");
    }
    r->jwk->algs &= alg->bit;
    if (!r->jwk->algs) {
        return m2_err_set(r->err, M2_E_CONFIG, "a %s key of %d bits cannot do its alg %s",
                          r->jwk->kty, r->jwk->bits, alg->name);
    }
    return M2_OK;
}

/* RFC 7518 3.3: 2048 bits or more. An exponent of 1 would make every text its own
 * signature; even ones are no RSA. */
static m2_code_t check_rsa(reader_t *r, const EVP_PKEY *pkey)
{
    BIGNUM *n = NULL, *e = NULL;
    const char *fault = NULL;

    if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n)
        || !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e)) {
        fault = "it is no RSA key";
    }
    else if (BN_num_bits(n) < M2_MIN_RSA_BITS) {
        fault = "an RSA key needs 2048 bits or more";
    }
    else if (BN_num_bits(n) > M2_MAX_RSA_BITS) {
        fault = "an RSA key of more than 16384 bits";
    }
    else if (!BN_is_odd(n)) {
        fault = "its RSA modulus is even";
    }
    else if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > MAX_EXPONENT_BITS) {
        fault = "its RSA exponent must be odd, 3 or more, and of 64 bits at most";
    }
    BN_free(n);
    BN_free(e);
    return fault ? m2_err_set(r->err, M2_E_CONFIG, "%s", fault) : M2_OK;
}

/* RFC 7518 3.4: the curve is the algorithm. The point must lie on it. */
static m2_code_t check_ec(reader_t *r, EVP_PKEY *pkey, m2_alg_mask_t *pcan)
{
    const struct curve_t *curve = curve_of(pkey);
    EVP_PKEY_CTX *ctx;
    const m2_alg_t *alg;
    int i, valid;

    if (!curve) {
        return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its curve is none of ours");
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    valid = ctx && EVP_PKEY_public_check_quick(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!valid) {
        return m2_err_set(r->err, M2_E_CONFIG, "its point is not on curve %s",
                          curve->crv);
    }
    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (alg->group && m2_slice_is(m2_slice_z(curve->name), alg->group)) {
            *pcan |= alg->bit;
        }
    }
    return M2_OK;
}

/* Sign and verify once, so that a private part that does not belong to its public part is
 * found here and not by the first caller. */
static int signs_for_itself(EVP_PKEY *pkey, const char *digest)
{
    static const unsigned char text[] = "m2";
    unsigned char signature[M2_MAX_RSA_BITS / 8];
    size_t n = sizeof(signature);
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    int ok = sign && verify
             && EVP_DigestSignInit_ex(sign, NULL, digest, NULL, NULL, pkey, NULL) == 1
             && EVP_DigestSign(sign, signature, &n, text, sizeof(text)) == 1
             && EVP_DigestVerifyInit_ex(verify, NULL, digest, NULL, NULL, pkey, NULL) == 1
             && EVP_DigestVerify(verify, signature, n, text, sizeof(text)) == 1;

    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    return ok;
}

/* What an asymmetric key can do, asked from the key; sets kty and bits. */
static m2_code_t ask_pkey(reader_t *r, EVP_PKEY *pkey, m2_alg_mask_t *pcan)
{
    r->jwk->bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "RSA-PSS")) {
        r->jwk->kty = "RSA";
        *pcan = m2_alg_mask_of(M2_FAMILY_RSA_PSS);
        if (EVP_PKEY_is_a(pkey, "RSA")) {
            *pcan |= m2_alg_mask_of(M2_FAMILY_RSA);
        }
        return check_rsa(r, pkey);
    }
    if (EVP_PKEY_is_a(pkey, "EC")) {
        r->jwk->kty = "EC";
        return check_ec(r, pkey, pcan);
    }
    if (curve_of(pkey)) {
        r->jwk->kty = "OKP";
        *pcan = m2_alg_mask_of(M2_FAMILY_EDDSA);
        return M2_OK;
    }
    return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its type is none of ours");
}

/* Take ownership of pkey (NULL: OpenSSL refused it) and say what it can do. */
static m2_code_t take_pkey(reader_t *r, EVP_PKEY *pkey)
{
    m2_alg_mask_t can = 0;
    m2_code_t code;

    if (!pkey) {
        return m2_err_set(r->err, M2_E_CONFIG, "it is no valid key");
    }
    apr_pool_cleanup_register(r->pool, pkey, free_pkey, apr_pool_cleanup_null);
    r->jwk->pkey = pkey;
    r->jwk->is_private = r->is_private;
    code = ask_pkey(r, pkey, &can);
    if (code == M2_OK && r->is_private
        && !signs_for_itself(pkey, r->jwk->kty[0] == 'O' ? NULL : "SHA256")) {
        code = m2_err_set(r->err, M2_E_CONFIG,
                          "its private part does not belong to its public part");
    }
    if (code == M2_OK) {
        r->jwk->kept = m2_kept_make(r->pool, pkey);
    }
    return code == M2_OK ? narrow(r, can) : code;
}

/* RFC 7518 3.2: a key as long as the hash, or longer. */
static m2_code_t take_secret(reader_t *r, m2_slice_t secret)
{
    m2_alg_mask_t can = 0;
    const m2_alg_t *alg;
    int i;

    r->jwk->kty = "oct";
    r->jwk->secret = secret;
    r->jwk->bits = (int)secret.n * 8;
    r->jwk->is_private = 1;
    apr_pool_cleanup_register(r->pool, &r->jwk->secret, cleanse_secret,
                              apr_pool_cleanup_null);
    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (alg->family == M2_FAMILY_HMAC && secret.n >= alg->size) {
            can |= alg->bit;
        }
    }
    if (!can) {
        return m2_err_set(r->err, M2_E_CONFIG, "an oct key needs 256 bits or more");
    }
    return narrow(r, can);
}

/* --- JWK members --- */

/* The bytes of a base64url member that must be there. */
static m2_code_t read_bytes(m2_slice_t *pbytes, reader_t *r, const char *name)
{
    m2_slice_t text = m2_json_string(m2_json_get(r->json, name));

    if (!text.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is missing or no string",
                          name);
    }
    if (m2_b64_decode(pbytes, r->pool, text) != M2_OK || pbytes->n == 0) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is no base64url", name);
    }
    return M2_OK;
}

/* Likewise, of exactly size bytes: RFC 7518 6.2.1.2 and RFC 8037 2 leave no other length,
 * and a short coordinate would give one key several spellings. */
static m2_code_t read_sized(m2_slice_t *pbytes, reader_t *r, const char *name,
                            apr_size_t size)
{
    m2_code_t code = read_bytes(pbytes, r, name);

    if (code == M2_OK && pbytes->n != size) {
        code = m2_err_set(r->err, M2_E_CONFIG, "its member %s must be %d bytes long",
                          name, (int)size);
    }
    return code;
}

/* A string member that may be absent (NULL), but not of another type. */
static m2_code_t read_optional(const char **pvalue, reader_t *r, const char *name)
{
    const m2_json_t *member = m2_json_get(r->json, name);

    *pvalue = NULL;
    if (member && m2_json_type(member) != M2_JSON_STRING) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is no string", name);
    }
    if (member) {
        *pvalue = m2_slice_dup(r->pool, m2_json_string(member));
    }
    return M2_OK;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *build, int is_private)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey,
                             is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params)
               != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

/* Read a member into a number and push it; the number goes to *pbn, to be freed after the
 * build, which borrows it. */
static m2_code_t push_number(BIGNUM **pbn, reader_t *r, OSSL_PARAM_BLD *build,
                             const char *name, const char *param)
{
    m2_slice_t bytes;
    m2_code_t code = read_bytes(&bytes, r, name);

    if (code != M2_OK) {
        return code;
    }
    *pbn = BN_bin2bn((const unsigned char *)bytes.p, (int)bytes.n, NULL);
    OPENSSL_cleanse((char *)bytes.p, bytes.n);
    if (!*pbn || !OSSL_PARAM_BLD_push_BN(build, param, *pbn)) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is no number", name);
    }
    return M2_OK;
}

/* RFC 7518 6.3.2: of the factors and what goes with them all are there, or none is. */
static int rsa_members_wanted(const reader_t *r)
{
    int i;

    if (!r->is_private) {
        return 2;
    }
    for (i = 3; i < (int)RSA_MEMBERS; i++) {
        if (m2_json_get(r->json, rsa_members[i].name)) {
            return RSA_MEMBERS;
        }
    }
    return 3;
}

static m2_code_t read_rsa(reader_t *r)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[RSA_MEMBERS] = { NULL };
    EVP_PKEY *pkey = NULL;
    m2_code_t code = M2_OK;
    int i, wanted = rsa_members_wanted(r);

    if (m2_json_get(r->json, "oth")) {
        code = m2_err_set(r->err, M2_E_CONFIG, "RSA keys of more than two primes");
    }
    for (i = 0; code == M2_OK && i < wanted; i++) {
        code =
            push_number(&numbers[i], r, build, rsa_members[i].name, rsa_members[i].param);
    }
    if (code == M2_OK && BN_num_bits(numbers[0]) > M2_MAX_RSA_BITS) {
        code = m2_err_set(r->err, M2_E_CONFIG, "an RSA key of more than 16384 bits");
    }
    if (code == M2_OK) {
        pkey = pkey_from("RSA", build, r->is_private);
    }
    OSSL_PARAM_BLD_free(build);
    for (i = 0; i < (int)RSA_MEMBERS; i++) {
        BN_clear_free(numbers[i]);
    }
    return code == M2_OK ? take_pkey(r, pkey) : code;
}

static m2_code_t read_ec_point(unsigned char *point, reader_t *r,
                               const struct curve_t *curve)
{
    m2_slice_t x, y;
    m2_code_t code = read_sized(&x, r, "x", curve->size);

    if (code == M2_OK) {
        code = read_sized(&y, r, "y", curve->size);
    }
    if (code == M2_OK) {
        point[0] = 0x04; /* SEC 1 2.3.3: uncompressed */
        memcpy(point + 1, x.p, x.n);
        memcpy(point + 1 + x.n, y.p, y.n);
    }
    return code;
}

static m2_code_t build_ec(EVP_PKEY **ppkey, reader_t *r, const struct curve_t *curve,
                          OSSL_PARAM_BLD *build, BIGNUM **pd)
{
    unsigned char point[1 + 2 * MAX_COORDINATE];
    m2_code_t code = read_ec_point(point, r, curve);
    m2_slice_t d;

    if (code == M2_OK && r->is_private) {
        code = read_sized(&d, r, "d", curve->size);
        if (code == M2_OK) {
            code = push_number(pd, r, build, "d", OSSL_PKEY_PARAM_PRIV_KEY);
            OPENSSL_cleanse((char *)d.p, d.n);
        }
    }
    if (code == M2_OK
        && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->name,
                                           0)
        && OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            1 + 2 * curve->size)) {
        *ppkey = pkey_from("EC", build, r->is_private);
    }
    return code;
}

static m2_code_t read_curve(const struct curve_t **pcurve, reader_t *r, const char *kty)
{
    m2_slice_t crv = m2_json_string(m2_json_get(r->json, "crv"));

    if (!crv.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member crv is missing or no string");
    }
    *pcurve = curve_by_crv(crv, kty);
    return *pcurve ? M2_OK
                   : m2_err_set(r->err, M2_E_KEY_SKIPPED, "its curve is none of ours");
}

static m2_code_t read_ec(reader_t *r)
{
    const struct curve_t *curve;
    OSSL_PARAM_BLD *build;
    BIGNUM *d = NULL;
    EVP_PKEY *pkey = NULL;
    m2_code_t code = read_curve(&curve, r, "EC");

    if (code != M2_OK) {
        return code;
    }
    build = OSSL_PARAM_BLD_new();
    code = build_ec(&pkey, r, curve, build, &d);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(d);
    return code == M2_OK ? take_pkey(r, pkey) : code;
}

/* The public half of an Ed key must be the one its private half gives (RFC 8037 2). */
static EVP_PKEY *okp_private(reader_t *r, const struct curve_t *curve, m2_slice_t x)
{
    unsigned char public[MAX_OKP];
    size_t n = sizeof(public);
    m2_slice_t d;
    EVP_PKEY *pkey;

    if (read_sized(&d, r, "d", curve->size) != M2_OK) {
        return NULL;
    }
    pkey = EVP_PKEY_new_raw_private_key_ex(NULL, curve->name, NULL,
                                           (const unsigned char *)d.p, d.n);
    OPENSSL_cleanse((char *)d.p, d.n);
    if (pkey
        && (!EVP_PKEY_get_raw_public_key(pkey, public, &n) || n != x.n
            || CRYPTO_memcmp(public, x.p, n) != 0)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static m2_code_t read_okp(reader_t *r)
{
    const struct curve_t *curve;
    m2_slice_t x;
    m2_code_t code = read_curve(&curve, r, "OKP");

    if (code == M2_OK) {
        code = read_sized(&x, r, "x", curve->size);
    }
    if (code != M2_OK) {
        return code;
    }
    return take_pkey(
        r, r->is_private ? okp_private(r, curve, x)
                         : EVP_PKEY_new_raw_public_key_ex(
                             NULL, curve->name, NULL, (const unsigned char *)x.p, x.n));
}

static m2_code_t read_oct(reader_t *r)
{
    m2_slice_t secret;
    m2_code_t code;

    if (!(r->flags & M2_JWK_OCT)) {
        return m2_err_set(r->err, M2_E_CONFIG, "a symmetric key does not belong here");
    }
    code = read_bytes(&secret, r, "k");
    return code == M2_OK ? take_secret(r, secret) : code;
}

/* --- JWK --- */

typedef m2_code_t read_fn(reader_t *r);

static const struct {
    const char *kty;
    read_fn *read;
} types[] = {
    { "RSA", read_rsa }, { "EC", read_ec }, { "OKP", read_okp }, { "oct", read_oct }
};

/* RFC 7517 4.2: a key for anything but signatures is not ours to use. */
static m2_code_t check_use(reader_t *r)
{
    const char *use;
    m2_code_t code = read_optional(&use, r, "use");

    if (code == M2_OK && use && !m2_slice_is(m2_slice_z(use), "sig")) {
        code = m2_err_set(r->err, M2_E_KEY_SKIPPED, "its use is not sig");
    }
    return code;
}

static int listed_before(const m2_json_t *list, apr_size_t i)
{
    apr_size_t j;

    for (j = 0; j < i; j++) {
        if (m2_slice_eq(m2_json_string(m2_json_at(list, i)),
                        m2_json_string(m2_json_at(list, j)))) {
            return 1;
        }
    }
    return 0;
}

/* RFC 7517 4.3: strings, none twice; what is asked for here is `verify`, or `sign` where
 * keys are read to sign. */
static m2_code_t check_key_ops(reader_t *r)
{
    const m2_json_t *ops = m2_json_get(r->json, "key_ops");
    int able = 0;
    apr_size_t i;

    if (!ops) {
        return M2_OK;
    }
    if (m2_json_type(ops) != M2_JSON_ARRAY || m2_json_length(ops) > M2_MAX_JSON_MEMBERS) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member key_ops is no list");
    }
    for (i = 0; i < m2_json_length(ops); i++) {
        m2_slice_t op = m2_json_string(m2_json_at(ops, i));

        if (!op.p || listed_before(ops, i)) {
            return m2_err_set(r->err, M2_E_CONFIG,
                              "its member key_ops must hold strings, each once");
        }
        able |= m2_slice_is(op, "verify")
                || ((r->flags & M2_JWK_PRIVATE) && m2_slice_is(op, "sign"));
    }
    return able ? M2_OK
                : m2_err_set(r->err, M2_E_KEY_SKIPPED, "its key_ops do not hold verify");
}

/* A private part in a verifier's configuration is a secret in the wrong place. Any of its
 * members counts, readable or not. */
static m2_code_t check_private(reader_t *r)
{
    apr_size_t i;

    for (i = 0; i < RSA_MEMBERS; i++) {
        if (rsa_members[i].is_private && m2_json_get(r->json, rsa_members[i].name)) {
            r->is_private = 1;
        }
    }
    if (r->is_private && !(r->flags & M2_JWK_PRIVATE)) {
        return m2_err_set(r->err, M2_E_CONFIG,
                          "it is a private key where a public one belongs");
    }
    if (!r->is_private && !(r->flags & M2_JWK_PUBLIC)) {
        return m2_err_set(r->err, M2_E_CONFIG, "it is no private key");
    }
    return M2_OK;
}

static m2_code_t read_names(reader_t *r)
{
    m2_code_t code = read_optional(&r->jwk->kid, r, "kid");

    if (code == M2_OK && r->jwk->kid && !*r->jwk->kid) {
        r->jwk->kid = NULL;
    }
    if (code == M2_OK) {
        code = read_optional(&r->jwk->alg, r, "alg");
    }
    if (code == M2_OK && r->jwk->alg && !m2_alg_find(m2_slice_z(r->jwk->alg))) {
        code = m2_err_set(r->err, M2_E_KEY_SKIPPED, "its alg is none of ours");
    }
    return code;
}

static m2_code_t read_jwk(reader_t *r)
{
    m2_slice_t kty = m2_json_string(m2_json_get(r->json, "kty"));
    m2_code_t code;
    apr_size_t i;

    if (!kty.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member kty is missing or no string");
    }
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (m2_slice_is(kty, types[i].kty)) {
            code = check_use(r);
            code = code == M2_OK ? read_names(r) : code;
            code = code == M2_OK ? check_key_ops(r) : code;
            if (code == M2_OK && !m2_slice_is(kty, "oct")) {
                code = check_private(r);
            }
            return code == M2_OK ? types[i].read(r) : code;
        }
    }
    return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its kty is none of ours");
}

m2_code_t m2_jwk_from_json(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_json_t *json,
                           int flags, m2_err_t *err)
{
    reader_t r = { pool, json, flags, 0, apr_pcalloc(pool, sizeof(m2_jwk_t)), err };
    m2_code_t code;

    *pjwk = NULL;
    if (m2_json_type(json) != M2_JSON_OBJECT) {
        return m2_err_set(err, M2_E_CONFIG, "it is no JSON object");
    }
    code = read_jwk(&r);
    ERR_clear_error();
    if (code == M2_OK) {
        *pjwk = r.jwk;
    }
    return code;
}

/* --- words --- */

/* One NAME=VALUE. key_ops is a list in JSON, here its values are joined by commas. */
static m2_code_t add_word(m2_json_t *json, apr_pool_t *pool, char *word, m2_err_t *err)
{
    char *value = strchr(word, '='), *op, *last;
    m2_json_t *ops;

    if (!value || value == word) {
        return m2_err_set(err, M2_E_CONFIG, "a key in words is NAME=VALUE ...");
    }
    *value++ = '\0';
    if (m2_json_get(json, word)) {
        return m2_err_set(err, M2_E_CONFIG, "its member %s appears twice", word);
    }
    if (!m2_slice_is(m2_slice_z(word), "key_ops")) {
        m2_json_set_string(json, word, value);
        return M2_OK;
    }
    ops = m2_json_make_array(pool);
    for (op = apr_strtok(value, ",", &last); op; op = apr_strtok(NULL, ",", &last)) {
        m2_json_append_string(ops, op);
    }
    m2_json_set_json(json, word, ops);
    return M2_OK;
}

m2_code_t m2_jwk_from_words(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t words,
                            int flags, m2_err_t *err)
{
    m2_json_t *json = m2_json_make(pool);
    char *word, *last;
    m2_code_t code;

    *pjwk = NULL;
    word = apr_strtok(apr_pstrmemdup(pool, words.p, words.n), " \t\r\n", &last);
    for (; word; word = apr_strtok(NULL, " \t\r\n", &last)) {
        code = add_word(json, pool, word, err);
        if (code != M2_OK) {
            return code;
        }
    }
    return m2_jwk_from_json(pjwk, pool, json, flags, err);
}

/* --- PEM --- */

static EVP_PKEY *public_of_certificate(const unsigned char *der, long n)
{
    X509 *certificate = d2i_X509(NULL, &der, n);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    return pkey;
}

static EVP_PKEY *public_of_spki(const unsigned char *der, long n)
{
    return d2i_PUBKEY(NULL, &der, n);
}

static EVP_PKEY *public_of_pkcs1(const unsigned char *der, long n)
{
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, n);
}

static EVP_PKEY *private_of(const unsigned char *der, long n)
{
    return d2i_AutoPrivateKey(NULL, &der, n);
}

typedef EVP_PKEY *decode_fn(const unsigned char *der, long n);

/* RFC 7468 and its elder labels. */
static const struct label_t {
    const char *label;
    decode_fn *decode;
    int is_private;
} labels[] = { { PEM_STRING_PUBLIC, public_of_spki, 0 },
               { PEM_STRING_X509, public_of_certificate, 0 },
               { PEM_STRING_RSA_PUBLIC, public_of_pkcs1, 0 },
               { PEM_STRING_PKCS8INF, private_of, 1 },
               { PEM_STRING_RSA, private_of, 1 },
               { PEM_STRING_ECPRIVATEKEY, private_of, 1 } };

static const struct label_t *label_of(const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        if (m2_slice_is(m2_slice_z(name), labels[i].label)) {
            return &labels[i];
        }
    }
    return NULL;
}

static m2_code_t take_pem(reader_t *r, const char *name, const char *header,
                          const unsigned char *der, long n)
{
    const struct label_t *label = label_of(name);
    m2_code_t code;

    if (!label) {
        return m2_err_set(
            r->err, M2_E_CONFIG,
            "its PEM block is no public key, certificate or plain private key");
    }
    if (*header) {
        return m2_err_set(r->err, M2_E_CONFIG, "encrypted private keys are not read");
    }
    r->is_private = label->is_private;
    r->json = NULL;
    code = check_private(r);
    return code == M2_OK ? take_pkey(r, label->decode(der, n)) : code;
}

/* `openssl ecparam -genkey` writes the curve in a block of its own before the key. */
static int next_block(BIO *bio, char **pname, char **pheader, unsigned char **pder,
                      long *pn)
{
    while (PEM_read_bio(bio, pname, pheader, pder, pn)) {
        if (!m2_slice_is(m2_slice_z(*pname), PEM_STRING_ECPARAMETERS)) {
            return 1;
        }
        OPENSSL_free(*pname);
        OPENSSL_free(*pheader);
        OPENSSL_free(*pder);
    }
    return 0;
}

static m2_code_t read_pem(reader_t *r, m2_slice_t text)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    char *name, *header;
    unsigned char *der;
    long n;
    m2_code_t code;

    if (!bio || !next_block(bio, &name, &header, &der, &n)) {
        code = m2_err_set(r->err, M2_E_CONFIG, "it holds no PEM block");
    }
    else {
        code = take_pem(r, name, header, der, n);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    BIO_free(bio);
    return code;
}

m2_code_t m2_jwk_from_pem(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t text,
                          const char *kid, const char *alg, int flags, m2_err_t *err)
{
    reader_t r = { pool, NULL, flags, 0, apr_pcalloc(pool, sizeof(m2_jwk_t)), err };
    m2_code_t code;

    *pjwk = NULL;
    r.jwk->kid = kid && *kid ? apr_pstrdup(pool, kid) : NULL;
    r.jwk->alg = alg ? apr_pstrdup(pool, alg) : NULL;
    if (text.n > M2_MAX_KEYSET_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "it is too large");
    }
    code = read_pem(&r, text);
    ERR_clear_error();
    if (code == M2_OK) {
        *pjwk = r.jwk;
    }
    return code;
}

/* --- writing --- */

/* A number as base64url of size bytes, or of as few as it needs with size 0. */
static const char *number_text(apr_pool_t *pool, const EVP_PKEY *pkey, const char *param,
                               apr_size_t size)
{
    BIGNUM *bn = NULL;
    unsigned char *bytes;
    const char *text = NULL;

    if (!EVP_PKEY_get_bn_param(pkey, param, &bn)) {
        return NULL;
    }
    size = size ? size : (apr_size_t)BN_num_bytes(bn);
    bytes = apr_palloc(pool, size + 1);
    if (BN_bn2binpad(bn, bytes, (int)size) >= 0) {
        text = m2_b64_encode(pool, m2_slice((const char *)bytes, size));
        OPENSSL_cleanse(bytes, size);
    }
    BN_clear_free(bn);
    return text;
}

static int write_number(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                        const char *name, const char *param, apr_size_t size)
{
    const char *text = number_text(pool, jwk->pkey, param, size);

    if (text) {
        m2_json_set_string(json, name, text);
    }
    return text != NULL;
}

static int write_rsa(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                     int with_private)
{
    apr_size_t i;

    for (i = 0; i < (with_private ? RSA_MEMBERS : 2); i++) {
        if (!write_number(json, pool, jwk, rsa_members[i].name, rsa_members[i].param, 0)
            && i < 3) { /* a key that came with d alone has no factors to write */
            return 0;
        }
    }
    return 1;
}

static int write_ec(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                    int with_private)
{
    const struct curve_t *curve = curve_of(jwk->pkey);

    m2_json_set_string(json, "crv", curve->crv);
    return write_number(json, pool, jwk, "x", OSSL_PKEY_PARAM_EC_PUB_X, curve->size)
           && write_number(json, pool, jwk, "y", OSSL_PKEY_PARAM_EC_PUB_Y, curve->size)
           && (!with_private
               || write_number(json, pool, jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY,
                               curve->size));
}

static int write_okp(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                     int with_private)
{
    unsigned char raw[MAX_OKP];
    size_t n = sizeof(raw);

    m2_json_set_string(json, "crv", curve_of(jwk->pkey)->crv);
    if (!EVP_PKEY_get_raw_public_key(jwk->pkey, raw, &n)) {
        return 0;
    }
    m2_json_set_string(json, "x", m2_b64_encode(pool, m2_slice((const char *)raw, n)));
    n = sizeof(raw);
    if (with_private) {
        if (!EVP_PKEY_get_raw_private_key(jwk->pkey, raw, &n)) {
            return 0;
        }
        m2_json_set_string(json, "d",
                           m2_b64_encode(pool, m2_slice((const char *)raw, n)));
        OPENSSL_cleanse(raw, sizeof(raw));
    }
    return 1;
}

/* The members that make the key, kty first. */
static int write_key(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                     int with_private)
{
    m2_json_set_string(json, "kty", jwk->kty);
    if (!jwk->pkey) {
        if (with_private) {
            m2_json_set_string(json, "k", m2_b64_encode(pool, jwk->secret));
        }
        return with_private;
    }
    with_private = with_private && jwk->is_private;
    if (jwk->kty[0] == 'R') {
        return write_rsa(json, pool, jwk, with_private);
    }
    return jwk->kty[0] == 'E' ? write_ec(json, pool, jwk, with_private)
                              : write_okp(json, pool, jwk, with_private);
}

m2_json_t *m2_jwk_to_json(apr_pool_t *pool, const m2_jwk_t *jwk, int with_private)
{
    m2_json_t *json = m2_json_make(pool);
    int written = write_key(json, pool, jwk, with_private);

    ERR_clear_error();
    if (!written) {
        return NULL;
    }
    m2_json_set_string(json, "use", "sig");
    if (jwk->kid) {
        m2_json_set_string(json, "kid", jwk->kid);
    }
    if (jwk->alg) {
        m2_json_set_string(json, "alg", jwk->alg);
    }
    return json;
}

/* RFC 7638 3.2 and RFC 8037 2: the required members, in this order, nothing else. */
const char *m2_jwk_thumbprint(apr_pool_t *pool, const m2_jwk_t *jwk)
{
    static const char *const members[] = { "crv", "e", "k", "kty", "n", "x", "y" };
    m2_json_t *whole = m2_json_make(pool), *bare = m2_json_make(pool);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    const char *text;
    apr_size_t i;
    int done = write_key(whole, pool, jwk, jwk->pkey == NULL);

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const m2_json_t *value = m2_json_get(whole, members[i]);

        if (value) {
            m2_json_set_json(bare, members[i], value);
        }
    }
    text = m2_json_dump(pool, bare);
    done = done && EVP_Digest(text, strlen(text), digest, &n, EVP_sha256(), NULL) == 1;
    ERR_clear_error();
    return done ? m2_b64_encode(pool, m2_slice((const char *)digest, n)) : NULL;
}

const char *m2_jwk_to_pem(apr_pool_t *pool, const m2_jwk_t *jwk, int with_private)
{
    BIO *bio = jwk->pkey ? BIO_new(BIO_s_secmem()) : NULL;
    char *text = NULL, *data;
    long n;
    int done = 0;

    if (bio && with_private) {
        done =
            jwk->is_private
            && PEM_write_bio_PKCS8PrivateKey(bio, jwk->pkey, NULL, NULL, 0, NULL, NULL);
    }
    else if (bio) {
        done = PEM_write_bio_PUBKEY(bio, jwk->pkey);
    }
    if (done) {
        n = BIO_get_mem_data(bio, &data);
        text = apr_pstrmemdup(pool, data, (apr_size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return text;
}

/* --- making --- */

static EVP_PKEY *generate_pkey(const m2_alg_t *alg, int bits)
{
    if (alg->family == M2_FAMILY_ECDSA) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", alg->group);
    }
    if (alg->family == M2_FAMILY_EDDSA) {
        return EVP_PKEY_Q_keygen(NULL, NULL, bits == 448 ? "ED448" : "ED25519");
    }
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)(bits ? bits : M2_MIN_RSA_BITS));
}

static m2_code_t generate_secret(reader_t *r, const m2_alg_t *alg, int bits)
{
    apr_size_t n = bits > 0 ? (apr_size_t)bits / 8 : alg->size;
    unsigned char *secret;

    if (n < alg->size || n > M2_MAX_TOKEN) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s needs a key of %d bits or more",
                          alg->name, (int)alg->size * 8);
    }
    secret = apr_palloc(r->pool, n);
    if (RAND_priv_bytes(secret, (int)n) != 1) {
        return m2_err_set(r->err, M2_E_INTERNAL, "no random bytes");
    }
    return take_secret(r, m2_slice((const char *)secret, n));
}

m2_code_t m2_jwk_generate(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_alg_t *alg,
                          int bits, const char *kid, m2_err_t *err)
{
    reader_t r = {
        pool, NULL, M2_JWK_PRIVATE, 1, apr_pcalloc(pool, sizeof(m2_jwk_t)), err
    };
    int is_rsa = alg->family == M2_FAMILY_RSA || alg->family == M2_FAMILY_RSA_PSS;
    m2_code_t code;

    *pjwk = NULL;
    if (is_rsa && bits && (bits < M2_MIN_RSA_BITS || bits > M2_MAX_RSA_BITS)) {
        return m2_err_set(err, M2_E_CONFIG, "an RSA key has 2048 to 16384 bits");
    }
    r.jwk->kid = kid && *kid ? apr_pstrdup(pool, kid) : NULL;
    r.jwk->alg = alg->name;
    code = alg->family == M2_FAMILY_HMAC ? generate_secret(&r, alg, bits)
                                         : take_pkey(&r, generate_pkey(alg, bits));
    ERR_clear_error();
    if (code == M2_OK) {
        *pjwk = r.jwk;
    }
    return code;
}
