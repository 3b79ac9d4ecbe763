/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Paths: refusal of ambiguous ones, and placeholders `{N}` in a backend's URL.
 *
 * mod_proxy chooses its worker by the URL as configured, so a placeholder must still stand
 * there then, or worker parameters and kept connections would be lost; canonicalisation has
 * percent-encoded it by that time. So around the choice (mod_proxy's pre_request) the
 * placeholder is first put back, then filled.
 */
#include "httpd/request/m2mgw_path.h"

#include "request/m2_path_reading.h"
#include "text/m2_form.h"

#include <apr_dso.h>
#include <mod_proxy.h>

typedef int pre_request_fn(proxy_worker **worker, proxy_balancer **balancer, request_rec *r,
                           proxy_server_conf *conf, char **url);

typedef void add_hook_fn(pre_request_fn *fn, const char *const *pre, const char *const *succ,
                         int order);

/* mod_proxy's own, found when all modules are loaded; NULL without mod_proxy */
static pre_request_fn *choose_worker;

static const char in_choice[] = "m2mgw-in-worker-choice";

int m2mgw_path_is_raw(request_rec *r)
{
    return apr_table_get(r->notes, "proxy-nocanon") != NULL
           || apr_table_get(r->notes, "proxy-noencode") != NULL;
}

/* Whether anything but the choice of the operation reads the path, or a part of it. */
static int is_read(const m2mgw_effective_t *effective)
{
    const int has_operations = effective->operations != NULL;

    return m2_gate_reads_path(&effective->policy, has_operations)
           || (effective->limits && m2_rules_read_path(effective->limits->scope, has_operations));
}

/* A segment with `;` or a backslash is one value to rules and another to a backend that cuts or
 * splits it there, or decodes once more and then does (deep); a raw path can be ambiguous in more
 * ways. */
static int path_is_ambiguous(request_rec *r, int deep)
{
    const char *raw = r->unparsed_uri ? r->unparsed_uri : "";

    return (r->uri && m2_path_has_parameters(r->pool, r->uri, deep))
           || (m2mgw_path_is_raw(r)
               && m2_path_is_ambiguous(apr_pstrmemdup(r->pool, raw, strcspn(raw, "?"))));
}

static const char *placeholder(apr_pool_t *pool, const char *name)
{
    return apr_pstrcat(pool, "{", name, "}", NULL);
}

/* Only the administrator writes placeholders; with mapping=encoded r->uri is not decoded. */
static int path_names_placeholder(const m2_mapping_t *mapping, request_rec *r)
{
    const apr_array_header_t *names = mapping ? mapping->names[M2_PLACE_PATH] : NULL;
    char *decoded;
    int i;

    if (!names || !r->uri) {
        return 0;
    }
    decoded = apr_pstrdup(r->pool, r->uri);
    ap_unescape_url_keep2f(decoded, 1);
    for (i = 0; i < names->nelts; i++) {
        const char *mark = placeholder(r->pool, APR_ARRAY_IDX(names, i, const char *));

        if (strstr(decoded, mark) || strstr(r->uri, mark)) {
            return 1;
        }
    }
    return 0;
}

int m2mgw_path_is_unsafe(const m2mgw_effective_t *effective, request_rec *r)
{
    int deep;

    if (path_names_placeholder(effective->policy.mapping, r)) {
        return 1;
    }
    if (effective->dir->path_guard == 0) {
        return 0;
    }
    deep = is_read(effective); /* what operations make of escapes is judged behind rules */
    return (deep || effective->operations) && path_is_ambiguous(r, deep);
}

/* text with every old in its path (behind the authority, before the query) become new. */
static char *replace_in_path(apr_pool_t *pool, char *text, const char *old, const char *new)
{
    const char *start = strstr(text, "://");
    const char *query = strchr(text, '?');
    const char *hit;
    char *done;

    start = start ? strchr(start + 3, '/') : text;
    if (!start || !(hit = strstr(start, old)) || (query && hit > query)) {
        return text;
    }
    done = apr_pstrmemdup(pool, text, (apr_size_t)(hit - text));
    while (hit && (!query || hit < query)) {
        const char *rest = hit + strlen(old);
        const char *next = strstr(rest, old);
        const char *end = next && (!query || next < query) ? next : rest + strlen(rest);

        done = apr_pstrcat(pool, done, new, apr_pstrmemdup(pool, rest, (apr_size_t)(end - rest)),
                           NULL);
        hit = *end ? end : NULL;
    }
    return done;
}

/* Applies change(name, value) to *url and r->filename for every path target. */
static void for_each_path_target(const m2mgw_ctx_t *ctx, request_rec *r, char **url,
                                 int filling)
{
    const apr_array_header_t *list = ctx->verdict.publish;
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(list, i, m2_publish_t);
        const char *mark, *old, *new;

        if (entry->place != M2_PLACE_PATH || !entry->value) {
            continue;
        }
        mark = placeholder(r->pool, entry->name);
        old = filling ? mark : apr_pstrcat(r->pool, "%7B", entry->name, "%7D", NULL);
        new = filling ? m2_form_encode(r->pool, m2_slice_z(entry->value)) : mark;
        *url = replace_in_path(r->pool, *url, old, new);
        r->filename = replace_in_path(r->pool, r->filename, old, new);
    }
}

static int hook_pre_request(proxy_worker **worker, proxy_balancer **balancer, request_rec *r,
                            proxy_server_conf *conf, char **url)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status;

    if (!ctx || !ctx->in_force || !ctx->verdict.publish || !choose_worker
        || apr_table_get(r->notes, in_choice)
        || path_names_placeholder(ctx->effective.policy.mapping, r)) { /* passes in Shadow */
        return DECLINED;
    }
    for_each_path_target(ctx, r, url, 0);
    apr_table_setn(r->notes, in_choice, "1");
    status = choose_worker(worker, balancer, r, conf, url);
    apr_table_unset(r->notes, in_choice);
    for_each_path_target(ctx, r, url, 0); /* a balancer has canonicalised it again */
    for_each_path_target(ctx, r, url, 1);
    return status;
}

/* All modules are loaded and no hook is sorted yet: the moment to join mod_proxy's, without
 * needing it to be there. */
static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    apr_dso_handle_t *self;
    apr_dso_handle_sym_t choose, hook;

    (void)plog;
    (void)ptemp;
    choose_worker = NULL;
    if (ap_find_linked_module("mod_proxy.c") && apr_dso_load(&self, NULL, pconf) == APR_SUCCESS
        && apr_dso_sym(&choose, self, "ap_proxy_pre_request") == APR_SUCCESS
        && apr_dso_sym(&hook, self, "proxy_hook_pre_request") == APR_SUCCESS) {
        choose_worker = (pre_request_fn *)choose;
        ((add_hook_fn *)hook)(hook_pre_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    }
    return OK;
}

void m2mgw_path_register(void)
{
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
}
