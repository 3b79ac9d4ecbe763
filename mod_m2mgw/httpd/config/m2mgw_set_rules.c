/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The rules of a section, native or from an accessControl plugin file, and M2MPlugin
 * itself. Names resolve in their own section and are declared before use; only M2MPath may
 * stand anywhere in it, since nothing else could be meant.
 */
#include "httpd/config/m2mgw_set.h"

m2_rules_t *m2mgw_cfg_scope(m2mgw_section_t *section, apr_pool_t *pool)
{
    if (!section->rules) {
        section->rules = m2_rules_make(pool);
        section->rules->deny_duplicates = 1;
    }
    return section->rules;
}

/* What rules and limits of a section share is made by its first directive. */
static const char *enter_rules(m2mgw_section_t **psection, cmd_parms *cmd, void *dir)
{
    const char *bad = m2mgw_cfg_enter(psection, cmd, dir, M2MGW_PLUGIN_ACCESS);

    if (!bad) {
        m2mgw_cfg_scope(*psection, cmd->pool);
    }
    return bad;
}

/* `M2MRule NAME: column N: what is wrong` */
static const char *rule_fault(cmd_parms *cmd, const char *rule, const m2_err_t *err)
{
    const char *column = err->column ? apr_psprintf(cmd->pool, "column %d: ", err->column)
                                     : "";

    return apr_pstrcat(cmd->pool, cmd->cmd->name, " ", rule, ": ", column, err->text, NULL);
}

/* --- M2MPath --- */

const char *m2mgw_cfg_section_path(const m2_path_template_t **ppath, m2mgw_section_t *section,
                                   cmd_parms *cmd)
{
    const ap_directive_t *d = m2mgw_cfg_sibling(cmd, "M2MPath");
    const char *args, *word;
    m2_err_t err;

    *ppath = section->rules ? section->rules->path : NULL;
    if (*ppath || !d) {
        return NULL;
    }
    args = d->args;
    m2_err_init(&err, cmd->pool);
    word = ap_getword_conf(cmd->pool, &args);
    if (m2_path_compile(ppath, cmd->pool, word, &err) != M2_OK) {
        cmd->err_directive = d;
        return apr_pstrcat(cmd->pool, d->directive, ": ", err.text, NULL);
    }
    section->path_at = d;
    return NULL;
}

const char *m2mgw_cfg_path(cmd_parms *cmd, void *dir, const char *arg)
{
    m2mgw_section_t *section;
    m2_err_t err;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (bad) {
        return bad;
    }
    if (section->path_at && section->path_at != cmd->directive) {
        return m2mgw_cfg_error(cmd, "it was given in %s already; a section has one path",
                               m2mgw_cfg_place(cmd->pool, section->path_at));
    }
    section->path_at = cmd->directive;
    if (section->rules && section->rules->path) {
        return NULL; /* read ahead of its turn */
    }
    m2mgw_cfg_scope(section, cmd->pool);
    m2_err_init(&err, cmd->pool);
    return m2_path_compile(&section->rules->path, cmd->pool, arg, &err) == M2_OK
               ? NULL
               : m2mgw_cfg_fault(cmd, &err);
}

/* --- native rules --- */

/* the place of `Path:NAME` must exist in the section's M2MPath */
static const char *check_path_name(m2mgw_section_t *section, cmd_parms *cmd)
{
    const apr_array_header_t *list = section->rules->params->list;
    const m2_param_t *param = &APR_ARRAY_IDX(list, list->nelts - 1, m2_param_t);
    const char *bad;

    if (param->source != M2_SRC_PATH_NAME) {
        return NULL;
    }
    bad = m2mgw_cfg_section_path(&section->rules->path, section, cmd);
    if (bad) {
        return bad;
    }
    if (m2mgw_cfg_is_used("M2MOpenAPI") || m2mgw_cfg_is_used("M2MOperation")) {
        return NULL; /* the template of the operation may name it; else it is null */
    }
    if (!section->rules->path) {
        return m2mgw_cfg_error(cmd, "Path:%s needs an M2MPath in its own section, such as "
                               "M2MPath \"/users/{%s}/*\", or operations", param->arg,
                               param->arg);
    }
    if (!m2_path_has(section->rules->path, param->arg)) {
        return m2mgw_cfg_error(cmd, "Path:%s: the section's M2MPath has no {%s}", param->arg,
                               param->arg);
    }
    return NULL;
}

