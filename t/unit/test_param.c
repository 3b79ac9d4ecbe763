/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sources of parameters, and the values of a request. Each spelling that is refused stands
 * next to one that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/m2_param.h"
#include "facts.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static apr_pool_t *pool;
static m2_params_t *params;

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
    params = m2_params_make(pool);
    return 0;
}

/* the parameter that a source text makes */
static const m2_param_t *declared(const char *source)
{
    const char *name = apr_psprintf(pool, "p%d", params->list->nelts);
    m2_err_t err;
    int index;

    m2_err_init(&err, pool);
    if (m2_params_declare(params, name, source, &err)) {
        fail_msg("%s: %s", source, err.text);
    }
    index = m2_params_find(params, m2_slice_z(name));
    assert_int_equal(index, params->list->nelts - 1);
    return &APR_ARRAY_IDX(params->list, index, const m2_param_t);
}

static void assert_source(const char *source, m2_source_t which, const char *arg, int index)
{
    const m2_param_t *param = declared(source);

    assert_int_equal(param->source, which);
    assert_int_equal(param->index, index);
    if (arg) {
        assert_string_equal(param->arg, arg);
    }
    else {
        assert_null(param->arg);
    }
}

/* what is written reads as the same again */
static void test_written(void **state)
{
    static const char *const rows[][2] = {
        { "Method", "Method" },          { "path", "Path" },
        { "path:userId", "Path:userId" }, { "QUERY:Aa", "Query:Aa" },
        { "Host", "Host" },              { "XFF", "XFF:0" },
        { "XFF:-1", "XFF:-1" },          { "Token:act.sub", "Token:act.sub" },
        { "Env:A", "Env:A" },            { "system:caclientip", "System:CaClientIp" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_string_equal(m2_param_text(pool, declared(rows[i][0])), rows[i][1]);
        assert_string_equal(m2_param_text(pool, declared(rows[i][1])), rows[i][1]);
    }
}

static void assert_refused(const char *name, const char *source, const char *words)
{
    int before = params->list->nelts;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_params_declare(params, name, source, &err) != M2_E_CONFIG) {
        fail_msg("%s %s was taken", name, source);
    }
    if (!err.text || !strstr(err.text, words)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", source, err.text, words);
    }
    assert_int_equal(params->list->nelts, before);
}

static void test_sources(void **state)
{
    (void)state;
    assert_source("Method", M2_SRC_METHOD, NULL, 0);
    assert_source("Path", M2_SRC_PATH, NULL, 0);
    assert_source("Path:userId", M2_SRC_PATH_NAME, "userId", 0);
    assert_source("Query:a b[]", M2_SRC_QUERY, "a b[]", 0);
    assert_source("Header:X-Api-Key", M2_SRC_HEADER, "X-Api-Key", 0);
    assert_source("Form:f", M2_SRC_FORM, "f", 0);
    assert_source("Cookie:sid", M2_SRC_COOKIE, "sid", 0);
    assert_source("Host", M2_SRC_HOST, NULL, 0);
    assert_source("Parameter:p", M2_SRC_PARAMETER, "p", 0);
    assert_source("Token:act.sub", M2_SRC_TOKEN, "act.sub", 0);
    assert_source("Token:https://e.com/c", M2_SRC_TOKEN, "https://e.com/c", 0);
    assert_source("Env:REMOTE_USER", M2_SRC_ENV, "REMOTE_USER", 0);
}

static void test_source_words_in_any_case(void **state)
{
    (void)state;
    assert_source("method", M2_SRC_METHOD, NULL, 0);
    assert_source("path:userId", M2_SRC_PATH_NAME, "userId", 0);
    assert_source("QUERY:Aa", M2_SRC_QUERY, "Aa", 0);
    assert_source("xff", M2_SRC_XFF, NULL, 0);
    assert_source("system:CaStage", M2_SRC_SYSTEM, "CaStage", M2_SYS_STAGE);
}

