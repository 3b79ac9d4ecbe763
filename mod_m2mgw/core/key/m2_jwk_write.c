/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key -> JWK, and its thumbprint.
 */
#include "key/m2_jwk_int.h"

#include "text/m2_b64.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

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

    for (i = 0; i < (with_private ? M2_RSA_MEMBERS : 2); i++) {
        if (!write_number(json, pool, jwk, m2_rsa_members[i].name, m2_rsa_members[i].param, 0)
            && i < 3) { /* a key that came with d alone has no factors to write */
            return 0;
        }
    }
    return 1;
}

static int write_ec(m2_json_t *json, apr_pool_t *pool, const m2_jwk_t *jwk,
                    int with_private)
{
    const m2_curve_t *curve = m2_curve_of(jwk->pkey);

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
    unsigned char raw[M2_MAX_OKP];
    size_t n = sizeof(raw);

    m2_json_set_string(json, "crv", m2_curve_of(jwk->pkey)->crv);
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
