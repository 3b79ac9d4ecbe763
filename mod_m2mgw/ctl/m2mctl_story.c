/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One request decided, step by step. The steps are taken with the functions the gate takes them
 * with and in its order; the verdict at the end is the gate's own. Texts never hold the token.
 */
#include "ctl/m2mctl_story_int.h"

#include "revocation/m2_revocations.h"
#include "token/m2_verify.h"

/* --- the token, step by step --- */

static int failed(m2mctl_story_t *s, const char *step, m2_code_t code, const m2_err_t *err)
{
    if (code) {
        m2mctl_story_tell(s, step, 0, err->text ? err->text : m2_reason_of(code)->text);
    }
    return code != M2_OK;
}

static const char *time_words(const m2mctl_story_t *s, const char *name, int has, double seconds)
{
    double in = seconds - (double)apr_time_sec(s->force->now);

    return has ? apr_psprintf(s->pool, "%s %.0f (%.0f s %s) ", name, seconds,
                              in < 0 ? -in : in, in < 0 ? "ago" : "ahead")
               : "";
}

static void tell_times(m2mctl_story_t *s, const m2_times_t *t)
{
    const m2_claims_policy_t *claims = &s->policy.claims;
    const char *text = apr_pstrcat(s->pool, time_words(s, "exp", t->has_exp, t->exp),
                                   time_words(s, "nbf", t->has_nbf, t->nbf),
                                   time_words(s, "iat", t->has_iat, t->iat), NULL);

    m2mctl_story_tell(s, "times", 1,
         apr_psprintf(s->pool, "%sleeway %" APR_INT64_T_FMT " s%s", text, claims->leeway,
                      claims->ignore_expiration ? ", exp is ignored" : ""));
}

/* the values of two lists, blank-separated; "" if both are empty */
static const char *both(apr_pool_t *pool, const apr_array_header_t *a, const apr_array_header_t *b)
{
    const char *first = a && a->nelts ? apr_array_pstrcat(pool, a, ' ') : "";
    const char *second = b && b->nelts ? apr_array_pstrcat(pool, b, ' ') : "";

    return apr_pstrcat(pool, first, *first && *second ? " " : "", second, NULL);
}

static const char *accepted(const m2mctl_story_t *s, const m2_json_t *json, const char *name,
                            const char *values)
{
    const char *text = m2_json_text(s->pool, m2_json_get(json, name));

    return *values ? apr_pstrcat(s->pool, name, " ", m2mctl_story_value(s, m2_slice_z(text)),
                                 " is one of ", values, NULL)
                   : apr_pstrcat(s->pool, name, " is not checked", NULL);
}

static void tell_claims(m2mctl_story_t *s, const m2_json_t *json)
{
    const m2_claims_policy_t *claims = &s->policy.claims;

    m2mctl_story_tell(s, "claims", 1,
                      apr_psprintf(s->pool, "%s, %s, %d required claims",
                                   accepted(s, json, "iss", both(s->pool, claims->issuers,
                                                             claims->bound)),
                                   accepted(s, json, "aud", both(s->pool, claims->audiences,
                                                             NULL)),
                                   claims->requires ? claims->requires->nelts : 0));
}

static int tell_jti(m2mctl_story_t *s, int has)
{
    m2mctl_story_tell(s, "jti", has, has ? "is there; whether it was used before is known to the "
                                           "gateway only" : "is not there");
    return has;
}

/* From here on: 1 when the token passes. */
static int step_revocation(m2mctl_story_t *s, const m2_json_t *json, m2_slice_t kid,
                           m2_err_t *err)
{
    const m2_keyring_t *ring = s->policy.revocation;

    if (ring
        && failed(s, "revocation", m2_revocations_check(ring, s->pool, json, kid, NULL, err),
                  err)) {
        return 0;
    }
    if (ring) {
        m2mctl_story_tell(s, "revocation", 1, "no list names it");
    }
    return 1;
}

static int step_claims(m2mctl_story_t *s, const m2_json_t *json, m2_slice_t kid, m2_err_t *err)
{
    m2_claims_policy_t claims = s->policy.claims;
    int replay = s->policy.replay == M2_REPLAY_ON;
    m2_times_t times;

    claims.need_exp |= replay;
    if (failed(s, "times", m2_times_read(&times, json, &claims, err), err) ||
        failed(s, "claims", m2_claims_check(json, &claims, err), err)) {
        return 0;
    }
    tell_claims(s, json);
    if (replay && !tell_jti(s, m2_json_string(m2_json_get(json, "jti")).n > 0)) {
        return 0;
    }
    if (failed(s, "times", m2_times_check(&times, &claims, s->force->now, err), err)) {
        return 0;
    }
    tell_times(s, &times);
    return step_revocation(s, json, kid, err);
}

