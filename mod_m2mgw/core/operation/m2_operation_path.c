/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Template -> segments. What httpd, the table and a backend might read differently is refused
 * here, where it is written: dot segments, empty segments, encoded slashes.
 */
#include "operation/m2_operation_path.h"

#include <string.h>

#define SHAPE_VARIABLE "{}"

typedef struct reading_t {
    apr_pool_t *pool;
    m2_operation_path_t *path;
    int fold;
    m2_err_t *err;
} reading_t;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* the byte that %XX at text means; -1 when it is not an escape or one that may not be */
static int escaped(const char *text, apr_size_t n)
{
    int high = n > 2 ? hex_digit(text[1]) : -1;
    int low = high >= 0 ? hex_digit(text[2]) : -1;
    int byte = low >= 0 ? high * 16 + low : -1;

    return byte < 0x20 || byte == 0x7f || byte == '/' || byte == '\\' ? -1 : byte;
}

/* a literal stretch, decoded */
static m2_code_t read_literal(m2_slice_t *pliteral, reading_t *r, m2_slice_t text)
{
    char *out = apr_palloc(r->pool, text.n + 1);
    apr_size_t i, n = 0;

    for (i = 0; i < text.n; i++) {
        int byte = (unsigned char)text.p[i];

        if (byte == '%') {
            byte = escaped(text.p + i, text.n - i);
            if (byte < 0) {
                return m2_err_set(r->err, M2_E_CONFIG,
                                  "a template has no bare %%, and no %%2F, %%5C or control "
                                  "byte in escapes");
            }
            i += 2;
        }
        out[n++] = (char)(r->fold ? apr_tolower(byte) : byte);
    }
    *pliteral = m2_slice(out, n);
    return M2_OK;
}

static m2_code_t read_name(reading_t *r, m2_slice_t text)
{
    if (!text.n || memchr(text.p, '{', text.n) || memchr(text.p, '*', text.n)) {
        return m2_err_set(r->err, M2_E_CONFIG, "a variable is written {NAME}");
    }
    if (r->path->names->nelts >= M2_MAX_OPERATION_VARIABLES) {
        return m2_err_set(r->err, M2_E_CONFIG, "more than %d variables",
                          M2_MAX_OPERATION_VARIABLES);
    }
    APR_ARRAY_PUSH(r->path->names, const char *) = m2_slice_dup(r->pool, text);
    return M2_OK;
}

/* one literal and the variable behind it; *ptext goes on behind both */
static m2_code_t read_part(m2_segment_t *segment, reading_t *r, m2_slice_t *ptext)
{
    const char *open = memchr(ptext->p, '{', ptext->n), *close;
    m2_slice_t literal = m2_slice(ptext->p, open ? (apr_size_t)(open - ptext->p) : ptext->n);
    m2_slice_t *into = &segment->literals[segment->variables];
    m2_code_t code;

    if (memchr(literal.p, '}', literal.n)) {
        return m2_err_set(r->err, M2_E_CONFIG, "a } without its {");
    }
    if (open && !literal.n && segment->variables) {
        return m2_err_set(r->err, M2_E_CONFIG, "nothing separates two variables");
    }
    code = read_literal(into, r, literal);
    segment->weight += into->n;
    *ptext = m2_slice(ptext->p + literal.n, ptext->n - literal.n);
    if (code || !open) {
        return code;
    }
    close = memchr(open, '}', ptext->n);
    if (!close) {
        return m2_err_set(r->err, M2_E_CONFIG, "a { without its }");
    }
    segment->variables++;
    *ptext = m2_slice(close + 1, ptext->n - (apr_size_t)(close + 1 - open));
    return read_name(r, m2_slice(open + 1, (apr_size_t)(close - open - 1)));
}

/* kind and shape follow from literals and variables */
static void settle(m2_segment_t *segment, apr_pool_t *pool)
{
    const char *shape = apr_pstrmemdup(pool, segment->literals[0].p, segment->literals[0].n);
    int i;

    for (i = 1; i <= segment->variables; i++) {
        shape = apr_pstrcat(pool, shape, SHAPE_VARIABLE,
                            apr_pstrmemdup(pool, segment->literals[i].p,
                                           segment->literals[i].n), NULL);
    }
    segment->shape = m2_slice_z(shape);
    segment->kind = !segment->variables ? M2_SEGMENT_LITERAL
                    : segment->weight   ? M2_SEGMENT_MIXED
                                        : M2_SEGMENT_VARIABLE;
}

