/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A token that names no key is tried with the few that may be meant. Only a signature that
 * does not fit leads to the next key; any other fault is the token's own.
 */
#include "token/m2_verify.h"

/* What the token says about its key. Thumbprints of another type than a string say nothing,
 * as they did before anybody looked at them. */
static m2_code_t wanted_of(m2_wanted_t *wanted, m2_jws_t *jws, apr_pool_t *pool,
                           const m2_keyset_t *set, m2_err_t *err)
{
    const m2_json_t *claims;
    m2_code_t code;

    wanted->kid = jws->kid;
    wanted->alg = jws->alg;
    wanted->x5t = m2_json_string(m2_json_get(jws->header, "x5t"));
    wanted->x5t256 = m2_json_string(m2_json_get(jws->header, "x5t#S256"));
    wanted->iss = m2_slice(NULL, 0);
    if (!m2_keyset_is_bound(set)) {
        return M2_OK;
    }
    code = m2_jws_payload(&claims, jws, pool, err);
    if (code == M2_OK) {
        wanted->iss = m2_json_string(m2_json_get(claims, "iss"));
    }
    return code;
}

m2_code_t m2_jws_verify_with(const m2_jwk_t **pjwk, int *ptries, m2_jws_t *jws,
                             apr_pool_t *pool, const m2_keyset_t *set, m2_alg_mask_t allowed,
                             m2_err_t *err)
{
    m2_candidates_t found;
    m2_wanted_t wanted;
    m2_err_t why;
    m2_code_t code;
    int i;

    *pjwk = NULL;
    *ptries = 0;
    wanted.allowed = allowed;
    code = wanted_of(&wanted, jws, pool, set, err);
    if (code == M2_OK) {
        code = m2_keyset_find(&found, set, &wanted, err);
    }
    if (code != M2_OK) {
        return code;
    }
    for (i = 0; i < found.n; i++) {
        m2_err_init(&why, pool);
        code = m2_jws_verify(jws, pool, found.keys[i], &why);
        ++*ptries;
        if (code == M2_OK) {
            *pjwk = found.keys[i];
            return M2_OK;
        }
        if (code != M2_E_SIGNATURE_INVALID) {
            return m2_err_set(err, code, "%s", why.text);
        }
    }
    return m2_err_set(err, code, "%s",
                      found.n > 1 ? "none of the keys that may have signed it verifies it"
                                  : why.text);
}
