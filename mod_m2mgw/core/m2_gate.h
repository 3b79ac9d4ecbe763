/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The whole decision, over plain structs: a policy an administrator wrote, a token somebody
 * found, facts somebody answers. First the token half (once per token and policy), then the
 * rules half (again for every URI, method or query the server makes of the request), and
 * when both passed the token is spent, where replay is prevented.
 */
#ifndef M2_GATE_H
#define M2_GATE_H

#include "m2_claims.h"
#include "m2_jws.h"
#include "m2_keyring.h"
#include "m2_publish.h"
#include "m2_rules.h"

typedef enum m2_replay_use_t { M2_REPLAY_OFF, M2_REPLAY_ON, M2_REPLAY_OBSERVE } m2_replay_use_t;

/* What is in force for a request, defaults resolved; pointers live as long as the
 * configuration, so two policies are the same when their bytes are (zero it before use). */
struct m2_policy_t {
    const m2_keyring_t *keys;          /* NULL: no keys in force, no token is looked for */
    m2_alg_mask_t algs;                /* all ones: what the key can do */
    const apr_array_header_t *types;   /* M2MTokenType */
    m2_claims_policy_t claims;
    const apr_array_header_t *user_claims; /* of const char *, never NULL */
    const m2_mapping_t *mapping;       /* NULL: nothing is published */
    const m2_rules_t *rules;           /* NULL: none */
    int bypass_empty;
    m2_replay_use_t replay;
};

/** Mark a token as spent, once and for all: M2_OK the first time, M2_E_JTI_REPLAYED,
 *  M2_E_REPLAY_UNAVAILABLE. There is no way to ask without marking. */
typedef m2_code_t m2_spend_fn(const m2_verdict_t *verdict, void *baton, m2_err_t *err);

/** A token names a kid that the set of that generation does not hold: whether the ring may
 *  hold it by now, so that it is worth to choose once more. May wait. */
typedef int m2_missing_fn(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                          void *baton);

/* services of the host that the gate uses; NULL members are not available */
typedef struct m2_services_t {
    m2_spend_fn *spend;
    void *spend_baton;
    struct m2_cache_t *cache; /* verified-token cache of this process, or NULL */
    m2_missing_fn *missing;
    void *missing_baton;
} m2_services_t;

/* What became of a request. The token half lives in the initial request's pool. */
struct m2_verdict_t {
    m2_code_t code;             /* M2_OK, M2_BYPASS or the reason of the refusal */
    m2_err_t err;               /* its sentence, for log and X-Ca-Error-Message */
    int cached;                 /* the token half came from the verified-token cache */
    int verified;               /* a token was verified (claims, kid, alg, user are set) */
    const m2_json_t *claims;    /* NULL without a verified token */
    const char *kid;            /* of the key used, or NULL */
    const char *alg;
    const char *user;           /* NULL: none of M2MUserClaim is there */
    m2_times_t times;
    apr_array_header_t *publish; /* of m2_publish_t: M2MClaim targets */
    apr_array_header_t *env;     /* of m2_publish_t: M2M_CLAIM_* */
    const m2_rule_t *rule;       /* rule that decided, or NULL */
    m2_refusal_t refusal;        /* with M2_E_RULE_DENIED */
};

/**
 * The token half: split, header, key, signature, claims, times, presence of jti where replay
 * is prevented, what to publish. token "there is none": M2_E_TOKEN_MISSING or M2_BYPASS.
 * verdict is zeroed by the caller and filled here; it, and all it points to, lives in pool.
 * Returns verdict->code.
 */
m2_code_t m2_gate_token(m2_verdict_t *verdict, apr_pool_t *pool, const m2_policy_t *policy,
                        m2_slice_t token, apr_time_t now, const m2_services_t *services);

/** The rules half; only called when the token half passed (or in Shadow, whatever it said).
 *  Fills code, err, rule and refusal of verdict. */
m2_code_t m2_gate_rules(m2_verdict_t *verdict, const m2_policy_t *policy, m2_facts_t *facts);

/** Spend the token of a verdict that passed: once per token and initial request, after the
 *  rules, so that a refused request costs the caller nothing. Observe never refuses. Does
 *  nothing where replay is off or nothing was verified. */
m2_code_t m2_gate_spend(m2_verdict_t *verdict, const m2_policy_t *policy,
                        const m2_services_t *services);

#endif /* M2_GATE_H */
