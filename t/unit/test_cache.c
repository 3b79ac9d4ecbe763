/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The verified-token cache: what gets in, what is found, and that nothing is found under
 * another policy, key generation or token, nor freed while somebody looks at it.
 */
#include "unit.h"

#include "gate/m2_cache.h"

#include <pthread.h>

#define NOW (apr_time_from_sec(1700000000))

static m2_cache_t *cache;
static m2_policy_t policy;
static int policy_keys; /* only its address is used */

static void make(apr_size_t entries)
{
    cache = m2_cache_make(pool, entries);
    assert_non_null(cache);
    memset(&policy, 0, sizeof(policy));
    policy.keys = (const m2_keyring_t *)(const void *)&policy_keys;
}

static void offer_to(apr_pool_t *p, const char *token, apr_uint64_t generation,
                     const char *user)
{
    m2_verdict_t verdict;
    const m2_json_t *claims = NULL;
    m2_publish_t *one;
    char *text = apr_psprintf(p, "{\"client_id\":\"%s\"}", user);

    memset(&verdict, 0, sizeof(verdict));
    assert_int_equal(m2_json_parse(&claims, p, m2_slice_z(text), M2_E_CONFIG, NULL), M2_OK);
    verdict.verified = 1;
    verdict.claims = claims;
    verdict.kid = "K1";
    verdict.alg = "RS256";
    verdict.user = user;
    verdict.times.exp = 1800000000;
    verdict.times.has_exp = 1;
    verdict.publish = apr_array_make(p, 2, sizeof(m2_publish_t));
    one = apr_array_push(verdict.publish);
    one->place = M2_PLACE_HEADER;
    one->name = "X-Client";
    one->value = user;
    one = apr_array_push(verdict.publish);
    one->place = M2_PLACE_QUERY;
    one->name = "absent";
    one->value = NULL;
    m2_cache_put(cache, p, &verdict, &policy, generation, m2_slice_z(token), NOW);
}

/* Offered from a pool that is gone right after, as a request's is. */
static void offer(const char *token, apr_uint64_t generation, const char *user)
{
    apr_pool_t *p;

    apr_pool_create(&p, pool);
    offer_to(p, token, generation, user);
    apr_pool_destroy(p);
}

static int find_in(apr_pool_t *p, m2_verdict_t *verdict, const char *token,
                   apr_uint64_t generation)
{
    memset(verdict, 0, sizeof(*verdict));
    return m2_cache_get(verdict, cache, p, &policy, generation, m2_slice_z(token), NOW);
}

static int find(m2_verdict_t *verdict, const char *token, apr_uint64_t generation)
{
    return find_in(pool, verdict, token, generation);
}

static void test_kept_the_second_time(void **state)
{
    m2_verdict_t verdict;

    (void)state;
    make(64);
    offer("a.b.c", 1, "app");
    assert_int_equal(find(&verdict, "a.b.c", 1), 0);
    offer("a.b.c", 1, "app");
    assert_int_equal(find(&verdict, "a.b.c", 1), 1);
}

static void test_what_is_found(void **state)
{
    m2_verdict_t verdict;
    const m2_publish_t *one;

    (void)state;
    make(64);
    offer("a.b.c", 1, "app");
    offer("a.b.c", 1, "app");
    assert_int_equal(find(&verdict, "a.b.c", 1), 1);
    assert_int_equal(verdict.code, M2_OK);
    assert_int_equal(verdict.verified, 1);
    assert_int_equal(verdict.cached, 1);
    assert_string_equal(verdict.kid, "K1");
    assert_string_equal(verdict.alg, "RS256");
    assert_string_equal(verdict.user, "app");
    assert_true(m2_slice_is(m2_json_string(m2_json_get(verdict.claims, "client_id")), "app"));
    assert_int_equal(verdict.times.has_exp, 1);
    assert_int_equal(verdict.publish->nelts, 2);
    one = &APR_ARRAY_IDX(verdict.publish, 0, m2_publish_t);
    assert_string_equal(one->name, "X-Client");
    assert_string_equal(one->value, "app");
    one = &APR_ARRAY_IDX(verdict.publish, 1, m2_publish_t);
    assert_string_equal(one->name, "absent");
    assert_null(one->value);
    assert_int_equal(verdict.env->nelts, 0);
}

static void test_nothing_but_itself(void **state)
{
    m2_verdict_t verdict;

    (void)state;
    make(64);
    offer("a.b.c", 1, "app");
    offer("a.b.c", 1, "app");
    assert_int_equal(find(&verdict, "a.b.c", 1), 1); /* control */
    assert_int_equal(find(&verdict, "a.b.c", 2), 0);
    assert_int_equal(find(&verdict, "a.b.d", 1), 0);
    assert_int_equal(find(&verdict, "a.b.", 1), 0);
    assert_int_equal(find(&verdict, "a.b.cc", 1), 0);
    policy.claims.leeway = 1;
    assert_int_equal(find(&verdict, "a.b.c", 1), 0);
    policy.claims.leeway = 0;
    assert_int_equal(find(&verdict, "a.b.c", 1), 1);
}

