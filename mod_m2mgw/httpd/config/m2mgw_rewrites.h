/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * RewriteRules with [P], which send requests for a path to a backend whatever its handler is.
 */
#ifndef M2MGW_REWRITES_H
#define M2MGW_REWRITES_H

#include "httpd/config/m2mgw_section.h"

/**
 * The RewriteRule of a server, or of a section that covers path, which sends requests for path to
 * a backend; NULL: none, as far as can be seen. *pmaybe: it depends on conditions that only a
 * request answers, or on what a rule before it does. Rules of expressions, of <Files>, and those
 * behind flags that jump are not looked at. Once the whole configuration has been read.
 */
const ap_directive_t *m2mgw_cfg_rewritten(int *pmaybe, apr_pool_t *pool, const server_rec *s,
                                          const char *path);

/** Whether what stands in a <VirtualHost> is s's. */
int m2mgw_cfg_is_host(const ap_directive_t *host, const server_rec *s);

#endif /* M2MGW_REWRITES_H */