static m2_code_t read_segment(reading_t *r, m2_slice_t text, int is_last)
{
    m2_segment_t *segment;
    m2_code_t code = M2_OK;
    apr_size_t i, open = 0;

    if (r->path->segments->nelts >= M2_MAX_OPERATION_SEGMENTS) {
        return m2_err_set(r->err, M2_E_CONFIG, "more than %d segments",
                          M2_MAX_OPERATION_SEGMENTS);
    }
    if (m2_slice_is(text, ".") || m2_slice_is(text, "..") || (!text.n && !is_last)) {
        return m2_err_set(r->err, M2_E_CONFIG, "segments \".\", \"..\" and \"//\" are not "
                          "part of a template");
    }
    segment = apr_array_push(r->path->segments);
    memset(segment, 0, sizeof(*segment));
    if (m2_slice_is(text, "*") && is_last) {
        segment->kind = M2_SEGMENT_REST;
        segment->shape = text;
        return M2_OK;
    }
    if (memchr(text.p, '*', text.n)) {
        return m2_err_set(r->err, M2_E_CONFIG, "a * stands alone in the last segment");
    }
    for (i = 0; i < text.n; i++) {
        open += text.p[i] == '{';
    }
    segment->literals = apr_pcalloc(r->pool, (open + 1) * sizeof(m2_slice_t));
    segment->literals[open] = m2_slice("", 0);
    do {
        code = read_part(segment, r, &text);
    } while (!code && text.n);
    if (!code) {
        settle(segment, r->pool);
    }
    if (!code && (m2_slice_is(segment->shape, ".") || m2_slice_is(segment->shape, ".."))) {
        code = m2_err_set(r->err, M2_E_CONFIG, "a segment must not decode to dots");
    }
    return code;
}

static m2_code_t check_whole(const char *text, m2_err_t *err)
{
    apr_size_t i, n = strlen(text);

    if (text[0] != '/') {
        return m2_err_set(err, M2_E_CONFIG, "a template begins with /");
    }
    if (n > M2_MAX_OPERATION_TEMPLATE) {
        return m2_err_set(err, M2_E_CONFIG, "longer than %d bytes", M2_MAX_OPERATION_TEMPLATE);
    }
    for (i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || strchr("?#\\;", text[i])) {
            return m2_err_set(err, M2_E_CONFIG,
                              "a template has no ?, #, ;, backslash or control byte");
        }
    }
    return M2_OK;
}

m2_code_t m2_operation_path_read(m2_operation_path_t *path, apr_pool_t *pool,
                                 const char *text, int fold, m2_err_t *err)
{
    reading_t r = { pool, path, fold, err };
    m2_code_t code = check_whole(text, err);
    const char *at = text, *slash;

    path->segments = apr_array_make(pool, 8, sizeof(m2_segment_t));
    path->names = apr_array_make(pool, 4, sizeof(const char *));
    while (!code && at) {
        slash = strchr(++at, '/');
        if (fold && !slash && !*at && path->segments->nelts) {
            break; /* the slash at the end */
        }
        code = read_segment(&r, m2_slice(at, slash ? (apr_size_t)(slash - at) : strlen(at)),
                            !slash);
        at = slash;
    }
    return code;
}

/* where a literal begins in text at or behind from; text.n when nowhere */
static apr_size_t find(m2_slice_t text, apr_size_t from, m2_slice_t literal)
{
    const char *at;

    if (from > text.n) {
        return text.n;
    }
    at = memmem(text.p + from, text.n - from, literal.p, literal.n);
    return at ? (apr_size_t)(at - text.p) : text.n;
}

static int ends_with(m2_slice_t text, m2_slice_t literal)
{
    return text.n >= literal.n &&
           m2_slice_eq(m2_slice(text.p + text.n - literal.n, literal.n), literal);
}

int m2_segment_match(m2_slice_t *values, const m2_segment_t *segment, m2_slice_t text)
{
    const m2_slice_t *literal = segment->literals;
    m2_slice_t last = literal[segment->variables];
    apr_size_t at = literal[0].n, next;
    int i;

    if (text.n < segment->weight || !ends_with(text, last) ||
        !m2_slice_eq(m2_slice(text.p, at), literal[0])) {
        return 0;
    }
    text.n -= last.n;
    for (i = 1; i < segment->variables; i++) {
        next = find(text, at + 1, literal[i]);
        if (next >= text.n) {
            return 0;
        }
        values[i - 1] = m2_slice(text.p + at, next - at);
        at = next + literal[i].n;
    }
    if (at >= text.n) {
        return 0;
    }
    values[i - 1] = m2_slice(text.p + at, text.n - at);
    return 1;
}
