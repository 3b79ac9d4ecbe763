/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay stores: what a mark answers, that of many at once one is accepted, and what is
 * left of the table after a kill, a restart or damage. Remote stores are real servers,
 * started here on free loopback ports. M2_SOAK=1 runs the long forms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/m2_log.h"
#include "replay/m2_replay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 4
#define THREADS 16
#define T0 apr_time_from_sec(1800000000)
#define SEC APR_USEC_PER_SEC

static apr_pool_t *pool;    /* of one configuration */
static apr_pool_t *process; /* of the parent process */
static m2_err_t err;
static char dir[64];
static char last_log[1024];

static void note_log(m2_level_t level, const char *text, void *baton)
{
    (void)level;
    (void)baton;
    apr_cpystrn(last_log, text, sizeof(last_log));
}

static int setup(void **state)
{
    (void)state;
    apr_pool_create(&process, NULL);
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    m2_log_set(note_log, NULL);
    last_log[0] = '\0';
    apr_cpystrn(dir, "/tmp/m2-replay-XXXXXX", sizeof(dir));
    return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    m2_log_set(NULL, NULL);
    apr_pool_destroy(pool);
    apr_pool_destroy(process);
    apr_snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int soak(void)
{
    return getenv("M2_SOAK") != NULL;
}

static m2_slice_t z(const char *text)
{
    return m2_slice_z(text);
}

/**************************************************************************************/
/* stores to test with */

static m2_code_t parse(m2_replay_spec_t **pspec, const char *line)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *last = NULL, *rest = apr_pstrdup(pool, line), *word;

    m2_err_init(&err, pool);
    while ((word = apr_strtok(rest, " ", &last)) != NULL) {
        rest = NULL;
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    return m2_replay_parse(pspec, pool, words, &err);
}

static m2_replay_spec_t *spec_of(const char *fmt, ...)
{
    m2_replay_spec_t *spec = NULL;
    va_list args;

    va_start(args, fmt);
    if (parse(&spec, apr_pvsprintf(pool, fmt, args)) != M2_OK) {
        print_error("%s\n", err.text);
    }
    va_end(args);
    assert_non_null(spec);
    return spec;
}

static m2_replay_t *open_spec(const m2_replay_spec_t *spec)
{
    m2_replay_t *store = NULL;

    m2_err_init(&err, pool);
    if (m2_replay_open(&store, pool, process, spec, &err) == M2_OK) {
        assert_int_equal(m2_replay_attach(store, pool, &err), M2_OK);
    }
    return store;
}

/* the end of a configuration, as at a graceful restart */
static void next_configuration(void)
{
    apr_pool_destroy(pool);
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
}

/* the end of the server */
static void next_process(void)
{
    next_configuration();
    apr_pool_destroy(process); /* the mapping stays: as if it were somebody else's */
    apr_pool_create(&process, NULL);
}

static m2_code_t mark(m2_replay_t *store, const char *jti, apr_time_t expires_at,
                      apr_time_t now)
{
    m2_err_init(&err, pool);
    return m2_replay_mark(store, z("https://issuer"), z(jti), expires_at, now, &err);
}

static m2_code_t mark_n(m2_replay_t *store, unsigned n, apr_time_t expires_at, apr_time_t now)
{
    char jti[24];

    apr_snprintf(jti, sizeof(jti), "jti-%u", n);
    return m2_replay_mark(store, z("i"), z(jti), expires_at, now, NULL);
}

/**************************************************************************************/
/* words */

static void test_parse_good(void **state)
{
    m2_replay_spec_t *spec;
    m2_host_t *hosts;

    (void)state;
    spec = spec_of("shm");
    assert_int_equal(spec->kind, M2_REPLAY_SHM);
    assert_int_equal(spec->entries, 65536);
    assert_null(spec->path);
    spec = spec_of("SHM:/a/b Entries=1");
    assert_string_equal(spec->path, "/a/b");
    assert_int_equal(spec->entries, 1);
    spec = spec_of("memcache:a:1,b:2 c:3 memcache:d:4 timeout=250ms prefix=x:");
    hosts = (m2_host_t *)(void *)spec->hosts->elts;
    assert_int_equal(spec->kind, M2_REPLAY_MEMCACHE);
    assert_int_equal(spec->hosts->nelts, 4);
    assert_string_equal(hosts[3].name, "d");
    assert_int_equal(hosts[3].port, 4);
    assert_int_equal(spec->timeout, 250);
    assert_string_equal(spec->prefix, "x:");
    spec = spec_of("dbd:");
    assert_string_equal(m2_replay_describe(pool, spec), "dbd:m2m_replay");
    spec = spec_of("dbd:s.t prefix=x:");
    assert_string_equal(m2_replay_describe(pool, spec), "dbd:s.t prefix=x:");
    assert_null(open_spec(spec)); /* no host that has a database */
}

#if defined(M2_HAVE_HIREDIS)
static void test_parse_redis(void **state)
{
    m2_replay_spec_t *spec;
    m2_host_t *hosts;

    (void)state;
    spec = spec_of("redis:[::1]:6379 db=3 password-file=p user=u tls=On ca=c cert=d key=e");
    hosts = (m2_host_t *)(void *)spec->redis->hosts->elts;
    assert_string_equal(hosts[0].name, "::1");
    assert_int_equal(spec->redis->db, 3);
    assert_int_equal(spec->redis->tls, 1);
    assert_int_equal(spec->timeout, 1000);
    assert_string_equal(spec->redis->key, "e");
    spec = spec_of("redis:/run/redis.sock timeout=2");
    hosts = (m2_host_t *)(void *)spec->redis->hosts->elts;
    assert_string_equal(hosts[0].name, "/run/redis.sock");
    assert_int_equal(spec->timeout, 2000);
    spec = spec_of("Redis-Sentinel:mymaster@a:1,[::1]:2 sentinel-user=s "
                   "sentinel-password-file=f wait=2 prefix=p:");
    hosts = (m2_host_t *)(void *)spec->redis->hosts->elts;
    assert_int_equal(spec->redis->mode, M2_REDIS_SENTINEL);
    assert_string_equal(spec->redis->master, "mymaster");
    assert_string_equal(hosts[1].name, "::1");
    assert_string_equal(spec->redis->sentinel_password_file, "f");
    assert_string_equal(spec->prefix, "p:");
    assert_int_equal(spec->wait, 2);
    spec = spec_of("redis-cluster:a:1,b:2 timeout=1");
    assert_int_equal(spec->redis->mode, M2_REDIS_CLUSTER);
    assert_string_equal(m2_replay_describe(pool, spec),
                        "redis-cluster:a:1,b:2 prefix=m2m:jti: timeout=1000ms");
}
#endif

/* { line, what the sentence must name } */
static const char *const bad_lines[][2] = {
    { "", "shm[:PATH]" },
    { "shmm", "shmm: must be shm" },
    { "sh", "must be shm" },
    { "file:/x", "must be shm" },
    { "shm:", "path is missing" },
    { "shm entries=0", "entries=0" },
    { "shm entries=-1", "entries=-1" },
    { "shm entries=1k", "entries=1k" },
    { "shm entries=100000001", "100000000" },
    { "shm entries=99999999999999999999999", "100000000" },
    { "shm entries=", "value is missing" },
    { "shm entries", "value is missing" },
    { "shm size=4", "only the options entries=" },
    { "shm timeout=4", "timeout=4" },
    { "shm extra", "extra" },
    { "memcache", "followed by HOST:PORT" },
    { "memcache:", "followed by HOST:PORT" },
    { "memcache:a", "HOST:PORT" },
    { "memcache:a:0", "HOST:PORT" },
    { "memcache:a:70000", "HOST:PORT" },
    { "memcache:a:1=b:2", "HOST:PORT" },
    { "memcache:[a:1", "HOST:PORT" },
    { "redis:a/b:1", "HOST:PORT" },
    { "memcache:a:1 entries=4", "entries" },
    { "memcache:a:1 prefix=0123456789012345678901234567890123456789012345678901234567890123x",
      "at most 64" },
    { "redis", "followed by HOST:PORT" },
    { "redis:a:1,b:2", "too many" },
    { "redis:a:1 b:2", "b:2" },
    { "redis:a:1 db=x", "db=x" },
    { "redis:a:1 tls=maybe", "On or Off" },
    { "redis:a:1 ca=x", "need tls=On" },
    { "redis:a:1 tls=On cert=x", "together" },
    { "redis:a:1 user=x", "password-file" },
    { "redis:/s tls=On", "unix socket" },
    { "redis:a:1 wait=0", "wait=0" },
    { "redis:a:1 sentinel-user=x", "only the options user= " },
    { "redis-sentinel:a:1", "MASTER@HOST:PORT" },
    { "redis-sentinel:@a:1", "MASTER@HOST:PORT" },
    { "redis-sentinel:m,n@a:1", "MASTER@HOST:PORT" },
    { "redis-sentinel:m@", "followed by HOST:PORT" },
    { "redis-sentinel:m@/s", "no unix socket" },
    { "redis-sentinel:m@a:1 sentinel-user=x", "sentinel-password-file" },
    { "redis-cluster:a:1 db=0", "a cluster has only one" },
    { "redis-cluster:/s", "no unix socket" },
    { "redis-clusters:a:1", "must be shm" },
    { "dbd:a b", "only the options prefix=" },
    { "dbd:1a", "must be dbd: or dbd:TABLE" },
    { "dbd:a.b.c", "must be dbd:" },
    { "dbd:.a", "must be dbd:" },
    { "memcache:a:1 wait=1", "wait=1" },
    { "redis:a:1 timeout=0", "timeout=0" },
    { "redis:a:1 timeout=61", "timeout=61" },
    { "redis:a:1 timeout=ms", "timeout=ms" },
    { "redis:a:1 timeout=5m", "timeout=5m" }
};

static void test_parse_bad(void **state)
{
    m2_replay_spec_t *spec;
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        if (m2_redis_spec_is(bad_lines[i][0]) && !m2_redis_built_in()) {
            continue;
        }
        spec = (m2_replay_spec_t *)1;
        if (parse(&spec, bad_lines[i][0]) != M2_E_CONFIG || spec
            || !strstr(err.text, bad_lines[i][1])) {
            fail_msg("\"%s\": %s", bad_lines[i][0], err.text ? err.text : "accepted");
        }
    }
}

