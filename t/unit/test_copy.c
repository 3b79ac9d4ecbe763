/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_copy: what one process published others read; a writer that was killed or stopped costs
 * nothing; a text that its file holds no longer is not published.
 */
#include "unit.h"

#include "text/m2_copy.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX 65536
#define NOW 1700000000000000

static char *path;
static m2_copy_t *copy;

static void put_file(m2_stamp_t *stamp, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(m2_file_stamp(stamp, path), 1);
}

static int put(apr_uint64_t *version, const char *text)
{
    m2_stamp_t stamp;

    put_file(&stamp, text);
    return m2_copy_put(copy, version, m2_slice_z(text), &stamp, NOW);
}

static int setup_copy(void **state)
{
    int fd;

    setup(state);
    path = apr_pstrdup(pool, "/tmp/m2-copy-XXXXXX");
    fd = mkstemp(path);
    close(fd);
    copy = m2_copy_open(pool, "kind", path, MAX);
    return copy == NULL;
}

static int teardown_copy(void **state)
{
    unlink(path);
    return teardown(state);
}

static void test_read_back(void **state)
{
    apr_uint64_t mine = 0, yours = 0, none = 0;
    apr_time_t since = 0;
    m2_slice_t text;

    (void)state;
    assert_null(m2_copy_get(copy, &yours, NULL, pool).p);
    assert_int_equal(put(&mine, "one"), 1);
    text = m2_copy_get(copy, &yours, &since, pool);
    assert_true(m2_slice_is(text, "one"));
    assert_int_equal(text.p[3], 0);
    assert_int_equal(since, NOW);
    assert_int_equal(yours, mine);
    assert_null(m2_copy_get(copy, &yours, NULL, pool).p); /* nothing new */
    assert_int_equal(put(&mine, "two"), 1);
    assert_int_not_equal(yours, mine);
    assert_true(m2_slice_is(m2_copy_get(copy, &yours, NULL, pool), "two"));
    assert_int_equal(put(&mine, "two"), 1); /* the same once more is no other version */
    assert_int_equal(yours, mine);
    assert_int_equal(put(&mine, ""), 1); /* nothing at all is a text */
    text = m2_copy_get(copy, &yours, NULL, pool);
    assert_non_null(text.p);
    assert_int_equal(text.n, 0);
    assert_null(m2_copy_get(NULL, &none, NULL, pool).p);
    assert_int_equal(m2_copy_put(NULL, &none, text, NULL, NOW), 0);
}

static void test_open(void **state)
{
    apr_uint64_t version = 0;
    char *large = apr_pcalloc(pool, MAX + 2);
    m2_stamp_t stamp;

    (void)state;
    put(&version, "one");
    assert_ptr_equal(m2_copy_open(pool, "kind", path, MAX), copy);
    assert_ptr_not_equal(m2_copy_open(pool, "other", path, MAX), copy);
    assert_ptr_not_equal(m2_copy_open(pool, "kind", "/other", MAX), copy);
    memset(large, 'x', MAX + 1);
    put_file(&stamp, large);
    assert_int_equal(m2_copy_put(copy, &version, m2_slice(large, MAX + 1), &stamp, NOW), 0);
    assert_int_equal(m2_copy_put(copy, &version, m2_slice(large, MAX), &stamp, NOW), 1);
    version = 0;
    assert_int_equal(m2_copy_get(copy, &version, NULL, pool).n, MAX);
    memset(large, 'y', 5000);
    large[5000] = '\0';
    assert_null(m2_copy_open(pool, "kind", large, MAX)); /* no such name */
}

/* One of all processes tells what is wrong, once for each state of the file. */
static void test_tell(void **state)
{
    m2_stamp_t one, two;

    (void)state;
    put_file(&one, "bad");
    put_file(&two, "worse");
    assert_int_equal(m2_copy_tell(copy, "line 1", &one), 1);
    assert_int_equal(m2_copy_tell(copy, "line 1", &one), 0);
    assert_int_equal(m2_copy_tell(copy, "line 2", &one), 1);
    assert_int_equal(m2_copy_tell(copy, "line 2", &two), 1);
    assert_int_equal(m2_copy_tell(copy, "line 2", &two), 0);
    m2_copy_tell(copy, NULL, NULL);
    assert_int_equal(m2_copy_tell(copy, "line 2", &two), 1);
    assert_int_equal(m2_copy_tell(NULL, "line 2", &two), 1);
    assert_int_equal(m2_copy_tell(NULL, "line 2", &two), 1);
}

