/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Reading and writing urlencoded text. Nothing here is written back decoded: pairs that stay
 * keep their bytes, so a backend never sees a spelling the client did not send.
 */
#include "text/m2_form.h"

#include <apr_lib.h>

static const char hex[] = "0123456789ABCDEF";

static int is_separator(char c)
{
    return c == '&' || c == ';';
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

/* --- decoding --- */

m2_decoder_t m2_decoder(m2_slice_t raw, unsigned how)
{
    m2_decoder_t d = { raw.p, raw.p ? raw.p + raw.n : raw.p, how, 0, { 0, 0 } };

    return d;
}

/* the first byte of a character in UTF-8 (RFC 3629 3), the others are left over */
static int utf8_of(m2_decoder_t *d, int c)
{
    if (c < 0x80) {
        return c;
    }
    if (c < 0x800) {
        d->left = 1;
        d->more[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 0xc0 | c >> 6;
    }
    d->left = 2;
    d->more[0] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    d->more[1] = (unsigned char)(0x80 | (c & 0x3f));
    return 0xe0 | c >> 12;
}

int m2_decode_escape(m2_decoder_t *d)
{
    const apr_size_t n = (apr_size_t)(d->end - d->p);
    int value = -1;

    if (d->left) {
        return d->more[2 - d->left--];
    }
    if (n > 2 && (d->how & M2_DECODE_PERCENT) && (value = hex_value(d->p + 1, 2)) >= 0) {
        d->p += 3;
        return value;
    }
    if (n > 5 && (d->how & M2_DECODE_UNICODE) && (d->p[1] | 0x20) == 'u'
        && (value = hex_value(d->p + 2, 4)) >= 0) {
        d->p += 6;
        return utf8_of(d, value);
    }
    return (unsigned char)*d->p++;
}

/* characters of two and three bytes; U+2000..U+200B is the one range */
static const char *const blanks[] = {
    "\xc2\x85",     /* U+0085 next line */
    "\xc2\xa0",     /* U+00A0 no-break space */
    "\xe1\x9a\x80", /* U+1680 */
    "\xe1\xa0\x8e", /* U+180E */
    "\xe2\x80\xa8", /* U+2028 */
    "\xe2\x80\xa9", /* U+2029 */
    "\xe2\x80\xaf", /* U+202F */
    "\xe2\x81\x9f", /* U+205F */
    "\xe2\x81\xa0", /* U+2060 */
    "\xe3\x80\x80", /* U+3000 */
};

apr_size_t m2_form_blank(const char *p, apr_size_t n)
{
    apr_size_t i;

    if (n < 2 || (unsigned char)p[0] < 0xc2 || (unsigned char)p[0] > 0xe3) {
        return 0;
    }
    if (n > 2 && p[0] == '\xe2' && p[1] == '\x80' && (unsigned char)p[2] >= 0x80
        && (unsigned char)p[2] <= 0x8b) {
        return 3;
    }
    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        const apr_size_t length = strlen(blanks[i]);

        if (length <= n && m2_slice_is(m2_slice(p, length), blanks[i])) {
            return length;
        }
    }
    return 0;
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
    m2_decoder_t d = m2_decoder(raw, M2_DECODE_PERCENT | M2_DECODE_PLUS);
    apr_size_t n = 0;
    char *out;
    int c;

    if (!raw.p) {
        return raw;
    }
    out = apr_palloc(pool, raw.n + 1);
    while ((c = m2_decode_next(&d)) >= 0) {
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return m2_slice(out, n);
}

/* No copy: it is asked for every pair a client sends. */
int m2_form_name_is(m2_slice_t raw_name, const char *name)
{
    m2_decoder_t d = m2_decoder(raw_name, M2_DECODE_PERCENT | M2_DECODE_PLUS);
    int c;

    if (!raw_name.p) {
        return 0;
    }
    while ((c = m2_decode_next(&d)) > 0 && c == (unsigned char)*name) {
        name++;
    }
    return c < 0 && !*name;
}

/* --- writing --- */

const char *m2_form_encode(apr_pool_t *pool, m2_slice_t value)
{
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

const char *m2_form_text(apr_pool_t *pool, m2_slice_t body)
{
    char *text, *p;
    apr_size_t i;

    if (!memchr(body.p, '\0', body.n)) {
        return m2_slice_dup(pool, body);
    }
    p = text = apr_palloc(pool, body.n * 3 + 1);
    for (i = 0; i < body.n; i++) {
        if (body.p[i]) {
            *p++ = body.p[i];
        }
        else {
            memcpy(p, "%00", 3);
            p += 3;
        }
    }
    *p = '\0';
    return text;
}

const char *m2_form_append(apr_pool_t *pool, const char *text, const char *name,
                           m2_slice_t value)
{
    int first = !text || !*text;

    return apr_pstrcat(pool, first ? "" : text, first ? "" : "&",
                       m2_form_encode(pool, m2_slice_z(name)), "=",
                       m2_form_encode(pool, value), NULL);
}

/* Where the first '&' pair ends that is not empty and has no '='; text where it has one. */
static const char *behind_bare(const char *text)
{
    const char *start = text + strspn(text, "&");
    const apr_size_t n = strcspn(start, "&");

    return n && !memchr(start, '=', n) ? start + n : text;
}

const char *m2_form_insert(apr_pool_t *pool, const char *text, const char *pairs)
{
    const char *rest = text ? behind_bare(text) : NULL;

    if (!text || !*text || !*pairs) {
        return text && *text ? text : pairs;
    }
    if (rest == text) {
        return apr_pstrcat(pool, pairs, "&", text, NULL);
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(rest - text)), "&",
                       pairs, rest, NULL);
}

static int is_plain(char c)
{
    return c >= 0x21 && c <= 0x7e;
}

const char *m2_form_clean(apr_pool_t *pool, const char *text)
{
    const char *p = text;
    char *out, *to;

    while (*p && is_plain(*p)) {
        p++;
    }
    if (!*p) {
        return text;
    }
    to = out = apr_palloc(pool, strlen(text) * 3 + 1);
    for (p = text; *p; p++) {
        if (is_plain(*p)) {
            *to++ = *p;
        }
        else {
            *to++ = '%';
            *to++ = hex[(unsigned char)*p >> 4];
            *to++ = hex[(unsigned char)*p & 15];
        }
    }
    *to = '\0';
    return out;
}
