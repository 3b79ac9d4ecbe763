/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Whether a verified token comes from its owner: what its claim cnf names is proven by the
 * request, and what the policy wants to be named is there (RFC 9449 7, RFC 8705 3). None of this
 * is cached with a token: every request must prove it again.
 */
#ifndef M2_BOUND_H
#define M2_BOUND_H

#include "proof/m2_cnf.h"
#include "proof/m2_proof.h"

typedef enum m2_constraint_t { /* ORDER CONSTRAINT: M2MSenderConstraint */
    M2_CONSTRAINT_OFF,  /* cnf is not looked at */
    M2_CONSTRAINT_AUTO, /* what cnf names has to be proven, none is asked for */
    M2_CONSTRAINT_DPOP, /* there has to be a jkt */
    M2_CONSTRAINT_MTLS, /* there has to be an x5t#S256 */
    M2_CONSTRAINT_ANY   /* there has to be one of them */
} m2_constraint_t;

/* How a section takes tokens, defaults resolved. Part of a policy: compared by its bytes. */
typedef struct m2_bound_policy_t {
    m2_constraint_t constraint;
    m2_proof_policy_t proof;
    int observe;              /* a proof that is used again is recorded, not refused */
    const void *public_urls;  /* the host's: what a proof has to be made for */
    const void *certificate;  /* the host's: where a certificate comes from */
} m2_bound_policy_t;

/* What the request that brought a token shows besides. The host fills in only what is asked. */
typedef struct m2_presented_t {
    int as_dpop; /* the token came under the scheme `DPoP` in a header */
    /** Fill in proof, fields, method, targets, nonce_key and nonce_role of *request. */
    void (*proof)(m2_proof_request_t *request, void *baton);
    /** Thumbprint of the client's certificate, or NULL. */
    const char *(*certificate)(void *baton);
    void *baton;
} m2_presented_t;

/**
 * Judge the claims of a verified token, whose hash is ath if that is known (else ""), against
 * what came with it; presented NULL is a bearer
 * token with nothing. *proof is zeroed, and filled where a proof was checked.
 * M2_OK, M2_E_CLAIM_INVALID, M2_E_PROOF_MISSING, M2_E_PROOF_INVALID, M2_E_PROOF_UNBOUND,
 * M2_E_PROOF_NONCE, M2_E_CERT_MISMATCH. Where a proof passed (proof->jti is set) the caller
 * spends it.
 */
m2_code_t m2_bound_check(m2_proof_t *proof, apr_pool_t *pool, const m2_bound_policy_t *policy,
                         const m2_json_t *claims, m2_slice_t token, const char *ath,
                         const m2_presented_t *presented, apr_time_t now, m2_err_t *err);

#endif /* M2_BOUND_H */
