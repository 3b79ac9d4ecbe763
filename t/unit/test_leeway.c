/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A leeway that is raised at a restart: by how much marks have to be longer, which leeway
 * judges, and until when.
 */
#include "unit.h"

#include "replay/m2_leeway.h"

#define T 1800000000u

static void test_first_and_same(void **state)
{
    m2_leeway_t l = { 0, 0, 0 };

    (void)state;
    assert_int_equal(m2_leeway_set(&l, 300, 0, T), 0);
    assert_int_equal(m2_leeway_judges(&l, T), -1);
    assert_int_equal(m2_leeway_set(&l, 300, 0, T), 0);
    assert_int_equal(m2_leeway_set(&l, 60, 0, T), 0); /* lowered: older marks are longer */
    assert_int_equal(m2_leeway_judges(&l, T), -1);
}

static void test_raise(void **state)
{
    m2_leeway_t l = { 0, 0, 0 };

    (void)state;
    m2_leeway_set(&l, 60, 0, T);
    assert_int_equal(m2_leeway_set(&l, 300, 0, T + 10), 240);
    assert_int_equal(m2_leeway_judges(&l, T + 10), 60);
    assert_int_equal(m2_leeway_judges(&l, T + 249), 60);
    assert_int_equal(m2_leeway_judges(&l, T + 250), -1);
    assert_int_equal(m2_leeway_set(&l, 300, 0, T + 20), 0); /* the next restart */
    assert_int_equal(m2_leeway_judges(&l, T + 249), 60);
}

static void test_zero_is_known(void **state)
{
    m2_leeway_t l = { 0, 0, 0 };

    (void)state;
    m2_leeway_set(&l, 0, 0, T);
    assert_int_equal(m2_leeway_set(&l, 5, 0, T), 5);
    assert_int_equal(m2_leeway_judges(&l, T + 4), 0);
}

/* A token that ended by 60 before the first raise is within 600 until 540 s behind it. */
static void test_raise_twice(void **state)
{
    m2_leeway_t l = { 0, 0, 0 };

    (void)state;
    m2_leeway_set(&l, 60, 0, T);
    m2_leeway_set(&l, 300, 0, T);
    assert_int_equal(m2_leeway_set(&l, 600, 0, T + 100), 300);
    assert_int_equal(m2_leeway_judges(&l, T + 539), 60);
    assert_int_equal(m2_leeway_judges(&l, T + 540), -1);
}

static void test_remote_waits(void **state)
{
    m2_leeway_t l = { 0, 0, 0 };

    (void)state;
    m2_leeway_set(&l, 60, 86400, T);
    assert_int_equal(m2_leeway_set(&l, 61, 86400, T), 1);
    assert_int_equal(m2_leeway_judges(&l, T + 86400), 60);
    assert_int_equal(m2_leeway_judges(&l, T + 86401), -1);
}

static void test_join(void **state)
{
    m2_leeway_t memory = { 0, 0, 0 }, file = { 0, 0, 0 };

    (void)state;
    m2_leeway_set(&memory, 60, 0, T);
    m2_leeway_set(&memory, 100, 0, T);
    m2_leeway_join(&file, &memory);
    assert_memory_equal(&file, &memory, sizeof(file));
    m2_leeway_set(&file, 500, 0, T + 50);
    m2_leeway_join(&file, &memory);
    assert_int_equal(m2_leeway_set(&file, 500, 0, T + 50), 400);
    assert_int_equal(m2_leeway_judges(&file, T + 439), 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_first_and_same), unit(test_raise),        unit(test_zero_is_known),
        unit(test_raise_twice),    unit(test_remote_waits), unit(test_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
