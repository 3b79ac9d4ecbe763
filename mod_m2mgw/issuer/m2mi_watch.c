/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * When a changed file is believed is for m2_file_watch to say. What it holds is read into a
 * pool of its own and swapped in as a whole; what was in force goes when the last request
 * that may hold it has left.
 */
#include "issuer/m2mi_watch.h"

#include "issuer/m2mi_module.h"

#include "key/m2_keyring.h"
#include "oauth/m2_view.h"
#include "text/m2_file_account.h"
#include "text/m2_copy.h"

#include <unixd.h>

#include <errno.h>
#include <unistd.h>

#define LOOK_EVERY 5 /* ticks */

/* one meaning of the file */
typedef struct version_t version_t;
struct version_t {
    apr_pool_t *pool; /* NULL for what the configuration's pool holds */
    const void *object;
    m2_grace_t grace; /* once it is retired */
    version_t *next;
};

struct m2mi_watch_t {
    const m2mi_watch_kind_t *kind;
    const char *path;
    void *baton;
    server_rec *server;
    m2_keyring_t *ring; /* the object in force; a ring never looks into what it holds */
    version_t *current, *retired;
    m2_watch_t watch;   /* what was believed, and what is not yet */
    m2_stamp_t noted;   /* at the last look */
    int broken;         /* what was taken last does not parse */
    int ill;            /* the file is bad now; requests read it */
    int unsafe;         /* likewise: everybody may write it */
    int lost;           /* likewise: bad at the restart that named it, with nothing to go on */
    apr_uint32_t changes; /* requests read it */
    m2_copy_t *copy;      /* of what any process believed last */
    apr_uint64_t version; /* of it that object means */
};

/* filled while configuration is read, then used by one thread of a process */
static apr_array_header_t *watches; /* of m2mi_watch_t * */
static int ticks;

void m2mi_watch_reset(apr_pool_t *pconf)
{
    watches = apr_array_make(pconf, 4, sizeof(m2mi_watch_t *));
    ticks = 0;
}

int m2mi_restarts(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_NORMAL
           && ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

int m2mi_watch_any(void)
{
    return watches->nelts > 0;
}

static m2mi_watch_t *watch_at(int i)
{
    return APR_ARRAY_IDX(watches, i, m2mi_watch_t *);
}

static int flags_of(const m2mi_watch_t *watch)
{
    return M2_FILE_DECIDES | (watch->kind->lines ? M2_FILE_LINES : 0);
}

/* --- versions --- */

static version_t *version_make(void)
{
    apr_pool_t *pool;
    version_t *version;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return NULL;
    }
    version = apr_pcalloc(pool, sizeof(*version));
    version->pool = pool;
    return version;
}

static void version_swap(m2mi_watch_t *watch, version_t *version)
{
    version_t *old = watch->current;

    watch->current = version;
    m2_keyring_swap(watch->ring, version->object);
    __atomic_store_n(&watch->lost, 0, __ATOMIC_RELEASE);
    if (old->pool) {
        old->grace = m2_grace_begin();
        old->next = watch->retired;
        watch->retired = old;
    }
}

/* what no request can hold any more */
static void versions_free(m2mi_watch_t *watch)
{
    version_t **link = &watch->retired;

    while (*link) {
        version_t *version = *link;

        if (m2_grace_over(&version->grace)) {
            *link = version->next;
            apr_pool_destroy(version->pool);
        }
        else {
            link = &version->next;
        }
    }
}

/* --- one file --- */

static void say(const m2mi_watch_t *watch, const char *wrong)
{
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, watch->server, "M2-706: %s %s; %s",
                 watch->kind->directive, wrong,
                 watch->kind->meanwhile ? watch->kind->meanwhile
                 : watch->current->object ? "the last good state stays in force"
                                        : "what needs it is answered 503 until it is good");
}

/* The file cannot be used: what any process has believed counts, which may be later than
 * what this one has. */
static void catch_up(m2mi_watch_t *watch)
{
    version_t *version = version_make();
    m2_slice_t text;

    if (!version) {
        return;
    }
    text = m2_copy_get(watch->copy, &watch->version, NULL, version->pool);
    if (text.p && !watch->kind->parse(&version->object, version->pool, watch->path, text, 0,
                                      watch->baton)) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, watch->server,
                     "M2-717: %s: taken over from another process", watch->path);
        version_swap(watch, version);
    }
    else {
        apr_pool_destroy(version->pool);
    }
}

/* A text that counts: in force, or a reason why not. */
static const char *take(m2mi_watch_t *watch, version_t *version, const m2_file_t *file)
{
    const char *wrong = watch->kind->parse(&version->object, version->pool, watch->path,
                                           file->text, 0, watch->baton);

    if (!wrong) {
        version_swap(watch, version);
        if (!watch->watch.partial) { /* the last line may be half of one */
            m2_copy_put(watch->copy, &watch->version, file->text, &file->stamp,
                        apr_time_now());
        }
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, watch->server, "M2-707: %s: read again",
                     watch->path);
    }
    return wrong;
}

