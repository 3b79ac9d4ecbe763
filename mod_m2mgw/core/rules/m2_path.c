/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Path templates such as `/users/{userId}/` + `*`, against the decoded path of a request.
 * Segment by segment and byte by byte; a slash at the end counts, and a placeholder never
 * stands for nothing.
 */
#include "rules/m2_path.h"

typedef enum segment_kind_t { LITERAL, PLACEHOLDER, REST } segment_kind_t;

typedef struct segment_t {
    segment_kind_t kind;
    m2_slice_t text; /* of a literal, or the name of a placeholder */
} segment_t;

struct m2_path_template_t {
    apr_array_header_t *segments; /* of segment_t */
    const char *text;
};

#define MAX_PATH_TEMPLATE 4096 /* bytes; a request line is not longer either */

/* The segment *rest begins with; *rest moves after its slash, and is absent after the last. */
static m2_slice_t next_segment(m2_slice_t *rest)
{
    const char *slash = memchr(rest->p, '/', rest->n);
    const m2_slice_t whole = *rest;

    if (!slash) {
        *rest = m2_slice(NULL, 0);
        return whole;
    }
    *rest = m2_slice(slash + 1, whole.n - (apr_size_t)(slash + 1 - whole.p));
    return m2_slice(whole.p, (apr_size_t)(slash - whole.p));
}

static int is_path_name(m2_slice_t name)
{
    apr_size_t i;

    for (i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
              || c == '_' || c == '-')) {
            return 0;
        }
    }
    return name.n > 0;
}

static m2_code_t read_placeholder(segment_t *segment, const m2_path_template_t *path,
                                  m2_slice_t text, m2_err_t *err)
{
    m2_slice_t name = m2_slice(text.p + 1, text.n - 2);

    if (text.n < 3 || text.p[0] != '{' || text.p[text.n - 1] != '}' || !is_path_name(name)) {
        return m2_err_set(err, M2_E_CONFIG, "path segment \"%.*s\" must be plain text or "
                          "{name}, of letters, digits, '_' and '-'", (int)text.n, text.p);
    }
    segment->text = m2_slice_z(m2_slice_dup(path->segments->pool, name));
    if (m2_path_has(path, segment->text.p)) {
        return m2_err_set(err, M2_E_CONFIG, "{%s} stands twice in the path",
                          segment->text.p);
    }
    segment->kind = PLACEHOLDER;
    return M2_OK;
}

