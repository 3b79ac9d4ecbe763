/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Opened without waiting and looked at by its descriptor, so that what is judged is what is
 * read. The directories that count are the one of the name and, behind links, those of each
 * link on the way: who may write one of them can put another file in its place.
 */
#include "text/m2_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLED (2 * APR_TIME_C(1000000000)) /* nanoseconds after which a writer is done */

static int modes_judged = 1;

void m2_file_judge_modes(int judge)
{
    modes_judged = judge;
}

/* --- stamps --- */

static apr_int64_t nanoseconds(struct timespec t)
{
    return (apr_int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stamp_of(m2_stamp_t *stamp, const struct stat *st)
{
    memset(stamp, 0, sizeof(*stamp));
    stamp->device = st->st_dev;
    stamp->inode = st->st_ino;
    stamp->size = st->st_size;
    stamp->mtime = nanoseconds(st->st_mtim);
    stamp->ctime = nanoseconds(st->st_ctim);
    stamp->mode = st->st_mode & 07777;
    stamp->uid = st->st_uid;
}

int m2_file_stamp(m2_stamp_t *stamp, const char *path)
{
    struct stat st;

    memset(stamp, 0, sizeof(*stamp));
    if (stat(path, &st) != 0) {
        return 0;
    }
    stamp_of(stamp, &st);
    return 1;
}

static int same_inode(const m2_stamp_t *a, const m2_stamp_t *b)
{
    return a->device == b->device && a->inode == b->inode;
}

int m2_stamp_same(const m2_stamp_t *a, const m2_stamp_t *b)
{
    return same_inode(a, b) && a->size == b->size && a->mtime == b->mtime
           && a->ctime == b->ctime && a->mode == b->mode && a->uid == b->uid;
}

/* --- who else may write --- */

int m2_dir_is_open(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & S_IWOTH);
}

/* everybody may replace the file in its directory */
static int is_replaceable(const char *path, char *dir, apr_size_t room)
{
    const char *slash = strrchr(path, '/');
    const apr_size_t n = slash == path ? 1 : slash ? (apr_size_t)(slash - path) : 1;
    struct stat st;

    if (n >= room) {
        return 0; /* open() would have refused such a name */
    }
    memcpy(dir, slash ? path : ".", n);
    dir[n] = '\0';
    return stat(dir, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX);
}

#define MAX_LINKS 40 /* as Linux follows */

/* at becomes what the link of that name leads to; 0 when it is no link, or too long. */
static int follow(char *at, apr_size_t room)
{
    char target[PATH_MAX];
    const ssize_t n = readlink(at, target, sizeof(target) - 1);
    const char *slash = strrchr(at, '/');
    const apr_size_t dir = slash ? (apr_size_t)(slash - at) + 1 : 0;

    if (n < 0) {
        return 0;
    }
    target[n] = '\0';
    if (target[0] == '/') {
        return apr_snprintf(at, room, "%s", target) == n;
    }
    return dir + (apr_size_t)n < room && apr_snprintf(at + dir, room - dir, "%s", target) == n;
}

/* the same of path and of every link behind it */
static int any_is_replaceable(const char *path, char *dir, apr_size_t room)
{
    char at[PATH_MAX];
    int links = 0;

    apr_cpystrn(at, path, sizeof(at));
    do {
        if (is_replaceable(at, dir, room)) {
            return 1;
        }
    } while (links++ < MAX_LINKS && follow(at, sizeof(at)));
    return 0;
}

static m2_code_t refuse(m2_file_t *file, m2_file_fault_t fault, const char *path,
                        const char *why, m2_err_t *err)
{
    file->fault = fault;
    return m2_err_set(err, fault == M2_FILE_MISSING ? M2_E_NOT_FOUND : M2_E_CONFIG, "%s %s",
                      path, why);
}

static m2_code_t refuse_errno(m2_file_t *file, int error, const char *path, m2_err_t *err)
{
    char text[128];

    file->fault = error == ENOENT || error == ENOTDIR ? M2_FILE_MISSING : M2_FILE_UNREADABLE;
    return m2_err_set(err, file->fault == M2_FILE_MISSING ? M2_E_NOT_FOUND : M2_E_CONFIG,
                      "cannot read %s: %s", path,
                      apr_strerror(APR_FROM_OS_ERROR(error), text, sizeof(text)));
}

static m2_code_t judge_modes(m2_file_t *file, const char *path, m2_err_t *err)
{
    char dir[PATH_MAX];

    if (!modes_judged) {
        return M2_OK;
    }
    if (file->stamp.mode & S_IWOTH) {
        return refuse(file, M2_FILE_UNSAFE, path, "can be written by everybody: chmod o-w",
                      err);
    }
    if (any_is_replaceable(path, dir, sizeof(dir))) {
        file->fault = M2_FILE_UNSAFE;
        return m2_err_set(err, M2_E_CONFIG, "%s lies in %s, where everybody may put another "
                          "file in its place: chmod o-w, or make it sticky", path, dir);
    }
    return M2_OK;
}

static m2_code_t judge(m2_file_t *file, const struct stat *st, const char *path, int flags,
                       m2_err_t *err)
{
    stamp_of(&file->stamp, st);
    if (!S_ISREG(st->st_mode)) {
        return refuse(file, M2_FILE_IRREGULAR, path, "is not a regular file", err);
    }
    return flags & M2_FILE_DECIDES ? judge_modes(file, path, err) : M2_OK;
}

/* --- reading --- */

static apr_status_t wipe(void *data)
{
    const m2_slice_t *text = data;

    explicit_bzero((char *)(apr_uintptr_t)text->p, text->n);
    return APR_SUCCESS;
}

char *m2_file_room(apr_pool_t *pool, apr_size_t n)
{
    char *text = apr_palloc(pool, n + 1);
    m2_slice_t *all = apr_palloc(pool, sizeof(*all));

    *all = m2_slice(text, n);
    apr_pool_cleanup_register(pool, all, wipe, apr_pool_cleanup_null);
    return text;
}

/* bytes read, up to room; -1 with errno */
static apr_ssize_t read_all(int fd, char *text, apr_size_t room)
{
    apr_size_t n = 0;
    ssize_t got;

    while (n < room) {
        got = read(fd, text + n, room - n);
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        n += got > 0 ? (apr_size_t)got : 0;
    }
    return (apr_ssize_t)n;
}

static m2_code_t read_open(m2_file_t *file, apr_pool_t *pool, int fd, const char *path,
                           m2_err_t *err)
{
    const apr_size_t size = (apr_size_t)file->stamp.size;
    char *text = m2_file_room(pool, size + 1); /* one byte more shows that it grew */
    apr_ssize_t n = read_all(fd, text, size + 1);
    struct stat st;
    m2_stamp_t after;

    if (n < 0 || fstat(fd, &st) != 0) {
        return refuse_errno(file, errno, path, err);
    }
    stamp_of(&after, &st);
    if ((apr_size_t)n != size || after.size != file->stamp.size
        || after.mtime != file->stamp.mtime) {
        return refuse(file, M2_FILE_CHANGING, path, "changed while it was read", err);
    }
    text[n] = '\0';
    file->text = m2_slice(text, size);
    return M2_OK;
}

static m2_code_t look_and_read(m2_file_t *file, apr_pool_t *pool, int fd, const char *path,
                               apr_size_t max, int flags, m2_err_t *err)
{
    struct stat st;
    m2_code_t code;

    if (fstat(fd, &st) != 0) {
        return refuse_errno(file, errno, path, err);
    }
    code = judge(file, &st, path, flags, err);
    if (code != M2_OK) {
        return code;
    }
    if (file->stamp.size > (apr_int64_t)max) {
        file->fault = M2_FILE_TOO_LARGE;
        return m2_err_set(err, M2_E_CONFIG, "%s is larger than %" APR_SIZE_T_FMT " bytes",
                          path, max);
    }
    file->locked = (flags & M2_FILE_SHARED) && flock(fd, LOCK_SH | LOCK_NB) == 0;
    return read_open(file, pool, fd, path, err);
}

m2_code_t m2_file_read(m2_file_t *file, apr_pool_t *pool, const char *path, apr_size_t max,
                       int flags, m2_err_t *err)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    m2_code_t code;

    memset(file, 0, sizeof(*file));
    if (fd < 0) {
        return errno == ENXIO ? refuse(file, M2_FILE_IRREGULAR, path,
                                       "is not a regular file", err)
                              : refuse_errno(file, errno, path, err);
    }
    code = look_and_read(file, pool, fd, path, max, flags, err);
    close(fd);
    return code;
}

