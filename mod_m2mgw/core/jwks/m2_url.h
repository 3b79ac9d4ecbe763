/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * URLs that keys may come from.
 */
#ifndef M2_URL_H
#define M2_URL_H

#include "base/m2_err.h"

/** https, or http to a loopback address, with plain to any; with a host, without user name or
 *  fragment. */
m2_code_t m2_url_check(apr_pool_t *pool, const char *url, int plain, m2_err_t *err);

/** Whether url, which was checked, is http to another host than this machine. */
int m2_url_is_plain(apr_pool_t *pool, const char *url);

/** Whether a host is this machine by the name or an address that is reserved for it. */
int m2_url_is_loopback(const char *host);

/** url for messages: its query may contain a password. */
const char *m2_url_label(apr_pool_t *pool, const char *url);

#endif /* M2_URL_H */