static int step_token(m2mctl_story_t *s)
{
    const m2_policy_t *policy = &s->policy;
    const m2_jwk_t *jwk;
    const m2_json_t *claims;
    m2_jws_t jws;
    m2_err_t err;
    int tries;

    memset(&jws, 0, sizeof(jws));
    m2_err_init(&err, s->pool);
    if (failed(s, "form", m2_jws_split(&jws, s->token, &err), &err) ||
        failed(s, "header", m2_jws_header(&jws, s->pool, policy->types, &err), &err)) {
        return 0;
    }
    m2mctl_story_tell(s, "header", 1,
                      apr_psprintf(s->pool, "alg %s, kid %s, typ %s", jws.alg->name,
                                   m2mctl_story_value(s, jws.kid),
                                   m2mctl_story_value(s, jws.typ)));
    if (failed(s, "key and signature",
               m2_jws_verify_with(&jwk, &tries, &jws, s->pool, s->force->keys, policy->algs, &err),
               &err)) {
        return 0;
    }
    m2mctl_story_tell(s, "key", 1, apr_psprintf(s->pool, "%s, %d bits, kid %s, can do %s", jwk->kty,
                                   jwk->bits, m2mctl_story_value(s, m2_slice_z(jwk->kid)),
                                   m2_jwk_alg_names(s->pool, jwk)));
    m2mctl_story_tell(s, "signature", 1, tries == 1 ? "is right"
                                       : apr_psprintf(s->pool, "is right, after %d keys that "
                                                      "were tried as well", tries - 1));
    return !failed(s, "payload", m2_jws_payload(&claims, &jws, s->pool, &err), &err)
           && step_claims(s, claims, m2_slice_z(jwk->kid), &err);
}

static void tell_published(m2mctl_story_t *s)
{
    static const char *const places[] = { "query", "header", "path", "form", "env" };
    const m2_verdict_t *v = &s->verdict;
    int i;

    if (v->verified) {
        m2mctl_story_tell(s, "user", 1,
                          v->user ? m2mctl_story_shown(s->pool, m2_slice_z(v->user)) : "-");
    }
    for (i = 0; v->publish && i < v->publish->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(v->publish, i, m2_publish_t);

        m2mctl_story_tell(s, "publish", 1,
             apr_psprintf(s->pool, "%s:%s = %s", places[entry->place], entry->name,
                          entry->value ? m2mctl_story_value(s, m2_slice_z(entry->value))
                                       : "(taken out of the request)"));
    }
}

/* Each check of a proof (RFC 9449 4.3), up to the one that failed. */
static void tell_proof(m2mctl_story_t *s)
{
    const m2_proof_t *proof = &s->verdict.proof;
    int i;

    for (i = 0; i < M2_PROOF_STEPS && i < (int)proof->step; i++) {
        m2mctl_story_tell(s, "proof", 1, m2mctl_step_text(&s->shown, (m2_proof_step_t)i));
    }
}

/* Whether the token came from its owner, as the gate has judged it. */
static void tell_owner(m2mctl_story_t *s, int unpublished)
{
    const m2_verdict_t *v = &s->verdict;
    const int failed = !m2mctl_story_passes(s) && !unpublished;

    tell_proof(s);
    if (failed) {
        m2mctl_story_tell(s, v->proof.judged && v->code != M2_E_CERT_MISMATCH ? "proof" : "owner",
                          0, v->err.text ? v->err.text : m2_reason_of(v->code)->text);
    }
    else if (v->proof.judged) {
        m2mctl_story_tell(s, "owner", 1, "what the token is bound to was shown; whether the proof "
                                         "was used before the gateway alone can tell");
    }
    else if (s->policy.bound.constraint != M2_CONSTRAINT_OFF && v->verified) {
        m2mctl_story_tell(s, "owner", 1, m2_json_get(v->claims, "cnf")
                                             ? "what the token is bound to was shown"
                                             : "the token is not bound to anything, and need "
                                               "not be");
    }
}

/* Steps of a token that was sent, and what the gate has made of it. */
static void tell_token(m2mctl_story_t *s)
{
    const m2_code_t code = s->verdict.code;

    m2mctl_story_tell(s, "token", 1, s->where);
    if (s->policy.bound.constraint == M2_CONSTRAINT_OFF && s->shown.presented.as_dpop) {
        m2mctl_story_tell(s, "scheme", 0, s->verdict.err.text);
    }
    else if (step_token(s)) {
        tell_owner(s, code == M2_E_CLAIM_UNSAFE || code == M2_E_CLAIM_MISSING_PATH);
    }
}