/* --- watching --- */

void m2_watch_begin(m2_watch_t *watch, const m2_file_t *file, apr_time_t now)
{
    memset(watch, 0, sizeof(*watch));
    watch->taken = file->stamp;
    watch->fresh = now * 1000 - file->stamp.ctime < SETTLED;
}

/* A rename changes the time of the inode and leaves that of its bytes; who writes into a new
 * file changes both. An empty one may have been made and given its mode just now. */
static int came_by_rename(const m2_stamp_t *stamp, const m2_watch_t *watch)
{
    return !same_inode(stamp, &watch->taken) && stamp->ctime > stamp->mtime && stamp->size;
}

static int is_settled(const m2_stamp_t *stamp, apr_time_t now)
{
    return now * 1000 - stamp->ctime >= SETTLED;
}

int m2_file_is_settled(const m2_file_t *file, apr_time_t now)
{
    const m2_stamp_t *stamp = &file->stamp;

    return (stamp->ctime > stamp->mtime && stamp->size)
           || is_settled(stamp, now);
}

/* Another size at the same time: the system is about to note when it was cut or written. */
static int is_torn(const m2_stamp_t *stamp, const m2_stamp_t *taken)
{
    return same_inode(stamp, taken) && stamp->ctime == taken->ctime && stamp->size != taken->size;
}

