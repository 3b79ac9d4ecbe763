/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Reading and changing urlencoded text. Nothing here is written back decoded: pairs that
 * stay keep their bytes, so a backend never sees a spelling the client did not send.
 *
 * The folded comparison is meant to be too wide. A name that some backend might take for
 * ours is taken out; what that costs is a client's parameter with a confusable name.
 */
#include "text/m2_form.h"

#include <apr_lib.h>

static int is_separator(char c)
{
    return c == '&' || c == ';';
}

static int is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int is_bracket(char c)
{
    return c == '[' || c == ']';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* value of n hexadecimal digits at p, -1 when there are none */
static int hex_value(const char *p, apr_size_t n)
{
    int value = 0;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* the byte an escape at raw.p[i] stands for, and its length; -1 when it is no escape */
static int escape_at(apr_size_t *plen, m2_slice_t raw, apr_size_t i, int careless)
{
    int value = -1;

    if (i + 2 < raw.n) {
        *plen = 3;
        value = hex_value(raw.p + i + 1, 2);
    }
    /* %uXXXX is no escape of any standard; old ASP reads it */
    if (value < 0 && careless && i + 5 < raw.n && apr_tolower(raw.p[i + 1]) == 'u') {
        *plen = 6;
        value = hex_value(raw.p + i + 2, 4);
    }
    return value > 0xff ? -1 : value;
}

/* the next decoded byte from *pi on, which moves; -1 at the end */
static int next_byte(m2_slice_t raw, apr_size_t *pi, int careless)
{
    apr_size_t len = 1;
    int value = -1;

    if (*pi >= raw.n) {
        return -1;
    }
    if (raw.p[*pi] == '%') {
        value = escape_at(&len, raw, *pi, careless);
    }
    if (value < 0) {
        len = 1;
        value = raw.p[*pi] == '+' ? ' ' : (unsigned char)raw.p[*pi];
    }
    *pi += len;
    return value;
}

/* one character of a name as the most careless backend files it */
static char fold(char c)
{
    if (c == '.' || c == '-' || c == '[' || is_blank(c)) {
        return '_';
    }
    return (char)apr_tolower(c);
}

/* The name a pair is for, without what a backend may leave out around it. */
static m2_slice_t core_of(const char *name)
{
    m2_slice_t s = m2_slice_z(name);

    while (s.n && (is_blank(s.p[0]) || is_bracket(s.p[0]))) {
        s.p++;
        s.n--;
    }
    s.n = strcspn(s.p, "[]");
    return s;
}

/* The first byte that is not skipped; *pi is behind it. Some trim all control bytes. */
static int first_byte(m2_slice_t raw, apr_size_t *pi, int skip_brackets)
{
    int c;

    do {
        c = next_byte(raw, pi, 1);
    } while (c >= 0 && (c <= ' ' || (skip_brackets && is_bracket((char)c))));
    return c;
}

/* name[], name[x], [name] and name] are one array parameter to PHP or Rack; blanks and
 * control bytes behind a name are dropped by some */
static int is_like_head(m2_slice_t raw, m2_slice_t ours)
{
    apr_size_t i = 0, n = 0;
    int c = first_byte(raw, &i, 1);

    for (; c > 0 && !is_bracket((char)c); c = next_byte(raw, &i, 1)) {
        if (n < ours.n && fold((char)c) == fold(ours.p[n])) {
            n++;
        }
        else if (n < ours.n || c > ' ') {
            return 0;
        }
    }
    return n == ours.n;
}

/* PHP turns a bracket that is never closed into '_', and stops at NUL */
static int is_like_whole(m2_slice_t raw, m2_slice_t ours)
{
    apr_size_t i = 0, n = 0;
    int c = first_byte(raw, &i, 0);

    for (; c > 0; c = next_byte(raw, &i, 1), n++) {
        if (n >= ours.n || fold((char)c) != fold(ours.p[n])) {
            return 0;
        }
    }
    return n == ours.n;
}

int m2_form_next(m2_slice_t *rest, m2_pair_t *pair)
{
    const char *p = rest->p, *end = rest->p + rest->n, *start, *equals;

    while (p < end && is_separator(*p)) {
        p++;
    }
    start = p;
    while (p < end && !is_separator(*p)) {
        p++;
    }
    *rest = m2_slice(p, (apr_size_t)(end - p));
    if (p == start) {
        return 0;
    }
    pair->raw = m2_slice(start, (apr_size_t)(p - start));
    equals = memchr(start, '=', pair->raw.n);
    pair->name = m2_slice(start, (apr_size_t)((equals ? equals : p) - start));
    pair->value = equals ? m2_slice(equals + 1, (apr_size_t)(p - equals - 1))
                         : m2_slice(NULL, 0);
    return 1;
}

m2_slice_t m2_form_decode(apr_pool_t *pool, m2_slice_t raw)
{
    apr_size_t i = 0, n = 0;
    char *out;
    int c;

    if (!raw.p) {
        return raw;
    }
    out = apr_palloc(pool, raw.n + 1);
    while ((c = next_byte(raw, &i, 0)) >= 0) {
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return m2_slice(out, n);
}

/* No copies in these two: they are asked for every pair a client sends, times every name.
 */
int m2_form_name_is(apr_pool_t *pool, m2_slice_t raw_name, const char *name)
{
    apr_size_t i = 0, n = 0, length = strlen(name);
    int c;

    (void)pool;
    if (!raw_name.p) {
        return 0;
    }
    while ((c = next_byte(raw_name, &i, 0)) >= 0) {
        if (n == length || (char)c != name[n++]) {
            return 0;
        }
    }
    return n == length;
}

int m2_form_name_like(apr_pool_t *pool, m2_slice_t raw_name, const char *name)
{
    m2_slice_t ours = core_of(name);

    (void)pool;
    return raw_name.p &&
           (is_like_head(raw_name, ours) || is_like_whole(raw_name, ours));
}

static int named_exactly(apr_pool_t *pool, m2_slice_t raw,
                         const apr_array_header_t *names)
{
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        if (m2_form_name_is(pool, raw, APR_ARRAY_IDX(names, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static int named_like(apr_pool_t *pool, m2_slice_t raw, const apr_array_header_t *names)
{
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        if (m2_form_name_like(pool, raw, APR_ARRAY_IDX(names, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static char *put(char *out, const char *from, const char *to)
{
    apr_size_t n = (apr_size_t)(to - from);

    memcpy(out, from, n);
    return out + n;
}

const char *m2_form_remove(apr_pool_t *pool, const char *text,
                           const apr_array_header_t *exact,
                           const apr_array_header_t *like)
{
    m2_slice_t rest = m2_slice_z(text);
    const char *done = text;
    char *out, *p;
    m2_pair_t pair;
    int removed = 0;

    if (!text) {
        return NULL;
    }
    p = out = apr_palloc(pool, rest.n + 1);
    while (m2_form_next(&rest, &pair)) {
        if (named_exactly(pool, pair.name, exact) || named_like(pool, pair.name, like)) {
            removed = 1;
        }
        else {
            /* the separators before a pair stay with it, unless it came to the front */
            p = put(p, p == out && removed ? pair.raw.p : done, pair.raw.p + pair.raw.n);
        }
        done = pair.raw.p + pair.raw.n;
    }
    *p = '\0';
    return removed ? out : text;
}

const char *m2_form_encode(apr_pool_t *pool, m2_slice_t value)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(pool, value.n * 3 + 1), *p = out;
    apr_size_t i;

    for (i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if ((c < 0x80 && apr_isalnum(c)) || c == '-' || c == '.' || c == '_' ||
            c == '~') {
            *p++ = (char)c;
        }
        else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    *p = '\0';
    return out;
}

const char *m2_form_append(apr_pool_t *pool, const char *text, const char *name,
                           m2_slice_t value)
{
    int first = !text || !*text;

    return apr_pstrcat(pool, first ? "" : text, first ? "" : "&",
                       m2_form_encode(pool, m2_slice_z(name)), "=",
                       m2_form_encode(pool, value), NULL);
}

/* the text with values replaced, written to out, or only measured when out is NULL */
static apr_size_t mask_into(char *out, apr_pool_t *pool, const char *text,
                            const apr_array_header_t *names, m2_slice_t mask, int *pcount)
{
    m2_slice_t rest = m2_slice_z(text);
    const char *done = text, *end = rest.p + rest.n;
    apr_size_t n = 0;
    m2_pair_t pair;

    while (m2_form_next(&rest, &pair)) {
        if (pair.value.n && named_exactly(pool, pair.name, names)) {
            if (out) {
                put(put(out + n, done, pair.value.p), mask.p, mask.p + mask.n);
            }
            n += (apr_size_t)(pair.value.p - done) + mask.n;
            done = pair.value.p + pair.value.n;
            ++*pcount;
        }
    }
    if (out) {
        *put(out + n, done, end) = '\0';
    }
    return n + (apr_size_t)(end - done);
}

const char *m2_form_mask(apr_pool_t *pool, const char *text,
                         const apr_array_header_t *names, const char *replacement)
{
    m2_slice_t mask = m2_slice_z(replacement);
    apr_size_t n;
    int count = 0;
    char *out;

    if (!text) {
        return NULL;
    }
    n = mask_into(NULL, pool, text, names, mask, &count);
    if (!count) {
        return text;
    }
    out = apr_palloc(pool, n + 1);
    mask_into(out, pool, text, names, mask, &count);
    return out;
}

int m2_header_name_like(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = apr_isalnum(*a) ? (char)apr_tolower(*a) : '_';
        char y = apr_isalnum(*b) ? (char)apr_tolower(*b) : '_';

        if (x != y) {
            return 0;
        }
    }
    return *a == *b;
}