/* A process that was stopped between reading and publishing brings nothing old back. */
static void test_late(void **state)
{
    apr_uint64_t mine = 0, late = 0, yours = 0;
    m2_stamp_t old;

    (void)state;
    put_file(&old, "withdrawn");
    put(&mine, "in force now");
    assert_int_equal(m2_copy_put(copy, &late, m2_slice_z("withdrawn"), &old, NOW), 1);
    assert_int_equal(late, 0);
    assert_true(m2_slice_is(m2_copy_get(copy, &yours, NULL, pool), "in force now"));
    unlink(path);
    assert_int_equal(m2_copy_put(copy, &late, m2_slice_z("withdrawn"), &old, NOW), 1);
    assert_null(m2_copy_get(copy, &yours, NULL, pool).p);
}

/* What is not a file is published without one; who finds it good still says so. */
static void test_no_file(void **state)
{
    apr_uint64_t mine = 0;

    (void)state;
    assert_int_equal(m2_copy_version(copy), 0);
    assert_int_equal(m2_copy_put(copy, &mine, m2_slice_z("one"), NULL, NOW), 1);
    assert_int_equal(m2_copy_version(copy), mine);
    assert_int_equal(m2_copy_checked(copy, mine), NOW);
    m2_copy_confirm(copy, mine, NOW + 5);
    m2_copy_confirm(copy, mine + 1, NOW + 9);
    assert_int_equal(m2_copy_checked(copy, mine), NOW + 5);
    assert_int_equal(m2_copy_put(copy, &mine, m2_slice_z("one"), NULL, NOW + 7), 1);
    assert_int_equal(m2_copy_version(copy), mine);
    assert_int_equal(m2_copy_checked(copy, mine), NOW + 7);
    assert_int_equal(m2_copy_version(NULL), 0);
}

/* Others write without end, and are killed: what is read is one of the texts, whole. */
static void test_killed_writers(void **state)
{
    static const char *const texts[] = { "a", "b" };
    char *text = apr_palloc(pool, MAX + 1);
    apr_uint64_t version = 0, last = 0;
    int round, status, got, i;
    m2_stamp_t stamp;
    pid_t child;

    (void)state;
    text[MAX] = '\0';
    put_file(&stamp, "x");
    m2_copy_put(copy, &version, m2_slice_z("x"), &stamp, NOW);
    last = version;
    for (round = 0; round < 40; round++) {
        child = fork();
        if (child == 0) {
            for (i = 0;; i++) {
                memset(text, texts[i % 2][0], MAX);
                m2_copy_put(copy, &version, m2_slice(text, MAX), &stamp, NOW);
                usleep(50);
            }
        }
        assert_true(child > 0);
        got = 0;
        for (i = 0; i < 50 || (!got && i < 200000); i++) { /* the child may be slow */
            apr_pool_t *sub;
            m2_slice_t found;

            apr_pool_create(&sub, pool);
            found = m2_copy_get(copy, &last, NULL, sub);
            if (found.p) {
                got++;
                assert_int_equal(found.n, MAX);
                assert_int_equal(strspn(found.p, found.p[0] == 'a' ? "a" : "b"), MAX);
            }
            apr_pool_destroy(sub);
            usleep(20 + (unsigned)round);
        }
        assert_true(got > 0);
        kill(child, round % 2 ? SIGKILL : SIGSTOP);
        last = 0; /* a writer that stands still is in nobody's way who reads */
        assert_non_null(m2_copy_get(copy, &last, NULL, pool).p);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(m2_copy_put(copy, &version, m2_slice_z(round % 2 ? "p" : "q"), &stamp,
                                     NOW), 1);
        last = 0;
        assert_int_equal(m2_copy_get(copy, &last, NULL, pool).n, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_back, setup_copy, teardown_copy),
        cmocka_unit_test_setup_teardown(test_open, setup_copy, teardown_copy),
        cmocka_unit_test_setup_teardown(test_tell, setup_copy, teardown_copy),
        cmocka_unit_test_setup_teardown(test_late, setup_copy, teardown_copy),
        cmocka_unit_test_setup_teardown(test_no_file, setup_copy, teardown_copy),
        cmocka_unit_test_setup_teardown(test_killed_writers, setup_copy, teardown_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
