/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_log: silent without a listener, bounded with one.
 */
#include "unit.h"

static void test_silent(void **state)
{
    (void)state;
    m2_log(M2_LOG_ERR, "%s", "heard");
    assert_int_equal(logged, 1);
    m2_log_set(NULL, NULL);
    m2_log(M2_LOG_ERR, "%s", "not heard");
    assert_int_equal(logged, 1);
    assert_string_equal(last_log, "heard");
}

static void test_level_and_text(void **state)
{
    (void)state;
    m2_log(M2_LOG_WARNING, "key %s of %d", "K1", 3);
    assert_int_equal(last_level, M2_LOG_WARNING);
    assert_string_equal(last_log, "key K1 of 3");
}

static void note_baton(m2_level_t level, const char *text, void *baton)
{
    (void)level;
    (void)text;
    *(int *)baton += 1;
}

static void test_baton(void **state)
{
    int heard = 0;

    (void)state;
    m2_log_set(note_baton, &heard);
    m2_log(M2_LOG_NOTICE, "once");
    m2_log(M2_LOG_DEBUG, "twice");
    assert_int_equal(heard, 2);
    assert_int_equal(logged, 0);
}

/* a key id of a token's length does not become a page */
static void test_bounded(void **state)
{
    char *text = apr_palloc(pool, 100001);

    (void)state;
    memset(text, 'k', 100000);
    text[100000] = '\0';
    m2_log(M2_LOG_NOTICE, "kid %s", text);
    assert_int_equal(logged, 1);
    assert_in_range(strlen(last_log), 100, 1023);
    assert_memory_equal(last_log, "kid kkkk", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_silent),
        unit(test_level_and_text),
        unit(test_baton),
        unit(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
