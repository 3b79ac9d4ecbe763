/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The grant file, watched: every token request looks whether it is still the file that was
 * read (one stat), so that a revocation counts from the next request on. A changed file is
 * read into a table of its own and swapped in whole; a broken one is complained about once
 * and the last good table stays. A table goes when the last request that uses it does.
 *
 * One lock, held over the stat and a reading: a request that comes while a new file is read
 * waits for it rather than being answered from the old one.
 *
 * What was read last and good is also kept for all processes together. A process that had
 * nothing to do between a revocation and a broken file would otherwise keep what it read
 * before the revocation.
 */
#include "issuer/m2mi.h"

#include <apr_shm.h>
#include <apr_thread_mutex.h>

/* what tells one state of the file from another; ctime catches what sets mtime back */
typedef struct stamp_t {
    apr_dev_t device;
    apr_ino_t inode;
    apr_off_t size;
    apr_time_t mtime;
    apr_time_t ctime;
} stamp_t;

typedef struct table_t {
    apr_pool_t *pool; /* NULL for the first table, which the configuration's pool holds */
    const m2_grants_t *grants;
    int users;
} table_t;

/* The last good text, in memory that all children share. seq is odd while one writes; a
 * reader that sees it odd or changed has read nothing. */
typedef struct last_good_t {
    apr_uint32_t seq;
    apr_time_t ctime; /* of the file it was read from */
    apr_size_t size;
    char text[M2_MAX_GRANT_BYTES]; /* pages nobody wrote take no memory */
} last_good_t;

struct m2mi_watch_t {
    apr_thread_mutex_t *mutex;
    stamp_t seen;   /* the state last read, good or not */
    int missing;    /* it could not be read at all; said once */
    last_good_t *shared; /* NULL: no shared memory, each process for itself */
    apr_time_t ctime;    /* of the file that table was read from */
    table_t *table; /* in force */
};

/* a request's hold on a table */
typedef struct hold_t {
    m2mi_watch_t *watch;
    table_t *table;
} hold_t;

#define STAMP (APR_FINFO_SIZE | APR_FINFO_MTIME | APR_FINFO_CTIME | APR_FINFO_INODE | \
               APR_FINFO_DEV)

static stamp_t stamp_of(const apr_finfo_t *finfo)
{
    stamp_t stamp;

    memset(&stamp, 0, sizeof(stamp));
    stamp.device = finfo->device;
    stamp.inode = finfo->inode;
    stamp.size = finfo->size;
    stamp.mtime = finfo->mtime;
    stamp.ctime = finfo->ctime;
    return stamp;
}

/* --- what all processes know --- */

static void share_text(last_good_t *shared, m2_slice_t text, apr_time_t ctime)
{
    apr_uint32_t seq = __atomic_load_n(&shared->seq, __ATOMIC_ACQUIRE);

    if ((seq & 1) || ctime < shared->ctime
        || !__atomic_compare_exchange_n(&shared->seq, &seq, seq + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
        return; /* somebody else writes, or has read a later one */
    }
    shared->ctime = ctime;
    shared->size = text.n;
    memcpy(shared->text, text.p, text.n);
    __atomic_store_n(&shared->seq, seq + 2, __ATOMIC_RELEASE);
}

/* A copy of the text, when it is later than what the caller has; "there is none" otherwise. */
static m2_slice_t shared_text(const last_good_t *shared, apr_time_t *pctime, apr_pool_t *pool)
{
    const apr_uint32_t seq = __atomic_load_n(&shared->seq, __ATOMIC_ACQUIRE);
    const apr_size_t size = shared->size;
    const apr_time_t ctime = shared->ctime;
    char *copy;

    if ((seq & 1) || ctime <= *pctime || size > sizeof(shared->text)) {
        return m2_slice(NULL, 0);
    }
    copy = apr_pmemdup(pool, shared->text, size + 1);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&shared->seq, __ATOMIC_RELAXED) != seq) {
        return m2_slice(NULL, 0);
    }
    *pctime = ctime;
    return m2_slice(copy, size);
}

/* --- reading --- */

/* fixed grants and the text's, in pool */
static const char *table_parse(const m2_grants_t **pgrants, const m2mi_grants_t *grants,
                               m2_slice_t text, apr_pool_t *pool)
{
    m2_grants_t *all = m2_grants_make(pool);
    m2_code_t rc;
    m2_err_t err;

    m2_err_init(&err, pool);
    rc = m2_grants_add_all(all, grants->fixed, &err);
    rc = rc == M2_OK ? m2_grants_parse(all, text, &err) : rc;
    if (rc != M2_OK) {
        return apr_psprintf(pool, "%s line %d: %s", grants->file, err.line, err.text);
    }
    *pgrants = all;
    return NULL;
}

static const char *table_read(const m2_grants_t **pgrants, m2mi_watch_t *watch,
                              const m2mi_grants_t *grants, apr_pool_t *pool)
{
    m2_slice_t text;
    apr_finfo_t finfo;
    const char *wrong =
        m2mi_file_read(&text, &finfo, pool, grants->file, M2_MAX_GRANT_BYTES);

    if (wrong) {
        return wrong;
    }
    watch->seen = stamp_of(&finfo);
    wrong = table_parse(pgrants, grants, text, pool);
    if (!wrong) {
        watch->ctime = finfo.ctime;
        if (watch->shared) {
            share_text(watch->shared, text, finfo.ctime);
        }
    }
    return wrong;
}

