/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A reading is made in three steps: some layers are taken off uncut, then segments are cut
 * and another layer is taken off until nothing changes, then the rest is folded. Everything
 * only ever gets shorter, so texts are changed in place, in copies.
 */
#include "request/m2_path_reading.h"

static int is_blank(char c)
{
    return (unsigned char)c <= 0x20;
}

/* --- marks --- */

/* Whether the dot at p, behind a slash, begins a segment that is one dot or two. */
static int is_dot_segment(const char *p)
{
    p += p[1] == '.' ? 2 : 1;
    return *p == '/' || *p == '\0';
}

enum { PLAIN, END, SLASH, DOT, CAPITAL, DEVICE, CONTROL };

static const unsigned char kinds[256] = {
    [0] = END, [1 ... 0x1f] = CONTROL, [0x7f] = CONTROL, ['/'] = SLASH, ['.'] = DOT,
    ['A' ... 'Z'] = CAPITAL, ['%'] = DEVICE, [';'] = DEVICE, ['\\'] = DEVICE,
};

/* What a byte that is not plain adds, by its kind and the one in front of it. */
static unsigned mark_of(const char *p, char last)
{
    switch (kinds[(unsigned char)*p]) {
    case SLASH:
        return last == '/' || is_blank(last) ? M2_PATH_DEVICE : 0;
    case DOT:
        return last == '/' && is_dot_segment(p) ? M2_PATH_DEVICE : 0;
    case CAPITAL:
        return M2_PATH_CAPITAL;
    case CONTROL:
        return M2_PATH_CONTROL;
    case END:
        return is_blank(last) ? M2_PATH_DEVICE : 0;
    default:
        return M2_PATH_DEVICE;
    }
}

unsigned m2_path_marks(const char *path)
{
    unsigned marks = 0;
    const char *p = path;

    for (;; p++) {
        if (kinds[(unsigned char)*p] != PLAIN) {
            marks |= mark_of(p, p > path ? p[-1] : 'x');
            if (!*p) {
                return marks;
            }
        }
    }
}

/* --- one spelling --- */

static apr_size_t folded_length(const char *path)
{
    const apr_size_t n = strlen(path);

    return n && path[n - 1] == '/' ? n - 1 : n;
}

static void fold_case(char *out, const char *path, apr_size_t n)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        out[i] = path[i] >= 'A' && path[i] <= 'Z' ? (char)(path[i] + ('a' - 'A')) : path[i];
    }
    out[n] = '\0';
}

int m2_path_fold_into(char *buffer, apr_size_t size, const char *path)
{
    const apr_size_t n = folded_length(path);

    if (n >= size) {
        return 0;
    }
    fold_case(buffer, path, n);
    return 1;
}

const char *m2_path_fold(apr_pool_t *pool, const char *path)
{
    const apr_size_t n = folded_length(path);
    char *out = apr_palloc(pool, n + 1);

    fold_case(out, path, n);
    return out;
}

/* --- layers --- */

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that is escaped at p, -1 if absent. */
static int escaped(const char *p)
{
    if (p[0] != '%' || hex(p[1]) < 0 || hex(p[2]) < 0) {
        return -1;
    }
    return hex(p[1]) * 16 + hex(p[2]);
}

static void turn_backslashes(char *text)
{
    for (; *text; text++) {
        if (*text == '\\') {
            *text = '/';
        }
    }
}

/* One layer of escapes; whether there was any. A NUL, where some stop reading, becomes a
 * control byte, which is cut at the end of a segment like a blank. */
static int decode(char *text)
{
    char *out = text;
    int changed = 0;

    while (*text) {
        const int octet = escaped(text);

        if (octet < 0) {
            *out++ = *text++;
            continue;
        }
        *out++ = (char)(octet ? octet : 1);
        text += 3;
        changed = 1;
    }
    *out = '\0';
    return changed;
}

/* Takes the layer off; whether something was. The first are the backslashes. */
static int peel(char *text, int layer)
{
    const int changed = layer == 0 ? strchr(text, '\\') != NULL : decode(text);

    turn_backslashes(text);
    return changed;
}

static void cut(char *text)
{
    char *out = text;

    while (*text) {
        if (*text == ';') {
            text += strcspn(text, "/");
        }
        else {
            *out++ = *text++;
        }
    }
    *out = '\0';
}

