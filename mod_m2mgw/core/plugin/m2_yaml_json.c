/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON is YAML but for what libyaml does not take: characters written as two \u escapes
 * (RFC 8259 7), names of more than 1024 characters, and a line end between a name and its
 * colon. A text that is JSON by its characters is respelt there; any other text stays as it
 * is. Decides nothing about the document.
 */
#include "plugin/m2_yaml_json.h"

#include <apr_strings.h>

#include <string.h>

#define LONG_NAME 1000 /* libyaml looks at most 1024 characters back for a name */

typedef struct respell_t {
    const char *at, *end;
    char *out; /* NULL: only count */
    apr_size_t n;
    int changes;
} respell_t;

static void put(respell_t *r, const char *text, apr_size_t n)
{
    if (r->out) {
        memcpy(r->out + r->n, text, n);
    }
    r->n += n;
}

/* the value of \uXXXX at p, or -1 */
static int unit_at(const char *p, const char *end)
{
    static const char digits[] = "0123456789abcdef";
    int i, value = 0;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }
    for (i = 2; i < 6; i++) {
        const char *digit = p[i] ? strchr(digits, p[i] >= 'A' && p[i] <= 'F' ? p[i] | 0x20 : p[i])
                                 : NULL;

        if (!digit) {
            return -1;
        }
        value = value * 16 + (int)(digit - digits);
    }
    return value;
}

/* behind the escape that p begins */
static const char *put_escape(respell_t *r, const char *p, const char *end)
{
    const int high = unit_at(p, end);
    const int low = high >= 0xd800 && high < 0xdc00 ? unit_at(p + 6, end) : -1;
    char text[16];

    if (low >= 0xdc00 && low < 0xe000) {
        put(r, text, (apr_size_t)apr_snprintf(text, sizeof(text), "\\U%08X",
                                              0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)));
        r->changes++;
        return p + 12;
    }
    put(r, p, p + 2 > end ? 1 : 2);
    return p + 2 > end ? end : p + 2;
}

/* the quote that ends the string which begins at p, or NULL */
static const char *end_of_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        p += *p == '\\';
    }
    return p < end ? p : NULL;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* whether the string from p to its last quote is a name that needs to be announced */
static int is_long_name(const char *p, const char *quote, const char *end)
{
    const char *colon = quote + 1;

    while (colon < end && is_blank(*colon)) {
        colon++;
    }
    return colon < end && *colon == ':' &&
           (colon - p > LONG_NAME || memchr(quote, '\n', (apr_size_t)(colon - quote)) ||
            memchr(quote, '\r', (apr_size_t)(colon - quote)));
}

static int respell_string(respell_t *r)
{
    const char *quote = end_of_string(r->at, r->end), *p = r->at;

    if (!quote) {
        return 0;
    }
    if (is_long_name(p, quote, r->end)) {
        put(r, "? ", 2);
        r->changes++;
    }
    while (p <= quote) {
        const char *escape = memchr(p, '\\', (apr_size_t)(quote - p));

        put(r, p, (apr_size_t)((escape ? escape : quote + 1) - p));
        p = escape ? put_escape(r, escape, quote) : quote + 1;
    }
    r->at = p;
    return 1;
}

/* 0 when this is no JSON by its characters */
static int respell(respell_t *r)
{
    while (r->at < r->end) {
        if (*r->at == '"') {
            if (!respell_string(r)) {
                return 0;
            }
        }
        else if (*r->at && (is_blank(*r->at) || strchr("{}[]:,0123456789+-.eEtrufalsn", *r->at))) {
            put(r, r->at++, 1);
        }
        else {
            return 0;
        }
    }
    return 1;
}

m2_slice_t m2_yaml_of_json(apr_pool_t *pool, m2_slice_t text)
{
    static const char mark[] = "\xef\xbb\xbf";
    const apr_size_t skip = text.n >= 3 && m2_slice_is(m2_slice(text.p, 3), mark) ? 3 : 0;
    respell_t r = { text.p + skip, text.p + text.n, NULL, 0, 0 };

    if (!text.n || !respell(&r) || !r.changes) {
        return text;
    }
    r.at = text.p + skip;
    r.out = apr_palloc(pool, r.n + 1);
    r.n = 0;
    (void)respell(&r);
    return m2_slice(r.out, r.n);
}
