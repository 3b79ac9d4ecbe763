/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Lists of rules: how they are put together, which one decides, what a refusal says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/m2_publish.h"
#include "rules/m2_rules.h"
#include "facts.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static apr_pool_t *pool;
static fact_list_t *list;
static m2_rules_t *rules;
static m2_err_t err;

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    return apr_pool_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    m2_err_init(&err, pool);
    list = fact_list_make(pool);
    rules = m2_rules_make(pool);
    list->params = rules->params;
    fact_text(list, "a", "x");
    fact_text(list, "evil", "\"<\r\nX: y");
    fact_text(list, "path", "/users/8");
    fact_add(list, "bad", FACT_ERROR, m2_slice_z("x"));
    return 0;
}

static m2_rule_t *make(const char *name, const char *condition)
{
    m2_rule_t *rule = NULL;

    if (m2_rule_make(&rule, rules, name, condition, &err)) {
        fail_msg("%s: %s", name, err.text);
    }
    return rule;
}

static void set(m2_rule_t *rule, const char *name, const char *value)
{
    if (m2_rule_option(rule, rules, name, value, M2_MARK_PERCENT, &err)) {
        fail_msg("%s=%s: %s", name, value, err.text);
    }
}

static void header(m2_rule_t *rule, const char *name, const char *value)
{
    if (m2_rule_header(rule, rules, name, value, M2_MARK_PERCENT, &err)) {
        fail_msg("%s: %s: %s", name, value, err.text);
    }
}

/* a rule with at most two options, in the list */
static m2_rule_t *add(const char *name, const char *condition, const char *if_true,
                      const char *if_false)
{
    m2_rule_t *rule = make(name, condition);

    if (if_true) {
        set(rule, "ifTrue", if_true);
    }
    if (if_false) {
        set(rule, "ifFalse", if_false);
    }
    assert_int_equal(m2_rules_add(rules, rule, &err), M2_OK);
    return rule;
}

static void assert_says(const char *words)
{
    assert_int_equal(err.code, M2_E_CONFIG);
    if (!strstr(err.text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    }
    m2_err_init(&err, pool);
}

/* --- putting together --- */

static void test_defaults(void **state)
{
    m2_rule_t *rule = add("r", "$a = 'x'", NULL, "DENY");

    (void)state;
    assert_int_equal(rules->default_action, M2_ACTION_ALLOW);
    assert_int_equal(rules->deny_duplicates, 1);
    assert_null(rules->path);
    assert_string_equal(rule->name, "r");
    assert_int_equal(rule->status, 403);
    assert_int_equal(rule->if_true, M2_ACTION_NONE);
    assert_int_equal(rule->if_false, M2_ACTION_DENY);
    assert_null(rule->message);
    assert_null(rule->body);
    assert_null(rule->headers);
    assert_ptr_equal(m2_rules_named(rules, "r"), rule);
    assert_null(m2_rules_named(rules, "R"));
}

static void test_options(void **state)
{
    m2_rule_t *rule = make("r", "$a = 'x'");

    (void)state;
    set(rule, "IFTRUE", "allow");
    set(rule, "iffalse", "Deny");
    set(rule, "statuscode", "599");
    set(rule, "ERRORMESSAGE", "m %{a}");
    set(rule, "responseBody", "");
    assert_int_equal(rule->if_true, M2_ACTION_ALLOW);
    assert_int_equal(rule->if_false, M2_ACTION_DENY);
    assert_int_equal(rule->status, 599);
    assert_non_null(rule->message);
    assert_non_null(rule->body);
}

static void assert_option_refused(const char *name, const char *value, const char *words)
{
    m2_rule_t *rule = make(apr_psprintf(pool, "o%p", (const void *)value), "1=1");

    assert_int_equal(m2_rule_option(rule, rules, name, value, M2_MARK_PERCENT, &err),
                     M2_E_CONFIG);
    assert_int_equal(err.column, 0);
    assert_says(words);
}

static void test_options_refused(void **state)
{
    static const char *const statuses[] = { "",     "200", "399", "600", "4o3", "0403", "403 ",
                                            " 403", "-403", "40",  "4030", "403.0", "x" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(statuses); i++) {
        assert_option_refused("statusCode", statuses[i], "400 to 599");
    }
    assert_option_refused("ifTrue", "", "ALLOW or DENY");
    assert_option_refused("ifTrue", "PASS", "ALLOW or DENY");
    assert_option_refused("ifFalse", "DENY ", "ALLOW or DENY");
    assert_option_refused("ifMaybe", "DENY", "ifMaybe");
    assert_option_refused("", "DENY", "unknown option");
    assert_option_refused("errorMessage", "a %{b}", "errorMessage, column 3: no parameter");
    assert_option_refused("responseBody", "%{a", "responseBody, column 1");
}

static void test_given_twice(void **state)
{
    static const char *const rows[][2] = { { "ifTrue", "ALLOW" },  { "ifFalse", "DENY" },
                                           { "statusCode", "403" }, { "errorMessage", "x" },
                                           { "responseBody", "" } };
    m2_rule_t *rule = make("r", "1=1");
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        set(rule, rows[i][0], rows[i][1]);
        assert_int_equal(m2_rule_option(rule, rules, rows[i][0], rows[i][1], M2_MARK_PERCENT,
                                        &err), M2_E_CONFIG);
        assert_says("twice");
    }
}

