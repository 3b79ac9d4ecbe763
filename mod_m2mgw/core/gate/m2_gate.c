/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The order of the checks is the point of this file: nothing of a token is believed
 * before its signature, nothing is published before its claims passed, nothing is spent
 * before the rules passed.
 *
 * What does not depend on the time is apart (open_token), so that its outcome can be kept
 * for a token that comes again, while times, rules and replay are looked at every time.
 */
#include "gate/m2_gate.h"

#include "base/m2_hold.h"
#include "gate/m2_cache.h"
#include "revocation/m2_revocations.h"
#include "token/m2_verify.h"

static int passes(m2_code_t code)
{
    return code == M2_OK || code == M2_BYPASS;
}

/* a usable jti: anything but a non-empty string counts as absent */
static int has_jti(const m2_json_t *claims)
{
    return m2_json_string(m2_json_get(claims, "jti")).n > 0;
}

/* the text of a claim that may name a user, or NULL */
static const char *user_text(apr_pool_t *pool, const m2_json_t *claim)
{
    m2_json_type_t type = m2_json_type(claim);
    const char *text;

    if (type != M2_JSON_STRING && type != M2_JSON_INT && type != M2_JSON_REAL) {
        return NULL;
    }
    text = m2_json_text(pool, claim);
    return *text ? text : NULL;
}

static m2_code_t find_user(m2_verdict_t *verdict, apr_pool_t *pool,
                           const m2_policy_t *policy)
{
    const apr_array_header_t *names = policy->user_claims;
    int i;

    for (i = 0; !verdict->user && names && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        verdict->user = user_text(pool, m2_json_path(verdict->claims, name));
    }
    if (verdict->user && m2_has_control(verdict->user)) {
        /* the next claim would name another user, and this one cannot be logged */
        verdict->user = NULL;
        return m2_err_set(&verdict->err, M2_E_CLAIM_UNSAFE,
                          "the claim that names the user holds control bytes");
    }
    return M2_OK;
}

/* which claims are asked for: replay is kept until exp, so there has to be one */
static m2_claims_policy_t claims_policy(const m2_policy_t *policy)
{
    m2_claims_policy_t claims = policy->claims;

    claims.need_exp |= policy->replay == M2_REPLAY_ON;
    return claims;
}

static m2_code_t check_signature(m2_verdict_t *verdict, m2_jws_t *jws, const m2_jwk_t **pjwk,
                                 apr_pool_t *pool, const m2_policy_t *policy,
                                 const m2_keyset_t *keys, m2_slice_t token)
{
    m2_err_t *err = &verdict->err;
    m2_code_t code = m2_jws_split(jws, token, err);

    if (!code) {
        code = m2_jws_header(jws, pool, policy->types, err);
    }
    return code ? code
                : m2_jws_verify_with(pjwk, &verdict->tries, jws, pool, keys, policy->algs, err);
}

static m2_code_t check_claims(m2_times_t *times, const m2_json_t *claims,
                              const m2_policy_t *policy, m2_err_t *err)
{
    m2_claims_policy_t wanted = claims_policy(policy);
    m2_code_t code = m2_times_read(times, claims, &wanted, err);

    if (!code) {
        code = m2_claims_check(claims, &wanted, err);
    }
    if (!code && policy->replay == M2_REPLAY_ON && !has_jti(claims)) {
        code = m2_err_set(err, M2_E_JTI_MISSING,
                          "the token has no jti, which is needed to "
                          "tell a first use from a second");
    }
    return code;
}

/* everything about a token that holds as long as keys and policy stay the same */
static m2_code_t open_token(m2_verdict_t *verdict, const m2_json_t **pclaims,
                            apr_pool_t *pool, const m2_policy_t *policy,
                            const m2_keyset_t *keys, m2_slice_t token)
{
    const m2_jwk_t *jwk = NULL;
    m2_err_t *err = &verdict->err;
    m2_jws_t jws;
    m2_code_t code;

    memset(&jws, 0, sizeof(jws));
    code = check_signature(verdict, &jws, &jwk, pool, policy, keys, token);
    if (code) {
        return code;
    }
    verdict->kid =
        apr_pstrdup(pool, jwk->kid); /* the key may go when its set is swapped */
    verdict->alg = jws.alg->name;
    code = m2_jws_payload(pclaims, &jws, pool, err);
    return code ? code : check_claims(&verdict->times, *pclaims, policy, err);
}

