/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The lock is on the directory: it is there before the file is, stays when the file is
 * replaced, and leaves nothing behind. A new file gets the directory's group where we may
 * give it, so that a directory root:www-data is all the server needs.
 */
#include "ctl/m2mctl_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE (S_IRUSR | S_IWUSR | S_IRGRP)

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

static m2_code_t lock_directory(m2mctl_edit_t *edit, m2_err_t *err)
{
    edit->lock = open(directory_of(edit->pool, edit->real),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit->lock < 0) {
        return failed("its directory cannot be opened", err);
    }
    apr_pool_cleanup_register(edit->pool, edit, unlock, apr_pool_cleanup_null);
    return flock(edit->lock, LOCK_EX) == 0 ? M2_OK
                                           : failed("its directory cannot be locked", err);
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
        return m2_err_set(err, M2_E_CONFIG, "is no regular file");
    }
    if (!edit->existed && fstat(edit->lock, &info) != 0) {
        return failed("its directory cannot be read", err);
    }
    edit->uid = edit->existed ? (int)info.st_uid : -1;
    edit->gid = (int)info.st_gid;
    if (edit->existed && (info.st_mode & S_IROTH)) {
        fprintf(stderr, "m2mctl: notice: %s was readable by everybody and becomes 0640: the "
                        "server must be in its group\n", edit->path);
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
    edit->lock = -1;
    edit->text = m2_slice("", 0);
    rc = lock_directory(edit, err);
    rc = rc == M2_OK ? look(edit, create, err) : rc;
    return rc == M2_OK && edit->existed ? m2mctl_read(&edit->text, pool, edit->real, err)
                                        : rc;
}

/* A group that cannot be kept would lock the server out of the file: an error. A new file's
 * group is a kindness. */
static m2_code_t own(const m2mctl_edit_t *edit, int file, m2_err_t *err)
{
    uid_t uid = edit->uid < 0 ? (uid_t)-1 : (uid_t)edit->uid;

    if (fchown(file, uid, (gid_t)edit->gid) == 0 ||
        fchown(file, (uid_t)-1, (gid_t)edit->gid) == 0 || !edit->existed) {
        return M2_OK;
    }
    return failed("its group cannot be kept", err);
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
    if (rc == M2_OK && (fchmod(file, MODE) != 0 || fsync(file) != 0)) {
        return failed("cannot be written", err);
    }
    return rc;
}

m2_code_t m2mctl_edit_save(m2mctl_edit_t *edit, m2_slice_t text, m2_err_t *err)
{
    char *temp = apr_psprintf(edit->pool, "%s.XXXXXX", edit->real);
    int file = mkstemp(temp); /* 0600, and nobody else's */
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
    fsync(edit->lock);
    unlock(edit);
    return rc;
}
