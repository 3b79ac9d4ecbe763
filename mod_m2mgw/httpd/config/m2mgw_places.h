/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Whether a section can have the effect that it states: sections that no request ever meets,
 * lines that a wider section replaces, and names that are used for two purposes.
 */
#ifndef M2MGW_PLACES_H
#define M2MGW_PLACES_H

#include "httpd/config/m2mgw_section.h"

/** The sentence for httpd -t about a section that is never in force, with the directive it is
 *  about in *pat; NULL: none. */
const char *m2mgw_cfg_check_place(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section);

/** The sentence about claims that are mapped to a name in which tokens are looked for; NULL:
 *  none. */
const char *m2mgw_cfg_check_names(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section);

/** The sentence about a backend's URL with the placeholder of a path target where none is filled:
 *  in its host or query; NULL: none. */
const char *m2mgw_cfg_check_holes(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section);

/* What a notice is about, NULL: nothing. */

/** Where a wider <Location> comes after this one and sets the same values; httpd merges sections
 *  in their order, so that the wider one's counts. */
const char *m2mgw_cfg_overridden(apr_pool_t *pool, const m2mgw_section_t *section);

/** The M2MPath that no path of the <Location> fits. */
const char *m2mgw_cfg_misfit(apr_pool_t *pool, const m2mgw_section_t *section);

/** The query parameter in which it looks for tokens and which it also removes for a claim. */
const char *m2mgw_cfg_lost_query(apr_pool_t *pool, const m2mgw_section_t *section);

/** What in a <Location> is no part of a path. */
const char *m2mgw_cfg_beside_path(apr_pool_t *pool, const m2mgw_section_t *section);

#endif /* M2MGW_PLACES_H */
