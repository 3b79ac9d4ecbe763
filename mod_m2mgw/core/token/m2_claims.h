/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Policy against claims at a given time. A configured value implies a required claim: a
 * token without `iss` does not pass where an issuer is named.
 */
#ifndef M2_CLAIMS_H
#define M2_CLAIMS_H

#include "text/m2_json.h"

/* one M2MRequireClaim */
typedef struct m2_require_t {
    const char *name;                 /* a claim path */
    const apr_array_header_t *values; /* of const char *; empty: must only exist */
} m2_require_t;

typedef struct m2_claims_policy_t {
    const apr_array_header_t *issuers;   /* of const char *, NULL or empty: not checked */
    const apr_array_header_t *bound;     /* likewise: those that keys are bound to, accepted in
                                            addition; NULL where issuers is the whole list */
    const apr_array_header_t *audiences; /* likewise */
    const apr_array_header_t *requires;  /* of m2_require_t, or NULL */
    const apr_array_header_t *scopes;    /* M2MScopeClaim, of const char *; NULL: scope scp */
    apr_int64_t leeway;                  /* seconds */
    apr_int64_t max_age;                 /* seconds since iat; negative: off */
    apr_int64_t max_lifetime;            /* seconds from iat (or now) to exp; 0: off */
    int ignore_expiration;               /* exp neither required nor checked */
    int need_exp;                        /* required and checked although ignored (replay) */
} m2_claims_policy_t;

/* The times of a token, read once; a cached token is checked by these alone. */
typedef struct m2_times_t {
    double exp, nbf, iat; /* seconds; only where the has_ member is set */
    int has_exp, has_nbf, has_iat;
} m2_times_t;

/** Read exp, nbf and iat: each absent or a NumericDate, else M2_E_CLAIM_INVALID. An exp that
 *  the policy ignores is not read. */
m2_code_t m2_times_read(m2_times_t *times, const m2_json_t *claims,
                        const m2_claims_policy_t *policy, m2_err_t *err);

/** Check times at now: M2_E_CLAIM_MISSING, M2_E_EXPIRED (now >= exp + leeway, RFC 7519
 *  4.1.4), M2_E_NOT_YET_VALID (nbf or iat ahead of now + leeway), M2_E_TOO_OLD,
 *  M2_E_CLAIM_INVALID for a token that lives longer than max_lifetime. */
m2_code_t m2_times_check(const m2_times_t *times, const m2_claims_policy_t *policy,
                         apr_time_t now, m2_err_t *err);

/** Issuer, audience and required claims that are not scope claims; nothing here depends on the
 *  time. */
m2_code_t m2_claims_check(const m2_json_t *claims, const m2_claims_policy_t *policy,
                          m2_err_t *err);

/** Refuse with code and a sentence that shows the value found, as JSON, and the values that are
 *  accepted (of const char *), both cut where they are long. found may be NULL (absent). */
m2_code_t m2_claims_refuse(m2_err_t *err, m2_code_t code, const char *name,
                           const m2_json_t *found, const apr_array_header_t *accepted);

/** Required scope claims: M2_E_INSUFFICIENT_SCOPE, with *pmissing the values of the line that
 *  is not satisfied, blank-separated in pool (NULL where it names none). Apart, since such a
 *  token is good and only grants too little: it is judged behind all that may revoke it. */
m2_code_t m2_claims_check_scopes(const char **pmissing, apr_pool_t *pool,
                                 const m2_json_t *claims, const m2_claims_policy_t *policy,
                                 m2_err_t *err);

/** Whether claims hold name, with one of values unless empty: equal in text, or element of an
 *  array; where name is one of scopes (M2MScopeClaim), granted by any of those. Shared by
 *  M2MRequireClaim and Require. */
int m2_claim_matches(const m2_json_t *claims, const m2_require_t *require,
                     const apr_array_header_t *scopes);

#endif /* M2_CLAIMS_H */
