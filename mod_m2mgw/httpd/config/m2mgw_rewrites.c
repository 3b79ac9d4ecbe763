/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Follows the rules of mod_rewrite over one path as far as their text says what they do. A
 * condition is true, false, or known to a request only; nothing is said of rules that certainly
 * do not apply.
 */
#include "httpd/config/m2mgw_rewrites.h"

#include <http_main.h>

/* ORDER: the lesser of two for "and", the greater for "or" */
typedef enum truth_t { NEVER, PERHAPS, ALWAYS } truth_t;

typedef struct walk_t {
    apr_pool_t *pool;
    const server_rec *s;
    const char *path;    /* of the URL */
    const char *subject; /* what patterns are held against */
    int engine;          /* RewriteEngine On */
    truth_t all, any;    /* of the RewriteCond before the next rule; of those joined by [OR] */
    int unsure;          /* a rule that may apply changes the path, or ends the rules */
    int over;            /* what comes behind is not known, or not reached */
    const ap_directive_t *by; /* the rule that proxies it */
    int maybe;
} walk_t;

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

static int fits(apr_pool_t *pool, const char *pattern, const char *flags, const char *value)
{
    const int inverse = *pattern == '!';
    const int cflags = has_flag(pool, flags, "NC,nocase") ? AP_REG_ICASE : 0;
    ap_regex_t *regex = ap_pregcomp(pool, pattern + inverse, cflags);

    return regex && (ap_regexec(regex, value, 0, NULL, 0) == 0) != inverse;
}

/* --- conditions --- */

/* The value that a condition asks for, where it is known; a client that wants another protocol
 * (a WebSocket) does not want one of our endpoints. NULL: it is not known. */
static const char *value_of(const walk_t *w, const char *asked)
{
    if (ap_cstr_casecmp(asked, "%{REQUEST_URI}") == 0) {
        return w->path;
    }
    return ap_cstr_casecmp(asked, "%{HTTP:Upgrade}") == 0
                   || ap_cstr_casecmp(asked, "%{HTTP:Connection}") == 0
               ? "" : NULL;
}

static truth_t is_met(const walk_t *w, const char *asked, const char *pattern,
                      const char *flags)
{
    const char *value = value_of(w, asked);
    const int inverse = *pattern == '!';

    if (!value || strchr("-<>", pattern[inverse])) {
        return PERHAPS;
    }
    if (pattern[inverse] == '=') {
        const char *wanted = pattern + inverse + 1;

        wanted = strcmp(wanted, "\"\"") == 0 ? "" : wanted;
        return m2_slice_is(m2_slice_z(value), wanted) != inverse ? ALWAYS : NEVER;
    }
    return fits(w->pool, pattern, flags, value) ? ALWAYS : NEVER;
}

static void begin_conditions(walk_t *w)
{
    w->all = ALWAYS;
    w->any = NEVER;
}

static void follow_condition(walk_t *w, const ap_directive_t *d)
{
    const char *args = d->args;
    const char *asked = ap_getword_conf(w->pool, &args);
    const char *pattern = ap_getword_conf(w->pool, &args);
    const char *flags = ap_getword_conf(w->pool, &args);
    const truth_t own = is_met(w, asked, pattern, flags);

    w->any = own > w->any ? own : w->any;
    if (!has_flag(w->pool, flags, "OR,ornext")) {
        w->all = w->any < w->all ? w->any : w->all;
        w->any = NEVER;
    }
}

/* --- rules --- */

static void apply(walk_t *w, const ap_directive_t *d, const char *target, const char *flags,
                  truth_t applies)
{
    const int proxies = has_flag(w->pool, flags, "P,proxy");
    const int ends = proxies || strcmp(target, "-") != 0
                     || has_flag(w->pool, flags, "L,last,END,F,forbidden,G,gone,R,redirect,PT,"
                                 "passthrough");
    const int maybe = applies != ALWAYS || w->unsure;

    if (proxies && (!w->by || !maybe)) {
        w->by = d;
        w->maybe = maybe;
    }
    w->over |= ends && applies == ALWAYS;
    w->unsure |= ends && !proxies && applies != ALWAYS;
}

static void follow_rule(walk_t *w, const ap_directive_t *d)
{
    const char *args = d->args;
    const char *pattern = ap_getword_conf(w->pool, &args);
    const char *target = ap_getword_conf(w->pool, &args);
    const char *flags = ap_getword_conf(w->pool, &args);
    const truth_t applies = w->all;

    begin_conditions(w);
    if (has_flag(w->pool, flags, "C,chain,S,skip,N,next")) {
        w->over = 1;
    }
    else if (applies != NEVER && fits(w->pool, pattern, flags, w->subject)) {
        apply(w, d, target, flags, applies);
    }
}

