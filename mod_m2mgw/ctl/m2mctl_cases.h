/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A table of requests and what is expected of each, as `m2mctl test` reads it:
 *
 *   cases:
 *     - name: a reader reads
 *       now: 1767225600
 *       request: { method: GET, url: /orders/7, headers: { X-Team: a }, address: 192.0.2.1 }
 *       claims: { iss: https://idp, aud: api, scope: orders:read }
 *       expect: { decision: allow }
 */
#ifndef M2MCTL_CASES_H
#define M2MCTL_CASES_H

#include "ctl/m2mctl_verb.h"

typedef struct m2mctl_case_t {
    const char *name;
    int line;                    /* in its file */
    m2mctl_request_t request;
    const m2_json_t *claims;     /* NULL: none */
    const char *token;           /* NULL: none; `DPoP ` in front is its scheme */
    const char *bound;           /* DPoP, mTLS or both: claims are, and it is proven; or NULL */
    const char *certificate;     /* file of the client's certificate, or NULL */
    m2mctl_number_t now;
    const char *decision, *reason, *rule; /* NULL: whatever it is */
    m2mctl_number_t status;
} m2mctl_case_t;

/** Read cases (of m2mctl_case_t) from YAML or JSON. M2_E_CONFIG with line and column: a
 *  member that there is not, a case without expectation, claims and token at once. */
m2_code_t m2mctl_cases(apr_array_header_t **pcases, apr_pool_t *pool, m2_slice_t text,
                       m2_err_t *err);

#endif /* M2MCTL_CASES_H */
