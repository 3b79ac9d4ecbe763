/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The M2M server: hooks and the module record.
 */
#include "issuer/m2mi.h"

#include "request/m2_nameset.h"
#include "base/m2_hold.h"
#include "base/m2_log.h"
#include "text/m2_file.h"

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
    (void)pconf;
    (void)plog;
    (void)ptemp;
    m2_log_set(log_core, NULL);
    m2_file_judge_modes(!modes_are_ignored());
    return OK;
}

static void child_init(apr_pool_t *pool, server_rec *first)
{
    server_rec *s;
    int threaded = 0;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && !threaded) {
        m2_hold_signals();
    }
    m2mi_replay_child(pool, first);
    for (s = first; s; s = s->next) {
        const m2mi_server_t *conf =
            ap_get_module_config(s->module_config, &m2m_issuer_module);
        if (conf->grants && conf->grants->watch) {
            m2mi_watch_child(conf->grants, s);
        }
    }
    m2mi_client_child();
}

/* what of a query no log shows, in any spelling; made when the module is loaded */
static const m2_nameset_t *secrets;

/* A client that puts its secret into the URL is refused (RFC 6749 2.3.1), but URLs are
 * logged: what it sent is masked before anybody sees it. */
static int mask_query(request_rec *r)
{
    const m2mi_server_t *conf =
        ap_get_module_config(r->server->module_config, &m2m_issuer_module);
    const char *masked;
    char *mark;

    if (!conf->name || !r->args || !(mark = strchr(r->unparsed_uri, '?'))) {
        return DECLINED;
    }
    masked = m2_nameset_mask(r->pool, r->args, secrets, "[redacted]");
    if (masked == r->args) {
        return DECLINED;
    }
    r->args = apr_pstrdup(r->pool, masked);
    r->parsed_uri.query = r->args;
    r->unparsed_uri = apr_pstrcat(
        r->pool, apr_pstrmemdup(r->pool, r->unparsed_uri,
                                (apr_size_t)(mark - r->unparsed_uri) + 1), masked, NULL);
    r->the_request = apr_pstrcat(r->pool, r->method, " ", r->unparsed_uri,
                                 r->assbackwards ? NULL : " ", r->protocol, NULL);
    return DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);

    m2_nameset_add(names, "client_secret");
    m2_nameset_add(names, "client_assertion");
    secrets = names;
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(m2mi_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(m2mi_replay_open, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(mask_query, NULL, NULL, APR_HOOK_REALLY_FIRST);
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
