/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The list of rules: how one is put together out of words, which one decides, and what its
 * refusal says. Everything is compiled when it is said; a request only walks.
 */
#include "rules/m2_rules.h"

#include "rules/m2_dataset.h"
#include "text/m2_nearest.h"
#include "text/m2_once.h"
#include "token/m2_publish.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OPTIONS "ifTrue, ifFalse, statusCode, errorMessage and responseBody"
#define DEFAULT_STATUS 403
#define MAX_RULE_NAME 128 /* bytes; it goes into logs, a header and the environment */

/* --- building --- */

m2_rules_t *m2_rules_make(apr_pool_t *pool)
{
    m2_rules_t *rules = apr_pcalloc(pool, sizeof(*rules));

    rules->pool = pool;
    rules->params = m2_params_make(pool);
    rules->rules = apr_array_make(pool, 4, sizeof(m2_rule_t *));
    rules->default_action = M2_ACTION_ALLOW;
    rules->deny_duplicates = 1;
    return rules;
}

m2_rule_t *m2_rules_named(const m2_rules_t *rules, const char *name)
{
    int i;

    for (i = 0; i < rules->rules->nelts; i++) {
        m2_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, m2_rule_t *);

        if (strcmp(rule->name, name) == 0) {
            return rule;
        }
    }
    return NULL;
}

static m2_code_t check_rule_name(const m2_rules_t *rules, const char *name, m2_err_t *err)
{
    const char *p;

    for (p = name; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return m2_err_set(err, M2_E_CONFIG, "the name of a rule holds a control byte");
        }
    }
    if (p == name || p - name > MAX_RULE_NAME) {
        return m2_err_set(err, M2_E_CONFIG, "the name of a rule must have 1 to %d bytes",
                          MAX_RULE_NAME);
    }
    if (m2_rules_named(rules, name)) {
        return m2_err_set(err, M2_E_CONFIG, "there is a rule named %s already", name);
    }
    return M2_OK;
}

/* The data sets that a rule's condition names, for what is said of one that is not there. */
static void sign_datasets(const m2_rule_t *rule, const m2_params_t *params, int from)
{
    for (; from < params->datasets->nelts; from++) {
        APR_ARRAY_IDX(params->datasets, from, m2_dataset_ref_t *)->rule = rule->name;
    }
}

m2_code_t m2_rule_make(m2_rule_t **prule, m2_rules_t *rules, const char *name,
                       const char *condition, m2_err_t *err)
{
    m2_rule_t *rule = apr_pcalloc(rules->pool, sizeof(*rule));
    const int datasets = rules->params->datasets->nelts;
    m2_code_t code = check_rule_name(rules, name, err);

    *prule = NULL;
    if (!code) {
        code = m2_expr_compile(&rule->condition, rules->pool, condition, rules->params, err);
    }
    if (code) {
        return code;
    }
    rule->name = apr_pstrdup(rules->pool, name);
    rule->text = apr_pstrdup(rules->pool, condition);
    sign_datasets(rule, rules->params, datasets);
    rule->of_token = m2_expr_is_of_token(rule->condition, rules->params);
    *prule = rule;
    return M2_OK;
}

/* A template's own column would be taken for one of the condition. */
static m2_code_t set_template(const m2_template_t **ptemplate, m2_rules_t *rules,
                              const char *what, const char *text, m2_template_mark_t mark,
                              m2_err_t *err)
{
    m2_err_t own;
    m2_code_t code;

    m2_err_init(&own, rules->pool);
    code = m2_template_compile(ptemplate, rules->pool, text, mark, rules->params, &own);
    return code ? m2_err_set(err, code, "%s, column %d: %s", what, own.column, own.text)
                : M2_OK;
}

/* --- options --- */

typedef struct words_t {
    m2_rules_t *rules;
    const char *name;  /* of the option, as documented */
    const char *value;
    m2_template_mark_t mark;
} words_t;

static m2_code_t given_twice(const words_t *words, m2_err_t *err)
{
    return m2_err_set(err, M2_E_CONFIG, "%s is given twice", words->name);
}

