/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * URLs that keys may come from.
 */
#ifndef M2_URL_H
#define M2_URL_H

#include "base/m2_err.h"

/** https, or http to a loopback address; with a host, without user name or fragment. */
m2_code_t m2_url_check(apr_pool_t *pool, const char *url, m2_err_t *err);

#endif /* M2_URL_H */
