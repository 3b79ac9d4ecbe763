/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The hooks, and the module record on the last lines as the table of contents.
 *
 * The decision is made in access_checker, where `Require` cannot come before it, and
 * confirmed wherever httpd offers a way around that stage: under `Satisfy Any` a denial is
 * overridden by `Require`, after an internal redirect within one section the stage is
 * skipped, and mod_rewrite changes the request behind it. The last word is the guard in
 * fixups, before mod_proxy: what has no complete verdict there does not go on.
 */
#include "httpd/config/m2mgw_check.h"
#include "httpd/config/m2mgw_dbd.h"
#include "httpd/config/m2mgw_directives.h"
#include "httpd/request/m2mgw_adopt.h"
#include "httpd/request/m2mgw_apply.h"
#include "httpd/request/m2mgw_authz.h"
#include "httpd/request/m2mgw_body.h"
#include "httpd/request/m2mgw_client.h"
#include "httpd/request/m2mgw_decide.h"
#include "httpd/request/m2mgw_errordoc.h"
#include "httpd/request/m2mgw_method.h"
#include "httpd/request/m2mgw_nocache.h"
#include "httpd/request/m2mgw_path.h"
#include "httpd/request/m2mgw_pathguard.h"
#include "httpd/request/m2mgw_proof.h"
#include "httpd/request/m2mgw_resource.h"
#include "httpd/request/m2mgw_record.h"
#include "httpd/request/m2mgw_response.h"
#include "httpd/request/m2mgw_token.h"
#include "httpd/request/m2mgw_trace.h"
#include "httpd/request/m2mgw_view.h"
#include "httpd/runtime/m2mgw_cache.h"
#include "httpd/runtime/m2mgw_counters.h"
#include "httpd/runtime/m2mgw_decisions.h"
#include "httpd/runtime/m2mgw_keys.h"
#include "httpd/runtime/m2mgw_limit_store.h"
#include "httpd/runtime/m2mgw_operation_counts.h"
#include "httpd/runtime/m2mgw_proofs.h"
#include "httpd/runtime/m2mgw_recent.h"
#include "httpd/runtime/m2mgw_replay.h"
#include "httpd/runtime/m2mgw_sink.h"
#include "httpd/status/m2mgw_status.h"

#include "host/m2h_end.h"

#include "base/m2_hold.h"

#include <ap_mpm.h>

/* Two children must not use the same random bytes that the parent's thread has buffered. A child
 * without threads ends in a signal handler. */
static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    int threaded = 0;

    (void)s;
    m2h_end_watch(pchild);
    m2mgw_request_id_reseed();
    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && !threaded) {
        m2_hold_signals();
    }
}

static int hook_post_read_request(request_rec *r)
{
    m2mgw_token_mask(r, 0);
    m2mgw_client_clean(r);
    m2mgw_certificate_clean(r);
    return DECLINED;
}

/* For a request that could not be read, no other hook runs before mod_status shows its line. */
static void hook_insert_error_filter(request_rec *r)
{
    m2mgw_token_mask(r, 0);
}

static int hook_log_transaction(request_rec *r)
{
    request_rec *one;

    for (one = r; one; one = one->next) {
        m2mgw_line_restore(m2mgw_ctx(one), one);
        m2mgw_token_mask(one, 1);
    }
    m2mgw_record(r);
    return DECLINED;
}

static int nothing_protected(const request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    return !conf->has_policy;
}

/* A look-ahead gets its refusal and nothing else happens. */
static int refuse_lookahead(request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    m2mgw_effective_t effective;

    return m2mgw_effective(&effective, dir) ? HTTP_FORBIDDEN : DECLINED;
}

static int hook_check_access(request_rec *r)
{
    m2mgw_ctx_t *ctx;

    if (nothing_protected(r)) {
        return DECLINED;
    }
    if (m2mgw_is_lookahead(r)) {
        return refuse_lookahead(r);
    }
    ctx = m2mgw_meet(r);
    return ctx->in_force && !ctx->error_document ? m2mgw_conclude(ctx, r) : DECLINED;
}

/* A verified token is an authentication: other modules get their auth_checker even where
 * `Require` would grant without a user. Where there are none, it need not be asked twice. */
static int hook_force_authn(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    return ctx && ctx->in_force && ctx->verdict.verified && m2mgw_authz_has_others() ? OK
                                                                                     : DECLINED;
}

static int hook_check_authn(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (!ctx || !ctx->in_force || ctx->error_document) {
        return DECLINED;
    }
    if (ctx->refused) {
        return ctx->refused;
    }
    return ctx->verdict.verified ? OK : DECLINED;
}

