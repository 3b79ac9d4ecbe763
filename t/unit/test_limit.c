/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MLimit, which bucket a request takes from, what it is told.
 */
#include "unit.h"

#include "limit/m2_limit_store.h"

static m2_rules_t *scope;
static m2_limits_t *limits;

static void begin(void)
{
    scope = m2_rules_make(pool);
    limits = m2_limits_make(pool, scope);
    assert_int_equal(m2_params_declare(scope->params, "client", "Query:client", &err), M2_OK);
    assert_int_equal(m2_params_declare(scope->params, "tenant", "Query:tenant", &err), M2_OK);
}

/* `NAME KEY RATE [option=value ...]` */
static m2_limit_t *limit_of(const char *line)
{
    char *last = NULL, *rest = apr_pstrdup(pool, line);
    const char *name = apr_strtok(rest, " ", &last), *key = apr_strtok(NULL, " ", &last);
    const char *rate = apr_strtok(NULL, " ", &last);
    m2_limit_t *limit;
    char *word;

    clean();
    if (m2_limit_make(&limit, limits, name, key, rate, &err) != M2_OK) {
        return NULL;
    }
    while ((word = apr_strtok(NULL, " ", &last)) != NULL) {
        char *equals = strchr(word, '=');

        *equals = '\0';
        if (m2_limit_option(limit, limits, word, equals + 1, &err) != M2_OK) {
            return NULL;
        }
    }
    return m2_limits_add(limits, limit, &err) == M2_OK ? limit : NULL;
}

/* --- facts --- */

static const char *client, *tenant;
static int broken;

static m2_code_t look_up(m2_value_t *value, const m2_param_t *param, void *baton)
{
    const int is_client = m2_slice_is(m2_slice_z(param->name), "client");

    (void)baton;
    value->text = m2_slice_z(is_client ? client : tenant);
    return is_client && broken ? M2_E_RULE_ERROR : M2_OK;
}

static m2_code_t gather(apr_array_header_t **puses)
{
    const m2_limit_t *limit = NULL;
    m2_facts_t facts;

    clean();
    memset(&facts, 0, sizeof(facts));
    facts.pool = pool;
    facts.lookup = look_up;
    facts.params = scope->params;
    return m2_limit_gather(puses, &limit, limits, &facts, &err);
}

static m2_limit_use_t *use_at(const apr_array_header_t *uses, int i)
{
    assert_true(i < uses->nelts);
    return &APR_ARRAY_IDX(uses, i, m2_limit_use_t);
}

/* --- words --- */

static void test_words(void **state)
{
    const m2_limit_t *limit;

    (void)state;
    begin();
    limit = limit_of("a.b_c-1 client,tenant 100/1m burst=7 null=Deny special=big:5/1s");
    assert_non_null(limit);
    assert_int_equal(limit->key->nelts, 2);
    assert_int_equal(limit->rate->count, 100);
    assert_int_equal(limit->rate->window, 60);
    assert_int_equal(limit->rate->burst, 7);
    assert_int_equal(limit->rate->terms.step, 600000000);
    assert_int_equal(limit->null_denies, 1);
    assert_non_null(apr_hash_get(limit->specials, "big", APR_HASH_KEY_STRING));
    limit = limit_of("all * 1/31d");
    assert_int_equal(limit->key->nelts, 0);
    assert_int_equal(limit->rate->window, 31 * 86400);
    assert_int_equal(limit->rate->burst, 1);
    assert_non_null(limit_of("sys CaAppId,CaClientIp 5/2h when=$client='x'"));
}

