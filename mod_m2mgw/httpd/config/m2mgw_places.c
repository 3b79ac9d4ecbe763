/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * httpd accepts sections that cannot match any request, without a message.
 */
#include "httpd/config/m2mgw_places.h"

#include "rules/m2_rules.h"

/* --- sections that no request meets --- */

/* The argument of a container, without what turns it into an expression; NULL: it is one. */
static const char *argument(apr_pool_t *pool, const ap_directive_t *container)
{
    const char *end = ap_strrchr_c(container->args, '>');
    const char *args = end ? apr_pstrmemdup(pool, container->args,
                                            (apr_size_t)(end - container->args))
                           : container->args;
    const char *word = ap_getword_conf(pool, &args);

    return word[0] == '~' && !word[1] ? NULL : word;
}

static int has_dot_segment(const char *path)
{
    apr_size_t n;

    for (; *path; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        if ((n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.')) {
            return 1;
        }
    }
    return 0;
}

static const char *dead_location(apr_pool_t *pool, const char *path)
{
    if (!strchr("/*?[", path[0]) && !strstr(path, "://")) {
        return apr_psprintf(pool, "<Location %s> covers no request: a path begins with /", path);
    }
    return has_dot_segment(path)
               ? apr_psprintf(pool, "<Location %s> covers no request: httpd resolves the "
                              "segments . and .. of a path before it looks for sections", path)
               : NULL;
}

static const char *dead_proxy(apr_pool_t *pool, const char *url)
{
    const char *bar = strchr(url, '|');

    return bar && ap_cstr_casecmpn(url, "unix:", 5) == 0
               ? apr_psprintf(pool, "<Proxy %s> covers no request: httpd compares what stands "
                              "behind the socket, so write <Proxy \"%s\">", url, bar + 1)
               : NULL;
}

const char *m2mgw_cfg_check_place(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section)
{
    const ap_directive_t *d;
    const char *bad = NULL;

    for (d = section->where; d && !bad; d = d->parent) {
        const int is_proxy = ap_cstr_casecmp(d->directive, "<Proxy") == 0;
        const char *said = is_proxy || ap_cstr_casecmp(d->directive, "<Location") == 0
                               ? argument(pool, d) : NULL;

        bad = !said || !*said ? NULL : is_proxy ? dead_proxy(pool, said)
                                                : dead_location(pool, said);
    }
    *pat = section->first;
    return bad ? apr_psprintf(pool, "%s: %s", section->first->directive, bad) : NULL;
}

const char *m2mgw_cfg_beside_path(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const char *path = section->location;

    return path && strpbrk(path, "?#") ? apr_pstrcat(pool, "<Location ", path, ">", NULL) : NULL;
}

/* --- names that are wanted for two things --- */

static const char *like_source(const m2mgw_sources_t *sources, m2_token_place_t place,
                               const char *name)
{
    int i;

    if (!sources) {
        return place == M2_TOKEN_HEADER && m2_header_name_like(name, "Authorization")
                   ? "Authorization" : NULL;
    }
    for (i = 0; i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);

        if (source->place == place
            && (place == M2_TOKEN_HEADER ? m2_header_name_like(name, source->name)
                                         : m2_name_same(name, source->name, M2_READ_FORM))) {
            return source->name;
        }
    }
    return NULL;
}

static const char *taken_name(const m2mgw_sources_t *sources, const m2_mapping_t *mapping,
                              m2_place_t target, m2_token_place_t place)
{
    const apr_array_header_t *names = mapping->names[target];
    const char *found = NULL;
    int i;

    for (i = 0; names && !found && i < names->nelts; i++) {
        found = like_source(sources, place, APR_ARRAY_IDX(names, i, const char *));
    }
    return found;
}

