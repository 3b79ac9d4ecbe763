/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Lists that are in force: when a change of a file counts, what a broken, missing or stale one
 * means, and several lists at once. Looks are made at times that are handed in, so nothing
 * here waits.
 */
#include "unit.h"

#include "revocation/m2_revocation_file.h"
#include "revocation/m2_revocations.h"
#include "text/m2_file.h"

#include <apr_hash.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK apr_time_from_msec(400) /* later: another look at every file */

static const char *dir;
static m2_jwks_t *jwks;
static m2_keyring_t *ring;
static apr_time_t now;
static apr_hash_t *tokens; /* jti -> apr_uint64_t *: what m2_revocations_check keeps with it */

static const m2_refresh_t refresh = { 60, 100, 5, 5 };

static int make_dir(void **state)
{
    if (setup(state) != 0) {
        return 1;
    }
    dir = mkdtemp(apr_pstrdup(pool, "/tmp/m2_revocations.XXXXXX"));
    now = apr_time_now();
    tokens = apr_hash_make(pool);
    return dir == NULL;
}

static int remove_dir(void **state)
{
    const char *command = apr_pstrcat(pool, "rm -rf ", dir, NULL);

    return system(command) != 0 || teardown(state) != 0;
}

static const char *path_of(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static void put(const char *name, const char *text)
{
    FILE *out = fopen(path_of(name), "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static m2_keysource_t *source_of(const char *name, int may_miss)
{
    m2_keysource_t *source;

    clean();
    assert_int_equal(m2_jwks_list_file(&source, jwks, &m2_document_revocations, path_of(name),
                                       may_miss, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(source, &refresh, &err), M2_OK);
    return source;
}

/* one child whose ring is fed from sources */
static void serve(m2_keysource_t *one, m2_keysource_t *other)
{
    apr_array_header_t *sources = apr_array_make(pool, 2, sizeof(m2_fed_t));
    void *memory;

    APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ one, NULL };
    if (other) {
        APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ other, NULL };
    }
    ring = m2_keyring_make(pool, NULL);
    m2_jwks_feed_lists(jwks, ring, sources);
    memory = apr_pcalloc(pool, m2_jwks_shared_size(jwks));
    m2_jwks_share(jwks, memory);
    m2_jwks_open(jwks, NULL, now);
}

static void begin(const char *text)
{
    jwks = m2_jwks_make(pool);
    put("list", text);
    serve(source_of("list", 0), NULL);
}

static void look(void)
{
    now += LOOK;
    m2_jwks_tick(jwks, now);
}

/* what becomes of the token with that jti, which may have been sought before */
static m2_code_t ask(const char *jti, apr_uint64_t *psought)
{
    const char *text = apr_psprintf(pool, "{\"iss\":\"i\",\"jti\":\"%s\"}", jti);
    const m2_json_t *claims;

    clean();
    assert_int_equal(m2_json_parse(&claims, pool, z(text), M2_E_TOKEN_MALFORMED, NULL), M2_OK);
    return m2_revocations_check(ring, pool, claims, m2_slice(NULL, 0), psought, &err);
}

/* A token that was seen before has the answer of a new one. */
static m2_code_t judge(const char *jti)
{
    apr_uint64_t *psought = apr_hash_get(tokens, jti, APR_HASH_KEY_STRING);
    m2_code_t code;

    if (!psought) {
        psought = apr_pcalloc(pool, sizeof(*psought));
        apr_hash_set(tokens, apr_pstrdup(pool, jti), APR_HASH_KEY_STRING, psought);
    }
    code = ask(jti, psought);
    assert_int_equal(ask(jti, psought), code);
    assert_int_equal(ask(jti, NULL), code);
    return code;
}

static void append(const char *jti)
{
    const m2_revoked_t entry = { M2_REVOKED_JTI, z("i"), z(jti), M2_UNSET, 0 };

    assert_int_equal(m2_revocation_append(pool, path_of("list"), &entry, 1000, &err), M2_OK);
}

/* an entry that is added under the lock counts at the next look, however many there are */
static void added(void **state)
{
    int i;

    (void)state;
    begin("jti i a\n");
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_string_equal(err.text, "a list of revoked tokens names its jti");
    assert_int_equal(judge("b0"), M2_OK);
    for (i = 0; i < 20; i++) {
        const char *jti = apr_psprintf(pool, "b%d", i);

        append(jti);
        look();
        assert_int_equal(judge(jti), M2_E_REVOKED);
    }
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_int_equal(judge("c"), M2_OK);
}

/* a list that is cut off while it is written anew takes nothing back at once */
static void rewritten(void **state)
{
    (void)state;
    begin("jti i a\njti i b\n");
    put("list", "");
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    put("list", "jti i b\njti i c\njti i d");
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    look();
    assert_int_equal(judge("a"), M2_OK);
    assert_int_equal(judge("b"), M2_E_REVOKED);
    assert_int_equal(judge("c"), M2_E_REVOKED);
    look();
    assert_int_equal(judge("d"), M2_E_REVOKED);
}

/* a list that never comes to rest counts at the fifth look */
static void restless(void **state)
{
    int i;

    (void)state;
    begin("jti i a\n");
    for (i = 1; i <= M2_LOOKS; i++) {
        assert_int_equal(judge("a"), M2_E_REVOKED);
        put("list", apr_psprintf(pool, "jti i b%d\n%.*s\n", i, i * 3, "##################"));
        look();
    }
    assert_int_equal(judge("a"), M2_OK);
    assert_int_equal(judge("b5"), M2_E_REVOKED);
}

static void broken(void **state)
{
    (void)state;
    begin("jti i a\n");
    put("list", "jti i a\njti i b\nrubbish here\n");
    look();
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_int_equal(judge("b"), M2_OK);
    now += apr_time_from_sec(90);
    look();
    assert_int_equal(judge("c"), M2_OK);
    now += apr_time_from_sec(20);
    look();
    assert_int_equal(judge("c"), M2_E_REVOCATION_UNAVAILABLE);
    assert_int_equal(judge("a"), M2_E_REVOCATION_UNAVAILABLE);
    put("list", "jti i a\njti i b\n");
    look();
    look();
    assert_int_equal(judge("b"), M2_E_REVOKED);
    assert_int_equal(judge("c"), M2_OK);
}

static void broken_is_told(void **state)
{
    (void)state;
    begin("jti i a\n");
    clean();
    put("list", "jti i a\nrubbish here\n");
    look();
    look();
    assert_int_equal(last_level, M2_LOG_ERR);
    assert_non_null(strstr(last_log, "/list: line 2: an entry begins with"));
    assert_non_null(strstr(last_log, "the entries it held before stay in use"));
    assert_int_equal(logged, 1);
    look();
    assert_int_equal(logged, 1);
}

static void missing(void **state)
{
    (void)state;
    begin("jti i a\n");
    unlink(path_of("list"));
    look();
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    now += apr_time_from_sec(110);
    look();
    assert_int_equal(judge("a"), M2_E_REVOCATION_UNAVAILABLE);
    assert_int_equal(mkfifo(path_of("list"), 0600), 0);
    alarm(10);
    look();
    look();
    alarm(0);
    assert_int_equal(judge("a"), M2_E_REVOCATION_UNAVAILABLE);
    unlink(path_of("list"));
    put("list", "");
    look();
    look();
    assert_int_equal(judge("a"), M2_OK);
}

/* an unchanged list is as good as new, however old it is */
static void unchanged(void **state)
{
    int i;

    (void)state;
    begin("jti i a\n");
    for (i = 0; i < 10; i++) {
        now += apr_time_from_sec(90);
        look();
        assert_int_equal(judge("a"), M2_E_REVOKED);
        assert_int_equal(judge("b"), M2_OK);
    }
}

static void first_reading(void **state)
{
    m2_keysource_t *source;

    (void)state;
    jwks = m2_jwks_make(pool);
    put("bad", "jti i\n");
    assert_int_equal(m2_jwks_list_file(&source, jwks, &m2_document_revocations, path_of("bad"),
                                       0, &err), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "/bad: line 1: an entry needs two words"));
    clean();
    assert_int_equal(m2_jwks_list_file(&source, jwks, &m2_document_revocations, path_of("list"),
                                       0, &err), M2_E_CONFIG);
    serve(source_of("list", 1), NULL);
    assert_int_equal(judge("a"), M2_OK);
    put("list", "jti i a\n");
    look();
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
}

/* another configuration of the same server, whose processes have believed a list already */
static void restart(void)
{
    jwks = m2_jwks_make(pool);
    m2_jwks_keep_copies(jwks, pool);
    serve(source_of("list", 0), NULL);
}

/* A cut list is a list: a restart must not believe it while somebody may be writing it. */
static void restarted_while_cut(void **state)
{
    int fd;

    (void)state;
    put("list", "jti i b\njti i a\n");
    restart();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    put("list", "");
    restart();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    put("list", "jti i b\n"); /* cut at the end of a line */
    restart();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    fd = open(path_of("list"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* its writer is at work */
    restart();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(write(fd, "jti i a\njti i c\n", 16), 8 + 8);
    look();
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_int_equal(judge("b"), M2_E_REVOKED);
    close(fd);
    look();
    look();
    assert_int_equal(judge("c"), M2_E_REVOKED);
    assert_int_equal(judge("b"), M2_OK);
    put("new", "jti i d\n"); /* what comes by rename is whole */
    usleep(20000);            /* file times are that coarse */
    assert_int_equal(rename(path_of("new"), path_of("list")), 0);
    restart();
    assert_int_equal(judge("d"), M2_E_REVOKED);
    assert_int_equal(judge("a"), M2_OK);
}

static void several(void **state)
{
    (void)state;
    jwks = m2_jwks_make(pool);
    put("list", "jti i a\n");
    put("other", "jti i b\n");
    serve(source_of("list", 0), source_of("other", 0));
    assert_int_equal(judge("a"), M2_E_REVOKED);
    assert_int_equal(judge("b"), M2_E_REVOKED);
    assert_int_equal(judge("c"), M2_OK);
    unlink(path_of("list"));
    look();
    now += apr_time_from_sec(110);
    look();
    assert_int_equal(judge("b"), M2_E_REVOKED);
    assert_int_equal(judge("c"), M2_E_REVOCATION_UNAVAILABLE);
}

static void never_read(void **state)
{
    m2_keysource_t *source;

    (void)state;
    jwks = m2_jwks_make(pool);
    if (m2_jwks_list_url(&source, jwks, &m2_document_revocations, "https://r.example/list", &err)
        == M2_OK) {
        assert_int_equal(m2_keysource_refresh(source, &refresh, &err), M2_OK);
        serve(source, NULL);
        assert_int_equal(judge("a"), M2_E_REVOCATION_UNAVAILABLE);
    }
    ring = m2_keyring_make(pool, NULL);
    assert_int_equal(judge("a"), M2_E_REVOCATION_UNAVAILABLE);
}

static m2_parts_t *parts_of(apr_uint64_t id, const char *text)
{
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + sizeof(void *));
    m2_revocation_t *set = m2_revocation_make(pool);

    assert_int_equal(m2_revocation_parse(set, z(text), &err), M2_OK);
    parts->id = id;
    parts->part[parts->n++] = set;
    return parts;
}

/* A token is sought once in lists that do not change, and again in all others; a list that may
 * not be used is no list. */
static void sought_once(void **state)
{
    m2_parts_t *closed = parts_of(9, "jti i a\n");
    apr_uint64_t sought = 0;

    (void)state;
    clean();
    closed->missing = 1;
    ring = m2_keyring_make(pool, NULL);
    m2_keyring_swap(ring, (const void *)parts_of(7, "jti i a\n"));
    assert_int_equal(ask("b", &sought), M2_OK);
    assert_int_equal(sought, 7);
    m2_keyring_swap(ring, (const void *)parts_of(7, "jti i b\n")); /* which does not happen */
    assert_int_equal(ask("b", &sought), M2_OK);
    assert_int_equal(ask("b", NULL), M2_E_REVOKED);
    m2_keyring_swap(ring, (const void *)parts_of(8, "jti i b\n"));
    assert_int_equal(ask("b", &sought), M2_E_REVOKED);
    assert_int_equal(sought, 7);
    m2_keyring_swap(ring, (const void *)closed);
    assert_int_equal(ask("b", &sought), M2_E_REVOCATION_UNAVAILABLE);
    assert_int_equal(ask("b", &sought), M2_E_REVOCATION_UNAVAILABLE);
    assert_int_equal(ask("a", &sought), M2_E_REVOCATION_UNAVAILABLE); /* by the number of b */
    m2_keyring_swap(ring, (const void *)parts_of(0, "jti i a\n"));
    assert_int_equal(ask("b", &sought), M2_OK);
    m2_keyring_swap(ring, (const void *)parts_of(0, "jti i b\n"));
    assert_int_equal(ask("b", &sought), M2_E_REVOKED);
}

static void two_policies(void **state)
{
    static const m2_refresh_t other = { 60, 50, 5, 5 };

    (void)state;
    begin("");
    assert_int_equal(m2_keysource_refresh(source_of("list", 0), &other, &err), M2_E_CONFIG);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_dir(added),          in_dir(rewritten), in_dir(restless),      in_dir(broken),
        in_dir(broken_is_told), in_dir(missing),   in_dir(unchanged),     in_dir(first_reading),
        in_dir(several),        in_dir(never_read), in_dir(two_policies),
        in_dir(restarted_while_cut), in_dir(sought_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