static void test_names_refused(void **state)
{
    m2_rule_t *rule;

    (void)state;
    add("one", "1=1", "ALLOW", NULL);
    assert_int_equal(m2_rule_make(&rule, rules, "one", "1=1", &err), M2_E_CONFIG);
    assert_null(rule);
    assert_says("one");
    assert_int_equal(m2_rule_make(&rule, rules, "", "1=1", &err), M2_E_CONFIG);
    assert_says("name");
    assert_int_equal(m2_rule_make(&rule, rules, "a\nb", "1=1", &err), M2_E_CONFIG);
    assert_says("control");
    assert_int_equal(m2_rule_make(&rule, rules, apr_psprintf(pool, "%0129d", 1), "1=1", &err),
                     M2_E_CONFIG);
    assert_says("128");
    add(apr_psprintf(pool, "%0128d", 1), "1=1", "ALLOW", NULL);
    add("One", "1=1", "ALLOW", NULL); /* another name */
    add("with blanks, \xc3\xa9", "1=1", "ALLOW", NULL);
}

static void test_condition_refused(void **state)
{
    m2_rule_t *rule;

    (void)state;
    assert_int_equal(m2_rule_make(&rule, rules, "r", "$a = 'x' and $b = 'y'", &err),
                     M2_E_CONFIG);
    assert_int_equal(err.column, 14);
    assert_string_equal(err.text, "no parameter is named b");
    assert_null(rule);
}

static void test_no_action(void **state)
{
    m2_rule_t *rule = make("r", "1=1");

    (void)state;
    set(rule, "statusCode", "404");
    assert_int_equal(m2_rules_add(rules, rule, &err), M2_E_CONFIG);
    assert_says("ifTrue or ifFalse");
    assert_int_equal(rules->rules->nelts, 0);
}

/* two that were begun under one name before either was added */
static void test_added_twice(void **state)
{
    m2_rule_t *a = make("r", "1=1"), *b = make("r", "1=1");

    (void)state;
    set(a, "ifTrue", "DENY");
    set(b, "ifTrue", "ALLOW");
    assert_int_equal(m2_rules_add(rules, a, &err), M2_OK);
    assert_int_equal(m2_rules_add(rules, b, &err), M2_E_CONFIG);
    assert_says("already");
}

static void test_headers_refused(void **state)
{
    static const char *const names[] = { "Content-Length", "transfer-encoding", "Connection",
                                         "Host", "X-Ca-Error-Code", "X-Ca-Request-Id", "",
                                         "a b", "a:b", "a\nb", "Upgrade", "TE" };
    m2_rule_t *rule = make("r", "1=1");
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(names); i++) {
        assert_int_equal(m2_rule_header(rule, rules, names[i], "v", M2_MARK_PERCENT, &err),
                         M2_E_CONFIG);
        assert_says("cannot set");
    }
    assert_int_equal(m2_rule_header(rule, rules, "X-A", "%{b}", M2_MARK_PERCENT, &err),
                     M2_E_CONFIG);
    assert_says("X-A, column 1");
    header(rule, "content-type", "text/plain");
    assert_int_equal(m2_rule_header(rule, rules, "Content-Type", "text/xml", M2_MARK_PERCENT,
                                    &err), M2_E_CONFIG);
    assert_says("twice");
    header(rule, "X-A", "1");
    header(rule, "X-A", "2");
    assert_int_equal(rule->headers->nelts, 3);
}

