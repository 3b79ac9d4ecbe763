/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The fields of an accessControl script. Conditions and texts are compiled by the code
 * that directives use; this file adds where in the script they stand. Faults of a
 * condition name the line of the script and the column inside the condition.
 */
#include "plugin/m2_plugin.h"

#include "plugin/m2_yaml.h"
#include "rules/m2_dataset.h"

#include <stddef.h>

typedef struct access_fields_t {
    const m2_node_t *parameters, *rules;
} access_fields_t;

/* clang-format off */
#define SLOT(member) offsetof(access_fields_t, member)
static const m2_field_t access_fields[] = {
    { "parameters", M2_WANT_MAP,  SLOT(parameters), NULL },
    { "rules",      M2_WANT_LIST, SLOT(rules),      NULL },
    { NULL, 0, 0, NULL },
};
#undef SLOT

typedef struct rule_fields_t {
    const m2_node_t *name, *condition, *headers;
    const m2_node_t *parameter, *dataset; /* in the place of a condition */
    const m2_node_t *if_true, *if_false, *status, *message, *body; /* options */
} rule_fields_t;

#define SLOT(member) offsetof(rule_fields_t, member)
static const m2_field_t rule_fields[] = {
    { "name",            M2_WANT_NAME,   SLOT(name),      NULL },
    { "condition",       M2_WANT_STRING, SLOT(condition), NULL },
    { "ifTrue",          M2_WANT_STRING, SLOT(if_true),   NULL },
    { "ifFalse",         M2_WANT_STRING, SLOT(if_false),  NULL },
    { "statusCode",      M2_WANT_INT,    SLOT(status),    NULL },
    { "errorMessage",    M2_WANT_TEXT,   SLOT(message),   NULL },
    { "responseHeaders", M2_WANT_MAP,    SLOT(headers),   NULL },
    { "responseBody",    M2_WANT_TEXT,   SLOT(body),      NULL },
    { "assertInDataset",     M2_WANT_STRING, SLOT(dataset),   NULL },
    { "assertParameterName", M2_WANT_STRING, SLOT(parameter), NULL },
    { NULL, 0, 0, NULL },
};
#undef SLOT
/* clang-format on */

/* fields that a rule takes as one word */
static const char *const option_names[] = {
    "ifTrue", "ifFalse", "statusCode", "errorMessage", "responseBody",
};

typedef struct building_t {
    m2_rules_t *rules;
    apr_pool_t *pool;
    m2_err_t *err;
} building_t;

/* --- parameters --- */

static m2_code_t check_path(building_t *b, const m2_node_t *node, const m2_param_t *param)
{
    if (param->source != M2_SRC_PATH_NAME ||
        (b->rules->path && m2_path_has(b->rules->path, param->arg))) {
        return M2_OK;
    }
    return m2_node_fault(node, b->err,
                         "parameter %s: %s needs an M2MPath with {%s} in it", param->name,
                         node->text, param->arg);
}

static m2_code_t read_parameter(building_t *b, const m2_node_t *name,
                                const m2_node_t *value)
{
    const apr_array_header_t *list = b->rules->params->list;
    m2_code_t code = m2_node_want(value, M2_WANT_STRING, name->text, b->err);
    m2_err_t cause;
    int index;

    if (code) {
        return code;
    }
    m2_err_init(&cause, b->pool);
    if (m2_params_declare(b->rules->params, name->text, value->text, &cause)) {
        return m2_node_fault_of(
            value, apr_pstrcat(b->pool, "parameter ", name->text, NULL), &cause, b->err);
    }
    index = m2_params_find(b->rules->params, m2_slice_z(name->text));
    return check_path(b, value, &APR_ARRAY_IDX(list, index, m2_param_t));
}

static m2_code_t read_parameters(building_t *b, const m2_node_t *map)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && map && i < m2_node_count(map); i++) {
        code = read_parameter(b, m2_node_name_at(map, i), m2_node_value_at(map, i));
    }
    return code;
}

/* --- rules --- */

static const char *rule_words(building_t *b, const rule_fields_t *fields,
                              const char *part)
{
    return apr_pstrcat(b->pool, "rule ", fields->name->text, part, NULL);
}

static int is_whole(apr_size_t (*length)(m2_slice_t text), const char *text)
{
    return *text && length(m2_slice_z(text)) == strlen(text);
}

/* A rule has a condition, or asks whether a parameter is in a data set. */
static m2_code_t find_condition(const m2_node_t **pnode, const char **ptext, building_t *b,
                                const m2_node_t *node, const rule_fields_t *fields)
{
    if (!fields->dataset && !fields->parameter) {
        *pnode = fields->condition;
        *ptext = fields->condition ? fields->condition->text : NULL;
        return *ptext ? M2_OK : m2_node_fault(node, b->err, "condition is missing in a rule");
    }
    if (!fields->dataset || !fields->parameter || fields->condition) {
        return m2_node_fault(node, b->err, "a rule has a condition, or assertParameterName and "
                             "assertInDataset");
    }
    if (!is_whole(m2_name_length, fields->parameter->text)
        || !is_whole(m2_dataset_name_length, fields->dataset->text)) {
        return m2_node_fault(node, b->err, "assertParameterName is the name of a parameter, "
                             "assertInDataset that of a data set (M2MDataset)");
    }
    *pnode = fields->dataset;
    *ptext = apr_pstrcat(b->pool, "$", fields->parameter->text, " in dataset ",
                         fields->dataset->text, NULL);
    return M2_OK;
}

