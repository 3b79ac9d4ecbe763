/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents that clients read before they have a token, and endpoints that give them one: if
 * they are inside a protected section by mistake, they require a token themselves.
 */
#include "httpd/config/m2mgw_endpoints.h"

#include "httpd/config/m2mgw_rewrites.h"

#include "host/m2h_handlers.h"

#include <apr_fnmatch.h>
#include <http_main.h>
#include <mod_proxy.h>

static m2mgw_dir_t *ours_of(ap_conf_vector_t *section)
{
    return ap_get_module_config(section, &m2mgw_module);
}

static int covers(const core_dir_config *outer, const char *path)
{
    const apr_size_t n = outer->d && !outer->r ? strlen(outer->d) : 0;

    return n && strlen(path) >= n && m2_slice_is(m2_slice(path, n), outer->d)
           && (outer->d[n - 1] == '/' || path[n] == '/' || !path[n]);
}

/* Whether what httpd merges for path, in its order, asks for a token. A section with its own
 * keys is meant to ask. */
static int needs_a_token(apr_pool_t *pool, const server_rec *s, const char *path)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const m2mgw_dir_t *dir = ours_of(s->lookup_defaults);
    m2mgw_effective_t effective;
    int i;

    for (i = 0; i < core->sec_url->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const core_dir_config *at = ap_get_core_module_config(section);
        m2mgw_dir_t *own = ours_of(section);

        if (own && own->keys && at->d && strcmp(at->d, path) == 0) {
            return 0;
        }
        if (own && covers(at, path)) {
            dir = dir ? m2mgw_config_dir_merge(pool, (void *)dir, own) : own;
        }
    }
    return dir && m2mgw_effective(&effective, dir);
}

/* Whether a directive applies to a server: it is in that server, or in the main one. */
static int counts_in(const ap_directive_t *d, const server_rec *s)
{
    while (d && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0) {
        d = d->parent;
    }
    return !d || m2mgw_cfg_is_host(d, s);
}

/* The path of the <Location> around a directive; NULL for a pattern. */
static const char *location_of(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *args, *end, *path;

    while (d && ap_cstr_casecmp(d->directive, "<Location") != 0) {
        d = d->parent;
    }
    end = d ? ap_strrchr_c(d->args, '>') : NULL;
    args = end ? apr_pstrmemdup(pool, d->args, (apr_size_t)(end - d->args)) : "";
    path = ap_getword_conf(pool, &args);
    return *path == '/' && !apr_fnmatch_test(path) ? path : NULL;
}

/* --- endpoints that a backend answers --- */

static int is_whole(const char *prefix, const char *path)
{
    const apr_size_t n = prefix ? strlen(prefix) : 0;

    return n && strlen(path) >= n && m2_slice_is(m2_slice(path, n), prefix)
           && (prefix[n - 1] == '/' || path[n] == '/' || !path[n]);
}

/* The ProxyPass that httpd finds first for a path, in its order; NULL: none, or `!`. */
static const char *alias_of(const apr_array_header_t *aliases, const char *path)
{
    int i;

    for (i = 0; i < aliases->nelts; i++) {
        const struct proxy_alias *one = &APR_ARRAY_IDX(aliases, i, struct proxy_alias);

        if (one->regex ? ap_regexec(one->regex, path, 0, NULL, 0) == 0
                       : is_whole(one->fake, path)) {
            return one->real[0] == '!' && !one->real[1] ? NULL : one->fake;
        }
    }
    return NULL;
}

/* mod_proxy answers before a SetHandler is asked. Of nested sections the last ProxyPass counts,
 * and comes before those of the server. */
static const char *proxied_by(const server_rec *s, const module *proxy, const char *path)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    const proxy_server_conf *conf = ap_get_module_config(s->module_config, proxy);
    const struct proxy_alias *alias = NULL;
    int i;

    for (i = 0; i < core->sec_url->nelts; i++) {
        const ap_conf_vector_t *section = APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *);
        const proxy_dir_conf *dir = ap_get_module_config(section, proxy);

        if (dir && dir->alias_set && covers(ap_get_core_module_config(section), path)) {
            alias = dir->alias;
        }
    }
    if (alias) {
        return alias->real[0] == '!' && !alias->real[1] ? NULL : alias->fake;
    }
    return conf ? alias_of(conf->aliases, path) : NULL;
}

static const char *is_proxied(apr_pool_t *pool, const ap_directive_t *d)
{
    const module *proxy = ap_find_linked_module("mod_proxy.c");
    const char *path = location_of(pool, d), *by = NULL;
    const server_rec *s;

    for (s = ap_server_conf; path && proxy && !by && s; s = s->next) {
        by = counts_in(d, s) ? proxied_by(s, proxy, path) : NULL;
    }
    return by;
}

/* --- endpoints that a rewrite takes away --- */

static const ap_directive_t *is_rewritten(int *pmaybe, apr_pool_t *pool, const ap_directive_t *d)
{
    const char *path = location_of(pool, d);
    const ap_directive_t *perhaps = NULL, *rule;
    const server_rec *s;

    for (s = ap_server_conf; path && s; s = s->next) {
        rule = counts_in(d, s) ? m2mgw_cfg_rewritten(pmaybe, pool, s, path) : NULL;
        if (rule && !*pmaybe) {
            return rule;
        }
        perhaps = perhaps ? perhaps : rule;
    }
    *pmaybe = 1;
    return perhaps;
}

