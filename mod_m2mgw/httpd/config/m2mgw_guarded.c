/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Collects what M2MPathGuard compares. Sections with a plain argument go into one sorted table,
 * expressions into a list; an argument that backends may itself read in several ways is left out
 * with a notice, since only httpd's own comparison applies to it.
 */
#include "httpd/config/m2mgw_guarded.h"

#include "httpd/config/m2mgw_section.h"

#include "request/m2_path_pattern.h"
#include "request/m2_path_reading.h"

#include <apr_hash.h>
#include <mod_proxy.h>

typedef struct maker_t {
    apr_pool_t *pool;
    server_rec *server;
    m2mgw_guard_t *guard;
    m2_path_table_t *prefixes;
    apr_array_header_t *expressions;
    apr_array_header_t *proxied;
    apr_hash_t *marked; /* "server argument" of sections with a `Require` or nested ours */
    int notices;        /* whether this section is one of the server's own */
    int order;          /* of the section that is being added */
} maker_t;

/* --- the tree of directives --- */

static int is_named(const ap_directive_t *d, const char *name)
{
    return ap_cstr_casecmp(d->directive, name) == 0;
}

static int is_location(const ap_directive_t *d)
{
    return is_named(d, "<Location") || is_named(d, "<LocationMatch");
}

static int begins(const char *text, const char *prefix)
{
    return ap_cstr_casecmpn(text, prefix, strlen(prefix)) == 0;
}

/* Whether there is a `Require` or a directive of this module in it, at any depth. */
static int holds_ours(const ap_directive_t *d)
{
    for (; d; d = d->next) {
        if (is_named(d, "Require") || begins(d->directive, "M2M")
            || holds_ours(d->first_child)) {
            return 1;
        }
    }
    return 0;
}

/* httpd knows a virtual host by the line it begins at. */
static const char *mark_of(apr_pool_t *pool, const char *file, unsigned line,
                           const char *argument)
{
    return apr_psprintf(pool, "%u %s %s", line, file ? file : "", argument);
}

/* The argument of a section, read as the core reads it. */
static const char *argument_of(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *end = ap_strrchr_c(d->args, '>');
    const char *args = end ? apr_pstrmemdup(pool, d->args, (apr_size_t)(end - d->args))
                           : d->args;
    const char *word = ap_getword_conf(pool, &args);

    return word[0] == '~' && !word[1] ? ap_getword_conf(pool, &args) : word;
}

static void mark_sections(const maker_t *m, const ap_directive_t *d,
                          const ap_directive_t *host)
{
    for (; d; d = d->next) {
        if (is_location(d)) {
            if (holds_ours(d->first_child)) {
                apr_hash_set(m->marked,
                             mark_of(m->pool, host ? host->filename : NULL,
                                     host ? (unsigned)host->line_num : 0,
                                     argument_of(m->pool, d)),
                             APR_HASH_KEY_STRING, "");
            }
        }
        else {
            mark_sections(m, d->first_child, is_named(d, "<VirtualHost") ? d : host);
        }
    }
}

static int is_marked(const maker_t *m, int own, const char *argument)
{
    const server_rec *s = own ? m->server : NULL;
    const char *mark = mark_of(m->pool, s && s->is_virtual ? s->defn_name : NULL,
                               s && s->is_virtual ? s->defn_line_number : 0, argument);

    return apr_hash_get(m->marked, mark, APR_HASH_KEY_STRING) != NULL;
}

/* --- one section --- */

static void __attribute__((format(printf, 3, 4)))
notice(const maker_t *m, m2_level_t level, const char *fmt, ...)
{
    va_list args;

    if (m->notices) {
        va_start(args, fmt);
        m2mgw_cfg_notice(level, "M2MPathGuard: %s", apr_pvsprintf(m->pool, fmt, args));
        va_end(args);
    }
}

/* A later section wins, as it does in httpd's merge. */
static void add_to(m2mgw_guarded_t *section, const maker_t *m, const char *written,
                   const m2mgw_dir_t *dir)
{
    section->written = written;
    if (dir->section) {
        section->dir = dir;
    }
    if (dir->engine != M2MGW_ENGINE_UNSET) {
        section->engine = section->said = dir->engine;
        section->order = m->order;
    }
}

/* How strict an engine is; an engine that is not set is usually On. */
static int strictness(m2mgw_engine_t engine)
{
    return engine == M2MGW_ENGINE_ON       ? 3
           : engine == M2MGW_ENGINE_UNSET  ? 2
           : engine == M2MGW_ENGINE_SHADOW ? 1
                                           : 0;
}