/* Whether what a look found is to be read now. */
static int is_due(const m2_watch_t *watch, const m2_stamp_t *stamp, apr_time_t now)
{
    if (m2_stamp_same(stamp, &watch->taken)) {
        return watch->partial || watch->fault || (watch->fresh && is_settled(stamp, now));
    }
    return m2_stamp_same(stamp, &watch->seen) || came_by_rename(stamp, watch)
           || (is_settled(stamp, now) && !is_torn(stamp, &watch->taken));
}

static m2_look_t bad(m2_watch_t *watch, const m2_file_t *file)
{
    const int told = watch->fault == file->fault && m2_stamp_same(&watch->taken, &file->stamp);

    watch->fault = file->fault;
    watch->taken = file->stamp;
    watch->partial = watch->fresh = 0;
    return told ? M2_LOOK_SAME : M2_LOOK_BAD;
}

/* the text without a last line that does not end */
static m2_slice_t whole_lines(m2_slice_t text)
{
    while (text.n && text.p[text.n - 1] != '\n') {
        text.n--;
    }
    return text;
}

static m2_look_t taken(m2_watch_t *watch, m2_file_t *file, int second, int flags,
                       apr_time_t now)
{
    const m2_slice_t lines = whole_lines(file->text);

    m2_watch_begin(watch, file, now);
    if ((flags & M2_FILE_LINES) && !second && lines.n < file->text.n) {
        file->text = lines;
        watch->partial = 1;
    }
    return M2_LOOK_TAKEN;
}

/* Nothing to open: believed when two looks find so, for many an editor removes a file before
 * it writes the next. */
static m2_look_t missing(m2_watch_t *watch, m2_file_t *file, apr_pool_t *pool,
                         const char *path, apr_size_t max, int flags, m2_err_t *err)
{
    const int second = watch->seen_missing;

    watch->seen_missing = 1;
    memset(&watch->seen, 0, sizeof(watch->seen));
    if (!second || m2_file_read(file, pool, path, max, flags, err) == M2_OK) {
        return M2_LOOK_SAME; /* there again: the next look finds it */
    }
    return bad(watch, file);
}

/* A file that writers lock is read before it has come to rest: it is whole. */
static m2_look_t early(m2_watch_t *watch, m2_file_t *file, apr_pool_t *pool, const char *path,
                       apr_size_t max, int flags)
{
    return m2_file_read(file, pool, path, max, flags, NULL) == M2_OK
                   && (file->locked || watch->restless >= M2_LOOKS)
               ? M2_LOOK_EARLY
               : M2_LOOK_SAME;
}

void m2_watch_accept(m2_watch_t *watch, m2_file_t *file, int flags, apr_time_t now)
{
    taken(watch, file, 0, flags, now);
}

int m2_watch_rests(const m2_watch_t *watch)
{
    return !watch->fault && !watch->seen_missing && !watch->restless;
}

m2_look_t m2_file_watch(m2_watch_t *watch, m2_file_t *file, apr_pool_t *pool,
                        const char *path, apr_size_t max, int flags, apr_time_t now,
                        m2_err_t *err)
{
    m2_stamp_t stamp;
    int second;

    memset(file, 0, sizeof(*file));
    if (!m2_file_stamp(&stamp, path)) {
        return missing(watch, file, pool, path, max, flags, err);
    }
    watch->seen_missing = 0;
    if (!is_due(watch, &stamp, now)) {
        watch->seen = stamp;
        watch->restless = m2_stamp_same(&stamp, &watch->taken) ? 0 : watch->restless + 1;
        return (flags & M2_FILE_SHARED) && watch->restless
                   ? early(watch, file, pool, path, max, flags)
                   : M2_LOOK_SAME;
    }
    second = m2_stamp_same(&stamp, &watch->seen) || m2_stamp_same(&stamp, &watch->taken);
    watch->seen = stamp;
    if (m2_file_read(file, pool, path, max, flags, err) == M2_OK
        && m2_stamp_same(&file->stamp, &stamp)) {
        return taken(watch, file, second, flags, now);
    }
    if (file->fault == M2_FILE_GOOD || file->fault == M2_FILE_CHANGING
        || file->fault == M2_FILE_MISSING) {
        memset(&watch->seen, 0, sizeof(watch->seen)); /* another one by now: look again */
        return M2_LOOK_SAME;
    }
    return bad(watch, file);
}
