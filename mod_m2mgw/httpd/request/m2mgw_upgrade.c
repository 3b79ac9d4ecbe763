/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * httpd judges a request that asks for h2c twice: as it came, and again as stream 1 behind the
 * 101. Only the second one spends anything (one-time tokens, proofs, limits); otherwise a
 * request would find its own token used. The upgrade is predicted with the conditions of httpd's
 * core.
 */
#include "httpd/request/m2mgw_upgrade.h"

#include <http_protocol.h>

int m2mgw_upgrade_is_due(request_rec *r)
{
    const char *upgrade = apr_table_get(r->headers_in, "Upgrade");
    const char *connection = upgrade ? apr_table_get(r->headers_in, "Connection") : NULL;
    apr_array_header_t *offers = NULL;
    const char *protocol;

    if (!connection || r->main || !ap_find_token(r->pool, connection, "upgrade")
        || ap_parse_token_list_strict(r->pool, upgrade, &offers, 0) || !offers
        || !offers->nelts) {
        return 0;
    }
    protocol = ap_select_protocol(r->connection, r, NULL, offers);
    return protocol && strcmp(protocol, ap_get_protocol(r->connection)) != 0;
}