/* --- deciding --- */

static m2_code_t decide(const char **prule)
{
    const m2_rule_t *rule = NULL;
    m2_code_t code = m2_rules_decide(&rule, NULL, rules, NULL, facts_of(list, pool), &err);

    *prule = rule ? rule->name : NULL;
    return code;
}

static void assert_decides(m2_code_t expected, const char *rule)
{
    const char *name;

    m2_err_init(&err, pool);
    assert_int_equal(decide(&name), expected);
    if (rule) {
        assert_string_equal(name, rule);
    }
    else {
        assert_null(name);
    }
    assert_int_equal(err.code, expected == M2_E_RULE_ERROR ? M2_E_RULE_ERROR : M2_OK);
}

static void test_no_rules(void **state)
{
    (void)state;
    assert_decides(M2_OK, NULL);
    rules->default_action = M2_ACTION_DENY;
    assert_decides(M2_E_RULE_DEFAULT, NULL);
}

static void test_order(void **state)
{
    (void)state;
    add("quiet", "$a = 'y'", "DENY", NULL);  /* false, and false says nothing */
    add("quiet2", "$a = 'x'", NULL, "DENY"); /* true, and true says nothing */
    assert_decides(M2_OK, NULL);
    rules->default_action = M2_ACTION_DENY;
    assert_decides(M2_E_RULE_DEFAULT, NULL);
    add("third", "$a = 'x'", "ALLOW", "DENY");
    assert_decides(M2_OK, "third");
    add("never", "$a = 'x'", "DENY", NULL);
    assert_decides(M2_OK, "third");
}

static void test_deny(void **state)
{
    (void)state;
    add("first", "$a = 'y'", "ALLOW", "DENY");
    add("second", "$a = 'x'", "ALLOW", NULL);
    assert_decides(M2_E_RULE_DENIED, "first");
}

static void test_error_denies(void **state)
{
    (void)state;
    add("first", "$bad = 'x' or 1=1", "ALLOW", NULL);
    add("second", "1=1", "ALLOW", NULL);
    assert_decides(M2_E_RULE_ERROR, "first");
    assert_non_null(strstr(err.text, "bad"));
}

static void test_error_behind_a_decision(void **state)
{
    (void)state;
    add("first", "1=1", "ALLOW", NULL);
    add("second", "$bad = 'x'", "DENY", NULL);
    assert_decides(M2_OK, "first");
    assert_int_equal(fact_named(list, "bad")->asked, 0);
}

/* --- refusals --- */

static m2_refusal_t refusal(const m2_rule_t *rule)
{
    m2_refusal_t out;

    m2_rule_refusal(&out, pool, rule, facts_of(list, pool));
    return out;
}

static void test_plain_refusal(void **state)
{
    m2_refusal_t out = refusal(add("r 1", "1=1", "DENY", NULL));

    (void)state;
    assert_int_equal(out.status, 403);
    assert_string_equal(out.message, "Access Control Forbidden by r 1");
    assert_null(out.body);
    assert_null(out.content_type);
    assert_null(out.headers);
}

static void test_full_refusal(void **state)
{
    m2_rule_t *rule = add("r", "1=1", "DENY", NULL);
    m2_refusal_t out;

    (void)state;
    rule->status = 451;
    set(rule, "errorMessage", "not %{path}: %{evil}");
    set(rule, "responseBody", "<Reason>%{path} %{evil}</Reason>\n");
    header(rule, "X-A", "%{evil}");
    header(rule, "Content-Type", "application/xml");
    header(rule, "X-A", "%{a}%{CaStage}");
    out = refusal(rule);
    assert_int_equal(out.status, 451);
    assert_string_equal(out.message, "not /users/8: \"<X: y");
    assert_string_equal(out.content_type, "application/xml");
    assert_string_equal(out.body,
                        "<Reason>/users/8 &quot;&lt;&#13;&#10;X: y</Reason>\n");
    assert_int_equal(out.headers->nelts, 2);
    assert_int_equal(APR_ARRAY_IDX(out.headers, 0, m2_publish_t).place, M2_PLACE_HEADER);
    assert_string_equal(APR_ARRAY_IDX(out.headers, 0, m2_publish_t).name, "X-A");
    assert_string_equal(APR_ARRAY_IDX(out.headers, 0, m2_publish_t).value, "\"<X: y");
    assert_string_equal(APR_ARRAY_IDX(out.headers, 1, m2_publish_t).value, "xCaStage");
}