static void test_words_bad(void **state)
{
    static const char *const bad[][2] = {
        { "a/b * 1/1s", "not a name" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa * 1/1s", "a name" },
        { "a nobody 1/1s", "\"nobody\" is not a parameter" },
        { "a $client 1/1s", "without $" },
        { "a client, 1/1s", "not a parameter" },
        { "a *,client 1/1s", "not a parameter" },
        { "a * 1", "COUNT/WINDOW" },
        { "a * 0/1s", "COUNT/WINDOW" },
        { "a * 1/0s", "COUNT/WINDOW" },
        { "a * 1/1", "COUNT/WINDOW" },
        { "a * 1/32d", "COUNT/WINDOW" },
        { "a * -1/1s", "COUNT/WINDOW" },
        { "a * 1000000001/1s", "COUNT/WINDOW" },
        { "a * 1/1w", "COUNT/WINDOW" },
        { "a * 1/1s burst=0", "burst=0: it takes a number from 1" },
        { "a * 1/31d burst=100000", "hundred years" },
        { "a * 1/1s null=maybe", "pass or deny" },
        { "a * 1/1s when=$nobody=1", "when=: column" },
        { "a * 1/1s special=x:1/1s", "one bucket for all" },
        { "a client 1/1s special=x", "VALUE:COUNT/WINDOW" },
        { "a client 1/1s special=x:1/1s special=x:2/1s", "has terms already" },
        { "a client 1/1s colour=red", "there is no option \"colour\"" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin();
        assert_null(limit_of(bad[i][0]));
        if (!strstr(err.text, bad[i][1])) {
            fail_msg("%s: %s", bad[i][0], err.text);
        }
    }
    begin();
    assert_non_null(limit_of("a * 1/1s"));
    assert_null(limit_of("a * 1/1s"));
    assert_non_null(strstr(err.text, "of this name already"));
}

static void test_special_with_colons(void **state)
{
    const m2_limit_t *limit;

    (void)state;
    begin();
    limit = limit_of("a client 1/1s special=urn:x:y:5/1m");
    assert_non_null(apr_hash_get(limit->specials, "urn:x:y", APR_HASH_KEY_STRING));
}

static void test_differs(void **state)
{
    static const struct { const char *line, *what; } cases[] = {
        { "a client 5/1m", NULL }, { "a client 6/1m", "COUNT" }, { "a client 5/1h", "COUNT" },
        { "a client 5/1m burst=4", "burst" }, { "a tenant 5/1m", "KEY" },
        { "a * 5/1m", "KEY" }, { "a client,tenant 5/1m", "KEY" },
        { "a client 5/1m special=x:1/1s", "special" },
        { "a client 5/1m null=deny when=$client='x'", NULL },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const m2_limit_t *first, *second;
        m2_limits_t *of_first;
        const char *what;

        begin();
        first = limit_of("a client 5/1m");
        of_first = limits;
        begin();
        second = limit_of(cases[i].line);
        what = m2_limit_differs(first, of_first, second, limits);
        assert_int_equal(what == NULL, cases[i].what == NULL);
        assert_true(!what || strstr(what, cases[i].what));
    }
}

/* --- buckets --- */

static void test_buckets(void **state)
{
    apr_array_header_t *uses, *others;

    (void)state;
    begin();
    limit_of("pair client,tenant 5/1m special=a,bc:9/1s");
    client = "a";
    tenant = "bc";
    assert_int_equal(gather(&uses), M2_OK);
    assert_int_equal(use_at(uses, 0)->rate->count, 9);
    client = "ab";
    tenant = "c";
    assert_int_equal(gather(&others), M2_OK);
    assert_int_equal(use_at(others, 0)->rate->count, 5);
    assert_false(m2_slice_eq(use_at(uses, 0)->bucket, use_at(others, 0)->bucket));
    client = apr_pstrcat(pool, apr_psprintf(pool, "%02000d", 7), NULL); /* a long value */
    assert_int_equal(gather(&uses), M2_OK);
    assert_true(use_at(uses, 0)->bucket.n > 2000);
}

static void test_null(void **state)
{
    apr_array_header_t *uses;

    (void)state;
    begin();
    limit_of("one client 5/1m");
    client = NULL;
    assert_int_equal(gather(&uses), M2_OK);
    assert_int_equal(uses->nelts, 0);
    client = "";
    assert_int_equal(gather(&uses), M2_OK);
    assert_int_equal(uses->nelts, 1); /* empty is a value */
    limit_of("two client 5/1m null=deny");
    client = NULL;
    assert_int_equal(gather(&uses), M2_E_LIMIT_NULL);
    assert_non_null(strstr(err.text, "limit two is null"));
    client = "x";
    assert_int_equal(gather(&uses), M2_OK);
    assert_int_equal(uses->nelts, 2);
    broken = 1;
    assert_int_equal(gather(&uses), M2_E_RULE_ERROR);
    broken = 0;
}

static void test_when(void **state)
{
    apr_array_header_t *uses;

    (void)state;
    begin();
    limit_of("some * 5/1m when=$client='x'");
    client = "x";
    gather(&uses);
    assert_int_equal(uses->nelts, 1);
    client = "y";
    gather(&uses);
    assert_int_equal(uses->nelts, 0);
    client = NULL;
    gather(&uses);
    assert_int_equal(uses->nelts, 0);
    broken = 1; /* an error counts as true */
    gather(&uses);
    assert_int_equal(uses->nelts, 1);
    broken = 0;
}

/* --- the store, and what is told --- */

static void test_store(void **state)
{
    const char *policy, *limit;
    m2_limit_spec_t spec = { .entries = 100 };
    m2_limit_store_t *store;
    apr_array_header_t *uses;
    m2_limit_t *shadow;

    (void)state;
    begin();
    assert_int_equal(m2_limit_store_open(&store, pool, pool, &spec, &err), M2_OK);
    limit_of("mine client 2/1m");
    limit_of("all * 10/1s");
    shadow = limit_of("none * 1/31d");
    shadow->shadow = 1;
    assert_int_equal(m2_limit_store_rows(store, limits, &err), M2_OK);
    client = "x";
    gather(&uses);
    assert_null(m2_limit_store_take(store, uses));
    m2_limit_headers(&policy, &limit, pool, uses);
    assert_string_equal(policy, "\"mine\";q=2;w=60, \"all\";q=10;w=1");
    assert_string_equal(limit, "\"mine\";r=1;t=30, \"all\";r=9;t=1");
    gather(&uses);
    assert_null(m2_limit_store_take(store, uses)); /* though the shadow would refuse */
    gather(&uses);
    assert_string_equal(m2_limit_store_take(store, uses)->name, "mine");
    assert_int_equal(m2_limit_retry(&use_at(uses, 0)->answer), 30);
    assert_int_equal(m2_limit_store_stats(pool, store)[limits->list->nelts - 3].refused, 1);
    client = "y"; /* a client of its own */
    gather(&uses);
    assert_null(m2_limit_store_take(store, uses));
    m2_limit_headers(&policy, &limit, pool, apr_array_make(pool, 1, sizeof(m2_limit_use_t)));
    assert_string_equal(policy, "");
}

static void test_store_words(void **state)
{
    static const char *const bad[] = { "shm entries=0", "shm entries=1x", "shm colour=red",
                                       "shm entries=-1", "disk", "", "shm nodes=2",
                                       "redis:a:1", "redis:a:1 nodes=0",
                                       "redis:a:1 nodes=2 lease=50",
                                       "redis:a:1 nodes=2 lease=2s",
                                       "redis:a:1 nodes=2 lease=1001ms",
                                       "redis:a:1 nodes=2 wait=1",
                                       "redis-cluster:a:1 nodes=2 db=1" };
    apr_array_header_t *words = apr_array_make(pool, 2, sizeof(const char *));
    m2_limit_spec_t spec;
    size_t i;

    (void)state;
    APR_ARRAY_PUSH(words, const char *) = "SHM";
    assert_int_equal(m2_limit_spec_parse(&spec, words, &err), M2_OK);
    assert_int_equal(spec.entries, M2_LIMIT_ENTRIES);
    APR_ARRAY_PUSH(words, const char *) = "entries=500";
    assert_int_equal(m2_limit_spec_parse(&spec, words, &err), M2_OK);
    assert_string_equal(m2_limit_spec_describe(pool, &spec), "shm entries=500");
#if defined(M2_HAVE_HIREDIS)
    apr_array_clear(words);
    APR_ARRAY_PUSH(words, const char *) = "redis-sentinel:m@a:1";
    APR_ARRAY_PUSH(words, const char *) = "nodes=3";
    APR_ARRAY_PUSH(words, const char *) = "lease=0";
    assert_int_equal(m2_limit_spec_parse(&spec, words, &err), M2_OK);
    assert_string_equal(m2_limit_spec_describe(pool, &spec),
                        "redis-sentinel:m@a:1 prefix=m2m:limit: timeout=250ms nodes=3 "
                        "lease=0ms entries=65536");
#endif
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *last = NULL, *rest = apr_pstrdup(pool, bad[i]), *word;

        apr_array_clear(words);
        while ((word = apr_strtok(rest, " ", &last)) != NULL) {
            rest = NULL;
            APR_ARRAY_PUSH(words, const char *) = word;
        }
        clean();
        assert_int_equal(m2_limit_spec_parse(&spec, words, &err), M2_E_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_words),   unit(test_words_bad), unit(test_special_with_colons),
        unit(test_differs), unit(test_buckets),   unit(test_null),
        unit(test_when),    unit(test_store),     unit(test_store_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