/* RUN_FIRST: an OK here would skip `Require`, so this one runs the others itself. */
static int hook_check_authz(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (ctx && ctx->in_force && ctx->refused && !ctx->error_document) {
        return ctx->refused;
    }
    return m2mgw_authz_user(r);
}

/* Translates OK of an access stage for hooks that must all run. */
static int or_declined(int status)
{
    return status == OK ? DECLINED : status;
}

/* The guard: before mod_proxy bakes the URL, after mod_rewrite had its say. A refusal stands,
 * whatever happened to the request since. */
static int hook_guard(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status;

    if (nothing_protected(r)) {
        return DECLINED;
    }
    if (m2mgw_is_lookahead(r)) {
        return refuse_lookahead(r);
    }
    if (ctx && ctx->refused) {
        return ctx->refused;
    }
    status = m2mgw_pathguard_judge(r);
    if (status != DECLINED) {
        return status;
    }
    if (!m2mgw_is_current(ctx, r)) {
        ctx = m2mgw_meet(r);
    }
    if (ctx->error_document) {
        return m2mgw_error_document_guard(r);
    }
    if (ctx->in_force || ctx->query_changed) {
        m2mgw_fix_raw_query(r);
    }
    if (!ctx->in_force) {
        return DECLINED;
    }
    m2mgw_recheck_path(ctx, r);
    /* Subrequests are mostly look-ups (mod_autoindex asks about every file): a token is spent
     * for one only when it runs. */
    return or_declined(r->main ? m2mgw_conclude(ctx, r) : m2mgw_charge(ctx, r));
}

/* mod_dir comes last in fixups, so what it put in the request's place is seen here: its
 * headers and its body are still those that were scrubbed for another section, or for none. */
static int hook_handler(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status;

    if (nothing_protected(r)) {
        return DECLINED;
    }
    status = m2mgw_pathguard_judge(r);
    if (status != DECLINED) {
        return status;
    }
    if (!m2mgw_is_current(ctx, r)) {
        status = hook_guard(r);
        ctx = m2mgw_ctx(r);
        m2mgw_nonce_insert(r);
        m2mgw_response_insert(r); /* filters were inserted for what was there before */
    }
    if (status == DECLINED && ctx && ctx->error_document) {
        return m2mgw_error_document_handle(r);
    }
    if (status == DECLINED && ctx && ctx->in_force) {
        status = r->main ? or_declined(m2mgw_charge(ctx, r)) : DECLINED;
    }
    if (status == DECLINED && ctx) {
        m2mgw_line_scrub(ctx, r);
    }
    return status;
}

/* Behind the core's upgrade handler: a request that was to be upgraded and is still here is one
 * like any other. */
static int hook_not_upgraded(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    return ctx && ctx->in_force && ctx->uncharged ? or_declined(m2mgw_charge(ctx, r)) : DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const after_rewrite[] = { "mod_rewrite.c", NULL };
    static const char *const before_proxy[] = { "mod_proxy.c", NULL };

    ap_hook_pre_config(m2mgw_config_pre, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(m2mgw_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(m2mgw_config_post, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_REALLY_FIRST - 1); /* holds signals */
    ap_hook_post_read_request(hook_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(hook_insert_error_filter, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(hook_log_transaction, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access(hook_check_access, NULL, NULL, APR_HOOK_LAST,
                         AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(m2mgw_authz_userless, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_force_authn(hook_force_authn, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_authn(hook_check_authn, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(hook_check_authz, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(hook_guard, after_rewrite, before_proxy, APR_HOOK_FIRST);
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST - 1); /* and mod_cache */
    ap_hook_handler(hook_not_upgraded, NULL, NULL, APR_HOOK_REALLY_FIRST + 1);
    m2mgw_trace_register();
    m2mgw_adopt_register();
    m2mgw_errordoc_register();
    m2mgw_nocache_register();
    m2mgw_path_register();
    m2mgw_pathguard_register();
    m2mgw_status_register();
    m2mgw_counters_register();
    m2mgw_operation_counts_register();
    m2mgw_recent_register();
    m2mgw_decisions_register();
    m2mgw_sink_register();
    m2mgw_runtime_register();
    m2mgw_proofs_register();
    m2mgw_proof_register();
    m2mgw_resource_register();
    m2mgw_limit_store_register();
    m2mgw_keys_register();
    m2mgw_dbd_register();
    m2mgw_cache_register();
    m2mgw_view_register();
    m2mgw_response_register();
    m2mgw_body_register();
    m2mgw_method_register(pool);
    m2mgw_authz_register(pool);
}

module AP_MODULE_DECLARE_DATA m2mgw_module = {
    STANDARD20_MODULE_STUFF,
    m2mgw_config_dir_create,
    m2mgw_config_dir_merge,
    m2mgw_config_server_create,
    m2mgw_config_server_merge,
    m2mgw_config_commands,
    register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
