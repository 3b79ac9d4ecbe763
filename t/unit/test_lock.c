/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A lock between processes: who waits, for how long, and what happens when a holder is killed.
 */
#include "unit.h"

#include "replay/m2_lock.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int mended;

static void mend(void *data)
{
    mended += *(int *)data;
}

static pthread_mutex_t *shared_lock(void)
{
    void *memory = mmap(NULL, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    assert_true(m2_lock_make(memory));
    mended = 0;
    return memory;
}

/* a child that holds the lock until it is killed */
static pid_t holder(pthread_mutex_t *lock)
{
    int ready[2], one = 1;
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        close(ready[0]);
        if (m2_lock_take(lock, 1, mend, &one) == 0 && write(ready[1], "", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void test_taken_and_left(void **state)
{
    pthread_mutex_t *lock = shared_lock();
    int one = 1;

    (void)state;
    assert_int_equal(m2_lock_take(lock, 1, mend, &one), 0);
    pthread_mutex_unlock(lock);
    assert_int_equal(m2_lock_take(lock, 1, mend, &one), 0);
    pthread_mutex_unlock(lock);
    assert_int_equal(mended, 0);
}

static void test_nobody_waits_for_ever(void **state)
{
    pthread_mutex_t *lock = shared_lock();
    const pid_t child = holder(lock);
    int one = 1;

    (void)state;
    assert_int_equal(m2_lock_take(lock, 1, mend, &one), ETIMEDOUT);
    assert_int_equal(mended, 0);
    end(child);
}

static void test_holder_killed(void **state)
{
    pthread_mutex_t *lock = shared_lock();
    int one = 1;

    (void)state;
    end(holder(lock));
    assert_int_equal(m2_lock_take(lock, 1, mend, &one), 0);
    assert_int_equal(mended, 1);
    pthread_mutex_unlock(lock);
    assert_int_equal(m2_lock_take(lock, 1, mend, &one), 0); /* once is enough */
    assert_int_equal(mended, 1);
    pthread_mutex_unlock(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_taken_and_left),
        unit(test_nobody_waits_for_ever),
        unit(test_holder_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