const char *m2mgw_cfg_check_names(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = section->dir->mapping || section->dir->sources
                                 ? m2mgw_cfg_in_force(pool, section) : NULL;
    const char *header;

    if (!dir || !dir->mapping || !dir->keys || dir->engine == M2MGW_ENGINE_OFF) {
        return NULL;
    }
    header = taken_name(dir->sources, dir->mapping, M2_PLACE_HEADER, M2_TOKEN_HEADER);
    if (!header) {
        return NULL;
    }
    *pat = m2mgw_cfg_stated_at(section, "M2MClaim");
    return apr_psprintf(pool, "M2MClaim: tokens are looked for in header:%s here, and what claims "
                        "are mapped to is taken out of requests: every token would be lost",
                        header);
}

const char *m2mgw_cfg_lost_query(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = section->dir;
    const char *name = dir->mapping && dir->sources
                           ? taken_name(dir->sources, dir->mapping, M2_PLACE_QUERY,
                                        M2_TOKEN_QUERY) : NULL;

    return name ? apr_pstrcat(pool, "query:", name, NULL) : NULL;
}

/* --- placeholders where none is filled --- */

/* Where `{NAME}` stands in an URL but not in its path; `%{NAME}` and `${NAME}` are mod_rewrite's
 * own. NULL: nowhere. */
static const char *misplaced(const char *url, const char *hole)
{
    const char *authority = ap_strstr_c(url, "://");
    const char *path, *at;

    if (!authority) {
        return NULL; /* what is no URL is no backend's */
    }
    path = authority + 3 + strcspn(authority + 3, "/?");
    for (at = ap_strstr_c(url, hole); at; at = ap_strstr_c(at + 1, hole)) {
        if (at > url && (at[-1] == '%' || at[-1] == '$')) {
            continue;
        }
        if (at < path) {
            return "the host";
        }
        if (at >= path + strcspn(path, "?")) {
            return "the query";
        }
    }
    return NULL;
}

static int is_proxying(const char *flags)
{
    const char *word = flags + (*flags == '[');

    for (; *word; word += strcspn(word, ",]"), word += *word != '\0') {
        const apr_size_t n = strcspn(word, ",]");

        if (m2_slice_is_nocase(m2_slice(word, n), "P")
            || m2_slice_is_nocase(m2_slice(word, n), "proxy")) {
            return 1;
        }
    }
    return 0;
}

/* The URL of a backend that a directive names; NULL: it names none. */
static const char *backend_of(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *args = d->args, *word, *flags;

    if (ap_cstr_casecmp(d->directive, "RewriteRule") == 0) {
        ap_getword_conf(pool, &args);
        word = ap_getword_conf(pool, &args);
        flags = ap_getword_conf(pool, &args);
        return is_proxying(flags) ? word : NULL;
    }
    if (ap_cstr_casecmp(d->directive, "SetHandler") == 0) {
        word = ap_getword_conf(pool, &args);
        return ap_cstr_casecmpn(word, "proxy:", 6) == 0 ? word : NULL;
    }
    if (ap_cstr_casecmp(d->directive, "ProxyPass") == 0
        || ap_cstr_casecmp(d->directive, "ProxyPassMatch") == 0) {
        word = ap_getword_conf(pool, &args);
        return *args && !ap_strstr_c(word, "://") ? ap_getword_conf(pool, &args) : word;
    }
    return NULL;
}

/* Whether requests of the server may meet what stands in the <VirtualHost>. */
static int may_meet(const server_rec *server, const ap_directive_t *host)
{
    return !server->is_virtual || !server->defn_name
           || (server->defn_line_number == (unsigned)host->line_num
               && m2_slice_is(m2_slice_z(server->defn_name), host->filename));
}

/* The path below which all requests lie that a <Location> or a ProxyPass in or around d is for;
 * NULL: any, as far as can be told here. */
static const char *path_around(apr_pool_t *pool, const ap_directive_t *d)
{
    const char *args = d->args, *word;

    if (ap_cstr_casecmp(d->directive, "ProxyPass") == 0) {
        word = ap_getword_conf(pool, &args);
        if (*word == '/') {
            return word;
        }
    }
    for (; d; d = d->parent) {
        if (ap_cstr_casecmp(d->directive, "<Location") == 0) {
            word = argument(pool, d);
            return word && *word == '/' && !strpbrk(word, "*?[") ? word : NULL;
        }
    }
    return NULL;
}

