/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_worker: turns come at once, when they are due and when somebody wakes the thread, and
 * there is none after its pool is gone. One that does not come back is given up.
 */
#include "unit.h"

#include "base/m2_hold.h"
#include "wire/m2_worker.h"

#include <unistd.h>

static int turns, delay;

static int turn(m2_worker_t *worker, void *baton)
{
    assert_ptr_equal(baton, &turns);
    assert_false(m2_worker_ended(worker));
    __atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&delay, __ATOMIC_SEQ_CST);
}

static int wait_for(int n)
{
    int i;

    for (i = 0; i < 1000 && __atomic_load_n(&turns, __ATOMIC_SEQ_CST) < n; i++) {
        usleep(10000);
    }
    return __atomic_load_n(&turns, __ATOMIC_SEQ_CST);
}

static void test_turns(void **state)
{
    apr_pool_t *own;
    m2_worker_t *worker;
    int n;

    (void)state;
    apr_pool_create(&own, pool);
    turns = 0;
    delay = 3600 * 1000;
    assert_int_equal(m2_worker_make(&worker, own, turn, &turns, &err), M2_OK);
    m2_worker_wait(worker, 10000);
    assert_int_equal(wait_for(1), 1);
    __atomic_store_n(&delay, 1, __ATOMIC_SEQ_CST);
    m2_worker_wake(worker);
    assert_true(wait_for(5) >= 5);
    apr_pool_destroy(own);
    n = turns;
    usleep(50000);
    assert_int_equal(turns, n);
}

static int turn_that_hangs(m2_worker_t *worker, void *baton)
{
    (void)worker;
    (void)baton;
    __atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        pause();
    }
    return 0;
}

/* The last one: the thread stays. */
static void test_given_up(void **state)
{
    apr_pool_t *own;
    m2_worker_t *worker;

    (void)state;
    assert_false(m2_hold_given_up());
    apr_pool_create(&own, pool);
    turns = 0;
    assert_int_equal(m2_worker_make(&worker, own, turn_that_hangs, NULL, &err), M2_OK);
    assert_int_equal(wait_for(1), 1);
    apr_pool_destroy(own);
    assert_true(m2_hold_given_up());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_turns),
        unit(test_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
