/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_cache answers before any access check: its quick handler in front of the location
 * walk, its normal handler in front of mod_proxy. It only ever serves GET and HEAD, so while
 * it is asked about a request that is, or may be, protected, the method number is another
 * one. Nothing of a protected response is stored either (`no-cache`); hiding is
 * for what was stored before a location was protected, or under a shared CacheKeyBaseURL.
 */
#include "httpd/request/m2mgw_nocache.h"

#include <util_filter.h>

#define HIDDEN M_INVALID

/* per request_rec, only while mod_cache is asked */
typedef struct hidden_t {
    int method_number;
} hidden_t;

/* written once, before the server has threads */
static int cache_is_loaded;

static const char note_key[] = "m2mgw-hidden-method";

static void hide(request_rec *r)
{
    hidden_t *hidden = apr_palloc(r->pool, sizeof(*hidden));

    hidden->method_number = r->method_number;
    apr_table_setn(r->notes, note_key, (const char *)hidden);
    r->method_number = HIDDEN;
}

/* Takes mod_cache's filters out of the way of a page that it has begun to store: what is never
 * complete is never served, and its files go with the request. The filters of a subrequest lead
 * into those of the page, so both ways are cut. */
static void stop_storing(request_rec *r)
{
    ap_filter_t **f = &r->output_filters;

    while (*f) {
        if (strstr((*f)->frec->name, "cache_save") == (*f)->frec->name) {
            *f = (*f)->next;
        }
        else {
            f = &(*f)->next;
        }
    }
}

/* A page holds what its subrequests say, so it is as private as they are. */
void m2mgw_nocache_store(request_rec *r)
{
    if (!cache_is_loaded) {
        return;
    }
    for (;;) {
        /* r->no_cache would add an Expires of its own */
        apr_table_setn(r->subprocess_env, "no-cache", "1");
        stop_storing(r);
        if (!r->main) {
            break;
        }
        r = r->main;
    }
}

static void show(request_rec *r)
{
    const hidden_t *hidden;

    if (r->method_number == HIDDEN) {
        hidden = (const hidden_t *)(const void *)apr_table_get(r->notes, note_key);
        if (hidden) {
            r->method_number = hidden->method_number;
            apr_table_unset(r->notes, note_key);
        }
    }
}

/* A location walk ahead of time, on a copy: the request itself has not been translated. What
 * the core notes about the walk is put back, so that the real one starts from nothing. */
static int location_may_protect(request_rec *r)
{
    void **note = ap_get_request_note(r, AP_NOTE_LOCATION_WALK);
    request_rec copy = *r;
    m2mgw_effective_t effective;
    void *kept;
    int status;

    if (!r->uri || !note) {
        return 1;
    }
    copy.uri = apr_pstrdup(r->pool, r->uri);
    ap_normalize_path(copy.uri, AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_MERGE_SLASHES
                                    | AP_NORMALIZE_DECODE_UNRESERVED);
    ap_unescape_url_keep2f(copy.uri, 1);
    copy.per_dir_config = r->server->lookup_defaults;
    copy.prev = NULL;
    copy.main = NULL;
    kept = *note;
    status = ap_location_walk(&copy);
    *note = kept;
    return status != OK
           || m2mgw_effective(&effective,
                              ap_get_module_config(copy.per_dir_config, &m2mgw_module));
}

static int hook_quick_before(request_rec *r, int lookup)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    (void)lookup;
    if (cache_is_loaded && conf->has_policy && r->method_number == M_GET
        && (conf->policy_outside_location || location_may_protect(r))) {
        hide(r);
    }
    return DECLINED;
}

static int hook_quick_after(request_rec *r, int lookup)
{
    (void)lookup;
    show(r);
    return DECLINED;
}

static int hook_handler_before(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (cache_is_loaded && ctx && ctx->in_force && r->method_number == M_GET) {
        hide(r);
    }
    return DECLINED;
}

static int hook_handler_after(request_rec *r)
{
    show(r);
    return DECLINED;
}

/* Modules may be loaded behind this one, so it is asked when all are there. */
static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    (void)s;
    cache_is_loaded = ap_find_linked_module("mod_cache.c") != NULL;
    return OK;
}

void m2mgw_nocache_register(void)
{
    static const char *const cache[] = { "mod_cache.c", NULL };

    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_quick_handler(hook_quick_before, NULL, cache, APR_HOOK_REALLY_FIRST);
    ap_hook_quick_handler(hook_quick_after, cache, NULL, APR_HOOK_FIRST);
    ap_hook_handler(hook_handler_before, NULL, cache, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(hook_handler_after, cache, NULL, APR_HOOK_REALLY_FIRST);
}
