/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A writer that waited for its lock may hold one on a file that was replaced meanwhile. So
 * the path is looked at again behind the lock, and opened anew where it leads elsewhere.
 */
#include "revocation/m2_revocation_file.h"

#include "base/m2_log.h"
#include "text/m2_file.h"
#include "revocation/m2_revocation_holder.h"
#include "text/m2_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL 65536 /* bytes of a list that is not worth the trouble */
#define STEP 20   /* milliseconds between two attempts to lock */
#define READERS 2000 /* milliseconds that a reader may take */
#define REOPENS 8 /* replacements in a row that a writer follows */

static m2_code_t failed(const char *path, const char *what, m2_err_t *err)
{
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "%s %s: %s", path, what,
                      apr_strerror(APR_FROM_OS_ERROR(errno), text, sizeof(text)));
}

static m2_code_t still_locked(const char *path, const m2_holder_t *holder, m2_err_t *err)
{
    return m2_err_set(err, M2_E_CONFIG, "%s is locked by %s and stayed so", path,
                      *holder->name ? holder->name : "another program");
}

/* A reader is done within moments. Who may not write the list and holds its lock for long only
 * keeps others from writing: it is passed by, and *pheld is 0. One write to the end of a file is
 * whole without. Nobody is passed by where pheld is NULL. */
static m2_code_t lock_wait(int *pheld, int fd, const char *path, const struct stat *info,
                           int *pwait, m2_err_t *err)
{
    const int patience = pheld && *pwait > READERS ? *pwait - READERS : 0;
    m2_holder_t holder;

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed(path, "cannot be locked", err);
        }
        if (*pwait <= patience && *pwait % (STEP * 10) == 0) {
            m2_holder_find(&holder, info);
            if (!holder.writes && pheld) {
                *pheld = 0;
                m2_log(M2_LOG_WARNING, "revocation list %s: %s, which may not write it, holds its "
                       "lock; it is written nevertheless (let only the server read it: 0640)",
                       path, holder.name);
                return M2_OK;
            }
            if (*pwait <= 0) {
                return still_locked(path, &holder, err);
            }
        }
        apr_sleep(apr_time_from_msec(STEP));
        *pwait = *pwait > STEP ? *pwait - STEP : 0;
    }
    return M2_OK;
}

static int is_same_file(int fd, const char *path, struct stat *info)
{
    struct stat now;

    return fstat(fd, info) == 0 && stat(path, &now) == 0 && now.st_dev == info->st_dev
           && now.st_ino == info->st_ino;
}

/* *pfd is open and locked on M2_OK (as *pheld says, if it is not NULL), -1 otherwise */
static m2_code_t open_locked(int *pfd, int *pheld, struct stat *info, const char *path, int wait,
                             m2_err_t *err)
{
    m2_code_t code;
    int i;

    for (i = 0; i < REOPENS; i++) {
        if (pheld) {
            *pheld = 1;
        }
        /* never waits for the other end of a FIFO */
        *pfd = open(path, O_RDWR | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (*pfd < 0) {
            return failed(path, "cannot be opened for writing", err);
        }
        code = fstat(*pfd, info) == 0 && S_ISREG(info->st_mode)
                   ? lock_wait(pheld, *pfd, path, info, &wait, err)
                   : m2_err_set(err, M2_E_CONFIG, "%s is not a regular file", path);
        if (code == M2_OK && is_same_file(*pfd, path, info)) {
            return M2_OK;
        }
        close(*pfd);
        *pfd = -1;
        if (code != M2_OK) {
            return code;
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "%s is replaced again and again", path);
}

/* whether the file ends in the middle of a line */
static int is_open_ended(int fd, const struct stat *info)
{
    char last = '\n';

    return info->st_size > 0 && pread(fd, &last, 1, info->st_size - 1) == 1 && last != '\n';
}

static m2_code_t write_line(int fd, const struct stat *info, const char *path,
                            const char *text, m2_err_t *err)
{
    apr_size_t n = strlen(text);
    ssize_t written;

    if ((apr_uint64_t)info->st_size + n > M2_MAX_REVOCATION_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "%s is full: it holds %d bytes at most", path,
                          M2_MAX_REVOCATION_BYTES);
    }
    do {
        written = write(fd, text, n);
    } while (written < 0 && errno == EINTR);
    if (written == (ssize_t)n && fdatasync(fd) == 0) {
        return M2_OK;
    }
    if (written > 0) {
        errno = written < (ssize_t)n ? ENOSPC : errno;
    }
    failed(path, "cannot be written", err);
    if (ftruncate(fd, info->st_size) != 0) {
        m2_log(M2_LOG_ERR, "revocation list %s ends in half a line", path);
    }
    return M2_E_CONFIG;
}

/* *pagain: it was written without the lock, and to a file that was replaced meanwhile. */
static m2_code_t append_line(int *pagain, apr_pool_t *pool, const char *path, const char *line,
                             int wait, m2_err_t *err)
{
    struct stat info;
    int fd, held;
    m2_code_t code = open_locked(&fd, &held, &info, path, wait, err);

    if (code != M2_OK) {
        return code;
    }
    if (is_open_ended(fd, &info)) {
        line = apr_pstrcat(pool, "\n", line, NULL);
    }
    code = write_line(fd, &info, path, line, err);
    *pagain = code == M2_OK && !held && !is_same_file(fd, path, &info);
    close(fd);
    return code;
}

m2_code_t m2_revocation_append(apr_pool_t *pool, const char *path,
                               const m2_revoked_t *entry, int wait, m2_err_t *err)
{
    const char *line;
    m2_code_t code = m2_revoked_write(&line, pool, entry, err);
    int i, again = 1;

    for (i = 0; code == M2_OK && again && i < REOPENS; i++) {
        again = 0;
        code = append_line(&again, pool, path, line, wait, err);
    }
    return again ? m2_err_set(err, M2_E_CONFIG, "%s is replaced again and again", path) : code;
}

/* --- dropping what has expired --- */

/* The size from which it is worth while again, for the largest list of this process. */
static apr_uint64_t next_size = SMALL;

static int is_over(const m2_revoked_t *entry, apr_time_t now)
{
    return entry->kind == M2_REVOKED_JTI && entry->time != M2_UNSET
           && entry->time < apr_time_sec(now) - M2_REVOCATION_KEEP;
}

/* The lines that a list keeps, in *pkept. M2_E_CONFIG for a list that does not parse: this code
 * does not repair it. */
static m2_code_t select_lines(m2_slice_t *pkept, apr_pool_t *pool, m2_slice_t text,
                              apr_time_t now, m2_err_t *err)
{
    char *kept = apr_palloc(pool, text.n + 1);
    apr_size_t n = 0;
    m2_code_t code = M2_OK;
    m2_slice_t line;
    apr_pool_t *temp;

    text = m2_lines_bare(text);
    apr_pool_create(&temp, pool);
    while ((code == M2_OK || code == M2_E_NOT_FOUND) && m2_line_next(&text, &line)) {
        m2_revoked_t entry;

        code = m2_revoked_read(&entry, temp, line, err);
        if (code == M2_E_NOT_FOUND || (code == M2_OK && !is_over(&entry, now))) {
            memcpy(kept + n, line.p, line.n);
            n += line.n;
            kept[n++] = '\n';
        }
        apr_pool_clear(temp);
    }
    *pkept = m2_slice(kept, n);
    return code == M2_E_NOT_FOUND ? M2_OK : code;
}

static int write_all(int fd, m2_slice_t text)
{
    while (text.n) {
        const ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno != EINTR) {
            return 0;
        }
        text = n > 0 ? m2_slice(text.p + n, text.n - (apr_size_t)n) : text;
    }
    return fsync(fd) == 0;
}