static void test_xff(void **state)
{
    (void)state;
    assert_source("XFF", M2_SRC_XFF, NULL, 0);
    assert_source("XFF:0", M2_SRC_XFF, NULL, 0);
    assert_source("XFF:2", M2_SRC_XFF, NULL, 2);
    assert_source("XFF:-1", M2_SRC_XFF, NULL, -1);
    assert_source("XFF:-9999", M2_SRC_XFF, NULL, -9999);
    assert_refused("x", "XFF:", "name");
    assert_refused("x", "XFF:a", "XFF index");
    assert_refused("x", "XFF:-", "XFF index");
    assert_refused("x", "XFF:--1", "XFF index");
    assert_refused("x", "XFF:+1", "XFF index");
    assert_refused("x", "XFF:1.0", "XFF index");
    assert_refused("x", "XFF: 1", "XFF index");
    assert_refused("x", "XFF:1 ", "XFF index");
    assert_refused("x", "XFF:10000", "XFF index");
    assert_refused("x", "XFF:4294967296", "XFF index");
    assert_refused("x", "XFF:99999999999999999999", "XFF index");
}

static void test_system(void **state)
{
    static const struct {
        const char *name;
        m2_system_t which;
    } rows[] = {
        { "CaClientIp", M2_SYS_CLIENT_IP },     { "CaDomain", M2_SYS_DOMAIN },
        { "CaRequestId", M2_SYS_REQUEST_ID },   { "CaRequestHandleTime", M2_SYS_HANDLE_TIME },
        { "CaHttpSchema", M2_SYS_HTTP_SCHEME }, { "CaHttpScheme", M2_SYS_HTTP_SCHEME },
        { "CaClientUa", M2_SYS_CLIENT_UA },     { "CaStage", M2_SYS_STAGE },
        { "CaApiName", M2_SYS_API_NAME },       { "CaAppId", M2_SYS_APP_ID },
        { "CaAppKey", M2_SYS_APP_KEY },         { "CaProxy", M2_SYS_PROXY },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        int index;

        assert_source(apr_pstrcat(pool, "System:", rows[i].name, NULL), M2_SRC_SYSTEM,
                      rows[i].name, (int)rows[i].which);
        index = m2_params_find(params, m2_slice_z(rows[i].name));
        assert_true(index >= 0);
        assert_int_equal(APR_ARRAY_IDX(params->list, index, m2_param_t).index,
                         rows[i].which);
        assert_int_equal(m2_params_find(params, m2_slice_z(rows[i].name)), index);
    }
    assert_source("System:caclientip", M2_SRC_SYSTEM, "CaClientIp", M2_SYS_CLIENT_IP);
    assert_refused("x", "System:CaNothing", "CaNothing");
    assert_refused("x", "System:", "name");
    assert_refused("x", "System", "name");
    assert_refused("x", "System:CaMarketExperiencePlan", "known and not supported");
    assert_refused("x", "System:CaCloudMarketInstanceId", "known and not supported");
}

static void test_refused_sources(void **state)
{
    static const char *const named[] = { "Query", "Header", "Form", "Cookie", "Parameter",
                                         "Token", "Env" };
    static const char *const plain[] = { "Method", "StatusCode" };
    static const char *const response[] = { "StatusCode", "ErrorCode", "BodyJsonField:$.a",
                                            "BodyJson:$.a", "bodyjson:$.a" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(named); i++) {
        assert_refused("x", named[i], "needs a name");
        assert_refused("x", apr_pstrcat(pool, named[i], ":", NULL), "needs a name");
    }
    assert_refused("x", apr_pstrcat(pool, plain[0], ":x", NULL), "takes no name");
    assert_refused("x", "Method:", "takes no name");
    for (i = 0; i < COUNT(response); i++) {
        assert_refused("x", response[i], "known and not supported");
    }
    assert_refused("x", "Host:sub", "known and not supported");
    assert_refused("x", "Path:", "needs a name");
    assert_refused("x", "", "unknown source");
    assert_refused("x", ":a", "unknown source");
    assert_refused("x", "Stage", "unknown source");
    assert_refused("x", "Queryx:a", "unknown source");
    assert_refused("x", "Quer:a", "unknown source");
    assert_refused("x", " Query:a", "unknown source");
    assert_refused("x", "Query :a", "unknown source");
    assert_refused("x", "Query: a", "blanks");
    assert_refused("x", "Query:a ", "blanks");
    assert_refused("x", "Query:a\nb", "control");
    assert_refused("x", "Header:X Y", "X Y");
    assert_refused("x", "Header:X:Y", "X:Y");
    assert_refused("x", "Header:X\xc3\xa9", "name of a header");
    assert_refused("x", "Cookie:a=b", "a=b");
    assert_refused("x", "Path:a/b", "a/b");
    assert_refused("x", "Path:{a}", "{a}");
}

