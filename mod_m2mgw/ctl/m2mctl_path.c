/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The path of a request that exists only in options: as httpd hands it to sections, and
 * whether M2MPathGuard and rules that read it would take it.
 *
 * httpd is taken as it is by default, but for AllowEncodedSlashes NoDecode: with On or Off it
 * decodes %2f, or answers 404 itself.
 */
#include "ctl/m2mctl_verb.h"

#include "request/m2_path_guard.h"
#include "rules/m2_path.h"

#include <apr_lib.h>

/* --- what httpd makes of it --- */

static int hex(char c)
{
    return apr_isdigit(c) ? c - '0' : apr_isxdigit(c) ? (apr_tolower(c) - 'a') + 10 : -1;
}

static int is_unreserved(int c) /* RFC 3986 2.3 */
{
    return c < 0x80 && c && (apr_isalnum(c) || strchr("-._~", c));
}

/* Decodes in place what is unreserved (all = 0), or all but %2f. 0: httpd refuses it. */
static int decode(char *path, int all)
{
    char *out = path;

    for (; *path; path++) {
        int c;

        if (*path != '%') {
            *out++ = *path;
            continue;
        }
        if (hex(path[1]) < 0 || hex(path[2]) < 0) {
            return 0;
        }
        c = hex(path[1]) * 16 + hex(path[2]);
        if (all ? c != '/' : is_unreserved(c)) {
            *out++ = (char)c;
            path += 2;
        }
        else {
            *out++ = *path;
        }
        if (!c) {
            return 0;
        }
    }
    *out = '\0';
    return 1;
}

/* Merges slashes and removes dot segments, in place (RFC 3986 5.2.4). 0: above the root. */
static int remove_dots(char *path)
{
    char *out = path, *p = path;

    while (*p) {
        const apr_size_t n = strcspn(p + 1, "/"); /* p is at a slash */
        const char *segment = p + 1;

        p += 1 + n;
        if (n == 2 && segment[0] == '.' && segment[1] == '.') {
            if (out == path) {
                return 0;
            }
            while (*--out != '/') {
            }
        }
        else if (n && !(n == 1 && segment[0] == '.')) {
            *out++ = '/';
            memmove(out, segment, n);
            out += n;
            continue;
        }
        if (!*p) { /* a directory stays one */
            *out++ = '/';
        }
    }
    *out = '\0';
    return 1;
}

const char *m2mctl_path(apr_pool_t *pool, const char *raw)
{
    char *path = apr_pstrdup(pool, raw);

    return decode(path, 0) && remove_dots(path) && decode(path, 1) ? path : NULL;
}

/* --- whether it is safe --- */

typedef struct guarded_t {
    const char *written;
    m2_engine_t engine;
} guarded_t;

static m2_engine_t engine_of(const void *what)
{
    return ((const guarded_t *)what)->engine;
}

static const struct word_t {
    const char *word;
    m2_engine_t engine;
} words[] = {
    { "On", M2_ENGINE_ON }, { "Off", M2_ENGINE_OFF }, { "Shadow", M2_ENGINE_SHADOW },
};

/* PATH, or PATH=ENGINE; 0 when it is neither. */
static int add_section(m2_path_table_t *table, apr_pool_t *pool, const char *text)
{
    const char *equals = strrchr(text, '=');
    const char *path = equals ? apr_pstrmemdup(pool, text, (apr_size_t)(equals - text)) : text;
    guarded_t *guarded = apr_pcalloc(pool, sizeof(*guarded));
    apr_size_t i;

    guarded->written = path;
    guarded->engine = M2_ENGINE_ON;
    for (i = 0; equals && i < sizeof(words) / sizeof(words[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(equals + 1), words[i].word)) {
            guarded->engine = words[i].engine;
            equals = NULL;
        }
    }
    if (equals || !m2_path_table_takes(path)) {
        return 0;
    }
    m2_path_table_add(table, path)->what = guarded;
    return 1;
}

static const char *compare(m2_path_guard_t *guard, const m2_path_table_t *table,
                           apr_pool_t *pool, const char *path,
                           const m2_path_reading_t *readings, int n)
{
    const m2_path_entry_t *found = m2_path_table_find(table, m2_path_fold(pool, path));
    int i;

    for (i = 0; i < n; i++) {
        m2_path_guard_prefixes(guard, table, found, path, readings[i].path);
    }
    return m2_path_guard_verdict(guard, 0) == M2_ENGINE_ON
               ? apr_psprintf(pool, "a backend could read the path as \"%s\", which %s the "
                              "section %s", *guard->reading ? guard->reading : "/",
                              guard->was_missed ? "is in" : "is not in",
                              ((const guarded_t *)guard->missed)->written)
               : NULL;
}

int m2mctl_path_judge(const char **pwhy, m2mctl_t *ctl, const m2mctl_guard_t *o,
                      const char *path, const char *raw)
{
    m2_path_table_t *table = m2_path_table_make(ctl->pool);
    m2_path_guard_t guard;
    m2_path_reading_t readings[M2_PATH_READINGS];
    const int off = o->guard && m2_slice_is_nocase(m2_slice_z(o->guard), "Off");
    int i, n;

    memset(&guard, 0, sizeof(guard));
    guard.engine_of = engine_of;
    guard.only_missed = off;
    if (o->guard && !off && !m2_slice_is_nocase(m2_slice_z(o->guard), "On")) {
        return m2mctl_usage(ctl, "--path-guard takes On or Off");
    }
    for (i = 0; o->sections && i < o->sections->nelts; i++) {
        if (!add_section(table, ctl->pool, APR_ARRAY_IDX(o->sections, i, const char *))) {
            return m2mctl_usage(ctl, "--section must be PATH or PATH=On|Off|Shadow, where PATH "
                                "has one reading");
        }
    }
    m2_path_table_seal(table);
    n = m2_path_readings(readings, ctl->pool, path);
    *pwhy = m2_path_guard_always(m2_path_marks(path), readings, n, off);
    if (!*pwhy && o->nocanon && m2_path_has_dots(ctl->pool, raw)) {
        *pwhy = "the raw path is forwarded and has a segment that decodes to . or ..";
    }
    *pwhy = *pwhy ? *pwhy : compare(&guard, table, ctl->pool, path, readings, n);
    return 0;
}

int m2mctl_path_is_ambiguous(apr_pool_t *pool, const m2mctl_guard_t *o, const char *path,
                             const char *raw, int deep)
{
    return !(o->guard && m2_slice_is_nocase(m2_slice_z(o->guard), "Off"))
           && (m2_path_has_parameters(pool, path, deep)
               || (o->nocanon && m2_path_is_ambiguous(raw)));
}
