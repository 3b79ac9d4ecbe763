/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is collected while configuration is read, and which section a directive belongs to.
 * Decides where directives are allowed, which ones exclude each other in a section, and which
 * values are in force in a nested section.
 *
 * The static record is filled by the one thread that reads configuration and is emptied
 * before each reading.
 */
#include "httpd/config/m2mgw_section.h"
#include "httpd/config/m2mgw_words.h"

#include "base/m2_log.h"

#include <http_main.h>

#include <stdlib.h>

static struct {
    apr_pool_t *pool;
    apr_array_header_t *sections; /* of m2mgw_section_t * */
    apr_hash_t *locations;        /* PATH -> those of them, of m2mgw_section_t * */
    apr_array_header_t *datasets; /* of m2mgw_dataset_t * */
    apr_array_header_t *notices;  /* of m2mgw_notice_t */
    m2mgw_globals_t globals;
    m2_jwks_t *registry;
} reading;

static const char *const conditions[] = { "<If", "<ElseIf", "<Else" };

static const m2mgw_globals_t default_globals = {
    .file_modes = 1,
    .replay_max_lifetime = M2_REPLAY_MAX_LIFETIME,
    .verify_cache = 4096,
    .recent_refusals = 512,
    .limit_store = { .entries = M2_LIMIT_ENTRIES },
};

/* --- what is collected --- */

static void collect_notice(m2_level_t level, const char *text, void *baton)
{
    m2mgw_notice_t *notice = apr_array_push(reading.notices);

    (void)baton;
    notice->level = level;
    notice->text = apr_pstrdup(reading.pool, text);
}

void m2mgw_cfg_reset(apr_pool_t *pconf)
{
    reading.pool = pconf;
    reading.sections = apr_array_make(pconf, 8, sizeof(m2mgw_section_t *));
    reading.locations = apr_hash_make(pconf);
    reading.datasets = apr_array_make(pconf, 2, sizeof(m2mgw_dataset_t *));
    reading.notices = apr_array_make(pconf, 8, sizeof(m2mgw_notice_t));
    reading.globals = default_globals;
    reading.globals.replay_store = m2_replay_default(pconf);
    m2_log_set(collect_notice, NULL);
    reading.registry = m2_jwks_make(pconf);
    m2_jwks_keep_copies(reading.registry, ap_pglobal);
}

apr_array_header_t *m2mgw_cfg_datasets(void)
{
    return reading.datasets;
}

apr_pool_t *m2mgw_cfg_pool(void)
{
    return reading.pool;
}

const apr_array_header_t *m2mgw_cfg_sections(void)
{
    return reading.sections;
}

const apr_array_header_t *m2mgw_cfg_notices(void)
{
    return reading.notices;
}

m2mgw_globals_t *m2mgw_cfg_globals(void)
{
    return &reading.globals;
}

const m2mgw_globals_t *m2mgw_globals(void)
{
    return &reading.globals;
}

m2_jwks_t *m2mgw_cfg_registry(void)
{
    return reading.registry;
}

void m2mgw_cfg_notice(m2_level_t level, const char *fmt, ...)
{
    m2mgw_notice_t *notice = apr_array_push(reading.notices);
    va_list args;

    va_start(args, fmt);
    notice->level = level;
    notice->text = apr_pvsprintf(reading.pool, fmt, args);
    va_end(args);
}

const ap_directive_t *m2mgw_cfg_stated_at(const m2mgw_section_t *section, const char *name)
{
    const ap_directive_t *inner = section->first, *d, *found = NULL;

    while (inner && !found) {
        d = inner->parent ? inner->parent->first_child : ap_conftree;
        for (; d; d = d->next) {
            found = ap_cstr_casecmp(d->directive, name) == 0 ? d : found;
        }
        inner = inner->parent;
    }
    return found ? found : section->first;
}

const char *m2mgw_cfg_place(apr_pool_t *pool, const ap_directive_t *directive)
{
    return apr_psprintf(pool, "line %d of %s", directive->line_num, directive->filename);
}

/* --- sections --- */