static void test_names(void **state)
{
    static const char *const good[] = { "a", "_", "_1", "A_b9", "Ca", "CaThing" };
    static const char *const bad[] = { "", "1a", "a-b", "a.b", "a b", "$a", "{a}", "a\n",
                                       "\xc3\xa9" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        assert_int_equal(m2_params_declare(params, good[i], "Path", NULL), M2_OK);
        assert_true(m2_params_find(params, m2_slice_z(good[i])) >= 0);
    }
    for (i = 0; i < COUNT(bad); i++) {
        assert_refused(bad[i], "Path", "parameter name");
    }
    assert_int_equal(m2_params_find(params, m2_slice_z("A_b")), -1);
    assert_int_equal(m2_params_find(params, m2_slice_z("a_B9")), -1);
    assert_int_equal(m2_params_find(params, m2_slice("A_b9x", 4)), 3);
    assert_int_equal(m2_params_find(params, m2_slice_z("CaNothing")), -1);
    assert_int_equal(m2_params_find(params, m2_slice_z("")), -1);
}

static void test_declared_twice(void **state)
{
    (void)state;
    declared("Query:a"); /* p0 */
    assert_refused("p0", "Query:a", "twice");
    assert_refused("p0", "Query:b", "twice");
    assert_int_equal(m2_params_declare(params, "P0", "Query:b", NULL), M2_OK);
}

/* used undeclared first, declared later: as what it is, and once */
static void test_system_name_declared_late(void **state)
{
    int index = m2_params_find(params, m2_slice_z("CaClientIp"));

    (void)state;
    assert_true(index >= 0);
    assert_refused("CaClientIp", "Header:X-Real-IP", "twice");
    assert_refused("CaClientIp", "System:CaStage", "twice");
    assert_int_equal(m2_params_declare(params, "CaClientIp", "System:CaClientIp", NULL),
                     M2_OK);
    assert_int_equal(m2_params_find(params, m2_slice_z("CaClientIp")), index);
    assert_refused("CaClientIp", "System:CaClientIp", "twice");
    /* what is declared first is what it was declared to be */
    assert_int_equal(m2_params_declare(params, "CaDomain", "Query:d", NULL), M2_OK);
    index = m2_params_find(params, m2_slice_z("CaDomain"));
    assert_int_equal(APR_ARRAY_IDX(params->list, index, m2_param_t).source, M2_SRC_QUERY);
}

static void test_the_words_may_go(void **state)
{
    char name[] = "abc", source[] = "Query:abc";
    const m2_param_t *param;

    (void)state;
    assert_int_equal(m2_params_declare(params, name, source, NULL), M2_OK);
    memset(name, 'x', 3);
    memset(source, 'x', 9);
    assert_int_equal(m2_params_find(params, m2_slice_z("abc")), 0);
    param = &APR_ARRAY_IDX(params->list, 0, const m2_param_t);
    assert_string_equal(param->name, "abc");
    assert_string_equal(param->arg, "abc");
}

