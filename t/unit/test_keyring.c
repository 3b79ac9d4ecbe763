/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Swapping under readers: sets are freed while threads use them, and every set that a reader
 * holds must be whole until it leaves. Run under ThreadSanitizer as well: see docs/keys.md.
 */
#include "unit.h"

#include <apr_thread_proc.h>

#include "key/m2_keyring.h"

#define READERS 4
#define SWAPS 2000

static m2_keyring_t *ring;
static int done;

static m2_keyset_t *fresh(void)
{
    apr_pool_t *own;
    m2_keyset_t *set;

    assert_int_equal(apr_pool_create(&own, NULL), APR_SUCCESS);
    set = m2_keyset_make(own);
    set->incomplete = (int)(set->generation & 0xffff);
    return set;
}

/* what a request does, as far as memory goes */
static void *APR_THREAD_FUNC reader(apr_thread_t *thread, void *data)
{
    apr_uint64_t last = 0, reads = 0;
    apr_uint64_t *seen = data; /* 0 says that something was wrong */

    (void)thread;
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        const m2_keyset_t *set = m2_keyring_enter(ring);

        if (set->incomplete != (int)(set->generation & 0xffff) || set->generation < last
            || set->keys->nelts != 0) {
            m2_keyring_leave(ring);
            __atomic_store_n(seen, 0, __ATOMIC_RELAXED);
            return NULL;
        }
        last = set->generation;
        m2_keyring_leave(ring);
        __atomic_store_n(seen, 2 + reads++, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_swap_under_readers(void **state)
{
    apr_thread_t *threads[READERS];
    apr_uint64_t seen[READERS] = { 0 };
    const m2_keyset_t *old;
    apr_status_t result;
    int i;

    (void)state;
    done = 0;
    ring = m2_keyring_make(pool, fresh());
    for (i = 0; i < READERS; i++) {
        seen[i] = 1;
        assert_int_equal(apr_thread_create(&threads[i], NULL, reader, &seen[i], pool),
                         APR_SUCCESS);
        while (__atomic_load_n(&seen[i], __ATOMIC_RELAXED) == 1) {
            apr_thread_yield();
        }
    }
    for (i = 0; i < SWAPS; i++) {
        m2_grace_t grace;

        old = m2_keyring_swap(ring, fresh());
        grace = m2_grace_begin();
        while (!m2_grace_over(&grace)) {
            apr_thread_yield();
        }
        apr_pool_destroy(old->pool);
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    for (i = 0; i < READERS; i++) {
        apr_thread_join(&result, threads[i]);
        assert_true(seen[i] > 1);
    }
    apr_pool_destroy(m2_keyring_swap(ring, NULL)->pool);
}

/* a reader that stays holds the old set, and nobody holds the new one back */
static void test_grace_waits_for_readers(void **state)
{
    m2_grace_t grace;

    (void)state;
    ring = m2_keyring_make(pool, NULL);
    m2_keyring_enter(ring);
    m2_keyring_enter(ring); /* nested, as for two rings at once */
    grace = m2_grace_begin();
    assert_false(m2_grace_over(&grace));
    m2_keyring_leave(ring);
    assert_false(m2_grace_over(&grace));
    m2_keyring_leave(ring);
    assert_true(m2_grace_over(&grace));
    m2_keyring_enter(ring);
    assert_true(m2_grace_over(&grace)); /* over is over */
    m2_keyring_leave(ring);
}

/* --- more threads than stripes --- */

#define STRIPES 64 /* of m2_keyring.c: threads take turns in taking one */

typedef struct holder_t {
    int wanted, is; /* 1: holds a set */
    int ended;
} holder_t;

static void *APR_THREAD_FUNC hold(apr_thread_t *thread, void *data)
{
    holder_t *holder = data;

    (void)thread;
    while (!__atomic_load_n(&holder->ended, __ATOMIC_ACQUIRE)) {
        const int wanted = __atomic_load_n(&holder->wanted, __ATOMIC_ACQUIRE);

        if (wanted != holder->is) {
            if (wanted) {
                m2_keyring_enter(ring);
            }
            else {
                m2_keyring_leave(ring);
            }
            __atomic_store_n(&holder->is, wanted, __ATOMIC_RELEASE);
        }
        apr_thread_yield();
    }
    return NULL;
}

static void tell(holder_t *holder, int wanted)
{
    __atomic_store_n(&holder->wanted, wanted, __ATOMIC_RELEASE);
    while (__atomic_load_n(&holder->is, __ATOMIC_ACQUIRE) != wanted) {
        apr_thread_yield();
    }
}

static apr_thread_t *start(holder_t *holder)
{
    apr_thread_t *thread;

    assert_int_equal(apr_thread_create(&thread, NULL, hold, holder, pool), APR_SUCCESS);
    tell(holder, 1);
    return thread;
}

static void end(apr_thread_t *thread, holder_t *holder)
{
    apr_status_t result;

    __atomic_store_n(&holder->ended, 1, __ATOMIC_RELEASE);
    apr_thread_join(&result, thread);
}

/* two threads of one stripe, of which one holds a set at any time: none of them the old one
 * for long */
static void test_grace_ends_where_threads_share(void **state)
{
    holder_t one = { 0, 0, 0 }, other = { 0, 0, 0 };
    apr_thread_t *first, *second;
    m2_grace_t grace;
    int i;

    (void)state;
    ring = m2_keyring_make(pool, NULL);
    first = start(&one);
    for (i = 1; i < STRIPES; i++) {
        holder_t passing = { 0, 0, 0 };
        apr_thread_t *thread = start(&passing);

        tell(&passing, 0);
        end(thread, &passing);
    }
    second = start(&other);
    tell(&one, 0);
    grace = m2_grace_begin();
    assert_false(m2_grace_over(&grace)); /* the other one is inside since before */
    for (i = 0; i < 4 && !m2_grace_over(&grace); i++) {
        tell(i % 2 ? &other : &one, 1);
        tell(i % 2 ? &one : &other, 0);
    }
    assert_true(m2_grace_over(&grace));
    tell(&one, 0);
    tell(&other, 0);
    end(first, &one);
    end(second, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_swap_under_readers),
        unit(test_grace_waits_for_readers),
        unit(test_grace_ends_where_threads_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
