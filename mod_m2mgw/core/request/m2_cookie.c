/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Cookies by RFC 6265, and by what httpd makes of several Cookie fields.
 */
#include "request/m2_cookie.h"

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static m2_slice_t trim(m2_slice_t s)
{
    while (s.n && is_blank(s.p[0])) {
        s = m2_slice(s.p + 1, s.n - 1);
    }
    while (s.n && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Whether p, a comma, is one that httpd wrote between two Cookie fields. */
static int is_join(const char *p, const char *end)
{
    const char *name = p + 2;

    if (end - p < 4 || p[1] != ' ') {
        return 0;
    }
    while (name < end && !strchr("=;, \t\"", *name)) {
        name++;
    }
    return name > p + 2 && name < end && *name == '=';
}

static const char *end_of(const char *p, const char *end)
{
    while (p < end && *p != ';' && !(*p == ',' && is_join(p, end))) {
        p++;
    }
    return p;
}

int m2_cookie_next(m2_slice_t *rest, m2_cookie_t *cookie)
{
    const char *start = rest->p, *end = rest->p + rest->n, *stop, *equals;

    cookie->joined = 0;
    while (start < end && (is_blank(*start) || *start == ';' || *start == ',')) {
        cookie->joined = *start == ',' || (*start != ';' && cookie->joined);
        start++;
    }
    if (start == end) {
        return 0;
    }
    stop = end_of(start, end);
    cookie->joined |= stop < end && *stop == ',';
    *rest = m2_slice(stop, (apr_size_t)(end - stop));
    cookie->raw = trim(m2_slice(start, (apr_size_t)(stop - start)));
    equals = memchr(cookie->raw.p, '=', cookie->raw.n);
    cookie->name = cookie->raw;
    cookie->value = m2_slice(NULL, 0);
    if (equals) {
        const apr_size_t n = (apr_size_t)(equals - cookie->raw.p);

        cookie->name = trim(m2_slice(cookie->raw.p, n));
        cookie->value = trim(m2_slice(equals + 1, cookie->raw.n - n - 1));
    }
    return 1;
}

const char *m2_cookie_without(apr_pool_t *pool, const char *header, const char *name)
{
    m2_slice_t rest = m2_slice_z(header);
    char *out = apr_palloc(pool, rest.n * 2 + 1), *p = out;
    m2_cookie_t cookie;

    while (m2_cookie_next(&rest, &cookie)) {
        if (!m2_slice_is(cookie.name, name)) {
            if (p > out) {
                *p++ = ';';
                *p++ = ' ';
            }
            memcpy(p, cookie.raw.p, cookie.raw.n);
            p += cookie.raw.n;
        }
    }
    *p = '\0';
    return p > out ? out : NULL;
}
