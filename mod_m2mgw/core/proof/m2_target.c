/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One pass over each part, writing the normal form behind it. Escapes are decoded before dot
 * segments are looked for (RFC 3986 6.2.2.3), so that `%2e%2E` is one, and what was decoded
 * is never decoded again.
 */
#include "proof/m2_target.h"

#define SUB_DELIMS "!$&'()*+,;="

/* What clients send raw in a path though RFC 3986 2 has them escaped, some on the request line,
 * some in htu. A backslash is not among them: some clients make a slash of it. */
#define SENT_RAW "[]^{|}"

typedef struct part_t {
    char *p;      /* where the next byte goes; there is room for all of the text, escaped */
    const char *end; /* of what is read */
} part_t;

static const struct scheme_t {
    const char *name;
    unsigned port;
} schemes[] = { { "https", 443 }, { "http", 80 } };

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static int is_unreserved(char c)
{
    return apr_isascii(c) && (apr_isalnum(c) || (c && strchr("-._~", c)));
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, apr_tolower(c)) : NULL;

    return found && apr_isascii(c) ? (int)(found - digits) : -1;
}

static void write_escape(part_t *out, unsigned char byte)
{
    static const char hex[] = "0123456789ABCDEF";

    *out->p++ = '%';
    *out->p++ = hex[byte >> 4];
    *out->p++ = hex[byte & 15];
}

/* RFC 3986 2.1 and 6.2.2: an escape in its normal form; 0 if it is invalid. */
static int copy_escape(part_t *out, const char **pin)
{
    const char *in = *pin;
    int high = out->end - in > 2 ? digit_of(in[1]) : -1;
    int low = high < 0 ? -1 : digit_of(in[2]);

    if (low < 0) {
        return 0;
    }
    if (is_unreserved((char)(high << 4 | low))) {
        *out->p++ = (char)(high << 4 | low);
    }
    else {
        write_escape(out, (unsigned char)(high << 4 | low));
    }
    *pin = in + 3;
    return 1;
}

/* Copies bytes of the set of unreserved characters, escapes and `more`, up to out->end, and
 * escapes those of `raw`. */
static int copy_part(part_t *out, const char *in, const char *more, const char *raw)
{
    while (in < out->end) {
        if (*in == '%') {
            if (!copy_escape(out, &in)) {
                return 0;
            }
        }
        else if (is_unreserved(*in) || (*in && strchr(more, *in))) {
            *out->p++ = *in++;
        }
        else if (*in && strchr(raw, *in)) {
            write_escape(out, (unsigned char)*in++);
        }
        else {
            return 0;
        }
    }
    return 1;
}

/* RFC 3986 5.2.4 over a path that begins with a slash, in its place; returns its end. */
static char *remove_dot_segments(char *path, char *end)
{
    char *out = path, *in = path;

    while (in < end) {
        char *next = memchr(in + 1, '/', (apr_size_t)(end - in - 1));
        const apr_size_t n = (apr_size_t)((next ? next : end) - in);
        const int up = n == 3 && in[1] == '.' && in[2] == '.';

        if (up) {
            while (out > path && *--out != '/') {
            }
        }
        else if (!(n == 2 && in[1] == '.')) {
            memmove(out, in, n);
            out += n;
            in += n;
            continue;
        }
        in += n;
        if (in == end) { /* a dot segment at the end leaves its slash */
            *out++ = '/';
        }
    }
    return out;
}

/* The path of [in, end), NUL-terminated after out->p; 0 if it is invalid. */
static int copy_path(part_t *out, const char *in)
{
    char *path = out->p;

    if (in == out->end) { /* RFC 3986 6.2.3 */
        *out->p++ = '/';
    }
    else if (*in != '/' || !copy_part(out, in, SUB_DELIMS ":@/", SENT_RAW)) {
        return 0;
    }
    out->p = remove_dot_segments(path, out->p);
    *out->p = '\0';
    return 1;
}

/* Where query or fragment begin, or the end. */
static const char *end_of_path(const char *p, const char *end)
{
    while (p < end && *p != '?' && *p != '#') {
        p++;
    }
    return p;
}

static int is_literal(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (digit_of(*p) < 0 && *p != ':' && *p != '.') {
            return 0;
        }
    }
    return 1;
}

