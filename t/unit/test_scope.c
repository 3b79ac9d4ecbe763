/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a token grants, wherever its provider writes it.
 */
#include "unit.h"

#include "token/m2_scope.h"

static const m2_json_t *parse(const char *quoted)
{
    char *text = apr_pstrdup(pool, quoted), *p;
    const m2_json_t *json = NULL;

    for (p = text; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    assert_int_equal(m2_json_parse(&json, pool, z(text), M2_E_CONFIG, &err), M2_OK);
    return json;
}

static const apr_array_header_t *paths(const char *one, const char *two)
{
    apr_array_header_t *list = apr_array_make(pool, 2, sizeof(const char *));

    APR_ARRAY_PUSH(list, const char *) = one;
    if (two) {
        APR_ARRAY_PUSH(list, const char *) = two;
    }
    return list;
}

static void test_usual(void **state)
{
    static const char *const granted[] = {
        "{'scope':'a b c'}",       "{'scope':['a','b']}",       "{'scp':'x b'}",
        "{'scp':['x','b']}",       "{'scope':'x','scp':'b'}",   "{'scope':null,'scp':['b']}",
        "{'scope':['x'],'scp':'b'}",
    };
    static const char *const not[] = {
        "{}",          "{'scope':''}",      "{'scope':[]}",     "{'scope':'bb'}",
        "{'scp':7}",   "{'scope':['B']}",   "{'roles':['b']}",  "{'scope':{'b':1}}",
        "{'scope':['a b']}",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(granted) / sizeof(granted[0]); i++) {
        assert_true(m2_scope_has(NULL, parse(granted[i]), z("b")));
        assert_true(m2_scope_any(NULL, parse(granted[i])));
    }
    for (i = 0; i < sizeof(not) / sizeof(not[0]); i++) {
        if (m2_scope_has(NULL, parse(not[i]), z("b"))) {
            fail_msg("%s grants b", not[i]);
        }
    }
    assert_false(m2_scope_has(NULL, NULL, z("b")));
    assert_false(m2_scope_any(NULL, parse("{'scope':null}")));
    assert_true(m2_scope_is(NULL, "scp") && m2_scope_is(NULL, "scope"));
    assert_false(m2_scope_is(NULL, "scopes"));
}

static void test_configured(void **state)
{
    const apr_array_header_t *list = paths("permissions", "realm_access.roles");

    (void)state;
    assert_true(m2_scope_has(list, parse("{'permissions':['b']}"), z("b")));
    assert_true(m2_scope_has(list, parse("{'realm_access':{'roles':['b']}}"), z("b")));
    assert_false(m2_scope_has(list, parse("{'scope':'b','scp':'b'}"), z("b")));
    assert_true(m2_scope_is(list, "realm_access.roles"));
    assert_false(m2_scope_is(list, "scope"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_usual), unit(test_configured) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
