/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 */
#include "unit.h"

#include "revocation/m2_revocation_mark.h"

static m2_mark_step_t step(const char *before, const char *now)
{
    m2_mark_t a, b;

    assert_true(m2_mark_read(&a, before));
    assert_true(m2_mark_read(&b, now));
    return m2_mark_step(&a, &b);
}

static void test_read(void **state)
{
    static const char *const bad[] = { "", "7", "C1-a", "C1-a:1", "C1-a:1:b", "C1-a:1:b:", "C1-a:1::2",
        "C1-:1:b:2", "C-a:1:b:2", "X1-a:1:b:2", "C1-a:-1:b:2", "C1-a:1:b:2 ",
        "C1-a:99999999999999999999:b:2", "C1:1:b:2" };
    m2_mark_t mark;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(m2_mark_read(&mark, bad[i]));
    }
    assert_true(m2_mark_read(&mark, "R1764460800000000-0af:17:bc:12"));
    assert_true(mark.by_hand && mark.since == 1764460800000000 && mark.count == 17
                && mark.lines == 12 && m2_slice_is(mark.write, "bc")
                && m2_slice_is(mark.epoch, "R1764460800000000-0af"));
    assert_true(m2_mark_read(&mark, "C1-a:1:b:0"));
    assert_false(mark.by_hand);
}

static void test_step(void **state)
{
    (void)state;
    assert_int_equal(step("C5-a:3:x:3", "C5-a:3:x:3"), M2_MARK_GOES_ON);
    assert_int_equal(step("C5-a:3:x:3", "C5-a:3:y:3"), M2_MARK_BEHIND);
    assert_int_equal(step("C5-a:3:x:3", "C5-a:2:x:3"), M2_MARK_BEHIND);
    assert_int_equal(step("C5-a:3:x:3", "C5-a:4:y:1"), M2_MARK_ASK);
    assert_int_equal(step("C5-a:3:x:3", "C5-a:10002:y:1"), M2_MARK_ASK);
    assert_int_equal(step("C5-a:3:x:3", "C5-a:10003:y:1"), M2_MARK_GOES_ON);
    assert_int_equal(step("C5-a:3:x:3", "C6-b:9:y:9"), M2_MARK_FOREIGN);
    assert_int_equal(step("C5-a:3:x:3", "R6-b:1:y:0"), M2_MARK_GOES_ON);
    assert_int_equal(step("C5-a:3:x:3", "R5-b:1:y:0"), M2_MARK_FOREIGN);
    assert_int_equal(step("R6-b:3:x:3", "R4-c:9:y:9"), M2_MARK_FOREIGN);
    assert_int_equal(step("R6-b:3:x:3", "C7-c:9:y:9"), M2_MARK_FOREIGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_read), cmocka_unit_test(test_step) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
