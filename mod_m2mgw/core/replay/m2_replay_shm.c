/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The store of one machine: a table in shared memory or in a file. It stays with the parent
 * process over graceful restarts, and goes over to another size or place with every live mark.
 */
#include "replay/m2_replay_file.h"
#include "replay/m2_replay_store.h"

#include "base/m2_log.h"
#include "replay/m2_lock.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 100       /* times 50 ms for another server to finish opening */
#define USERDATA "m2_replay_shm/1" /* name the layout: another release may find it */

static m2_code_t shm_mark(m2_replay_t *store, const unsigned char *bytes,
                          apr_time_t expires_at, apr_time_t now, int *pfull, char *why)
{
    m2_rt_t *table = store->state;
    apr_uint64_t sec = (apr_uint64_t)apr_time_sec(now), id[2];
    apr_uint64_t expiry = (apr_uint64_t)apr_time_sec(expires_at + APR_USEC_PER_SEC - 1);
    const apr_uint32_t leeway = (apr_uint32_t)store->spec->leeway + 1;
    m2_rt_marked_t marked = M2_RT_FULL;
    apr_uint32_t retired;

    memcpy(id, bytes, sizeof(id));
    if (m2_rt_lock(table, sec) != 0) {
        apr_cpystrn(why, "its lock is stuck: a process that holds it is stopped",
                    M2_REPLAY_WHY);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    retired = table->state->retired;
    if (!retired) {
        if (table->state->leeway.now > leeway) { /* of an older configuration than the last */
            expiry += table->state->leeway.now - leeway;
        }
        m2_rt_advance(table, sec);
        marked = m2_rt_mark(table, id, expiry, sec);
    }
    pthread_mutex_unlock(&table->state->lock);
    if (retired) {
        apr_cpystrn(why, "a restart is replacing the table", M2_REPLAY_WHY);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    if (marked == M2_RT_FULL) {
        *pfull = 1;
        apr_snprintf(why, M2_REPLAY_WHY,
                     "is full with %u live tokens; set M2MReplayStore %s entries=%u",
                     table->head->entries, store->name, table->head->entries * 2);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    return marked == M2_RT_KNOWN ? M2_E_JTI_REPLAYED : M2_OK;
}

/**************************************************************************************/
/* opening; a table stays with the process over graceful restarts */

static m2_code_t open_memory(m2_rt_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    if (!m2_rt_map(table, -1, m2_rt_size(spec->entries))) {
        return m2_rt_fault(err, "shm", "get the memory");
    }
    if (!m2_rt_make_head(table->head, spec->entries) || !m2_lock_make(&table->state->lock)) {
        return m2_rt_fault(err, "shm", "make the table");
    }
    table->state->hand = table->head->created;
    return M2_OK;
}

/* Whether the process's table is what spec asks for. */
static int still_right(const m2_rt_t *table, const m2_replay_spec_t *spec)
{
    struct stat st;

    if (!table->head || table->head->entries != spec->entries
        || !m2_slice_is(m2_slice_z(spec->path ? spec->path : ""), table->path)) {
        return 0;
    }
    if (spec->path && (lstat(spec->path, &st) != 0 || st.st_dev != table->dev
                       || st.st_ino != table->ino)) {
        m2_log(M2_LOG_WARNING,
               "replay store %s: the file was removed or replaced while in use; the table "
               "in use goes on, the file counts from the next stop and start on",
               spec->path);
    }
    return 1;
}

/* The file the process has in use, in another size. */
static m2_code_t resize_in_use(m2_rt_t *table, m2_rt_t *old, const m2_replay_spec_t *spec,
                               m2_err_t *err)
{
    int dir = m2_rt_lock_directory(spec->path, OPEN_TRIES);
    m2_code_t code;

    if (dir < 0) {
        return m2_rt_fault(err, spec->path, "lock the directory of the file");
    }
    code = m2_rt_is_alone(old->fd) ? m2_rt_resize_file(table, old, spec, err)
                             : m2_err_set(err, M2_E_CONFIG,
                                          "replay store %s: another server uses the file "
                                          "with entries=%u", spec->path, old->head->entries);
    close(dir);
    return code;
}

/* Another place for the same marks. */
static m2_code_t move_table(m2_rt_t *table, m2_rt_t *old, const m2_replay_spec_t *spec,
                            m2_err_t *err)
{
    apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    m2_code_t code = spec->path ? m2_rt_open_file(table, spec, err)
                                : open_memory(table, spec, err);

    if (code != M2_OK) {
        return code;
    }
    if (m2_rt_lock(table, now) != 0) { /* a file may have other users */
        return m2_err_set(err, M2_E_CONFIG, "replay store: the lock of the table is stuck");
    }
    m2_rt_advance(table, now);
    if (!m2_rt_take_over(table, old, now)) {
        code = m2_err_set(err, M2_E_CONFIG,
                          "replay store: entries=%u is less than the tokens alive",
                          spec->entries);
    }
    pthread_mutex_unlock(&table->state->lock);
    return code;
}

/* Another table for the same process: children that still serve with the old table are made to
 * refuse before marks could be missed, so that no token is accepted in both. */
static m2_code_t replace(m2_rt_t *table, m2_rt_t *old, const m2_replay_spec_t *spec,
                         m2_err_t *err)
{
    m2_code_t code;

    if (m2_rt_lock(old, (apr_uint64_t)apr_time_sec(apr_time_now())) != 0) {
        return m2_err_set(err, M2_E_CONFIG, "replay store: the lock of the table is stuck");
    }
    if (spec->path && m2_slice_is(m2_slice_z(spec->path), old->path)) {
        code = resize_in_use(table, old, spec, err);
    }
    else {
        code = move_table(table, old, spec, err);
    }
    old->state->retired = code == M2_OK;
    pthread_mutex_unlock(&old->state->lock);
    return code;
}

/* An orderly end of this configuration: what is in memory goes to the disk. */
static apr_status_t write_back(void *baton)
{
    m2_rt_t *table = baton;
    int dir;

    if (!table->head || table->fd < 0 || table->opener != getpid()) {
        return APR_SUCCESS;
    }
    dir = m2_rt_lock_directory(table->path, 1);
    table->state->clean = dir >= 0 && m2_rt_is_alone(table->fd);
    msync(table->head, table->size, MS_SYNC);
    if (dir >= 0) {
        close(dir);
    }
    return APR_SUCCESS;
}

/* How long marks are kept from now on, and those made before. */
static m2_code_t set_leeway(m2_rt_t *table, const m2_replay_spec_t *spec, m2_err_t *err)
{
    const apr_uint64_t now = (apr_uint64_t)apr_time_sec(apr_time_now());
    apr_uint32_t raised;

    if (m2_rt_lock(table, now) != 0) {
        return m2_err_set(err, M2_E_CONFIG, "replay store: the lock of the table is stuck");
    }
    raised = m2_leeway_set(&table->state->leeway, (apr_uint32_t)spec->leeway, 0, now);
    if (raised) {
        m2_rt_extend(table, raised, now);
    }
    pthread_mutex_unlock(&table->state->lock);
    return M2_OK;
}

static m2_code_t shm_open_table(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                                m2_err_t *err)
{
    const m2_replay_spec_t *spec = store->spec;
    m2_rt_t *kept = NULL, table;
    void *data = NULL;
    m2_code_t code = M2_OK;

    memset(&table, 0, sizeof(table));
    apr_pool_userdata_get(&data, USERDATA, process);
    kept = data;
    if (!kept) {
        kept = apr_pcalloc(process, sizeof(*kept));
        /* the key is copied: the text of a module does not survive a restart */
        apr_pool_userdata_set(kept, USERDATA, NULL, process);
    }
    if (!still_right(kept, spec)) {
        if (kept->head) {
            code = replace(&table, kept, spec, err);
        }
        else {
            code = spec->path ? m2_rt_open_file(&table, spec, err)
                              : open_memory(&table, spec, err);
        }
        if (code != M2_OK) {
            if (table.head) {
                m2_rt_unmap(&table);
            }
            return code;
        }
        if (kept->head) {
            m2_rt_unmap(kept); /* children have their own mapping of it */
        }
        *kept = table;
    }
    kept->opener = getpid();
    kept->state->clean = 0;
    store->state = kept;
    store->leeway = &kept->state->leeway;
    if ((code = set_leeway(kept, spec, err)) != M2_OK) {
        return code;
    }
    apr_pool_cleanup_register(pool, kept, write_back, apr_pool_cleanup_null);
    return M2_OK;
}

static m2_code_t shm_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    (void)store; /* the mapping was inherited */
    (void)pool;
    (void)err;
    return M2_OK;
}

static void shm_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    const m2_rt_t *table = store->state;

    stats->entries = table->head->entries;
    stats->live = __atomic_load_n(&table->state->live, __ATOMIC_RELAXED);
    stats->bytes = table->size;
}

const m2_replay_impl_t m2_replay_shm = { shm_open_table, shm_attach, shm_mark,
                                         shm_stats };