static int holds_any(m2_slice_t text, const char *chars)
{
    apr_size_t i;

    for (i = 0; i < text.n; i++) {
        if (strchr(chars, text.p[i])) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t read_segment(segment_t *segment, const m2_path_template_t *path,
                              m2_slice_t text, int is_last, m2_err_t *err)
{
    if (m2_slice_is(text, "*") && is_last) {
        segment->kind = REST;
        return M2_OK;
    }
    if (holds_any(text, "*")) {
        return m2_err_set(err, M2_E_CONFIG, "'*' may only be the last segment of a path");
    }
    if (holds_any(text, "{}")) {
        return read_placeholder(segment, path, text, err);
    }
    segment->kind = LITERAL;
    segment->text = m2_slice_z(m2_slice_dup(path->segments->pool, text));
    return M2_OK;
}

m2_code_t m2_path_compile(const m2_path_template_t **ppath, apr_pool_t *pool,
                          const char *text, m2_err_t *err)
{
    m2_path_template_t *path = apr_pcalloc(pool, sizeof(*path));
    m2_slice_t rest = m2_slice_z(text[0] ? text + 1 : text);

    *ppath = NULL;
    if (text[0] != '/') {
        return m2_err_set(err, M2_E_CONFIG, "path \"%s\" must begin with '/'", text);
    }
    if (strlen(text) > MAX_PATH_TEMPLATE) {
        return m2_err_set(err, M2_E_CONFIG, "the path is longer than %d bytes",
                          MAX_PATH_TEMPLATE);
    }
    path->segments = apr_array_make(pool, 4, sizeof(segment_t));
    path->text = apr_pstrdup(pool, text);
    while (rest.p) {
        m2_slice_t word = next_segment(&rest);
        segment_t segment = { LITERAL, { NULL, 0 } };
        m2_code_t code = read_segment(&segment, path, word, rest.p == NULL, err);

        if (code) {
            return code;
        }
        APR_ARRAY_PUSH(path->segments, segment_t) = segment;
    }
    *ppath = path;
    return M2_OK;
}

const char *m2_path_text(const m2_path_template_t *path)
{
    return path->text;
}

static int fits(const segment_t *segment, m2_slice_t text)
{
    return segment->kind == LITERAL ? m2_slice_eq(segment->text, text) : text.n > 0;
}

/* Whether the path behind its first slash fits the first n segments; *pvalue is what {name} stands
 * for in it. */
static int fit(m2_slice_t *pvalue, const m2_path_template_t *path, int n, m2_slice_t rest,
               const char *name)
{
    int i;

    *pvalue = m2_slice(NULL, 0);
    for (i = 0; i < n; i++) {
        const segment_t *segment = &APR_ARRAY_IDX(path->segments, i, const segment_t);
        m2_slice_t text;

        if (!rest.p) {
            return 0;
        }
        if (segment->kind == REST) {
            return 1;
        }
        text = next_segment(&rest);
        if (!fits(segment, text)) {
            return 0;
        }
        if (segment->kind == PLACEHOLDER && m2_slice_is(segment->text, name)) {
            *pvalue = text;
        }
    }
    return !rest.p;
}

int m2_path_may_lie_below(const m2_path_template_t *path, const char *prefix)
{
    m2_slice_t rest = m2_slice_z(prefix + 1);
    int i;

    for (i = 0; rest.n; i++) {
        const segment_t *segment;

        if (i == path->segments->nelts) {
            return 0;
        }
        segment = &APR_ARRAY_IDX(path->segments, i, const segment_t);
        if (segment->kind == REST) {
            return 1;
        }
        if (!fits(segment, next_segment(&rest))) {
            return 0;
        }
    }
    return 1;
}

static int ends_in_slash(const m2_path_template_t *path)
{
    const segment_t *last = &APR_ARRAY_IDX(path->segments, path->segments->nelts - 1,
                                           const segment_t);

    return path->segments->nelts > 1 && last->kind == LITERAL && !last->text.n;
}

/* Whether only a slash at the end, of the path or of the template, keeps the two apart. */
static int fits_but_for_slash(const m2_path_template_t *path, m2_slice_t rest, const char *name)
{
    const int n = path->segments->nelts;
    m2_slice_t value;

    if (rest.n && rest.p[rest.n - 1] == '/') {
        return fit(&value, path, n, m2_slice(rest.p, rest.n - 1), name);
    }
    return ends_in_slash(path) && fit(&value, path, n - 1, rest, name);
}

m2_code_t m2_path_value(m2_slice_t *pvalue, const m2_path_template_t *path,
                        const char *uri_path, const char *name)
{
    const int is_path = uri_path && uri_path[0] == '/';
    const m2_slice_t rest = m2_slice_z(is_path ? uri_path + 1 : NULL);

    if (fit(pvalue, path, path->segments->nelts, rest, name)) {
        return M2_OK;
    }
    *pvalue = m2_slice(NULL, 0);
    return fits_but_for_slash(path, rest, name) ? M2_E_RULE_ERROR : M2_OK;
}

int m2_path_has(const m2_path_template_t *path, const char *name)
{
    int i;

    for (i = 0; i < path->segments->nelts; i++) {
        const segment_t *segment = &APR_ARRAY_IDX(path->segments, i, const segment_t);

        if (segment->kind == PLACEHOLDER && m2_slice_is(segment->text, name)) {
            return 1;
        }
    }
    return 0;
}
