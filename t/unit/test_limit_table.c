/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of buckets: exact over processes and threads, all or nothing over several
 * buckets, what a full table does, what a killed process leaves. M2_SOAK=1 plays ten million
 * keys through a million entries.
 */
#include "unit.h"

#include "limit/m2_limit_table.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEC ((apr_uint64_t)M2_GCRA_SEC)
#define T0 (1000 * SEC)
#define PROCESSES 4
#define THREADS 16

static m2_gcra_t few; /* 3 in 100 s, 3 at once */

static m2_lt_t *open_table(apr_uint32_t entries)
{
    m2_lt_t *table = m2_lt_open(pool, entries);

    assert_non_null(table);
    m2_gcra_terms(&few, 3, 100, 3);
    return table;
}

static void take_from(m2_lt_take_t *take, const m2_lt_t *table, int row, const char *key)
{
    memset(take, 0, sizeof(*take));
    take->row = row;
    take->terms = &few;
    m2_lt_id(take->id, table, key, strlen(key));
}

static int take_one(m2_lt_t *table, int row, const char *key, apr_uint64_t now)
{
    m2_lt_take_t take;

    take_from(&take, table, row, key);
    return m2_lt_take(table, &take, 1, now);
}

/* --- one process --- */

/* A limit that was loosened at a restart: a bucket is not emptier than empty by the new terms. */
static void test_loosened(void **state)
{
    m2_lt_t *table = open_table(64);
    m2_lt_take_t take;
    m2_gcra_t loose;
    apr_uint64_t now = T0;

    (void)state;
    m2_gcra_terms(&few, 1, 2678400, 1);
    assert_int_equal(take_one(table, 0, "a", now), 1);
    assert_int_equal(take_one(table, 0, "a", now), 0);
    m2_gcra_terms(&loose, 2, 1, 2);
    take_from(&take, table, 0, "a");
    take.terms = &loose;
    assert_int_equal(m2_lt_take(table, &take, 1, now), 0);
    now += take.answer.wait;
    take_from(&take, table, 0, "a");
    take.terms = &loose;
    assert_int_equal(m2_lt_take(table, &take, 1, now), 1);
}

static void test_id(void **state)
{
    m2_lt_t *table = open_table(10);
    apr_uint64_t a[2], b[2];

    (void)state;
    m2_lt_id(a, table, "abcdefgh", 8);
    m2_lt_id(b, table, "abcdefgh", 8);
    assert_memory_equal(a, b, sizeof(a));
    m2_lt_id(b, table, "abcdefgh\0", 9);
    assert_memory_not_equal(a, b, sizeof(a));
    m2_lt_id(b, table, "", 0);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void test_take(void **state)
{
    m2_lt_t *table = open_table(100);
    int row = m2_lt_row(table, "per-client"), i;
    static m2_lt_stats_t stats[M2_LIMIT_ROWS];

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(take_one(table, row, "a", T0), 1);
    }
    assert_int_equal(take_one(table, row, "a", T0), 0);
    assert_int_equal(take_one(table, row, "b", T0), 1);
    assert_int_equal(take_one(table, row, "a", T0 + 33 * SEC), 0);
    assert_int_equal(take_one(table, row, "a", T0 + 34 * SEC), 1);
    m2_lt_stats(stats, table, T0 + 34 * SEC);
    assert_int_equal(stats[row].passed, 5);
    assert_int_equal(stats[row].refused, 2);
    assert_int_equal(stats[row].overflow, 0);
    assert_int_equal(stats[row].keys, 1); /* b is full again by 1 s */
}