static void explain_token(m2mctl_story_t *s)
{
    const m2_policy_t *policy = &s->policy;
    m2_services_t services;

    memset(&services, 0, sizeof(services));
    services.presented = &s->shown.presented;
    m2_gate_token(&s->verdict, s->pool, policy, s->token, s->force->now, &services);
    if (!policy->keys) {
        m2mctl_story_tell(s, "token", 1, "no keys are in force, so none is looked for");
    }
    else if (!s->token.n) {
        const int pass = m2mctl_story_passes(s);

        m2mctl_story_tell(s, "token", pass, pass ? "there is none, which is allowed (bypass)"
                                                 : "there is none");
    }
    else {
        tell_token(s);
    }
    tell_published(s);
    if (s->verdict.code == M2_E_CLAIM_UNSAFE ||
        s->verdict.code == M2_E_CLAIM_MISSING_PATH) {
        m2mctl_story_tell(s, "publish", 0, s->verdict.err.text);
    }
}

/* --- what a backend could read otherwise --- */

/* Before anything else: whose section the path is in. */
static void check_path(m2mctl_story_t *s)
{
    const char *why = NULL;
    const char *path = m2mctl_request_path(s->request);

    m2mctl_path_judge(&why, s->ctl, s->guard, path, m2mctl_request_raw_path(s->request));
    if (why) {
        m2mctl_story_refuse(s, "path", M2_E_PATH_UNSAFE, why);
    }
    else if (s->guard->sections) {
        m2mctl_story_tell(s, "path", 1, apr_pstrcat(s->pool, path, " is found in the same sections "
                                                    "however it is read", NULL));
    }
}

static m2_code_t judge_readings(m2mctl_story_t *s, m2_err_t *err)
{
    const m2_policy_t *policy = &s->policy;
    const int has_operations = s->force->operations != NULL;
    const int is_read = m2_gate_reads_path(policy, has_operations);
    m2_code_t code = m2mctl_judge_body(s->request, policy->mapping, err);

    if (code != M2_OK) {
        return code;
    }
    m2mctl_publish(s->request, s->verdict.publish);
    m2mctl_publish(s->request, s->verdict.env);
    code = m2mctl_judge_method(s->request, policy->rules, has_operations, err);
    if (code == M2_OK && (is_read || has_operations)
        && m2mctl_path_is_ambiguous(s->pool, s->guard, m2mctl_request_path(s->request),
                                    m2mctl_request_raw_path(s->request), is_read)) {
        code = m2_err_set(err, M2_E_PATH_UNSAFE, "the path could mean another path to the "
                          "backend");
    }
    return code;
}

/* Behind the token, in front of the rules. */
static void check_readings(m2mctl_story_t *s)
{
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, s->pool);
    code = judge_readings(s, &err);
    if (code != M2_OK && m2mctl_story_passes(s)) {
        m2mctl_story_refuse(s, "readings", code, err.text);
    }
}

static void check_scopes(m2mctl_story_t *s)
{
    if (m2mctl_story_passes(s)
        && m2_gate_scopes(&s->verdict, &s->policy) == M2_E_INSUFFICIENT_SCOPE) {
        m2mctl_story_tell(s, "scope", 0, s->verdict.err.text);
    }
}

/* --- the rules --- */

static void tell_values(m2mctl_story_t *s, m2_facts_t *facts, const m2_rules_t *rules)
{
    m2_value_t value;
    int i;

    for (i = 0; i < rules->params->list->nelts; i++) {
        const m2_param_t *param = &APR_ARRAY_IDX(rules->params->list, i, m2_param_t);
        m2_code_t code;

        memset(&value, 0, sizeof(value));
        code = m2_facts_get(&value, facts, i);
        m2mctl_story_tell(s, "parameter", !code,
             apr_psprintf(s->pool, "%s = %s", param->name,
                          code ? "not to be used: not every backend would read the same"
                               : m2mctl_story_value(s, value.text)));
    }
}

/* what one rule says; 0 when the next one is asked */
static int tell_rule(m2mctl_story_t *s, m2_facts_t *facts, const m2_rule_t *rule)
{
    static const char *const truths[] = { "false", "true", "an error" };
    static const char *const actions[] = { "nothing, go on", "ALLOW", "DENY" };
    const char *shadow = rule->shadow ? " (shadow, decides nothing)" : "";
    m2_truth_t truth;
    m2_action_t action;
    m2_err_t err;

    if (s->reached) {
        apr_table_setn(s->reached, apr_pstrcat(s->pool, "rule ", rule->name, NULL), "");
    }
    m2_err_init(&err, s->pool);
    truth = m2_expr_eval(rule->condition, facts, &err);
    action = truth == M2_TRUE ? rule->if_true : rule->if_false;
    if (truth == M2_ERROR) {
        m2mctl_story_tell(s, "rule", rule->shadow,
                          apr_psprintf(s->pool, "%s%s: cannot be evaluated (%s) -> DENY",
                                       rule->name, shadow, err.text ? err.text : ""));
        return !rule->shadow;
    }
    m2mctl_story_tell(s, "rule", rule->shadow || action != M2_ACTION_DENY,
                      apr_psprintf(s->pool, "%s%s: %s is %s -> %s", rule->name, shadow,
                                   rule->text, truths[truth], actions[action]));
    return !rule->shadow && action != M2_ACTION_NONE;
}

