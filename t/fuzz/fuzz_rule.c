/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Condition text, and a value that is matched against it. Input: the condition up to the
 * first NUL, the value of $a behind it; $n is null, $e is in error, $j is that value as JSON
 * where it is some. Holds it to: no crash, a column inside the text, no error without a
 * sentence, and the same answer twice.
 */
#include <stdint.h>
#include <stdlib.h>

#include "rules/m2_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input_t {
    const char *condition;
    m2_slice_t value;
    const m2_json_t *json;
} input_t;

static m2_code_t lookup(m2_value_t *value, const m2_param_t *param, void *baton)
{
    const input_t *input = baton;

    if (param->name[0] == 'a') {
        value->text = input->value;
    }
    else if (param->name[0] == 'j') {
        value->json = input->json;
    }
    return param->name[0] == 'e' ? M2_E_RULE_ERROR : M2_OK;
}

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static m2_params_t *make_params(apr_pool_t *pool)
{
    static const char *const names[] = { "a", "n", "e", "j" };
    m2_params_t *params = m2_params_make(pool);
    int i;

    for (i = 0; i < 4; i++) {
        must(!m2_params_declare(params, names[i], "Query:x", NULL));
    }
    return params;
}

static void evaluate(const m2_expr_t *expr, apr_pool_t *pool, m2_params_t *params,
                     input_t *input, m2_err_t *err)
{
    m2_facts_t facts;
    m2_truth_t truth;

    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.now = APR_INT64_C(1798761599123456);
    facts.random = 0.5;
    facts.lookup = lookup;
    facts.baton = input;
    facts.params = params;
    truth = m2_expr_eval(expr, &facts, err);
    must(truth == M2_FALSE || truth == M2_TRUE || truth == M2_ERROR);
    must((truth == M2_ERROR) == (err->text != NULL));
    must(m2_expr_eval(expr, &facts, NULL) == truth);
}

static void run(apr_pool_t *pool, input_t *input)
{
    m2_params_t *params = make_params(pool);
    const m2_expr_t *expr;
    m2_err_t err;

    m2_err_init(&err, pool);
    (void)m2_json_parse(&input->json, pool, input->value, M2_E_TOKEN_MALFORMED, NULL);
    if (m2_expr_compile(&expr, pool, input->condition, params, &err)) {
        must(!expr && err.code == M2_E_CONFIG && err.text);
        must(err.column >= 1 && err.column <= (int)strlen(input->condition) + 1);
        return;
    }
    must(expr != NULL && !err.text);
    evaluate(expr, pool, params, input, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t n = size ? strnlen(text, size) : 0;
    input_t input = { NULL, { "", 0 }, NULL };
    apr_pool_t *pool;

    if (apr_initialize() || apr_pool_create(&pool, NULL)) {
        return 0;
    }
    input.condition = n ? apr_pstrmemdup(pool, text, n) : "";
    if (n < size) {
        input.value = m2_slice(text + n + 1, size - n - 1);
    }
    run(pool, &input);
    apr_pool_destroy(pool);
    return 0;
}
