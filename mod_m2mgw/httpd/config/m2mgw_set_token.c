/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Where a section looks for a token (M2MToken), and which of its claims are told to whom
 * (M2MClaim). The first directive of each makes the list; it grows until the section ends.
 */
#include "httpd/config/m2mgw_set.h"

/* --- sources --- */

/* Whether a token of the one would stand there for the other as well, in another spelling. */
static int same_source(const m2_token_source_t *a, const m2_token_source_t *b)
{
    if (a->place != b->place) {
        return 0;
    }
    return a->place == M2_TOKEN_HEADER
               ? m2_header_name_like(a->name, b->name)
               : m2_name_same(a->name, b->name, a->place == M2_TOKEN_COOKIE ? M2_READ_COOKIE
                                                                            : M2_READ_FORM);
}

static const char *add_place(m2mgw_sources_t *sources, cmd_parms *cmd, const char *word)
{
    m2_token_source_t source;
    m2_err_t err;
    int i;

    m2_err_init(&err, cmd->pool);
    if (m2_token_source_parse(&source, cmd->pool, word, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    for (i = 0; i < sources->list->nelts; i++) {
        if (same_source(&source, &APR_ARRAY_IDX(sources->list, i, m2_token_source_t))) {
            return m2mgw_cfg_error(cmd, "\"%s\" is named twice in this section, or in two "
                                   "spellings, so that every token would count as two", word);
        }
    }
    *(m2_token_source_t *)apr_array_push(sources->list) = source;
    return NULL;
}

m2mgw_sources_t *m2mgw_cfg_sources(apr_pool_t *pool, apr_array_header_t *list)
{
    m2mgw_sources_t *sources = apr_pcalloc(pool, sizeof(*sources));

    sources->list = list ? list : apr_array_make(pool, 2, sizeof(m2_token_source_t));
    return sources;
}

const char *m2mgw_cfg_token(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_JWT);
    int i;

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "one or more of header:NAME, "
                              "query:NAME, cookie:NAME and form:NAME");
    }
    if (!bad && !section->sources) {
        section->dir->sources = section->sources = m2mgw_cfg_sources(cmd->pool, NULL);
    }
    for (i = 0; !bad && i < words->nelts; i++) {
        bad = add_place(section->sources, cmd, APR_ARRAY_IDX(words, i, const char *));
    }
    return bad;
}

/* --- claims --- */

void m2mgw_cfg_mapping(m2mgw_section_t *section, apr_pool_t *pool, m2_mapping_t *mapping)
{
    m2_scrub_t *scrub = apr_pcalloc(pool, sizeof(*scrub));

    scrub->mapping = mapping;
    section->mapping = mapping;
    section->dir->mapping = mapping;
    section->dir->scrub = scrub;
}

const char *m2mgw_cfg_claim(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    m2_err_t err;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_JWT);

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 2, 0, "NAME TARGET [TARGET ...], a TARGET "
                              "being query:N, header:N, path:N, form:N or env:N, and "
                              "perhaps encoding=base64url or encoding=percent");
    }
    if (bad) {
        return bad;
    }
    if (!section->mapping) {
        m2mgw_cfg_mapping(section, cmd->pool, m2_mapping_make(cmd->pool));
    }
    m2_err_init(&err, cmd->pool);
    return m2_mapping_read(section->mapping, words, &err) != M2_OK ? m2mgw_cfg_fault(cmd, &err)
                                                                   : NULL;
}
