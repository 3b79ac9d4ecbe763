/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * URLs that keys may come from.
 */
#include "jwks/m2_url.h"

#include "base/m2_slice.h"

#include <apr_uri.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define MAX_PORT 65535

/* RFC 8252 7.3: localhost by its addresses, and by its name as RFC 6761 6.3 reserves it.
 * */
int m2_url_is_loopback(const char *host)
{
    struct in_addr address;

    if (m2_slice_is_nocase(m2_slice_z(host), "localhost")
        || m2_slice_is(m2_slice_z(host), "::1")) {
        return 1;
    }
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/* What stands behind the colon of a host may be empty (RFC 3986 3.2.3). */
static int is_port(const char *text)
{
    int port = 0;
    const char *p;

    for (p = text; *p >= '0' && *p <= '9' && port <= MAX_PORT; p++) {
        port = port * 10 + (*p - '0');
    }
    return !*p && port <= MAX_PORT && (port > 0 || p == text);
}

m2_code_t m2_url_check(apr_pool_t *pool, const char *url, int plain, m2_err_t *err)
{
    apr_uri_t uri;
    const char *p;
    int clear;

    for (p = url; *p > 0x20 && *p < 0x7f && !strchr("\"<>\\^`{|}", *p); p++) {
    }
    if (*p || apr_uri_parse(pool, url, &uri) != APR_SUCCESS || !uri.scheme
        || !uri.hostname || !*uri.hostname || uri.user || uri.password || uri.fragment) {
        return m2_err_set(err, M2_E_CONFIG,
                          "not a usable URL: it needs a host, and user "
                          "names, fragments, blanks and quotes are not allowed");
    }
    if (uri.port_str && !is_port(uri.port_str)) {
        return m2_err_set(err, M2_E_CONFIG, "its port is no number from 1 to %d", MAX_PORT);
    }
    clear = m2_slice_is_nocase(m2_slice_z(uri.scheme), "http");
    if (!clear && !m2_slice_is_nocase(m2_slice_z(uri.scheme), "https")) {
        return m2_err_set(err, M2_E_CONFIG, "it is not an https:// URL");
    }
    if (clear && !plain && !m2_url_is_loopback(uri.hostname)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "keys would be fetched without TLS; http:// is allowed to a "
                          "loopback address only, or with plain-http=Allow");
    }
    return M2_OK;
}

int m2_url_is_plain(apr_pool_t *pool, const char *url)
{
    apr_uri_t uri;

    return apr_uri_parse(pool, url, &uri) == APR_SUCCESS && uri.scheme && uri.hostname
           && m2_slice_is_nocase(m2_slice_z(uri.scheme), "http")
           && !m2_url_is_loopback(uri.hostname);
}

const char *m2_url_label(apr_pool_t *pool, const char *url)
{
    const char *query = strchr(url, '?');

    return query ? apr_pstrcat(pool, apr_pstrmemdup(pool, url, (apr_size_t)(query - url)), "?...",
                               NULL)
                 : url;
}
