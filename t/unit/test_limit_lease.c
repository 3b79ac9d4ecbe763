/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_limit_lease: one lease of a bucket, whoever asks meanwhile; what a refused request is
 * given back; that a bucket was found empty. The clock is a number.
 */
#include "unit.h"

#include "limit/m2_limit_lease.h"

#define PATIENCE M2_GCRA_SEC
#define T0 (1000 * (apr_uint64_t)M2_GCRA_SEC)

static m2_lease_t *table;
static m2_gcra_t terms;

static m2_lease_take_t take_of(apr_uint64_t id, apr_uint32_t size)
{
    m2_lease_take_t take;

    memset(&take, 0, sizeof(take));
    take.id[0] = take.id[1] = id;
    take.terms = &terms;
    take.size = size;
    return take;
}

static void begin(void)
{
    table = m2_lease_open(pool);
    assert_non_null(table);
    assert_int_equal(m2_gcra_terms(&terms, 100, 10, 100), 1); /* one in 100 ms */
}

static void give(m2_lease_take_t *take, int granted, apr_uint64_t left)
{
    memset(&take->answer, 0, sizeof(take->answer));
    take->granted = granted;
    take->answer.passes = granted > 0;
    take->answer.left = left;
    take->answer.wait = granted ? 0 : M2_GCRA_SEC / 10;
    take->answer.full_in = terms.depth - left * terms.step;
}

static void test_one_lease(void **state)
{
    m2_lease_take_t first, second;
    int i;

    (void)state;
    begin();
    first = take_of(1, 5);
    second = take_of(1, 5);
    assert_int_equal(m2_lease_take(table, &first, 1, T0, PATIENCE), M2_LEASE_ASK);
    assert_int_equal(first.asks, 5);
    assert_int_equal(m2_lease_take(table, &second, 1, T0, PATIENCE), M2_LEASE_ASK);
    assert_int_equal(second.asks, 1); /* not a second lease */
    give(&second, 1, 94);
    m2_lease_settle(table, &second, 1, 1, T0);
    give(&first, 5, 94);
    m2_lease_settle(table, &first, 1, 1, T0);
    assert_int_equal(first.answer.left, 98);
    for (i = 0; i < 4; i++) {
        second = take_of(1, 5);
        assert_int_equal(m2_lease_take(table, &second, 1, T0, PATIENCE), M2_LEASE_PASSES);
    }
    second = take_of(1, 5);
    assert_int_equal(m2_lease_take(table, &second, 1, T0, PATIENCE), M2_LEASE_ASK);
    assert_int_equal(second.asks, 5);
}

/* An asker that never comes back keeps nobody from a lease for longer than its patience. */
static void test_asker_dies(void **state)
{
    m2_lease_take_t take;

    (void)state;
    begin();
    take = take_of(2, 5);
    (void)m2_lease_take(table, &take, 1, T0, PATIENCE);
    take = take_of(2, 5);
    (void)m2_lease_take(table, &take, 1, T0 + PATIENCE - 1, PATIENCE);
    assert_int_equal(take.asks, 1);
    take = take_of(2, 5);
    (void)m2_lease_take(table, &take, 1, T0 + PATIENCE, PATIENCE);
    assert_int_equal(take.asks, 5);
}

static void test_empty(void **state)
{
    m2_lease_take_t take;

    (void)state;
    begin();
    take = take_of(3, 1);
    assert_int_equal(m2_lease_take(table, &take, 1, T0, PATIENCE), M2_LEASE_ASK);
    give(&take, 0, 0);
    m2_lease_settle(table, &take, 1, 0, T0);
    take = take_of(3, 1);
    assert_int_equal(m2_lease_take(table, &take, 1, T0 + M2_GCRA_SEC / 10 - 1, PATIENCE),
                     M2_LEASE_REFUSED);
    assert_int_equal(take.answer.wait, 1);
    take = take_of(3, 1);
    assert_int_equal(m2_lease_take(table, &take, 1, T0 + M2_GCRA_SEC / 10, PATIENCE),
                     M2_LEASE_ASK);
}

