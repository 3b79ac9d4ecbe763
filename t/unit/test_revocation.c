/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Revocation lists: what lines mean, that nothing else passes for one, which tokens an entry
 * takes back, and that writers neither lose nor tear lines.
 */
#include "unit.h"

#include "revocation/m2_revocation_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static m2_revocation_t *list(const char *text)
{
    m2_revocation_t *set = m2_revocation_make(pool);

    clean();
    if (m2_revocation_parse(set, z(text), &err) != M2_OK) {
        print_error("line %d: %s\n", err.line, err.text);
        fail();
    }
    return set;
}

/* the word of what takes the token back, "-" for a token that counts */
static const char *found(const char *text, const char *claims, const char *kid)
{
    const m2_json_t *json = NULL;
    const char *word;

    assert_int_equal(m2_json_parse(&json, pool, z(claims), M2_E_TOKEN_MALFORMED, NULL),
                     M2_OK);
    word = m2_revoked_word(m2_revocation_find(list(text), pool, json, z(kid)));
    return word ? word : "-";
}

static void each_kind(void **state)
{
    static const char *const lines[][2] = {
        { "jti https://a J1", "jti" },        { "client https://a app", "client" },
        { "sub https://a S", "sub" },         { "kid https://a K", "kid" },
        { "kid * K", "kid" },                 { "claim tenant acme", "claim" },
        { "claim roles two", "claim" },       { "claim a.b 7", "claim" },
        { "\t sub\thttps://a  S \r", "sub" }, { "# no\n\njti https://a J1", "jti" },
        { "jti https://b J1", "-" },          { "jti https://a J", "-" },
        { "jti https://a J11", "-" },         { "client https://a S", "-" },
        { "sub https://a app", "-" },         { "kid https://b K", "-" },
        { "kid * k", "-" },                   { "claim tenant acm", "-" },
        { "claim roles one%20two", "claim" }, { "claim roles four", "-" },
        { "claim none null", "-" },           { "", "-" },
        { "jti * J1", "-" },                  { "kid %2A K", "-" },
        { "jti https://a J1 # leaked", "jti" }, { "jti https://a J1 9 #\tx y", "jti" },
        { "kid * K #", "kid" },               { "\xef\xbb\xbfjti https://a J1\n", "jti" },
        { "\xef\xbb\xbf# c\nsub https://a S\n", "sub" }, { "sub https://a S#1", "-" },
    };
    static const char token[] = "{\"iss\":\"https://a\",\"jti\":\"J1\",\"client_id\":\"app\","
                                "\"sub\":\"S\",\"tenant\":\"acme\",\"roles\":[\"one\",\"two\"],"
                                "\"a\":{\"b\":7},\"none\":null}";
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        assert_string_equal(found(lines[i][0], token, "K"), lines[i][1]);
    }
}

static void of_a_client(void **state)
{
    (void)state;
    assert_string_equal(found("client i c", "{\"iss\":\"i\",\"azp\":\"c\"}", NULL), "client");
    assert_string_equal(found("client i c", "{\"iss\":\"i\",\"client_id\":\"d\",\"azp\":\"c\"}",
                              NULL), "-");
    assert_string_equal(found("client i c",
                              "{\"iss\":\"i\",\"client_id\":null,\"azp\":\"c\"}", NULL),
                        "client");
    assert_string_equal(found("client i 7", "{\"iss\":\"i\",\"client_id\":7}", NULL), "client");
    assert_string_equal(found("client i c", "{\"client_id\":\"c\"}", NULL), "-");
    assert_string_equal(found("kid * k\nclient i c", "{\"client_id\":\"c\"}", "k"), "kid");
}

static void times(void **state)
{
    static const char at[] = "{\"iss\":\"i\",\"sub\":\"s\",\"iat\":1000}";

    (void)state;
    assert_string_equal(found("sub i s 1001", at, NULL), "sub");
    assert_string_equal(found("sub i s 1000", at, NULL), "-");
    assert_string_equal(found("sub i s 0", at, NULL), "-");
    assert_string_equal(found("sub i s 1", "{\"iss\":\"i\",\"sub\":\"s\"}", NULL), "sub");
    assert_string_equal(found("sub i s 1", "{\"iss\":\"i\",\"sub\":\"s\",\"iat\":\"9\"}", NULL),
                        "sub");
    assert_string_equal(found("sub i s 1001\nsub i s 5", at, NULL), "sub");
    assert_string_equal(found("sub i s 5\nsub i s 1001", at, NULL), "sub");
    assert_string_equal(found("sub i s\nsub i s 5", at, NULL), "sub");
    assert_string_equal(found("sub i s 5\nsub i s", at, NULL), "sub");
    assert_string_equal(found("jti i j 5", "{\"iss\":\"i\",\"jti\":\"j\",\"iat\":1000}", NULL),
                        "jti");
}

