/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A JWT by which a client proves who it is (private_key_jwt, RFC 7523 2.2 and 3): signed by
 * a key registered for that very client, meant for us, short-lived, with an id. Whether the
 * id was seen before is the caller's to ask, once everything here has passed.
 */
#ifndef M2_ASSERTION_H
#define M2_ASSERTION_H

#include "token/m2_claims.h"
#include "token/m2_jws.h"
#include "key/m2_keyset.h"

#define M2_ASSERTION_LIFE 3600 /* seconds until exp at most: bounds the memory for ids */
#define M2_ASSERTION_LEEWAY 60 /* seconds, for exp, nbf and iat */
#define M2_ASSERTION_JTI 255   /* bytes of jti at most */

typedef struct m2_assertion_t {
    const char *client; /* sub and iss */
    const char *jti;
    double exp;         /* seconds; the id must be remembered until exp + leeway */
} m2_assertion_t;

/** The public keys registered for a client, NULL when there are none. */
typedef const m2_keyset_t *m2_client_keys_fn(const char *client, void *baton);

/** Some client's key that can do alg, always the same for one name; NULL when no client has
 *  such a key. */
typedef const m2_jwk_t *m2_client_decoy_fn(const char *client, const m2_alg_t *alg,
                                           void *baton);

/* what an assertion is checked against */
typedef struct m2_assertion_rules_t {
    m2_client_keys_fn *keys_of;
    m2_client_decoy_fn *decoy_of; /* NULL: response times may reveal which clients exist */
    void *baton;                  /* of both */
    const apr_array_header_t *audiences; /* names we go by, const char * */
    apr_time_t now;
} m2_assertion_rules_t;

/**
 * Check token. client_id is what the request says beside it, or NULL. M2_OK with *assertion
 * filled in pool, else a reason with a sentence in err that quotes nothing of the token;
 * assertion->client may be set then, as what the token says. Where the client has no key for
 * the token a signature is checked all the same, with the decoy, so that the time tells
 * nobody which clients there are.
 */
m2_code_t m2_assertion_check(m2_assertion_t *assertion, apr_pool_t *pool, m2_slice_t token,
                             const char *client_id, const m2_assertion_rules_t *rules,
                             m2_err_t *err);

#endif /* M2_ASSERTION_H */
