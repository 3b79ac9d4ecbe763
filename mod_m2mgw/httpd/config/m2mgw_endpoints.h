/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Our own endpoints (SetHandler m2m-...) that stand below protection.
 */
#ifndef M2MGW_ENDPOINTS_H
#define M2MGW_ENDPOINTS_H

#include "httpd/config/m2mgw_section.h"

/** A sentence for each <Location> whose SetHandler m2m-... asks for a token because of a section
 *  around it, a server or another <Location>: of const char *, in pool. Once the whole
 *  configuration has been read. */
apr_array_header_t *m2mgw_cfg_endpoints_below(apr_pool_t *pool);

/** A sentence for each whose path a ProxyPass hands to a backend, which answers in its place.
 *  RewriteRule [P] and patterns are not looked at. */
apr_array_header_t *m2mgw_cfg_endpoints_proxied(apr_pool_t *pool);

#endif /* M2MGW_ENDPOINTS_H */