static void bad_lines(void **state)
{
    static const char *const bad[] = {
        "jti", "jti i", "jti i j x", "jti i j 5 5", "jti i j -5", "jti i j 5.5",
        "jti i j 99999999999999999", "JTI i j", "token i j", "kid i k 5", "claim p v 5",
        "jti i j%", "jti i j%4", "jti i j%zz", "jti i j%00", "jti %00 j", "jti i j\x01",
        "jti i j\x7f", "jtii j", "\xef\xbb\xbfjti i j",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        clean();
        assert_int_equal(m2_revocation_parse(
                             m2_revocation_make(pool),
                             z(apr_pstrcat(pool, "# fine\nsub i s\n", bad[i], "\n", NULL)),
                             &err), M2_E_CONFIG);
        assert_int_equal(err.line, 3);
        assert_non_null(err.text);
    }
}

static void too_much(void **state)
{
    m2_revocation_t *set = m2_revocation_make(pool);
    char *line = apr_palloc(pool, M2_MAX_REVOCATION_LINE + 2);
    int i;

    (void)state;
    memset(line, 'x', M2_MAX_REVOCATION_LINE + 1);
    memcpy(line, "jti i ", 6);
    line[M2_MAX_REVOCATION_LINE + 1] = '\0';
    assert_int_equal(m2_revocation_parse(set, z(line), &err), M2_E_CONFIG);
    line[M2_MAX_REVOCATION_LINE] = '\0';
    assert_int_equal(m2_revocation_parse(set, z(line), NULL), M2_OK);
    for (i = 0; i < M2_MAX_REVOCATION_PATHS; i++) {
        assert_int_equal(m2_revocation_parse(set, z(apr_psprintf(pool, "claim p%d v\n"
                                                                       "claim p%d w", i, i)),
                                             NULL), M2_OK);
    }
    clean();
    assert_int_equal(m2_revocation_parse(set, z("claim q v"), &err), M2_E_CONFIG);
    assert_int_equal(m2_revocation_count(set), 1 + 2 * M2_MAX_REVOCATION_PATHS + 1);
}

/* whatever a name is, its line says it again */
static void round_trip(void **state)
{
    static const char *const names[] = { "a", "a b", "#x", "50%", "*", "\xc3\xa9", "a\nb", "%41",
                                         "https://a/?b=c" };
    size_t i;
    const char *line;
    m2_revoked_t entry, again;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        entry = (m2_revoked_t){ M2_REVOKED_KID, z(names[i]), z(names[i]), M2_UNSET, 0 };
        assert_int_equal(m2_revoked_write(&line, pool, &entry, &err), M2_OK);
        assert_int_equal(m2_revoked_read(&again, pool, m2_slice(line, strlen(line) - 1), &err),
                         M2_OK);
        assert_true(m2_slice_eq(again.scope, entry.scope));
        assert_true(m2_slice_eq(again.value, entry.value));
    }
    entry = (m2_revoked_t){ M2_REVOKED_SUB, z("i"), z("s"), 5, 0 };
    assert_int_equal(m2_revoked_write(&line, pool, &entry, &err), M2_OK);
    assert_string_equal(line, "sub i s 5\n");
    entry = (m2_revoked_t){ M2_REVOKED_KID, m2_slice(NULL, 0), z("k"), M2_UNSET, 0 };
    assert_int_equal(m2_revoked_write(&line, pool, &entry, &err), M2_OK);
    assert_string_equal(line, "kid * k\n");
    entry.value = z("");
    assert_int_equal(m2_revoked_write(&line, pool, &entry, &err), M2_E_CONFIG);
    clean();
    entry = (m2_revoked_t){ M2_REVOKED_JTI, m2_slice("a\0b", 3), z("k"), M2_UNSET, 0 };
    assert_int_equal(m2_revoked_write(&line, pool, &entry, &err), M2_E_CONFIG);
}

/* --- the file --- */