/* what a refused token leaves behind: nothing about it was proven */
static m2_code_t unproven(m2_verdict_t *verdict, m2_code_t code)
{
    verdict->verified = 0;
    verdict->claims = NULL;
    verdict->kid = verdict->alg = verdict->user = NULL;
    verdict->publish = verdict->env = NULL;
    verdict->settled = NULL;
    return code;
}

static m2_code_t check_times(m2_verdict_t *verdict, const m2_policy_t *policy, apr_time_t now)
{
    m2_claims_policy_t wanted = claims_policy(policy);

    return m2_times_check(&verdict->times, &wanted, now, &verdict->err);
}

static m2_code_t check_token(m2_verdict_t *verdict, apr_pool_t *pool,
                             const m2_policy_t *policy, const m2_keyset_t *keys,
                             m2_slice_t token, apr_time_t now)
{
    const m2_json_t *claims = NULL;
    m2_code_t code = open_token(verdict, &claims, pool, policy, keys, token);

    if (!code) {
        code = check_times(verdict, policy, now);
    }
    if (code) {
        return unproven(verdict, code);
    }
    verdict->verified = 1;
    verdict->claims = claims;
    return M2_OK;
}

static m2_code_t without_token(m2_verdict_t *verdict, const m2_policy_t *policy,
                               const m2_services_t *services)
{
    if (!policy->keys || policy->bypass_empty) {
        return M2_BYPASS;
    }
    return m2_err_set(&verdict->err, M2_E_TOKEN_MISSING, "%s",
                      services && services->absent ? services->absent
                                                   : "the request has no token");
}

static m2_code_t publish(m2_verdict_t *verdict, apr_pool_t *pool,
                         const m2_policy_t *policy)
{
    m2_code_t code = verdict->code, user = M2_OK, collect;

    if (verdict->verified) {
        user = find_user(verdict, pool, policy);
        verdict->env = m2_publish_env(pool, verdict->claims);
    }
    /* a refused request has its names scrubbed too: it may be one that only looks
     * ahead */
    collect =
        m2_publish_collect(&verdict->publish, pool, policy->mapping, verdict->claims,
                           passes(code) && !user ? &verdict->err : NULL);
    if (!passes(code)) {
        return code;
    }
    return user ? user : collect ? collect : code;
}

/* A token that was verified before under this policy and these keys: only time has passed. */
static m2_code_t judge_again(m2_verdict_t *verdict, apr_pool_t *pool,
                             const m2_policy_t *policy, apr_time_t now)
{
    m2_code_t code = check_times(verdict, policy, now);

    if (!code) {
        return M2_OK;
    }
    verdict->code = unproven(verdict, code);
    return publish(verdict, pool, policy);
}

static m2_code_t judge(m2_verdict_t *verdict, apr_pool_t *pool, const m2_policy_t *policy,
                       const m2_keyset_t *keys, m2_slice_t token, apr_time_t now,
                       m2_cache_t *cache)
{
    m2_hold_t hold;

    if (cache && m2_cache_get(verdict, cache, pool, policy, keys->generation, token, now)) {
        return judge_again(verdict, pool, policy, now);
    }
    m2_hold_begin(&hold);
    verdict->code = check_token(verdict, pool, policy, keys, token, now);
    verdict->code = publish(verdict, pool, policy);
    if (cache && verdict->code == M2_OK) {
        m2_cache_put(cache, pool, verdict, policy, keys->generation, token, now);
    }
    m2_hold_end(&hold);
    return verdict->code;
}

/* What a log may say of the owner of a token that no longer counts: it was verified. */
static void note_owner(m2_verdict_t *verdict, apr_pool_t *pool)
{
    const m2_slice_t iss = m2_json_string(m2_json_get(verdict->claims, "iss"));

    verdict->was.iss = iss.p ? m2_slice_dup(pool, iss) : NULL;
    verdict->was.client = verdict->user;
    verdict->was.kid = verdict->kid;
    verdict->was.alg = verdict->alg;
}

/* Whether the token still counts: asked of every request, for what was verified before as
 * well, and never kept. */
static m2_code_t check_revoked(m2_verdict_t *verdict, apr_pool_t *pool,
                               const m2_policy_t *policy)
{
    m2_code_t code;
    m2_err_t why;

    if (!verdict->verified || !policy->revocation) {
        return verdict->code;
    }
    m2_err_init(&why, pool);
    code = m2_revocations_check(policy->revocation, pool, verdict->claims,
                                m2_slice_z(verdict->kid), verdict->sought, &why);
    if (code) {
        note_owner(verdict, pool);
        verdict->err = why;
        verdict->code = unproven(verdict, code);
        publish(verdict, pool, policy);
    }
    return verdict->code;
}

