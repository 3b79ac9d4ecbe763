/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A null claim is an absent one, as everywhere; within the object there is no such leniency:
 * who writes `"jkt": null` meant to bind the token, and did not.
 */
#include "proof/m2_cnf.h"

static int is_thumbprint(m2_slice_t text)
{
    apr_size_t i;

    if (!text.p || text.n != M2_THUMBPRINT) {
        return 0;
    }
    for (i = 0; i < text.n; i++) {
        const char c = text.p[i];

        if (!apr_isascii(c) || !(apr_isalnum(c) || c == '-' || c == '_')) {
            return 0;
        }
    }
    return 1;
}

static m2_code_t read_member(m2_slice_t *pvalue, const m2_json_t *cnf, const char *name,
                             m2_err_t *err)
{
    const m2_json_t *member = m2_json_get(cnf, name);

    if (!member) {
        return M2_OK;
    }
    *pvalue = m2_json_string(member);
    return is_thumbprint(*pvalue)
               ? M2_OK
               : m2_err_set(err, M2_E_CLAIM_INVALID,
                            "the member %s of cnf is not a SHA-256 in base64url", name);
}

m2_code_t m2_cnf_read(m2_cnf_t *cnf, const m2_json_t *claims, m2_err_t *err)
{
    const m2_json_t *claim = m2_json_get(claims, "cnf");
    m2_code_t code;

    memset(cnf, 0, sizeof(*cnf));
    if (!claim || m2_json_type(claim) == M2_JSON_NULL) {
        return M2_OK;
    }
    if (m2_json_type(claim) != M2_JSON_OBJECT) {
        return m2_err_set(err, M2_E_CLAIM_INVALID, "the claim cnf is not an object");
    }
    cnf->present = 1;
    code = read_member(&cnf->jkt, claim, "jkt", err);
    return code ? code : read_member(&cnf->x5t, claim, "x5t#S256", err);
}
