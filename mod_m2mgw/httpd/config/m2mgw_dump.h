/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `-D DUMP_M2M` and `-D DUMP_M2M_JSON`: the policies as they are in force.
 */
#ifndef M2MGW_DUMP_H
#define M2MGW_DUMP_H

#include "httpd/config/m2mgw_section.h"

/** Print the effective policy of every section to standard output. */
void m2mgw_cfg_dump(apr_pool_t *pool, server_rec *s);

/** The same as one JSON document: input for the decisions of m2mctl (docs/m2mctl.md). */
void m2mgw_cfg_dump_json(apr_pool_t *pool, server_rec *s);

/** `<Location "/api">`, or `server`; for a section in a section, both. */
const char *m2mgw_cfg_title(apr_pool_t *pool, const m2mgw_section_t *section);

#endif /* M2MGW_DUMP_H */
