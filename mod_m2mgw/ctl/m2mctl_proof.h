/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a request shows beside its token, for verify, explain and test: the scheme, a proof of
 * possession, a client certificate. The core judges it, as in the gateway.
 */
#ifndef M2MCTL_PROOF_H
#define M2MCTL_PROOF_H

#include "ctl/m2mctl_force.h"

typedef struct m2mctl_shown_t {
    const char *constraint, *proof, *cert, *scheme, *nonce_key;
    apr_array_header_t *public_urls, *algs;
    m2mctl_number_t window;
    int nonce;
} m2mctl_shown_t;

extern const m2mctl_option_t m2mctl_bound_options[]; /* how tokens are taken */
extern const m2mctl_option_t m2mctl_shown_options[]; /* what is shown with one; same struct */

/* a request as a proof has to be made for it, and what came with the token */
typedef struct m2mctl_presented_t {
    m2_presented_t presented; /* its baton is this very struct */
    m2_slice_t proof;         /* absent without one */
    const char *method;
    apr_array_header_t *targets;
    const char *x5t; /* of the certificate; NULL: none */
    m2_slice_t nonce_key;
    int nonce_wanted; /* the policy asks for one */
    int nonce_unknown; /* the proof has one that cannot be judged here */
} m2mctl_presented_t;

/* A request in options: NULL for what there is none of. */
typedef struct m2mctl_shape_t {
    m2mctl_facts_t *request; /* whose headers count where options say nothing */
    const char *method, *url;
} m2mctl_shape_t;

/** Read what comes with a token. A token counts as one under the scheme DPoP if there is a proof,
 *  until m2mctl_present_as. Headers of a certificate that the gateway would remove go out of the
 *  request. 0, or M2MCTL_USAGE after saying why. */
int m2mctl_present(m2mctl_presented_t *p, m2mctl_t *ctl, m2mctl_force_t *force,
                   const m2mctl_shown_t *o, const m2mctl_shape_t *shape);

/** The token came under that scheme, as far as its text says; --scheme is stronger. */
void m2mctl_present_as(m2mctl_presented_t *p, const m2mctl_shown_t *o, m2mctl_scheme_t scheme);

/** What the proof is made for: the first URL; NULL if it is not known. */
const char *m2mctl_target(const m2mctl_presented_t *p);

/** What a check of the proof came to, in a few words. */
const char *m2mctl_step_text(const m2mctl_presented_t *p, m2_proof_step_t step);

#endif /* M2MCTL_PROOF_H */