/* Another spelling of the same path: a backend may take either for the other, so that the
 * stricter one counts for both. A `Require` alone is On. */
static void add_twin(m2mgw_guarded_t *section, const maker_t *m, const char *written,
                     const m2mgw_dir_t *dir)
{
    const m2mgw_engine_t before = section->dir ? section->engine : M2MGW_ENGINE_ON;
    const m2mgw_engine_t engine = dir->section ? dir->engine : M2MGW_ENGINE_ON;

    add_to(section, m, written, dir);
    section->engine = strictness(before) > strictness(engine) ? before : engine;
    section->said = section->engine;
}

static void notice_twins(const maker_t *m, const char *one, const char *other)
{
    notice(m, M2_LOG_NOTICE, "<Location %s> and <Location %s> differ only in case or by a "
           "slash at the end: backends may take one for the other, and so they count as one, "
           "the stricter", one, other);
}

static void add_prefix(const maker_t *m, const char *written, const m2mgw_dir_t *dir)
{
    m2_path_entry_t *entry;
    m2mgw_guarded_t *section;

    if (!m2_path_table_takes(written)) {
        notice(m, M2_LOG_NOTICE, "<Location %s> holds what backends read in several ways; it "
               "is compared as httpd does, and other spellings of it are not looked for",
               written);
        return;
    }
    entry = m2_path_table_add(m->prefixes, written);
    if (!entry->what) {
        entry->what = apr_pcalloc(m->pool, sizeof(m2mgw_guarded_t));
        ((m2mgw_guarded_t *)entry->what)->engine = M2MGW_ENGINE_UNSET;
        ((m2mgw_guarded_t *)entry->what)->said = M2MGW_ENGINE_UNSET;
    }
    section = entry->what;
    if (!section->written || m2_slice_is(m2_slice_z(section->written), written)) {
        add_to(section, m, written, dir);
    }
    else {
        notice_twins(m, section->written, written);
        add_twin(section, m, written, dir);
    }
}

static const ap_regex_t *compile_blind(apr_pool_t *pool, const char *written)
{
    return ap_pregcomp(pool, written, AP_REG_EXTENDED | AP_REG_ICASE);
}

static void add_expression(const maker_t *m, const core_dir_config *core,
                           const m2mgw_dir_t *dir)
{
    const m2_pattern_kind_t kind = core->r ? M2_PATTERN_REGEX : M2_PATTERN_WILDCARD;
    const char *exact = m2_path_pattern_exact(core->d, kind);
    m2mgw_expression_t *e;

    if (exact) {
        notice(m, M2_LOG_NOTICE, "the expression %s has a %s; it is tried on the path as httpd "
               "reads it only, and other spellings are not looked for", core->d, exact);
        return;
    }
    e = apr_array_push(m->expressions);
    memset(e, 0, sizeof(*e));
    e->section.engine = e->section.said = M2MGW_ENGINE_UNSET;
    e->regex = core->r;
    e->blind = core->r ? compile_blind(m->pool, core->d) : NULL;
    e->start = m2_path_pattern_start(m->pool, core->d, kind);
    add_to(&e->section, m, core->d, dir);
}

static void add_section(maker_t *m, const ap_conf_vector_t *vector, int own)
{
    const core_dir_config *core = ap_get_core_module_config(vector);
    const m2mgw_dir_t *dir = ap_get_module_config(vector, &m2mgw_module);

    if (!dir || !dir->section) {
        if (!core->d || !is_marked(m, own, core->d)) {
            return;
        }
        dir = dir ? dir : m2mgw_config_dir_create(m->pool, NULL);
    }
    m->notices = own;
    if (core->r || core->d_is_fnmatch) {
        add_expression(m, core, dir);
    }
    else {
        add_prefix(m, core->d, dir);
    }
}

static void add_locations(maker_t *m, server_rec *main_server)
{
    const core_server_config *conf = ap_get_core_module_config(m->server->module_config);
    const core_server_config *main_conf =
        ap_get_core_module_config(main_server->module_config);
    const int inherited = m->server == main_server ? 0 : main_conf->sec_url->nelts;
    int i;

    m->guard->merges_slashes = conf->merge_slashes != AP_CORE_CONFIG_OFF;
    for (i = 0; i < conf->sec_url->nelts; i++) {
        m->order = i;
        add_section(m, APR_ARRAY_IDX(conf->sec_url, i, const ap_conf_vector_t *),
                    i >= inherited);
    }
}

