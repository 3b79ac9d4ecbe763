/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The lock is on a file of its own beside the one that is changed, which is replaced: only its
 * owner may open it, so no other user can block this program. A new file gets the directory's
 * group where we may give it, so that a directory root:www-data is all the server needs.
 */
#include "ctl/m2mctl_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE (S_IRUSR | S_IWUSR | S_IRGRP) /* of a new file */

#define LOCK_NAME ".m2mctl.lock"
#define LOCK_WAIT 10000 /* milliseconds */
#define LOCK_STEP 20

static m2_code_t failed(const char *what, m2_err_t *err)
{
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "%s: %s", what,
                      apr_strerror(APR_FROM_OS_ERROR(errno), text, sizeof(text)));
}

static apr_status_t unlock(void *data)
{
    m2mctl_edit_t *edit = data;

    if (edit->lock >= 0) {
        close(edit->lock);
        edit->lock = -1;
    }
    if (edit->directory >= 0) {
        close(edit->directory);
        edit->directory = -1;
    }
    return APR_SUCCESS;
}

/* where the path leads; a new file is where its directory is */
static const char *resolve(apr_pool_t *pool, const char *path)
{
    char *real = realpath(path, NULL);
    const char *copy = real ? apr_pstrdup(pool, real) : path;

    free(real);
    return copy;
}

static const char *directory_of(apr_pool_t *pool, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) {
        return ".";
    }
    return slash == path ? "/" : apr_pstrmemdup(pool, path, (apr_size_t)(slash - path));
}

/* A new lock belongs to whom the directory belongs to, so that root does not lock others out. */
static int lock_make(const char *path, int directory)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    struct stat info;

    if (file >= 0 && geteuid() == 0 && fstat(directory, &info) == 0
        && fchown(file, info.st_uid, info.st_gid) != 0) {
        close(file);
        return -1;
    }
    return file;
}

/* The lock of all files in the directory; one that others may open is not taken for it. */
static int lock_open(const char *path, int directory)
{
    int file = lock_make(path, directory);
    struct stat info;

    if (file < 0 && errno == EEXIST) {
        file = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    if (file >= 0 && (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)
                      || (info.st_mode & (S_IRWXG | S_IRWXO)))) {
        close(file);
        errno = EPERM;
        return -1;
    }
    return file;
}

static m2_code_t lock_wait(int file, m2_err_t *err)
{
    int left;

    for (left = LOCK_WAIT; flock(file, LOCK_EX | LOCK_NB) != 0; left -= LOCK_STEP) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed("cannot be locked", err);
        }
        if (left <= 0) {
            return m2_err_set(err, M2_E_CONFIG, "is locked by another m2mctl for more than "
                                                "%d seconds", LOCK_WAIT / 1000);
        }
        apr_sleep(apr_time_from_msec(LOCK_STEP));
    }
    return M2_OK;
}

static m2_code_t lock_directory(m2mctl_edit_t *edit, m2_err_t *err)
{
    const char *directory = directory_of(edit->pool, edit->real);

    edit->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit->directory < 0) {
        return failed("its directory cannot be opened", err);
    }
    apr_pool_cleanup_register(edit->pool, edit, unlock, apr_pool_cleanup_null);
    edit->lock = lock_open(apr_pstrcat(edit->pool, directory, "/" LOCK_NAME, NULL),
                           edit->directory);
    return edit->lock >= 0 ? lock_wait(edit->lock, err)
                           : failed("its lock file " LOCK_NAME " cannot be opened", err);
}

/* who is to own the new file, from the old one or the directory */
static m2_code_t look(m2mctl_edit_t *edit, int create, m2_err_t *err)
{
    struct stat info;

    edit->existed = stat(edit->real, &info) == 0;
    if (!edit->existed && (errno != ENOENT || !create)) {
        return failed("cannot be read", err);
    }
    if (edit->existed && !S_ISREG(info.st_mode)) {
        return m2_err_set(err, M2_E_CONFIG, "is not a regular file");
    }
    if (!edit->existed && fstat(edit->directory, &info) != 0) {
        return failed("its directory cannot be read", err);
    }
    edit->uid = edit->existed ? (int)info.st_uid : -1;
    edit->gid = (int)info.st_gid;
    edit->mode = edit->existed ? (int)(info.st_mode & 07777) : MODE;
    if (edit->existed && (info.st_mode & (S_IROTH | S_IWOTH))) {
        fprintf(stderr, "m2mctl: notice: everybody may %s %s: chmod 0640, with the server in its "
                        "group, would do\n", info.st_mode & S_IWOTH ? "write to" : "read",
                edit->path);
    }
    return M2_OK;
}

m2_code_t m2mctl_edit_open(m2mctl_edit_t *edit, apr_pool_t *pool, const char *path,
                           int create, m2_err_t *err)
{
    m2_code_t rc;

    memset(edit, 0, sizeof(*edit));
    edit->pool = pool;
    edit->path = path;
    edit->real = resolve(pool, path);
    edit->lock = edit->directory = -1;
    edit->text = m2_slice("", 0);
    rc = lock_directory(edit, err);
    rc = rc == M2_OK ? look(edit, create, err) : rc;
    return rc == M2_OK && edit->existed ? m2mctl_read(&edit->text, pool, edit->real, err)
                                        : rc;
}

/* An owner or group that cannot be kept might lock the server out of the file: an error. A new
 * file's group is a kindness. */
static m2_code_t own(const m2mctl_edit_t *edit, int file, m2_err_t *err)
{
    uid_t uid = edit->uid < 0 ? (uid_t)-1 : (uid_t)edit->uid;

    if (fchown(file, uid, (gid_t)edit->gid) == 0 || !edit->existed) {
        return M2_OK;
    }
    return failed("its owner and group cannot be kept", err);
}

static m2_code_t fill(const m2mctl_edit_t *edit, int file, m2_slice_t text, m2_err_t *err)
{
    m2_code_t rc = own(edit, file, err);

    while (rc == M2_OK && text.n) {
        ssize_t n = write(file, text.p, text.n);
        if (n < 0 && errno != EINTR) {
            return failed("cannot be written", err);
        }
        n = n < 0 ? 0 : n;
        text = m2_slice(text.p + n, text.n - (apr_size_t)n);
    }
    if (rc == M2_OK && (fchmod(file, (mode_t)edit->mode) != 0 || fsync(file) != 0)) {
        return failed("cannot be written", err);
    }
    return rc;
}

m2_code_t m2mctl_edit_save(m2mctl_edit_t *edit, m2_slice_t text, m2_err_t *err)
{
    char *temp = apr_psprintf(edit->pool, "%s.XXXXXX", edit->real);
    int file = mkstemp(temp); /* 0600, and owned by this user */
    m2_code_t rc;

    if (file < 0) {
        return failed("no file can be made beside it", err);
    }
    rc = fill(edit, file, text, err);
    close(file);
    if (rc == M2_OK && rename(temp, edit->real) != 0) {
        rc = failed("cannot be replaced", err);
    }
    if (rc != M2_OK) {
        unlink(temp);
    }
    fsync(edit->directory);
    unlock(edit);
    return rc;
}
