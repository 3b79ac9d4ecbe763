/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Document -> text. Texts are written here and not by jansson, whose numbers take 17 digits.
 */
#include "text/m2_json_int.h"

#include "text/m2_form.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_NUMBER 64   /* bytes of a number's text; 25 digits and 7 signs at most */
#define PLAIN_DIGITS 18 /* integer digits of a real without an exponent */
#define FIRST_ROOM 256  /* bytes a text has room for at first */
#define ONES ((apr_uint64_t)0x0101010101010101u)

/* --- numbers --- */

/* The digits and decimal exponent of the shortest spelling that reads back as value
 * (positive, finite): value = 0.DIGITS * 10^point. Independent of the locale's point. */
static int shortest(char *digits, int *point, double value)
{
    char text[MAX_NUMBER], *e;
    int precision, n = 0;

    for (precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    e = strchr(text, 'e');
    *point = (int)strtol(e + 1, NULL, 10) + 1;
    for (*e = '\0', e = text; *e; e++) {
        if (apr_isdigit(*e)) {
            digits[n++] = *e;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    digits[n] = '\0';
    return n;
}

/* ECMAScript's spelling of numbers, as RFC 8785 3.2.2.3 takes it for JSON (100000 and not
 * 1e+05), except that an exponent comes as soon as the digits alone might read as an
 * integer beyond 64 bits, which we and others refuse. */
static void real_text(char *out, apr_size_t size, double value)
{
    char digits[MAX_NUMBER];
    const char *sign = value < 0 ? "-" : "";
    int point, n;

    if (value == 0) {
        apr_cpystrn(out, "0", size);
        return;
    }
    n = shortest(digits, &point, value < 0 ? -value : value);
    if (n <= point && point <= PLAIN_DIGITS) {
        apr_snprintf(out, size, "%s%s%.*s", sign, digits, point - n,
                     "000000000000000000");
    }
    else if (0 < point && point <= PLAIN_DIGITS) {
        apr_snprintf(out, size, "%s%.*s.%s", sign, point, digits, digits + point);
    }
    else if (-6 < point && point <= 0) {
        apr_snprintf(out, size, "%s0.%.*s%s", sign, -point, "00000", digits);
    }
    else {
        apr_snprintf(out, size, "%s%c%s%se%+d", sign, digits[0], n > 1 ? "." : "",
                     digits + 1, point - 1);
    }
}

/* Decimal digits, from the end of a buffer of MAX_NUMBER bytes. */
static const char *integer_text(char *buffer, apr_int64_t value)
{
    apr_uint64_t rest = value < 0 ? 0 - (apr_uint64_t)value : (apr_uint64_t)value;
    char *p = buffer + MAX_NUMBER;

    *--p = '\0';
    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) {
        *--p = '-';
    }
    return p;
}

/* The text of a scalar that is not a string, into a buffer of MAX_NUMBER bytes. */
static const char *scalar_text(char *buffer, const m2_json_t *json)
{
    if (json->type == M2_JSON_INT) {
        return json->n ? json->is.text : integer_text(buffer, json->is.integer);
    }
    if (json->type == M2_JSON_REAL) {
        real_text(buffer, MAX_NUMBER, json->is.real);
        return buffer;
    }
    return json->type == M2_JSON_NULL ? "null" : json->n ? "true" : "false";
}

/* --- compact JSON --- */

/* A text that grows in a pool; or, without one, that is held against the room bytes at p. */
typedef struct text_t {
    apr_pool_t *pool;
    char *p;
    apr_size_t n, room;
    int one_word; /* no blank stands in it: those of strings are escaped */
    int differs;
} text_t;

static void compare(text_t *text, const char *p, apr_size_t n)
{
    text->differs |= n > text->room - text->n
                     || !m2_slice_eq(m2_slice(text->p + text->n, n), m2_slice(p, n));
    text->n += text->differs ? 0 : n;
}

/* Room for n more bytes and a NUL. */
static void grow(text_t *text, apr_size_t n)
{
    const apr_size_t room = (text->room + n) * 2 + FIRST_ROOM;
    char *grown = apr_palloc(text->pool, room);

    if (text->n) {
        memcpy(grown, text->p, text->n);
    }
    text->p = grown;
    text->room = room;
}

static inline void put(text_t *text, const char *p, apr_size_t n)
{
    if (!text->pool) {
        compare(text, p, n);
        return;
    }
    if (text->room - text->n <= n) {
        grow(text, n);
    }
    memcpy(text->p + text->n, p, n);
    text->n += n;
    text->p[text->n] = '\0';
}

static inline void put_z(text_t *text, const char *z)
{
    put(text, z, strlen(z));
}

static void put_escape(text_t *text, char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    const char *pair = letters;
    char escape[8];

    while (*pair && *pair != c) {
        pair += 2;
    }
    if (*pair) {
        escape[0] = '\\';
        escape[1] = pair[1];
        put(text, escape, 2);
    }
    else {
        apr_snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)c);
        put_z(text, escape);
    }
}

