/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The JWS algorithms there are (RFC 7518 3, RFC 8037 3.1, RFC 9864), one const row each. `none` has
 * no row, so nothing can ask for it. What a key can do is a mask over these rows.
 */
#ifndef M2_ALG_H
#define M2_ALG_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef apr_uint32_t m2_alg_mask_t;

typedef enum m2_alg_family_t {
    M2_FAMILY_RSA,     /* RSASSA-PKCS1-v1_5 */
    M2_FAMILY_RSA_PSS, /* RSASSA-PSS, salt as long as the hash */
    M2_FAMILY_ECDSA,   /* signature R||S of fixed length */
    M2_FAMILY_EDDSA,
    M2_FAMILY_HMAC
} m2_alg_family_t;

typedef struct m2_alg_t {
    const char *name;       /* as in the `alg` header, case-sensitive */
    m2_alg_mask_t bit;      /* EdDSA has two: that of Ed25519 and that of Ed448 */
    m2_alg_family_t family;
    const char *digest;     /* OpenSSL name, NULL for EdDSA */
    const char *group;      /* OpenSSL group name for ECDSA, else NULL */
    apr_size_t size;        /* ECDSA: bytes of R||S; HMAC: bytes of the tag; else 0 */
} m2_alg_t;

#define M2_ALGS 15 /* rows there are */

/** The row of that exact name, or NULL. */
const m2_alg_t *m2_alg_find(m2_slice_t name);

/** Rows by index 0.., NULL behind the last. */
const m2_alg_t *m2_alg_at(int i);

/** The index of a row. */
int m2_alg_index(const m2_alg_t *alg);

/** Add the named algorithm (any case, as directives are written) to *mask.
 *  M2_E_CONFIG with a text that lists the names there are. */
m2_code_t m2_alg_mask_add(m2_alg_mask_t *mask, const char *name, m2_err_t *err);

/** Blank-separated names of all algorithms there are. */
const char *m2_alg_names(apr_pool_t *pool);

/** Blank-separated names of a mask, each algorithm once. */
const char *m2_alg_mask_names(apr_pool_t *pool, m2_alg_mask_t mask);

/** Blank-separated, every name by which an algorithm of a mask may be called: what clients are
 *  told. EdDSA stands beside Ed25519 and Ed448 (RFC 9864), also if only one of them counts. */
const char *m2_alg_spellings(apr_pool_t *pool, m2_alg_mask_t mask);

/** All rows of a family. */
m2_alg_mask_t m2_alg_mask_of(m2_alg_family_t family);

#endif /* M2_ALG_H */
