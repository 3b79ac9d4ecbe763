/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A token against a set of keys: which may have signed it, and whether one of them did.
 */
#ifndef M2_VERIFY_H
#define M2_VERIFY_H

#include "key/m2_keyset.h"
#include "token/m2_jws.h"

/**
 * Choose by the token's kid, x5t#S256, x5t and, where keys are bound to issuers, its `iss`
 * (which is believed for nothing else), and verify. jws went through m2_jws_header. allowed is
 * the policy's mask. *ptries is how many signatures were checked: M2_MAX_TRIES at most, and
 * more than one only for a token that names no key.
 *
 * M2_OK with *pjwk; the codes of m2_keyset_find and m2_jws_verify. Thread-safe.
 */
m2_code_t m2_jws_verify_with(const m2_jwk_t **pjwk, int *ptries, m2_jws_t *jws,
                             apr_pool_t *pool, const m2_keyset_t *set, m2_alg_mask_t allowed,
                             m2_err_t *err);

#endif /* M2_VERIFY_H */
