/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_redis against a server of this process that says what a test wants said: what is taken
 * for an answer, where a command is sent on to, and that it is never sent twice without Redis
 * having said that it was not carried out. Real servers are in test_replay.c and t/redis.t.
 */
#include "unit.h"

#if defined(M2_HAVE_HIREDIS)
#include "redis/m2_redis_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* One connection after the other; each command is answered by what the script says for its
 * first word, "" closes the connection. */
typedef struct fake_t {
    int fd;
    apr_port_t port;
    pthread_t thread;
    const char *(*answer)(struct fake_t *fake, const char *command);
    int asked, asking, greeted;
} fake_t;

/* the arguments of one command, joined by blanks; 0 at the end of the connection */
static int read_command(FILE *in, char *text, size_t size)
{
    char line[1024];
    long n, i;

    text[0] = '\0';
    if (!fgets(line, sizeof(line), in)) {
        return 0;
    }
    n = strtol(line + 1, NULL, 10);
    for (i = 0; i < n; i++) {
        if (!fgets(line, sizeof(line), in) || !fgets(line, sizeof(line), in)) {
            return 0;
        }
        line[strcspn(line, "\r\n")] = '\0';
        apr_snprintf(text + strlen(text), size - strlen(text), "%s%s", i ? " " : "", line);
    }
    return 1;
}

static void *serve(void *baton)
{
    fake_t *fake = baton;
    char text[2048];
    int fd;

    while ((fd = accept(fake->fd, NULL, NULL)) >= 0) {
        FILE *in = fdopen(fd, "r");
        const char *answer = NULL;

        while (read_command(in, text, sizeof(text))
               && *(answer = fake->answer(fake, text)) != '\0') {
            if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0) {
                break;
            }
        }
        fclose(in);
    }
    return NULL;
}

static void start(fake_t *fake, const char *(*answer)(fake_t *fake, const char *command))
{
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);

    memset(fake, 0, sizeof(*fake));
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake->answer = answer;
    fake->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fake->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fake->fd, 16), 0);
    assert_int_equal(getsockname(fake->fd, (struct sockaddr *)&addr, &len), 0);
    fake->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

static void stop(fake_t *fake)
{
    shutdown(fake->fd, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->fd);
}

static m2_redis_t *redis_of(apr_pool_t *own, const char *word)
{
    m2_redis_spec_t *spec;
    m2_redis_t *redis;

    assert_int_equal(m2_redis_spec_start(&spec, pool, word, "p:", &err), M2_OK);
    spec->timeout = 30000;
    assert_int_equal(m2_redis_open(&redis, pool, spec, "a test", "nothing", &err), M2_OK);
    assert_int_equal(m2_redis_attach(redis, own, &err), M2_OK);
    return redis;
}

static m2_redis_reply_t *ask(m2_redis_t *redis, const char *key, int wait, char *why)
{
    const char *const argv[] = { "GET", key };
    m2_redis_call_t call = { key, 2, argv, wait, 0, 0 };

    why[0] = '\0';
    return m2_redis_ask(redis, &call, why);
}

static int is(const char *command, const char *word)
{
    return m2_slice_is(m2_slice(command, strcspn(command, " ")), word);
}

/* The vectors of the specification, and hash tags. */
static void test_slot(void **state)
{
    (void)state;
    assert_int_equal(m2_redis_slot("123456789"), 0x31C3);
    assert_int_equal(m2_redis_slot("{user1000}.following"), m2_redis_slot("user1000"));
    assert_int_equal(m2_redis_slot("foo{}{bar}"), m2_redis_slot("foo{}{bar}"));
    assert_int_equal(m2_redis_slot("foo{{bar}}zap"), m2_redis_slot("{bar"));
    assert_int_equal(m2_redis_slot("foo{bar}{zap}"), m2_redis_slot("bar"));
}

static const char *plain(fake_t *fake, const char *command)
{
    if (is(command, "INFO")) {
        fake->greeted++;
        return "$28\r\nmaxmemory_policy:noeviction\n\r\n";
    }
    fake->asked++;
    return fake->asked == 1 ? "+OK\r\n" : fake->asked == 2 ? "" : "$-1\r\n";
}