static const char *temp_list(const char *text, mode_t mode)
{
    char *path = apr_pstrdup(pool, "/tmp/m2-revocation-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static const char *text_of(const char *path)
{
    char *text = apr_pcalloc(pool, 65536);
    int fd = open(path, O_RDONLY);

    assert_true(read(fd, text, 65535) >= 0);
    close(fd);
    return text;
}

static m2_code_t append(const char *path, const char *jti, int wait)
{
    m2_revoked_t entry = { M2_REVOKED_JTI, z("i"), z(jti), M2_UNSET, 0 };

    clean();
    return m2_revocation_append(pool, path, &entry, wait, &err);
}

static void appends(void **state)
{
    const char *path = temp_list("# list\nsub i s", 0640);
    struct stat info;

    (void)state;
    assert_int_equal(append(path, "a b", 0), M2_OK);
    assert_int_equal(append(path, "c", 0), M2_OK);
    assert_string_equal(text_of(path), "# list\nsub i s\njti i a%20b\njti i c\n");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(append(path, "", 0), M2_E_CONFIG);
    unlink(path);
    assert_int_equal(append(path, "d", 0), M2_E_CONFIG);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(append(path, "d", 0), M2_E_CONFIG);
    unlink(path);
    assert_int_equal(append("/tmp", "d", 0), M2_E_CONFIG);
}

static void locked(void **state)
{
    const char *path = temp_list("", 0640);
    int fd = open(path, O_RDONLY);

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(append(path, "a", 40), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "is locked by "));
    assert_string_equal(text_of(path), "");
    close(fd);
    assert_int_equal(append(path, "a", 40), M2_OK);
    unlink(path);
}

/* What waited for the lock on a file that was replaced meanwhile writes into the new one. */
static void replaced(void **state)
{
    const char *path = temp_list("", 0640), *next = temp_list("sub i new\n", 0640);
    int fd = open(path, O_RDONLY), status;
    pid_t child;

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    child = fork();
    if (child == 0) {
        close(fd); /* or the lock would be the child's as well */
        _exit(append(path, "late", 10000) == M2_OK ? 0 : 1);
    }
    assert_int_equal(rename(next, path), 0);
    close(fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_string_equal(text_of(path), "sub i new\njti i late\n");
    unlink(path);
}

static void many_writers(void **state)
{
    const char *path = temp_list("", 0640);
    int i, k, status;

    (void)state;
    for (i = 0; i < 8; i++) {
        if (fork() == 0) {
            for (k = 0; k < 20; k++) {
                if (append(path, apr_psprintf(pool, "%d-%d", i, k), 10000) != M2_OK) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    for (i = 0; i < 8; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(m2_revocation_count(list(text_of(path))), 160);
    unlink(path);
}

/* Only tokens that ended long ago go, and not before the list is worth the trouble. */
static void pruned(void **state)
{
    const apr_time_t now = apr_time_from_sec(2000000000);
    const char *stays = "# ours\nsub i s 5\njti i soon 1999999999\njti i for-ever\nclient i c\n";
    const char *text = stays, *path = temp_list(apr_pstrcat(pool, stays, "jti i old 5\n", NULL),
                                                0640);
    struct stat before, after;
    int i;

    (void)state;
    clean();
    assert_int_equal(m2_revocation_prune(pool, path, now, &err), M2_OK);
    assert_non_null(strstr(text_of(path), "jti i old 5"));
    unlink(path);
    for (i = 0; i < 800; i++) {
        text = apr_psprintf(pool, "%sjti i %080d 1999000000\n", text, i);
    }
    path = temp_list(text, 0640);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(m2_revocation_prune(pool, path, now, &err), M2_OK);
    assert_string_equal(text_of(path), stays);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_true(after.st_ino != before.st_ino);
    unlink(path);
    path = temp_list(apr_pstrcat(pool, text, "rubbish\n", NULL), 0640);
    assert_int_equal(m2_revocation_prune(pool, path, now, &err), M2_E_CONFIG);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size > before.st_size);
    unlink(path);
}

/* Who may only read the list, and holds its lock for longer than anybody waits. */
static pid_t hold_as_reader(const char *path)
{
    int ready[2], fd;
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        alarm(60); /* also if a test fails before it is ended */
        fd = setgid(65534) == 0 && setuid(65534) == 0 ? open(path, O_RDONLY) : -1;
        if (fd >= 0 && flock(fd, LOCK_SH) == 0 && write(ready[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

/* A list is added to without the lock, and never replaced without it: what another writer, who
 * passed the holder by, too, adds meanwhile would be lost. */
static void held_by_a_reader(void **state)
{
    const char *text = "sub i s\n", *path;
    struct stat before, after;
    int i, status;
    pid_t holder;

    (void)state;
    if (geteuid() != 0) {
        skip(); /* nobody to be */
    }
    for (i = 0; i < 600; i++) {
        text = apr_psprintf(pool, "%sjti i %0400d 1999000000\n", text, i);
    }
    path = temp_list(text, 0644);
    assert_int_equal(stat(path, &before), 0);
    holder = hold_as_reader(path);
    clean();
    assert_int_equal(m2_revocation_prune(pool, path, apr_time_from_sec(2000000000), &err),
                     M2_E_CONFIG);
    assert_non_null(strstr(err.text, "is locked by process "));
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_ino == before.st_ino && after.st_size == before.st_size);
    assert_int_equal(append(path, "late", 40), M2_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_ino == before.st_ino && after.st_size > before.st_size);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, &status, 0), holder);
    unlink(path);
}

/* A lone star is a name but in `kid * KID`, which nobody means who writes it. */
static void stars(void **state)
{
    static const char *const hints[][2] = {
        { "client * app", "1 of its entries has" }, { "jti * J\nsub * S", "2 of its entries have" },
        { "client https://a *", "of kind client" }, { "claim tenant *", "of kind claim" },
        { "kid * *", "of kind kid" },               { "kid * K", NULL },
        { "client %2A app", NULL },                 { "claim * x", "of kind claim" },
        { "sub https://* S*", NULL },               { "", NULL },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        const char *hint = m2_revocation_hint(pool, list(hints[i][0]));

        assert_int_equal(hint != NULL, hints[i][1] != NULL);
        assert_true(!hint || strstr(hint, hints[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(each_kind), unit(of_a_client), unit(times),    unit(bad_lines),
        unit(too_much),  unit(round_trip),  unit(appends),  unit(locked),
        unit(replaced),  unit(many_writers), unit(pruned),
        unit(held_by_a_reader), unit(stars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
