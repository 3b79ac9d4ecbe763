/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is settled about a token that comes again, and above all what is not: whatever reads
 * more than the token is asked by every request, and an error settles nothing. Each list of
 * rules decides the same with what was settled and without, for every request.
 */
#include "unit.h"

#include "gate/m2_gate.h"
#include "gate/m2_settle.h"
#include "rules/m2_answer.h"

static m2_policy_t policy;
static m2_verdict_t verdict;
static m2_settled_t settled;

#define TOKEN "header.payload.signature"
#define THUMBPRINT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static m2_rules_t *rules_make(void)
{
    m2_rules_t *rules = m2_rules_make(pool);

    assert_int_equal(m2_params_declare(rules->params, "role", "Token:role", NULL), M2_OK);
    assert_int_equal(m2_params_declare(rules->params, "ip", "Token:ip", NULL), M2_OK);
    assert_int_equal(m2_params_declare(rules->params, "method", "Method", NULL), M2_OK);
    return rules;
}

static m2_rule_t *add(m2_rules_t *rules, const char *condition, const char *option,
                      const char *action)
{
    m2_rule_t *rule = NULL;

    assert_int_equal(m2_rule_make(&rule, rules, apr_psprintf(pool, "r%d", rules->rules->nelts),
                                  condition, NULL), M2_OK);
    assert_int_equal(m2_rule_option(rule, rules, option, action, M2_MARK_PERCENT, NULL), M2_OK);
    assert_int_equal(m2_rules_add(rules, rule, NULL), M2_OK);
    return rule;
}

static void settle(const m2_rules_t *rules, const char *claims)
{
    memset(&policy, 0, sizeof(policy));
    memset(&verdict, 0, sizeof(verdict));
    policy.rules = rules;
    verdict.verified = 1;
    verdict.user = "app";
    assert_int_equal(m2_json_parse(&verdict.claims, pool, m2_slice_z(claims), M2_E_CONFIG, NULL),
                     M2_OK);
    m2_settle(&settled, pool, &verdict, &policy, m2_slice_z(TOKEN));
}

static m2_code_t decide(const char *method, const m2_settled_t *with, const m2_rule_t **prule)
{
    m2_answers_t answers;
    m2_facts_t facts;
    m2_code_t code;

    memset(&answers, 0, sizeof(answers));
    answers.request.pool = pool;
    answers.request.method = method;
    answers.claims = verdict.claims;
    answers.user = verdict.user;
    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.now = apr_time_from_sec(1800000000);
    facts.lookup = m2_answer;
    facts.baton = &answers;
    facts.params = policy.rules->params;
    verdict.code = M2_OK;
    verdict.settled = with;
    m2_err_init(&verdict.err, pool);
    code = m2_gate_rules(&verdict, &policy, &facts);
    *prule = verdict.rule;
    return code;
}

/* The decision, which is the same with what was settled. */
static m2_code_t decided(const char *method)
{
    const m2_rule_t *one, *other;
    const m2_code_t code = decide(method, NULL, &one);

    assert_int_equal(decide(method, &settled, &other), code);
    assert_ptr_equal(one, other);
    return code;
}

static int left(const char *claims, const char *condition)
{
    m2_rules_t *rules = rules_make();

    add(rules, condition, "ifTrue", "DENY");
    settle(rules, claims);
    decided("GET");
    decided("PUT");
    return settled.rest.n;
}

#define ADMIN "{\"role\":\"admin\",\"ip\":\"10.0.0.1\"}"

static void test_of_the_token(void **state)
{
    (void)state;
    assert_int_equal(left(ADMIN, "$role = 'user'"), 0);
    assert_int_equal(left(ADMIN, "'user' = $role"), 0);
    assert_int_equal(left(ADMIN, "$role <> 'admin'"), 0);
    assert_int_equal(left(ADMIN, "$role in ('user', 'guest') or $ip in_cidr '192.0.2.0/24'"), 0);
    assert_int_equal(left(ADMIN, "!($role like 'a%') or $role matches '^u' or $role has 'x'"), 0);
    assert_int_equal(left(ADMIN, "$CaAppId = 'other' or $CaAppKey = null"), 0);
    assert_int_equal(left("{}", "$role <> 'admin'"), 0);
    assert_int_equal(left("{}", "$role <> null"), 0);
    assert_int_equal(left(ADMIN, "$role = 'admin'"), 1);
    assert_int_equal(decided("GET"), M2_E_RULE_DENIED);
}

static void test_of_anything_else(void **state)
{
    static const char *const conditions[] = {
        "$method = 'PUT'", "$role = 'user' and $method = 'PUT'", "$role in ('user') or $method has 'x'",
        "$role = $method", "$method = $role", "Random() < 0", "$role = 'user' and Timestamp() > 0",
        "TimeOfDay() < 0", "!(TimeOfDay() >= 0)", "$CaClientIp = 'x'", "$CaRequestId = $role",
        "$CaStage = 'x' xor $role = 'user'",
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        assert_int_equal(left(ADMIN, conditions[i]), 1);
    }
}

static void test_mixed_with_the_request(void **state)
{
    m2_rules_t *rules = rules_make();

    (void)state;
    add(rules, "$role = 'admin' and $method = 'PUT'", "ifTrue", "DENY");
    add(rules, "$role = 'user'", "ifTrue", "DENY");
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, 1);
    assert_int_equal(decided("GET"), M2_OK);
    assert_int_equal(decided("PUT"), M2_E_RULE_DENIED);
    assert_int_equal(decided("GET"), M2_OK);
}

