/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * PEM -> key, and back.
 */
#include "key/m2_jwk_int.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

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

static m2_code_t take_pem(m2_jwk_reader_t *r, const char *name, const char *header,
                          const unsigned char *der, long n)
{
    const struct label_t *label = label_of(name);
    m2_code_t code;

    if (!label) {
        return m2_err_set(
            r->err, M2_E_CONFIG,
            "its PEM block is not a public key, certificate or unencrypted private key");
    }
    if (*header) {
        return m2_err_set(r->err, M2_E_CONFIG, "encrypted private keys are not read");
    }
    r->is_private = label->is_private;
    r->json = NULL;
    code = m2_jwk_check_private(r);
    if (label->decode == public_of_certificate) {
        m2_jwk_take_certificate(r, m2_slice((const char *)der, (apr_size_t)n));
    }
    return code == M2_OK ? m2_jwk_take_pkey(r, label->decode(der, n)) : code;
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

static m2_code_t read_pem(m2_jwk_reader_t *r, m2_slice_t text)
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
    m2_jwk_reader_t r = { pool, NULL, flags, 0, apr_pcalloc(pool, sizeof(m2_jwk_t)), err };
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
