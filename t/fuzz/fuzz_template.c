/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Templates and what they render to. Input: the template up to the first NUL, the value of
 * $a behind it. Holds it to: a column inside the text; no control byte in a header; in JSON
 * no bare quote, control byte or broken UTF-8 out of a value (the JSON reader agrees); in
 * XML none of its special characters.
 */
#include <stdint.h>
#include <stdlib.h>

#include "rules/m2_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static m2_code_t lookup(m2_value_t *value, const m2_param_t *param, void *baton)
{
    const m2_slice_t *text = baton;

    if (param->name[0] == 'a') {
        value->text = *text;
    }
    return param->name[0] == 'e' ? M2_E_RULE_ERROR : M2_OK;
}

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static m2_facts_t make_facts(apr_pool_t *pool, m2_params_t *params, m2_slice_t *value)
{
    m2_facts_t facts;

    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.lookup = lookup;
    facts.baton = value;
    facts.params = params;
    return facts;
}

static const m2_template_t *compile(apr_pool_t *pool, m2_params_t *params, const char *text,
                                    m2_template_mark_t mark)
{
    const m2_template_t *template;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_template_compile(&template, pool, text, mark, params, &err)) {
        must(!template && err.code == M2_E_CONFIG && err.text);
        must(err.column >= 1 && err.column <= (int)strlen(text) + 1);
        return NULL;
    }
    must(template && !err.text);
    return template;
}

static void check_header(const char *text)
{
    for (; *text; text++) {
        must((unsigned char)*text >= 0x20 && *text != 0x7f);
    }
}

/* the value alone, between quotes that are ours */
static void check_value(apr_pool_t *pool, m2_params_t *params, m2_facts_t *facts)
{
    const m2_template_t *json = compile(pool, params, "[\"%{a}\"]", M2_MARK_PERCENT);
    const m2_template_t *xml = compile(pool, params, "%{a}", M2_MARK_PERCENT);
    const char *text = m2_template_render(json, pool, M2_ESCAPE_JSON, facts);
    const m2_json_t *parsed = NULL;

    if (!strstr(text, "\\u0000")) { /* our reader refuses NUL wherever it stands */
        must(!m2_json_parse(&parsed, pool, m2_slice_z(text), M2_E_CONFIG, NULL));
        must(m2_json_length(parsed) == 1);
    }
    text = m2_template_render(xml, pool, M2_ESCAPE_XML, facts);
    must(!text[strcspn(text, "<>\"'\x01\x08\x0b\x1f\x7f")]);
}

static void run(apr_pool_t *pool, const char *text, m2_slice_t value)
{
    static const char *const names[] = { "a", "n", "e" };
    m2_params_t *params = m2_params_make(pool);
    m2_facts_t facts = make_facts(pool, params, &value);
    const m2_template_t *template;
    int i;

    for (i = 0; i < 3; i++) {
        must(!m2_params_declare(params, names[i], "Query:x", NULL));
    }
    check_value(pool, params, &facts);
    template = compile(pool, params, text, M2_MARK_PERCENT);
    if (template) {
        facts = make_facts(pool, params, &value); /* it may have added Ca... names */
        check_header(m2_template_render(template, pool, M2_ESCAPE_HEADER, &facts));
        for (i = M2_ESCAPE_HEADER; i <= M2_ESCAPE_XML; i++) {
            const char *out = m2_template_render(template, pool, (m2_escape_t)i, &facts);

            must(strlen(out) <= M2_MAX_TEMPLATE);
            must(!strcmp(out, m2_template_render(template, pool, (m2_escape_t)i, &facts)));
        }
    }
    (void)compile(pool, params, text, M2_MARK_DOLLAR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t n = size ? strnlen(text, size) : 0;
    apr_pool_t *pool;

    if (apr_initialize() || apr_pool_create(&pool, NULL)) {
        return 0;
    }
    run(pool, n ? apr_pstrmemdup(pool, text, n) : "",
        n < size ? m2_slice(text + n + 1, size - n - 1) : m2_slice("", 0));
    apr_pool_destroy(pool);
    return 0;
}
