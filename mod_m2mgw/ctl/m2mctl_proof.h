/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a request shows beside its token, for verify and explain: a proof of possession, a
 * client certificate.
 */
#ifndef M2MCTL_PROOF_H
#define M2MCTL_PROOF_H

#include "ctl/m2mctl_force.h"

typedef struct m2mctl_shown_t {
    const char *constraint, *proof, *cert;
    apr_array_header_t *public_urls;
    m2mctl_number_t window;
} m2mctl_shown_t;

extern const m2mctl_option_t m2mctl_shown_options[];

/* a request as a proof has to be made for it, and what came with the token */
typedef struct m2mctl_presented_t {
    m2_presented_t presented; /* its baton is this very struct */
    m2_slice_t proof;         /* absent without one */
    const char *method;
    apr_array_header_t *targets;
    const char *x5t; /* of the certificate; NULL: none */
} m2mctl_presented_t;

/** Read what the options say (proof: of the request, where --proof does not say it; or NULL),
 *  and set how force takes tokens (M2MSenderConstraint and M2MDPoP, where they do not come from
 *  a dump). url is that of the request, or NULL. 0, or M2MCTL_USAGE after saying why. */
int m2mctl_present(m2mctl_presented_t *p, m2mctl_t *ctl, m2mctl_force_t *force,
                   const m2mctl_shown_t *o, const char *proof, const char *method,
                   const char *url);

/** Whether anything was shown. */
int m2mctl_is_shown(const m2mctl_presented_t *p);

#endif /* M2MCTL_PROOF_H */
