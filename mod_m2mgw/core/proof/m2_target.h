/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The URL that a proof of possession is made for (`htu`, RFC 9449 4.2) and the URL that a
 * request was sent to, both in the one spelling in which they can be compared: RFC 3986
 * 6.2.2 and 6.2.3, without query and fragment. What a strict reader of RFC 3986 does not
 * take is refused, so that no two readers can see two places in one text; but for what clients
 * send raw in a path (`[]^{|}`), which counts as its escape.
 */
#ifndef M2_TARGET_H
#define M2_TARGET_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/**
 * The normal form of an absolute http or https URI: lower case scheme and host, no default
 * port, unreserved characters decoded, other escapes in capitals, dot segments removed,
 * query and fragment cut off. Slashes are neither merged nor dropped, and `%2F` stays.
 * M2_E_NOT_FOUND, with a reason in err, for anything else: relative, another scheme, user
 * information, no host, bytes that a URI does not have. The result lies in pool.
 */
m2_code_t m2_target_uri(const char **puri, apr_pool_t *pool, m2_slice_t uri, m2_err_t *err);

/**
 * The path of a request target (RFC 9112 3.2) in origin or absolute form, normalised like
 * that of m2_target_uri. The authority of the absolute form does not count: the client chose
 * it. NULL for any other form (`*`), and for a path that is not one of RFC 3986.
 */
const char *m2_target_path(apr_pool_t *pool, const char *target);

/** base (from m2_target_uri, its path is a prefix) with path (from m2_target_path) below. */
const char *m2_target_below(apr_pool_t *pool, const char *base, const char *path);

#endif /* M2_TARGET_H */