/* Whether c stands in a string as it is. */
static int stands(const text_t *text, char c)
{
    return (unsigned char)c > ' ' ? c != '"' && c != '\\' : c == ' ' && !text->one_word;
}

/* Not zero where one of eight bytes is below c, which is at most 128. */
static inline apr_uint64_t any_below(apr_uint64_t bytes, unsigned char c)
{
    return (bytes - ONES * c) & ~bytes & ONES << 7;
}

/* Where from i on the first byte of s is that does not stand as it is; s.n for none. Eight at a
 * time as long as all of them do. */
static apr_size_t stand_until(const text_t *text, m2_slice_t s, apr_size_t i)
{
    const unsigned char first = text->one_word ? ' ' + 1 : ' ';
    apr_uint64_t eight;

    for (; s.n - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, s.p + i, sizeof(eight));
        if (any_below(eight, first) | any_below(eight ^ ONES * '"', 1)
            | any_below(eight ^ ONES * '\\', 1)) {
            break;
        }
    }
    while (i < s.n && stands(text, s.p[i])) {
        i++;
    }
    return i;
}

/* RFC 8259 7: quotation mark, backslash and controls are escaped, the rest stands. */
static void put_string(text_t *text, m2_slice_t s)
{
    apr_size_t i = 0, from;

    put(text, "\"", 1);
    while (i < s.n) {
        from = i;
        i = stand_until(text, s, i);
        if (i > from) {
            put(text, s.p + from, i - from);
        }
        if (i < s.n) {
            put_escape(text, s.p[i++]);
        }
    }
    put(text, "\"", 1);
}

static void put_json(text_t *text, const m2_json_t *json);

static void put_array(text_t *text, const m2_json_t *json)
{
    apr_size_t i;

    put_z(text, "[");
    for (i = 0; i < json->n; i++) {
        if (i) {
            put_z(text, ",");
        }
        put_json(text, m2_json_element(json, i));
    }
    put_z(text, "]");
}

static void put_object(text_t *text, const m2_json_t *json)
{
    const m2_member_t *member;

    put_z(text, "{");
    for (member = json->is.members; member; member = member->next) {
        if (member != json->is.members) {
            put_z(text, ",");
        }
        put_string(text, m2_slice(member->name, member->name_n));
        put_z(text, ":");
        put_json(text, member->value);
    }
    put_z(text, "}");
}

/* Recurses as deep as the document, which reading has bounded. */
static void put_json(text_t *text, const m2_json_t *json)
{
    char buffer[MAX_NUMBER];

    if (json->type == M2_JSON_OBJECT) {
        put_object(text, json);
    }
    else if (json->type == M2_JSON_ARRAY) {
        put_array(text, json);
    }
    else if (json->type == M2_JSON_STRING) {
        put_string(text, m2_json_string(json));
    }
    else {
        put_z(text, scalar_text(buffer, json));
    }
}