/* A bearer token where one is taken, which is known to name no owner. */
static int needs_no_owner(const m2_verdict_t *verdict, const m2_policy_t *policy,
                          const m2_services_t *services)
{
    return verdict->settled && verdict->settled->unbound
           && policy->bound.constraint == M2_CONSTRAINT_AUTO
           && !(services && services->presented && services->presented->as_dpop);
}

/* Whether the token comes from its owner: asked of every request, for what was verified
 * before as well, and never kept. Who does not prove it has brought nothing. */
static m2_code_t check_owner(m2_verdict_t *verdict, apr_pool_t *pool,
                             const m2_policy_t *policy, m2_slice_t token, apr_time_t now,
                             const m2_services_t *services)
{
    m2_hold_t hold;
    m2_code_t code;

    if (!verdict->verified || policy->bound.constraint == M2_CONSTRAINT_OFF
        || needs_no_owner(verdict, policy, services)) {
        return verdict->code;
    }
    m2_hold_begin(&hold);
    code = m2_bound_check(&verdict->proof, pool, &policy->bound, verdict->claims, token,
                          verdict->settled ? verdict->settled->ath : "",
                          services ? services->presented : NULL, now, &verdict->err);
    if (code) {
        verdict->code = unproven(verdict, code);
        publish(verdict, pool, policy);
    }
    m2_hold_end(&hold);
    return verdict->code;
}

/* Without proofs a token that says it has one is nothing we know (RFC 9449 7.1). */
static int is_foreign(const m2_policy_t *policy, const m2_services_t *services)
{
    return policy->bound.constraint == M2_CONSTRAINT_OFF && services && services->presented
           && services->presented->as_dpop;
}

/* The token half with the keys that are current now. */
static m2_code_t judge_now(m2_verdict_t *verdict, apr_uint64_t *pgeneration,
                           apr_pool_t *pool, const m2_policy_t *policy, m2_slice_t token,
                           apr_time_t now, m2_cache_t *cache)
{
    const m2_keyset_t *keys = m2_keyring_enter(policy->keys);

    *pgeneration = keys ? keys->generation : 0;
    if (keys) {
        verdict->code = judge(verdict, pool, policy, keys, token, now, cache);
    }
    else {
        verdict->code = m2_err_set(&verdict->err, M2_E_KEYS_UNAVAILABLE,
                                   "no usable key set is available");
        publish(verdict, pool, policy);
    }
    m2_keyring_leave(policy->keys);
    return verdict->code;
}

/* A kid that is not known may be that of a key that was made a moment ago: the code that fills
 * the ring is notified, between leave and enter, and says whether to look again. */
static int look_again(const m2_policy_t *policy, apr_uint64_t generation, apr_pool_t *pool,
                      m2_slice_t token, const m2_services_t *services)
{
    m2_jws_t jws;

    return services && services->missing && m2_jws_split(&jws, token, NULL) == M2_OK
           && m2_jws_header(&jws, pool, policy->types, NULL) == M2_OK && jws.kid.p
           && services->missing(policy->keys, jws.kid, generation,
                                services->missing_baton);
}

m2_code_t m2_gate_token(m2_verdict_t *verdict, apr_pool_t *pool, const m2_policy_t *policy,
                        m2_slice_t token, apr_time_t now, const m2_services_t *services)
{
    m2_cache_t *cache = services ? services->cache : NULL;
    apr_uint64_t generation;

    m2_err_init(&verdict->err, pool);
    if (!policy->keys || !token.p || !token.n) {
        verdict->code = without_token(verdict, policy, services);
        return verdict->code = publish(verdict, pool, policy);
    }
    if (is_foreign(policy, services)) {
        verdict->code = m2_err_set(&verdict->err, M2_E_TOKEN_MALFORMED,
                                   "the scheme DPoP is not taken here");
        return verdict->code = publish(verdict, pool, policy);
    }
    if (judge_now(verdict, &generation, pool, policy, token, now, cache) == M2_E_KID_UNKNOWN
        && look_again(policy, generation, pool, token, services)) {
        memset(verdict, 0, sizeof(*verdict));
        m2_err_init(&verdict->err, pool);
        judge_now(verdict, &generation, pool, policy, token, now, cache);
    }
    check_revoked(verdict, pool, policy);
    return check_owner(verdict, pool, policy, token, now, services);
}

