/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The whole decision on plain structs, at a constant time. Beside every refusal stands
 * the same token passing, so that the refusal is known to come from the one thing that
 * differs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate/m2_gate.h"

#define NOW 1800000000 /* seconds; the only clock here */

static apr_pool_t *pool;
static m2_jwk_t *key, *stranger;
static m2_policy_t policy;
static m2_keyring_t *ring;
static m2_verdict_t verdict;

static m2_jwk_t *make_key(const char *alg, const char *kid)
{
    m2_jwk_t *jwk = NULL;

    assert_int_equal(
        m2_jwk_generate(&jwk, pool, m2_alg_find(m2_slice_z(alg)), 0, kid, NULL), M2_OK);
    return jwk;
}

static m2_keyset_t *set_of(const m2_jwk_t *jwk)
{
    m2_keyset_t *set = m2_keyset_make(pool);

    assert_int_equal(m2_keyset_add(set, jwk, NULL), M2_OK);
    return set;
}

static apr_array_header_t *words(const char *first, ...)
{
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(const char *));
    const char *word;
    va_list ap;

    va_start(ap, first);
    for (word = first; word; word = va_arg(ap, const char *)) {
        APR_ARRAY_PUSH(list, const char *) = word;
    }
    va_end(ap);
    return list;
}

