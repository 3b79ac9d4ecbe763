/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the m2_jwk*.c files: one key on its way in, and the tables that reading and
 * writing share. Every way to a key ends in m2_jwk_take_pkey() or m2_jwk_take_secret(), which
 * ask the key itself what it can do; what a document says about it only narrows.
 */
#ifndef M2_JWK_INT_H
#define M2_JWK_INT_H

#include "key/m2_jwk.h"

#define M2_MAX_COORDINATE 66 /* bytes of a P-521 coordinate */
#define M2_MAX_OKP 57        /* bytes of an Ed448 key */

/* one key on its way in */
typedef struct m2_jwk_reader_t {
    apr_pool_t *pool;
    const m2_json_t *json;
    int flags;
    int is_private; /* the document holds a private part */
    m2_jwk_t *jwk;
    m2_err_t *err;
} m2_jwk_reader_t;

/* RFC 7518 6.3: members of an RSA key and what OpenSSL calls them. */
typedef struct m2_rsa_member_t {
    const char *name, *param;
    int is_private;
} m2_rsa_member_t;

#define M2_RSA_MEMBERS 8
extern const m2_rsa_member_t m2_rsa_members[M2_RSA_MEMBERS];

/* RFC 7518 6.2.1.1 and RFC 8037 2: a curve, its OpenSSL name and the bytes of a member */
typedef struct m2_curve_t {
    const char *crv, *kty, *name;
    apr_size_t size;
} m2_curve_t;

#define M2_CURVES 5
extern const m2_curve_t m2_curves[M2_CURVES];

/** A member of r->json; NULL if absent, or JSON null. */
const m2_json_t *m2_jwk_member(const m2_jwk_reader_t *r, const char *name);

/** Set the thumbprints of a key's certificate from its DER, where the key states none. */
void m2_jwk_take_certificate(m2_jwk_reader_t *r, m2_slice_t der);

/** The curve of an EC or Ed key, NULL for every other. */
const m2_curve_t *m2_curve_of(const EVP_PKEY *pkey);

/** Whether a private part, r->is_private or any member of r->json, may be there. A private
 *  part in a verifier's configuration is a secret in the wrong place: any of its members
 *  counts, readable or not. */
m2_code_t m2_jwk_check_private(m2_jwk_reader_t *r);

/** Take ownership of pkey (NULL: OpenSSL refused it) and say what it can do. */
m2_code_t m2_jwk_take_pkey(m2_jwk_reader_t *r, EVP_PKEY *pkey);

/** Likewise of a secret that lives in r->pool. RFC 7518 3.2: a key as long as the hash, or
 *  longer. */
m2_code_t m2_jwk_take_secret(m2_jwk_reader_t *r, m2_slice_t secret);

#endif /* M2_JWK_INT_H */
