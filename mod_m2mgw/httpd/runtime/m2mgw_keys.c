/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * post_config, in the parent: memory for the slots, the state directory, the last good
 * copies, a place in mod_watchdog. Then in every child one thread of mod_watchdog's ticks;
 * requests only read the ring and, for an unknown kid, leave a wish in a slot.
 */
#include "httpd/config/m2mgw_section.h"
#include "httpd/runtime/m2mgw_keys.h"

#include "host/m2h_watch.h"

#include "base/m2_hold.h"

#include <apr_shm.h>
#include <ap_mpm.h>
#include <http_main.h>
#include <scoreboard.h>
#include <unixd.h>

/* written when the server starts, and by child_init */
static struct {
    m2_jwks_t *jwks;
    m2_fetch_tls_t tls;
    apr_array_header_t *narrowed; /* of narrowed_t: what M2MAlgorithms leaves of keys that may
                                     change; its marks are the ticks' */
} keys;

typedef struct narrowed_t {
    const m2mgw_dir_t *dir;
    const char *place;
    apr_uint64_t told; /* generation of the set that was complained about */
} narrowed_t;

/* A quarter of the threads that run now, over all children. */
static apr_size_t seats_now(void)
{
    int limit = 1, threads = 1, running = 0, i;

    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit) != APR_SUCCESS) {
        limit = 1;
    }
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1;
    }
    for (i = 0; i < limit; i++) {
        const process_score *child = ap_get_scoreboard_process(i);

        running += child && child->pid && !child->quiescing;
    }
    return running * threads < 8 ? 1 : (apr_size_t)(running * threads) / 4;
}

int m2mgw_keys_missing(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       int wait)
{
    return m2_jwks_ask(ring, kid, apr_time_now()) && wait > 0
           && m2_jwks_wait(ring, generation, apr_time_from_msec(wait), seats_now());
}

/* 0: no key of the current set can do an algorithm of M2MAlgorithms. */
static int fits(const m2mgw_dir_t *dir, apr_uint64_t *pgeneration)
{
    const m2_keyset_t *set = m2_keyring_enter(dir->keys);
    const int one = !set || (set->algs & dir->algs);

    *pgeneration = set ? set->generation : 0;
    m2_keyring_leave(dir->keys);
    return one;
}

int m2mgw_keys_fit(const m2mgw_dir_t *dir)
{
    apr_uint64_t generation;

    return !dir->keys || !dir->algs || fits(dir, &generation);
}

/* Keys of a URL are known when they have come; each set is reported once in a process. */
static void tell_what_does_not_fit(void)
{
    apr_uint64_t generation;
    int i;

    for (i = 0; i < keys.narrowed->nelts; i++) {
        narrowed_t *one = &APR_ARRAY_IDX(keys.narrowed, i, narrowed_t);

        if (!fits(one->dir, &generation) && generation != one->told) {
            one->told = generation;
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, "M2-503: the section "
                         "in %s: M2MAlgorithms names none that a key of the current set can "
                         "do: every token is refused", one->place);
        }
    }
}

static apr_array_header_t *narrowed(apr_pool_t *pconf)
{
    const apr_array_header_t *all = m2mgw_cfg_sections();
    apr_array_header_t *list = apr_array_make(pconf, 4, sizeof(narrowed_t));
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(all, i, m2mgw_section_t *);
        const m2mgw_dir_t *dir = m2mgw_cfg_resolved(pconf, section);
        m2mgw_effective_t effective;

        if ((section->dir->keys || section->dir->algs) && m2mgw_effective(&effective, dir)
            && dir->keys && dir->algs && m2_keyring_feed(dir->keys)) {
            narrowed_t *one = apr_array_push(list);

            one->dir = dir;
            one->place = m2mgw_cfg_place(pconf, section->where ? section->where
                                                               : section->first);
            one->told = 0;
        }
    }
    return list;
}

/* --- the watchdog's thread --- */

static void tick(apr_time_t now)
{
    m2_jwks_tick(keys.jwks, now);
    tell_what_does_not_fit();
}

/* Where this is not reached in time, a claim expires by itself. */
static void end(void)
{
    m2_jwks_stop(keys.jwks);
}

static m2h_watch_t watch = { "_m2mgw_keys_", tick, end, 0, 0 };

/* --- the parent --- */

static int refuse(server_rec *s, int level, apr_status_t status, const char *what)
{
    ap_log_error(APLOG_MARK, level, status, s, "M2-501: key sources: %s", what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* A quarter of the threads that can run, over all children: more never wait. */
static apr_size_t most_waiters(void)
{
    int daemons = 1, threads = 1;

    if (ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &daemons) != APR_SUCCESS || daemons < 1) {
        daemons = 1;
    }
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1;
    }
    return (apr_size_t)daemons * (apr_size_t)threads / 4;
}

