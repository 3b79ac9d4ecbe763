/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A token that a client introspects (RFC 7662) or revokes (RFC 7009): whether this server issued
 * it and it has not expired. The caller checks whether it was revoked and whether the client may
 * ask.
 */
#ifndef M2_INSPECT_H
#define M2_INSPECT_H

#include "key/m2_keyset.h"
#include "text/m2_json.h"

/* what we know a token by */
typedef struct m2_inspect_rules_t {
    const char *issuer;
    const m2_keyset_t *keys; /* all that we publish */
    apr_time_t now;
} m2_inspect_rules_t;

/* a token of ours that still counts, unless it was revoked */
typedef struct m2_inspected_t {
    const m2_json_t *claims;
    const char *audience, *client, *jti;
    const char *kid; /* of the key that signed it */
    apr_int64_t exp; /* seconds */
} m2_inspected_t;

/**
 * M2_OK with *token filled in pool: signed by one of our keys as an access token (`typ`
 * at+jwt, RFC 9068), iss is ours, aud, client_id, jti and exp are there, exp is ahead and nbf
 * is not. Else a reason: nothing of it is to be believed.
 */
m2_code_t m2_inspect(m2_inspected_t *token, apr_pool_t *pool, m2_slice_t text,
                     const m2_inspect_rules_t *rules, m2_err_t *err);

/** What introspection tells of a token that counts: iss aud sub client_id scope exp iat nbf jti
 *  token_type cnf, as far as the token has them (RFC 7662 2.2). */
const m2_json_t *m2_inspect_document(apr_pool_t *pool, const m2_inspected_t *token);

/** `{"active":false}` and nothing else. */
const m2_json_t *m2_inspect_nothing(apr_pool_t *pool);

#endif /* M2_INSPECT_H */
