/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The rules of a section, in order: condition, what follows from true and from false, and
 * what a refusal says. Built by directives or by a gateway plugin file, compiled once.
 *
 * The room rules decides whether a condition over a request and its token is true. Never
 * knows how the host answers what it asks for.
 */
#ifndef M2_RULES_H
#define M2_RULES_H

#include "rules/m2_path.h"
#include "rules/m2_rule.h"
#include "rules/m2_template.h"

typedef enum m2_action_t { M2_ACTION_NONE, M2_ACTION_ALLOW, M2_ACTION_DENY } m2_action_t;

typedef struct m2_rule_header_t {
    const char *name;
    const m2_template_t *value;
} m2_rule_header_t;

typedef struct m2_rule_t {
    int number;                    /* from 1, set by a host that counts; 0: none */
    const char *name;
    const char *text;              /* of the condition, as written */
    const m2_expr_t *condition;
    m2_action_t if_true;
    m2_action_t if_false;
    int of_token;                  /* m2_expr_is_of_token */
    int shadow;                    /* it is evaluated and reported, and decides nothing */
    int status;                    /* 400..599, default 403 */
    const m2_template_t *message;  /* errorMessage, or NULL */
    const m2_template_t *body;     /* responseBody, or NULL */
    apr_array_header_t *headers;   /* of m2_rule_header_t, may be NULL */
} m2_rule_t;

/* the rules list group of a section */
typedef struct m2_rules_t {
    apr_pool_t *pool;
    m2_params_t *params;
    apr_array_header_t *rules;        /* of m2_rule_t * */
    m2_action_t default_action;       /* M2_ACTION_ALLOW unless said otherwise */
    int deny_duplicates;              /* M2MDuplicateParameter for this group's source:
                                         1 native, 0 plugin files; M2_UNSET never */
    const m2_path_template_t *path;   /* M2MPath, or NULL */
} m2_rules_t;

/* a refusal by a rule, rendered */
typedef struct m2_refusal_t {
    int status;
    const char *message;              /* header-safe */
    const char *body;                 /* NULL: none of its own */
    const char *content_type;         /* of body; NULL without a body */
    apr_array_header_t *headers;      /* of m2_publish_t (place header), or NULL */
} m2_refusal_t;

/* what a rule in shadow would have done */
typedef struct m2_shadowed_t {
    const m2_rule_t *rule;
    m2_code_t code;                   /* M2_OK, M2_E_RULE_DENIED or M2_E_RULE_ERROR */
    const char *why;                  /* with M2_E_RULE_ERROR, without values; may be NULL */
} m2_shadowed_t;

/* The rules that are left to ask about one token; rules NULL: all of any list. */
typedef struct m2_rules_rest_t {
    const m2_rules_t *rules;   /* those that which is about */
    int n;
    const apr_uint32_t *which; /* indices, in order */
} m2_rules_rest_t;

/** Empty rules, in pool: no rule and no parameter is declared. */
m2_rules_t *m2_rules_make(apr_pool_t *pool);

/** One word of a rule: `ifTrue=DENY`, `statusCode=404`, `errorMessage=...` (names in any
 *  case). mark says which template syntax texts use. M2_E_CONFIG with a sentence. */
m2_code_t m2_rule_option(m2_rule_t *rule, m2_rules_t *rules, const char *name,
                         const char *value, m2_template_mark_t mark, m2_err_t *err);

/** The word `shadow` in front of a rule's other options, in any case: taken off *pargs.
 *  M2_E_CONFIG when it was there before. */
m2_code_t m2_rule_take_shadow(m2_rule_t *rule, const char **pargs, m2_err_t *err);

/** Start a rule (not yet in the list): M2_E_CONFIG for a bad or repeated name, or a
 *  condition that does not compile (err->column set). */
m2_code_t m2_rule_make(m2_rule_t **prule, m2_rules_t *rules, const char *name,
                       const char *condition, m2_err_t *err);

/** Add to a rule's headers; refuses m2_header_name_forbidden names. */
m2_code_t m2_rule_header(m2_rule_t *rule, m2_rules_t *rules, const char *name,
                         const char *value, m2_template_mark_t mark, m2_err_t *err);

/** Put a finished rule into the list: at least one of ifTrue and ifFalse. */
m2_code_t m2_rules_add(m2_rules_t *rules, m2_rule_t *rule, m2_err_t *err);

/** The rule of that name, case-sensitive, or NULL. */
m2_rule_t *m2_rules_named(const m2_rules_t *rules, const char *name);

/** Whether parameters of rules, which may be NULL, are parts of the path. has_operations: templates
 *  of operations give values to `Parameter:`, as the M2MPath of the rules does. */
int m2_rules_read_path(const m2_rules_t *rules, int has_operations);

/**
 * Walk the rules, or only those that rest leaves of them; it may be NULL. M2_OK (some rule
 * allowed, or the default does), M2_E_RULE_DENIED, M2_E_RULE_ERROR, M2_E_RULE_DEFAULT. *prule is
 * the rule that decided, NULL for the default. err says, without values, why a condition could
 * not be evaluated. *pshadowed, where it is wanted, is what rules in shadow would have done, up
 * to the one that decided: of m2_shadowed_t in facts->pool, NULL for none.
 */
m2_code_t m2_rules_decide(const m2_rule_t **prule, apr_array_header_t **pshadowed,
                          const m2_rules_t *rules, const m2_rules_rest_t *rest,
                          m2_facts_t *facts, m2_err_t *err);

/**
 * Ask the rules that read nothing but a token, and list in which, in order, those that are left:
 * every one that reads anything else, that could not be evaluated, or that does something; none
 * behind one that is known to decide. Returns how many, or -1 if more than most would have to
 * be listed. facts need only answer for claims and the user.
 */
int m2_rules_settle(apr_uint32_t *which, int most, const m2_rules_t *rules, m2_facts_t *facts);

/** Render what a rule's refusal says. */
void m2_rule_refusal(m2_refusal_t *refusal, apr_pool_t *pool, const m2_rule_t *rule,
                     m2_facts_t *facts);

#endif /* M2_RULES_H */