static int share_slots(apr_pool_t *pconf, server_rec *s)
{
    apr_size_t size;
    apr_shm_t *shm;
    apr_status_t status;

    m2_jwks_set_waiters(keys.jwks, most_waiters());
    size = m2_jwks_shared_size(keys.jwks);
    status = apr_shm_create(&shm, size, NULL, pconf);

    if (status != APR_SUCCESS) {
        return refuse(s, APLOG_EMERG, status, "no shared memory");
    }
    memset(apr_shm_baseaddr_get(shm), 0, size);
    m2_jwks_share(keys.jwks, apr_shm_baseaddr_get(shm));
    return OK;
}

static apr_status_t end_fetching(void *data)
{
    (void)data;
    m2_fetch_exit();
    return APR_SUCCESS;
}

/* The directory of M2MStateDir, or one below the runtime directory that is made here and
 * handed to the children's user. */
static int state_directory(const char **pdir, apr_pool_t *pconf, server_rec *s, int level)
{
    const m2mgw_globals_t *globals = m2mgw_globals();
    apr_status_t status;

    *pdir = globals->state_dir;
    if (!*pdir) {
        *pdir = ap_runtime_dir_relative(pconf, "m2mgw");
        status = apr_dir_make(
            *pdir, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, pconf);
        if (status != APR_SUCCESS && !APR_STATUS_IS_EEXIST(status)) {
            return refuse(
                s, level, status,
                apr_psprintf(pconf, "%s cannot be made, set M2MStateDir", *pdir));
        }
        if (geteuid() == 0
            && chown(*pdir, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
            return refuse(s, level, errno,
                          apr_psprintf(pconf, "%s cannot be handed to User", *pdir));
        }
    }
    if (geteuid() != 0 && access(*pdir, W_OK | X_OK) != 0) {
        return refuse(s, level, errno,
                      apr_psprintf(pconf, "%s is not writable, see M2MStateDir", *pdir));
    }
    return OK;
}

static int open_fetching(apr_pool_t *pconf, server_rec *s)
{
    const m2mgw_globals_t *globals = m2mgw_globals();

    keys.tls.ca = globals->jwks_tls.ca;
    keys.tls.cert = globals->jwks_tls.cert;
    keys.tls.key = globals->jwks_tls.key;
    keys.tls.proxy = globals->jwks_tls.proxy;
    keys.tls.no_proxy = globals->jwks_tls.no_proxy;
    if (!m2_fetch_init()) {
        return refuse(s, APLOG_EMERG, 0, "libcurl does not start");
    }
    apr_pool_cleanup_register(pconf, NULL, end_fetching, apr_pool_cleanup_null);
    return OK;
}

/* The directory holds the last good copies, for the next start and for children that start late.
 * One that cannot be used costs no keys. */
static int open_sources(apr_pool_t *pconf, server_rec *s)
{
    const char *dir;
    int status = OK;

    if (state_directory(&dir, pconf, s, APLOG_NOTICE) != OK) {
        dir = NULL;
    }
    if (m2_jwks_fetched(keys.jwks)) {
        status = open_fetching(pconf, s);
    }
    if (status == OK) {
        m2_jwks_trust(geteuid() == 0 ? ap_unixd_config.user_id : geteuid());
        m2_jwks_open(keys.jwks, dir, apr_time_now());
    }
    return status;
}

static int join_watchdog(apr_pool_t *pconf, server_rec *s)
{
    const apr_status_t status = m2h_watch_join(&watch, pconf);

    if (status == APR_ENOTIMPL) {
        return refuse(s, APLOG_EMERG, 0,
                      "M2MJwks file: and https: need mod_watchdog to be loaded");
    }
    return status == APR_SUCCESS ? OK
                                 : refuse(s, APLOG_EMERG, status, "mod_watchdog refuses");
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    int status;

    (void)plog;
    (void)ptemp;
    keys.jwks = m2mgw_cfg_registry();
    watch.ticking = 0;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !m2_jwks_watched(keys.jwks)) {
        return OK;
    }
    keys.narrowed = narrowed(pconf);
    status = share_slots(pconf, s);
    if (status == OK) {
        status = open_sources(pconf, s);
    }
    return status == OK ? join_watchdog(pconf, s) : status;
}

/* No request may use the keys from when the parent started. */
static int open_in_child(apr_pool_t *pchild, server_rec *s)
{
    apr_pool_t *pool; /* as long as the process */
    m2_err_t err;

    m2_err_init(&err, pchild);
    if (m2_jwks_attach(keys.jwks, pchild, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-503: lists in Redis or a database are "
                     "not read in this process: %s", err.text ? err.text : "no reason given");
    }
    m2_jwks_catch_up(keys.jwks, apr_time_now());
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS
        || !m2_jwks_start(keys.jwks, &keys.tls, pool)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-502: key sources are not watched in "
                     "this process: out of memory");
        return 0;
    }
    return 1;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    m2_hold_t hold;
    int opened;

    if (!m2_jwks_watched(keys.jwks)) {
        return;
    }
    m2_hold_begin(&hold); /* a signal here would end a child of prefork within malloc */
    opened = open_in_child(pchild, s);
    m2_hold_end(&hold);
    if (opened) {
        m2h_watch_begin(&watch, pchild);
    }
}

void m2mgw_keys_register(void)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
