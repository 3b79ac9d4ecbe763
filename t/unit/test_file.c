/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_file: what is read and what is refused, and when a change is believed. The clock is
 * handed in, so nothing here waits.
 */
#include "unit.h"

#include "text/m2_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX 100

static const char *dir;
static m2_file_t file;
static m2_watch_t watch;

static int make_dir(void **state)
{
    char *name;

    if (setup(state) != 0) {
        return 1;
    }
    name = apr_pstrdup(pool, "/tmp/m2_file.XXXXXX");
    dir = mkdtemp(name);
    memset(&watch, 0, sizeof(watch));
    return dir == NULL;
}

static int remove_dir(void **state)
{
    m2_file_judge_modes(1);
    chmod(dir, 0700);
    if (system(apr_pstrcat(pool, "rm -rf ", dir, NULL)) != 0) {
        return 1;
    }
    return teardown(state);
}

static const char *path_of(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static const char *put(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static m2_code_t read_it(const char *path, int flags)
{
    clean();
    return m2_file_read(&file, pool, path, MAX, flags, &err);
}

static void test_read(void **state)
{
    const char *path = put("a", "text\n");
    struct stat st;

    (void)state;
    assert_int_equal(read_it(path, M2_FILE_DECIDES), M2_OK);
    assert_true(m2_slice_is(file.text, "text\n"));
    assert_int_equal(file.text.p[file.text.n], '\0');
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(file.stamp.inode, st.st_ino);
    assert_int_equal(file.stamp.size, 5);
    assert_int_equal(file.stamp.mode, st.st_mode & 07777);
    assert_int_equal(read_it(put("empty", ""), 0), M2_OK);
    assert_int_equal(file.text.n, 0);
    assert_non_null(file.text.p);
}

static void refused(const char *path, m2_code_t code, m2_file_fault_t fault, const char *why)
{
    assert_int_equal(read_it(path, M2_FILE_DECIDES), code);
    assert_int_equal(file.fault, fault);
    assert_non_null(strstr(err.text, why));
    assert_non_null(strstr(err.text, path));
    assert_null(file.text.p);
}

static void test_refused(void **state)
{
    char large[MAX + 2];

    (void)state;
    memset(large, 'x', MAX + 1);
    large[MAX + 1] = '\0';
    refused(path_of("none"), M2_E_NOT_FOUND, M2_FILE_MISSING, "cannot read");
    refused(apr_pstrcat(pool, put("a", ""), "/b", NULL), M2_E_NOT_FOUND, M2_FILE_MISSING,
            "cannot read");
    refused(dir, M2_E_CONFIG, M2_FILE_IRREGULAR, "is not a regular file");
    refused("/dev/null", M2_E_CONFIG, M2_FILE_IRREGULAR, "is not a regular file");
    refused(put("large", large), M2_E_CONFIG, M2_FILE_TOO_LARGE, "larger than 100 bytes");
    large[MAX] = '\0';
    assert_int_equal(read_it(put("large", large), 0), M2_OK);
}

/* Nobody writes into it: who opened it waiting would never come back. */
static void test_fifo(void **state)
{
    const char *path = path_of("fifo");

    (void)state;
    alarm(10);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, M2_E_CONFIG, M2_FILE_IRREGULAR, "is not a regular file");
    assert_int_equal(symlink(path, path_of("link")), 0);
    refused(path_of("link"), M2_E_CONFIG, M2_FILE_IRREGULAR, "is not a regular file");
    alarm(0);
}

static void test_modes(void **state)
{
    const char *path = put("a", "x"), *sub = path_of("sub"), *inner;

    (void)state;
    chmod(path, 0664);
    assert_int_equal(read_it(path, M2_FILE_DECIDES), M2_OK);
    chmod(path, 0666);
    refused(path, M2_E_CONFIG, M2_FILE_UNSAFE, "can be written by everybody");
    assert_int_equal(read_it(path, 0), M2_OK); /* a file that decides nothing */
    assert_int_equal(mkdir(sub, 0755), 0);
    inner = put("sub/b", "x");
    chmod(sub, 0777);
    refused(inner, M2_E_CONFIG, M2_FILE_UNSAFE, "where everybody may put another file");
    assert_int_equal(symlink(inner, path_of("out")), 0);
    refused(path_of("out"), M2_E_CONFIG, M2_FILE_UNSAFE, sub);
    chmod(path, 0600);
    assert_int_equal(symlink(path, path_of("sub/in")), 0);
    refused(path_of("sub/in"), M2_E_CONFIG, M2_FILE_UNSAFE, sub);
    m2_file_judge_modes(0);
    assert_int_equal(read_it(inner, M2_FILE_DECIDES), M2_OK);
    m2_file_judge_modes(1);
    chmod(sub, 01777);
    assert_int_equal(read_it(inner, M2_FILE_DECIDES), M2_OK);
    assert_true(m2_dir_is_open(sub));
    chmod(sub, 0775);
    assert_false(m2_dir_is_open(sub));
}

/* --- watching --- */

/* the time at which path was last changed for so many milliseconds */
static apr_time_t when(const char *path, int age)
{
    m2_stamp_t stamp;

    assert_true(m2_file_stamp(&stamp, path));
    return stamp.ctime / 1000 + apr_time_from_msec(age) + 1;
}

static m2_look_t look(const char *path, int flags, apr_time_t now)
{
    clean();
    return m2_file_watch(&watch, &file, pool, path, MAX, flags | M2_FILE_DECIDES, now, &err);
}

static void begin(const char *path)
{
    assert_int_equal(read_it(path, M2_FILE_DECIDES), M2_OK);
    m2_watch_begin(&watch, &file, when(path, 5000));
}

/* a change of the same inode that the file system's clock can tell from the one before */
static void rewrite(const char *name, const char *text)
{
    m2_stamp_t before, after;

    assert_true(m2_file_stamp(&before, path_of(name)));
    do {
        put(name, text);
        assert_true(m2_file_stamp(&after, path_of(name)));
    } while (after.ctime == before.ctime);
}

static void test_second_look(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    assert_int_equal(look(path, 0, when(path, 6000)), M2_LOOK_SAME);
    rewrite("a", "ha");
    assert_int_equal(look(path, 0, when(path, 100)), M2_LOOK_SAME);
    rewrite("a", "half");
    assert_int_equal(look(path, 0, when(path, 100)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, 200)), M2_LOOK_TAKEN);
    assert_true(m2_slice_is(file.text, "half"));
    assert_int_equal(look(path, 0, when(path, 300)), M2_LOOK_SAME);
    /* once more, where the clock of the file system is slow */
    assert_int_equal(look(path, 0, when(path, 2100)), M2_LOOK_TAKEN);
    assert_int_equal(look(path, 0, when(path, 2200)), M2_LOOK_SAME);
}