static const char *body_as(const char *name, const char *type)
{
    m2_rule_t *rule = add(name, "1=1", "DENY", NULL);
    m2_refusal_t out;

    set(rule, "responseBody", "%{evil}");
    if (type) {
        header(rule, "CONTENT-TYPE", type);
    }
    out = refusal(rule);
    return apr_pstrcat(pool, out.content_type, "|", out.body, NULL);
}

static void test_body_follows_its_type(void **state)
{
    (void)state;
    assert_string_equal(body_as("r1", NULL), "text/plain|\"<\r\nX: y");
    assert_string_equal(body_as("r2", "text/html; charset=utf-8"),
                        "text/html; charset=utf-8|&quot;&lt;&#13;&#10;X: y");
    assert_string_equal(body_as("r3", "application/problem+json"),
                        "application/problem+json|\\\"<\\u000d\\u000aX: y");
    /* what a body is escaped for is known while the configuration is read */
    assert_int_equal(m2_rule_header(add("r4", "1=1", "DENY", NULL), rules, "Content-Type",
                                    "%{type}", M2_MARK_PERCENT, &err), M2_E_CONFIG);
}

/* a Content-Type that describes nothing is not sent */
static void test_type_without_body(void **state)
{
    m2_rule_t *rule = add("r", "1=1", "DENY", NULL);
    m2_refusal_t out;

    (void)state;
    header(rule, "Content-Type", "application/xml");
    out = refusal(rule);
    assert_null(out.content_type);
    assert_null(out.headers);
}

static void test_empty_body_is_a_body(void **state)
{
    m2_rule_t *rule = add("r", "1=1", "DENY", NULL);

    (void)state;
    set(rule, "responseBody", "");
    set(rule, "errorMessage", "");
    assert_string_equal(refusal(rule).body, "");
    assert_string_equal(refusal(rule).message, "");
}

static void test_dollar_templates(void **state)
{
    m2_rule_t *rule = add("r", "1=1", "DENY", NULL);

    (void)state;
    assert_int_equal(m2_rule_option(rule, rules, "errorMessage", "${a} %{a}", M2_MARK_DOLLAR,
                                    &err), M2_OK);
    assert_int_equal(m2_rule_header(rule, rules, "X-B", "/${a}", M2_MARK_DOLLAR, &err),
                     M2_OK);
    assert_string_equal(refusal(rule).message, "x %{a}");
    assert_string_equal(APR_ARRAY_IDX(refusal(rule).headers, 0, m2_publish_t).value, "/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, fresh),
        cmocka_unit_test_setup(test_options, fresh),
        cmocka_unit_test_setup(test_options_refused, fresh),
        cmocka_unit_test_setup(test_given_twice, fresh),
        cmocka_unit_test_setup(test_names_refused, fresh),
        cmocka_unit_test_setup(test_condition_refused, fresh),
        cmocka_unit_test_setup(test_no_action, fresh),
        cmocka_unit_test_setup(test_added_twice, fresh),
        cmocka_unit_test_setup(test_headers_refused, fresh),
        cmocka_unit_test_setup(test_no_rules, fresh),
        cmocka_unit_test_setup(test_order, fresh),
        cmocka_unit_test_setup(test_deny, fresh),
        cmocka_unit_test_setup(test_error_denies, fresh),
        cmocka_unit_test_setup(test_error_behind_a_decision, fresh),
        cmocka_unit_test_setup(test_plain_refusal, fresh),
        cmocka_unit_test_setup(test_full_refusal, fresh),
        cmocka_unit_test_setup(test_body_follows_its_type, fresh),
        cmocka_unit_test_setup(test_type_without_body, fresh),
        cmocka_unit_test_setup(test_empty_body_is_a_body, fresh),
        cmocka_unit_test_setup(test_dollar_templates, fresh),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