/* What one bucket refuses is taken from none; a shadow is asked, and refuses nobody. */
static void test_several(void **state)
{
    m2_lt_t *table = open_table(100);
    int one = m2_lt_row(table, "one"), two = m2_lt_row(table, "two"), i;
    m2_lt_take_t takes[2];

    (void)state;
    for (i = 0; i < 2; i++) {
        assert_int_equal(take_one(table, one, "a", T0), 1);
    }
    for (i = 0; i < 5; i++) {
        take_from(&takes[0], table, two, "x");
        take_from(&takes[1], table, one, "a");
        assert_int_equal(m2_lt_take(table, takes, 2, T0), i == 0);
        assert_int_equal(takes[0].answer.left, 2); /* taken once, by the one that passed */
        assert_int_equal(takes[1].answer.left, 0);
    }
    for (i = 0; i < 2; i++) {
        take_from(&takes[0], table, two, "x");
        take_from(&takes[1], table, one, "a");
        takes[1].shadow = 1;
        assert_int_equal(m2_lt_take(table, takes, 2, T0), 1);
        assert_int_equal(takes[1].answer.passes, 0);
    }
    assert_int_equal(take_one(table, two, "x", T0), 0);
}

/* Two new buckets of one request never get the same slot, not even the last one. */
static void test_several_new(void **state)
{
    m2_lt_t *table = open_table(1);
    int one = m2_lt_row(table, "one"), two = m2_lt_row(table, "two");
    m2_lt_take_t takes[2];
    static m2_lt_stats_t stats[M2_LIMIT_ROWS];

    (void)state;
    take_from(&takes[0], table, one, "a");
    take_from(&takes[1], table, two, "b");
    assert_int_equal(m2_lt_take(table, takes, 2, T0), 1);
    m2_lt_stats(stats, table, T0);
    assert_int_equal(stats[one].keys + stats[two].keys, 1);
    assert_int_equal(stats[two].overflow, 1);
    assert_int_equal(m2_lt_used(table), 1);
}

/* A full table: who has a slot keeps it and its share, others have one bucket together, and
 * what is full again is reused. */
static void test_full(void **state)
{
    m2_lt_t *table = open_table(4);
    int row = m2_lt_row(table, "per-client"), i, passed = 0;
    static m2_lt_stats_t stats[M2_LIMIT_ROWS];
    char key[16];

    (void)state;
    for (i = 0; i < 4; i++) {
        apr_snprintf(key, sizeof(key), "own%d", i);
        assert_int_equal(take_one(table, row, key, T0), 1);
    }
    for (i = 0; i < 100; i++) { /* each would have three of its own */
        apr_snprintf(key, sizeof(key), "late%d", i);
        passed += take_one(table, row, key, T0);
    }
    assert_int_equal(passed, 3);
    for (i = 0; i < 4; i++) {
        apr_snprintf(key, sizeof(key), "own%d", i);
        assert_int_equal(take_one(table, row, key, T0), 1);
        assert_int_equal(take_one(table, row, key, T0), 1);
        assert_int_equal(take_one(table, row, key, T0), 0);
    }
    m2_lt_stats(stats, table, T0);
    assert_int_equal(stats[row].keys, 4);
    assert_int_equal(stats[row].overflow, 100);
    for (i = 0; i < 4; i++) { /* a hundred seconds later they are full again */
        apr_snprintf(key, sizeof(key), "new%d", i);
        assert_int_equal(take_one(table, row, key, T0 + 101 * SEC), 1);
    }
    m2_lt_stats(stats, table, T0 + 101 * SEC);
    assert_int_equal(stats[row].keys, 4);
    assert_int_equal(stats[row].overflow, 100);
    assert_int_equal(m2_lt_used(table), 4);
}