/**************************************************************************************/
/* what a mark answers */

static void check_marks(m2_replay_t *store)
{
    assert_int_equal(mark(store, "a", T0 + 60 * SEC, T0), M2_OK);
    assert_int_equal(mark(store, "a", T0 + 60 * SEC, T0), M2_E_JTI_REPLAYED);
    assert_null(strstr(err.text, "\"a\""));
    assert_int_equal(mark(store, "a", T0 + 90 * SEC, T0 + SEC), M2_E_JTI_REPLAYED);
    assert_int_equal(mark(store, "A", T0 + 60 * SEC, T0), M2_OK);
    assert_int_equal(mark(store, "", T0 + 60 * SEC, T0), M2_OK);
    /* another issuer, no issuer, the empty issuer, and the same bytes cut elsewhere */
    assert_int_equal(m2_replay_mark(store, z("b"), z("a"), T0 + SEC * 60, T0, NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z(NULL), z("a"), T0 + SEC * 60, T0, NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z(""), z("a"), T0 + SEC * 60, T0, NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z("b"), z("ac"), T0 + SEC * 60, T0, NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z("ba"), z("c"), T0 + SEC * 60, T0, NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z("b"), m2_slice("a\0x", 3), T0 + SEC * 60, T0,
                                    NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z("b"), m2_slice("a\0y", 3), T0 + SEC * 60, T0,
                                    NULL), M2_OK);
    assert_int_equal(m2_replay_mark(store, z("b"), m2_slice("a\0x", 3), T0 + SEC * 60, T0,
                                    NULL), M2_E_JTI_REPLAYED);
}

static void test_shm_marks(void **state)
{
    m2_replay_stats_t stats;
    m2_replay_t *store = open_spec(spec_of("shm"));

    (void)state;
    check_marks(store);
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.marked, 10);
    assert_int_equal(stats.replayed, 3);
    assert_int_equal(stats.live, 10);
    assert_int_equal(stats.entries, 65536);
    assert_string_equal(stats.name, "shm");
}

