/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_dbd with a database that cannot be had, or has nothing prepared: an answer, never a
 * crash, and whatever was taken is given back. Real databases are in t/dbd.t.
 */
#include "unit.h"

#include "wire/m2_dbd.h"

static int there, taken;

static int take(m2_dbd_t *db, apr_pool_t *own, void *baton)
{
    (void)own;
    (void)baton;
    memset(db, 0, sizeof(*db));
    taken += there;
    return there;
}

static void give(m2_dbd_t *db, void *baton)
{
    (void)db;
    (void)baton;
    taken--;
}

static int row(void *baton, const char *const *columns, char *why)
{
    (void)baton;
    (void)columns;
    (void)why;
    fail();
    return 0;
}

static void test_nothing_there(void **state)
{
    const m2_dbd_host_t host = { take, give, NULL };
    const char *args[] = { "a" };
    char why[M2_DBD_WHY];

    (void)state;
    for (there = 0; there < 2; there++) {
        const char *text = there ? "not prepared" : "no connection";

        why[0] = '\0';
        assert_int_equal(m2_dbd_change(&host, "label", 1, args, why), -1);
        assert_non_null(strstr(why, text));
        why[0] = '\0';
        assert_int_equal(m2_dbd_read(&host, "label", 1, args, 2, 0, row, NULL, why), 0);
        assert_non_null(strstr(why, text));
        assert_int_equal(taken, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_nothing_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