static m2_code_t set_action(m2_action_t *paction, const words_t *words, m2_err_t *err)
{
    m2_slice_t value = m2_slice_z(words->value);

    if (*paction != M2_ACTION_NONE) {
        return given_twice(words, err);
    }
    *paction = m2_slice_is_nocase(value, "ALLOW")  ? M2_ACTION_ALLOW
               : m2_slice_is_nocase(value, "DENY") ? M2_ACTION_DENY
                                                   : M2_ACTION_NONE;
    return *paction == M2_ACTION_NONE
               ? m2_err_set(err, M2_E_CONFIG, "%s must be ALLOW or DENY, not \"%s\"",
                            words->name, words->value)
               : M2_OK;
}

static m2_code_t set_if_true(m2_rule_t *rule, const words_t *words, m2_err_t *err)
{
    return set_action(&rule->if_true, words, err);
}

static m2_code_t set_if_false(m2_rule_t *rule, const words_t *words, m2_err_t *err)
{
    return set_action(&rule->if_false, words, err);
}

static m2_code_t set_status(m2_rule_t *rule, const words_t *words, m2_err_t *err)
{
    const char *v = words->value;

    if (rule->status) {
        return given_twice(words, err);
    }
    if (strlen(v) != 3 || (v[0] != '4' && v[0] != '5') || v[1] < '0' || v[1] > '9'
        || v[2] < '0' || v[2] > '9') {
        return m2_err_set(err, M2_E_CONFIG, "%s must be a number from 400 to 599, not "
                          "\"%s\"", words->name, v);
    }
    rule->status = (v[0] - '0') * 100 + (v[1] - '0') * 10 + (v[2] - '0');
    return M2_OK;
}

static m2_code_t set_text(const m2_template_t **ptemplate, const words_t *words,
                          m2_err_t *err)
{
    return *ptemplate ? given_twice(words, err)
                      : set_template(ptemplate, words->rules, words->name, words->value,
                                     words->mark, err);
}

static m2_code_t set_message(m2_rule_t *rule, const words_t *words, m2_err_t *err)
{
    return set_text(&rule->message, words, err);
}

static m2_code_t set_body(m2_rule_t *rule, const words_t *words, m2_err_t *err)
{
    return set_text(&rule->body, words, err);
}

typedef struct option_t {
    const char *name;
    m2_code_t (*set)(m2_rule_t *rule, const words_t *words, m2_err_t *err);
} option_t;

static const option_t options[] = {
    { "ifTrue", set_if_true },        { "ifFalse", set_if_false },
    { "statusCode", set_status },     { "errorMessage", set_message },
    { "responseBody", set_body },
};