/* one directive of those that stand in order */
static void follow(walk_t *w, const ap_directive_t *d)
{
    if (ap_cstr_casecmp(d->directive, "RewriteEngine") == 0) {
        w->engine = ap_cstr_casecmp(d->args, "On") == 0;
    }
    else if (ap_cstr_casecmp(d->directive, "RewriteCond") == 0) {
        follow_condition(w, d);
    }
    else if (!w->over && ap_cstr_casecmp(d->directive, "RewriteRule") == 0) {
        follow_rule(w, d);
    }
}

/* --- rules of a server --- */

int m2mgw_cfg_is_host(const ap_directive_t *host, const server_rec *s)
{
    return s->is_virtual && s->defn_name && strcmp(host->filename, s->defn_name) == 0
           && host->line_num == (int)s->defn_line_number;
}

/* A virtual host has the rules that stand in it. */
static void follow_server(walk_t *w, const ap_directive_t *d, int inside)
{
    for (; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "<VirtualHost") == 0) {
            follow_server(w, d->first_child, m2mgw_cfg_is_host(d, w->s));
        }
        else if (inside) {
            follow(w, d);
        }
    }
}

/* --- rules of sections --- */

static int is_section(const ap_directive_t *d, const char *name)
{
    return ap_cstr_casecmp(d->directive, name) == 0;
}

/* The argument of a section that is no expression; NULL: it is one. */
static const char *argument_of(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *end = ap_strrchr_c(d->args, '>');
    const char *args = end ? apr_pstrmemdup(pool, d->args, (apr_size_t)(end - d->args))
                           : d->args;
    const char *word = ap_getword_conf(pool, &args);

    return *word == '/' && !strpbrk(word, "*?[") ? word : NULL;
}

static int lies_below(const char *path, const char *outer)
{
    apr_size_t n = strlen(outer);

    n -= n && outer[n - 1] == '/';
    return strlen(path) >= n && m2_slice_eq(m2_slice(path, n), m2_slice(outer, n))
           && (!path[n] || path[n] == '/');
}

static int has_rules(const ap_directive_t *d)
{
    for (; d; d = d->next) {
        if (ap_cstr_casecmpn(d->directive, "Rewrite", 7) == 0) {
            return 1;
        }
    }
    return 0;
}

/* In a directory its name is cut off; in a <Location> it is not what a file name begins with. */
static void follow_section(walk_t *w, const ap_directive_t *d, const char *file,
                           const char *directory)
{
    const ap_directive_t *each;
    apr_size_t n = directory ? strlen(directory) : 0;

    n += n && directory[n - 1] != '/';
    w->subject = file + (n <= strlen(file) ? n : strlen(file));
    w->by = NULL;
    w->over = w->unsure = 0;
    begin_conditions(w);
    for (each = d->first_child; each; each = each->next) {
        follow(w, each);
    }
}

typedef struct covering_t {
    const ap_directive_t *section; /* that whose rules count: the last one with any */
    const char *directory;         /* its argument, if it is a <Directory> */
} covering_t;

/* Of nested sections those of the innermost count alone. */
static void find_covering(covering_t *found, walk_t *w, const ap_directive_t *d,
                          const char *name, const char *whole)
{
    const char *argument;

    for (; d; d = d->next) {
        if (is_section(d, "<VirtualHost")) {
            if (m2mgw_cfg_is_host(d, w->s)) {
                find_covering(found, w, d->first_child, name, whole);
            }
            continue;
        }
        argument = is_section(d, name) && has_rules(d->first_child) ? argument_of(w->pool, d)
                                                                    : NULL;
        if (argument && lies_below(whole, argument)) {
            found->section = d;
            found->directory = is_section(d, "<Directory") ? argument : NULL;
        }
    }
}

static void follow_sections(walk_t *w)
{
    const core_server_config *core = ap_get_core_module_config(w->s->module_config);
    const char *file = apr_pstrcat(w->pool, core->ap_document_root ? core->ap_document_root : "",
                                   w->path, NULL);
    covering_t found = { NULL, NULL };

    find_covering(&found, w, ap_conftree, "<Directory", file);
    find_covering(&found, w, ap_conftree, "<Location", w->path);
    if (found.section) {
        follow_section(w, found.section, file, found.directory);
    }
}

/* --- both --- */

const ap_directive_t *m2mgw_cfg_rewritten(int *pmaybe, apr_pool_t *pool, const server_rec *s,
                                          const char *path)
{
    walk_t server = { .pool = pool, .s = s, .path = path, .subject = path };
    walk_t sections = server;

    begin_conditions(&server);
    follow_server(&server, ap_conftree, !s->is_virtual);
    follow_sections(&sections);
    server.by = server.engine ? server.by : NULL;
    sections.by = sections.engine ? sections.by : NULL;
    if (!server.by || (server.maybe && sections.by && !sections.maybe)) {
        *pmaybe = sections.maybe;
        return sections.by;
    }
    *pmaybe = server.maybe;
    return server.by;
}
