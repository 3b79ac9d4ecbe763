/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The M2M server: hooks and the module record.
 */
#include "issuer/m2mi_figures.h"
#include "issuer/m2mi.h"
#include "issuer/m2mi_dbd.h"

#include "base/m2_hold.h"
#include "base/m2_log.h"
#include "oauth/m2_view.h"
#include "text/m2_file.h"

#include <ap_mpm.h>
#include <apr_thread_proc.h>
#include <http_main.h>
#include <mod_watchdog.h>

#define TICK (APR_USEC_PER_SEC / 10)
#define STOP_STEPS 50 /* of a tenth of a tick each, that stopping waits for the last tick */

typedef struct handler_t {
    const char *name;
    int (*serve)(request_rec *r);
} handler_t;

static const handler_t handlers[] = {
    { M2MI_HANDLER_TOKEN, m2mi_token_handler },
    { M2MI_HANDLER_JWKS, m2mi_jwks_handler },
    { M2MI_HANDLER_METADATA, m2mi_metadata_handler },
    { M2MI_HANDLER_INTROSPECT, m2mi_introspect_handler },
    { M2MI_HANDLER_REVOKE, m2mi_revoke_handler },
};

static int handler(request_rec *r)
{
    apr_size_t i;

    for (i = 0; r->handler && i < sizeof(handlers) / sizeof(*handlers); i++) {
        if (strcmp(r->handler, handlers[i].name) == 0) {
            return handlers[i].serve(r);
        }
    }
    return DECLINED;
}

/* ORDER LEVEL: as m2_level_t */
static const int levels[] = { APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO,
                              APLOG_DEBUG };

static void log_core(m2_level_t level, const char *text, void *baton)
{
    (void)baton;
    ap_log_error(APLOG_MARK, levels[level], 0, ap_server_conf, "M2-704: %s", text);
}

/* M2MFileModes Ignore, a directive of mod_m2mgw, wherever in the server config it stands */
static int modes_are_ignored(void)
{
    const ap_directive_t *d;
    int ignored = 0;

    for (d = ap_conftree; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "M2MFileModes") == 0) {
            ignored = ap_cstr_casecmp(d->args, "Ignore") == 0;
        }
    }
    return ignored;
}

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    m2_log_set(log_core, NULL);
    m2_file_judge_modes(!modes_are_ignored());
    m2mi_watch_reset(pconf);
    m2mi_keys_reset(pconf);
    m2mi_client_keys_reset(pconf);
    m2mi_lists_reset(pconf);
    m2mi_replay_reset();
    m2mi_cost_measure();
    return OK;
}

/* --- the watchdog's thread --- */

/* In a child: ticks do something. mod_watchdog does not wait for its thread when a child
 * ends, so who ticks or stops holds `busy`, and what ticks use lives as long as the process. */
static int ticking, busy;

static int try_lock(void)
{
    return __atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void unlock(void)
{
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

/* The thread may run before child_init is over: what was made there is handed over by the lock. */
static void begin(void)
{
    while (!try_lock()) {
        apr_sleep(TICK / 100); /* it looks, and finds that there is nothing to do yet */
    }
    ticking = 1;
    unlock();
}

static apr_status_t stop(void *data)
{
    int i;

    (void)data;
    for (i = 0; i < STOP_STEPS; i++) {
        if (try_lock()) {
            ticking = 0;
            unlock();
            break;
        }
        apr_sleep(TICK / 10);
    }
    return APR_SUCCESS;
}

static apr_status_t watch(int state, void *data, apr_pool_t *pool)
{
    (void)pool;
    if (state == AP_WATCHDOG_STATE_STARTING) {
        apr_setup_signal_thread(); /* a child is ended from its main thread, not from here */
    }
    else if (state == AP_WATCHDOG_STATE_STOPPING) {
        stop(data);
    }
    else if (state == AP_WATCHDOG_STATE_RUNNING && try_lock()) {
        if (ticking) {
            m2mi_watch_tick(apr_time_now());
            m2mi_client_keys_tick(apr_time_now());
        }
        unlock();
    }
    return APR_SUCCESS;
}

static int join_watchdog(apr_pool_t *pconf, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t status = get && add ? get(&watchdog, "_m2mi_watch_", 0, 0, pconf)
                                     : APR_ENOTIMPL;

    if (status == APR_SUCCESS) {
        status = add(watchdog, TICK, NULL, watch);
    }
    if (status != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status, s,
                     "M2-723: files cannot be watched: mod_watchdog refuses");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int status = m2mi_replay_open(pconf, plog, ptemp, s);
    const char *wrong;

    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG && !m2mi_figures_open(s)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "M2-732: no shared memory for figures: "
                     "tokens and refusals are not counted");
    }
    if (status != OK || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return status;
    }
    wrong = m2mi_lists_make(ptemp, s);
    if (wrong) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-727: %s", wrong);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!(m2mi_watch_any() || m2mi_client_keys_fetched())) {
        return OK;
    }
    status = m2mi_client_keys_share(pconf, s);
    return status == OK ? join_watchdog(pconf, s) : status;
}

/* No request shall meet the files of the time when the parent started. */
static void child_init(apr_pool_t *pchild, server_rec *s)
{
    int threaded = 0;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && !threaded) {
        m2_hold_signals();
    }
    m2mi_dbd_child(pchild);
    m2mi_replay_child(pchild, s);
    m2mi_memory_child(pchild, s);
    m2mi_watch_child(s);
    m2mi_client_keys_child(pchild, s);
    begin();
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
}

static void m2m_issuer_ill_files(apr_array_header_t *list)
{
    m2mi_watch_ill(list);
    m2mi_keys_ill(list);
}

static void register_hooks(apr_pool_t *pool)
{
    APR_REGISTER_OPTIONAL_FN(m2m_issuer_ill_files);
    static const char *const before_gateway[] = { "mod_m2mgw.c", NULL };

    m2mi_mask_make(pool);
    m2mi_lists_register();
    m2mi_endpoint_register();
    m2mi_figures_register();
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(m2mi_check, NULL, before_gateway, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(m2mi_mask_query, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(m2mi_mask_unread, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA m2m_issuer_module = {
    STANDARD20_MODULE_STUFF,
    m2mi_dir_create,
    m2mi_dir_merge,
    m2mi_server_create,
    m2mi_server_merge,
    m2mi_commands,
    register_hooks,
    AP_MODULE_FLAG_NONE
};
