/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What rules are told: the value, or an error where backends may read another one; both under
 * M2MDuplicateParameter First and Deny.
 */
#include "rules/m2_answer.h"

#include "unit.h"

static const char *body;

static m2_code_t form(m2_slice_t *pform, void *baton)
{
    (void)baton;
    return m2_request_form_of(pform, m2_slice_z(body), M2_BODY_FORM);
}

/* "ERROR", "null" or the value of a source */
static const char *ask(m2_answers_t *answers, const char *source)
{
    m2_params_t *params = m2_params_make(pool);
    m2_value_t value = { { NULL, 0 }, NULL };

    clean();
    assert_int_equal(m2_params_declare(params, "p", source, &err), M2_OK);
    if (m2_answer(&value, &APR_ARRAY_IDX(params->list, 0, m2_param_t), answers) != M2_OK) {
        return "ERROR";
    }
    return value.text.p ? m2_slice_dup(pool, value.text) : "null";
}

static m2_answers_t *answers_make(void)
{
    m2_answers_t *a = apr_pcalloc(pool, sizeof(*a));
    m2_request_t *r = &a->request;

    r->pool = pool;
    r->method = "GET";
    r->path = "/u/me/x";
    r->host = "gw.test";
    r->scheme = "HTTPS";
    r->ip = "10.1.1.1";
    r->id = "id-1";
    r->stage = "PRE";
    r->headers = apr_table_make(pool, 4);
    r->env = apr_table_make(pool, 4);
    r->form = form;
    a->user = "app";
    body = NULL;
    return a;
}

static void test_sources(void **state)
{
    m2_answers_t *a = answers_make();

    (void)state;
    apr_table_set((apr_table_t *)a->request.headers, "User-Agent", "ua");
    apr_table_set((apr_table_t *)a->request.headers, "X-Forwarded-For", "1.1.1.1");
    apr_table_set((apr_table_t *)a->request.env, "E", "e");
    assert_string_equal(ask(a, "Method"), "GET");
    assert_string_equal(ask(a, "Path"), "/u/me/x");
    assert_string_equal(ask(a, "Host"), "gw.test");
    assert_string_equal(ask(a, "XFF:0"), "1.1.1.1");
    assert_string_equal(ask(a, "Env:E"), "e");
    assert_string_equal(ask(a, "System:CaClientIp"), "10.1.1.1");
    assert_string_equal(ask(a, "System:CaDomain"), "gw.test");
    assert_string_equal(ask(a, "System:CaRequestId"), "id-1");
    assert_string_equal(ask(a, "System:CaHttpScheme"), "HTTPS");
    assert_string_equal(ask(a, "System:CaClientUa"), "ua");
    assert_string_equal(ask(a, "System:CaStage"), "PRE");
    assert_string_equal(ask(a, "System:CaApiName"), "null");
    assert_string_equal(ask(a, "System:CaAppId"), "app");
    assert_string_equal(ask(a, "System:CaRequestHandleTime"), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(ask(a, "Path:none"), "null");
    assert_string_equal(ask(a, "Query:q"), "null");
    assert_string_equal(ask(a, "Token:t"), "null");
    a->request.method = "delete";
    assert_string_equal(ask(a, "Method"), "ERROR");
}

static void test_claims(void **state)
{
    m2_answers_t *a = answers_make();
    const char *text = "{\"s\":\"x\",\"n\":null,\"i\":7}";

    (void)state;
    assert_int_equal(m2_json_parse(&a->claims, pool, z(text), M2_E_INTERNAL, &err), M2_OK);
    assert_string_equal(ask(a, "Token:s"), "x");
    assert_string_equal(ask(a, "Token:n"), "null");
    assert_string_equal(ask(a, "Token:i"), "7");
}

typedef struct row_t {
    const char *query, *form, *source, *deny, *first;
} row_t;

static void test_unclear(void **state)
{
    static const row_t rows[] = {
        { "t=1", NULL, "Query:t", "1", "1" },
        { "t=1&t=2", NULL, "Query:t", "ERROR", "1" },
        { "t=1;x", NULL, "Query:t", "ERROR", "1;x" },
        { "t=+1", NULL, "Query:t", "ERROR", " 1" },
        { "t=1&T=2", NULL, "Query:t", "ERROR", "ERROR" },
        { "t[]=2", NULL, "Query:t", "ERROR", "ERROR" },
        { NULL, "t=1", "Form:t", "1", "1" },
        { NULL, "t=1&.t=2", "Form:t", "ERROR", "ERROR" },
        { "t=1", "t=1", "Parameter:t", "1", "1" },
        { "t=1", "t=2", "Parameter:t", "ERROR", "1" },
        { NULL, "t=2", "Parameter:t", "2", "2" },
        { "t=1", "t[]=2", "Parameter:t", "ERROR", "1" },
        { "x=1", "y=2", "Parameter:t", "null", "null" },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        m2_answers_t *a = answers_make();
        const char *deny, *first;

        a->request.query = rows[i].query;
        body = rows[i].form;
        first = ask(a, rows[i].source);
        a->deny_duplicates = 1;
        deny = ask(a, rows[i].source);
        if (strcmp(deny, rows[i].deny) != 0 || strcmp(first, rows[i].first) != 0) {
            fail_msg("%s with %s and %s: %s under Deny, %s under First", rows[i].source,
                     rows[i].query, rows[i].form, deny, first);
        }
    }
}

static void test_headers(void **state)
{
    m2_answers_t *a = answers_make();
    apr_table_t *headers = (apr_table_t *)a->request.headers;

    (void)state;
    apr_table_set(headers, "X-Tenant", "mine");
    apr_table_set(headers, "Cookie", "role=admin; b=\"x\"");
    apr_table_set(headers, "X-Edge", "x\xa0");
    a->deny_duplicates = 1;
    assert_string_equal(ask(a, "Header:x-tenant"), "mine");
    assert_string_equal(ask(a, "Cookie:role"), "admin");
    assert_string_equal(ask(a, "Cookie:b"), "ERROR");
    assert_string_equal(ask(a, "Header:X-Edge"), "ERROR");
    a->deny_duplicates = 0;
    assert_string_equal(ask(a, "Cookie:b"), "ERROR");
    assert_string_equal(ask(a, "Header:X-Edge"), "x\xa0");
    a = answers_make();
    headers = (apr_table_t *)a->request.headers;
    apr_table_set(headers, "X-Tenant", "mine");
    apr_table_set(headers, "X_Tenant", "theirs");
    assert_string_equal(ask(a, "Header:X-Tenant"), "ERROR");
}

static void test_charset(void **state)
{
    m2_answers_t *a = answers_make();

    (void)state;
    a->request.query = "t=1";
    apr_table_set((apr_table_t *)a->request.headers, "Content-Type", "text/x; charset=utf-7");
    assert_string_equal(ask(a, "Query:t"), "ERROR");
    assert_string_equal(ask(a, "Form:t"), "ERROR");
    assert_string_equal(ask(a, "Parameter:t"), "ERROR");
    assert_string_equal(ask(a, "Header:t"), "null");
}

static void test_path(void **state)
{
    m2_answers_t *a = answers_make();

    (void)state;
    assert_int_equal(m2_path_compile(&a->path, pool, "/u/{id}/*", &err), M2_OK);
    assert_string_equal(ask(a, "Path:id"), "me");
    a->request.path = "/u/me /x";
    assert_string_equal(ask(a, "Path:id"), "me ");
    a->deny_duplicates = 1;
    assert_string_equal(ask(a, "Path:id"), "ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_sources), unit(test_claims), unit(test_unclear),
        unit(test_headers), unit(test_charset), unit(test_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
