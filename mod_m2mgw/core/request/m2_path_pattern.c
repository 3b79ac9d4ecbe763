/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One walk over the text of an expression. In doubt it is treated as exact, or as an expression
 * without a fixed beginning.
 */
#include "request/m2_path_pattern.h"

typedef struct class_t {
    unsigned char has[256];
    int negated;
} class_t;

static const char capitals[] = "class of capitals";
static const char literals[] = "literal ';', '%' or backslash";

static int is_letter(char c)
{
    return apr_isalpha(c) && !((unsigned char)c & 0x80);
}

/* --- bracket expressions --- */

static void add_range(class_t *class, char from, char to)
{
    int c;

    for (c = (unsigned char)from; c <= (unsigned char)to; c++) {
        class->has[c] = 1;
    }
}

typedef struct posix_t {
    const char *name;
    int small, capital;
} posix_t;

static const posix_t posix_classes[] = {
    { "[:upper:]", 0, 1 }, { "[:lower:]", 1, 0 }, { "[:alpha:]", 1, 1 },
    { "[:alnum:]", 1, 1 }, { "[:word:]", 1, 1 },  { "[:graph:]", 1, 1 },
    { "[:print:]", 1, 1 }, { "[:ascii:]", 1, 1 },
};

/* The length of a `[:name:]` at p, whose letters are added; 0 if absent. */
static apr_size_t add_posix(class_t *class, const char *p)
{
    const char *end = p[0] == '[' && p[1] == ':' ? strstr(p, ":]") : NULL;
    apr_size_t i;

    if (!end) {
        return 0;
    }
    for (i = 0; i < sizeof(posix_classes) / sizeof(posix_classes[0]); i++) {
        const posix_t *row = &posix_classes[i];

        if (!m2_slice_is(m2_slice(p, (apr_size_t)(end + 2 - p)), row->name)) {
            continue;
        }
        if (row->small) {
            add_range(class, 'a', 'z');
        }
        if (row->capital) {
            add_range(class, 'A', 'Z');
        }
    }
    return (apr_size_t)(end + 2 - p);
}

/* An escape inside of brackets: `\w` holds all letters, other letters stand for none. */
static void add_escape(class_t *class, char c)
{
    if (c == 'w') {
        add_range(class, 'a', 'z');
        add_range(class, 'A', 'Z');
    }
    else if (!is_letter(c)) {
        add_range(class, c, c);
    }
}

/* Reads what follows the `[` before p; returns what stands behind its `]`. */
static const char *read_class(class_t *class, const char *p)
{
    const char *first;

    memset(class, 0, sizeof(*class));
    class->negated = *p == '^' || *p == '!';
    p += class->negated;
    for (first = p; *p && (*p != ']' || p == first);) {
        const apr_size_t n = add_posix(class, p);

        if (n) {
            p += n;
        }
        else if (*p == '\\' && p[1]) {
            add_escape(class, p[1]);
            p += 2;
        }
        else if (p[1] == '-' && p[2] && p[2] != ']') {
            add_range(class, p[0], p[2]);
            p += 3;
        }
        else {
            add_range(class, *p, *p);
            p++;
        }
    }
    return *p ? p + 1 : p;
}

static const char *class_is_exact(const class_t *class)
{
    int c;

    for (c = 'A'; c <= 'Z'; c++) {
        const int capital = class->has[c], small = class->has[c + ('a' - 'A')];

        if (class->negated ? capital != small : capital && !small) {
            return capitals;
        }
    }
    return !class->negated && (class->has[';'] || class->has['%'] || class->has['\\'])
               ? literals
               : NULL;
}

/* --- outside of them --- */

/* `\p{Lu}` tells letters apart, `\x3b` and its like could be anything. */
static const char *escape_is_exact(char c)
{
    if (c == 'p' || c == 'P') {
        return capitals;
    }
    return strchr("\\;%xo0cQ", c) ? literals : NULL;
}

const char *m2_path_pattern_exact(const char *pattern, m2_pattern_kind_t kind)
{
    const char *p = pattern, *why = NULL;
    class_t class;

    while (*p && !why) {
        if (*p == '[') {
            p = read_class(&class, p + 1);
            why = class_is_exact(&class);
        }
        else if (*p == '\\' && p[1]) {
            why = kind == M2_PATTERN_REGEX || p[1] == '\\' ? escape_is_exact(p[1]) : NULL;
            p += 2;
        }
        else {
            why = *p == ';' || *p == '%' ? literals : NULL;
            p++;
        }
    }
    return why ? why : strstr(pattern, "(?-") ? capitals : NULL;
}

/* --- what it begins with --- */

/* An alternative outside of all parentheses begins with something else. */
static int has_alternative(const char *p)
{
    int depth = 0;
    class_t class;

    while (*p) {
        if (*p == '[') {
            p = read_class(&class, p + 1);
            continue;
        }
        if (*p == '\\' && p[1]) {
            p++;
        }
        else if (*p == '|' && depth == 0) {
            return 1;
        }
        else {
            depth += (*p == '(') - (*p == ')');
        }
        p++;
    }
    return 0;
}

static const char *start_of(apr_pool_t *pool, const char *p, const char *special,
                            const char *optional)
{
    char *start = apr_pstrdup(pool, p), *end = start;

    for (; *p; p++) {
        const char *next = p + 1;

        if (*p == '\\' && *next && !apr_isalnum(*next)) {
            p = next++;
        }
        else if (strchr(special, *p)) {
            break;
        }
        if (*next && strchr(optional, *next)) {
            break;
        }
        *end++ = (char)apr_tolower(*p);
    }
    *end = '\0';
    return start;
}

const char *m2_path_pattern_start(apr_pool_t *pool, const char *pattern,
                                  m2_pattern_kind_t kind)
{
    if (kind == M2_PATTERN_WILDCARD) {
        return start_of(pool, pattern, "*?[\\", "");
    }
    if (*pattern != '^' || has_alternative(pattern + 1)) {
        return "";
    }
    return start_of(pool, pattern + 1, "^$.|()[]*+?{}\\", "*?{");
}
