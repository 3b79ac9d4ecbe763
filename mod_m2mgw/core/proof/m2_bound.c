/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * First what the token says, then what the policy wants it to say, then the proofs: a request
 * is asked for a proof only once it is known of what.
 */
#include "proof/m2_bound.h"

static m2_code_t missing(m2_err_t *err, const char *why)
{
    return m2_err_set(err, M2_E_PROOF_MISSING, "%s", why);
}

/* What has to be named, and how the token has to come for it. */
static m2_code_t check_cnf(const m2_cnf_t *cnf, m2_constraint_t constraint, int as_dpop,
                           m2_err_t *err)
{
    if (cnf->present && !cnf->jkt.p && !cnf->x5t.p) {
        return missing(err, "the claim cnf names nothing that can be proven here");
    }
    if (cnf->jkt.p && !as_dpop) {
        return missing(err, "the token is bound to a key, and came as a bearer token");
    }
    if (!cnf->jkt.p && as_dpop) {
        return m2_err_set(err, M2_E_PROOF_UNBOUND,
                          "the token is not bound to a key, and came under the scheme DPoP");
    }
    if (constraint == M2_CONSTRAINT_DPOP && !cnf->jkt.p) {
        return missing(err, "the token has no cnf.jkt");
    }
    if (constraint == M2_CONSTRAINT_MTLS && !cnf->x5t.p) {
        return missing(err, "the token has no cnf.x5t#S256");
    }
    return constraint == M2_CONSTRAINT_ANY && !cnf->present
               ? missing(err, "the token is not bound to anything")
               : M2_OK;
}

static m2_code_t check_proof(m2_proof_t *proof, apr_pool_t *pool,
                             const m2_proof_policy_t *policy, m2_slice_t jkt,
                             m2_slice_t token, const char *ath,
                             const m2_presented_t *presented, apr_time_t now, m2_err_t *err)
{
    m2_proof_request_t request;

    memset(&request, 0, sizeof(request));
    presented->proof(&request, presented->baton);
    request.token = token;
    request.ath = ath;
    request.jkt = jkt;
    return m2_proof_check(proof, pool, policy, &request, now, err);
}

static m2_code_t check_certificate(m2_slice_t x5t, const m2_presented_t *presented,
                                   m2_err_t *err)
{
    const char *shown = presented ? presented->certificate(presented->baton) : NULL;

    if (!shown) {
        return m2_err_set(err, M2_E_CERT_MISMATCH,
                          "the token is bound to a client certificate, and none was shown");
    }
    return m2_slice_is(x5t, shown)
               ? M2_OK
               : m2_err_set(err, M2_E_CERT_MISMATCH,
                            "the token is bound to another client certificate");
}

m2_code_t m2_bound_check(m2_proof_t *proof, apr_pool_t *pool, const m2_bound_policy_t *policy,
                         const m2_json_t *claims, m2_slice_t token, const char *ath,
                         const m2_presented_t *presented, apr_time_t now, m2_err_t *err)
{
    m2_code_t code;
    m2_cnf_t cnf;

    memset(proof, 0, sizeof(*proof));
    if (policy->constraint == M2_CONSTRAINT_OFF) {
        return M2_OK;
    }
    code = m2_cnf_read(&cnf, claims, err);
    if (code == M2_OK) {
        code = check_cnf(&cnf, policy->constraint, presented && presented->as_dpop, err);
    }
    if (code == M2_OK && cnf.jkt.p) {
        code = check_proof(proof, pool, &policy->proof, cnf.jkt, token, ath, presented, now, err);
    }
    return code == M2_OK && cnf.x5t.p ? check_certificate(cnf.x5t, presented, err) : code;
}
