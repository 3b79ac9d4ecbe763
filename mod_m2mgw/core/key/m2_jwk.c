/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a key can do, and fresh keys. Faults name the member, never quote its value. OpenSSL's
 * error queue is empty when a public function returns.
 */
#include "key/m2_jwk_int.h"

#include "key/m2_edwards.h"
#include "key/m2_kept.h"
#include "text/m2_b64.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define MAX_EXPONENT_BITS 64 /* OpenSSL verifies no larger ones with a large modulus */

/* clang-format off */
const m2_rsa_member_t m2_rsa_members[M2_RSA_MEMBERS] = {
    { "n",  OSSL_PKEY_PARAM_RSA_N,            0 },
    { "e",  OSSL_PKEY_PARAM_RSA_E,            0 },
    { "d",  OSSL_PKEY_PARAM_RSA_D,            1 },
    { "p",  OSSL_PKEY_PARAM_RSA_FACTOR1,      1 },
    { "q",  OSSL_PKEY_PARAM_RSA_FACTOR2,      1 },
    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1,    1 },
    { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2,    1 },
    { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 1 },
};

const m2_curve_t m2_curves[M2_CURVES] = {
    { "P-256",   "EC",  "prime256v1", 32 },
    { "P-384",   "EC",  "secp384r1",  48 },
    { "P-521",   "EC",  "secp521r1",  M2_MAX_COORDINATE },
    { "Ed25519", "OKP", "ED25519",    32 },
    { "Ed448",   "OKP", "ED448",      M2_MAX_OKP },
};
/* clang-format on */