/* RFC 3986 3.2.2: a name, an IPv4 address, or an IPv6 address in brackets, in lower case. */
static int copy_host(part_t *out, const char *in)
{
    const apr_size_t n = (apr_size_t)(out->end - in);
    char *host = out->p;

    if (n == 0) {
        return 0;
    }
    if (*in == '[') {
        if (n < 4 || in[n - 1] != ']' || !is_literal(in + 1, out->end - 1)) {
            return 0;
        }
        memcpy(out->p, in, n);
        out->p += n;
    }
    else if (!copy_part(out, in, SUB_DELIMS, "")) {
        return 0;
    }
    for (; host < out->p; host++) { /* an escape is written in capitals in a host as well */
        if (*host == '%') {
            host += 2;
        }
        else {
            *host = (char)apr_tolower(*host);
        }
    }
    return 1;
}

/* `:8443`, which may be empty (RFC 3986 6.2.3: that is the default); 0 if it is invalid. */
static int copy_port(part_t *out, const char *in, const struct scheme_t *scheme)
{
    unsigned port = 0;

    if (in == out->end || in + 1 == out->end) {
        return 1;
    }
    for (in++; in < out->end; in++) {
        if (!apr_isdigit(*in) || (port = port * 10 + (unsigned)(*in - '0')) > 65535) {
            return 0;
        }
    }
    if (port && port != scheme->port) {
        out->p += apr_snprintf(out->p, sizeof(":65535"), ":%u", port);
    }
    return port != 0;
}

/* Host and port of [in, end). User information has no place in it (RFC 9110 4.2.4). */
static int copy_authority(part_t *out, const char *in, const struct scheme_t *scheme)
{
    const char *end = out->end, *colon = end;

    while (colon > in && apr_isdigit(colon[-1])) {
        colon--;
    }
    colon = colon > in && colon[-1] == ':' ? colon - 1 : end;
    out->end = colon;
    if (!copy_host(out, in)) {
        return 0;
    }
    out->end = end;
    return copy_port(out, colon, scheme);
}

static const struct scheme_t *scheme_of(m2_slice_t uri)
{
    apr_size_t i;

    for (i = 0; i < SCHEMES; i++) {
        const apr_size_t n = strlen(schemes[i].name);

        if (uri.n > n + 3 && m2_slice_is_nocase(m2_slice(uri.p, n), schemes[i].name)
            && m2_slice_is(m2_slice(uri.p + n, 3), "://")) {
            return &schemes[i];
        }
    }
    return NULL;
}

m2_code_t m2_target_uri(const char **puri, apr_pool_t *pool, m2_slice_t uri, m2_err_t *err)
{
    const struct scheme_t *scheme = uri.p ? scheme_of(uri) : NULL;
    const char *authority, *path, *end;
    char *text;
    part_t out;

    *puri = NULL;
    if (!scheme) {
        return m2_err_set(err, M2_E_NOT_FOUND, "it is not an absolute http or https URL");
    }
    authority = uri.p + strlen(scheme->name) + 3;
    end = end_of_path(authority, uri.p + uri.n);
    path = memchr(authority, '/', (apr_size_t)(end - authority));
    text = apr_palloc(pool, 3 * uri.n + sizeof(":65535") + 2);
    out.p = apr_cpystrn(text, scheme->name, uri.n);
    out.p = apr_cpystrn(out.p, "://", sizeof("://"));
    out.end = path ? path : end;
    if (!copy_authority(&out, authority, scheme)) {
        return m2_err_set(err, M2_E_NOT_FOUND, "it has no usable host and port");
    }
    out.end = end;
    if (!copy_path(&out, path ? path : end)) {
        return m2_err_set(err, M2_E_NOT_FOUND, "its path is not one of RFC 3986");
    }
    *puri = text;
    return M2_OK;
}

const char *m2_target_path(apr_pool_t *pool, const char *target)
{
    const m2_slice_t text = m2_slice_z(target);
    const struct scheme_t *scheme = target ? scheme_of(text) : NULL;
    const char *begin = target, *end;
    char *path;
    part_t out;

    if (!target) {
        return NULL;
    }
    end = end_of_path(target, target + text.n);
    if (scheme) {
        begin += strlen(scheme->name) + 3;
        while (begin < end && *begin != '/') {
            begin++;
        }
    }
    else if (*target != '/') {
        return NULL;
    }
    path = out.p = apr_palloc(pool, 3 * text.n + 2);
    out.end = end;
    return copy_path(&out, begin) ? path : NULL;
}

const char *m2_target_below(apr_pool_t *pool, const char *base, const char *path)
{
    const apr_size_t n = strlen(base);

    return apr_pstrcat(pool,
                       n && base[n - 1] == '/' ? apr_pstrmemdup(pool, base, n - 1) : base,
                       path, NULL);
}
