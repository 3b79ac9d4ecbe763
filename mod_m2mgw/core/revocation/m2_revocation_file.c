/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A writer that waited for its lock may hold one on a file that was replaced meanwhile. So
 * the path is looked at again behind the lock, and opened anew where it leads elsewhere.
 */
#include "revocation/m2_revocation_file.h"

#include "base/m2_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 20   /* milliseconds between two attempts to lock */
#define REOPENS 8 /* replacements in a row that a writer follows */

static m2_code_t failed(const char *path, const char *what, m2_err_t *err)
{
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "%s %s: %s", path, what,
                      apr_strerror(APR_FROM_OS_ERROR(errno), text, sizeof(text)));
}

static m2_code_t lock_wait(int fd, const char *path, int *pwait, m2_err_t *err)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed(path, "cannot be locked", err);
        }
        if (*pwait <= 0) {
            return m2_err_set(err, M2_E_CONFIG,
                              "%s is locked by another program and stayed so", path);
        }
        apr_sleep(apr_time_from_msec(STEP));
        *pwait -= STEP;
    }
    return M2_OK;
}

static int is_same_file(int fd, const char *path, struct stat *info)
{
    struct stat now;

    return fstat(fd, info) == 0 && stat(path, &now) == 0 && now.st_dev == info->st_dev
           && now.st_ino == info->st_ino;
}

/* *pfd is open and locked on M2_OK, -1 otherwise */
static m2_code_t open_locked(int *pfd, struct stat *info, const char *path, int wait,
                             m2_err_t *err)
{
    m2_code_t code;
    int i;

    for (i = 0; i < REOPENS; i++) {
        /* never waits for the other end of a FIFO */
        *pfd = open(path, O_RDWR | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (*pfd < 0) {
            return failed(path, "cannot be opened for writing", err);
        }
        code = fstat(*pfd, info) == 0 && S_ISREG(info->st_mode)
                   ? lock_wait(*pfd, path, &wait, err)
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

m2_code_t m2_revocation_append(apr_pool_t *pool, const char *path,
                               const m2_revoked_t *entry, int wait, m2_err_t *err)
{
    const char *line;
    struct stat info;
    m2_code_t code = m2_revoked_write(&line, pool, entry, err);
    int fd = -1;

    code = code == M2_OK ? open_locked(&fd, &info, path, wait, err) : code;
    if (code != M2_OK) {
        return code;
    }
    if (is_open_ended(fd, &info)) {
        line = apr_pstrcat(pool, "\n", line, NULL);
    }
    code = write_line(fd, &info, path, line, err);
    close(fd);
    return code;
}

int m2_revocation_read_lock(int fd)
{
    return flock(fd, LOCK_SH | LOCK_NB) == 0;
}
