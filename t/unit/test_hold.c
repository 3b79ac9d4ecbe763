/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_hold: signals come at once, or when the last hold ends, or not at all differently.
 */
#include "unit.h"

#include "base/m2_hold.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <pthread.h>

static volatile sig_atomic_t came;

static void note(int signal)
{
    (void)signal;
    came++;
}

static void test_threads_serve(void **state)
{
    m2_hold_t hold;

    (void)state;
    assert_false(m2_hold_needed());
    m2_hold_begin(&hold);
    raise(SIGTERM);
    assert_int_equal(came, 1);
    m2_hold_end(&hold);
}

static void test_held(void **state)
{
    m2_hold_t outer, inner;

    (void)state;
    m2_hold_signals();
    assert_true(m2_hold_needed());
    m2_hold_begin(&outer);
    m2_hold_begin(&inner);
    raise(SIGTERM);
    raise(SIGHUP);
    m2_hold_end(&inner);
    assert_int_equal(came, 0);
    m2_hold_end(&outer);
    assert_int_equal(came, 2);
    raise(SIGTERM);
    assert_int_equal(came, 3);
}

static void test_given_up(void **state)
{
    (void)state;
    assert_false(m2_hold_needed());
    assert_false(m2_hold_given_up());
    m2_hold_give_up();
    assert_true(m2_hold_given_up());
    assert_true(m2_hold_needed());
}

/* --- what OpenSSL keeps for a thread --- */

static __thread int watched; /* this thread is to free nothing more */
static int freed;

static void *take(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(n);
}

static void *take_again(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, n);
}

static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    freed += p && watched;
    free(p);
}

static void *use_openssl(void *gives_back)
{
    unsigned char byte;

    ERR_raise(ERR_LIB_USER, 1);
    if (RAND_bytes(&byte, 1) != 1) {
        return NULL;
    }
    if (gives_back) {
        m2_hold_thread_ends();
    }
    watched = 1; /* what a destructor frees from here on may be freed by exit() as well */
    return NULL;
}

static void test_thread_ends(void **state)
{
    static int yes;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, use_openssl, NULL), 0);
    pthread_join(thread, NULL);
    assert_true(freed > 0); /* as any thread does */
    freed = 0;
    assert_int_equal(pthread_create(&thread, NULL, use_openssl, &yes), 0);
    pthread_join(thread, NULL);
    assert_int_equal(freed, 0);
}

static int listen_in(void **state)
{
    (void)state;
    came = 0;
    signal(SIGTERM, note);
    signal(SIGHUP, note);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_ends),
        cmocka_unit_test_setup(test_threads_serve, listen_in),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test_setup(test_held, listen_in),
    };

    CRYPTO_set_mem_functions(take, take_again, give); /* before OpenSSL takes any */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
