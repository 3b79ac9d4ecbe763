/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The arithmetic of limits: what passes in any stretch of time, how long a refused request
 * has to wait, what is left.
 */
#include "unit.h"

#include "limit/m2_gcra.h"

#define SEC ((apr_uint64_t)M2_GCRA_SEC)
#define T0 (1000 * SEC)

static m2_gcra_t terms_of(apr_uint64_t count, apr_uint64_t window, apr_uint64_t burst)
{
    m2_gcra_t terms = { 0, 0 };

    assert_int_equal(m2_gcra_terms(&terms, count, window, burst), 1);
    return terms;
}

static void test_terms(void **state)
{
    m2_gcra_t terms = terms_of(10, 1, 20);

    (void)state;
    assert_int_equal(terms.step, SEC / 10);
    assert_int_equal(terms.depth, 2 * SEC);
    terms = terms_of(3, 1, 1);
    assert_int_equal(terms.step, 333333334); /* up */
    assert_int_equal(m2_gcra_terms(&terms, 0, 1, 1), 0);
    assert_int_equal(m2_gcra_terms(&terms, 1, 0, 1), 0);
    assert_int_equal(m2_gcra_terms(&terms, 1, 1, 0), 0);
    assert_int_equal(m2_gcra_terms(&terms, 2000000000, 1, 1), 0);
    assert_int_equal(m2_gcra_terms(&terms, 1, 31 * 86400, 1000000000), 0);
    assert_int_equal(m2_gcra_terms(&terms, 1, (apr_uint64_t)-1, 1), 0);
}

static void test_burst_then_rate(void **state)
{
    const m2_gcra_t terms = terms_of(10, 1, 5);
    m2_gcra_answer_t a = { 0, 0, 0, 0, 0 };
    apr_uint64_t full_at = 0;
    int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        m2_gcra_ask(&a, &terms, full_at, T0);
        assert_int_equal(a.passes, 1);
        assert_int_equal(a.left, 4 - i);
        assert_int_equal(a.wait, 0);
        full_at = a.full_at;
    }
    m2_gcra_ask(&a, &terms, full_at, T0);
    assert_int_equal(a.passes, 0);
    assert_int_equal(a.left, 0);
    assert_int_equal(a.wait, SEC / 10);
    assert_int_equal(a.full_in, SEC / 2);
    m2_gcra_ask(&a, &terms, full_at, T0 + SEC / 10 - 1);
    assert_int_equal(a.passes, 0);
    assert_int_equal(a.wait, 1);
    m2_gcra_ask(&a, &terms, full_at, T0 + SEC / 10); /* who waits it passes */
    assert_int_equal(a.passes, 1);
    m2_gcra_ask(&a, &terms, full_at, T0 + 100 * SEC); /* full again, and never more than full */
    assert_int_equal(a.left, 4);
}

/* Asked at every millisecond for a minute: burst + COUNT * t / WINDOW, no more and no fewer. */
static void test_any_time(void **state)
{
    static const struct { apr_uint64_t count, window, burst; } cases[] = {
        { 7, 1, 7 }, { 100, 60, 100 }, { 100, 60, 1 }, { 1, 10, 3 }, { 499, 1, 10 },
    };
    size_t c;

    (void)state;
    for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const m2_gcra_t terms = terms_of(cases[c].count, cases[c].window, cases[c].burst);
        apr_uint64_t full_at = 0, passed = 0, ms;

        for (ms = 0; ms < 60000; ms++) {
            m2_gcra_answer_t a;

            m2_gcra_ask(&a, &terms, full_at, T0 + ms * (SEC / 1000));
            full_at = a.passes ? a.full_at : full_at;
            passed += (apr_uint64_t)a.passes;
            assert_true((passed - (passed > cases[c].burst ? cases[c].burst : passed))
                            * cases[c].window * 1000
                        <= cases[c].count * ms);
        }
        assert_true(passed + 1 >= cases[c].burst + cases[c].count * 60 / cases[c].window);
    }
}

/* The terms were made smaller at a restart: nobody waits longer than for a whole bucket. */
static void test_changed_terms(void **state)
{
    const m2_gcra_t slow = terms_of(1, 86400, 10), fast = terms_of(10, 1, 10);
    m2_gcra_answer_t a;

    (void)state;
    m2_gcra_ask(&a, &slow, 0, T0);
    m2_gcra_ask(&a, &fast, a.full_at, T0);
    assert_int_equal(a.passes, 0);
    assert_int_equal(a.wait, SEC / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_terms), unit(test_burst_then_rate), unit(test_any_time),
        unit(test_changed_terms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