static int is_one_of(const char *word, const char *const *words, apr_size_t n)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (ap_cstr_casecmp(word, words[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Containers that httpd walks like a section although nothing written there is ever in
 * force for a request: a policy in them would be silently absent. */
static const char *dead_container(const ap_directive_t *directive)
{
    static const char *const dead[] = { "<AuthnProviderAlias", "<AuthzProviderAlias" };

    for (; directive; directive = directive->parent) {
        if (is_one_of(directive->directive, dead, sizeof(dead) / sizeof(dead[0]))) {
            return directive->directive;
        }
    }
    return NULL;
}

/* PATH of a <Location PATH>; NULL for an expression, or another container */
static const char *location_of(apr_pool_t *pool, const ap_directive_t *where)
{
    const char *args = where ? where->args : "";
    char *path;

    if (!where || ap_cstr_casecmp(where->directive, "<Location") != 0) {
        return NULL;
    }
    path = ap_getword_conf(pool, &args);
    path[strcspn(path, ">")] = '\0';
    return *path == '/' ? path : NULL;
}

static int names_method(const ap_directive_t *d)
{
    return ap_strcasestr(d->args, "REQUEST_METHOD") != NULL;
}

/* Whether an expression that names the method says whether what is in container is reached:
 * its own, or one in front of it of which it is the <ElseIf> or <Else>. */
static int is_reached_by_method(const ap_directive_t *container)
{
    const ap_directive_t *d = container->parent ? container->parent->first_child : ap_conftree;
    int named = 0;

    if (is_one_of(container->directive, conditions, 1)) {
        return names_method(container);
    }
    if (!is_one_of(container->directive, conditions, 3)) {
        return 0;
    }
    for (; d; d = d->next) {
        named = (named && !is_one_of(d->directive, conditions, 1))
                || (is_one_of(d->directive, conditions, 2) && names_method(d));
        if (d == container) {
            break;
        }
    }
    return named;
}

static int is_by_method(const ap_directive_t *where)
{
    for (; where; where = where->parent) {
        if (is_reached_by_method(where)) {
            return 1;
        }
    }
    return 0;
}

static void note_location(m2mgw_section_t *section)
{
    apr_array_header_t *same = apr_hash_get(reading.locations, section->location,
                                            APR_HASH_KEY_STRING);

    if (!same) {
        same = apr_array_make(reading.pool, 1, sizeof(m2mgw_section_t *));
        apr_hash_set(reading.locations, section->location, APR_HASH_KEY_STRING, same);
    }
    APR_ARRAY_PUSH(same, m2mgw_section_t *) = section;
}

static m2mgw_section_t *section_of(cmd_parms *cmd, m2mgw_dir_t *dir)
{
    m2mgw_section_t *section = dir->section;

    if (!section) {
        section = dir->section = apr_pcalloc(cmd->pool, sizeof(*section));
        section->dir = dir;
        section->server = cmd->server;
        section->where = cmd->path ? cmd->directive->parent : NULL;
        section->location = location_of(cmd->pool, section->where);
        section->by_method = is_by_method(section->where);
        section->first = cmd->directive;
        section->ordinal = reading.sections->nelts;
        APR_ARRAY_PUSH(reading.sections, m2mgw_section_t *) = section;
        if (section->location) {
            note_location(section);
        }
    }
    return section;
}

static const char *plugin_conflict(m2mgw_section_t *section, cmd_parms *cmd,
                                   m2mgw_plugin_t plugin)
{
    static const char *const kinds[] = { "jwtAuth", "accessControl", "trafficControl" };
    const ap_directive_t *other = section->plugin[plugin];

    _Static_assert(sizeof(kinds) / sizeof(kinds[0]) == M2MGW_PLUGINS, "ORDER PLUGIN");
    if (other && other != cmd->directive) {
        return m2mgw_cfg_error(cmd, "M2MPlugin %s in %s sets this section's values of the "
                               "kind already; move one of the two to a section of its own",
                               kinds[plugin], m2mgw_cfg_place(cmd->pool, other));
    }
    if (!section->native[plugin]) {
        section->native[plugin] = cmd->directive;
    }
    return NULL;
}

/* the section itself says SetHandler m2m-... */
static int is_endpoint(cmd_parms *cmd)
{
    const ap_directive_t *d = m2mgw_cfg_sibling(cmd, "SetHandler");
    const char *args = d ? d->args : "";

    return ap_cstr_casecmpn(ap_getword_conf(cmd->temp_pool, &args), "m2m-", 4) == 0;
}

/* Directives that say what a token must be like, or what is made of it. */
static int is_check(cmd_parms *cmd)
{
    static const char *const checks[] = {
        "M2MToken", "M2MForwardToken", "M2MBypassEmptyToken", "M2MAlgorithms", "M2MIssuer",
        "M2MAudience", "M2MTokenType", "M2MRequireClaim", "M2MMaxAge", "M2MMaxLifetime",
        "M2MIgnoreExpiration", "M2MPreventJtiReplay", "M2MClaim", "M2MSenderConstraint",
        "M2MScopeClaim",
    };
    /* the module's endpoints use these for themselves */
    static const char *const elsewhere[] = { "M2MRevocation", "M2MDPoP", "M2MResource" };

    return is_one_of(cmd->cmd->name, checks, sizeof(checks) / sizeof(checks[0]))
           || (is_one_of(cmd->cmd->name, elsewhere, sizeof(elsewhere) / sizeof(elsewhere[0]))
               && !is_endpoint(cmd));
}

/* A value in a server or virtual host is a default for its sections and closes nothing. */
static void note_check(m2mgw_section_t *section, cmd_parms *cmd)
{
    if (section->where && !section->check_at && is_check(cmd)) {
        section->check_at = cmd->directive;
        section->dir->checks = 1;
    }
}

const char *m2mgw_cfg_enter(m2mgw_section_t **psection, cmd_parms *cmd, void *dir,
                            m2mgw_plugin_t plugin)
{
    const char *bad = ap_check_cmd_context(cmd, NOT_IN_LIMIT | NOT_IN_HTACCESS);
    const char *dead = dead_container(cmd->directive->parent);

    if (bad) {
        return bad;
    }
    if (dead) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " cannot occur within ", dead,
                           "> section", NULL);
    }
    *psection = section_of(cmd, dir);
    note_check(*psection, cmd);
    return plugin == M2MGW_NO_PLUGIN ? NULL : plugin_conflict(*psection, cmd, plugin);
}

/* --- what is in force in a section --- */

static const m2mgw_section_t *enclosing(const m2mgw_section_t *section)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    const ap_directive_t *d = section->where ? section->where->parent : NULL;
    int i;

    for (; d && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0; d = d->parent) {
        for (i = 0; i < sections->nelts; i++) {
            const m2mgw_section_t *other = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
            if (other->where == d) {
                return other;
            }
        }
    }
    return NULL;
}