/* An answer is an answer; a connection that breaks is none, and nothing is sent again. */
static void test_one(void **state)
{
    char why[M2_WIRE_WHY];
    m2_redis_reply_t *reply;
    m2_redis_t *redis;
    apr_pool_t *own;
    fake_t fake;

    (void)state;
    apr_pool_create(&own, pool);
    start(&fake, plain);
    redis = redis_of(own, apr_psprintf(pool, "redis:127.0.0.1:%u", fake.port));
    reply = ask(redis, "a", 0, why);
    assert_true(m2_redis_is(reply, "OK"));
    m2_redis_free(reply);
    assert_null(ask(redis, "a", 0, why));
    assert_string_equal(why, "no answer in time");
    assert_int_equal(fake.asked, 2);
    reply = ask(redis, "a", 0, why);
    assert_int_equal(m2_redis_kind(reply), M2_REDIS_NIL);
    m2_redis_free(reply);
    assert_int_equal(fake.asked, 3);
    assert_int_equal(fake.greeted, 2);
    apr_pool_destroy(own);
    stop(&fake);
}

static const char *waits(fake_t *fake, const char *command)
{
    if (is(command, "WAIT")) {
        return fake->asked == 1 ? ":1\r\n" : ":2\r\n";
    }
    fake->asked += is(command, "GET");
    return is(command, "INFO") ? "$0\r\n\r\n" : fake->asked == 3 ? "$-1\r\n" : "+OK\r\n";
}

static void test_wait(void **state)
{
    static const char *const argv[] = { "GET", "a" };
    char why[M2_WIRE_WHY];
    m2_redis_t *redis;
    apr_pool_t *own;
    fake_t fake;
    int i;

    (void)state;
    apr_pool_create(&own, pool);
    start(&fake, waits);
    redis = redis_of(own, apr_psprintf(pool, "redis:127.0.0.1:%u", fake.port));
    for (i = 1; i <= 3; i++) {
        m2_redis_call_t call = { "a", 2, argv, 2, 0, 0 };

        m2_redis_free(m2_redis_ask(redis, &call, why));
        assert_int_equal(call.acked, i == 3 ? 0 : i); /* nil: nothing was written */
    }
    assert_non_null(strstr(why, "1 of 2 replicas"));
    apr_pool_destroy(own);
    stop(&fake);
}

static fake_t first, second;
static char slots_answer[256], moved[64], asked_there[64];

static const char *node_one(fake_t *fake, const char *command)
{
    if (is(command, "CLUSTER")) {
        return slots_answer;
    }
    if (is(command, "INFO")) {
        return "$0\r\n\r\n";
    }
    fake->asked++;
    return m2_slice_is(m2_slice_z(command), "GET moved") ? moved
           : m2_slice_is(m2_slice_z(command), "GET ask") ? asked_there
                                                         : "+one\r\n";
}

static const char *node_two(fake_t *fake, const char *command)
{
    if (is(command, "CLUSTER")) {
        return slots_answer;
    }
    if (is(command, "ASKING")) {
        fake->asking++;
        return "+OK\r\n";
    }
    fake->asked += is(command, "GET");
    return is(command, "INFO") ? "$0\r\n\r\n" : "+two\r\n";
}

static void expect(m2_redis_t *redis, const char *key, const char *text)
{
    char why[M2_WIRE_WHY];
    m2_redis_reply_t *reply = ask(redis, key, 0, why);

    assert_non_null(reply);
    assert_true(m2_redis_is(reply, text));
    m2_redis_free(reply);
}

static void test_redirections(void **state)
{
    m2_redis_t *redis;
    apr_pool_t *own;

    (void)state;
    apr_pool_create(&own, pool);
    start(&first, node_one);
    start(&second, node_two);
    apr_snprintf(slots_answer, sizeof(slots_answer),
                 "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:%u\r\n$2\r\nid\r\n", first.port);
    apr_snprintf(moved, sizeof(moved), "-MOVED %d :%u\r\n", m2_redis_slot("moved"),
                 second.port);
    apr_snprintf(asked_there, sizeof(asked_there), "-ASK %d 127.0.0.1:%u\r\n",
                 m2_redis_slot("ask"), second.port);
    redis = redis_of(own, apr_psprintf(pool, "redis-cluster:127.0.0.1:%u", second.port));
    expect(redis, "stays", "one");
    expect(redis, "ask", "two");
    assert_int_equal(second.asking, 1);
    expect(redis, "ask", "two"); /* for one command only: the first is asked again */
    assert_int_equal(second.asking, 2);
    assert_int_equal(first.asked, 3);
    expect(redis, "moved", "two");
    assert_int_equal(first.asked, 4);
    assert_int_equal(second.asking, 2);
    apr_pool_destroy(own);
    stop(&first);
    stop(&second);
}

