/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay table as a file.
 *
 * A file is created under another name and renamed when it is whole, is locked (flock) by each
 * process that maps it, and is checked from end to end by the first one. An inconsistent file
 * stops the start: a damaged table must not pass for an empty one.
 */
#include "replay/m2_replay_file.h"

#include "base/m2_log.h"
#include "replay/m2_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 100       /* times 50 ms for another server to finish opening */

static void boot_id(char *boot, apr_size_t size)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(boot, 0, size);
    if (f) {
        size_t n = fread(boot, 1, size - 1, f);

        boot[n] = '\0';
        fclose(f);
    }
}

static m2_code_t refuse(m2_err_t *err, const char *path, const char *what)
{
    return m2_err_set(err, M2_E_CONFIG,
                      "replay store %s: %s; to start with an empty table remove the file "
                      "(tokens spent before and still alive can then be used once more)",
                      path, what);
}

m2_code_t m2_rt_fault(m2_err_t *err, const char *path, const char *doing)
{
    int e = errno;
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "replay store %s: cannot %s: %s", path, doing,
                      apr_strerror(e, text, sizeof(text)));
}

/* Lock the directory of path, so that one server at a time creates or opens. */
int m2_rt_lock_directory(const char *path, int tries)
{
    char dir[4096];
    char *slash;
    int fd, i;

    apr_cpystrn(dir, path, sizeof(dir));
    slash = strrchr(dir, '/');
    if (!slash) {
        apr_cpystrn(dir, ".", sizeof(dir));
    }
    else {
        slash[slash == dir] = '\0';
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (i = 0; fd >= 0 && i < tries; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return fd;
        }
        if (i + 1 < tries) {
            usleep(50000);
        }
    }
    if (fd >= 0) {
        close(fd);
        errno = EWOULDBLOCK;
    }
    return -1;
}

/* Whether no other server has the file. The directory is locked by the caller, since the
 * hold on the file is let go for a moment. */
int m2_rt_is_alone(int fd)
{
    int alone = flock(fd, LOCK_EX | LOCK_NB) == 0;

    return flock(fd, LOCK_SH) == 0 && alone;
}

/* What is wrong with a head read from a file of that size, or NULL. */
static const char *head_fault(const m2_rt_head_t *head, apr_uint64_t size)
{
    if (memcmp(head->magic, M2_RT_MAGIC, sizeof(head->magic)) != 0) {
        return "the file is not a replay table";
    }
    if (head->version != M2_RT_VERSION || head->order != M2_RT_BYTE_ORDER) {
        return "the file was made by another release or kind of machine";
    }
    if (head->check != m2_rt_head_check(head) || head->size != m2_rt_size(head->entries)
        || head->buckets != m2_rt_buckets(head->entries)) {
        return "the file is damaged (head)";
    }
    return head->size == size ? NULL : "the file is damaged (size)";
}

/* Whether every slot is whole, and none that was used has become unused. */
static const char *slots_fault(const m2_rt_t *table, int crashed)
{
    apr_uint64_t i, n = m2_rt_slots(table), held = 0;

    for (i = 0; i < n; i++) {
        const m2_rt_slot_t *slot = &table->slots[i];

        if (slot->expiry && slot->check != m2_rt_slot_check(slot, slot->expiry)) {
            return "the file is damaged (slots)";
        }
        held += slot->expiry != 0;
    }
    /* one less: its process was killed between the two stores of write_slot */
    return held + 1 >= table->state->held || crashed ? NULL : "the file is damaged (count)";
}

/* The one that holds the file alone makes it good for use. */
static m2_code_t check_and_reset(m2_rt_t *table, m2_err_t *err)
{
    char boot[sizeof(table->state->boot)];
    const char *fault;
    int crashed;

    boot_id(boot, sizeof(boot));
    crashed = !table->state->clean && memcmp(boot, table->state->boot, sizeof(boot)) != 0;
    if ((fault = slots_fault(table, crashed)) != NULL) {
        return refuse(err, table->path, fault);
    }
    if (crashed) {
        m2_log(M2_LOG_WARNING,
               "replay store %s: the machine stopped without an orderly stop of the server; "
               "tokens spent in the last half minute before may be accepted once more",
               table->path);
    }
    if (!m2_lock_make(&table->state->lock)) {
        return m2_rt_fault(err, table->path, "make its lock");
    }
    m2_rt_recount(table, (apr_uint64_t)apr_time_sec(apr_time_now()));
    memcpy(table->state->boot, boot, sizeof(boot));
    table->state->clean = 0;
    table->state->retired = 0;
    return M2_OK;
}

