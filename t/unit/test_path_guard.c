/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a path comes to that httpd and a backend find in different sections, in both
 * directions, for each word of M2MEngine.
 */
#include "request/m2_path_guard.h"

#include "unit.h"

static const m2_engine_t engines[] = { M2_ENGINE_OFF, M2_ENGINE_ON, M2_ENGINE_SHADOW };

static m2_engine_t engine_of(const void *what)
{
    return *(const m2_engine_t *)what;
}

/* /app, /app/public and /shadow, in the words given; /app/public is Off */
static m2_path_table_t *table_of(m2_engine_t app)
{
    m2_path_table_t *table = m2_path_table_make(pool);

    m2_path_table_add(table, "/app")->what = (void *)&engines[app];
    m2_path_table_add(table, "/app/public")->what = (void *)&engines[M2_ENGINE_OFF];
    m2_path_table_add(table, "/shadow")->what = (void *)&engines[M2_ENGINE_SHADOW];
    m2_path_table_seal(table);
    return table;
}

static m2_engine_t verdict(const char *path, m2_engine_t app, int host, int only_missed)
{
    m2_path_table_t *table = table_of(app);
    m2_path_reading_t readings[M2_PATH_READINGS];
    m2_path_guard_t guard;
    int i, n = m2_path_readings(readings, pool, path);

    memset(&guard, 0, sizeof(guard));
    guard.engine_of = engine_of;
    guard.only_missed = only_missed;
    for (i = 0; i < n; i++) {
        m2_path_guard_prefixes(&guard, table, m2_path_table_find(table, m2_path_fold(pool, path)),
                               path, readings[i].path);
    }
    assert_int_equal(guard.differing != 0, guard.missed != NULL);
    return m2_path_guard_verdict(&guard, host);
}

static void test_missed(void **state)
{
    static const char *const missed[] = {
        "/APP/x", "/app;v/x", "/;/app", "/x/..;/app/x", "/app%2fx", "/%2fapp", "/app\\x",
        "/app%252fx", "/app/public/..;/x",
    };
    static const char *const found[] = {
        "/app/x", "/app", "/app/", "/apple", "/open", "/app/public/x", "/app/a;v=1", "/",
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(missed) / sizeof(missed[0]); i++) {
        assert_int_equal(verdict(missed[i], M2_ENGINE_ON, 0, 0), M2_ENGINE_ON);
        assert_int_equal(verdict(missed[i], M2_ENGINE_SHADOW, 0, 0), M2_ENGINE_SHADOW);
    }
    for (i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        assert_int_equal(verdict(found[i], M2_ENGINE_ON, 1, 0), M2_ENGINE_OFF);
    }
}

/* Sections that are Off and stand alone; but none of them is a way around the host's own. */
static void test_open(void **state)
{
    (void)state;
    assert_int_equal(verdict("/APP/x", M2_ENGINE_OFF, 0, 0), M2_ENGINE_OFF);
    assert_int_equal(verdict("/app/..;/x", M2_ENGINE_OFF, 0, 0), M2_ENGINE_OFF);
    assert_int_equal(verdict("/app/..;/x", M2_ENGINE_OFF, 1, 0), M2_ENGINE_ON);
    assert_int_equal(verdict("/SHADOW", M2_ENGINE_OFF, 0, 0), M2_ENGINE_SHADOW);
}

/* M2MPathGuard Off: what stays within is data, what is missed is looked for. */
static void test_data(void **state)
{
    (void)state;
    assert_int_equal(verdict("/app/..;/x", M2_ENGINE_ON, 0, 0), M2_ENGINE_ON);
    assert_int_equal(verdict("/app/..;/x", M2_ENGINE_ON, 0, 1), M2_ENGINE_OFF);
    assert_int_equal(verdict("/app/..;/shadow", M2_ENGINE_ON, 0, 1), M2_ENGINE_ON);
    assert_int_equal(verdict("/APP", M2_ENGINE_ON, 0, 1), M2_ENGINE_ON);
}

static void test_always(void **state)
{
    static const struct { const char *path; int unsafe, data; } rows[] = {
        { "/a/..;/b", 1, 0 }, { "/a/.;x", 1, 0 }, { "/a%00b", 0, 0 }, { "/a\x01", 1, 1 },
        { "/a\x7f", 1, 1 }, { "/a..b", 0, 0 }, { "/a;b", 0, 0 }, { "/a/%252e%252e/b", 1, 0 },
    };
    m2_path_reading_t readings[M2_PATH_READINGS];
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const int n = m2_path_readings(readings, pool, rows[i].path);
        const unsigned marks = m2_path_marks(rows[i].path);

        if ((m2_path_guard_always(marks, readings, n, 0) != NULL) != rows[i].unsafe
            || (m2_path_guard_always(marks, readings, n, 1) != NULL) != rows[i].data) {
            fail_msg("%s", rows[i].path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_missed),
        unit(test_open),
        unit(test_data),
        unit(test_always),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