static void test_shm_expiry(void **state)
{
    m2_replay_t *store = open_spec(spec_of("shm"));
    const apr_time_t half = T0 + SEC / 2;

    (void)state;
    assert_int_equal(mark(store, "z", T0, T0), M2_E_EXPIRED);
    assert_int_equal(mark(store, "z", T0 - SEC, T0), M2_E_EXPIRED);
    assert_int_equal(mark(store, "z", T0 + 1, T0), M2_OK); /* nothing of it was marked */
    assert_int_equal(mark(store, "z", T0 + 1, T0), M2_E_JTI_REPLAYED);
    assert_int_equal(mark(store, "e", half + 10 * SEC, half), M2_OK);
    assert_int_equal(mark(store, "e", T0 + 99 * SEC, half + 10 * SEC - 1), M2_E_JTI_REPLAYED);
    /* kept to the end of the second, then free for a new token */
    assert_int_equal(mark(store, "e", T0 + 99 * SEC, T0 + 11 * SEC - 1), M2_E_JTI_REPLAYED);
    assert_int_equal(mark(store, "e", T0 + 99 * SEC, T0 + 11 * SEC), M2_OK);
    assert_int_equal(mark(store, "e", T0 + 99 * SEC, T0 + 12 * SEC), M2_E_JTI_REPLAYED);
    /* far beyond what the wheel counts */
    assert_int_equal(mark(store, "far", T0 + apr_time_from_sec(400000000), T0), M2_OK);
    assert_int_equal(mark(store, "far", T0 + apr_time_from_sec(400000000),
                          T0 + apr_time_from_sec(399999999)), M2_E_JTI_REPLAYED);
}

static void test_shm_clock_steps(void **state)
{
    m2_replay_t *store;
    m2_replay_stats_t stats;
    m2_code_t code;
    unsigned i, tries = 0;

    (void)state;
    do {
        next_process();
        store = open_spec(spec_of("shm entries=100"));
        assert_int_equal(mark(store, "s", T0 + 60 * SEC, T0), M2_OK);
        assert_int_equal(mark(store, "s", T0 + 60 * SEC, T0 - 10 * SEC), M2_E_JTI_REPLAYED);
        assert_int_equal(mark(store, "s", T0 + 60 * SEC, T0 - 9000 * SEC), M2_E_JTI_REPLAYED);
        /* ahead by years, and back: the mark is still there, and so is the count, unless the
         * salt of this table put the other one into its place, which was free by then */
        assert_int_equal(mark(store, "t", T0 + apr_time_from_sec(90000000),
                              T0 + apr_time_from_sec(80000000)), M2_OK);
        code = mark(store, "s", T0 + 60 * SEC, T0);
    } while (code == M2_OK && ++tries < 6);
    assert_int_equal(code, M2_E_JTI_REPLAYED);
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.live, 2);
    for (i = 0; i < 98; i++) {
        assert_int_equal(mark_n(store, i, T0 + 60 * SEC, T0), M2_OK);
    }
    assert_int_equal(mark_n(store, 98, T0 + 60 * SEC, T0), M2_E_REPLAY_UNAVAILABLE);
    for (i = 0; i < 98; i++) {
        assert_int_equal(mark_n(store, i, T0 + 60 * SEC, T0 + 59 * SEC), M2_E_JTI_REPLAYED);
    }
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.live, 100);
    assert_int_equal(mark_n(store, 99, T0 + 90 * SEC, T0 + 60 * SEC), M2_OK);
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.live, 2);
}

