/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The whole decision, over plain structs: a policy that an administrator wrote, a token that the
 * host found, facts that the host answers. First the token half (once per token and policy),
 * then the rules half (again for every URI, method or query the server makes of the request),
 * and when both passed the token is spent, where replay is prevented.
 *
 * The room gate decides: whether a request passes, and if not, why. Never knows httpd;
 * what it needs of a host it is handed.
 */
#ifndef M2_GATE_H
#define M2_GATE_H

#include "token/m2_jws.h"
#include "key/m2_keyring.h"
#include "gate/m2_verdict.h"

/** Mark a token as spent, once and for all: M2_OK the first time, M2_E_JTI_REPLAYED,
 *  M2_E_REPLAY_UNAVAILABLE. There is no way to ask without marking. */
typedef m2_code_t m2_spend_fn(const m2_verdict_t *verdict, void *baton, m2_err_t *err);

/** A token names a kid that the set of that generation does not hold. Returns 1 if choosing
 *  again may succeed, because the ring may hold it by now. May wait. */
typedef int m2_missing_fn(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                          void *baton);

/* services of the host that the gate uses; NULL members are not available */
typedef struct m2_services_t {
    m2_spend_fn *spend;
    void *spend_baton;
    m2_spend_fn *spend_proof; /* verdict->proof, with the same baton */
    struct m2_cache_t *cache; /* verified-token cache of this process, or NULL */
    m2_missing_fn *missing;
    void *missing_baton;
    const m2_presented_t *presented; /* what came with the token; NULL: nothing */
    const char *absent; /* why there is no token, for people; NULL: nothing is known */
} m2_services_t;

/**
 *  The token half: split, header, key, signature, claims, times, presence of jti where replay is
 *  prevented, whether it was revoked, proof of possession, what to publish. An absent token is
 *  M2_E_TOKEN_MISSING or M2_BYPASS. verdict is zeroed by the caller and filled here; it, and all
 *  it points to, lives in pool. Returns verdict->code.
 */
m2_code_t m2_gate_token(m2_verdict_t *verdict, apr_pool_t *pool, const m2_policy_t *policy,
                        m2_slice_t token, apr_time_t now, const m2_services_t *services);

/** Whether a verified token grants the scopes that M2MRequireClaim wants: fills code, err and
 *  missing_scope of verdict. Behind revocation and proofs, before the rules half. */
m2_code_t m2_gate_scopes(m2_verdict_t *verdict, const m2_policy_t *policy);

/** Whether m2_gate_rules will ask for any fact: there are rules, and not all of them are settled
 *  for a token that comes again. */
int m2_gate_asks(const m2_verdict_t *verdict, const m2_policy_t *policy);

/** The rules half; only called when the token half passed (or in Shadow, whatever it said).
 *  Fills code, err, rule and refusal of verdict. */
m2_code_t m2_gate_rules(m2_verdict_t *verdict, const m2_policy_t *policy, m2_facts_t *facts);

/** Whether a claim goes into the path, or a rule decides by it; has_operations: see
 *  m2_rules_read_path. */
int m2_gate_reads_path(const m2_policy_t *policy, int has_operations);

/** Whether m2_gate_spend may have something to spend. */
int m2_gate_spends(const m2_verdict_t *verdict, const m2_policy_t *policy);

/** Spend the proof of possession of a verdict that passed, then its token: once per initial
 *  request, after the rules, so that a refused request costs the caller nothing, and a refused
 *  proof no token. Observe never refuses. Does nothing where there is no proof, replay is off
 *  or nothing was verified. */
m2_code_t m2_gate_spend(m2_verdict_t *verdict, const m2_policy_t *policy,
                        const m2_services_t *services);

#endif /* M2_GATE_H */
