/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Data sets: what lines mean, times, networks, and what conditions make of them.
 */
#include "unit.h"

#include "rules/m2_dataset.h"

#define NOW apr_time_from_sec(1800000000) /* 2027-01-15T08:00:00Z */

static m2_dataset_t *set_of(const char *text)
{
    m2_dataset_t *set = m2_dataset_make(pool);

    clean();
    if (m2_dataset_parse(set, z(text), &err) != M2_OK) {
        print_error("line %d: %s\n", err.line, err.text);
        fail();
    }
    return set;
}

static int has(const char *text, const char *value)
{
    return m2_dataset_has(set_of(text), z(value), NOW);
}

static void values(void **state)
{
    (void)state;
    assert_true(has("a\nb\r\n# c\n\n \t d \n", "a"));
    assert_true(has("a\nb\r\n# c\n\n \t d \n", "b"));
    assert_false(has("a\nb\n#c\n", "#c"));
    assert_false(has("a\nb\n# c\n", "c"));
    assert_true(has("a\n \t d \n", "d"));
    assert_true(has("a # of tenant one\nb\n", "a") && has("a#b #c\n", "a#b"));
    assert_true(has("a 2027-01-15T08:00:01Z # until then\n", "a"));
    assert_true(has("\xef\xbb\xbf" "a\nb\n", "a"));
    assert_false(has("a\n", "A"));
    assert_false(has("a\n", ""));
    assert_false(has("", "a"));
    assert_int_equal(m2_dataset_count(set_of("a\nb\na\n")), 2);
}

static void times(void **state)
{
    (void)state;
    assert_true(has("a 2027-01-15T08:00:01Z", "a"));
    assert_false(has("a 2027-01-15T08:00:00Z", "a"));
    assert_true(has("a 2027-01-15t09:00:00.25+00:30", "a"));
    assert_false(has("a 2027-01-15T09:00:00+01:00", "a"));
    assert_true(has("a 2027-01-15T07:30:00-01:00", "a"));
    assert_true(has("a 2027-01-15T08:00:60z", "a"));
    assert_true(has("a 2000-01-01T00:00:00Z\na 2028-02-29T00:00:00Z", "a"));
    assert_true(has("a 2028-02-29T00:00:00Z\na 2000-01-01T00:00:00Z", "a"));
    assert_true(has("a\na 2000-01-01T00:00:00Z", "a"));
    assert_true(has("a 2000-01-01T00:00:00Z\na", "a"));
}

static void bad_lines(void **state)
{
    static const char *const bad[] = {
        "a b", "a 2027", "a 2027-02-29T00:00:00Z", "a 2027-13-01T00:00:00Z",
        "a 2027-01-01", "a 2027-01-01T24:00:00Z", "a 2027-01-01T00:00:00", "a 2027-01-01T00:60:00Z",
        "a 2027-01-01T00:00:00+1:00", "a 2027-01-01T00:00:00.Z", "a 1800000000",
        "a 2027-01-01T00:00:00Z b", "a 2027-01-01T00:00:00Zx", "a 2027-01-01 00:00:00Z",
        "a 2027-00-01T00:00:00Z", "a 2027-01-00T00:00:00Z", "a 2027-01-01T00:00:00+24:00",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        clean();
        assert_int_equal(m2_dataset_parse(m2_dataset_make(pool),
                                          z(apr_pstrcat(pool, "# x\n", bad[i], "\n", NULL)), &err),
                         M2_E_CONFIG);
        assert_int_equal(err.line, 2);
    }
}

/* --- rows of a database --- */

static m2_code_t rows(m2_dataset_t **pset, const char *text, apr_size_t n)
{
    clean();
    *pset = m2_dataset_make(pool);
    return m2_dataset_parse_rows(*pset, m2_slice(text, n), &err);
}

static void good_rows(void **state)
{
    static const char text[] = "-\ta b\0" "1800000001\tb\0" "1800000000\tc\0" "-1\td\0"
                               "1800000001.75\te\0" "999999999999\tf\tg\n#\0"
                               "-\t10.0.0.0/8\0" "1\ta b\0";
    m2_dataset_t *set;

    (void)state;
    assert_int_equal(rows(&set, text, sizeof(text) - 1), M2_OK);
    assert_int_equal(m2_dataset_count(set), 7);
    assert_true(m2_dataset_has(set, z("a b"), NOW));
    assert_true(m2_dataset_has(set, z("b"), NOW));
    assert_false(m2_dataset_has(set, z("c"), NOW));
    assert_false(m2_dataset_has(set, z("d"), NOW));
    assert_true(m2_dataset_has(set, z("e"), NOW));
    assert_true(m2_dataset_has(set, z("f\tg\n#"), NOW));
    assert_int_equal(m2_dataset_covers(set, pool, z("10.1.2.3"), NOW), M2_TRUE);
    assert_int_equal(rows(&set, "", 0), M2_OK);
    assert_int_equal(m2_dataset_count(set), 0);
}

static void bad_rows(void **state)
{
    static const char *const bad[] = {
        "\ta", "a", "-", "-\t", "--\ta", "x\ta", "1 \ta", "1.\ta", "1.x\ta", ".5\ta", " \ta",
        "1800000000000\ta", "2027-01-01T00:00:00Z\ta", "t\ta", "0x10\ta", "+1\ta", "1e9\ta",
    };
    m2_dataset_t *set;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char *text = apr_pstrcat(pool, "-\tx", "|", bad[i], NULL);
        const apr_size_t n = strlen(text);

        *strchr(text, '|') = '\0';
        if (rows(&set, text, n + 1) != M2_E_CONFIG || err.line != 2) {
            print_error("%s: line %d\n", bad[i], err.line);
            fail();
        }
    }
    assert_int_equal(rows(&set, "-\ta", 3), M2_E_CONFIG); /* no end */
    assert_int_equal(rows(&set, "-\ta", 4), M2_OK);
}

