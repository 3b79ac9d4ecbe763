/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * trafficControl scripts: which limits they become, and what is said of those that are none.
 */
#include "unit.h"

#include "plugin/m2_plugin.h"

static m2_limits_t *limits;

static m2_code_t read_script(const char *text)
{
    clean();
    return m2_plugin_traffic(&limits, pool, z(text), "orders", "vhost /orders", &err);
}

static const m2_limit_t *limit_at(int i)
{
    assert_true(i < limits->list->nelts);
    return APR_ARRAY_IDX(limits->list, i, m2_limit_t *);
}

static const m2_param_t *key_of(const m2_limit_t *limit)
{
    return &APR_ARRAY_IDX(limits->scope->params->list, APR_ARRAY_IDX(limit->key, 0, int),
                          m2_param_t);
}

static void test_whole(void **state)
{
    const m2_limit_rate_t *rate;

    (void)state;
    assert_int_equal(read_script(source_file("t/fuzz/corpus/plugin/traffic.yaml").p), M2_OK);
    assert_int_equal(limits->list->nelts, 3);
    assert_string_equal(limit_at(0)->name, "orders-api");
    assert_int_equal(limit_at(0)->key->nelts, 0);
    assert_int_equal(limit_at(0)->rate->count, 1000);
    assert_int_equal(limit_at(0)->rate->burst, 1000);
    assert_int_equal(limit_at(0)->rate->window, 1);
    assert_string_equal(limit_at(1)->name, "orders-user");
    assert_int_equal(key_of(limit_at(1))->source, M2_SRC_TOKEN);
    assert_string_equal(key_of(limit_at(1))->arg, "sub");
    rate = apr_hash_get(limit_at(1)->specials, "123455", APR_HASH_KEY_STRING);
    assert_int_equal(rate->count, 100);
    assert_string_equal(limit_at(1)->special_name, "orders-special");
    assert_string_equal(limit_at(2)->name, "orders-app");
    assert_int_equal(key_of(limit_at(2))->index, M2_SYS_APP_ID);
    assert_string_equal(limit_at(2)->scope, "vhost /orders");
    rate = apr_hash_get(limit_at(2)->specials, "10123123", APR_HASH_KEY_STRING);
    assert_int_equal(rate->count, 10);
}

static void test_parts(void **state)
{
    (void)state;
    assert_int_equal(read_script("{\"unit\": \"DAY\", \"apiDefault\": 5}"), M2_OK);
    assert_int_equal(limits->list->nelts, 1);
    assert_int_equal(limit_at(0)->rate->window, 86400);
    assert_int_equal(read_script("unit: hour\nspecials: [{type: app, policies: "
                                 "[{key: a, value: 1}]}]\n"), M2_OK);
    assert_null(limit_at(0)->rate); /* others are not limited */
    assert_non_null(limit_at(0)->specials);
}

static void test_bad(void **state)
{
    static const struct { const char *text, *what; int line; } bad[] = {
        { "apiDefault: 5\n", "unit is missing", 1 },
        { "unit: WEEK\napiDefault: 5\n", "not SECOND", 1 },
        { "unit: DAY\n", "there are no limits", 1 },
        { "unit: DAY\napiDefault: 0\n", "apiDefault: 0 is not a number from 1", 2 },
        { "unit: DAY\napiDefault: -1\n", "apiDefault", 2 },
        { "unit: DAY\napiDefault: x\n", "apiDefault", 2 },
        { "unit: DAY\nrate: 1\n", "rate", 2 },
        { "unit: DAY\nparameters: {a: \"Query:a\"}\n", "M2MLimit", 2 },
        { "unit: DAY\nspecials:\n - type: IP\n   policies: []\n", "not APP or USER", 3 },
        { "unit: DAY\nspecials:\n - type: APP\n", "policies is missing", 3 },
        { "unit: DAY\nspecials:\n - type: APP\n   policies: [{key: a}]\n", "value is missing", 4 },
        { "unit: DAY\nspecials:\n - type: APP\n   policies: [{key: a, value: 1}, {key: a, "
          "value: 2}]\n", "has terms already", 4 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_script(bad[i].text), M2_E_CONFIG);
        assert_null(limits);
        if (!strstr(err.text, bad[i].what) || err.line != bad[i].line) {
            fail_msg("%s: line %d: %s", bad[i].text, err.line, err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_whole), unit(test_parts), unit(test_bad) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