static int lies_below(const char *path, const char *outer)
{
    apr_size_t n = strlen(outer);

    n -= n && outer[n - 1] == '/';
    return strlen(path) >= n && m2_slice_eq(m2_slice(path, n), m2_slice(outer, n))
           && (!path[n] || path[n] == '/');
}

/* Whether the claims of section are in force for the requests of a wider or narrower path. */
static int is_mapped_at(const char *path, apr_pool_t *pool, const m2mgw_section_t *section)
{
    const char *own = section->where ? path_around(pool, section->where) : NULL;
    m2mgw_section_t there = { .server = section->server, .location = path };
    const m2mgw_dir_t *dir;

    if (!path || !own || lies_below(own, path)) {
        return 1;
    }
    if (!lies_below(path, own)) {
        return 0;
    }
    if (!section->location) {
        return 1; /* an expression, or within a condition: it counts behind all of these */
    }
    dir = m2mgw_cfg_in_force(pool, &there);
    return dir && dir->mapping == section->dir->mapping && dir->engine != M2MGW_ENGINE_OFF;
}

/* The first directive that names a backend with a misplaced hole, and where it stands. */
static const ap_directive_t *find_misplaced(const char **pwhere, apr_pool_t *pool,
                                            const ap_directive_t *d, const char *hole,
                                            const m2mgw_section_t *section)
{
    const ap_directive_t *found = NULL;
    const char *url;

    for (; d && !found; d = d->next) {
        url = strstr(d->args, hole) ? backend_of(pool, d) : NULL;
        *pwhere = url ? misplaced(url, hole) : NULL;
        if (*pwhere && is_mapped_at(path_around(pool, d), pool, section)) {
            return d;
        }
        if (d->first_child && (ap_cstr_casecmp(d->directive, "<VirtualHost") != 0
                               || may_meet(section->server, d))) {
            found = find_misplaced(pwhere, pool, d->first_child, hole, section);
        }
    }
    return found;
}

const char *m2mgw_cfg_check_holes(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section)
{
    const m2_mapping_t *mapping = section->dir->mapping;
    const apr_array_header_t *names = mapping ? mapping->names[M2_PLACE_PATH] : NULL;
    const char *where = NULL, *name = NULL;
    int i;

    *pat = NULL;
    for (i = 0; names && !*pat && i < names->nelts; i++) {
        name = APR_ARRAY_IDX(names, i, const char *);
        *pat = find_misplaced(&where, pool, ap_conftree, apr_pstrcat(pool, "{", name, "}", NULL),
                              section);
    }
    return *pat ? apr_psprintf(pool, "%s: {%s} stands in %s of the URL, and M2MClaim path:%s fills "
                               "it in the path only; use a target query:%s or header:",
                               (*pat)->directive, name, where, name, name)
                : NULL;
}

/* --- lines that a wider section replaces --- */

static int says_again(const m2mgw_section_t *narrow, const m2mgw_section_t *wide)
{
    const ap_directive_t *d, *e;

    for (d = narrow->first; d; d = d->next) {
        for (e = wide->first; e && ap_cstr_casecmpn(d->directive, "M2M", 3) == 0; e = e->next) {
            if (ap_cstr_casecmp(d->directive, e->directive) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

const char *m2mgw_cfg_overridden(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const apr_array_header_t *covering = m2mgw_cfg_covering(pool, section);
    int i;

    for (i = 0; i < covering->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(covering, i, const m2mgw_section_t *);

        if (other->ordinal > section->ordinal && other->server == section->server
            && strlen(other->location) < strlen(section->location)
            && says_again(section, other)) {
            return m2mgw_cfg_place(pool, other->where);
        }
    }
    return NULL;
}

const char *m2mgw_cfg_misfit(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2_path_template_t *path = section->rules ? section->rules->path : NULL;

    return path && section->location && !strpbrk(section->location, "*?[")
                   && !m2_path_may_lie_below(path, section->location)
               ? apr_pstrcat(pool, "<Location ", section->location, ">", NULL) : NULL;
}