/* Far more keys than entries, for a long time: the count of slots holds, the cost stays. */
static void test_many_keys(void **state)
{
    const int soak = getenv("M2_SOAK") != NULL;
    const apr_uint32_t entries = soak ? 1000000 : 20000;
    const apr_uint64_t keys = entries * (apr_uint64_t)10;
    m2_lt_t *table = open_table(entries);
    int row = m2_lt_row(table, "per-client"), own = m2_lt_row(table, "own");
    struct timespec from, to;
    apr_uint64_t i;
    char key[32];

    (void)state;
    assert_int_equal(take_one(table, own, "mine", T0), 1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (i = 0; i < keys; i++) {
        apr_snprintf(key, sizeof(key), "%" APR_UINT64_T_FMT, i);
        take_one(table, row, key, T0 + i);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_true(m2_lt_used(table) <= entries);
    assert_true(m2_lt_used(table) >= entries - entries / 100);
    assert_int_equal(take_one(table, own, "mine", T0 + keys), 1);
    assert_int_equal(take_one(table, own, "mine", T0 + keys), 1);
    assert_int_equal(take_one(table, own, "mine", T0 + keys), 0);
    print_message("# %u keys through %u entries, %.3f us of CPU each\n", (unsigned)keys, entries,
                  ((double)(to.tv_sec - from.tv_sec) * 1e6
                   + (double)(to.tv_nsec - from.tv_nsec) / 1e3) / (double)keys);
}

static void test_rows(void **state)
{
    m2_lt_t *table = open_table(10);
    int i, kept = m2_lt_row(table, "kept"), dropped = m2_lt_row(table, "dropped");

    (void)state;
    assert_int_equal(m2_lt_row(table, "kept"), kept);
    assert_int_not_equal(kept, dropped);
    for (i = 2; i < M2_LIMIT_ROWS; i++) {
        assert_true(m2_lt_row(table, apr_psprintf(pool, "row%d", i)) >= 0);
    }
    assert_int_equal(m2_lt_row(table, "one too many"), -1);
    assert_ptr_equal(m2_lt_open(pool, 10), table); /* a restart, at which children serve on */
    assert_int_equal(m2_lt_row(table, "kept"), kept);
    assert_int_equal(m2_lt_row(table, "new"), -1);
    m2_lt_open(pool, 10);
    assert_int_equal(m2_lt_row(table, "kept"), kept);
    assert_true(m2_lt_row(table, "new") >= 0);
}

static void test_kept_over_restarts(void **state)
{
    m2_lt_t *table = open_table(100);
    int row = m2_lt_row(table, "per-client"), i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(take_one(table, row, "a", T0), 1);
    }
    table = m2_lt_open(pool, 100);
    assert_int_equal(m2_lt_row(table, "per-client"), row);
    assert_int_equal(take_one(table, row, "a", T0), 0);
    table = m2_lt_open(pool, 200); /* another size is another table */
    row = m2_lt_row(table, "per-client");
    assert_int_equal(take_one(table, row, "a", T0), 1);
}

/* --- processes and threads --- */

typedef struct racer_t {
    m2_lt_t *table;
    int row;
    apr_uint64_t *passed; /* shared */
} racer_t;

static void *race(void *baton)
{
    racer_t *racer = baton;
    int i;

    for (i = 0; i < 200; i++) {
        if (take_one(racer->table, racer->row, i % 2 ? "a" : "b", T0) == 1) {
            __atomic_fetch_add(racer->passed, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void race_process(racer_t *racer)
{
    pthread_t threads[THREADS];
    int i;

    for (i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, race, racer) != 0) {
            _exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

/* The allowance is let through exactly, by however many processes and threads. */
static void test_race(void **state)
{
    racer_t racer = { open_table(50), 0, NULL };
    int i, status;
    pid_t pids[PROCESSES];

    (void)state;
    racer.row = m2_lt_row(racer.table, "per-client");
    racer.passed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    m2_gcra_terms(&few, 1000, 1000, 1000);
    for (i = 0; i < PROCESSES; i++) {
        if ((pids[i] = fork()) == 0) {
            race_process(&racer);
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(*racer.passed, 2000);
    munmap(racer.passed, 4096);
}

/* Killed in the middle of work, again and again: the table goes on, its count right. */
static void test_killed(void **state)
{
    m2_lt_t *table = open_table(1000);
    int row = m2_lt_row(table, "per-client"), round, i;
    char key[16];

    (void)state;
    for (round = 0; round < 20; round++) {
        pid_t pid = fork();

        if (pid == 0) {
            for (i = 0;; i++) {
                apr_snprintf(key, sizeof(key), "k%d", i % 900);
                take_one(table, row, key, T0);
            }
        }
        usleep(5000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_true(take_one(table, row, "own", T0 + (apr_uint64_t)round * 100 * SEC) >= 0);
        assert_true(m2_lt_used(table) <= 901);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_id),        unit(test_loosened), unit(test_take),  unit(test_several), unit(test_several_new),
        unit(test_full),      unit(test_many_keys), unit(test_rows),
        unit(test_kept_over_restarts), unit(test_race), unit(test_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