static const char *to_itself(fake_t *fake, const char *command)
{
    static char answer[64];

    fake->asked += is(command, "GET");
    apr_snprintf(answer, sizeof(answer), "-MOVED %d 127.0.0.1:%u\r\n", m2_redis_slot("a"),
                 fake->port);
    return is(command, "GET") ? answer : is(command, "INFO") ? "$0\r\n\r\n" : "*0\r\n";
}

static void test_sent_round(void **state)
{
    char why[M2_WIRE_WHY];
    m2_redis_t *redis;
    apr_pool_t *own;
    fake_t fake;

    (void)state;
    apr_pool_create(&own, pool);
    start(&fake, to_itself);
    redis = redis_of(own, apr_psprintf(pool, "redis-cluster:127.0.0.1:%u", fake.port));
    assert_null(ask(redis, "a", 0, why));
    assert_non_null(strstr(why, "from node to node"));
    assert_int_equal(fake.asked, 5);
    apr_pool_destroy(own);
    stop(&fake);
}

static char old_one[256], new_one[256];

static const char *sentinel_old(fake_t *fake, const char *command)
{
    (void)fake;
    return is(command, "SENTINEL") ? old_one : "";
}

static const char *sentinel_new(fake_t *fake, const char *command)
{
    (void)fake;
    return is(command, "SENTINEL") ? new_one : "";
}

static const char *master(fake_t *fake, const char *command)
{
    fake->asked += is(command, "GET");
    return is(command, "ROLE") ? "*1\r\n$6\r\nmaster\r\n"
           : is(command, "INFO") ? "$0\r\n\r\n" : "+OK\r\n";
}

static const char *replica(fake_t *fake, const char *command)
{
    fake->asked += is(command, "GET");
    return is(command, "ROLE") ? "*1\r\n$5\r\nslave\r\n" : "+OK\r\n";
}

static void name(char *text, size_t size, apr_port_t port, int epoch)
{
    apr_snprintf(text, size, "*6\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$5\r\n%05u"
                 "\r\n$12\r\nconfig-epoch\r\n$1\r\n%d\r\n", port, epoch);
}

/* Of two sentinels that differ the one with the newer configuration counts; a server that
 * says it is a replica is not written to. */
static void test_sentinels(void **state)
{
    fake_t one, two, good, bad;
    char why[M2_WIRE_WHY];
    m2_redis_t *redis;
    apr_pool_t *own;

    (void)state;
    apr_pool_create(&own, pool);
    start(&one, sentinel_old);
    start(&two, sentinel_new);
    start(&good, master);
    start(&bad, replica);
    name(old_one, sizeof(old_one), bad.port, 3);
    name(new_one, sizeof(new_one), good.port, 4);
    redis = redis_of(own, apr_psprintf(pool, "redis-sentinel:m@127.0.0.1:%u,127.0.0.1:%u",
                                       one.port, two.port));
    expect(redis, "a", "OK");
    assert_int_equal(good.asked, 1);
    name(new_one, sizeof(new_one), bad.port, 5);
    m2_redis_trouble(redis);
    while (__atomic_load_n(&redis->master, __ATOMIC_ACQUIRE)->port != bad.port) {
        usleep(10000);
    }
    assert_null(ask(redis, "a", 0, why));
    assert_non_null(strstr(why, "not a master"));
    assert_int_equal(bad.asked, 0);
    apr_pool_destroy(own);
    stop(&one);
    stop(&two);
    stop(&good);
    stop(&bad);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(M2_HAVE_HIREDIS)
        unit(test_slot),
        unit(test_one),
        unit(test_wait),
        unit(test_redirections),
        unit(test_sent_round),
        unit(test_sentinels),
#else
        { NULL, NULL, NULL, NULL, NULL },
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
