/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The two plain structs a decision goes between: the policy an administrator wrote, and the
 * verdict on a request.
 */
#ifndef M2_VERDICT_H
#define M2_VERDICT_H

#include "proof/m2_bound.h"
#include "token/m2_claims.h"
#include "key/m2_jwk.h"
#include "token/m2_publish.h"
#include "rules/m2_rules.h"

typedef enum m2_replay_use_t { M2_REPLAY_OFF, M2_REPLAY_ON, M2_REPLAY_OBSERVE } m2_replay_use_t;

/* What is in force for a request, defaults resolved; pointers live as long as the
 * configuration, so two policies are the same when their bytes are (zero it before use). */
struct m2_policy_t {
    const m2_keyring_t *keys;          /* NULL: no keys in force, no token is looked for */
    const m2_keyring_t *revocation;    /* lists of revoked tokens; NULL: none */
    m2_alg_mask_t algs;                /* all ones: what the key can do */
    const apr_array_header_t *types;   /* M2MTokenType */
    m2_claims_policy_t claims;
    const apr_array_header_t *user_claims; /* of const char *, never NULL */
    const m2_mapping_t *mapping;       /* NULL: nothing is published */
    const m2_rules_t *rules;           /* NULL: none */
    int bypass_empty;
    m2_replay_use_t replay;
    m2_bound_policy_t bound;           /* M2MSenderConstraint and what goes with it */
};

/* What follows from a token and a policy alone; kept with a token that comes again. */
typedef struct m2_settled_t {
    int scopes;           /* it grants what M2MRequireClaim wants of scope claims */
    int unbound;          /* it has no claim cnf */
    char ath[M2_THUMBPRINT + 1]; /* its hash, if it is bound to a key and asks for proofs; or "" */
    m2_rules_rest_t rest; /* the rules that are left to ask */
} m2_settled_t;

/* What became of a request. The token half lives in the initial request's pool. */
struct m2_verdict_t {
    m2_code_t code;             /* M2_OK, M2_BYPASS or the reason of the refusal */
    m2_err_t err;               /* its sentence, for log and X-Ca-Error-Message */
    int cached;                 /* the token half came from the verified-token cache */
    apr_uint64_t *sought;       /* from the cache: for m2_revocations_check; else NULL */
    int verified;               /* a token was verified (claims, kid, alg, user are set) */
    const m2_json_t *claims;    /* NULL without a verified token */
    const char *missing_scope;  /* with M2_E_INSUFFICIENT_SCOPE: what is wanted, or NULL */
    const char *kid;            /* of the key used, or NULL */
    const char *alg;
    int tries;                  /* signatures that were checked; 0 from the cache */
    const char *user;           /* NULL: none of M2MUserClaim is there */
    struct {
        const char *iss, *client, *kid, *alg;
    } was;                      /* with M2_E_REVOKED: whose token it was, for the log */
    m2_times_t times;
    m2_proof_t proof;           /* of possession; jti is set where it is to be spent */
    apr_array_header_t *publish; /* of m2_publish_t: M2MClaim targets */
    apr_array_header_t *env;     /* of m2_publish_t: M2M_CLAIM_* */
    const m2_settled_t *settled; /* of a token from the cache; else NULL */
    const m2_rule_t *rule;       /* rule that decided, or NULL */
    apr_array_header_t *shadowed; /* of m2_shadowed_t: what rules in shadow would have done */
    m2_refusal_t refusal;        /* with M2_E_RULE_DENIED */
};

#endif /* M2_VERDICT_H */