m2_code_t m2_rule_option(m2_rule_t *rule, m2_rules_t *rules, const char *name,
                         const char *value, m2_template_mark_t mark, m2_err_t *err)
{
    words_t words = { rules, NULL, value, mark };
    apr_size_t i;

    for (i = 0; i < COUNT(options); i++) {
        if (m2_slice_is_nocase(m2_slice_z(name), options[i].name)) {
            words.name = options[i].name;
            return options[i].set(rule, &words, err);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "unknown option \"%s\"; there are " OPTIONS
                      " and the word shadow%s", name,
                      m2_nearest_hint(err ? err->pool : NULL, name, OPTIONS));
}

/* the length of the word at `at` when it is `shadow`, else 0 */
static apr_size_t shadow_at(const char *at)
{
    apr_size_t n = strcspn(at, " \t\r");

    return m2_slice_is_nocase(m2_slice(at, n), "shadow") ? n : 0;
}

m2_code_t m2_rule_take_shadow(m2_rule_t *rule, const char **pargs, m2_err_t *err)
{
    const char *at = *pargs + strspn(*pargs, " \t");
    apr_size_t n;

    while ((n = shadow_at(at)) != 0) {
        if (m2_once_flag(&rule->shadow, "shadow", err) != M2_OK) {
            return M2_E_CONFIG;
        }
        at += n + strspn(at + n, " \t");
    }
    *pargs = at;
    return M2_OK;
}

static int is_content_type(const char *name)
{
    return m2_slice_is_nocase(m2_slice_z(name), "Content-Type");
}

/* the rule's Content-Type header, or NULL */
static const m2_rule_header_t *content_type_of(const m2_rule_t *rule)
{
    int i;

    for (i = 0; rule->headers && i < rule->headers->nelts; i++) {
        const m2_rule_header_t *header = &APR_ARRAY_IDX(rule->headers, i, m2_rule_header_t);

        if (is_content_type(header->name)) {
            return header;
        }
    }
    return NULL;
}

m2_code_t m2_rule_header(m2_rule_t *rule, m2_rules_t *rules, const char *name,
                         const char *value, m2_template_mark_t mark, m2_err_t *err)
{
    m2_rule_header_t header = { apr_pstrdup(rules->pool, name), NULL };
    m2_code_t code;

    if (m2_header_name_forbidden(name)) {
        return m2_err_set(err, M2_E_CONFIG, "a rule cannot set the header \"%s\"", name);
    }
    if (is_content_type(name) && content_type_of(rule)) {
        return m2_err_set(err, M2_E_CONFIG, "Content-Type is given twice");
    }
    code = set_template(&header.value, rules, name, value, mark, err);
    if (code) {
        return code;
    }
    if (is_content_type(name) && !m2_template_is_literal(header.value)) {
        return m2_err_set(err, M2_E_CONFIG, "Content-Type takes no parameters: it decides how "
                          "those of the body are escaped");
    }
    if (!rule->headers) {
        rule->headers = apr_array_make(rules->pool, 2, sizeof(m2_rule_header_t));
    }
    APR_ARRAY_PUSH(rule->headers, m2_rule_header_t) = header;
    return M2_OK;
}

m2_code_t m2_rules_add(m2_rules_t *rules, m2_rule_t *rule, m2_err_t *err)
{
    if (rule->if_true == M2_ACTION_NONE && rule->if_false == M2_ACTION_NONE) {
        return m2_err_set(err, M2_E_CONFIG, "rule %s needs ifTrue or ifFalse", rule->name);
    }
    if (m2_rules_named(rules, rule->name)) {
        return m2_err_set(err, M2_E_CONFIG, "there is a rule named %s already", rule->name);
    }
    if (!rule->status) {
        rule->status = DEFAULT_STATUS;
    }
    APR_ARRAY_PUSH(rules->rules, m2_rule_t *) = rule;
    return M2_OK;
}

/* --- deciding --- */

static m2_action_t action_of(const m2_rule_t *rule, m2_truth_t truth)
{
    return truth == M2_TRUE ? rule->if_true : rule->if_false;
}

/* Asks a rule in shadow, and remembers what it would have done, if anything. */
static void ask_shadow(apr_array_header_t **pshadowed, const m2_rule_t *rule, m2_facts_t *facts)
{
    m2_shadowed_t shadowed = { rule, M2_OK, NULL };
    m2_truth_t truth;
    m2_action_t action;
    m2_err_t err;

    m2_err_init(&err, facts->pool);
    truth = m2_expr_eval(rule->condition, facts, &err);
    action = action_of(rule, truth);
    if (truth == M2_ERROR) {
        shadowed.code = M2_E_RULE_ERROR;
        shadowed.why = err.text;
    }
    else if (action == M2_ACTION_NONE) {
        return;
    }
    else if (action == M2_ACTION_DENY) {
        shadowed.code = M2_E_RULE_DENIED;
    }
    if (!*pshadowed) {
        *pshadowed = apr_array_make(facts->pool, 2, sizeof(m2_shadowed_t));
    }
    APR_ARRAY_PUSH(*pshadowed, m2_shadowed_t) = shadowed;
}

int m2_rules_read_path(const m2_rules_t *rules, int has_operations)
{
    return rules
           && (m2_params_use(rules->params, M2_SRC_PATH)
               || m2_params_use(rules->params, M2_SRC_PATH_NAME)
               || ((rules->path || has_operations)
                   && m2_params_use(rules->params, M2_SRC_PARAMETER)));
}

m2_code_t m2_rules_decide(const m2_rule_t **prule, apr_array_header_t **pshadowed,
                          const m2_rules_t *rules, const m2_rules_rest_t *rest,
                          m2_facts_t *facts, m2_err_t *err)
{
    const int some = rest && rest->rules == rules;
    const int n = some ? rest->n : rules->rules->nelts;
    int i;

    if (pshadowed) {
        *pshadowed = NULL;
    }
    for (i = 0; i < n; i++) {
        const m2_rule_t *rule = APR_ARRAY_IDX(rules->rules, some ? (int)rest->which[i] : i,
                                              const m2_rule_t *);
        m2_truth_t truth;
        m2_action_t action;

        if (rule->shadow) {
            if (pshadowed) {
                ask_shadow(pshadowed, rule, facts);
            }
            continue;
        }
        truth = m2_expr_eval(rule->condition, facts, err);
        action = action_of(rule, truth);
        *prule = rule;
        if (truth == M2_ERROR) {
            return m2_err_set(err, M2_E_RULE_ERROR, "the condition cannot be evaluated");
        }
        if (action != M2_ACTION_NONE) {
            return action == M2_ACTION_ALLOW ? M2_OK : M2_E_RULE_DENIED;
        }
    }
    *prule = NULL;
    return rules->default_action == M2_ACTION_ALLOW ? M2_OK : M2_E_RULE_DEFAULT;
}

int m2_rules_settle(apr_uint32_t *which, int most, const m2_rules_t *rules, m2_facts_t *facts)
{
    int i, n = 0;

    for (i = 0; i < rules->rules->nelts; i++) {
        const m2_rule_t *rule = APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *);
        const m2_truth_t truth = rule->of_token ? m2_expr_eval(rule->condition, facts, NULL)
                                                : M2_ERROR;

        if (truth != M2_ERROR && action_of(rule, truth) == M2_ACTION_NONE) {
            continue;
        }
        if (n == most) {
            return -1;
        }
        which[n++] = (apr_uint32_t)i;
        if (truth != M2_ERROR && !rule->shadow) {
            break; /* it decides */
        }
    }
    return n;
}