static m2_truth_t covers(const char *text, const char *address)
{
    return m2_dataset_covers(set_of(text), pool, z(address), NOW);
}

static void networks(void **state)
{
    static const char text[] = "10.0.0.0/8\n192.0.2.7\n198.51.100.128/25\n2001:db8::/32\nname\n"
                               "203.0.113.0/24 2000-01-01T00:00:00Z\n0::ffff:100.64.0.0/106\n";

    (void)state;
    assert_int_equal(covers(text, "10.1.2.3"), M2_TRUE);
    assert_int_equal(covers(text, "11.1.2.3"), M2_FALSE);
    assert_int_equal(covers(text, "192.0.2.7"), M2_TRUE);
    assert_int_equal(covers(text, "192.0.2.8"), M2_FALSE);
    assert_int_equal(covers(text, "198.51.100.129"), M2_TRUE);
    assert_int_equal(covers(text, "198.51.100.127"), M2_FALSE);
    assert_int_equal(covers(text, "2001:db8:5::1"), M2_TRUE);
    assert_int_equal(covers(text, "2001:db9::1"), M2_FALSE);
    assert_int_equal(covers(text, "::ffff:10.1.2.3"), M2_TRUE);
    assert_int_equal(covers(text, "100.65.0.1"), M2_TRUE);
    assert_int_equal(covers(text, "203.0.113.5"), M2_FALSE);
    assert_int_equal(covers(text, "name"), M2_ERROR);
    assert_int_equal(covers(text, "10.1.2.3:80"), M2_ERROR);
    assert_int_equal(covers("0.0.0.0/0\n", "8.8.8.8"), M2_TRUE);
    assert_int_equal(covers("0.0.0.0/0\n", "::1"), M2_FALSE);
}

/* --- conditions --- */

static const char *value_of_x;

static m2_code_t look_up(m2_value_t *value, const m2_param_t *param, void *baton)
{
    (void)param;
    (void)baton;
    value->text = z(value_of_x);
    return M2_OK;
}

/* what a condition says of $x; parts NULL: the set is not there */
static m2_truth_t judge(const char *condition, const char *x, m2_dataset_t *set)
{
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + sizeof(void *));
    m2_params_t *params = m2_params_make(pool);
    const m2_expr_t *expr;
    const void *held = parts;
    m2_facts_t facts;
    int i;

    clean();
    parts->part[0] = set;
    parts->n = set != NULL;
    parts->missing = set == NULL;
    assert_int_equal(m2_params_declare(params, "x", "Query:x", &err), M2_OK);
    if (m2_expr_compile(&expr, pool, condition, params, &err) != M2_OK) {
        print_error("column %d: %s\n", err.column, err.text);
        fail();
    }
    for (i = 0; i < params->datasets->nelts; i++) {
        m2_dataset_ref_t *ref = APR_ARRAY_IDX(params->datasets, i, m2_dataset_ref_t *);

        assert_string_equal(ref->name, "vip");
        ref->ring = m2_keyring_make(pool, held);
    }
    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.now = NOW;
    facts.lookup = look_up;
    facts.params = params;
    value_of_x = x;
    return m2_expr_eval(expr, &facts, &err);
}

static void conditions(void **state)
{
    m2_dataset_t *set = set_of("a\n10.0.0.0/8\n");

    (void)state;
    assert_int_equal(judge("$x in dataset vip", "a", set), M2_TRUE);
    assert_int_equal(judge("$x in dataset vip", "b", set), M2_FALSE);
    assert_int_equal(judge("$x IN DATASET vip and $x in ('a', 'b')", "a", set), M2_TRUE);
    assert_int_equal(judge("($x !in dataset vip)", "b", set), M2_TRUE);
    assert_int_equal(judge("$x not in dataset vip", "a", set), M2_FALSE);
    assert_int_equal(judge("$x in dataset vip", NULL, set), M2_FALSE);
    assert_int_equal(judge("$x !in dataset vip", NULL, set), M2_FALSE);
    assert_int_equal(judge("$x in_cidr dataset vip", "10.9.9.9", set), M2_TRUE);
    assert_int_equal(judge("$x !in_cidr dataset vip", "11.9.9.9", set), M2_TRUE);
    assert_int_equal(judge("$x in_cidr dataset vip", "a", set), M2_ERROR);
    assert_int_equal(judge("$x in dataset vip", "a", NULL), M2_ERROR);
    assert_int_equal(judge("$x !in dataset vip", "a", NULL), M2_ERROR);
    assert_int_equal(judge("$x !in dataset vip or 1 = 1", "a", NULL), M2_ERROR);
}

static void refused(void **state)
{
    static const char *const bad[] = { "$x in dataset", "$x in dataset 'vip'", "$x in dataset $x",
                                       "5 in dataset vip", "dataset vip", "$x like dataset vip",
                                       "$x in dataset vip vip", "$x has dataset vip" };
    m2_params_t *params = m2_params_make(pool);
    const m2_expr_t *expr;
    size_t i;

    (void)state;
    clean();
    assert_int_equal(m2_params_declare(params, "x", "Query:x", &err), M2_OK);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        clean();
        assert_int_equal(m2_expr_compile(&expr, pool, bad[i], params, &err), M2_E_CONFIG);
        assert_true(err.column > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(values),   unit(times),      unit(bad_lines),
        unit(good_rows),
        unit(bad_rows),
                                        unit(networks), unit(conditions), unit(refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