/* Of two buckets one is held and one refuses: what was held is there for the next. */
static void test_given_back(void **state)
{
    m2_lease_take_t takes[2];
    int i;

    (void)state;
    begin();
    takes[0] = take_of(4, 3);
    (void)m2_lease_take(table, takes, 1, T0, PATIENCE);
    give(&takes[0], 3, 97);
    m2_lease_settle(table, takes, 1, 1, T0);
    for (i = 0; i < 5; i++) {
        takes[0] = take_of(4, 3);
        takes[1] = take_of(100 + (apr_uint64_t)i, 1);
        assert_int_equal(m2_lease_take(table, takes, 2, T0, PATIENCE), M2_LEASE_ASK);
        assert_int_equal(takes[0].asks, 0);
        give(&takes[1], 0, 0);
        m2_lease_settle(table, takes, 2, 0, T0);
        assert_true(takes[0].answer.passes);
    }
    takes[1] = take_of(100, 1); /* known to be empty: nothing is taken at all */
    takes[0] = take_of(4, 3);
    assert_int_equal(m2_lease_take(table, takes, 2, T0, PATIENCE), M2_LEASE_REFUSED);
    takes[1].shadow = 1;
    for (i = 0; i < 2; i++) {
        assert_int_equal(m2_lease_take(table, takes, 2, T0, PATIENCE), M2_LEASE_PASSES);
    }
    assert_int_equal(m2_lease_take(table, takes, 2, T0, PATIENCE), M2_LEASE_ASK);
}

/* What is left lapses when it has flowed back where it came from. */
static void test_lapses(void **state)
{
    m2_lease_take_t take;

    (void)state;
    begin();
    take = take_of(5, 5);
    (void)m2_lease_take(table, &take, 1, T0, PATIENCE);
    give(&take, 5, 95);
    m2_lease_settle(table, &take, 1, 1, T0);
    take = take_of(5, 5);
    assert_int_equal(m2_lease_take(table, &take, 1, T0 + terms.depth - 1, PATIENCE),
                     M2_LEASE_PASSES);
    take = take_of(5, 5);
    assert_int_equal(m2_lease_take(table, &take, 1, T0 + terms.depth, PATIENCE), M2_LEASE_ASK);
}

/* No answer: what was held is given back, and somebody else may ask for a lease. */
static void test_no_answer(void **state)
{
    m2_lease_take_t take;

    (void)state;
    begin();
    take = take_of(6, 5);
    (void)m2_lease_take(table, &take, 1, T0, PATIENCE);
    take.granted = -1;
    m2_lease_settle(table, &take, 1, 0, T0);
    take = take_of(6, 5);
    assert_int_equal(m2_lease_take(table, &take, 1, T0, PATIENCE), M2_LEASE_ASK);
    assert_int_equal(take.asks, 5);
}

/* More buckets than there is room for: each is asked for, none gets another's lease, and what
 * is held is not lost to them. */
static void test_crowd(void **state)
{
    m2_lease_take_t take;
    apr_uint64_t i;

    (void)state;
    begin();
    take = take_of(7, 5);
    (void)m2_lease_take(table, &take, 1, T0, PATIENCE);
    give(&take, 5, 95);
    m2_lease_settle(table, &take, 1, 1, T0);
    for (i = 1; i < 40; i++) {
        take = take_of(7 + i * 8192, 5); /* the same place */
        assert_int_equal(m2_lease_take(table, &take, 1, T0, PATIENCE), M2_LEASE_ASK);
        assert_int_equal(take.asks, i < 8 ? 5 : 1);
        give(&take, take.asks, 95);
        m2_lease_settle(table, &take, 1, 1, T0);
    }
    take = take_of(7, 5);
    assert_int_equal(m2_lease_take(table, &take, 1, T0, PATIENCE), M2_LEASE_PASSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_one_lease), unit(test_asker_dies), unit(test_empty), unit(test_given_back),
        unit(test_lapses),    unit(test_no_answer),  unit(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
