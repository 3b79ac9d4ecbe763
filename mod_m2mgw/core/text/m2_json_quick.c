/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The common document, read fast. jansson looks at each character through a stream of its own,
 * which costs more than all else about a token but its signature. Nearly every token is made of
 * objects, arrays, plain ASCII strings and integers. That much is read here; at the first thing
 * that is more, or wrong, the document is left to jansson from its beginning, which alone decides
 * what is refused.
 *
 * It is read in a copy that ends in a NUL, which stops every loop. Strings stay where they are
 * in it, a NUL in the place of their closing quote.
 */
#include "text/m2_json_int.h"

typedef struct quick_t {
    char *p, *end;
    apr_pool_t *pool;
    int depth;
} quick_t;

/* a member and its value, which are made together */
typedef struct node_t {
    m2_member_t member;
    m2_json_t value;
} node_t;

/* clang-format off */
static const char is_plain[256] = { /* printable ASCII but quote and backslash */
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    1,1,0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,
    1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0,1,1,1,
    1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0
};
/* clang-format on */

static int read_value(m2_json_t *json, quick_t *q);

/* The next character that is not a blank, 0 at the end. */
static inline char peek(quick_t *q)
{
    while (*q->p == ' ' || *q->p == '\n' || *q->p == '\t' || *q->p == '\r') {
        q->p++;
    }
    return *q->p;
}

static inline int take(quick_t *q, char c)
{
    if (peek(q) != c) {
        return 0;
    }
    q->p++;
    return 1;
}

static inline int read_text(m2_slice_t *ptext, quick_t *q)
{
    char *start, *p;

    if (!take(q, '"')) {
        return 0;
    }
    for (p = start = q->p; is_plain[(unsigned char)*p]; p++) {
    }
    if (*p != '"') {
        return 0;
    }
    *p = '\0';
    *ptext = m2_slice(start, (apr_size_t)(p - start));
    q->p = p + 1;
    return 1;
}

static int read_string(m2_json_t *json, quick_t *q)
{
    m2_slice_t text;

    if (!read_text(&text, q)) {
        return 0;
    }
    json->type = M2_JSON_STRING;
    json->is.text = text.p;
    json->n = (apr_uint32_t)text.n;
    return 1;
}

/* No zero in front, no sign before a zero, no fraction, no exponent: the text is the number. */
static int read_integer(m2_json_t *json, quick_t *q)
{
    const char *start = q->p, *digits = start + (*start == '-');
    apr_uint64_t value = 0; /* of more digits than count here, any */
    apr_size_t n;

    for (q->p += digits - start; *q->p >= '0' && *q->p <= '9'; q->p++) {
        value = value * 10 + (apr_uint64_t)(*q->p - '0');
    }
    n = (apr_size_t)(q->p - digits);
    if (!n || n > M2_JSON_MOST_DIGITS || (*digits == '0' && q->p - start > 1) || *q->p == '.'
        || *q->p == 'e' || *q->p == 'E') {
        return 0;
    }
    json->type = M2_JSON_INT;
    if (n > M2_JSON_FEW_DIGITS) {
        m2_json_set_digits(json, q->pool, m2_slice(start, (apr_size_t)(q->p - start)));
    }
    else {
        json->is.integer = digits > start ? -(apr_int64_t)value : (apr_int64_t)value;
    }
    return 1;
}

static int read_word(m2_json_t *json, quick_t *q, const char *word, m2_json_type_t type,
                     int value)
{
    const apr_size_t n = strlen(word);

    if ((apr_size_t)(q->end - q->p) < n || !m2_slice_is(m2_slice(q->p, n), word)) {
        return 0;
    }
    q->p += n;
    json->type = type;
    json->n = (apr_uint32_t)value;
    return 1;
}

/* One of 64 bits; names that have different ones are different. */
static apr_uint64_t bit_of(m2_slice_t name)
{
    return (apr_uint64_t)1
           << (((apr_size_t)name.p[0] + 5 * (apr_size_t)name.p[name.n / 2] + 11 * name.n) % 64);
}

/* One member behind its opening brace or comma; a name that is there already is a fault. *pseen:
 * the bits of those that are there. */
static int read_member(m2_json_t *object, apr_uint64_t *pseen, quick_t *q)
{
    static const node_t none;
    apr_uint64_t bit;
    m2_slice_t name;
    node_t *node;

    if (object->n == M2_MAX_JSON_MEMBERS || !read_text(&name, q) || !take(q, ':')) {
        return 0;
    }
    bit = bit_of(name);
    if ((*pseen & bit) && m2_json_member(object, name)) {
        return 0;
    }
    *pseen |= bit;
    node = apr_palloc(q->pool, sizeof(*node));
    *node = none;
    if (!read_value(&node->value, q)) {
        return 0;
    }
    m2_json_member_link(object, &node->member, name, &node->value);
    return 1;
}

static int read_object(m2_json_t *json, quick_t *q)
{
    apr_uint64_t seen = 0;

    json->type = M2_JSON_OBJECT;
    json->pool = q->pool;
    if (!take(q, '}')) {
        do {
            if (!read_member(json, &seen, q)) {
                return 0;
            }
        } while (take(q, ','));
        return take(q, '}');
    }
    return 1;
}

static int read_array(m2_json_t *json, quick_t *q)
{
    m2_json_as_array(json, q->pool);
    if (!take(q, ']')) {
        do {
            m2_json_t *one = m2_json_value(q->pool, M2_JSON_NULL);

            if (json->n == M2_MAX_JSON_ELEMENTS || !read_value(one, q)) {
                return 0;
            }
            m2_json_append(json, one);
        } while (take(q, ','));
        return take(q, ']');
    }
    return 1;
}

static int read_container(m2_json_t *json, quick_t *q)
{
    int done;

    if (++q->depth > M2_MAX_JSON_DEPTH) {
        return 0;
    }
    done = *q->p++ == '{' ? read_object(json, q) : read_array(json, q);
    q->depth--;
    return done;
}

/* Into json, which is zeroed. */
static int read_value(m2_json_t *json, quick_t *q)
{
    switch (peek(q)) {
    case '"':
        return read_string(json, q);
    case '{':
    case '[':
        return read_container(json, q);
    case 't':
        return read_word(json, q, "true", M2_JSON_BOOL, 1);
    case 'f':
        return read_word(json, q, "false", M2_JSON_BOOL, 0);
    case 'n':
        return read_word(json, q, "null", M2_JSON_NULL, 0);
    default:
        return read_integer(json, q);
    }
}

m2_json_t *m2_json_quick(apr_pool_t *pool, m2_slice_t text)
{
    char *copy = m2_slice_dup(pool, text);
    quick_t q = { copy, copy + text.n, pool, 0 };
    m2_json_t *json = m2_json_value(pool, M2_JSON_NULL);

    return read_value(json, &q) && !peek(&q) && q.p == q.end ? json : NULL;
}