const char *m2_json_dump(apr_pool_t *pool, const m2_json_t *json)
{
    text_t text = { .pool = pool };

    put_json(&text, json);
    return text.p;
}

/* --- the text of a claim --- */

/* Whether s contains a blank, as code sees it that splits a string into words. */
static int holds_blank(m2_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.n; i++) {
        if (s.p[i] == ' ' || (s.p[i] >= '\t' && s.p[i] <= '\r')
            || m2_form_blank(s.p + i, s.n - i)) {
            return 1;
        }
    }
    return 0;
}

/* Whether a list of words says the same as the array: `x admin` is one word of it. */
static int all_words(const m2_json_t *array)
{
    apr_size_t i;

    for (i = 0; i < array->n; i++) {
        const m2_slice_t word = m2_json_string(m2_json_element(array, i));

        if (!word.n || holds_blank(word)) {
            return 0;
        }
    }
    return 1;
}

static void put_words(text_t *text, const m2_json_t *array)
{
    apr_size_t i;

    put_z(text, "");
    for (i = 0; i < array->n; i++) {
        m2_slice_t s = m2_json_string(m2_json_element(array, i));

        if (i) {
            put_z(text, " ");
        }
        put(text, s.p, s.n);
    }
}

/* The text of an array or an object. */
static void put_container(text_t *text, const m2_json_t *json)
{
    if (json->type == M2_JSON_ARRAY && all_words(json)) {
        put_words(text, json);
    }
    else {
        text->one_word = 1;
        put_json(text, json);
    }
}

const char *m2_json_text(apr_pool_t *pool, const m2_json_t *json)
{
    text_t text = { .pool = pool };
    char buffer[MAX_NUMBER];

    if (!json) {
        return NULL;
    }
    if (json->type == M2_JSON_STRING) {
        return m2_slice_dup(pool, m2_json_string(json));
    }
    if (json->type < M2_JSON_ARRAY) {
        return apr_pstrdup(pool, scalar_text(buffer, json));
    }
    put_container(&text, json);
    return text.p;
}

const char *m2_json_text_lent(apr_pool_t *pool, const m2_json_t *json)
{
    const m2_slice_t text = m2_json_string(json);

    return text.p ? text.p : m2_json_text(pool, json);
}

/* Whether value is one of the words of a text that blanks separate. */
static int has_word(m2_slice_t text, m2_slice_t value)
{
    apr_size_t i = 0, start;

    while (i < text.n) {
        while (i < text.n && text.p[i] == ' ') {
            i++;
        }
        for (start = i; i < text.n && text.p[i] != ' '; i++) {
        }
        if (i > start && m2_slice_eq(m2_slice(text.p + start, i - start), value)) {
            return 1;
        }
    }
    return 0;
}

/* Whether value is the text of a container. */
static int is_container_text(const m2_json_t *json, m2_slice_t value)
{
    text_t text = { .p = (char *)(apr_uintptr_t)value.p, .room = value.n };

    put_container(&text, json);
    return !text.differs && text.n == text.room;
}

static int is_text(const m2_json_t *json, m2_slice_t value)
{
    char buffer[MAX_NUMBER];

    if (json->type == M2_JSON_STRING) {
        return m2_slice_eq(m2_json_string(json), value);
    }
    if (json->type < M2_JSON_ARRAY) {
        return json->type != M2_JSON_NULL && m2_slice_is(value, scalar_text(buffer, json));
    }
    return is_container_text(json, value);
}

int m2_json_has(const m2_json_t *json, m2_slice_t value, int words)
{
    apr_size_t i;

    if (!json || !value.p) {
        return 0;
    }
    if (json->type == M2_JSON_ARRAY) {
        for (i = 0; i < json->n; i++) {
            if (is_text(m2_json_element(json, i), value)) {
                return 1;
            }
        }
        return 0;
    }
    return is_text(json, value)
           || (words && json->type == M2_JSON_STRING && has_word(m2_json_string(json), value));
}