/* --- <Proxy> --- */

static void add_proxied(maker_t *m, const proxy_dir_conf *proxy, const m2mgw_dir_t *dir)
{
    m2mgw_proxied_t *p = apr_array_push(m->proxied);

    memset(p, 0, sizeof(*p));
    p->section.engine = p->section.said = M2MGW_ENGINE_UNSET;
    p->regex = proxy->r;
    p->blind = proxy->r ? compile_blind(m->pool, proxy->p) : NULL;
    p->folded = m2_path_fold(m->pool, proxy->p);
    p->has_wildcards = proxy->p_is_fnmatch;
    add_to(&p->section, m, proxy->p, dir);
}

static void add_proxies(maker_t *m)
{
    module *proxy = ap_find_linked_module("mod_proxy.c");
    const proxy_server_conf *conf =
        proxy ? ap_get_module_config(m->server->module_config, proxy) : NULL;
    int i;

    m->notices = 1;
    if (conf && conf->req && m2_path_table_all(m->prefixes)->nelts + m->expressions->nelts) {
        notice(m, M2_LOG_WARNING, "ProxyRequests On: httpd compares the whole URL of a forward "
               "request with <Location>, so that no policy for a path covers one: those that no "
               "<Proxy URL> with a directive of this module covers are refused");
    }
    for (i = 0; conf && i < conf->sec_proxy->nelts; i++) {
        const ap_conf_vector_t *vector =
            APR_ARRAY_IDX(conf->sec_proxy, i, const ap_conf_vector_t *);
        const m2mgw_dir_t *dir = ap_get_module_config(vector, &m2mgw_module);

        if (dir && dir->section) {
            add_proxied(m, ap_get_module_config(vector, proxy), dir);
        }
    }
}

/* --- what is in force --- */

static m2mgw_engine_t engine_or(m2mgw_engine_t engine, m2mgw_engine_t inherited)
{
    return engine != M2MGW_ENGINE_UNSET ? engine : inherited;
}

/* M2MEngine Off does not turn off a plain `Require`. */
static void settle(m2mgw_guarded_t *section, m2mgw_engine_t inherited)
{
    section->engine = section->dir ? engine_or(section->engine, inherited) : M2MGW_ENGINE_ON;
}

/* What an entry inherits: the values of the innermost section around it that has a directive of
 * this module. */
static m2mgw_engine_t inherited(const m2_path_entry_t *entry, m2mgw_engine_t engine)
{
    const m2mgw_guarded_t *outer;

    for (entry = entry->outer; entry; entry = entry->outer) {
        outer = entry->what;
        if (outer->dir) {
            return outer->engine;
        }
    }
    return engine;
}

static void settle_engines(const maker_t *m)
{
    const apr_array_header_t *all = m2_path_table_all(m->prefixes);
    const m2mgw_engine_t engine = engine_or(m->guard->dir->engine, M2MGW_ENGINE_ON);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2_path_entry_t *entry = APR_ARRAY_IDX(all, i, const m2_path_entry_t *);

        settle(entry->what, inherited(entry, engine));
    }
    for (i = 0; i < m->expressions->nelts; i++) {
        settle(&APR_ARRAY_IDX(m->expressions, i, m2mgw_expression_t).section, engine);
    }
    for (i = 0; i < m->proxied->nelts; i++) {
        settle(&APR_ARRAY_IDX(m->proxied, i, m2mgw_proxied_t).section, engine);
    }
}

/* --- stricter sections that stand for others --- */

/* What all paths of an expression begin with, without a slash at the end; empty: nothing. */
static m2_slice_t start_of(const m2mgw_expression_t *e)
{
    const m2_slice_t start = m2_slice_z(e->start);

    return start.n && start.p[start.n - 1] == '/' ? m2_slice(start.p, start.n - 1) : start;
}

static void add_stand_in(const maker_t *m, m2mgw_guarded_t *section, m2_slice_t start,
                         const m2mgw_guarded_t *other, m2_slice_t others,
                         const m2mgw_twin_t *twin)
{
    apr_array_header_t *list;

    if (section == other || !start.n || !m2_slice_eq(start, others)
        || strictness(other->engine) <= strictness(section->engine)) {
        return;
    }
    list = section->twins ? apr_array_copy(m->pool, section->twins)
                          : apr_array_make(m->pool, 1, sizeof(m2mgw_twin_t));
    APR_ARRAY_PUSH(list, m2mgw_twin_t) = *twin;
    section->twins = list;
}