static last_good_t *share_open(apr_pool_t *pool)
{
    apr_shm_t *shm;

    if (apr_shm_create(&shm, sizeof(last_good_t) + 1, NULL, pool) != APR_SUCCESS) {
        return NULL;
    }
    return apr_shm_baseaddr_get(shm); /* anonymous, so it comes zeroed */
}

const char *m2mi_watch_open(m2mi_grants_t *grants, apr_pool_t *pool)
{
    m2mi_watch_t *watch = apr_pcalloc(pool, sizeof(*watch));
    const char *wrong;

    watch->table = apr_pcalloc(pool, sizeof(*watch->table));
    watch->table->users = 1; /* the watch itself */
    watch->shared = share_open(pool);
    wrong = watch->shared ? table_read(&watch->table->grants, watch, grants, pool)
                          : "no shared memory for what was read";
    if (wrong) {
        return apr_pstrcat(pool, "M2MGrantFile ", wrong, NULL);
    }
    if (apr_thread_mutex_create(&watch->mutex, APR_THREAD_MUTEX_DEFAULT, pool) !=
        APR_SUCCESS) {
        return "M2MGrantFile: cannot create a mutex";
    }
    grants->watch = watch;
    return NULL;
}

void m2mi_watch_child(const m2mi_grants_t *grants, server_rec *s)
{
    apr_file_t *file;
    apr_pool_t *pool;
    apr_status_t rv;

    apr_pool_create(&pool, NULL);
    rv = apr_file_open(&file, grants->file, APR_FOPEN_READ | APR_FOPEN_NONBLOCK,
                       APR_FPROT_OS_DEFAULT, pool);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "M2-705: %s: the server's User cannot read it, so changes to it, "
                     "revocations too, will not count until a restart", grants->file);
    }
    apr_pool_destroy(pool);
}

/* with the lock held */
static void table_drop(table_t *table)
{
    if (--table->users == 0 && table->pool) {
        apr_pool_destroy(table->pool);
    }
}

static table_t *table_make(void)
{
    apr_pool_t *pool;
    table_t *table;

    if (apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) {
        return NULL;
    }
    table = apr_pcalloc(pool, sizeof(*table));
    table->pool = pool;
    table->users = 1;
    return table;
}

static void table_replace(m2mi_watch_t *watch, table_t *table)
{
    table_drop(watch->table);
    watch->table = table;
}

/* with the lock held: the file cannot be used, so what any process read last and good counts,
 * which may be later than what this one has */
static void table_catch_up(const m2mi_grants_t *grants, request_rec *r)
{
    m2mi_watch_t *watch = grants->watch;
    table_t *table = table_make();
    m2_slice_t text = m2_slice(NULL, 0);

    if (table) {
        text = shared_text(watch->shared, &watch->ctime, table->pool);
    }
    if (text.p && !table_parse(&table->grants, grants, text, table->pool)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "M2-717: %s: taken over from another process, %u grants", grants->file,
                      m2_grants_count(table->grants));
        table_replace(watch, table);
    }
    else if (table) {
        apr_pool_destroy(table->pool);
    }
}

/* with the lock held: read the file into a new table, or keep the last good one */
static void table_renew(const m2mi_grants_t *grants, request_rec *r)
{
    m2mi_watch_t *watch = grants->watch;
    table_t *table = table_make();
    const char *wrong;

    if (!table) {
        return;
    }
    wrong = table_read(&table->grants, watch, grants, table->pool);
    if (wrong) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "M2-706: M2MGrantFile %s; the last good grants stay in force", wrong);
        apr_pool_destroy(table->pool);
        table_catch_up(grants, r);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-707: %s: read again, %u grants",
                  grants->file, m2_grants_count(table->grants));
    table_replace(watch, table);
}

/* with the lock held */
static void table_check(const m2mi_grants_t *grants, request_rec *r)
{
    m2mi_watch_t *watch = grants->watch;
    apr_finfo_t finfo;
    stamp_t now;
    apr_status_t rv = apr_stat(&finfo, grants->file, STAMP, r->pool);

    if (rv != APR_SUCCESS && rv != APR_INCOMPLETE) {
        if (!watch->missing) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                          "M2-708: M2MGrantFile %s; the last good grants stay in force",
                          grants->file);
        }
        if (!watch->missing) {
            table_catch_up(grants, r);
        }
        watch->missing = 1;
        return;
    }
    now = stamp_of(&finfo);
    if (watch->missing || memcmp(&now, &watch->seen, sizeof(now)) != 0) {
        watch->missing = 0;
        watch->seen = now;
        table_renew(grants, r);
    }
}

static apr_status_t hold_end(void *data)
{
    hold_t *hold = data;

    apr_thread_mutex_lock(hold->watch->mutex);
    table_drop(hold->table);
    apr_thread_mutex_unlock(hold->watch->mutex);
    return APR_SUCCESS;
}

const m2_grants_t *m2mi_grants_now(const m2mi_grants_t *grants, request_rec *r)
{
    m2mi_watch_t *watch = grants->watch;
    hold_t *hold;

    if (!watch) {
        return grants->fixed;
    }
    hold = apr_palloc(r->pool, sizeof(*hold));
    hold->watch = watch;
    apr_thread_mutex_lock(watch->mutex);
    table_check(grants, r);
    hold->table = watch->table;
    hold->table->users++;
    apr_thread_mutex_unlock(watch->mutex);
    apr_pool_cleanup_register(r->pool, hold, hold_end, apr_pool_cleanup_null);
    return hold->table->grants;
}