static void test_bounded(void **state)
{
    m2_cache_stats_t stats;
    int i;

    (void)state;
    make(64);
    for (i = 0; i < 5000; i++) {
        const char *token = apr_psprintf(pool, "t.%d.s", i);

        offer(token, 1, "app");
        offer(token, 1, "app");
    }
    m2_cache_stats(&stats, cache);
    assert_int_equal(stats.slots, 64);
    assert_in_range(stats.entries, 1, 64);
    assert_true(stats.bytes > 0);
}

/* A token ends in a signature, which is as good as random: the finalizer of splitmix64. */
static const char *signed_token(int n)
{
    apr_uint64_t word[2];
    int i;

    for (i = 0; i < 2; i++) {
        apr_uint64_t z = ((apr_uint64_t)n * 2 + (apr_uint64_t)i + 1) * 0x9E3779B97F4A7C15u;

        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        word[i] = z ^ (z >> 31);
    }
    return apr_psprintf(pool, "%016" APR_UINT64_T_HEX_FMT "%016" APR_UINT64_T_HEX_FMT, word[0],
                        word[1]);
}

/* Marks of tokens seen once use every door: of as many tokens as there are doors more than a
 * third have one to themselves, with half of the doors a seventh. */
static void test_every_door(void **state)
{
    m2_cache_stats_t stats;
    m2_verdict_t verdict;
    int i, n, known = 0;

    (void)state;
    make(1024);
    m2_cache_stats(&stats, cache);
    n = (int)stats.slots * 4; /* DOOR_PER_SLOT */
    for (i = 0; i < n; i++) {
        offer(signed_token(i), 1, "app");
    }
    for (i = 0; i < n; i++) {
        const char *token = signed_token(i);
        apr_pool_t *p;

        offer(token, 1, "app");
        apr_pool_create(&p, pool);
        known += find_in(p, &verdict, token, 1);
        apr_pool_destroy(p); /* and the slot may be another's */
    }
    assert_in_range(known, n / 4, n / 2);
}

static void test_pinned_stays(void **state)
{
    m2_verdict_t verdict;
    apr_pool_t *request;
    int i;

    (void)state;
    make(8); /* one bucket: everything fights for the same slots */
    offer("held.b.c", 1, "holder");
    offer("held.b.c", 1, "holder");
    apr_pool_create(&request, pool);
    assert_int_equal(find_in(request, &verdict, "held.b.c", 1), 1);
    for (i = 0; i < 1000; i++) {
        const char *token = apr_psprintf(pool, "t.%d.s", i);

        offer(token, 1, "other");
        offer(token, 1, "other");
    }
    assert_string_equal(verdict.user, "holder");
    assert_true(m2_slice_is(m2_json_string(m2_json_get(verdict.claims, "client_id")),
                            "holder"));
    apr_pool_destroy(request);
}

/* Threads that read, and verify what they read, while others replace it. */
static void *race(void *data)
{
    const int seed = (int)(apr_uintptr_t)data;
    apr_pool_t *mine, *request;
    apr_allocator_t *allocator;
    apr_uintptr_t wrong = 0;
    int i;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&mine, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, mine);
    for (i = 0; i < 4000; i++) {
        m2_verdict_t verdict;
        const int n = (i * 7 + seed * 13) % 40;
        char token[32], user[32];

        apr_snprintf(token, sizeof(token), "t.%d.s", n);
        apr_snprintf(user, sizeof(user), "user%d", n);
        apr_pool_create(&request, mine);
        if (find_in(request, &verdict, token, 1)) {
            wrong += !m2_slice_is(m2_slice_z(user), verdict.user)
                     || !m2_slice_is(m2_json_string(m2_json_get(verdict.claims, "client_id")),
                                     user);
        }
        else {
            offer_to(request, token, 1, user);
        }
        apr_pool_destroy(request);
    }
    apr_pool_destroy(mine);
    return (void *)wrong;
}

static void test_threads(void **state)
{
    pthread_t threads[8];
    void *wrong;
    int i;

    (void)state;
    make(16); /* fewer slots than tokens, so that slots change hands all the time */
    for (i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)(apr_uintptr_t)i), 0);
    }
    for (i = 0; i < 8; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

static void test_none(void **state)
{
    (void)state;
    assert_null(m2_cache_make(pool, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_kept_the_second_time),
        unit(test_what_is_found),
        unit(test_nothing_but_itself),
        unit(test_bounded),
        unit(test_every_door),
        unit(test_pinned_stays),
        unit(test_threads),
        unit(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
