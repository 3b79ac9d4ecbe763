/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The value of a Cookie header, taken apart into cookies and put together again.
 */
#ifndef M2_COOKIE_H
#define M2_COOKIE_H

#include "base/m2_slice.h"

/* One `name=value` (RFC 6265 4.2.1). */
typedef struct m2_cookie_t {
    m2_slice_t raw;    /* without what separates it */
    m2_slice_t name;   /* up to the '=', blanks around it taken off */
    m2_slice_t value;  /* likewise; absent without '=' */
    int joined;        /* a comma separates it from the one before or behind it, not ';' */
} m2_cookie_t;

/** Next cookie of *rest, which moves on; 0 at the end. Cookies end at ';', and where httpd
 *  joined two Cookie fields: at a comma and a blank in front of another name and '='. */
int m2_cookie_next(m2_slice_t *rest, m2_cookie_t *cookie);

/** header without the cookies of exactly that name, "; " between the others; NULL when none
 *  is left. */
const char *m2_cookie_without(apr_pool_t *pool, const char *header, const char *name);

#endif /* M2_COOKIE_H */