static void test_settled(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    rewrite("a", "two");
    assert_int_equal(look(path, 0, when(path, 1999)), M2_LOOK_SAME);
    begin(path);
    rewrite("a", "three");
    assert_int_equal(look(path, 0, when(path, 2000)), M2_LOOK_TAKEN);
    /* a clock that was set back settles nothing */
    rewrite("a", "four");
    assert_int_equal(look(path, 0, when(path, -5000)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, -4900)), M2_LOOK_TAKEN);
}

/* A system that is cutting a file may show the new size with the old times: nothing has come to
 * rest then, however old these are. */
static void test_torn(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    watch.taken.size = 9;
    assert_int_equal(look(path, 0, when(path, 9000)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, 9250)), M2_LOOK_TAKEN);
}

/* --- lists, whose writers lock them --- */

#define LIST (M2_FILE_LINES | M2_FILE_SHARED)

static void test_shared(void **state)
{
    const char *path = put("a", "one\n");
    int fd;

    (void)state;
    begin(path);
    rewrite("a", "one\ntwo\nthr");
    assert_int_equal(look(path, LIST, when(path, 10)), M2_LOOK_EARLY);
    assert_true(file.locked);
    assert_false(m2_watch_rests(&watch));
    m2_watch_accept(&watch, &file, LIST, when(path, 10));
    assert_true(m2_slice_is(file.text, "one\ntwo\n"));
    assert_true(m2_watch_rests(&watch));
    assert_int_equal(look(path, LIST, when(path, 20)), M2_LOOK_TAKEN);
    assert_true(m2_slice_is(file.text, "one\ntwo\nthr"));

    rewrite("a", "one\n");
    fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(look(path, LIST, when(path, 10)), M2_LOOK_SAME); /* somebody writes */
    close(fd);
    assert_int_equal(look(path, LIST, when(path, 20)), M2_LOOK_TAKEN);
    assert_int_equal(look(path, 0, when(path, 30)), M2_LOOK_SAME);
}

static void test_restless(void **state)
{
    const char *path = put("a", "one\n");
    int fd, i;

    (void)state;
    begin(path);
    for (i = 1; i <= M2_LOOKS; i++) {
        rewrite("a", apr_psprintf(pool, "%d\n", i));
        fd = open(path, O_RDWR);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        assert_int_equal(look(path, LIST, when(path, 10)),
                         i < M2_LOOKS ? M2_LOOK_SAME : M2_LOOK_EARLY);
        close(fd);
    }
    assert_false(file.locked);
    assert_true(m2_slice_is(file.text, "5\n"));
}