/* --- folding --- */

static apr_size_t without_blanks(const char *segment, apr_size_t n)
{
    while (n && is_blank(segment[n - 1])) {
        n--;
    }
    return n;
}

static int is_dots(const char *segment, apr_size_t n)
{
    return (n == 1 || n == 2) && segment[0] == '.' && segment[n - 1] == '.';
}

/* *pend, the end of what starts at start, moves back to the slash of its last segment. */
static void drop_last(char **pend, const char *start)
{
    char *end = *pend;

    while (end > start && *--end != '/') {
        ;
    }
    *pend = end;
}

static void fold(m2_path_reading_t *reading, apr_pool_t *pool, const char *text)
{
    char *start = apr_palloc(pool, strlen(text) + 2);
    char *end = start;

    reading->dots = 0;
    while (*text) {
        const apr_size_t whole = strcspn(text, "/");
        const apr_size_t n = without_blanks(text, whole);

        if (is_dots(text, n)) {
            reading->dots++;
            if (n == 2) {
                drop_last(&end, start);
            }
        }
        else if (n) {
            *end++ = '/';
            fold_case(end, text, n);
            end += n;
        }
        text += text[whole] ? whole + 1 : whole;
    }
    *end = '\0';
    reading->path = start;
}

/* Plain dot segments, all of which httpd's own normalising removes. */
static int literal_dots(const char *path)
{
    int dots = 0;

    while (*path) {
        const apr_size_t n = strcspn(path, "/");

        dots += is_dots(path, n);
        path += path[n] ? n + 1 : n;
    }
    return dots;
}

/* --- readings --- */

static void read_cut(m2_path_reading_t *reading, apr_pool_t *pool, const char *text,
                     int layer)
{
    char *copy = apr_pstrdup(pool, text);

    cut(copy);
    while (layer < M2_PATH_LAYERS && (peel(copy, layer) || layer == 0)) {
        cut(copy);
        layer++;
    }
    fold(reading, pool, copy);
}

int m2_path_readings(m2_path_reading_t readings[M2_PATH_READINGS], apr_pool_t *pool,
                     const char *path)
{
    const int literal = literal_dots(path);
    char *text = apr_pstrdup(pool, path);
    int n = 0, layer = 0, changed = 1;

    while (changed || layer == 1) {
        if (changed) {
            read_cut(&readings[n], pool, text, layer);
            readings[n++].dots -= literal;
        }
        if (layer == M2_PATH_LAYERS) {
            break;
        }
        changed = peel(text, layer++);
    }
    return n;
}

int m2_path_has_dots(apr_pool_t *pool, const char *path)
{
    while (*path) {
        const apr_size_t n = strcspn(path, "/");
        char *segment = apr_pstrmemdup(pool, path, n);
        int layer = 1;

        while (layer++ < M2_PATH_LAYERS && decode(segment)) {
            ;
        }
        if (is_dots(segment, strlen(segment))) {
            return 1;
        }
        path += path[n] ? n + 1 : n;
    }
    return 0;
}

int m2_path_has_parameters(apr_pool_t *pool, const char *path, int deep)
{
    char *text;
    int layer;

    if (!deep || !path[strcspn(path, ";\\%")]) { /* mostly */
        return path[strcspn(path, ";\\")] != '\0';
    }
    text = apr_pstrdup(pool, path);
    for (layer = 0; layer < M2_PATH_LAYERS; layer++) {
        if (text[strcspn(text, ";\\")] || !decode(text)) {
            break;
        }
    }
    return text[strcspn(text, ";\\")] != '\0';
}

/* What an escape in a raw path may not stand for: a delimiter, or another escape. */
static int hides(const char *p)
{
    const int octet = escaped(p);

    return octet == '/' || octet == '\\' || octet == '.'
           || (octet == '%' && hex(p[3]) >= 0 && hex(p[4]) >= 0);
}

int m2_path_is_ambiguous(const char *raw)
{
    for (; *raw; raw++) {
        if (*raw == ';' || (*raw == '/' && raw[1] == '/') || (*raw == '%' && hides(raw))) {
            return 1;
        }
    }
    return 0;
}