/* What is known to decide ends the list, but nothing in front of it is lost. */
static void test_order(void **state)
{
    m2_rules_t *rules = rules_make();

    (void)state;
    add(rules, "$method = 'PUT'", "ifTrue", "DENY");
    add(rules, "$role = 'admin'", "ifTrue", "ALLOW");
    add(rules, "$method = 'GET'", "ifTrue", "DENY");
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, 2);
    assert_int_equal(decided("PUT"), M2_E_RULE_DENIED);
    assert_int_equal(decided("GET"), M2_OK);
    settle(rules, "{\"role\":\"user\"}");
    assert_int_equal(settled.rest.n, 2);
    assert_int_equal(decided("GET"), M2_E_RULE_DENIED);
    assert_int_equal(decided("POST"), M2_OK);
}

static void test_default(void **state)
{
    m2_rules_t *rules = rules_make();

    (void)state;
    add(rules, "$role = 'user'", "ifTrue", "ALLOW");
    rules->default_action = M2_ACTION_DENY;
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, 0);
    assert_int_equal(decided("GET"), M2_E_RULE_DEFAULT);
}

static void test_errors_settle_nothing(void **state)
{
    m2_rules_t *rules = rules_make();

    (void)state;
    add(rules, "$ip in_cidr '10.0.0.0/8'", "ifFalse", "DENY");
    settle(rules, "{\"ip\":\"no address\"}");
    assert_int_equal(settled.rest.n, 1);
    assert_int_equal(decided("GET"), M2_E_RULE_ERROR);
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, 0);
    assert_int_equal(decided("GET"), M2_OK);
}

static void test_shadow(void **state)
{
    m2_rules_t *rules = rules_make();
    const m2_rule_t *rule;

    (void)state;
    add(rules, "$role = 'admin'", "ifTrue", "DENY")->shadow = 1;
    add(rules, "$role = 'user'", "ifTrue", "DENY")->shadow = 1;
    add(rules, "$method = 'PUT'", "ifTrue", "DENY");
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, 2);
    assert_int_equal(decided("PUT"), M2_E_RULE_DENIED);
    assert_int_equal(decide("GET", &settled, &rule), M2_OK);
    assert_int_equal(verdict.shadowed->nelts, 1);
}

/* The same list for another policy's rules is not believed. */
static void test_other_rules(void **state)
{
    m2_rules_t *rules = rules_make(), *others = rules_make();

    (void)state;
    add(rules, "$role = 'user'", "ifTrue", "DENY");
    add(others, "$role = 'admin'", "ifTrue", "DENY");
    settle(rules, ADMIN);
    assert_int_equal(m2_gate_asks(&verdict, &policy), 1);
    verdict.settled = &settled;
    assert_int_equal(m2_gate_asks(&verdict, &policy), 0);
    policy.rules = others;
    assert_int_equal(m2_gate_asks(&verdict, &policy), 1);
    assert_int_equal(decided("GET"), M2_E_RULE_DENIED);
}

static void test_too_many(void **state)
{
    m2_rules_t *rules = rules_make();
    int i;

    (void)state;
    for (i = 0; i < M2_SETTLE_RULES; i++) {
        add(rules, "$method = 'PUT'", "ifTrue", "DENY");
        add(rules, "$role = 'user'", "ifTrue", "DENY");
    }
    settle(rules, ADMIN);
    assert_int_equal(settled.rest.n, M2_SETTLE_RULES);
    assert_int_equal(decided("GET"), M2_OK);
    add(rules, "$method = 'GET'", "ifTrue", "DENY");
    settle(rules, ADMIN);
    assert_null(settled.rest.rules);
    assert_int_equal(decided("GET"), M2_E_RULE_DENIED);
}

static void test_scopes_and_owner(void **state)
{
    static m2_require_t want = { "scope", NULL };
    apr_array_header_t *requires = apr_array_make(pool, 1, sizeof(m2_require_t));
    apr_array_header_t *values = apr_array_make(pool, 1, sizeof(const char *));

    (void)state;
    APR_ARRAY_PUSH(values, const char *) = "read";
    want.values = values;
    APR_ARRAY_PUSH(requires, m2_require_t) = want;
    settle(NULL, "{\"scope\":\"write\"}");
    assert_true(settled.scopes);
    assert_true(settled.unbound);
    policy.claims.requires = requires;
    m2_settle(&settled, pool, &verdict, &policy, m2_slice_z(TOKEN));
    assert_false(settled.scopes);
    settle(NULL, "{\"scope\":\"write read\",\"cnf\":{}}");
    policy.claims.requires = requires;
    m2_settle(&settled, pool, &verdict, &policy, m2_slice_z(TOKEN));
    assert_true(settled.scopes);
    assert_false(settled.unbound);
    settle(NULL, "{\"cnf\":1}");
    assert_false(settled.unbound);
    settle(NULL, "{\"cnf\":null}");
    assert_true(settled.unbound);
}

/* only of a token that proofs come with, each of which names it */
static void test_hash(void **state)
{
    (void)state;
    settle(NULL, "{\"cnf\":{\"jkt\":\"" THUMBPRINT "\"}}");
    assert_string_equal(settled.ath, m2_proof_hash(pool, m2_slice_z(TOKEN)));
    assert_int_equal(strlen(settled.ath), M2_THUMBPRINT);
    settle(NULL, "{\"cnf\":{\"x5t#S256\":\"" THUMBPRINT "\"}}");
    assert_string_equal(settled.ath, "");
    settle(NULL, "{\"cnf\":{\"jkt\":\"short\"}}");
    assert_string_equal(settled.ath, "");
    settle(NULL, "{}");
    assert_string_equal(settled.ath, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_of_the_token),
        unit(test_hash),
        unit(test_of_anything_else),
        unit(test_mixed_with_the_request),
        unit(test_order),
        unit(test_default),
        unit(test_errors_settle_nothing),
        unit(test_shadow),
        unit(test_other_rules),
        unit(test_too_many),
        unit(test_scopes_and_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