/* A whole, empty table under a name of its own; the caller renames it. */
static m2_code_t create_file(m2_rt_t *table, const char *path, const char *temp,
                             const m2_replay_spec_t *spec, m2_err_t *err)
{
    apr_size_t size = m2_rt_size(spec->entries);
    int fd, rv;

    unlink(temp); /* left by one that was killed here; the directory is locked */
    fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return m2_rt_fault(err, path, "create the file");
    }
    if ((rv = posix_fallocate(fd, 0, (off_t)size)) != 0) { /* a hole could be a SIGBUS */
        errno = rv;
    }
    if (rv != 0 || (spec->owner_set && geteuid() == 0
                    && fchown(fd, spec->owner_uid, spec->owner_gid) != 0)
        || flock(fd, LOCK_SH) != 0 || !m2_rt_map(table, fd, size)) {
        m2_rt_fault(err, path, "create the file");
        close(fd);
        unlink(temp);
        return M2_E_CONFIG;
    }
    apr_cpystrn(table->path, path, sizeof(table->path));
    if (!m2_rt_make_head(table->head, spec->entries)) {
        return m2_rt_fault(err, path, "get random bytes");
    }
    table->state->clean = 1; /* a new one was in no crash */
    return check_and_reset(table, err);
}

static m2_code_t rename_file(m2_rt_t *table, const char *path, const char *temp,
                             m2_err_t *err)
{
    struct stat st;

    if (msync(table->head, table->size, MS_SYNC) != 0 || fsync(table->fd) != 0
        || fstat(table->fd, &st) != 0 || rename(temp, path) != 0) {
        return m2_rt_fault(err, path, "write the file");
    }
    table->dev = st.st_dev;
    table->ino = st.st_ino;
    return M2_OK;
}

/* Open and map an existing file. *palone: no other process has it. */
static m2_code_t map_file(m2_rt_t *table, int *palone, const char *path,
                          const m2_replay_spec_t *spec, m2_err_t *err)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    m2_rt_head_t head;
    const char *fault = "the file is damaged (size)";

    if (fd < 0 || fstat(fd, &st) != 0) {
        m2_rt_fault(err, path, "open the file");
        if (fd >= 0) {
            close(fd);
        }
        return M2_E_CONFIG;
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077)
        || (st.st_uid != geteuid() && !(spec->owner_set && st.st_uid == spec->owner_uid))) {
        close(fd);
        return refuse(err, path, "it must be a file with mode 0600 that belongs to User");
    }
    *palone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if ((!*palone && flock(fd, LOCK_SH) != 0)
        || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)
        || (fault = head_fault(&head, (apr_uint64_t)st.st_size)) != NULL) {
        close(fd);
        return refuse(err, path, fault ? fault : "it cannot be locked");
    }
    if (!m2_rt_map(table, fd, (apr_size_t)head.size)) {
        close(fd);
        return m2_rt_fault(err, path, "map the file");
    }
    apr_cpystrn(table->path, path, sizeof(table->path));
    table->dev = st.st_dev;
    table->ino = st.st_ino;
    if (*palone && check_and_reset(table, err) != M2_OK) {
        m2_rt_unmap(table);
        return M2_E_CONFIG;
    }
    return M2_OK;
}

/* Replace a table by one of another size that holds what is alive in it. */
m2_code_t m2_rt_resize_file(m2_rt_t *table, m2_rt_t *old, const m2_replay_spec_t *spec,
                             m2_err_t *err)
{
    char temp[sizeof(table->path) + 8];
    apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    m2_code_t code;

    apr_snprintf(temp, sizeof(temp), "%s.new", spec->path);
    code = create_file(table, spec->path, temp, spec, err);
    if (code == M2_OK && old && !m2_rt_take_over(table, old, now)) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store %s: entries=%u is less than the tokens alive in the "
                          "table it is to replace", spec->path, spec->entries);
    }
    if (code == M2_OK) {
        code = rename_file(table, spec->path, temp, err);
    }
    if (code != M2_OK && table->head) {
        unlink(temp);
        m2_rt_unmap(table);
    }
    return code;
}

/* The file of the spec, created or opened, with its directory locked by the caller. */
static m2_code_t open_file(m2_rt_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_rt_t found;
    struct stat st;
    int alone = 0;
    m2_code_t code;

    if (lstat(spec->path, &st) != 0) {
        return errno == ENOENT ? m2_rt_resize_file(table, NULL, spec, err)
                               : m2_rt_fault(err, spec->path, "look at the file");
    }
    memset(&found, 0, sizeof(found));
    if ((code = map_file(&found, &alone, spec->path, spec, err)) != M2_OK) {
        return code;
    }
    if (found.head->entries == spec->entries) {
        *table = found;
        return !alone || flock(found.fd, LOCK_SH) == 0
                   ? M2_OK
                   : m2_rt_fault(err, spec->path, "lock the file");
    }
    if (!alone) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store %s: another server uses the file with entries=%u",
                          spec->path, found.head->entries);
    }
    else {
        code = m2_rt_resize_file(table, &found, spec, err);
    }
    m2_rt_unmap(&found);
    return code;
}

m2_code_t m2_rt_open_file(m2_rt_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_code_t code;
    int dir;

    if (strlen(spec->path) >= sizeof(table->path) - 8) {
        return m2_err_set(err, M2_E_CONFIG, "replay store: the path is too long");
    }
    dir = m2_rt_lock_directory(spec->path, OPEN_TRIES);
    if (dir < 0) {
        return m2_rt_fault(err, spec->path, "lock the directory of the file");
    }
    code = open_file(table, spec, err);
    close(dir);
    return code;
}
