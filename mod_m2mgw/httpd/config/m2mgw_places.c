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
    *pat = m2mgw_cfg_stated_at(section, "M2MClaim");
    return header ? apr_psprintf(pool, "M2MClaim: tokens are looked for in header:%s here, and "
                                 "what claims are mapped to is taken out of requests: every "
                                 "token would be lost", header)
                  : NULL;
}

const char *m2mgw_cfg_lost_query(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2mgw_dir_t *dir = section->dir;
    const char *name = dir->mapping && dir->sources
                           ? taken_name(dir->sources, dir->mapping, M2_PLACE_QUERY,
                                        M2_TOKEN_QUERY) : NULL;

    return name ? apr_pstrcat(pool, "query:", name, NULL) : NULL;
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
    const apr_array_header_t *all = m2mgw_cfg_sections();
    int i, behind = 0;

    for (i = 0; section->location && i < all->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(all, i, m2mgw_section_t *);

        if (other == section) {
            behind = 1;
        }
        else if (behind && other->location && other->server == section->server
                 && strlen(other->location) < strlen(section->location)
                 && m2mgw_cfg_covers(other->location, section->location)
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