m2_code_t m2_gate_scopes(m2_verdict_t *verdict, const m2_policy_t *policy)
{
    if (verdict->settled && verdict->settled->scopes) {
        return verdict->code;
    }
    if (verdict->verified && passes(verdict->code)) {
        m2_code_t code = m2_claims_check_scopes(&verdict->missing_scope, verdict->err.pool,
                                                verdict->claims, &policy->claims, &verdict->err);

        verdict->code = code ? code : verdict->code;
    }
    return verdict->code;
}

int m2_gate_asks(const m2_verdict_t *verdict, const m2_policy_t *policy)
{
    const m2_settled_t *settled = verdict->settled;

    return policy->rules && !(settled && settled->rest.rules == policy->rules && !settled->rest.n);
}

m2_code_t m2_gate_rules(m2_verdict_t *verdict, const m2_policy_t *policy,
                        m2_facts_t *facts)
{
    m2_err_t *err = &verdict->err;
    m2_code_t code;

    verdict->rule = NULL;
    verdict->shadowed = NULL;
    memset(&verdict->refusal, 0, sizeof(verdict->refusal));
    if (!policy->rules || !passes(verdict->code)) {
        return verdict->code; /* the first reason stands */
    }
    code = m2_rules_decide(&verdict->rule, &verdict->shadowed, policy->rules,
                           verdict->settled ? &verdict->settled->rest : NULL, facts, err);
    if (passes(code)) {
        return verdict->code;
    }
    if (code == M2_E_RULE_DENIED && verdict->rule) {
        m2_rule_refusal(&verdict->refusal, facts->pool, verdict->rule, facts);
        m2_err_set(err, code, "denied by rule %s", verdict->rule->name);
    }
    m2_err_set(err, code, "%s", m2_reason_of(code)->text);
    verdict->code = code;
    return code;
}

/* Last but one: a proof that was used before costs its owner no token. */
static m2_code_t spend_proof(m2_verdict_t *verdict, const m2_policy_t *policy,
                             const m2_services_t *services)
{
    m2_err_t *err = &verdict->err, unheard;
    m2_code_t code = M2_E_REPLAY_UNAVAILABLE;
    m2_hold_t hold;

    if (!verdict->proof.jti.p || !verdict->verified || !passes(verdict->code)) {
        return verdict->code;
    }
    m2_err_init(&unheard, err->pool);
    if (services && services->spend_proof) {
        m2_hold_begin(&hold);
        code = services->spend_proof(verdict, services->spend_baton,
                                     policy->bound.observe ? &unheard : err);
        m2_hold_end(&hold);
    }
    if (code && !policy->bound.observe) {
        verdict->code = m2_err_set(err, code, "%s", m2_reason_of(code)->text);
    }
    return verdict->code;
}

static m2_code_t spend_token(m2_verdict_t *verdict, const m2_policy_t *policy,
                             const m2_services_t *services)
{
    int enforced = policy->replay == M2_REPLAY_ON;
    m2_err_t *err = &verdict->err, unheard;
    m2_code_t code = M2_E_REPLAY_UNAVAILABLE;
    m2_hold_t hold;

    if (policy->replay == M2_REPLAY_OFF || !verdict->verified || !passes(verdict->code) ||
        !has_jti(verdict->claims)) {
        return verdict->code; /* On without jti did not get this far */
    }
    m2_err_init(&unheard, err->pool);
    if (services && services->spend) {
        m2_hold_begin(&hold);
        code = services->spend(verdict, services->spend_baton, enforced ? err : &unheard);
        m2_hold_end(&hold);
    }
    if (code && enforced) {
        verdict->code = m2_err_set(err, code, "%s", m2_reason_of(code)->text);
    }
    return verdict->code;
}

int m2_gate_reads_path(const m2_policy_t *policy, int has_operations)
{
    return (policy->mapping && policy->mapping->names[M2_PLACE_PATH])
           || m2_rules_read_path(policy->rules, has_operations);
}

int m2_gate_spends(const m2_verdict_t *verdict, const m2_policy_t *policy)
{
    return policy->replay != M2_REPLAY_OFF || verdict->proof.jti.p;
}

m2_code_t m2_gate_spend(m2_verdict_t *verdict, const m2_policy_t *policy,
                        const m2_services_t *services)
{
    spend_proof(verdict, policy, services);
    return spend_token(verdict, policy, services);
}
