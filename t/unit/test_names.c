/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Names of remote stores: whoever asks never waits, however long the resolver takes, and a
 * resolver that is down moves nobody who was known.
 */
#include "unit.h"

#include "wire/m2_names.h"
#include "wire/m2_wire.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <unistd.h>

/* --- a resolver that does as it is told --- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: it does not answer */
static int answers = 1;                                  /* 0: there is no such name */
static int asked;

static int slow(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **plist)
{
    struct addrinfo wanted = *hints;

    (void)host;
    (void)service;
    __atomic_fetch_add(&asked, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    if (!__atomic_load_n(&answers, __ATOMIC_SEQ_CST)) {
        return EAI_AGAIN;
    }
    wanted.ai_flags = AI_NUMERICHOST;
    return getaddrinfo("127.0.0.7", NULL, &wanted, plist);
}

static m2_names_t *names_of(void)
{
    m2_names_t *names;

    m2_names_use(slow);
    asked = 0;
    answers = 1;
    assert_int_equal(m2_names_make(&names, pool, &err), M2_OK);
    return names;
}

static int is_seven(const m2_addr_t *addr, apr_port_t port)
{
    const struct sockaddr_in *in = (const void *)&addr->to;

    return addr->to.ss_family == AF_INET && addr->len == sizeof(*in)
           && in->sin_addr.s_addr == inet_addr("127.0.0.7") && in->sin_port == htons(port);
}

/* --- tests --- */

static void test_literals(void **state)
{
    m2_addr_t addrs[M2_NAMES_ADDRS];

    (void)state;
    assert_int_equal(m2_names_find(addrs, NULL, "127.0.0.7", 6379), 1);
    assert_true(is_seven(addrs, 6379));
    assert_int_equal(m2_names_find(addrs, NULL, "::1", 80), 1);
    assert_int_equal(addrs[0].to.ss_family, AF_INET6);
    assert_int_equal(((struct sockaddr_in6 *)(void *)&addrs[0].to)->sin6_port, htons(80));
    assert_int_equal(m2_names_find(addrs, NULL, "store.test", 80), 0);
    assert_int_equal(m2_names_find(addrs, NULL, "127.1", 80), 0);
}

static void test_found(void **state)
{
    m2_names_t *names = names_of();
    m2_addr_t addrs[M2_NAMES_ADDRS];

    (void)state;
    m2_names_find(addrs, names, "store.test", 1);
    m2_names_wait(names, 10000);
    assert_int_equal(m2_names_find(addrs, names, "store.test", 2), 1);
    assert_true(is_seven(addrs, 2));
    assert_int_equal(asked, 1);
}

/* The resolver hangs: nobody who asks does, and when it answers the name is known. */
static void test_nobody_waits(void **state)
{
    m2_names_t *names = names_of();
    m2_addr_t addrs[M2_NAMES_ADDRS];
    m2_endpoint_t end = { "store.test", 1, 300, names, NULL, NULL, NULL };
    m2_wire_t *wire;
    char why[M2_WIRE_WHY] = "";
    int i;

    (void)state;
    pthread_mutex_lock(&gate);
    assert_int_equal(m2_wire_make(&wire, pool, &end, &err), M2_OK);
    for (i = 0; i < 1000; i++) { /* each would wait for ever */
        assert_int_equal(m2_names_find(addrs, names, "store.test", 1), 0);
        assert_null(m2_wire_take(wire, 0, why));
    }
    assert_non_null(strstr(why, "no address of store.test is known yet"));
    m2_names_wait(names, 20); /* bounded, too */
    assert_int_equal(m2_names_find(addrs, names, "store.test", 1), 0);
    pthread_mutex_unlock(&gate);
    m2_names_wait(names, 10000);
    assert_int_equal(m2_names_find(addrs, names, "store.test", 1), 1);
}

static void test_down_later(void **state)
{
    m2_names_t *names = names_of();
    m2_addr_t addrs[M2_NAMES_ADDRS];
    int i;

    (void)state;
    m2_names_find(addrs, names, "store.test", 1);
    m2_names_wait(names, 10000);
    __atomic_store_n(&answers, 0, __ATOMIC_SEQ_CST);
    m2_names_doubt(names, "store.test");
    for (i = 0; i < 1000 && __atomic_load_n(&asked, __ATOMIC_SEQ_CST) < 2; i++) {
        usleep(20000);
    }
    assert_true(asked >= 2);
    assert_int_equal(m2_names_find(addrs, names, "store.test", 1), 1);
    assert_true(is_seven(addrs, 1));
}

/* The pool goes while the resolver hangs: the thread frees what it uses when it comes back. */
static void test_end_while_asked(void **state)
{
    m2_names_t *names = names_of();
    m2_addr_t addrs[M2_NAMES_ADDRS];

    (void)state;
    pthread_mutex_lock(&gate);
    m2_names_find(addrs, names, "store.test", 1);
    while (!__atomic_load_n(&asked, __ATOMIC_SEQ_CST)) {
        usleep(1000);
    }
    apr_pool_clear(pool);
    m2_err_init(&err, pool);
    pthread_mutex_unlock(&gate);
}

static void test_ceiling(void **state)
{
    m2_names_t *names = names_of();
    m2_addr_t addrs[M2_NAMES_ADDRS];
    int i;

    (void)state;
    for (i = 0; i < M2_NAMES_MAX + 10; i++) {
        m2_names_find(addrs, names, apr_psprintf(pool, "n%d.test", i), 1);
    }
    m2_names_wait(names, 20000);
    assert_int_equal(m2_names_find(addrs, names, "n5.test", 1), 1);
    assert_int_equal(asked, M2_NAMES_MAX);
    assert_int_equal(m2_names_find(addrs, names, apr_psprintf(pool, "n%d.test", M2_NAMES_MAX),
                                   1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_literals),   unit(test_found),           unit(test_nobody_waits),
        unit(test_down_later), unit(test_end_while_asked), unit(test_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
