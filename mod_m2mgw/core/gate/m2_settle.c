/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Time, revocation, data sets, proofs and limits are asked anew by every request; nothing of
 * them is settled here.
 */
#include "gate/m2_settle.h"

#include "rules/m2_answer.h"

static void settle_rules(m2_rules_rest_t *rest, apr_pool_t *pool, const m2_verdict_t *verdict,
                         const m2_rules_t *rules)
{
    const int all = rules->rules->nelts;
    const int most = all < M2_SETTLE_RULES ? all : M2_SETTLE_RULES;
    apr_uint32_t *which = apr_palloc(pool, (apr_size_t)(most + 1) * sizeof(*which));
    m2_answers_t answers;
    m2_facts_t facts;

    memset(&answers, 0, sizeof(answers));
    answers.request.pool = pool;
    answers.claims = verdict->claims;
    answers.user = verdict->user;
    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.lookup = m2_answer;
    facts.baton = &answers;
    facts.params = rules->params;
    rest->n = m2_rules_settle(which, most, rules, &facts);
    rest->which = which;
    rest->rules = rest->n < 0 ? NULL : rules;
}

void m2_settle(m2_settled_t *settled, apr_pool_t *pool, const m2_verdict_t *verdict,
               const m2_policy_t *policy, m2_slice_t token)
{
    const char *ath;
    const char *missing;
    m2_cnf_t cnf;

    memset(settled, 0, sizeof(*settled));
    settled->scopes = m2_claims_check_scopes(&missing, pool, verdict->claims, &policy->claims,
                                             NULL) == M2_OK;
    if (m2_cnf_read(&cnf, verdict->claims, NULL) == M2_OK) {
        settled->unbound = !cnf.present;
        ath = cnf.jkt.p ? m2_proof_hash(pool, token) : NULL;
        apr_cpystrn(settled->ath, ath ? ath : "", sizeof(settled->ath));
    }
    if (policy->rules) {
        settle_rules(&settled->rest, pool, verdict, policy->rules);
    }
}
