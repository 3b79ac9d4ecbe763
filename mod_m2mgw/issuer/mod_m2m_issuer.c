/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The M2M server: hooks and the module record.
 */
#include "issuer/m2mi_figures.h"
#include "issuer/m2mi.h"

#include "host/m2h_dbd.h"
#include "host/m2h_end.h"
#include "host/m2h_modes.h"
#include "host/m2h_watch.h"

#include "base/m2_hold.h"
#include "base/m2_log.h"
#include "oauth/m2_view.h"

#include <ap_mpm.h>
#include <http_main.h>

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

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    m2_log_set(log_core, NULL);
    m2h_modes_look_ahead();
    m2mi_watch_reset(pconf);
    m2mi_keys_reset(pconf);
    m2mi_client_keys_reset(pconf);
    m2mi_passwords_reset();
    m2mi_lists_reset(pconf);
    m2mi_replay_reset();
    m2mi_cost_measure();
    return OK;
}

/* --- the watchdog's thread --- */

static void tick(apr_time_t now)
{
    m2mi_watch_tick(now);
    m2mi_client_keys_tick(now);
}

static m2h_watch_t watch = { "_m2mi_watch_", tick, NULL, 0, 0 };

static int join_watchdog(apr_pool_t *pconf, server_rec *s)
{
    const apr_status_t status = m2h_watch_join(&watch, pconf);

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

static void first_in_child(apr_pool_t *pchild, server_rec *s)
{
    (void)s;
    m2h_end_watch(pchild);
}

/* No request shall meet the files of the time when the parent started. */
static void child_init(apr_pool_t *pchild, server_rec *s)
{
    int threaded = 0;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && !threaded) {
        m2_hold_signals();
    }
    m2h_dbd_child(pchild);
    m2mi_replay_child(pchild, s);
    m2mi_memory_child(pchild, s);
    m2mi_watch_child(s);
    m2mi_client_keys_child(pchild, s);
    m2h_watch_begin(&watch, pchild);
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
    ap_hook_child_init(first_in_child, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
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
