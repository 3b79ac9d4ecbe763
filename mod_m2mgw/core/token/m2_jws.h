/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A compact JWS (RFC 7515 7.1): split without copying, header checks before any cryptography,
 * then one verification with a key that the caller chose. The caller goes split -> header ->
 * (choose key) -> verify -> payload, and stops at the first fault.
 *
 * The room token decides what a token says, whether that is true and acceptable, and
 * what a backend is told of it. Never knows the time but from its caller, nor the
 * request.
 */
#ifndef M2_JWS_H
#define M2_JWS_H

#include "key/m2_jwk.h"

struct m2_jws_t {
    m2_slice_t token;     /* whole, borrowed */
    m2_slice_t header64;  /* the three parts, borrowed from token */
    m2_slice_t payload64;
    m2_slice_t signature64;
    m2_slice_t signed_part; /* first byte to the second dot: what was signed */
    const m2_json_t *header; /* from here on filled by m2_jws_header, in its pool */
    m2_slice_t payload; /* decoded when first needed */
    const m2_json_t *claims; /* likewise parsed */
    const m2_alg_t *alg;
    m2_slice_t kid;       /* absent without a kid member */
    m2_slice_t typ;
};

/** Exactly two dots, no empty part, at most M2_MAX_TOKEN bytes; four dots is a JWE. */
m2_code_t m2_jws_split(m2_jws_t *jws, m2_slice_t token, m2_err_t *err);

/**
 * Decode and check the header: JSON object; `alg` a known algorithm; no `crit`, no `b64`
 * (RFC 7515 4.1.11, RFC 7797); kid and typ strings. Key material the token brings along
 * (jwk, jku, x5u, x5c) is not looked at. types, unless NULL or empty, are the media types
 * `typ` must be one of (const char *, any case, `application/` optional, RFC 7515 4.1.9).
 */
m2_code_t m2_jws_header(m2_jws_t *jws, apr_pool_t *pool, const apr_array_header_t *types,
                        m2_err_t *err);

/** Likewise for a JWT that brings its key along (RFC 9449): `kid` is not looked at, and `typ`
 *  is for the caller to judge. M2_E_ALG_NOT_ALLOWED where the algorithm is not known. */
m2_code_t m2_jws_header_unnamed(m2_jws_t *jws, apr_pool_t *pool, m2_err_t *err);

/** Whether `typ` is that media type, compared as RFC 7515 4.1.9 says; 0 without `typ`. */
int m2_jws_typ_is(const m2_jws_t *jws, const char *type);

/** Verify the signature with jwk, whose mask must hold jws->alg.
 *  M2_OK, M2_E_TOKEN_MALFORMED (signature or payload is not base64url), M2_E_ALG_NOT_ALLOWED,
 *  M2_E_SIGNATURE_INVALID. Leaves OpenSSL's error queue empty. */
m2_code_t m2_jws_verify(m2_jws_t *jws, apr_pool_t *pool, const m2_jwk_t *jwk,
                        m2_err_t *err);

/** Parse the payload, which must be a JSON object (RFC 7519 7.2). */
m2_code_t m2_jws_payload(const m2_json_t **pclaims, m2_jws_t *jws, apr_pool_t *pool,
                         m2_err_t *err);

/**
 * Make a compact JWS. header members `alg` (and `kid` when the key has one) are set here,
 * others may be in header (may be NULL). payload is signed as its bytes are.
 * M2_E_ALG_NOT_ALLOWED when the key cannot do alg, M2_E_INTERNAL when OpenSSL refuses.
 */
m2_code_t m2_jws_sign(const char **ptoken, apr_pool_t *pool, const m2_json_t *header,
                      m2_slice_t payload, const m2_jwk_t *jwk, const m2_alg_t *alg,
                      m2_err_t *err);

/** The header that m2_jws_sign would write, as base64url in pool: for one who signs many tokens
 *  by one key. */
const char *m2_jws_head(apr_pool_t *pool, const m2_json_t *header, const m2_jwk_t *jwk,
                        const m2_alg_t *alg);

/** As m2_jws_sign, with a head that m2_jws_head made for the same key and algorithm. */
m2_code_t m2_jws_sign_under(const char **ptoken, apr_pool_t *pool, const char *head,
                            m2_slice_t payload, const m2_jwk_t *jwk, const m2_alg_t *alg,
                            m2_err_t *err);

#endif /* M2_JWS_H */
