/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents that clients read before they have a token, and endpoints that give them one: if
 * they are inside a protected section by mistake, they require a token themselves.
 */
#include "httpd/config/m2mgw_endpoints.h"

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
    return !d || (s->is_virtual && s->defn_name && strcmp(d->filename, s->defn_name) == 0
                  && d->line_num == (int)s->defn_line_number);
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

/* the rules of one server, in their order, over one path */
typedef struct rewrites_t {
    apr_pool_t *pool;
    const server_rec *s;
    const char *path;
    int engine;     /* RewriteEngine On */
    int conditions; /* RewriteCond before the next rule */
    int over;       /* what comes behind is not known, or not reached */
    const ap_directive_t *by; /* the rule that proxies it */
} rewrites_t;

/* Whether `[NC,P,L]` has one of the comma-separated words. */
static int has_flag(apr_pool_t *pool, const char *flags, const char *words)
{
    char *last = NULL, *rest = apr_pstrdup(pool, flags), *flag;

    while ((flag = apr_strtok(rest, "[], ", &last)) != NULL) {
        const char *list = words, *word;

        rest = NULL;
        flag[strcspn(flag, "=|")] = '\0';
        while (*(word = ap_getword(pool, &list, ','))) {
            if (ap_cstr_casecmp(flag, word) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static int fits(const rewrites_t *w, const char *pattern, const char *flags)
{
    const int inverse = *pattern == '!';
    const int cflags = has_flag(w->pool, flags, "NC,nocase") ? AP_REG_ICASE : 0;
    ap_regex_t *regex = ap_pregcomp(w->pool, pattern + inverse, cflags);

    return regex && (ap_regexec(regex, w->path, 0, NULL, 0) == 0) != inverse;
}

/* A rule with conditions may apply or not: if it proxies, that cannot be seen; if it does
 * anything else, what is behind it may not be reached. */
static void follow(rewrites_t *w, const ap_directive_t *d)
{
    const char *args = d->args;
    const char *pattern = ap_getword_conf(w->pool, &args);
    const char *target = ap_getword_conf(w->pool, &args);
    const char *flags = ap_getword_conf(w->pool, &args);
    const int proxies = has_flag(w->pool, flags, "P,proxy"), conditions = w->conditions;

    w->conditions = 0;
    if (has_flag(w->pool, flags, "C,chain,S,skip,N,next")) {
        w->over = 1;
    }
    else if (fits(w, pattern, flags) && !(proxies && conditions)) {
        w->by = proxies ? d : NULL;
        w->over = proxies || strcmp(target, "-") != 0
                  || has_flag(w->pool, flags, "L,last,END,F,forbidden,G,gone,R,redirect,PT,"
                              "passthrough");
    }
}

static int is_of(const ap_directive_t *host, const server_rec *s)
{
    return s->is_virtual && s->defn_name && strcmp(host->filename, s->defn_name) == 0
           && host->line_num == (int)s->defn_line_number;
}

/* A virtual host has the rules that stand in it. */
static void follow_all(rewrites_t *w, const ap_directive_t *d, int inside)
{
    for (; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "<VirtualHost") == 0) {
            follow_all(w, d->first_child, is_of(d, w->s));
        }
        else if (inside && ap_cstr_casecmp(d->directive, "RewriteEngine") == 0) {
            w->engine = ap_cstr_casecmp(d->args, "On") == 0;
        }
        else if (inside && ap_cstr_casecmp(d->directive, "RewriteCond") == 0) {
            w->conditions = 1;
        }
        else if (inside && !w->over && ap_cstr_casecmp(d->directive, "RewriteRule") == 0) {
            follow(w, d);
        }
    }
}

static const ap_directive_t *is_rewritten(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *path = location_of(pool, d);
    const server_rec *s;

    for (s = ap_server_conf; path && s; s = s->next) {
        rewrites_t w = { .pool = pool, .s = s, .path = path };

        if (counts_in(d, s)) {
            follow_all(&w, ap_conftree, !s->is_virtual);
        }
        if (w.engine && w.by) {
            return w.by;
        }
    }
    return NULL;
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
static const char *text_below(apr_pool_t *pool, const ap_directive_t *d, const char *handler)
{
    return is_below(pool, d)
               ? apr_psprintf(pool, "<Location %s> in %s has SetHandler %s and stands below "
                              "protection: it asks for a token itself, unless it says M2MEngine "
                              "Off", location_of(pool, d), m2mgw_cfg_place(pool, d), handler)
               : NULL;
}

static const char *text_proxied(apr_pool_t *pool, const ap_directive_t *d, const char *handler)
{
    const char *by = is_proxied(pool, d);
    const ap_directive_t *rule = by ? NULL : is_rewritten(pool, d);

    if (rule) {
        return apr_psprintf(pool, "<Location %s> in %s has SetHandler %s in vain: the RewriteRule "
                            "with [P] in %s comes before it, and the backend answers. RewriteRule "
                            "^%s - [L] in front of that keeps it here", location_of(pool, d),
                            m2mgw_cfg_place(pool, d), handler, m2mgw_cfg_place(pool, rule),
                            location_of(pool, d));
    }
    return by ? apr_psprintf(pool, "<Location %s> in %s has SetHandler %s in vain: ProxyPass %s "
                             "comes before it, and the backend answers. ProxyPass %s ! in front of "
                             "that, or ProxyPass ! in the section, keeps it here",
                             location_of(pool, d), m2mgw_cfg_place(pool, d), handler, by,
                             location_of(pool, d))
              : NULL;
}

typedef const char *text_fn(apr_pool_t *pool, const ap_directive_t *d, const char *handler);

static void add(apr_array_header_t *all, m2_level_t level, const char *text)
{
    m2mgw_notice_t *notice = apr_array_push(all);

    notice->level = level;
    notice->text = text;
}

/* Returns how many serve the documents of M2MResource. */
static int look(apr_array_header_t *all, const ap_directive_t *d, m2_level_t level,
                text_fn *text_of)
{
    apr_pool_t *pool = all->pool;
    int documents = 0;

    for (; d; d = d->next) {
        const char *args = d->args, *handler, *text;

        documents += look(all, d->first_child, level, text_of);
        if (ap_cstr_casecmp(d->directive, "SetHandler") != 0) {
            continue;
        }
        handler = ap_getword_conf(pool, &args);
        text = ap_cstr_casecmpn(handler, "m2m-", 4) == 0 ? text_of(pool, d, handler) : NULL;
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
    if (!look(all, ap_conftree, M2_LOG_NOTICE, text_below)) {
        tell_unserved(all);
    }
    look(all, ap_conftree, M2_LOG_WARNING, text_proxied);
}