const m2mgw_dir_t *m2mgw_cfg_resolved(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2mgw_dir_t *outer = ap_get_module_config(section->server->lookup_defaults,
                                                    &m2mgw_module);
    const m2mgw_section_t *around;

    if (!section->where) {
        return outer ? outer : section->dir;
    }
    around = enclosing(section);
    if (around) {
        outer = m2mgw_cfg_resolved(pool, around);
    }
    return outer ? m2mgw_config_dir_merge(pool, (void *)outer, section->dir) : section->dir;
}

static int by_ordinal(const void *a, const void *b)
{
    const m2mgw_section_t *const *x = a, *const *y = b;

    return ((*x)->ordinal > (*y)->ordinal) - ((*x)->ordinal < (*y)->ordinal);
}

/* Every path that covers ends behind a slash of the covered one, before one, or with it. */
apr_array_header_t *m2mgw_cfg_covering(apr_pool_t *pool, const m2mgw_section_t *section)
{
    apr_array_header_t *found = apr_array_make(pool, 4, sizeof(m2mgw_section_t *));
    const char *path = section->location;
    apr_ssize_t n;

    for (n = 1; path && path[n - 1]; n++) {
        const apr_array_header_t *same =
            path[n - 1] == '/' || path[n] == '/' || !path[n]
                ? apr_hash_get(reading.locations, path, n) : NULL;

        if (same) {
            apr_array_cat(found, same);
        }
    }
    qsort(found->elts, (size_t)found->nelts, sizeof(m2mgw_section_t *), by_ordinal);
    return found;
}

/* Those of the main server come first, whatever their order in the files. */
static const m2mgw_dir_t *add_locations(const m2mgw_dir_t *dir, apr_pool_t *pool,
                                        const m2mgw_section_t *section, int main_server)
{
    const apr_array_header_t *covering = m2mgw_cfg_covering(pool, section);
    int i;

    for (i = 0; i < covering->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(covering, i, const m2mgw_section_t *);

        if (other->server->is_virtual != main_server
            && (main_server || other->server == section->server)) {
            dir = dir ? m2mgw_config_dir_merge(pool, (void *)dir, other->dir) : other->dir;
        }
    }
    return dir;
}

const m2mgw_dir_t *m2mgw_cfg_in_force(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2mgw_section_t *around = enclosing(section);
    const m2mgw_dir_t *dir;

    if (around) {
        return m2mgw_config_dir_merge(pool, (void *)m2mgw_cfg_in_force(pool, around),
                                      section->dir);
    }
    if (!section->location) {
        return m2mgw_cfg_resolved(pool, section);
    }
    dir = ap_get_module_config(section->server->lookup_defaults, &m2mgw_module);
    dir = add_locations(dir, pool, section, 1);
    return section->server->is_virtual ? add_locations(dir, pool, section, 0) : dir;
}

int m2mgw_cfg_may_meet(const m2mgw_section_t *a, const m2mgw_section_t *b)
{
    return a->server == b->server || !a->server->is_virtual || !b->server->is_virtual;
}

int m2mgw_cfg_may_have_keys(const m2mgw_section_t *section)
{
    int i;

    for (i = 0; i < reading.sections->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(reading.sections, i, m2mgw_section_t *);

        if (other->dir->keys && m2mgw_cfg_may_meet(section, other)) {
            return 1;
        }
    }
    return 0;
}

const m2mgw_section_t *m2mgw_cfg_keys_of(const m2mgw_dir_t *dir)
{
    int i;

    if (dir->section && dir->section->dir->keys == dir->keys) {
        return dir->section; /* mostly */
    }
    for (i = 0; dir->keys && i < reading.sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(reading.sections, i, m2mgw_section_t *);

        if (section->dir->keys == dir->keys) {
            return section;
        }
    }
    return NULL;
}

int m2mgw_cfg_can_verify(const m2mgw_dir_t *dir)
{
    const m2mgw_section_t *section = dir->algs ? m2mgw_cfg_keys_of(dir) : NULL;

    return !section || !section->keyset || (section->keyset->algs & dir->algs);
}