/* Both ways: the one that is stricter stands for the other. */
static void pair_up(const maker_t *m, m2mgw_expression_t *e, const m2_path_entry_t *entry)
{
    const m2mgw_twin_t ours = { NULL, e }, theirs = { entry, NULL };
    const m2_slice_t path = m2_slice_z(entry->path);

    add_stand_in(m, entry->what, path, &e->section, start_of(e), &ours);
    add_stand_in(m, &e->section, start_of(e), entry->what, path, &theirs);
}

/* `<LocationMatch ^/app>` beside `<Location /APP>` with M2MEngine Off: /app/x lies in both for a
 * backend that takes no notice of case, and httpd finds the one that decides. Of two plain
 * arguments that differ only in case the table makes one entry. */
static void find_stand_ins(const maker_t *m)
{
    const apr_array_header_t *all = m2_path_table_all(m->prefixes);
    int i, k;

    for (i = 0; i < m->expressions->nelts; i++) {
        m2mgw_expression_t *e = &APR_ARRAY_IDX(m->expressions, i, m2mgw_expression_t);

        for (k = 0; k < all->nelts; k++) {
            pair_up(m, e, APR_ARRAY_IDX(all, k, const m2_path_entry_t *));
        }
        for (k = 0; k < m->expressions->nelts; k++) {
            const m2mgw_expression_t *other =
                &APR_ARRAY_IDX(m->expressions, k, m2mgw_expression_t);
            const m2mgw_twin_t twin = { NULL, other };

            add_stand_in(m, &e->section, start_of(e), &other->section, start_of(other), &twin);
        }
    }
}

static int is_on(const m2mgw_dir_t *dir)
{
    m2mgw_effective_t effective;

    return m2mgw_effective(&effective, dir) && effective.engine == M2MGW_ENGINE_ON;
}

/* --- notices about what it does not cover --- */

static int in_condition(const m2mgw_section_t *section)
{
    const ap_directive_t *d = section->where;

    for (; d; d = d->parent) {
        if (is_named(d, "<If") || is_named(d, "<ElseIf") || is_named(d, "<Else")) {
            return 1;
        }
    }
    return 0;
}

static void look_at(const m2mgw_section_t *section, apr_pool_t *pool)
{
    const char *place = m2mgw_cfg_place(pool, section->where ? section->where
                                                             : section->first);

    if (section->dir->path_guard == 0) {
        m2mgw_cfg_notice(M2_LOG_WARNING, "the section in %s: M2MPathGuard Off: paths that a "
                         "backend reads otherwise than httpd are not refused here", place);
    }
    if (in_condition(section)) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "the section in %s: M2MPathGuard does not cover <If>: "
                         "its condition sees the path as httpd reads it", place);
    }
}

/* --- all of it --- */

/* The sections of ours in a server and, for a virtual host, in the main one. */
static int count_sections(maker_t *m, server_rec *main_server)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    int i, found = 0;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (section->server == m->server || section->server == main_server) {
            found++;
            m->guard->strict |= is_on(m2mgw_cfg_resolved(m->pool, section));
        }
        if (section->server == m->server) {
            look_at(section, m->pool);
        }
    }
    return found;
}

const m2mgw_guard_t *m2mgw_guarded(apr_pool_t *pool, server_rec *main_server, server_rec *s)
{
    maker_t m = { pool, s, apr_pcalloc(pool, sizeof(m2mgw_guard_t)),
                  m2_path_table_make(pool),
                  apr_array_make(pool, 4, sizeof(m2mgw_expression_t)),
                  apr_array_make(pool, 4, sizeof(m2mgw_proxied_t)), apr_hash_make(pool), 0, 0 };

    if (!count_sections(&m, main_server)) {
        return NULL;
    }
    m.guard->dir = ap_get_module_config(s->lookup_defaults, &m2mgw_module);
    m.guard->host_is_on = is_on(m.guard->dir);
    m.guard->prefixes = m.prefixes;
    m.guard->expressions = m.expressions;
    m.guard->proxied = m.proxied;
    mark_sections(&m, ap_conftree, NULL);
    add_locations(&m, main_server);
    add_proxies(&m);
    m2_path_table_seal(m.prefixes);
    settle_engines(&m);
    find_stand_ins(&m);
    return m.guard;
}
