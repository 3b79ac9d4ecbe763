/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Facts for the tests of rules: a short list of names and what they hold, with a look-up
 * that counts how often it was asked.
 */
#ifndef T_FACTS_H
#define T_FACTS_H

#include "rules/m2_param.h"

typedef enum fact_kind_t { FACT_TEXT, FACT_CLAIM, FACT_NULL, FACT_ERROR } fact_kind_t;

typedef struct fact_t {
    const char *name;
    fact_kind_t kind;
    m2_slice_t text;       /* of a text, or the JSON of a claim */
    const m2_json_t *json; /* made on first use */
    int asked;             /* how often the look-up was asked for it */
} fact_t;

typedef struct fact_list_t {
    apr_pool_t *pool;
    apr_array_header_t *facts; /* of fact_t */
    m2_params_t *params;       /* all of them declared, as Query:NAME or Token:NAME */
    int system_asked;
} fact_list_t;

static inline fact_list_t *fact_list_make(apr_pool_t *pool)
{
    fact_list_t *list = apr_pcalloc(pool, sizeof(*list));

    list->pool = pool;
    list->facts = apr_array_make(pool, 100, sizeof(fact_t));
    list->params = m2_params_make(pool);
    return list;
}

static inline m2_code_t fact_add(fact_list_t *list, const char *name, fact_kind_t kind,
                                 m2_slice_t text)
{
    fact_t fact = { apr_pstrdup(list->pool, name), kind, text, NULL, 0 };
    const char *word = kind == FACT_CLAIM ? "Token:" : "Query:";

    if (kind == FACT_CLAIM
        && m2_json_parse(&fact.json, list->pool, text, M2_E_CONFIG, NULL)) {
        return M2_E_CONFIG;
    }
    APR_ARRAY_PUSH(list->facts, fact_t) = fact;
    return m2_params_declare(list->params, name, apr_pstrcat(list->pool, word, name, NULL),
                             NULL);
}

static inline m2_code_t fact_text(fact_list_t *list, const char *name, const char *text)
{
    return fact_add(list, name, FACT_TEXT, m2_slice_z(text));
}

static inline fact_t *fact_named(fact_list_t *list, const char *name)
{
    int i;

    for (i = 0; i < list->facts->nelts; i++) {
        fact_t *fact = &APR_ARRAY_IDX(list->facts, i, fact_t);

        if (strcmp(fact->name, name) == 0) {
            return fact;
        }
    }
    return NULL;
}

static inline m2_code_t fact_lookup(m2_value_t *value, const m2_param_t *param, void *baton)
{
    fact_list_t *list = baton;
    fact_t *fact = fact_named(list, param->name);

    if (!fact) {
        list->system_asked++;
        value->text = m2_slice_z(param->arg);
        return M2_OK;
    }
    fact->asked++;
    if (fact->kind == FACT_TEXT) {
        value->text = fact->text;
    }
    value->json = fact->json;
    return fact->kind == FACT_ERROR ? M2_E_RULE_ERROR : M2_OK;
}

#define FACT_NOW APR_INT64_C(1798761599123456) /* 2026-12-31 23:59:59.123456 GMT */

static inline m2_facts_t *facts_of(fact_list_t *list, apr_pool_t *pool)
{
    m2_facts_t *facts = apr_pcalloc(pool, sizeof(*facts));

    facts->pool = pool;
    facts->now = FACT_NOW;
    facts->lookup = fact_lookup;
    facts->baton = list;
    facts->params = list->params;
    facts->random = 0.25;
    return facts;
}

#endif /* T_FACTS_H */
