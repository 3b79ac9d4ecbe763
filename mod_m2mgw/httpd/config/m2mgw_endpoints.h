/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Our own endpoints (SetHandler m2m-...) that stand below protection, or are never reached.
 */
#ifndef M2MGW_ENDPOINTS_H
#define M2MGW_ENDPOINTS_H

#include "httpd/config/m2mgw_section.h"

/** Append to all (of m2mgw_notice_t) a notice for each <Location> whose SetHandler m2m-... asks for
 *  a token because of a section around it, a server or another <Location>; a warning for each that
 *  a backend answers in its place, by a ProxyPass or by a RewriteRule [P], which is a notice where
 *  that depends on the request; a warning for each SetHandler m2m-... that nothing serves; and a
 *  notice where an M2MResource is served nowhere. Once the whole configuration has been read. */
void m2mgw_cfg_tell_endpoints(apr_array_header_t *all);

#endif /* M2MGW_ENDPOINTS_H */