static int is_below(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *path = location_of(pool, d);
    const server_rec *s;

    for (s = ap_server_conf; path && s; s = s->next) {
        if (counts_in(d, s) && needs_a_token(pool, s, path)) {
            return 1;
        }
    }
    return 0;
}

/* SetHandler is an expression by the time it is configuration, so it is looked for in the text
 * that was read. */
static const char *text_below(m2_level_t *plevel, apr_pool_t *pool, const ap_directive_t *d,
                              const char *handler)
{
    *plevel = M2_LOG_NOTICE;
    return is_below(pool, d)
               ? apr_psprintf(pool, "<Location %s> in %s has SetHandler %s and stands below "
                              "protection: it asks for a token itself, unless it says M2MEngine "
                              "Off", location_of(pool, d), m2mgw_cfg_place(pool, d), handler)
               : NULL;
}

static const char *text_rewritten(m2_level_t *plevel, apr_pool_t *pool, const ap_directive_t *d,
                                  const char *handler)
{
    int maybe = 0;
    const ap_directive_t *rule = is_rewritten(&maybe, pool, d);
    const char *path = location_of(pool, d);

    *plevel = maybe ? M2_LOG_NOTICE : M2_LOG_WARNING;
    if (!rule) {
        return NULL;
    }
    if (rule->parent && ap_cstr_casecmp(rule->parent->directive, "<VirtualHost") != 0) {
        return apr_psprintf(pool, "<Location %s> in %s has SetHandler %s in vain%s: the "
                            "RewriteRule with [P] in %s, of a section that covers it, comes "
                            "before it, and the backend answers. RewriteEngine Off in the "
                            "<Location> keeps it here", path, m2mgw_cfg_place(pool, d), handler,
                            maybe ? " at times" : "", m2mgw_cfg_place(pool, rule));
    }
    return apr_psprintf(pool, "<Location %s> in %s has SetHandler %s in vain%s: the RewriteRule "
                        "with [P] in %s comes before it%s, and the backend answers. RewriteRule "
                        "^%s - [L] in front of that keeps it here", path,
                        m2mgw_cfg_place(pool, d), handler, maybe ? " at times" : "",
                        m2mgw_cfg_place(pool, rule),
                        maybe ? ", if what stands in front of that lets it" : "", path);
}

static const char *text_proxied(m2_level_t *plevel, apr_pool_t *pool, const ap_directive_t *d,
                                const char *handler)
{
    const char *by = is_proxied(pool, d);

    if (!by) {
        return text_rewritten(plevel, pool, d, handler);
    }
    *plevel = M2_LOG_WARNING;
    return apr_psprintf(pool, "<Location %s> in %s has SetHandler %s in vain: ProxyPass %s comes "
                        "before it, and the backend answers. ProxyPass %s ! in front of that, or "
                        "ProxyPass ! in the section, keeps it here", location_of(pool, d),
                        m2mgw_cfg_place(pool, d), handler, by, location_of(pool, d));
}

typedef const char *text_fn(m2_level_t *plevel, apr_pool_t *pool, const ap_directive_t *d,
                            const char *handler);

static void add(apr_array_header_t *all, m2_level_t level, const char *text)
{
    m2mgw_notice_t *notice = apr_array_push(all);

    notice->level = level;
    notice->text = text;
}

/* Returns how many serve the documents of M2MResource. */
static int look(apr_array_header_t *all, const ap_directive_t *d, text_fn *text_of)
{
    apr_pool_t *pool = all->pool;
    m2_level_t level = M2_LOG_NOTICE;
    int documents = 0;

    for (; d; d = d->next) {
        const char *args = d->args, *handler, *text;

        documents += look(all, d->first_child, text_of);
        if (ap_cstr_casecmp(d->directive, "SetHandler") != 0) {
            continue;
        }
        handler = ap_getword_conf(pool, &args);
        text = ap_cstr_casecmpn(handler, "m2m-", 4) == 0 ? text_of(&level, pool, d, handler)
                                                         : NULL;
        if (text) {
            add(all, level, text);
        }
        documents += m2_slice_is(m2_slice_z(handler), "m2m-resource-metadata");
    }
    return documents;
}

/* Clients are told where the document is (RFC 9728 5.1): another server may have it, hardly by
 * intent. */
static void tell_unserved(apr_array_header_t *all)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_resource_t *resource =
            APR_ARRAY_IDX(sections, i, const m2mgw_section_t *)->dir->resource;

        if (resource) {
            add(all, M2_LOG_NOTICE,
                apr_psprintf(all->pool, "M2MResource in %s: clients are sent to %s, and no "
                             "section has SetHandler m2m-resource-metadata",
                             m2mgw_cfg_place(all->pool, resource->at), resource->metadata));
            return;
        }
    }
}

void m2mgw_cfg_tell_endpoints(apr_array_header_t *all)
{
    apr_array_header_t *unserved = apr_array_make(all->pool, 2, sizeof(const char *));
    int i;

    m2h_handlers_unserved(unserved);
    for (i = 0; i < unserved->nelts; i++) {
        add(all, M2_LOG_WARNING, APR_ARRAY_IDX(unserved, i, const char *));
    }
    if (!look(all, ap_conftree, text_below)) {
        tell_unserved(all);
    }
    look(all, ap_conftree, text_proxied);
}
