/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Two texts and a version: even versions count in the first, odd ones in the second. A writer
 * fills the one that does not count and then raises the version. A reader that finds the
 * version as it was has read what counted all the while.
 *
 * The lock of writers is the number of the process that holds it: that of a killed one is known
 * by belonging to nobody.
 */
#include "text/m2_copy.h"

#include <apr_shm.h>
#include <apr_strings.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define LAYOUT "m2-copy-3" /* another module may find the memory after an upgrade */
#define READ_TRIES 8       /* two writers during one reading are rare, eight do not happen */
#define LOCK_TRIES 20
#define LOCK_STEP 1000 /* microseconds between two of them */

typedef struct text_t {
    apr_size_t size;
    apr_time_t since;
} text_t;

typedef struct shared_t {
    pid_t writer;         /* 0: no writer */
    apr_uint64_t version; /* 0: there is no text */
    apr_uint64_t told;    /* what m2_copy_tell was asked last */
    apr_uint64_t checked; /* when a process last found that text in the file */
    text_t texts[2];
    char bytes[]; /* two times max; pages that were never written take no memory */
} shared_t;

struct m2_copy_t {
    const char *path;
    apr_size_t max;
    shared_t *shared;
};

/* --- the lock of writers --- */

static int try_lock(shared_t *shared)
{
    const pid_t mine = getpid();
    pid_t writer = 0;

    if (__atomic_compare_exchange_n(&shared->writer, &writer, mine, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
        return 1;
    }
    return kill(writer, 0) != 0 && errno == ESRCH
           && __atomic_compare_exchange_n(&shared->writer, &writer, mine, 0, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED);
}

static int lock(shared_t *shared)
{
    int i;

    for (i = 0; i < LOCK_TRIES; i++) {
        if (try_lock(shared)) {
            return 1;
        }
        apr_sleep(LOCK_STEP);
    }
    return 0;
}

static void unlock(shared_t *shared)
{
    __atomic_store_n(&shared->writer, 0, __ATOMIC_RELEASE);
}

/* --- texts --- */

static char *bytes_of(const m2_copy_t *copy, apr_uint64_t version)
{
    return copy->shared->bytes + (version % 2) * copy->max;
}

m2_copy_t *m2_copy_open(apr_pool_t *process, const char *kind, const char *path,
                        apr_size_t max)
{
    char key[PATH_MAX + 64];
    const int n = apr_snprintf(key, sizeof(key), LAYOUT " %" APR_SIZE_T_FMT " %s %s", max, kind,
                               path);
    void *data = NULL;
    m2_copy_t *copy;
    apr_shm_t *shm;

    apr_pool_userdata_get(&data, key, process);
    if (data) {
        return data;
    }
    if (n >= (int)sizeof(key) - 1
        || apr_shm_create(&shm, sizeof(shared_t) + 2 * max, NULL, process) != APR_SUCCESS) {
        return NULL;
    }
    copy = apr_palloc(process, sizeof(*copy));
    copy->path = apr_pstrdup(process, path);
    copy->max = max;
    copy->shared = apr_shm_baseaddr_get(shm); /* anonymous, so it comes zeroed */
    apr_pool_userdata_set(copy, key, NULL, process);
    return copy;
}

static int is_current(const m2_copy_t *copy, m2_slice_t text)
{
    const apr_uint64_t version = copy->shared->version;

    return version
           && m2_slice_eq(m2_slice(bytes_of(copy, version),
                                   copy->shared->texts[version % 2].size), text);
}

static void write_next(m2_copy_t *copy, m2_slice_t text, apr_time_t now)
{
    shared_t *shared = copy->shared;
    const apr_uint64_t version = shared->version + 1;

    /* no byte is written before the version is seen that made this text the idle one */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(bytes_of(copy, version), text.p, text.n);
    shared->texts[version % 2] = (text_t){ text.n, now };
    __atomic_store_n(&shared->checked, (apr_uint64_t)now, __ATOMIC_RELAXED);
    __atomic_store_n(&shared->version, version, __ATOMIC_RELEASE);
}

int m2_copy_put(m2_copy_t *copy, apr_uint64_t *pversion, m2_slice_t text,
                const m2_stamp_t *stamp, apr_time_t now)
{
    m2_stamp_t there;

    if (!copy || text.n > copy->max || !lock(copy->shared)) {
        return 0;
    }
    if (!is_current(copy, text)
        && (!stamp
            || (m2_file_stamp(&there, copy->path) && m2_stamp_same(&there, stamp)))) {
        write_next(copy, text, now);
    }
    if (is_current(copy, text)) {
        *pversion = copy->shared->version;
        m2_copy_confirm(copy, *pversion, now);
    }
    unlock(copy->shared);
    return 1;
}

/* one try; 0 when a writer changed it meanwhile */
static int read_once(m2_slice_t *text, const m2_copy_t *copy, apr_uint64_t version,
                     apr_time_t *psince, apr_pool_t *pool)
{
    const text_t found = copy->shared->texts[version % 2];
    const apr_size_t n = found.size <= copy->max ? found.size : 0;
    char *bytes = m2_file_room(pool, n);

    memcpy(bytes, bytes_of(copy, version), n);
    bytes[n] = '\0';
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&copy->shared->version, __ATOMIC_RELAXED) != version) {
        return 0;
    }
    *text = m2_slice(bytes, n);
    if (psince) {
        *psince = found.since;
    }
    return 1;
}

