/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One key (RFC 7517, RFC 8037, PEM), parsed once while configuration or a key set is read,
 * with the mask of algorithms it can do: from type, curve and size, narrowed by `use`,
 * `key_ops` and `alg`. A token's `alg` must be in that mask, so an RSA key cannot be found
 * for HS256, whatever the token says. A key is immutable and may be used by all threads.
 *
 * The room key decides what a key can do and which of a set may verify. Never knows a
 * token's claims, nor where a set came from.
 */
#ifndef M2_JWK_H
#define M2_JWK_H

#include "key/m2_alg.h"
#include "text/m2_json.h"

#include <openssl/types.h>

struct m2_jwk_t {
    const char *kid;      /* NULL or never empty */
    const char *kty;      /* RSA EC OKP oct */
    m2_alg_mask_t algs;   /* never 0 */
    EVP_PKEY *pkey;       /* NULL for oct; freed by a cleanup of the key's pool */
    m2_slice_t secret;    /* oct only; cleansed by a cleanup of the key's pool */
    struct m2_kept_t *kept; /* contexts for verifying and signing; NULL for oct */
    int bits;
    int is_private;       /* holds a private part */
    const char *alg;      /* the JWK's own `alg`, or NULL */
    const char *x5t, *x5t256; /* thumbprints of its certificate, base64url, or NULL */
    const char *issuer;   /* it verifies only tokens of that `iss`; NULL: of any */
    const char *odd;      /* what about its text was odd and harmless, or NULL */
    const char *origin;   /* the file, URL or issuer it came from; NULL: it was configured */
};

/* what a reader of keys accepts */
#define M2_JWK_PUBLIC 0x1  /* asymmetric public keys only where a public one belongs: a
                              private part is an error */
#define M2_JWK_PRIVATE 0x2 /* private parts are read (signing) */
#define M2_JWK_OCT 0x4     /* symmetric keys are read; never set for fetched documents */
#define M2_JWK_QUIET 0x8   /* m2_keyset_parse logs nothing: another process did already */
#define M2_JWK_NAMELESS 0x10 /* no thumbprint is asked for, and no certificate read */

/**
 * From a JWK object as the world publishes them: a member that is null is absent; an empty
 * `key_ops`, `oth` or `x5c` says nothing; n, e, x and y may be padded or in the standard
 * alphabet (jwk->odd says so), EC coordinates may lack leading zeros.
 *
 * M2_OK; M2_E_KEY_SKIPPED for what RFC 7517 5 wants ignored (`use` other than sig and jwt-svid,
 * `key_ops` without verify, unknown kty, crv or alg), with the reason in err;
 * M2_E_CONFIG for a key that is wrong: malformed members, too small, a private part where a
 * public key belongs, `oct` without M2_JWK_OCT, an `alg` of ours that the key cannot do.
 * The key lives in pool.
 */
m2_code_t m2_jwk_from_json(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_json_t *json,
                           int flags, m2_err_t *err);

/** From `kty=RSA e=AQAB n=... kid=K1` words: blank-separated NAME=VALUE, each once. */
m2_code_t m2_jwk_from_words(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t words, int flags,
                            m2_err_t *err);

/** Whether a member of this name is one or more texts (RFC 7517 4, RFC 7518 6, RFC 8037 2). */
int m2_jwk_is_word(const char *name);

/** From the first PEM block of text: SubjectPublicKeyInfo, X.509 certificate, or with
 *  M2_JWK_PRIVATE an unencrypted private key. kid and alg may be NULL. */
m2_code_t m2_jwk_from_pem(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t text,
                          const char *kid, const char *alg, int flags, m2_err_t *err);

/** The names of what a key can do: those of its mask, and EdDSA for either curve of it. */
const char *m2_jwk_alg_names(apr_pool_t *pool, const m2_jwk_t *jwk);

/** RFC 7638 SHA-256 thumbprint, base64url, in pool. */
const char *m2_jwk_thumbprint(apr_pool_t *pool, const m2_jwk_t *jwk);

/** The JWK of a key; with_private adds the private members. kid and alg are written when
 *  set, `use` is sig. NULL when OpenSSL refuses. */
m2_json_t *m2_jwk_to_json(apr_pool_t *pool, const m2_jwk_t *jwk, int with_private);

/** PEM text: SubjectPublicKeyInfo, or PKCS#8 with with_private. NULL for oct. */
const char *m2_jwk_to_pem(apr_pool_t *pool, const m2_jwk_t *jwk, int with_private);

/** A fresh key for one algorithm (bits: RSA modulus bits or 0 for 2048; HMAC: 0 for the
 *  hash size; EdDSA: 448 for Ed448, else Ed25519; Ed25519 and Ed448 say it themselves). */
m2_code_t m2_jwk_generate(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_alg_t *alg, int bits,
                          const char *kid, m2_err_t *err);

#endif /* M2_JWK_H */