static void test_use(void **state)
{
    (void)state;
    assert_false(m2_params_use(params, M2_SRC_FORM));
    declared("Query:a");
    assert_false(m2_params_use(params, M2_SRC_FORM));
    declared("Form:a");
    assert_true(m2_params_use(params, M2_SRC_FORM));
    assert_true(m2_params_use(params, M2_SRC_QUERY));
    assert_false(m2_params_use(params, M2_SRC_PATH));
    declared("Path:a");
    assert_false(m2_params_use(params, M2_SRC_PATH));
    assert_true(m2_params_use(params, M2_SRC_PATH_NAME));
}

/* --- values --- */

static void test_values(void **state)
{
    fact_list_t *list = fact_list_make(pool);
    m2_facts_t *facts;
    m2_value_t value;

    (void)state;
    fact_text(list, "a", "x");
    fact_add(list, "e", FACT_ERROR, m2_slice_z("x"));
    fact_add(list, "n", FACT_NULL, m2_slice(NULL, 0));
    fact_text(list, "empty", "");
    facts = facts_of(list, pool);
    assert_int_equal(m2_facts_get(&value, facts, 0), M2_OK);
    assert_int_equal(m2_facts_get(&value, facts, 0), M2_OK);
    assert_true(m2_slice_is(value.text, "x"));
    assert_int_equal(fact_named(list, "a")->asked, 1);
    assert_int_equal(m2_facts_get(&value, facts, 1), M2_E_RULE_ERROR);
    assert_null(value.text.p);
    assert_int_equal(m2_facts_get(&value, facts, 1), M2_E_RULE_ERROR);
    assert_int_equal(fact_named(list, "e")->asked, 1);
    assert_int_equal(m2_facts_get(&value, facts, 2), M2_OK);
    assert_null(value.text.p);
    assert_int_equal(m2_facts_get(&value, facts, 2), M2_OK);
    assert_int_equal(fact_named(list, "n")->asked, 1);
    assert_int_equal(m2_facts_get(&value, facts, 3), M2_OK);
    assert_non_null(value.text.p);
    assert_int_equal(value.text.n, 0);
}

static void test_claims(void **state)
{
    static const char *const rows[][2] = {
        { "\"a b\"", "a b" }, { "5", "5" },       { "true", "true" }, { "[\"a\",\"b\"]", "a b" },
        { "null", NULL },     { "\"null\"", "null" }, { "{\"a\":1}", "{\"a\":1}" },
    };
    fact_list_t *list = fact_list_make(pool);
    m2_facts_t *facts;
    m2_value_t value;
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_int_equal(fact_add(list, apr_psprintf(pool, "c%d", (int)i), FACT_CLAIM,
                                  m2_slice_z(rows[i][0])), M2_OK);
    }
    facts = facts_of(list, pool);
    for (i = 0; i < COUNT(rows); i++) {
        assert_int_equal(m2_facts_get(&value, facts, (int)i), M2_OK);
        if (rows[i][1]) {
            assert_true(m2_slice_is(value.text, rows[i][1]));
            assert_non_null(value.json);
        }
        else {
            assert_null(value.text.p);
            assert_null(value.json);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sources, fresh),
        cmocka_unit_test_setup(test_source_words_in_any_case, fresh),
        cmocka_unit_test_setup(test_xff, fresh),
        cmocka_unit_test_setup(test_system, fresh),
        cmocka_unit_test_setup(test_written, fresh),
        cmocka_unit_test_setup(test_refused_sources, fresh),
        cmocka_unit_test_setup(test_names, fresh),
        cmocka_unit_test_setup(test_declared_twice, fresh),
        cmocka_unit_test_setup(test_system_name_declared_late, fresh),
        cmocka_unit_test_setup(test_the_words_may_go, fresh),
        cmocka_unit_test_setup(test_use, fresh),
        cmocka_unit_test_setup(test_values, fresh),
        cmocka_unit_test_setup(test_claims, fresh),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