static void test_shm_full(void **state)
{
    m2_replay_t *store = open_spec(spec_of("shm entries=16"));
    m2_replay_stats_t stats;
    unsigned i;

    (void)state;
    for (i = 0; i < 16; i++) {
        assert_int_equal(mark_n(store, i, T0 + (i + 10) * SEC, T0), M2_OK);
    }
    assert_int_equal(mark(store, "more", T0 + 60 * SEC, T0), M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(strstr(last_log, "full with 16 live tokens; set M2MReplayStore shm "
                                     "entries=32"));
    last_log[0] = '\0';
    assert_int_equal(mark(store, "more", T0 + 60 * SEC, T0), M2_E_REPLAY_UNAVAILABLE);
    assert_string_equal(last_log, ""); /* told once in ten seconds */
    for (i = 0; i < 16; i++) {
        assert_int_equal(mark_n(store, i, T0 + 60 * SEC, T0), M2_E_JTI_REPLAYED);
    }
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.full, 2);
    assert_int_equal(mark(store, "more", T0 + 60 * SEC, T0 + 10 * SEC), M2_OK);
    assert_int_equal(mark(store, "most", T0 + 60 * SEC, T0 + 10 * SEC),
                     M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(strstr(last_log, "(2 refused since last told)"));
}

/* Many more tokens than entries, as many alive as promised: none refused, none twice. */
static void test_shm_rolling(void **state)
{
    const unsigned entries = soak() ? 1000000 : 20000, all = entries * 10;
    m2_replay_t *store = open_spec(spec_of("shm entries=%u", entries));
    const apr_time_t step = 1000 * SEC / entries; /* so many marks end in one second */
    apr_time_t now = T0;
    clock_t began = clock();
    unsigned i, again = 0;

    (void)state;
    for (i = 0; i < all; i++, now += step) {
        /* a mark lives on to the end of its second, hence one second off */
        if (mark_n(store, i, now + 998 * SEC, now) != M2_OK) {
            fail_msg("token %u of %u was refused: %s", i, all, last_log);
        }
        if (i % 7 == 0 && i > 0) {
            unsigned older = i - 1 - (i * 7919u) % (i < entries * 9 / 10 ? i
                                                                        : entries * 9 / 10);

            again++;
            if (mark_n(store, older, now + 998 * SEC, now) != M2_E_JTI_REPLAYED) {
                fail_msg("token %u was accepted twice", older);
            }
        }
    }
    print_message("# %u marks through %u entries, %.3f us of CPU each\n", all + again,
                  entries, (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC / (all + again));
}

/**************************************************************************************/
/* many at once */

typedef struct race_t {
    pthread_barrier_t gate;
    unsigned accepted[4096];
    unsigned other;
} race_t;

typedef struct racer_t {
    m2_replay_t *store;
    race_t *race;
    unsigned rounds;
} racer_t;

static void *race_thread(void *baton)
{
    const racer_t *racer = baton;
    unsigned i;

    for (i = 0; i < racer->rounds; i++) {
        const apr_time_t now = apr_time_now();
        m2_code_t code;

        pthread_barrier_wait(&racer->race->gate);
        code = mark_n(racer->store, i, now + 600 * SEC, now);
        if (code == M2_OK) {
            __atomic_fetch_add(&racer->race->accepted[i], 1, __ATOMIC_SEQ_CST);
        }
        else if (code != M2_E_JTI_REPLAYED) {
            __atomic_fetch_add(&racer->race->other, 1, __ATOMIC_SEQ_CST);
            fprintf(stderr, "# %s\n", last_log);
        }
    }
    return NULL;
}

static void race_process(racer_t *racer, const m2_replay_spec_t *spec)
{
    pthread_t threads[THREADS];
    int i;

    if (spec) { /* a server of its own */
        apr_pool_create(&process, NULL);
        racer->store = open_spec(spec);
        if (!racer->store) {
            fprintf(stderr, "%s\n", err.text);
            _exit(1);
        }
    }
    else if (m2_replay_attach(racer->store, pool, NULL) != M2_OK) {
        _exit(1);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, race_thread, racer);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

/* 4 processes of 16 threads. spec NULL: children of one server; else servers of their own. */
static void check_race(m2_replay_t *store, const m2_replay_spec_t *spec, unsigned rounds)
{
    race_t *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    racer_t racer = { store, race, rounds };
    pthread_barrierattr_t attr;
    pid_t pids[PROCESSES];
    unsigned i;
    int status;

    assert_ptr_not_equal(race, MAP_FAILED);
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&race->gate, &attr, PROCESSES * THREADS);
    for (i = 0; i < PROCESSES; i++) {
        if ((pids[i] = fork()) == 0) {
            race_process(&racer, spec);
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(race->other, 0);
    for (i = 0; i < rounds; i++) {
        if (race->accepted[i] != 1) {
            fail_msg("round %u: accepted %u times", i, race->accepted[i]);
        }
    }
    munmap(race, sizeof(*race));
}

static unsigned rounds(void)
{
    return soak() ? 1000 : 60;
}

static void test_shm_race(void **state)
{
    (void)state;
    check_race(open_spec(spec_of("shm")), NULL, rounds());
}

static void test_file_race(void **state)
{
    m2_replay_spec_t *spec = spec_of("shm:%s/table", dir);

    (void)state;
    assert_non_null(open_spec(spec));
    check_race(NULL, spec, rounds()); /* five servers with one file */
}

/**************************************************************************************/
/* the file */

static void test_file_survives(void **state)
{
    m2_replay_t *store = open_spec(spec_of("shm:%s/table entries=1000", dir));
    const apr_time_t now = apr_time_now();
    struct stat st;
    char *path = apr_psprintf(pool, "%s/table", dir);
    unsigned i;

    (void)state;
    assert_non_null(store);
    assert_string_equal(last_log, ""); /* a new file has nothing to warn of */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (i = 0; i < 500; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_OK);
    }
    next_configuration(); /* graceful restart */
    store = open_spec(spec_of("shm:%s/table entries=1000", dir));
    for (i = 0; i < 500; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    }
    assert_int_equal(mark_n(store, 500, now + 600 * SEC, now), M2_OK);
    next_process(); /* stop and start */
    store = open_spec(spec_of("shm:%s/table entries=1000", dir));
    assert_non_null(store);
    for (i = 0; i < 501; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    }
    assert_int_equal(mark_n(store, 501, now + 600 * SEC, now), M2_OK);
    assert_string_equal(last_log, "");
}

static void test_memory_survives_graceful(void **state)
{
    const apr_time_t now = apr_time_now();
    m2_replay_t *store = open_spec(spec_of("shm entries=100"));
    unsigned i;

    (void)state;
    for (i = 0; i < 50; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_OK);
    }
    next_configuration();
    store = open_spec(spec_of("shm entries=100"));
    assert_int_equal(mark_n(store, 7, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    next_configuration(); /* a larger one */
    store = open_spec(spec_of("shm entries=200"));
    for (i = 0; i < 50; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    }
    next_configuration(); /* one in a file */
    store = open_spec(spec_of("shm:%s/table entries=200", dir));
    for (i = 0; i < 50; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    }
    next_configuration(); /* one that cannot hold what is alive */
    assert_null(open_spec(spec_of("shm:%s/table entries=20", dir)));
    assert_non_null(strstr(err.text, "less than the tokens alive"));
}

/* Marks follow a leeway that is raised at a restart, those of children that still serve with
 * the old one as well; what ended before is judged by the old one for a while. */
static void test_leeway_raised(void **state)
{
    const apr_time_t now = apr_time_now();
    m2_replay_spec_t *spec = spec_of("shm entries=100");
    m2_replay_t *store = open_spec(spec), *late;

    (void)state;
    assert_int_equal(m2_replay_leeway(store, now), -1);
    next_configuration();
    spec = spec_of("shm entries=100");
    spec->leeway = 60;
    store = late = open_spec(spec);
    assert_int_equal(m2_replay_leeway(store, now), 0);
    assert_int_equal(m2_replay_leeway(store, now + 61 * SEC), -1);
    assert_int_equal(mark_n(store, 1, now + 70 * SEC, now), M2_OK);
    spec = spec_of("shm entries=100");
    spec->leeway = 300;
    store = open_spec(spec); /* the pool of the old one stays: its children still serve */
    assert_int_equal(mark_n(store, 1, now + 310 * SEC, now + 80 * SEC), M2_E_JTI_REPLAYED);
    assert_int_equal(mark_n(late, 2, now + 70 * SEC, now), M2_OK);
    assert_int_equal(mark_n(store, 2, now + 310 * SEC, now + 80 * SEC), M2_E_JTI_REPLAYED);
    assert_int_equal(mark_n(store, 1, now + 400 * SEC, now + 312 * SEC), M2_OK); /* it ends */
}

static void test_leeway_raised_file(void **state)
{
    const apr_time_t now = apr_time_now();
    m2_replay_spec_t *spec = spec_of("shm:%s/table entries=100", dir);
    m2_replay_t *store;

    (void)state;
    spec->leeway = 60;
    store = open_spec(spec);
    assert_int_equal(mark_n(store, 1, now + 70 * SEC, now), M2_OK);
    next_process();
    spec = spec_of("shm:%s/table entries=100", dir);
    spec->leeway = 300;
    store = open_spec(spec);
    assert_non_null(store);
    assert_int_equal(m2_replay_leeway(store, now), 60);
    assert_int_equal(mark_n(store, 1, now + 310 * SEC, now + 80 * SEC), M2_E_JTI_REPLAYED);
}

/* Children of the old configuration may not go on with a table that was copied from. */
static void test_resize_retires(void **state)
{
    const apr_time_t now = apr_time_now();
    m2_replay_t *store = open_spec(spec_of("shm:%s/table entries=100", dir));
    int go[2], done[2], status;
    char byte;
    pid_t old;

    (void)state;
    assert_int_equal(mark_n(store, 1, now + 600 * SEC, now), M2_OK);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    if ((old = fork()) == 0) {
        int first = mark_n(store, 2, now + 600 * SEC, now) == M2_OK;

        first = write(done[1], "x", 1) == 1 && first && read(go[0], &byte, 1) == 1;
        _exit(!(first && mark_n(store, 3, now + 600 * SEC, now) == M2_E_REPLAY_UNAVAILABLE));
    }
    assert_int_equal(read(done[0], &byte, 1), 1);
    next_configuration();
    store = open_spec(spec_of("shm:%s/table entries=300", dir));
    assert_non_null(store);
    assert_int_equal(write(go[1], "x", 1), 1);
    waitpid(old, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(mark_n(store, 1, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    assert_int_equal(mark_n(store, 2, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    assert_int_equal(mark_n(store, 3, now + 600 * SEC, now), M2_OK);
}

/* A server that uses the file keeps another one from changing its size. */
static void test_file_in_use(void **state)
{
    int status;
    pid_t other;

    (void)state;
    assert_non_null(open_spec(spec_of("shm:%s/table entries=100", dir)));
    if ((other = fork()) == 0) {
        m2_replay_spec_t *spec = spec_of("shm:%s/table entries=200", dir);

        apr_pool_create(&process, NULL);
        _exit(!(open_spec(spec) == NULL && strstr(err.text, "another server uses the file")));
    }
    waitpid(other, &status, 0);
    assert_int_equal(status, 0);
}

/* Marks that were told to be accepted before a kill -9 are there after it. */
static void kill_round(const char *path, unsigned round)
{
    m2_replay_spec_t *spec = spec_of("shm:%s entries=100000", path);
    unsigned acked[2] = { 0, 0 }, *shared, i;
    const apr_time_t now = apr_time_now();
    m2_replay_t *store;
    pid_t child;
    int status;

    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[0] = 0;
    if ((child = fork()) == 0) {
        apr_pool_create(&process, NULL);
        store = open_spec(spec);
        for (i = 0; store && i < 90000; i++) {
            if (mark_n(store, round * 1000000 + i, now + 3 * SEC, now) != M2_OK) {
                _exit(1);
            }
            __atomic_store_n(shared, i + 1, __ATOMIC_SEQ_CST);
        }
        _exit(store ? 0 : 2);
    }
    while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) < 100) {
        usleep(100);
    }
    usleep(1000 + (round * 7919) % 9000);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    acked[0] = *shared;
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    store = open_spec(spec);
    if (!store) {
        fail_msg("after a kill: %s", err.text);
    }
    for (i = 0; i < acked[0]; i++) {
        assert_int_equal(mark_n(store, round * 1000000 + i, now + 60 * SEC, now),
                         M2_E_JTI_REPLAYED);
    }
    munmap(shared, 4096);
    next_process();
}

static void test_file_kill(void **state)
{
    const char *path = apr_psprintf(process, "%s/table", dir);
    char name[80];
    unsigned i;

    (void)state;
    apr_cpystrn(name, path, sizeof(name));
    for (i = 0; i < (soak() ? 300u : 12u); i++) {
        if (i % 4 == 0) {
            unlink(name); /* 90000 live marks per round do not all fit */
        }
        kill_round(name, i);
        usleep(i % 4 == 3 ? 0 : 10000);
        if (i % 4 != 3) {
            unlink(name);
        }
    }
}

/* A process of somebody's that takes the table's lock, and then dies or stops with it. */
static pid_t hold_lock(const char *path, int die)
{
    int ready[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    if ((child = fork()) == 0) {
        int fd = open(path, O_RDWR);
        char *base = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (pthread_mutex_lock((pthread_mutex_t *)(void *)(base + 4096)) != 0
            || write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        kill(getpid(), die ? SIGKILL : SIGSTOP);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    if (die) {
        waitpid(child, NULL, 0);
    }
    return child;
}

static void test_lock_holder_dies(void **state)
{
    const char *path = apr_psprintf(pool, "%s/table", dir);
    m2_replay_t *store = open_spec(spec_of("shm:%s entries=100", path));
    const apr_time_t now = apr_time_now();
    m2_replay_stats_t stats;
    apr_time_t began;
    pid_t child;
    unsigned i, slow = 0;

    (void)state;
    for (i = 0; i < 5; i++) {
        assert_int_equal(mark_n(store, i, now + 60 * SEC, now), M2_OK);
        hold_lock(path, 1);
        began = apr_time_now();
        assert_int_equal(mark_n(store, i, now + 60 * SEC, now), M2_E_JTI_REPLAYED);
        slow += apr_time_now() - began > SEC; /* on a busy machine perhaps one */
    }
    assert_true(slow < 5);
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.live, 5);
    child = hold_lock(path, 0); /* stopped: nobody waits for ever */
    began = apr_time_now();
    assert_int_equal(mark_n(store, 9, now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_true(apr_time_now() - began < 30 * SEC);
    assert_non_null(strstr(last_log, "lock is stuck"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(mark_n(store, 9, now + 60 * SEC, now), M2_OK);
}

/**************************************************************************************/
/* damage */

static void scribble(const char *path, off_t at, const void *bytes, size_t n)
{
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

/* A table of its own process with 400 live marks; returns when that process has ended. */
static void make_table(const char *path)
{
    m2_replay_spec_t *spec = spec_of("shm:%s entries=1000", path);
    int status;
    pid_t child;

    unlink(path);
    if ((child = fork()) == 0) {
        const apr_time_t now = apr_time_now();
        m2_replay_t *store;
        unsigned i;

        apr_pool_create(&process, NULL);
        store = open_spec(spec);
        for (i = 0; i < 400; i++) {
            mark_n(store, i, now + 600 * SEC, now);
        }
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* Opening in a process of its own, so that each case starts from nothing: 0 when opened, and
 * the 400 marks are there; 1 when opened without; 2 when refused with a text that holds
 * word. */
static int open_result(const char *path, const char *word)
{
    m2_replay_spec_t *spec = spec_of("shm:%s entries=1000", path);
    int status;
    pid_t child;

    if ((child = fork()) == 0) {
        const apr_time_t now = apr_time_now();
        m2_replay_t *store;
        unsigned i;

        apr_pool_create(&process, NULL);
        store = open_spec(spec);
        if (!store) {
            if (!strstr(err.text, word) || !strstr(err.text, path)) {
                fprintf(stderr, "unexpected: %s\n", err.text);
                _exit(3);
            }
            _exit(2);
        }
        for (i = 0; i < 400; i++) {
            if (mark_n(store, i, now + 600 * SEC, now) != M2_E_JTI_REPLAYED) {
                _exit(1);
            }
        }
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* the offset of some used slot */
static off_t used_slot(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint64_t slot[4];
    off_t at = 532480;

    fseek(f, at, SEEK_SET);
    while (fread(slot, sizeof(slot), 1, f) == 1 && !slot[3]) {
        at += 32;
    }
    fclose(f);
    return at;
}

/* another byte than the one that is there, which may be any */
static void flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x5a;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_damage_detected(void **state)
{
    const char *path = apr_psprintf(pool, "%s/table", dir);
    char zeros[8192];
    off_t at;

    (void)state;
    memset(zeros, 0, sizeof(zeros));
    make_table(path);
    assert_int_equal(open_result(path, ""), 0); /* positive control */
    flip(path, 0);
    assert_int_equal(open_result(path, "not a replay table"), 2);
    make_table(path);
    flip(path, 8);
    assert_int_equal(open_result(path, "another release"), 2);
    make_table(path);
    flip(path, 40); /* salt */
    assert_int_equal(open_result(path, "damaged (head)"), 2);
    make_table(path);
    at = used_slot(path);
    flip(path, at + 3); /* id */
    assert_int_equal(open_result(path, "damaged (slots)"), 2);
    make_table(path);
    at = used_slot(path);
    flip(path, at + 25); /* expiry */
    assert_int_equal(open_result(path, "damaged (slots)"), 2);
    make_table(path);
    at = used_slot(path) & ~4095;
    scribble(path, at, zeros, 8192); /* two pages lost */
    assert_int_equal(open_result(path, "damaged (count)"), 2);
    make_table(path);
    assert_int_equal(truncate(path, 600000), 0);
    assert_int_equal(open_result(path, "damaged (size)"), 2);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_result(path, "damaged (size)"), 2);
    unlink(path);
    assert_int_equal(open_result(path, ""), 1); /* the operator's way out */
}

/* Over a full restart in another size: larger, smaller, too small. */
static void test_file_resized(void **state)
{
    const char *path = apr_psprintf(pool, "%s/table", dir);
    const apr_time_t now = apr_time_now();
    m2_replay_t *store;
    unsigned i;

    (void)state;
    make_table(path);
    assert_null(open_spec(spec_of("shm:%s entries=399", path)));
    assert_non_null(strstr(err.text, "less than the tokens alive"));
    assert_int_equal(open_result(path, ""), 0); /* nothing was lost by it */
    store = open_spec(spec_of("shm:%s entries=400", path));
    assert_non_null(store);
    for (i = 0; i < 400; i++) {
        assert_int_equal(mark_n(store, i, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
    }
    assert_int_equal(mark_n(store, 400, now + 600 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
}

static void test_file_refused(void **state)
{
    const char *path = apr_psprintf(pool, "%s/table", dir);
    const char *other = apr_psprintf(pool, "%s/other", dir);

    (void)state;
    make_table(path);
    chmod(path, 0660);
    assert_int_equal(open_result(path, "mode 0600"), 2);
    chmod(path, 0600);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(open_result(path, "cannot open"), 2);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_result(path, "cannot open"), 2);
    rmdir(path);
    assert_int_equal(open_result(apr_psprintf(pool, "%s/no/table", dir), "directory"), 2);
}

/* Another boot id and no orderly end: said, not refused, and the marks count. */
static void test_machine_crash(void **state)
{
    const char *path = apr_psprintf(pool, "%s/table", dir);
    const apr_time_t now = apr_time_now();
    m2_replay_t *store;
    FILE *f;
    char page[4096], *boot;
    uint32_t zero = 0;

    (void)state;
    make_table(path);
    f = fopen(path, "rb");
    fseek(f, 4096, SEEK_SET);
    assert_int_equal(fread(page, 1, sizeof(page), f), sizeof(page));
    fclose(f);
    /* 8-4-4-4-12 digits; a byte of the lock may be a hyphen, too */
    for (boot = page; boot < page + 200
                      && !(boot[8] == '-' && boot[13] == '-' && boot[18] == '-' && boot[23] == '-');
         boot++) {
    }
    assert_int_equal(boot[8], '-');
    scribble(path, 4096 + (boot - page), "x", 1);
    scribble(path, 4096 + (boot - page) - 4, &zero, 4);
    store = open_spec(spec_of("shm:%s entries=1000", path));
    assert_non_null(store);
    assert_non_null(strstr(last_log, "without an orderly stop"));
    assert_int_equal(mark_n(store, 3, now + 600 * SEC, now), M2_E_JTI_REPLAYED);
}

/**************************************************************************************/
/* real servers */

typedef struct server_t {
    pid_t pid;
    unsigned port;
} server_t;

/* Bound here as long as the test runs: nobody else is given it, and a server that says
 * SO_REUSEADDR may listen on it. */
static unsigned free_port(void)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    return ntohs(a.sin_port);
}

static const char *program(const char *name)
{
    static const char *const dirs[] = { "/usr/bin", "/usr/sbin", "/usr/local/bin" };
    size_t i;

    for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        const char *path = apr_psprintf(process, "%s/%s", dirs[i], name);

        if (access(path, X_OK) == 0) {
            return path;
        }
    }
    print_message("# skipped: %s is not installed\n", name);
    return NULL;
}

static int answers(unsigned port)
{
    struct sockaddr_in a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), ok;

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)port);
    ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

static void start(server_t *server, const char *const *argv)
{
    int i;

    fflush(NULL);
    if ((server->pid = fork()) == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    for (i = 0; i < 6000 && !answers(server->port); i++) {
        usleep(10000);
    }
    assert_true(i < 6000);
}

static void stop(server_t *server)
{
    kill(server->pid, SIGCONT);
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

static void start_memcached(server_t *server)
{
    const char *argv[] = { program("memcached"), "-U", "0", "-l", "127.0.0.1", "-p",
                           apr_psprintf(pool, "%u", server->port), "-u", "nobody", "-M",
                           "-m", "64", NULL };

    start(server, argv);
}

static __attribute__((unused)) void start_redis(server_t *server, const char *more, const char *value)
{
    const char *argv[] = { program("redis-server"), "--port",
                           apr_psprintf(pool, "%u", server->port), "--bind", "127.0.0.1",
                           "--save", "", "--appendonly", "no", "--dir", dir, more, value,
                           NULL };

    start(server, argv);
}

/* whether there is time for cases that wait */
static int may_wait(void)
{
    const char *word = getenv("M2_SLOW");

    return word && m2_slice_is(m2_slice_z(word), "1");
}

/* what a mark comes to once the store is asked again: it is left alone for a second after a fault */
static m2_code_t mark_late(m2_replay_t *store, const char *id, m2_code_t not_yet, apr_time_t now)
{
    const apr_time_t end = apr_time_now() + 60 * SEC;
    m2_code_t code;

    do {
        usleep(50000);
        code = mark(store, id, now + 60 * SEC, now);
    } while (code == not_yet && apr_time_now() < end);
    return code;
}

/* expiry by the server's own clock, and a server that stops, goes and comes back */
static void check_remote_waiting(m2_replay_t *store, server_t *server,
                                 void (*again)(server_t *server))
{
    m2_replay_stats_t stats;
    apr_time_t began;
    apr_time_t now = apr_time_now();

    assert_int_equal(mark(store, "short", now + SEC / 10, now), M2_OK);
    assert_int_equal(mark(store, "short", now + SEC / 10, now), M2_E_JTI_REPLAYED);
    assert_int_equal(mark_late(store, "short", M2_E_JTI_REPLAYED, now), M2_OK);
    /* stopped: an answer within the timeout, and it is a refusal */
    kill(server->pid, SIGSTOP);
    usleep(100000); /* until all its threads have */
    began = apr_time_now();
    assert_int_equal(mark(store, "stopped", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_true(apr_time_now() - began < 20 * SEC);
    kill(server->pid, SIGCONT);
    assert_int_equal(mark_late(store, "fresh", M2_E_REPLAY_UNAVAILABLE, now), M2_OK);
    /* down: refused at once, also a token known before; up again: served again */
    stop(server);
    assert_int_equal(mark(store, "down", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    began = apr_time_now();
    assert_int_equal(mark(store, "down", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_true(apr_time_now() - began < 2 * SEC);
    again(server);
    assert_int_equal(mark_late(store, "down", M2_E_REPLAY_UNAVAILABLE, now), M2_OK);
    assert_int_equal(mark(store, "down", now + 60 * SEC, now), M2_E_JTI_REPLAYED);
    m2_replay_stats(&stats, store);
    assert_true(stats.errors >= 3);
}

/* what every remote store owes */
static void check_remote(const char *line, server_t *server,
                         void (*again)(server_t *server))
{
    m2_replay_spec_t *spec = spec_of("%s timeout=3s", line);
    m2_replay_t *store = open_spec(spec);
    apr_time_t now = apr_time_now();

    check_marks(store);
    /* more than the 30 days that memcached takes as relative */
    assert_int_equal(mark(store, "long", now + apr_time_from_sec(86400 * 60), now), M2_OK);
    assert_int_equal(mark(store, "long", now + SEC, now), M2_E_JTI_REPLAYED);
    if (may_wait()) {
        check_remote_waiting(store, server, again);
    }
    /* servers of their own, as on several machines */
    check_race(NULL, spec_of("%s timeout=20s prefix=race:", line), rounds());
}

static void test_memcached(void **state)
{
    server_t server = { 0, free_port() };

    (void)state;
    if (!program("memcached")) {
        skip();
    }
    start_memcached(&server);
    check_remote(apr_psprintf(pool, "memcache:127.0.0.1:%u", server.port), &server,
                 start_memcached);
    stop(&server);
}

/* A token has one server: when that is down nobody else vouches for it. */
static void test_memcached_two(void **state)
{
    server_t one = { 0, free_port() }, two = { 0, free_port() };
    const apr_time_t now = apr_time_now();
    m2_replay_t *store;
    unsigned i, lost = 0;

    (void)state;
    if (!program("memcached")) {
        skip();
    }
    start_memcached(&one);
    start_memcached(&two);
    store = open_spec(spec_of("memcache:127.0.0.1:%u 127.0.0.1:%u timeout=20s", one.port, two.port));
    for (i = 0; i < 100; i++) {
        assert_int_equal(mark_n(store, i, now + 60 * SEC, now), M2_OK);
    }
    stop(&one);
    for (i = 0; i < 100; i++) {
        m2_code_t code = mark_n(store, i, now + 60 * SEC, now);

        assert_true(code == M2_E_JTI_REPLAYED || code == M2_E_REPLAY_UNAVAILABLE);
        lost += code == M2_E_REPLAY_UNAVAILABLE;
    }
    assert_true(lost > 20 && lost < 80);
    stop(&two);
}

static void test_memcached_evicts(void **state)
{
    server_t server = { 0, free_port() };
    const char *argv[] = { program("memcached"), "-U", "0", "-l", "127.0.0.1", "-p",
                           apr_psprintf(pool, "%u", server.port), "-u", "nobody", NULL };
    m2_replay_t *store;

    (void)state;
    if (!argv[0]) {
        skip();
    }
    start(&server, argv);
    store = open_spec(spec_of("memcache:127.0.0.1:%u timeout=20s", server.port));
    assert_int_equal(mark(store, "a", T0 + SEC, T0), M2_OK);
    assert_non_null(strstr(last_log, "start it with -M"));
    stop(&server);
}

#if defined(M2_HAVE_HIREDIS)
static void again_redis(server_t *server)
{
    start_redis(server, NULL, NULL);
}

static void test_redis(void **state)
{
    server_t server = { 0, free_port() };

    (void)state;
    if (!program("redis-server")) {
        skip();
    }
    again_redis(&server);
    check_remote(apr_psprintf(pool, "redis:127.0.0.1:%u db=2", server.port), &server,
                 again_redis);
    stop(&server);
}

static const char *password_file(const char *text)
{
    const char *path = apr_psprintf(pool, "%s/password", dir);
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
    return path;
}

static void test_redis_password(void **state)
{
    server_t server = { 0, free_port() };
    const apr_time_t now = apr_time_now();
    m2_replay_t *store;
    const char *name;

    (void)state;
    if (!program("redis-server")) {
        skip();
    }
    start_redis(&server, "--requirepass", "s3cret word");
    store = open_spec(spec_of("redis:127.0.0.1:%u timeout=20s", server.port));
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(strstr(last_log, "NOAUTH"));
    store = open_spec(spec_of("redis:127.0.0.1:%u password-file=%s", server.port,
                              password_file("wrong\n")));
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_null(strstr(last_log, "wrong\n"));
    store = open_spec(spec_of("redis:127.0.0.1:%u password-file=%s user=default timeout=20s", server.port,
                              password_file("s3cret word\r\nignored\n")));
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_OK);
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_JTI_REPLAYED);
    assert_null(open_spec(spec_of("redis:127.0.0.1:%u password-file=%s", server.port,
                                  password_file("\n"))));
    assert_non_null(strstr(err.text, "first line is empty"));
    assert_null(open_spec(spec_of("redis:127.0.0.1:%u password-file=%s/none", server.port,
                                  dir)));
    /* who may write it decides whom we ask, and a FIFO is not waited for */
    name = password_file("s3cret word\n");
    chmod(name, 0666);
    assert_null(open_spec(spec_of("redis:127.0.0.1:%u password-file=%s", server.port, name)));
    assert_non_null(strstr(err.text, "can be written by everybody"));
    unlink(name);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_null(open_spec(spec_of("redis:127.0.0.1:%u password-file=%s", server.port, name)));
    assert_non_null(strstr(err.text, "is not a regular file"));
    stop(&server);
}

/* A server with its memory full says so, and one that is only a copy does not take marks. */
static void test_redis_refuses(void **state)
{
    server_t server = { 0, free_port() };
    const apr_time_t now = apr_time_now();
    m2_replay_stats_t stats;
    m2_replay_t *store;

    (void)state;
    if (!program("redis-server")) {
        skip();
    }
    start_redis(&server, "--maxmemory", "100kb"); /* less than it needs to start */
    store = open_spec(spec_of("redis:127.0.0.1:%u timeout=20s", server.port));
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    m2_replay_stats(&stats, store);
    assert_int_equal(stats.full, 1);
    stop(&server);
    start_redis(&server, "--replicaof", "127.0.0.1 9");
    store = open_spec(spec_of("redis:127.0.0.1:%u timeout=20s", server.port));
    last_log[0] = '\0';
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(strstr(last_log, "Redis refuses SET"));
    stop(&server);
    start_redis(&server, "--maxmemory-policy", "allkeys-lru");
    store = open_spec(spec_of("redis:127.0.0.1:%u timeout=20s", server.port));
    last_log[0] = '\0';
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_OK);
    assert_non_null(strstr(last_log, "set maxmemory-policy noeviction"));
    stop(&server);
}

static void test_redis_unix(void **state)
{
    server_t server = { 0, free_port() };
    const apr_time_t now = apr_time_now();
    const char *path = apr_psprintf(pool, "%s/redis.sock", dir);
    m2_replay_t *store;

    (void)state;
    if (!program("redis-server")) {
        skip();
    }
    start_redis(&server, "--unixsocket", path);
    store = open_spec(spec_of("redis:%s timeout=20s", path));
    /* it listens there after it listens on its port */
    assert_int_equal(mark_late(store, "a", M2_E_REPLAY_UNAVAILABLE, now), M2_OK);
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_JTI_REPLAYED);
    stop(&server);
}

static void make_certificate(const char *name, const char *subject)
{
    char command[1024];

    apr_snprintf(command, sizeof(command),
                 "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                 "-nodes -days 2 -keyout %s.key -out %s.crt -subj /CN=%s -addext "
                 "'subjectAltName=%s' >/dev/null 2>&1", dir, name, name, name, subject);
    assert_int_equal(system(command), 0);
}

static void test_redis_tls(void **state)
{
    server_t server = { 0, free_port() };
    const apr_time_t now = apr_time_now();
    const char *argv[] = { program("redis-server"), "--port", "0", "--tls-port",
                           apr_psprintf(pool, "%u", server.port), "--bind", "127.0.0.1",
                           "--save", "", "--dir", dir, "--tls-cert-file", "good.crt",
                           "--tls-key-file", "good.key", "--tls-ca-cert-file", "client.crt",
                           NULL };
    m2_replay_t *store;

    (void)state;
    if (!argv[0] || !program("openssl")) {
        skip();
    }
    make_certificate("good", "IP:127.0.0.1");
    make_certificate("client", "DNS:client");
    start(&server, argv);
    store = open_spec(spec_of("redis:127.0.0.1:%u tls=On ca=%s/good.crt cert=%s/client.crt "
                              "key=%s/client.key timeout=20s", server.port, dir, dir, dir));
    assert_non_null(store);
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_OK);
    assert_int_equal(mark(store, "a", now + 60 * SEC, now), M2_E_JTI_REPLAYED);
    /* no client certificate, an unknown CA, another name, no TLS */
    store = open_spec(spec_of("redis:127.0.0.1:%u tls=On ca=%s/good.crt", server.port, dir));
    assert_int_equal(mark(store, "b", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    store = open_spec(spec_of("redis:127.0.0.1:%u tls=On ca=%s/client.crt cert=%s/client.crt "
                              "key=%s/client.key timeout=20s", server.port, dir, dir, dir));
    assert_int_equal(mark(store, "b", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_non_null(strstr(last_log, "self-signed"));
    store = open_spec(spec_of("redis:localhost:%u tls=On ca=%s/good.crt cert=%s/client.crt "
                              "key=%s/client.key timeout=20s", server.port, dir, dir, dir));
    assert_int_equal(mark(store, "b", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    store = open_spec(spec_of("redis:127.0.0.1:%u timeout=20s", server.port));
    assert_int_equal(mark(store, "b", now + 60 * SEC, now), M2_E_REPLAY_UNAVAILABLE);
    assert_null(open_spec(spec_of("redis:127.0.0.1:%u tls=On ca=%s/none", server.port, dir)));
    stop(&server);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_parse_good),
        unit(test_parse_bad),
        unit(test_shm_marks),
        unit(test_shm_expiry),
        unit(test_shm_clock_steps),
        unit(test_shm_full),
        unit(test_shm_rolling),
        unit(test_shm_race),
        unit(test_file_race),
        unit(test_file_survives),
        unit(test_memory_survives_graceful),
        unit(test_resize_retires),
        unit(test_leeway_raised),
        unit(test_leeway_raised_file),
        unit(test_file_in_use),
        unit(test_file_kill),
        unit(test_lock_holder_dies),
        unit(test_damage_detected),
        unit(test_file_resized),
        unit(test_file_refused),
        unit(test_machine_crash),
        unit(test_memcached),
        unit(test_memcached_two),
        unit(test_memcached_evicts),
#if defined(M2_HAVE_HIREDIS)
        unit(test_parse_redis),
        unit(test_redis),
        unit(test_redis_password),
        unit(test_redis_refuses),
        unit(test_redis_unix),
        unit(test_redis_tls),
#endif
    };

    apr_initialize();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