const char *m2mgw_cfg_parameter(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    m2_err_t err;
    const char *bad = enter_rules(&section, cmd, dir);

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 2, 2, "NAME SOURCE");
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_params_declare(section->rules->params, APR_ARRAY_IDX(words, 0, const char *),
                          APR_ARRAY_IDX(words, 1, const char *), &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    return check_path_name(section, cmd);
}

static const char *rule_options(m2_rule_t *rule, m2_rules_t *rules, cmd_parms *cmd,
                                const char *args)
{
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    const char *name, *value, *bad;
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    for (;;) {
        if (m2_rule_take_shadow(rule, &pairs.args, &err) != M2_OK) {
            return rule_fault(cmd, rule->name, &err);
        }
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            return bad;
        }
        if (m2_rule_option(rule, rules, name, value, M2_MARK_PERCENT, &err) != M2_OK) {
            return rule_fault(cmd, rule->name, &err);
        }
    }
}

const char *m2mgw_cfg_rule(cmd_parms *cmd, void *dir, const char *args)
{
    const char *name = NULL, *condition = NULL;
    m2mgw_section_t *section;
    m2_rule_t *rule;
    m2_err_t err;
    const char *bad = enter_rules(&section, cmd, dir);

    if (!bad) {
        bad = m2mgw_cfg_word(&name, cmd, &args);
    }
    if (!bad) {
        bad = m2mgw_cfg_word(&condition, cmd, &args);
    }
    if (!bad && !condition) {
        bad = m2mgw_cfg_error(cmd, "it takes NAME CONDITION [ifTrue=ALLOW|DENY] "
                              "[ifFalse=ALLOW|DENY] [statusCode=N] [errorMessage=T] "
                              "[responseBody=T] [shadow]");
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_rule_make(&rule, section->rules, name, condition, &err) != M2_OK) {
        return rule_fault(cmd, name, &err);
    }
    m2mgw_cfg_sign_datasets(section->rules->params, cmd, name);
    section->dir->rules = section->rules;
    bad = rule_options(rule, section->rules, cmd, args);
    if (!bad && m2_rules_add(section->rules, rule, &err) != M2_OK) {
        bad = rule_fault(cmd, name, &err);
    }
    return bad;
}

const char *m2mgw_cfg_rule_header(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    m2_rule_t *rule;
    m2_err_t err;
    const char *name;
    const char *bad = enter_rules(&section, cmd, dir);

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 3, 3, "RULE NAME TEMPLATE");
    }
    if (bad) {
        return bad;
    }
    name = APR_ARRAY_IDX(words, 0, const char *);
    rule = m2_rules_named(section->rules, name);
    if (!rule) {
        return m2mgw_cfg_error(cmd, "there is no M2MRule %s above it in its own section", name);
    }
    m2_err_init(&err, cmd->pool);
    if (m2_rule_header(rule, section->rules, APR_ARRAY_IDX(words, 1, const char *),
                       APR_ARRAY_IDX(words, 2, const char *), M2_MARK_PERCENT, &err)
        != M2_OK) {
        return rule_fault(cmd, name, &err);
    }
    return NULL;
}

const char *m2mgw_cfg_default_action(cmd_parms *cmd, void *dir, const char *arg)
{
    m2mgw_section_t *section;
    const char *bad = enter_rules(&section, cmd, dir);

    if (bad) {
        return bad;
    }
    section->default_at = cmd->directive;
    if (ap_cstr_casecmp(arg, "ALLOW") == 0) {
        section->rules->default_action = M2_ACTION_ALLOW;
    }
    else if (ap_cstr_casecmp(arg, "DENY") == 0) {
        section->rules->default_action = M2_ACTION_DENY;
    }
    else {
        bad = m2mgw_cfg_unknown(cmd, "", arg, "ALLOW or DENY");
    }
    return bad;
}