static void explain_rules(m2mctl_story_t *s)
{
    m2_verdict_t *v = &s->verdict;
    const m2_rules_t *rules = s->policy.rules;
    m2_facts_t facts;
    int i, ended = 0;

    if (!rules || !m2mctl_story_passes(s)) {
        return;
    }
    m2mctl_answer(&facts, s->request, rules, v, s->token);
    tell_values(s, &facts, rules);
    for (i = 0; !ended && i < rules->rules->nelts; i++) {
        ended = tell_rule(s, &facts, APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *));
    }
    if (!ended) {
        int allow = rules->default_action == M2_ACTION_ALLOW;

        m2mctl_story_tell(s, "default", allow, allow ? "no rule decided -> ALLOW"
                                        : "no rule decided -> DENY");
    }
    m2_gate_rules(v, &s->policy, &facts);
}


/* --- all of it --- */

static void tell_section(m2mctl_story_t *s)
{
    if (s->force->section) {
        m2mctl_story_tell(s, "section", 1, s->force->section);
    }
    if (s->force->shadow) {
        m2mctl_story_tell(s, "engine", 1, "Shadow: the request passes, whatever is decided");
    }
}

static int lacks_keys(const m2mctl_story_t *s)
{
    return s->force->operations && !s->policy.bypass_empty && !s->policy.keys;
}

/* The token half; 0 where the request is a preflight, of which only the path is looked at. */
static int decide_token(m2mctl_story_t *s)
{
    const int preflight = m2mctl_story_find_operation(s);

    if (s->found != M2_OK) {
        m2mctl_story_refuse(s, "token", s->found, s->why.text ? s->why.text : "");
    }
    else if (s->force->closed) {
        m2mctl_story_refuse(s, "keys", M2_E_KEYS_UNAVAILABLE, s->force->closed);
    }
    else if (!preflight && lacks_keys(s)) {
        m2mctl_story_refuse(s, "keys", M2_E_KEYS_UNAVAILABLE,
               "the operation needs a token, but no keys are in force");
    }
    else if (!preflight) {
        explain_token(s);
    }
    return !preflight;
}

void m2mctl_story_decide(m2mctl_story_t *s)
{
    s->policy = s->force->policy;
    s->steps = m2_json_make_array(s->pool);
    memset(&s->verdict, 0, sizeof(s->verdict));
    m2_err_init(&s->verdict.err, s->pool);
    tell_section(s);
    check_path(s);
    if (!m2mctl_story_passes(s)) {
        return;
    }
    if (s->force->off) {
        m2mctl_story_tell(s, "engine", 1, "nothing is in force here: every request passes");
        return;
    }
    if (!decide_token(s)) {
        m2mctl_story_check_reading(s);
        return;
    }
    check_readings(s);
    check_scopes(s);
    m2mctl_story_judge_operation(s);
    explain_rules(s);
    m2mctl_story_check_reading(s);
    if (m2mctl_story_passes(s) && s->force->limits) {
        m2mctl_story_tell(s, "limits", 1, apr_psprintf(s->pool, "%d, which the gateway alone "
                                                       "counts", s->force->limits));
    }
}

void m2mctl_story_find(m2mctl_story_t *s)
{
    m2mctl_token_t token;

    m2_err_init(&s->why, s->pool);
    if (s->force->policy.keys) {
        s->found = m2mctl_find_token(&token, s->request, s->force->tokens, &s->why);
        s->token = token.text;
        s->where = token.where;
        s->shown.presented.as_dpop = token.as_dpop;
    }
}

int m2mctl_story_status(const m2mctl_story_t *s)
{
    const m2_reason_t *reason = m2_reason_of(s->verdict.code);
    const int status = s->force->gateway ? reason->gateway_status : reason->status;

    if (m2mctl_story_passes(s)) {
        return 200;
    }
    if (s->verdict.code == M2_E_OPERATION_UNKNOWN
        && s->force->unknown == M2MCTL_UNKNOWN_NOT_FOUND) {
        return 404;
    }
    return status ? status : s->verdict.refusal.status;
}