/* before each test: one key in force, the defaults of the directives */
static int setup(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    key = make_key("HS256", "K1");
    stranger = make_key("HS256", "K1");
    ring = m2_keyring_make(pool, set_of(key));
    memset(&policy, 0, sizeof(policy));
    policy.keys = ring;
    policy.algs = ~(m2_alg_mask_t)0;
    policy.claims.leeway = 60;
    policy.claims.max_age = -1;
    policy.user_claims = words("client_id", "azp", "sub", NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static const char *sign(const m2_jwk_t *with, const char *claims)
{
    const char *token = NULL;

    assert_int_equal(m2_jws_sign(&token, pool, NULL, m2_slice_z(claims), with,
                                 m2_alg_find(m2_slice_z("HS256")), NULL), M2_OK);
    return token;
}

/* claims with a lifetime around NOW, and what is given */
static const char *good(const char *more)
{
    return sign(key, apr_psprintf(pool, "{\"exp\":%d%s}", NOW + 100, more));
}

static m2_code_t decide(const char *token)
{
    memset(&verdict, 0, sizeof(verdict));
    return m2_gate_token(&verdict, pool, &policy, m2_slice_z(token),
                         apr_time_from_sec(NOW), NULL);
}

/* a refusal says why, and leaves nothing of the token behind */
static void assert_refused(const char *token, m2_code_t code)
{
    assert_int_equal(decide(token), code);
    assert_int_equal(verdict.code, code);
    assert_int_equal(verdict.err.code, code);
    assert_non_null(verdict.err.text);
    assert_false(verdict.verified);
    assert_null(verdict.claims);
    assert_null(verdict.kid);
    assert_null(verdict.alg);
    assert_null(verdict.user);
    assert_null(verdict.env);
    assert_non_null(verdict.publish);
    if (token && *token) {
        assert_null(strstr(verdict.err.text, token));
    }
}

static void test_pass(void **state)
{
    (void)state;
    assert_int_equal(decide(good(",\"client_id\":\"app\"")), M2_OK);
    assert_true(verdict.verified);
    assert_string_equal(verdict.kid, "K1");
    assert_string_equal(verdict.alg, "HS256");
    assert_string_equal(verdict.user, "app");
    assert_true(verdict.times.has_exp);
    assert_null(verdict.err.text);
    assert_int_equal(verdict.env->nelts, 2);
}

static void test_no_token(void **state)
{
    (void)state;
    assert_refused(NULL, M2_E_TOKEN_MISSING);
    assert_refused("", M2_E_TOKEN_MISSING);
    policy.bypass_empty = 1;
    assert_int_equal(decide(NULL), M2_BYPASS);
    assert_false(verdict.verified);
    assert_null(verdict.claims);
    /* only no token is let through, a bad one is not */
    assert_refused("x", M2_E_TOKEN_MALFORMED);
    assert_refused(sign(stranger, "{\"exp\":1800000100}"), M2_E_SIGNATURE_INVALID);
}

static void test_no_keys_in_force(void **state)
{
    (void)state;
    policy.keys = NULL;
    assert_int_equal(decide(NULL), M2_BYPASS);
    /* a token is not looked for, so it cannot be believed */
    assert_int_equal(decide(good("")), M2_BYPASS);
    assert_false(verdict.verified);
    assert_null(verdict.claims);
}

static void test_keys_down(void **state)
{
    const char *token = good("");

    (void)state;
    policy.keys = m2_keyring_make(pool, NULL);
    assert_refused(token, M2_E_KEYS_UNAVAILABLE);
    policy.keys = ring;
    assert_int_equal(decide(token), M2_OK);
}

/* the key may be gone right after the decision */
static void test_kid_is_copied(void **state)
{
    (void)state;
    assert_int_equal(decide(good("")), M2_OK);
    assert_string_equal(verdict.kid, key->kid);
    assert_ptr_not_equal(verdict.kid, key->kid);
}

static void test_bad_tokens(void **state)
{
    const char *token = good("");
    char *flipped = apr_pstrdup(pool, token);
    char *dot = strrchr(flipped, '.');

    (void)state;
    dot[1] = dot[1] == 'A' ? 'B' : 'A';
    assert_refused(flipped, M2_E_SIGNATURE_INVALID);
    assert_refused("a.b", M2_E_TOKEN_MALFORMED);
    assert_refused(apr_pstrcat(pool, token, ".x", NULL), M2_E_TOKEN_MALFORMED);
    assert_refused(apr_pstrcat(pool, token, "=", NULL), M2_E_TOKEN_MALFORMED);
    assert_refused("eyJhbGciOiJub25lIn0.e30.", M2_E_TOKEN_MALFORMED);
    assert_refused("eyJhbGciOiJub25lIn0.e30.AA", M2_E_ALG_NOT_ALLOWED);
    assert_refused(sign(key, "[]"), M2_E_TOKEN_MALFORMED);
    assert_refused(sign(key, "not json"), M2_E_TOKEN_MALFORMED);
    assert_refused(sign(make_key("HS256", "K2"), "{\"exp\":1800000100}"),
                   M2_E_KID_UNKNOWN);
    assert_int_equal(decide(token), M2_OK);
}

static void test_alg_narrowed(void **state)
{
    (void)state;
    policy.algs = 0;
    m2_alg_mask_add(&policy.algs, "RS256", NULL);
    assert_refused(good(""), M2_E_ALG_NOT_ALLOWED);
    m2_alg_mask_add(&policy.algs, "HS256", NULL);
    assert_int_equal(decide(good("")), M2_OK);
}

static void test_times(void **state)
{
    (void)state;
    assert_refused(sign(key, "{}"), M2_E_CLAIM_MISSING);
    assert_refused(sign(key, "{\"exp\":\"1800000100\"}"), M2_E_CLAIM_INVALID);
    assert_refused(sign(key, "{\"exp\":1799999940}"),
                   M2_E_EXPIRED); /* now = exp + leeway */
    assert_int_equal(decide(sign(key, "{\"exp\":1799999941}")), M2_OK);
    assert_refused(good(",\"nbf\":1800000061"), M2_E_NOT_YET_VALID);
    assert_int_equal(decide(good(",\"nbf\":1800000060")), M2_OK);
    policy.claims.ignore_expiration = 1;
    assert_int_equal(decide(sign(key, "{\"exp\":1}")), M2_OK);
    assert_int_equal(decide(sign(key, "{}")), M2_OK);
    policy.claims.max_age = 100;
    assert_refused(sign(key, "{\"iat\":1799999000}"), M2_E_TOO_OLD);
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    policy.claims.issuers = words("https://a", "https://b", NULL);
    assert_refused(good(""), M2_E_CLAIM_MISSING);
    assert_refused(good(",\"iss\":\"https://c\""), M2_E_ISSUER_MISMATCH);
    assert_int_equal(decide(good(",\"iss\":\"https://b\"")), M2_OK);
    policy.claims.issuers = NULL;
    policy.claims.audiences = words("me", NULL);
    assert_refused(good(",\"aud\":[\"you\",\"they\"]"), M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(decide(good(",\"aud\":[\"you\",\"me\"]")), M2_OK);
}

static void test_user(void **state)
{
    static const struct {
        const char *claims, *user;
    } rows[] = {
        { ",\"client_id\":\"a\",\"sub\":\"b\"", "a" },
        { ",\"azp\":\"a\",\"sub\":\"b\"", "a" },
        { ",\"sub\":\"b\"", "b" },
        { ",\"client_id\":17", "17" },
        { ",\"client_id\":[\"x\"],\"azp\":null,\"sub\":\"b\"", "b" },
        { ",\"client_id\":true,\"azp\":{},\"sub\":\"\"", NULL },
        { "", NULL },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(decide(good(rows[i].claims)), M2_OK);
        if (rows[i].user) {
            assert_string_equal(verdict.user, rows[i].user);
        }
        else {
            assert_null(verdict.user);
        }
    }
    assert_int_equal(decide(good(",\"client_id\":\"a\\nb\",\"sub\":\"b\"")),
                     M2_E_CLAIM_UNSAFE);
    assert_null(verdict.user);
}

static void map_claim(const char *claim, const char *word)
{
    m2_mapping_t *mapping = m2_mapping_make(pool);
    m2_target_t target;

    assert_int_equal(m2_target_parse(&target, pool, claim, word, NULL), M2_OK);
    assert_int_equal(m2_mapping_add(mapping, &target, NULL), M2_OK);
    policy.mapping = mapping;
}

static const m2_publish_t *published(void)
{
    assert_int_equal(verdict.publish->nelts, 1);
    return &APR_ARRAY_IDX(verdict.publish, 0, m2_publish_t);
}

static void test_publish(void **state)
{
    (void)state;
    map_claim("c", "header:X-C");
    assert_int_equal(decide(good(",\"c\":\"v\"")), M2_OK);
    assert_string_equal(published()->value, "v");
    assert_int_equal(decide(good("")), M2_OK);
    assert_null(published()->value);
    /* a refused request has its names scrubbed as well */
    assert_refused(NULL, M2_E_TOKEN_MISSING);
    assert_null(published()->value);
    assert_refused(sign(stranger, "{\"exp\":1800000100,\"c\":\"v\"}"),
                   M2_E_SIGNATURE_INVALID);
    assert_null(published()->value);
    assert_refused(sign(key, "{\"exp\":1,\"c\":\"v\"}"), M2_E_EXPIRED);
    assert_null(published()->value);
    /* unsafe: refused, but the token was verified */
    assert_int_equal(decide(good(",\"c\":\"a\\nb\"")), M2_E_CLAIM_UNSAFE);
    assert_true(verdict.verified);
    assert_null(published()->value);
}

static void test_publish_path(void **state)
{
    (void)state;
    map_claim("c", "path:c");
    assert_int_equal(decide(good(",\"c\":\"v\"")), M2_OK);
    assert_int_equal(decide(good("")), M2_E_CLAIM_MISSING_PATH);
    assert_int_equal(decide(good(",\"c\":\"..\"")), M2_E_CLAIM_UNSAFE);
    /* the reason of the token comes first */
    assert_refused(NULL, M2_E_TOKEN_MISSING);
    policy.bypass_empty = 1;
    assert_int_equal(decide(NULL), M2_E_CLAIM_MISSING_PATH);
}

/* --- replay --- */

static int spent;
static m2_code_t spend_answer;

static m2_code_t spend(const m2_verdict_t *v, void *baton, m2_err_t *err)
{
    assert_true(v->verified);
    assert_non_null(m2_json_get(v->claims, "jti"));
    assert_ptr_equal(baton, &spent);
    spent++;
    return spend_answer ? m2_err_set(err, spend_answer, "spent") : M2_OK;
}

static m2_code_t spend_with(m2_code_t answer)
{
    m2_services_t services = { .spend = spend, .spend_baton = &spent };

    spent = 0;
    spend_answer = answer;
    return m2_gate_spend(&verdict, &policy, &services);
}

static void test_replay_needs(void **state)
{
    static const char *const no_jti[] = {
        "", ",\"jti\":\"\"", ",\"jti\":7", ",\"jti\":null", ",\"jti\":[\"a\"]", NULL,
    };
    int i;

    (void)state;
    policy.replay = M2_REPLAY_ON;
    for (i = 0; no_jti[i]; i++) {
        assert_refused(good(no_jti[i]), M2_E_JTI_MISSING);
    }
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    /* exp is needed although it is ignored elsewhere */
    policy.claims.ignore_expiration = 1;
    assert_refused(sign(key, "{\"jti\":\"a\"}"), M2_E_CLAIM_MISSING);
    assert_refused(sign(key, "{\"jti\":\"a\",\"exp\":1}"), M2_E_EXPIRED);
    policy.replay = M2_REPLAY_OBSERVE;
    assert_int_equal(decide(sign(key, "{}")), M2_OK);
}

static void test_spend(void **state)
{
    (void)state;
    policy.replay = M2_REPLAY_ON;
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(spend_with(M2_OK), M2_OK);
    assert_int_equal(spent, 1);
    assert_int_equal(spend_with(M2_E_JTI_REPLAYED), M2_E_JTI_REPLAYED);
    assert_int_equal(verdict.code, M2_E_JTI_REPLAYED);
    assert_string_equal(verdict.err.text, "spent");
    /* what was refused is not spent */
    assert_int_equal(spend_with(M2_OK), M2_E_JTI_REPLAYED);
    assert_int_equal(spent, 0);
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(spend_with(M2_E_REPLAY_UNAVAILABLE), M2_E_REPLAY_UNAVAILABLE);
}

/* no store is an answer of its own, and it is no */
static void test_spend_without_store(void **state)
{
    m2_services_t none = { .spend = NULL };

    (void)state;
    policy.replay = M2_REPLAY_ON;
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(m2_gate_spend(&verdict, &policy, &none), M2_E_REPLAY_UNAVAILABLE);
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(m2_gate_spend(&verdict, &policy, NULL), M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(verdict.err.text);
}

static void test_spend_observed(void **state)
{
    (void)state;
    policy.replay = M2_REPLAY_OBSERVE;
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(spend_with(M2_E_JTI_REPLAYED), M2_OK);
    assert_int_equal(spent, 1);
    assert_null(verdict.err.text);
    assert_int_equal(decide(good("")), M2_OK);
    assert_int_equal(spend_with(M2_OK), M2_OK);
    assert_int_equal(spent, 0);
}

static void test_spend_not(void **state)
{
    (void)state;
    assert_int_equal(decide(good(",\"jti\":\"a\"")), M2_OK);
    assert_int_equal(spend_with(M2_E_JTI_REPLAYED), M2_OK); /* replay is off */
    policy.replay = M2_REPLAY_ON;
    policy.bypass_empty = 1;
    assert_int_equal(decide(NULL), M2_BYPASS);
    assert_int_equal(spend_with(M2_E_JTI_REPLAYED), M2_BYPASS);
    assert_int_equal(spent, 0);
}

/* --- rules --- */

static m2_code_t look_up(m2_value_t *value, const m2_param_t *param, void *baton)
{
    (void)baton;
    if (param->source == M2_SRC_TOKEN) {
        value->json = m2_json_path(verdict.claims, param->arg);
        value->text = m2_slice_z(m2_json_text(pool, value->json));
    }
    return param->source == M2_SRC_QUERY ? M2_E_RULE_ERROR : M2_OK;
}

static m2_code_t rules(const char *condition, const char *option)
{
    m2_rules_t *list = m2_rules_make(pool);
    m2_rule_t *rule;
    m2_facts_t facts;

    assert_int_equal(m2_params_declare(list->params, "client", "Token:client_id", NULL),
                     M2_OK);
    assert_int_equal(m2_params_declare(list->params, "broken", "Query:x", NULL), M2_OK);
    assert_int_equal(m2_rule_make(&rule, list, "only", condition, NULL), M2_OK);
    assert_int_equal(m2_rule_option(rule, list, option, "DENY", M2_MARK_PERCENT, NULL),
                     M2_OK);
    assert_int_equal(m2_rules_add(list, rule, NULL), M2_OK);
    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.now = apr_time_from_sec(NOW);
    facts.lookup = look_up;
    facts.params = list->params;
    policy.rules = list;
    return m2_gate_rules(&verdict, &policy, &facts);
}

static void test_rules(void **state)
{
    (void)state;
    assert_int_equal(decide(good(",\"client_id\":\"a\"")), M2_OK);
    assert_int_equal(rules("$client = 'a'", "ifFalse"), M2_OK);
    assert_null(verdict.rule);
    assert_int_equal(rules("$client = 'b'", "ifFalse"), M2_E_RULE_DENIED);
    assert_string_equal(verdict.rule->name, "only");
    assert_int_equal(verdict.refusal.status, 403);
    assert_string_equal(verdict.refusal.message, "Access Control Forbidden by only");
    assert_int_equal(verdict.err.code, M2_E_RULE_DENIED);
    /* the first reason stands */
    assert_int_equal(rules("$client = 'a'", "ifFalse"), M2_E_RULE_DENIED);
}

static void test_rules_error(void **state)
{
    (void)state;
    assert_int_equal(decide(good("")), M2_OK);
    assert_int_equal(rules("$broken = 'a'", "ifTrue"), M2_E_RULE_ERROR);
    assert_non_null(verdict.err.text);
}

static void test_rules_after_bypass(void **state)
{
    (void)state;
    policy.bypass_empty = 1;
    assert_int_equal(decide(NULL), M2_BYPASS);
    assert_int_equal(rules("$client = null", "ifFalse"), M2_BYPASS);
    assert_int_equal(rules("$client = 'a'", "ifFalse"), M2_E_RULE_DENIED);
}

static void test_rules_not_after_refusal(void **state)
{
    (void)state;
    assert_refused(NULL, M2_E_TOKEN_MISSING);
    assert_int_equal(rules("$client = null", "ifTrue"), M2_E_TOKEN_MISSING);
    assert_null(verdict.rule);
}

static void test_no_rules(void **state)
{
    (void)state;
    assert_int_equal(decide(good("")), M2_OK);
    assert_int_equal(m2_gate_rules(&verdict, &policy, NULL), M2_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_keys_in_force, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kid_is_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alg_narrowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_issuer_and_audience, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_publish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_publish_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay_needs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spend, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spend_without_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spend_observed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spend_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules_after_bypass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules_not_after_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_rules, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
