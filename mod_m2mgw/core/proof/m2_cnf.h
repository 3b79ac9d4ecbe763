/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The claim `cnf` (RFC 7800): whose key a token is bound to. Known members are `jkt` (RFC 9449
 * 6.1, thumbprint of a public key) and `x5t#S256` (RFC 8705 3.1, hash of a certificate).
 */
#ifndef M2_CNF_H
#define M2_CNF_H

#include "text/m2_json.h"

#define M2_THUMBPRINT 43 /* characters of a SHA-256 in base64url */

typedef struct m2_cnf_t {
    int present;    /* the token has the claim: it is bound to a key */
    m2_slice_t jkt; /* absent without that member */
    m2_slice_t x5t;
} m2_cnf_t;

/** Read it from the claims of a verified token. M2_E_CLAIM_INVALID where it is not an object,
 *  or a known member is not a thumbprint. Slices are borrowed from claims. */
m2_code_t m2_cnf_read(m2_cnf_t *cnf, const m2_json_t *claims, m2_err_t *err);

#endif /* M2_CNF_H */