/* the rule's headers other than Content-Type, which goes with the body */
static apr_array_header_t *render_headers(apr_pool_t *pool, const m2_rule_t *rule,
                                          m2_facts_t *facts)
{
    apr_array_header_t *list = NULL;
    int i;

    for (i = 0; rule->headers && i < rule->headers->nelts; i++) {
        const m2_rule_header_t *header = &APR_ARRAY_IDX(rule->headers, i, m2_rule_header_t);
        m2_publish_t *publish;

        if (is_content_type(header->name)) {
            continue;
        }
        if (!list) {
            list = apr_array_make(pool, rule->headers->nelts, sizeof(m2_publish_t));
        }
        publish = apr_array_push(list);
        publish->place = M2_PLACE_HEADER;
        publish->name = header->name;
        publish->value = m2_template_render(header->value, pool, M2_ESCAPE_HEADER, facts);
    }
    return list;
}

static void render_body(m2_refusal_t *refusal, apr_pool_t *pool, const m2_rule_t *rule,
                        m2_facts_t *facts)
{
    const m2_rule_header_t *type = content_type_of(rule);
    const char *media = type ? m2_template_render(type->value, pool, M2_ESCAPE_HEADER, facts)
                             : "";

    refusal->content_type = *media ? media : "text/plain";
    refusal->body = m2_template_render(rule->body, pool,
                                       m2_escape_for(refusal->content_type), facts);
}

void m2_rule_refusal(m2_refusal_t *refusal, apr_pool_t *pool, const m2_rule_t *rule,
                     m2_facts_t *facts)
{
    memset(refusal, 0, sizeof(*refusal));
    refusal->status = rule->status;
    refusal->message = rule->message ? m2_template_render(rule->message, pool,
                                                          M2_ESCAPE_HEADER, facts)
                                     : apr_psprintf(pool, "Access Control Forbidden by %s",
                                                    rule->name);
    refusal->headers = render_headers(pool, rule, facts);
    if (rule->body) {
        render_body(refusal, pool, rule, facts);
    }
}