m2_slice_t m2_copy_get(const m2_copy_t *copy, apr_uint64_t *pversion, apr_time_t *psince,
                       apr_pool_t *pool)
{
    m2_slice_t text = m2_slice(NULL, 0);
    apr_uint64_t version;
    int i;

    for (i = 0; copy && i < READ_TRIES; i++) {
        version = __atomic_load_n(&copy->shared->version, __ATOMIC_ACQUIRE);
        if (!version || version == *pversion) {
            break;
        }
        if (read_once(&text, copy, version, psince, pool)) {
            *pversion = version;
            break;
        }
    }
    return text;
}

void m2_copy_confirm(m2_copy_t *copy, apr_uint64_t version, apr_time_t now)
{
    if (copy && version
        && __atomic_load_n(&copy->shared->version, __ATOMIC_ACQUIRE) == version) {
        __atomic_store_n(&copy->shared->checked, (apr_uint64_t)now, __ATOMIC_RELEASE);
    }
}

apr_time_t m2_copy_checked(const m2_copy_t *copy, apr_uint64_t version)
{
    apr_time_t checked;

    if (!copy || !version) {
        return 0;
    }
    checked = (apr_time_t)__atomic_load_n(&copy->shared->checked, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&copy->shared->version, __ATOMIC_ACQUIRE) == version ? checked : 0;
}

apr_uint64_t m2_copy_version(const m2_copy_t *copy)
{
    return copy ? __atomic_load_n(&copy->shared->version, __ATOMIC_ACQUIRE) : 0;
}

/* FNV-1a */
static apr_uint64_t hash_on(apr_uint64_t hash, const void *bytes, apr_size_t n)
{
    const unsigned char *p = bytes;

    while (n-- > 0) {
        hash = (hash ^ *p++) * 0x100000001b3u;
    }
    return hash;
}

int m2_copy_tell(m2_copy_t *copy, const char *text, const m2_stamp_t *stamp)
{
    apr_uint64_t hash = 0;

    if (!copy) {
        return 1;
    }
    if (text) {
        hash = hash_on(0xcbf29ce484222325u, text, strlen(text));
        hash = hash_on(hash, &stamp->inode, sizeof(stamp->inode));
        hash = hash_on(hash, &stamp->mtime, sizeof(stamp->mtime));
        hash = hash_on(hash, &stamp->size, sizeof(stamp->size));
    }
    return __atomic_exchange_n(&copy->shared->told, hash, __ATOMIC_ACQ_REL) != hash;
}