/* The name changes later than the bytes, by at least one tick of the file system's clock. */
static void move_over(const char *from, const char *to)
{
    m2_stamp_t stamp;
    const char *next = path_of("next");

    do {
        assert_int_equal(rename(path_of(from), next), 0);
        assert_int_equal(rename(next, path_of(from)), 0);
        assert_true(m2_file_stamp(&stamp, path_of(from)));
    } while (stamp.ctime == stamp.mtime);
    assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

static void test_rename(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    put("b", "two");
    move_over("b", "a");
    assert_int_equal(look(path, 0, when(path, 10)), M2_LOOK_TAKEN);
    assert_true(m2_slice_is(file.text, "two"));
    /* the same inode, renamed away and back, is not a new file; nor is one made in its place */
    rewrite("a", "half");
    move_over("a", "a");
    assert_int_equal(look(path, 0, when(path, 10)), M2_LOOK_SAME);
    begin(path);
    put("keep", "x"); /* or the next file might get the old one's inode */
    assert_int_equal(rename(path, path_of("old")), 0);
    put("a", "hal");
    assert_int_equal(look(path, 0, when(path, 10)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, 110)), M2_LOOK_TAKEN);
}

static void test_lines(void **state)
{
    const char *path = put("a", "one\ntwo\n");

    (void)state;
    begin(path);
    put("b", "one\ntwo\nadm");
    move_over("b", "a");
    assert_int_equal(look(path, M2_FILE_LINES, when(path, 10)), M2_LOOK_TAKEN);
    assert_true(m2_slice_is(file.text, "one\ntwo\n"));
    assert_int_equal(look(path, M2_FILE_LINES, when(path, 110)), M2_LOOK_TAKEN);
    assert_true(m2_slice_is(file.text, "one\ntwo\nadm"));
    assert_int_equal(look(path, M2_FILE_LINES, when(path, 210)), M2_LOOK_SAME);
    put("b", "one\n");
    move_over("b", "a");
    assert_int_equal(look(path, M2_FILE_LINES, when(path, 10)), M2_LOOK_TAKEN);
    assert_int_equal(look(path, M2_FILE_LINES, when(path, 110)), M2_LOOK_SAME);
}

static void test_bad(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    chmod(path, 0666);
    assert_int_equal(look(path, 0, when(path, 10)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, 110)), M2_LOOK_BAD);
    assert_int_equal(watch.fault, M2_FILE_UNSAFE);
    assert_non_null(strstr(err.text, "everybody"));
    assert_int_equal(look(path, 0, when(path, 210)), M2_LOOK_SAME); /* told once */
    assert_int_equal(look(path, 0, when(path, 5000)), M2_LOOK_SAME);
    chmod(path, 0644);
    assert_int_equal(look(path, 0, when(path, 2010)), M2_LOOK_TAKEN);
    assert_int_equal(watch.fault, M2_FILE_GOOD);
}

/* The fault is the directory's, so that the file itself is the same before and after. */
static void test_bad_place(void **state)
{
    const char *path = put("a", "one");

    (void)state;
    begin(path);
    chmod(dir, 0777);
    rewrite("a", "two");
    assert_int_equal(look(path, 0, when(path, 2010)), M2_LOOK_BAD);
    assert_int_equal(look(path, 0, when(path, 2110)), M2_LOOK_SAME);
    chmod(dir, 0755);
    assert_int_equal(look(path, 0, when(path, 2210)), M2_LOOK_TAKEN);
}

static void test_gone(void **state)
{
    const char *path = put("a", "one");
    const apr_time_t now = when(path, 10000);

    (void)state;
    begin(path);
    unlink(path);
    assert_int_equal(look(path, 0, now), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, now), M2_LOOK_BAD);
    assert_int_equal(watch.fault, M2_FILE_MISSING);
    assert_int_equal(look(path, 0, now), M2_LOOK_SAME);
    put("a", "two");
    assert_int_equal(look(path, 0, when(path, 100)), M2_LOOK_SAME);
    assert_int_equal(look(path, 0, when(path, 200)), M2_LOOK_TAKEN);
    alarm(10);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(look(path, 0, when(path, 5000)), M2_LOOK_BAD);
    assert_int_equal(watch.fault, M2_FILE_IRREGULAR);
    alarm(0);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_dir(test_read),        in_dir(test_refused), in_dir(test_fifo),
        in_dir(test_modes),       in_dir(test_settled), in_dir(test_second_look),
        in_dir(test_rename),      in_dir(test_lines),   in_dir(test_bad),
        in_dir(test_bad_place),   in_dir(test_gone),    in_dir(test_shared),
        in_dir(test_restless),    in_dir(test_torn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
