/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A borrowed stretch of bytes: pointer and length, not NUL-terminated, owned by other code.
 * Token parts are slices of the request's own header, so nothing is copied before it is trusted.
 * Comparison looks at the length first; there is no prefix comparison here, because an attacker
 * would get to choose the length of the prefix.
 */
#ifndef M2_SLICE_H
#define M2_SLICE_H

#include "base/m2.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include <string.h>

typedef struct m2_slice_t {
    const char *p; /* NULL only for an absent slice */
    apr_size_t n;
} m2_slice_t;

static inline m2_slice_t m2_slice(const char *p, apr_size_t n)
{
    m2_slice_t s = { p, n };
    return s;
}

/** The slice of a C string, without its NUL; absent for NULL. */
static inline m2_slice_t m2_slice_z(const char *z)
{
    return m2_slice(z, z ? strlen(z) : 0);
}

static inline int m2_slice_eq(m2_slice_t a, m2_slice_t b)
{
    return a.p && b.p && a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static inline int m2_slice_is(m2_slice_t s, const char *z)
{
    return m2_slice_eq(s, m2_slice_z(z));
}

/** Like m2_slice_is, ASCII letters in any case. */
static inline int m2_slice_is_nocase(m2_slice_t s, const char *z)
{
    apr_size_t i;

    if (!s.p || !z || s.n != strlen(z)) {
        return 0;
    }
    if (memcmp(s.p, z, s.n) == 0) { /* mostly, where it is one at all */
        return 1;
    }
    for (i = 0; i < s.n; i++) {
        if (s.p[i] != z[i] && apr_tolower(s.p[i]) != apr_tolower(z[i])) {
            return 0;
        }
    }
    return 1;
}

/** Whether a C string holds control bytes of ASCII. */
static inline int m2_has_control(const char *z)
{
    while ((unsigned char)*z >= 0x20 && *z != 0x7f) {
        z++;
    }
    return *z != '\0';
}

/** A NUL-terminated copy in pool; NULL for an absent slice. */
static inline char *m2_slice_dup(apr_pool_t *pool, m2_slice_t s)
{
    return s.p ? apr_pstrmemdup(pool, s.p, s.n) : NULL;
}

#endif /* M2_SLICE_H */
