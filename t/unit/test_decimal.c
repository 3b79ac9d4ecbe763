/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Decimal texts: which are numbers, and how they compare, beyond what a double can hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/m2_decimal.h"

static int reads(const char *z)
{
    m2_decimal_t decimal;

    return m2_decimal_read(&decimal, m2_slice_z(z));
}

/* -1, 0, 1; both ways round */
static int cmp(const char *a, const char *b)
{
    m2_decimal_t x, y;
    int order;

    assert_true(m2_decimal_read(&x, m2_slice_z(a)));
    assert_true(m2_decimal_read(&y, m2_slice_z(b)));
    order = m2_decimal_cmp(&x, &y);
    order = (order > 0) - (order < 0);
    assert_int_equal((m2_decimal_cmp(&y, &x) > 0) - (m2_decimal_cmp(&y, &x) < 0), -order);
    assert_int_equal(m2_decimal_cmp(&x, &x), 0);
    return order;
}

static void test_read(void **state)
{
    static const char *const good[] = { "0", "5", "-5", "007", "0.5", "-0.0", "12.340",
                                        "99999999999999999999999999999999999999.1" };
    static const char *const bad[] = { "",    "-",   ".",    "5.",  ".5",  "-.5", "+5",
                                       "--5", "5-",  "1e3",  "0x1", " 5",  "5 ",  "1.2.3",
                                       "1,5", "inf", "nan",  "NaN", "5\n", "1_0", "-5.",
                                       "\xd9\xa5" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(reads(good[i]));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(reads(bad[i]));
    }
}

static void test_read_stops_at_the_end(void **state)
{
    m2_decimal_t decimal;

    (void)state;
    assert_true(m2_decimal_read(&decimal, m2_slice("12.5xyz", 4)));
    assert_int_equal(decimal.whole.n, 2);
    assert_int_equal(decimal.part.n, 1);
    assert_false(m2_decimal_read(&decimal, m2_slice("1\0", 2)));
    assert_false(m2_decimal_read(&decimal, m2_slice("12.5", 3)));
    assert_false(m2_decimal_read(&decimal, m2_slice("-1", 1)));
}

static void test_equal(void **state)
{
    (void)state;
    assert_int_equal(cmp("100.0", "100"), 0);
    assert_int_equal(cmp("-0", "0"), 0);
    assert_int_equal(cmp("-0.00", "000"), 0);
    assert_int_equal(cmp("00012", "12"), 0);
    assert_int_equal(cmp("-00012.50", "-12.5"), 0);
    assert_int_equal(cmp("0.10", "0.1000"), 0);
}

static void test_order(void **state)
{
    (void)state;
    assert_int_equal(cmp("1", "2"), -1);
    assert_int_equal(cmp("9", "10"), -1);
    assert_int_equal(cmp("-9", "-10"), 1);
    assert_int_equal(cmp("-1", "1"), -1);
    assert_int_equal(cmp("-1", "0"), -1);
    assert_int_equal(cmp("0.5", "0.25"), 1);
    assert_int_equal(cmp("0.5", "0.50001"), -1);
    assert_int_equal(cmp("-0.5", "-0.50001"), 1);
    assert_int_equal(cmp("1.999999999999999999999", "2"), -1);
    assert_int_equal(cmp("0.09", "0.1"), -1);
    /* neighbours that a double takes for one number */
    assert_int_equal(cmp("9007199254740993", "9007199254740992"), 1);
    assert_int_equal(cmp("0.1", "0.1000000000000000055511151231257827"), -1);
    assert_int_equal(cmp("123456789012345678901234567890", "123456789012345678901234567891"),
                     -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_stops_at_the_end),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