/* any difference at all, before it is believed */
static void note_change(m2mi_watch_t *watch)
{
    m2_stamp_t stamp;

    if (!m2_file_stamp(&stamp, watch->path)) {
        memset(&stamp, 0, sizeof(stamp));
    }
    if (!m2_stamp_same(&stamp, &watch->noted)) {
        __atomic_add_fetch(&watch->changes, 1, __ATOMIC_RELEASE);
    }
    watch->noted = stamp;
}

/* it cannot be read, and should be there */
static int is_wanting(const m2mi_watch_t *watch)
{
    return watch->watch.fault
           && !(watch->kind->optional && watch->watch.fault == M2_FILE_MISSING);
}

static void look(m2mi_watch_t *watch, apr_time_t now)
{
    version_t *version = version_make();
    const char *wrong = NULL;
    m2_look_t found;
    m2_file_t file;
    m2_err_t err;

    if (!version) {
        return;
    }
    note_change(watch);
    m2_err_init(&err, version->pool);
    found = m2_file_watch(&watch->watch, &file, version->pool, watch->path,
                          watch->kind->max, flags_of(watch), now, &err);
    if (found == M2_LOOK_TAKEN) {
        wrong = take(watch, version, &file);
        watch->broken = wrong != NULL;
    }
    else if (found == M2_LOOK_BAD) {
        wrong = err.text;
    }
    if (wrong && !(watch->kind->optional && watch->watch.fault == M2_FILE_MISSING)) {
        if (m2_copy_tell(watch->copy, wrong, &watch->noted)) {
            say(watch, wrong);
        }
    }
    else if (found == M2_LOOK_TAKEN) {
        m2_copy_tell(watch->copy, NULL, NULL);
    }
    __atomic_store_n(&watch->ill, watch->broken || is_wanting(watch), __ATOMIC_RELEASE);
    __atomic_store_n(&watch->unsafe, watch->watch.fault == M2_FILE_UNSAFE, __ATOMIC_RELEASE);
    if (found != M2_LOOK_TAKEN || wrong) {
        apr_pool_destroy(version->pool);
    }
    if (watch->broken || watch->watch.fault) {
        catch_up(watch);
    }
}

void m2mi_watch_tick(apr_time_t now)
{
    int i;

    if (++ticks % LOOK_EVERY) {
        return;
    }
    for (i = 0; i < watches->nelts; i++) {
        look(watch_at(i), now);
        versions_free(watch_at(i));
    }
}

/* Read access is the children's; a change does not count where they have none. */
static void check_access(const m2mi_watch_t *watch, server_rec *s)
{
    if (!watch->kind->optional && access(watch->path, R_OK) != 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "M2-705: %s %s: changes to it, revocations too, do not count while the "
                     "server's User cannot read it", watch->kind->directive, watch->path);
    }
}

void m2mi_watch_unreadable(apr_array_header_t *texts, apr_pool_t *pool)
{
    const m2_account_t user = { ap_unixd_config.user_id, ap_unixd_config.group_id,
                                ap_unixd_config.user_name };
    int i;

    for (i = 0; i < watches->nelts; i++) {
        const m2mi_watch_t *watch = watch_at(i);

        if (watch->current->object && !m2_account_reads(&user, watch->path)) {
            APR_ARRAY_PUSH(texts, const char *) =
                apr_psprintf(pool, "the server's User cannot read the %s %s: %s",
                             watch->kind->directive, watch->path,
                             watch->kind->optional ? "logins with it will be answered 503"
                                                   : "changes of it will not be seen");
        }
    }
}

void m2mi_watch_child(server_rec *s)
{
    int i;

    for (i = 0; i < watches->nelts; i++) {
        check_access(watch_at(i), s);
        look(watch_at(i), apr_time_now());
    }
}

/* --- at the start --- */

static m2mi_watch_t *watch_make(apr_pool_t *pool, server_rec *s,
                                const m2mi_watch_kind_t *kind, const char *path, void *baton)
{
    m2mi_watch_t *watch = apr_pcalloc(pool, sizeof(*watch));

    watch->kind = kind;
    watch->path = path;
    watch->baton = baton;
    watch->server = s;
    watch->ring = m2_keyring_make(pool, NULL);
    watch->current = apr_pcalloc(pool, sizeof(version_t));
    watch->copy = m2_copy_open(s->process->pool, kind->directive, path, kind->max);
    return watch;
}

/* At a restart, lines that somebody may be writing say nothing yet: what counted before goes on
 * to count, until a look finds the file at rest. */
