/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is remembered: the very tag, of the same version, for a time; of as many as there is room
 * for, nearly all; under many threads never one that nobody put.
 */
#include "unit.h"

#include "oauth/m2_recall.h"

#include <pthread.h>

typedef apr_uint64_t tag_t[M2_RECALL_WORDS];

/* Tags as a keyed hash would make them, the same in each run (splitmix64). */
static void tag_make(tag_t tag, apr_uint64_t which)
{
    apr_uint64_t seed = which * 0x1000, x;
    int i;

    for (i = 0; i < M2_RECALL_WORDS; i++) {
        x = seed += 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        tag[i] = x ^ x >> 31;
    }
}

static void test_one(void **state)
{
    m2_recall_t *recall = m2_recall_make(pool, 0);
    tag_t tag, other;
    int i, bit;

    (void)state;
    tag_make(tag, 1);
    assert_false(m2_recall_has(recall, tag, 0, 0));
    m2_recall_put(recall, tag, 7, 160);
    assert_true(m2_recall_has(recall, tag, 7, 100));
    assert_true(m2_recall_has(recall, tag, 7, 159));
    assert_false(m2_recall_has(recall, tag, 7, 160));
    assert_false(m2_recall_has(recall, tag, 8, 100));
    assert_false(m2_recall_has(recall, tag, 6, 100));
    for (i = 0; i < M2_RECALL_WORDS; i++) {
        for (bit = 0; bit < 64; bit++) {
            memcpy(other, tag, sizeof(other));
            other[i] ^= (apr_uint64_t)1 << bit;
            assert_false(m2_recall_has(recall, other, 7, 100));
        }
    }
}

/* A memory that is empty says so of a tag of zeros, too. */
static void test_empty(void **state)
{
    m2_recall_t *recall = m2_recall_make(pool, 0);
    const tag_t none = { 0, 0, 0, 0 };

    (void)state;
    assert_false(m2_recall_has(recall, none, 0, 0));
    m2_recall_put(recall, none, 0, 60);
    assert_true(m2_recall_has(recall, none, 0, 0));
}

/* Put again, a tag takes its own place: the later version and time are what counts. */
static void test_again(void **state)
{
    m2_recall_t *recall = m2_recall_make(pool, 0);
    tag_t tag, other;
    int i;

    (void)state;
    tag_make(tag, 1);
    memcpy(other, tag, sizeof(other));
    other[1]++; /* of the same set */
    m2_recall_put(recall, other, 1, 60);
    for (i = 0; i < 100; i++) {
        m2_recall_put(recall, tag, 1 + (apr_uint32_t)i, 100 + i);
    }
    assert_true(m2_recall_has(recall, tag, 100, 198));
    assert_false(m2_recall_has(recall, tag, 99, 0));
    assert_true(m2_recall_has(recall, other, 1, 59));
}

/* Of more than a set holds those that end first are given up. */
static void test_full_set(void **state)
{
    m2_recall_t *recall = m2_recall_make(pool, 0);
    tag_t tag;
    int i, has = 0;

    (void)state;
    tag_make(tag, 1);
    for (i = 0; i < 20; i++) {
        tag[1] = (apr_uint64_t)i;
        m2_recall_put(recall, tag, 1, 60 + i);
    }
    for (i = 0; i < 20; i++) {
        tag[1] = (apr_uint64_t)i;
        has += m2_recall_has(recall, tag, 1, 0);
        assert_int_equal(m2_recall_has(recall, tag, 1, 0), i >= 12);
    }
    assert_int_equal(has, 8);
}

/* Clients that come in turn, each put where it is not there: nearly all are, but the first time. */
static void test_many(void **state)
{
    static const apr_uint64_t counts[] = { 100, 500, 1000, 2000, 10000, 32768 };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        m2_recall_t *recall = m2_recall_make(pool, counts[i]);
        apr_uint64_t n, has = 0;
        tag_t tag;
        int turn;

        for (turn = 0; turn < 3; turn++) {
            for (n = has = 0; n < counts[i]; n++) {
                tag_make(tag, n);
                if (m2_recall_has(recall, tag, 1, turn)) {
                    has++;
                }
                else {
                    m2_recall_put(recall, tag, 1, 60 + turn);
                }
            }
            assert_in_range(has, turn ? counts[i] - counts[i] / 100 : 0, turn ? counts[i] : 0);
        }
    }
}

/* --- threads --- */

#define THREADS 8
#define ROUNDS 20000

static m2_recall_t *shared;
static unsigned wrong;

/* Writers of the same set put tags whose words belong together; a reader asks for tags of words
 * that were never put together. */
static void *put_and_ask(void *which)
{
    const apr_uint64_t own = *(const apr_uint64_t *)which;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        const tag_t tag = { 3, own, own, own };
        const tag_t mixed = { 3, own, (own + 1) % THREADS, own };

        m2_recall_put(shared, tag, (apr_uint32_t)own, 60);
        if (m2_recall_has(shared, mixed, (apr_uint32_t)own, 0)
            || m2_recall_has(shared, tag, (apr_uint32_t)own + 1, 0)) {
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    apr_uint64_t which[THREADS];
    int i;

    (void)state;
    shared = m2_recall_make(pool, 0);
    for (i = 0; i < THREADS; i++) {
        which[i] = (apr_uint64_t)i;
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_ask, &which[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_one),  unit(test_empty), unit(test_again), unit(test_full_set),
        unit(test_many), unit(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
