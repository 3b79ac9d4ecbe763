/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents as trees: types, places, and reading a mapping by a table. What a document must
 * not hold is told by test_plugin.c, where a script meets it.
 */
#include "unit.h"

#include "plugin/m2_yaml.h"

typedef struct slots_t {
    const m2_node_t *name, *on, *list;
} slots_t;

static const m2_field_t fields[] = {
    { "name", M2_WANT_NAME, offsetof(slots_t, name), NULL },
    { "on", M2_WANT_BOOL, offsetof(slots_t, on), NULL },
    { "list", M2_WANT_LIST, offsetof(slots_t, list), NULL },
    { "old", 0, 0, "leave it out" },
    { NULL, 0, 0, NULL },
};

static const m2_node_t *read_text(const char *text)
{
    const m2_node_t *node = NULL;

    clean();
    assert_int_equal(m2_node_read(&node, pool, z(text), &err), M2_OK);
    return node;
}

static void test_types(void **state)
{
    static const char *const text = "[a, 1, -1.5, yes, 'yes', null, [], {}, !!str 7]";
    static const m2_node_type_t types[] = { M2_NODE_STRING, M2_NODE_INT,  M2_NODE_REAL,
                                            M2_NODE_BOOL,   M2_NODE_STRING, M2_NODE_NULL,
                                            M2_NODE_LIST,   M2_NODE_MAP,  M2_NODE_STRING };
    const m2_node_t *list = read_text(text);
    int i, n = (int)(sizeof(types) / sizeof(types[0]));

    (void)state;
    assert_int_equal(m2_node_count(list), n);
    for (i = 0; i < n; i++) {
        assert_int_equal(m2_node_at(list, i)->type, types[i]);
    }
    assert_int_equal(m2_node_at(list, 2)->column, 8);
}

static void test_fields(void **state)
{
    const m2_node_t *map = read_text("name: 7\nlist:\n  - x\non: true\n");
    slots_t slots = { NULL, NULL, NULL };

    (void)state;
    assert_int_equal(m2_node_fields(&slots, map, "it", fields, &err), M2_OK);
    assert_string_equal(slots.name->text, "7");
    assert_true(slots.on->truth);
    assert_int_equal(slots.list->line, 3);
    assert_string_equal(m2_node_name_at(map, 1)->text, "list");
    assert_ptr_equal(m2_node_value_at(map, 1), slots.list);
}

static void test_fields_refused(void **state)
{
    static const struct {
        const char *text, *fault;
        int line;
    } bad[] = { { "name: [a]\n", "must be a text", 1 },
                { "on: true\nlist: 1\n", "must be a list", 2 },
                { "old: 1\n", "leave it out", 1 },
                { "odd: 1\n", "there are: name, on, list", 1 },
                { "[a]\n", "it must be a mapping", 1 } };
    slots_t slots;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const m2_node_t *node = read_text(bad[i].text);

        assert_int_equal(m2_node_fields(&slots, node, "it", fields, &err), M2_E_CONFIG);
        assert_int_equal(err.line, bad[i].line);
        assert_non_null(strstr(err.text, bad[i].fault));
    }
}

static void test_too_long(void **state)
{
    const m2_node_t *node;
    char *text = apr_palloc(pool, M2_MAX_PLUGIN_BYTES + 1);

    (void)state;
    memset(text, '#', M2_MAX_PLUGIN_BYTES + 1);
    assert_int_equal(m2_node_read(&node, pool, m2_slice(text, M2_MAX_PLUGIN_BYTES + 1), &err),
                     M2_E_CONFIG);
    assert_non_null(strstr(err.text, "longer than"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_types), unit(test_fields),
                                        unit(test_fields_refused), unit(test_too_long) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