const m2_curve_t *m2_curve_of(const EVP_PKEY *pkey)
{
    char group[64];
    size_t n = 0;
    apr_size_t i;

    if (!EVP_PKEY_is_a(pkey, "EC")
        || !EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n)) {
        group[0] = '\0';
    }
    for (i = 0; i < M2_CURVES; i++) {
        if (m2_slice_is(m2_slice_z(group), m2_curves[i].name)
            || (m2_curves[i].kty[0] == 'O' && EVP_PKEY_is_a(pkey, m2_curves[i].name))) {
            return &m2_curves[i];
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
static m2_code_t narrow(m2_jwk_reader_t *r, m2_alg_mask_t can)
{
    const m2_alg_t *alg;

    r->jwk->algs = can;
    if (!r->jwk->alg) {
        return M2_OK;
    }
    alg = m2_alg_find(m2_slice_z(r->jwk->alg));
    if (!alg) {
        return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its alg is not supported");
    }
    r->jwk->algs &= alg->bit;
    if (!r->jwk->algs) {
        return m2_err_set(r->err, M2_E_CONFIG, "a %s key of %d bits cannot do its alg %s",
                          r->jwk->kty, r->jwk->bits, alg->name);
    }
    return M2_OK;
}

/* RFC 7518 3.3: 2048 bits or more. An exponent of 1 would make every text its own
 * signature; even ones are not RSA. */
static m2_code_t check_rsa(m2_jwk_reader_t *r, const EVP_PKEY *pkey)
{
    BIGNUM *n = NULL, *e = NULL;
    const char *fault = NULL;

    if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n)
        || !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e)) {
        fault = "it is not an RSA key";
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
static m2_code_t check_ec(m2_jwk_reader_t *r, EVP_PKEY *pkey, m2_alg_mask_t *pcan)
{
    const m2_curve_t *curve = m2_curve_of(pkey);
    EVP_PKEY_CTX *ctx;
    const m2_alg_t *alg;
    int i, valid;

    if (!curve) {
        return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its curve is not supported");
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

/* RFC 9864: a name for each curve, beside EdDSA for both. */
static m2_code_t check_okp(m2_jwk_reader_t *r, const EVP_PKEY *pkey, m2_alg_mask_t *pcan)
{
    const m2_curve_t *curve = m2_curve_of(pkey);
    unsigned char raw[M2_MAX_OKP];
    size_t n = sizeof(raw);
    const char *fault = EVP_PKEY_get_raw_public_key(pkey, raw, &n) == 1
                            ? m2_edwards_fault(raw, n) : "cannot be read";

    if (fault) {
        return m2_err_set(r->err, M2_E_CONFIG, "its point %s", fault);
    }
    *pcan = m2_alg_find(m2_slice_z(curve->crv))->bit;
    return M2_OK;
}

/* What an asymmetric key can do, asked from the key; sets kty and bits. */
static m2_code_t ask_pkey(m2_jwk_reader_t *r, EVP_PKEY *pkey, m2_alg_mask_t *pcan)
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
    if (m2_curve_of(pkey)) {
        r->jwk->kty = "OKP";
        return check_okp(r, pkey, pcan);
    }
    return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its type is not supported");
}

m2_code_t m2_jwk_take_pkey(m2_jwk_reader_t *r, EVP_PKEY *pkey)
{
    m2_alg_mask_t can = 0;
    m2_code_t code;

    if (!pkey) {
        return m2_err_set(r->err, M2_E_CONFIG, "it is not a valid key");
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

m2_code_t m2_jwk_take_secret(m2_jwk_reader_t *r, m2_slice_t secret)
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

const m2_json_t *m2_jwk_member(const m2_jwk_reader_t *r, const char *name)
{
    const m2_json_t *member = m2_json_get(r->json, name);

    return m2_json_type(member) == M2_JSON_NULL ? NULL : member;
}

static const char *thumbprint(apr_pool_t *pool, m2_slice_t der, const EVP_MD *md)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    return EVP_Digest(der.p, der.n, digest, &n, md, NULL) == 1
               ? m2_b64_encode(pool, m2_slice((const char *)digest, n))
               : NULL;
}

void m2_jwk_take_certificate(m2_jwk_reader_t *r, m2_slice_t der)
{
    if (!r->jwk->x5t) {
        r->jwk->x5t = thumbprint(r->pool, der, EVP_sha1());
    }
    if (!r->jwk->x5t256) {
        r->jwk->x5t256 = thumbprint(r->pool, der, EVP_sha256());
    }
}

const char *m2_jwk_alg_names(apr_pool_t *pool, const m2_jwk_t *jwk)
{
    const m2_alg_mask_t eddsa = m2_alg_mask_of(M2_FAMILY_EDDSA);

    return m2_alg_mask_names(pool, jwk->algs & eddsa ? jwk->algs | eddsa : jwk->algs);
}

m2_code_t m2_jwk_check_private(m2_jwk_reader_t *r)
{
    apr_size_t i;

    for (i = 0; i < M2_RSA_MEMBERS; i++) {
        if (m2_rsa_members[i].is_private && m2_jwk_member(r, m2_rsa_members[i].name)) {
            r->is_private = 1;
        }
    }
    if (r->is_private && !(r->flags & M2_JWK_PRIVATE)) {
        return m2_err_set(r->err, M2_E_CONFIG,
                          "it is a private key where a public one belongs");
    }
    if (!r->is_private && !(r->flags & M2_JWK_PUBLIC)) {
        return m2_err_set(r->err, M2_E_CONFIG, "it is not a private key");
    }
    return M2_OK;
}

/* --- making --- */

static EVP_PKEY *generate_pkey(const m2_alg_t *alg, int bits)
{
    if (alg->family == M2_FAMILY_ECDSA) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", alg->group);
    }
    if (alg->family == M2_FAMILY_EDDSA) {
        const int is_448 = bits == 448 || m2_slice_is(m2_slice_z(alg->name), "Ed448");

        return EVP_PKEY_Q_keygen(NULL, NULL, is_448 ? "ED448" : "ED25519");
    }
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)(bits ? bits : M2_MIN_RSA_BITS));
}

static m2_code_t generate_secret(m2_jwk_reader_t *r, const m2_alg_t *alg, int bits)
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
    return m2_jwk_take_secret(r, m2_slice((const char *)secret, n));
}

m2_code_t m2_jwk_generate(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_alg_t *alg,
                          int bits, const char *kid, m2_err_t *err)
{
    m2_jwk_reader_t r = {
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
                                         : m2_jwk_take_pkey(&r, generate_pkey(alg, bits));
    ERR_clear_error();
    if (code == M2_OK) {
        *pjwk = r.jwk;
    }
    return code;
}
