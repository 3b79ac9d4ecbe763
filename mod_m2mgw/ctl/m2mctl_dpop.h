/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Making proofs of possession (RFC 9449 4.2), for the verbs dpop and token.
 */
#ifndef M2MCTL_DPOP_H
#define M2MCTL_DPOP_H

#include "ctl/m2mctl_verb.h"

/* what a proof says; NULL or absent leaves a member out, or makes it random */
typedef struct m2mctl_made_t {
    const char *method, *url; /* of the request; query and fragment of url do not count */
    m2_slice_t token;         /* the access token it goes with */
    const char *nonce, *jti;  /* jti NULL: a random one */
    apr_int64_t iat;          /* seconds */
} m2mctl_made_t;

/** Read the one private key of a file and its algorithm: alg by name, or (NULL) the first that
 *  the key can do. M2_E_CONFIG with a sentence otherwise. The key has no kid. */
m2_code_t m2mctl_proof_key(m2_jwk_t **pkey, const m2_alg_t **palg, apr_pool_t *pool,
                           const char *path, const char *alg, m2_err_t *err);

/** A proof, in pool. M2_E_CONFIG when no proof can be made for the URL. */
m2_code_t m2mctl_proof_make(const char **pproof, apr_pool_t *pool, const m2_jwk_t *key,
                            const m2_alg_t *alg, const m2mctl_made_t *made, m2_err_t *err);

#endif /* M2MCTL_DPOP_H */
