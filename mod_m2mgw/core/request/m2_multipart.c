/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Boundaries and headers are not parsed: every `name=` of the body counts, with its value read in
 * each way that some parser has. A name that is encoded as a mail header (RFC 2047) is taken for
 * any name. Values that lie within each other would be read again and again, so there is a limit to
 * what is read of a body.
 */
#include "request/m2_multipart.h"

#define WORD "name"
#define WORD_LENGTH (sizeof(WORD) - 1)
#define LONGEST (8 * M2_MAX_NAME) /* bytes of a value that are looked at: percent-encoded */
#define READ_AGAIN 32 /* times the length of a body that values are read: six readings, and files */

/* what is looked for, and where */
typedef struct look_t {
    m2_nameset_pick_fn *pick;
    const void *baton;
    const char *end; /* of what can be a name */
    apr_size_t read; /* bytes of values so far, each as often as it was read */
} look_t;

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    return p;
}

/* `name`, `name*`, `name*0*` (RFC 2231), then `=`: where the value begins; NULL: it is none. */
static const char *value_of(const char *p, const char *end)
{
    while (p < end && (*p == '*' || apr_isdigit(*p))) {
        p++;
    }
    p = skip_blanks(p, end);
    return p < end && *p == '=' ? skip_blanks(p + 1, end) : NULL;
}

/* RFC 2231 3: the name is in pieces, in any order. */
static int is_continued(const char *p, const char *end)
{
    return end - p > 1 && p[0] == '*' && apr_isdigit(p[1]);
}

/* The next word that stands alone or behind a byte that is no letter (`filename=` is none), and
 * its value; NULL: there is no more. */
static const char *next_value(const char **pp, const char *start, const char *end)
{
    const char *p, *value;

    for (p = *pp; p + WORD_LENGTH < end; p++) {
        if ((*p | 0x20) != WORD[0] || !m2_slice_is_nocase(m2_slice(p, WORD_LENGTH), WORD)
            || (p > start && apr_isalpha(p[-1]))) {
            continue;
        }
        value = value_of(p + WORD_LENGTH, end);
        if (value) {
            *pp = p + WORD_LENGTH;
            return value;
        }
    }
    return NULL;
}

static m2_slice_t until(look_t *look, const char *p, const char *stops)
{
    const char *from = p;

    while (p < look->end && !strchr(stops, *p)) {
        p++;
    }
    look->read += (apr_size_t)(p - from);
    return m2_slice(from, (apr_size_t)(p - from));
}

static int is_taken(const look_t *look, m2_slice_t name)
{
    return look->pick(look->baton, name)
           || (name.n > 1 && name.p[0] == '=' && name.p[1] == '?'); /* RFC 2047 */
}

/* To the closing quote, which a backslash may escape; without the backslashes. */
static int unescaped_is_taken(look_t *look, const char *p, char quote)
{
    char room[LONGEST];
    apr_size_t n = 0;

    for (; p < look->end && *p != quote; p++) {
        if (*p == '\\' && p + 1 < look->end) {
            p++;
        }
        room[n++] = *p;
    }
    look->read += n;
    return is_taken(look, m2_slice(room, n));
}

/* RFC 2231: charset'language'name. */
static m2_slice_t behind_language(m2_slice_t name)
{
    const char *end = name.p + name.n;
    const char *first = memchr(name.p, '\'', name.n);
    const char *second = first ? memchr(first + 1, '\'', (apr_size_t)(end - first - 1)) : NULL;

    return second ? m2_slice(second + 1, (apr_size_t)(end - second - 1)) : name;
}

/* Each reading of the value at p. */
static int value_is_taken(look_t *look, const char *p)
{
    const char quote = p < look->end && (*p == '"' || *p == '\'') ? *p : '\0';
    const char *stops = quote == '"' ? "\"\r\n" : quote ? "'\r\n" : ";\"\r\n";
    const m2_slice_t name = until(look, p + (quote != '\0'), stops);

    return is_taken(look, name)
           || (quote && name.n >= LONGEST - 1) /* what stands behind is not known */
           || is_taken(look, until(look, p, "; \t\r\n"))
           || is_taken(look, until(look, p, ";, \t\r\n"))
           || is_taken(look, behind_language(until(look, p + (quote == '"'), ";\" \t\r\n")))
           || (quote && unescaped_is_taken(look, p + 1, quote));
}

int m2_multipart_has(m2_slice_t body, m2_nameset_pick_fn *pick, const void *baton)
{
    const char *p = body.p, *end = body.p + body.n, *value;
    look_t look = { pick, baton, NULL, 0 };

    while (p && (value = next_value(&p, body.p, end)) != NULL) {
        look.end = (apr_size_t)(end - value) > LONGEST ? value + LONGEST : end;
        if (is_continued(p, end) || value_is_taken(&look, value)
            || look.read / READ_AGAIN > body.n + LONGEST) {
            return 1;
        }
    }
    return 0;
}