static int goes_on_with_copy(m2mi_watch_t *watch, apr_pool_t *pool, const m2_file_t *file)
{
    m2_slice_t text;

    if (!watch->kind->lines || !m2mi_restarts() || m2_file_is_settled(file, apr_time_now())) {
        return 0;
    }
    text = m2_copy_get(watch->copy, &watch->version, NULL, pool);
    if (!text.p || m2_slice_eq(text, file->text)
        || watch->kind->parse(&watch->current->object, pool, watch->path, text, 0,
                              watch->baton)) {
        watch->version = 0;
        return 0;
    }
    memset(&watch->watch, 0, sizeof(watch->watch));
    return 1;
}

static const char *read_first(m2mi_watch_t *watch, apr_pool_t *pool, m2_file_t *file)
{
    const char *wrong = NULL;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_file_read(file, pool, watch->path, watch->kind->max, flags_of(watch), &err)
        != M2_OK) {
        wrong = err.text;
    }
    m2_watch_begin(&watch->watch, file, apr_time_now());
    watch->noted = file->stamp;
    if (!wrong) {
        wrong = watch->kind->parse(&watch->current->object, pool, watch->path, file->text, 1,
                                   watch->baton);
    }
    if (!wrong) {
        m2_copy_tell(watch->copy, NULL, NULL);
    }
    if (!wrong && !goes_on_with_copy(watch, pool, file)) {
        m2_copy_put(watch->copy, &watch->version, file->text, &file->stamp, apr_time_now());
    }
    return wrong;
}

/* A running server that is restarted goes on with what the file held before; what needs one
 * that was never good is unavailable. */
static int stand_in(m2mi_watch_t *watch, apr_pool_t *pool, const char *wrong)
{
    m2_slice_t text;

    if (!m2mi_restarts()) {
        return 0;
    }
    text = m2_copy_get(watch->copy, &watch->version, NULL, pool);
    if (!text.p || watch->kind->parse(&watch->current->object, pool, watch->path, text, 0,
                                      watch->baton)) {
        watch->current->object = NULL;
        watch->lost = 1;
    }
    watch->broken = watch->ill = 1;
    m2_copy_tell(watch->copy, wrong, &watch->noted); /* the children need not */
    say(watch, wrong);
    return 1;
}

static int is_absent(const m2_file_t *file)
{
    return file->fault == M2_FILE_MISSING || file->fault == M2_FILE_UNREADABLE;
}

static m2mi_watch_t *watch_of(const m2mi_watch_kind_t *kind, const char *path, const void *baton)
{
    int i;

    for (i = 0; i < watches->nelts; i++) {
        m2mi_watch_t *watch = watch_at(i);

        if (watch->kind == kind && watch->baton == baton && strcmp(watch->path, path) == 0) {
            return watch;
        }
    }
    return NULL;
}

const char *m2mi_watch_open(m2mi_watch_t **pwatch, apr_pool_t *pool, server_rec *s,
                            const m2mi_watch_kind_t *kind, const char *path, void *baton)
{
    m2mi_watch_t *watch = watch_of(kind, path, baton);
    m2_file_t file;
    const char *wrong;

    if (watch) {
        *pwatch = watch;
        return NULL;
    }
    watch = watch_make(pool, s, kind, path, baton);
    wrong = read_first(watch, pool, &file);
    if (wrong && !(kind->optional && is_absent(&file)) && !stand_in(watch, pool, wrong)) {
        return apr_pstrcat(pool, kind->directive, " ", wrong, NULL);
    }
    m2_keyring_swap(watch->ring, watch->current->object);
    APR_ARRAY_PUSH(watches, m2mi_watch_t *) = watch;
    *pwatch = watch;
    return NULL;
}

/* --- in requests --- */

const void *m2mi_watch_enter(const m2mi_watch_t *watch)
{
    return m2_keyring_enter(watch->ring);
}

void m2mi_watch_leave(const m2mi_watch_t *watch)
{
    m2_keyring_leave(watch->ring);
}

apr_uint32_t m2mi_watch_changes(const m2mi_watch_t *watch)
{
    return __atomic_load_n(&watch->changes, __ATOMIC_ACQUIRE);
}

int m2mi_watch_unsafe(const m2mi_watch_t *watch)
{
    return __atomic_load_n(&watch->unsafe, __ATOMIC_ACQUIRE);
}

void m2mi_watch_ill(apr_array_header_t *list)
{
    int i;

    for (i = 0; i < watches->nelts; i++) {
        const m2mi_watch_t *watch = watch_at(i);

        if (__atomic_load_n(&watch->ill, __ATOMIC_ACQUIRE)) {
            APR_ARRAY_PUSH(list, m2_ill_file_t) = (m2_ill_file_t){
                watch->path, watch->kind->directive, !m2mi_watch_lost(watch)
            };
        }
    }
}

int m2mi_watch_lost(const m2mi_watch_t *watch)
{
    return __atomic_load_n(&watch->lost, __ATOMIC_ACQUIRE);
}

const char *m2mi_watch_path(const m2mi_watch_t *watch)
{
    return watch->path;
}