static m2_code_t make_rule(m2_rule_t **prule, building_t *b, const m2_node_t *node,
                           const rule_fields_t *fields)
{
    const m2_node_t *condition = NULL;
    const char *text = NULL;
    m2_code_t code;
    m2_err_t cause;

    if (!fields->name) {
        return m2_node_fault(node, b->err, "name is missing in a rule");
    }
    code = find_condition(&condition, &text, b, node, fields);
    if (code) {
        return code;
    }
    m2_err_init(&cause, b->pool);
    if (m2_rule_make(prule, b->rules, fields->name->text, text, &cause)) {
        return cause.column ? m2_node_fault_of(condition,
                                               rule_words(b, fields, ": condition"),
                                               &cause, b->err)
                            : m2_node_fault_of(fields->name, "rules", &cause, b->err);
    }
    return M2_OK;
}

static m2_code_t read_options(building_t *b, m2_rule_t *rule, const rule_fields_t *fields)
{
    const m2_node_t *const values[] = {
        fields->if_true, fields->if_false, fields->status, fields->message, fields->body,
    };
    m2_err_t cause;
    apr_size_t i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        m2_err_init(&cause, b->pool);
        if (values[i] && m2_rule_option(rule, b->rules, option_names[i], values[i]->text,
                                        M2_MARK_DOLLAR, &cause)) {
            return m2_node_fault_of(values[i], rule_words(b, fields, ""), &cause,
                                    b->err);
        }
    }
    return M2_OK;
}

static m2_code_t read_header(building_t *b, m2_rule_t *rule, const rule_fields_t *fields,
                             int i)
{
    const m2_node_t *name = m2_node_name_at(fields->headers, i);
    const m2_node_t *value = m2_node_value_at(fields->headers, i);
    m2_code_t code = m2_node_want(value, M2_WANT_TEXT, name->text, b->err);
    m2_err_t cause;

    m2_err_init(&cause, b->pool);
    if (!code && m2_rule_header(rule, b->rules, name->text, value->text, M2_MARK_DOLLAR,
                                &cause)) {
        return m2_node_fault_of(m2_header_name_forbidden(name->text) ? name : value,
                                rule_words(b, fields, ""), &cause, b->err);
    }
    return code;
}

static m2_code_t read_rule(building_t *b, const m2_node_t *node)
{
    rule_fields_t fields;
    m2_rule_t *rule = NULL;
    m2_err_t cause;
    m2_code_t code;
    int i;

    memset(&fields, 0, sizeof(fields));
    code = m2_node_fields(&fields, node, "a rule", rule_fields, b->err);
    code = code ? code : make_rule(&rule, b, node, &fields);
    code = code ? code : read_options(b, rule, &fields);
    for (i = 0; !code && fields.headers && i < m2_node_count(fields.headers); i++) {
        code = read_header(b, rule, &fields, i);
    }
    m2_err_init(&cause, b->pool);
    if (!code && m2_rules_add(b->rules, rule, &cause)) {
        code = m2_node_fault_of(node, "rules", &cause, b->err);
    }
    return code;
}

static m2_code_t read_rules(building_t *b, const m2_node_t *root, const m2_node_t *list)
{
    m2_code_t code = M2_OK;
    int i;

    if (!list || !m2_node_count(list)) {
        return m2_node_fault(list ? list : root, b->err, "there are no rules");
    }
    for (i = 0; !code && i < m2_node_count(list); i++) {
        code = read_rule(b, m2_node_at(list, i));
    }
    return code;
}

m2_code_t m2_plugin_access(m2_rules_t **prules, apr_pool_t *pool, m2_slice_t text,
                           const m2_path_template_t *path, m2_err_t *err)
{
    building_t b = { m2_rules_make(pool), pool, err };
    const m2_node_t *root;
    access_fields_t fields;
    m2_code_t code;

    memset(&fields, 0, sizeof(fields));
    b.rules->path = path;
    b.rules->deny_duplicates = 0;
    b.rules->default_action = M2_ACTION_ALLOW;
    code = m2_node_read(&root, pool, text, err);
    code = code ? code : m2_node_fields(&fields, root, "an accessControl script",
                                        access_fields, err);
    code = code ? code : read_parameters(&b, fields.parameters);
    code = code ? code : read_rules(&b, root, fields.rules);
    *prules = code ? NULL : b.rules;
    return code;
}