static int has_size(const char *path, apr_size_t n)
{
    struct stat now;

    if (stat(path, &now) != 0) {
        return 0;
    }
    errno = EBUSY;
    return (apr_uint64_t)now.st_size == n;
}

/* A new file in the place of the old one, whose lock the caller holds, and which had n bytes: a
 * writer that passed somebody by holds none. */
static m2_code_t replace(apr_pool_t *pool, const char *path, const struct stat *info, apr_size_t n,
                         m2_slice_t text, m2_err_t *err)
{
    char *temp = apr_pstrcat(pool, path, ".XXXXXX", NULL);
    const int fd = mkostemp(temp, O_CLOEXEC);
    int done;

    if (fd < 0) {
        return failed(path, "cannot be written anew beside itself", err);
    }
    done = fchmod(fd, info->st_mode & 07777) == 0
           && ((geteuid() == info->st_uid && getegid() == info->st_gid)
               || fchown(fd, info->st_uid, info->st_gid) == 0)
           && write_all(fd, text) && has_size(path, n) && rename(temp, path) == 0;
    if (!done) {
        failed(path, "cannot be replaced", err);
        unlink(temp);
    }
    close(fd);
    return done ? M2_OK : M2_E_CONFIG;
}

static m2_code_t prune(apr_pool_t *pool, const char *path, const struct stat *info,
                       apr_time_t now, m2_err_t *err)
{
    m2_slice_t kept;
    m2_file_t file;
    m2_code_t code = m2_file_read(&file, pool, path, M2_MAX_REVOCATION_BYTES, 0, err);

    code = code == M2_OK ? select_lines(&kept, pool, file.text, now, err) : code;
    if (code == M2_OK && kept.n < file.text.n) {
        code = replace(pool, path, info, file.text.n, kept, err);
    }
    if (code == M2_OK) {
        __atomic_store_n(&next_size, kept.n * 2 < SMALL ? SMALL : kept.n * 2,
                         __ATOMIC_RELAXED);
    }
    return code;
}

m2_code_t m2_revocation_prune(apr_pool_t *pool, const char *path, apr_time_t now,
                              m2_err_t *err)
{
    const apr_uint64_t least = __atomic_load_n(&next_size, __ATOMIC_RELAXED);
    struct stat info;
    m2_code_t code;
    int fd = -1;

    if (lstat(path, &info) != 0 || (apr_uint64_t)info.st_size < least) {
        return M2_OK;
    }
    if (!S_ISREG(info.st_mode)) {
        return m2_err_set(err, M2_E_CONFIG, "%s is a link", path);
    }
    /* a list that cannot be rewritten is not tried again at every entry */
    __atomic_store_n(&next_size, (apr_uint64_t)info.st_size * 2, __ATOMIC_RELAXED);
    code = open_locked(&fd, NULL, &info, path, M2_REVOCATION_WAIT / 10, err);
    if (code == M2_OK) {
        code = prune(pool, path, &info, now, err);
        close(fd);
    }
    return code;
}
