/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Before jansson sees a byte, one pass without recursion counts nesting, members and
 * elements: jansson recurses per level, and a hostile document must not choose how deep.
 * Texts are written here and not by jansson, whose numbers take 17 digits and whose errors
 * quote the document.
 */
#include "m2_json.h"

#include "m2_hold.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NUMBER 64   /* bytes of a number's text; 25 digits and 7 signs at most */
#define PLAIN_DIGITS 18 /* integer digits of a real without an exponent */
#define MAX_TIME 9007199254740992.0 /* 2^53: above it doubles skip whole seconds */

/* --- reading --- */

/* what the counting pass knows: one counter of commas per open container */
typedef struct scan_t {
    int depth;
    struct {
        char open;
        apr_size_t items;
    } level[M2_MAX_JSON_DEPTH + 1];
} scan_t;

/* Skip a string that opens at i; the index behind its closing quote, or n. */
static apr_size_t skip_string(m2_slice_t text, apr_size_t i)
{
    for (i++; i < text.n && text.p[i] != '"'; i++) {
        if (text.p[i] == '\\') {
            i++;
        }
    }
    return i;
}

/* One structural character; NULL, or which limit it breaks. */
static const char *scan_char(scan_t *scan, char c)
{
    if (c == '{' || c == '[') {
        if (scan->depth == M2_MAX_JSON_DEPTH) {
            return "nested too deeply";
        }
        scan->level[++scan->depth].open = c;
        scan->level[scan->depth].items = 1;
    }
    else if ((c == '}' || c == ']') && scan->depth > 0) {
        scan->depth--;
    }
    else if (c == ',' && scan->depth > 0) {
        int object = scan->level[scan->depth].open == '{';
        apr_size_t limit = object ? M2_MAX_JSON_MEMBERS : M2_MAX_JSON_ELEMENTS;

        if (++scan->level[scan->depth].items > limit) {
            return object ? "an object has too many members"
                          : "an array has too many elements";
        }
    }
    return NULL;
}

/* Report at a byte offset, as line and column in bytes. */
static m2_code_t fail_at(m2_err_t *err, m2_code_t code, m2_slice_t text,
                         apr_size_t offset, const char *what)
{
    apr_size_t i, bol = 0;
    int line = 1;

    for (i = 0; i < offset && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            bol = i + 1;
        }
    }
    return m2_err_at(err, code, line, (int)(i - bol) + 1, "bad JSON at %d:%d: %s", line,
                     (int)(i - bol) + 1, what);
}

static m2_code_t check_limits(m2_slice_t text, m2_code_t code, m2_err_t *err)
{
    scan_t scan = { 0 };
    apr_size_t i;

    for (i = 0; i < text.n; i++) {
        if (text.p[i] == '"') {
            i = skip_string(text, i);
        }
        else {
            const char *broken = scan_char(&scan, text.p[i]);

            if (broken) {
                return fail_at(err, code, text, i, broken);
            }
        }
    }
    return M2_OK;
}

/* Own words for jansson's codes, since its own quote what was near. */
static const char *words_for(enum json_error_code code)
{
    /* clang-format off */
    static const struct {
        enum json_error_code code;
        const char *words;
    } table[] = {
        { json_error_out_of_memory, "out of memory" },
        { json_error_stack_overflow, "nested too deeply" },
        { json_error_invalid_utf8, "invalid UTF-8" },
        { json_error_premature_end_of_input, "it ends early" },
        { json_error_end_of_input_expected, "there is something behind the value" },
        { json_error_null_character, "a string holds \\u0000" },
        { json_error_null_byte_in_key, "a member name holds \\u0000" },
        { json_error_duplicate_key, "a member appears twice" },
        { json_error_numeric_overflow, "a number is out of range" }
    };
    /* clang-format on */
    apr_size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].code == code) {
            return table[i].words;
        }
    }
    return "syntax error";
}

static apr_status_t drop(void *json)
{
    m2_hold_t hold;

    m2_hold_begin(&hold);
    json_decref(json);
    m2_hold_end(&hold);
    return APR_SUCCESS;
}

static json_t *own(apr_pool_t *pool, json_t *json)
{
    apr_pool_cleanup_register(pool, json, drop, apr_pool_cleanup_null);
    return json;
}

/* --- the common document, read fast ---
 *
 * jansson looks at each character through a stream of its own, which costs more than all else
 * about a token but its signature. Nearly every token is made of objects, arrays, plain ASCII
 * strings and integers. That much is read here; at the first thing that is more, or wrong, the
 * document is left to jansson from its beginning, which alone decides what is refused. */

#define QUICK_NAME 128  /* bytes of a member name */
#define QUICK_DIGITS 18 /* of an integer, which can then not overflow */

typedef struct quick_t {
    const char *p, *end;
    int depth;
} quick_t;

static json_t *quick_value(quick_t *q);

/* The next character that is no blank, 0 at the end. */
static char quick_peek(quick_t *q)
{
    while (q->p < q->end && (*q->p == ' ' || *q->p == '\n' || *q->p == '\t' || *q->p == '\r')) {
        q->p++;
    }
    return (char)(q->p < q->end ? *q->p : 0);
}

static int quick_char(quick_t *q, char c)
{
    if (quick_peek(q) != c) {
        return 0;
    }
    q->p++;
    return 1;
}

/* Printable ASCII without escapes between quotes. */
static int quick_text(m2_slice_t *ptext, quick_t *q)
{
    const char *start;

    if (!quick_char(q, '"')) {
        return 0;
    }
    for (start = q->p; q->p < q->end && *q->p >= ' ' && *q->p <= '~' && *q->p != '"'
                       && *q->p != '\\'; q->p++) {
    }
    *ptext = m2_slice(start, (apr_size_t)(q->p - start));
    return q->p < q->end && *q->p++ == '"';
}

static json_t *quick_string(quick_t *q)
{
    m2_slice_t text;

    return quick_text(&text, q) ? json_stringn_nocheck(text.p, text.n) : NULL;
}

/* No zero in front, no sign before a zero, no fraction, no exponent. */
static json_t *quick_integer(quick_t *q)
{
    const int minus = *q->p == '-';
    const char *digits = q->p + minus, *p = digits;
    json_int_t value = 0;

    for (; p < q->end && *p >= '0' && *p <= '9' && p - digits < QUICK_DIGITS; p++) {
        value = value * 10 + (*p - '0');
    }
    if (p == digits || (*digits == '0' && (minus || p - digits > 1))
        || (p < q->end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == 'E'))) {
        return NULL;
    }
    q->p = p;
    return json_integer(minus ? -value : value);
}

static json_t *quick_word(quick_t *q, const char *word, json_t *value)
{
    const apr_size_t n = strlen(word);

    if ((apr_size_t)(q->end - q->p) < n || !m2_slice_is(m2_slice(q->p, n), word)) {
        return NULL;
    }
    q->p += n;
    return value; /* the words are jansson's constants, not counted */
}

/* One member behind its opening brace or comma; a name that is there already is a fault. */
static int quick_member(json_t *object, quick_t *q)
{
    char name[QUICK_NAME + 1];
    m2_slice_t text;
    json_t *value;

    if (!quick_text(&text, q) || text.n > QUICK_NAME || !quick_char(q, ':')) {
        return 0;
    }
    memcpy(name, text.p, text.n);
    name[text.n] = '\0';
    if (json_object_get(object, name) || !(value = quick_value(q))) {
        return 0;
    }
    return json_object_set_new_nocheck(object, name, value) == 0;
}

static int quick_element(json_t *array, quick_t *q)
{
    json_t *value = quick_value(q);

    return value && json_array_append_new(array, value) == 0;
}

static json_t *quick_container(quick_t *q, json_t *json, char close,
                               int (*one)(json_t *json, quick_t *q))
{
    q->p++;
    if (!json || quick_char(q, close)) {
        return json;
    }
    if (++q->depth <= M2_MAX_JSON_DEPTH) {
        while (one(json, q)) {
            if (quick_char(q, close)) {
                q->depth--;
                return json;
            }
            if (!quick_char(q, ',')) {
                break;
            }
        }
    }
    json_decref(json);
    return NULL;
}

static json_t *quick_value(quick_t *q)
{
    const char c = quick_peek(q);

    if (c == '"') {
        return quick_string(q);
    }
    if (c == '{') {
        return quick_container(q, json_object(), '}', quick_member);
    }
    if (c == '[') {
        return quick_container(q, json_array(), ']', quick_element);
    }
    if (c == 't') {
        return quick_word(q, "true", json_true());
    }
    if (c == 'f') {
        return quick_word(q, "false", json_false());
    }
    if (c == 'n') {
        return quick_word(q, "null", json_null());
    }
    return c ? quick_integer(q) : NULL;
}

/* The whole of text, or NULL for jansson to read it. */
static json_t *quick_parse(m2_slice_t text)
{
    quick_t q = { text.p, text.p + text.n, 0 };
    json_t *json = quick_value(&q);

    if (json && (quick_peek(&q) || q.p != q.end)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

m2_code_t m2_json_parse(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                        m2_code_t code_on_error, m2_err_t *err)
{
    json_error_t fault;
    json_t *json;
    m2_code_t code;

    *pjson = NULL;
    if (!text.p || text.n == 0) {
        return m2_err_set(err, code_on_error, "bad JSON: it is empty");
    }
    code = check_limits(text, code_on_error, err);
    if (code != M2_OK) {
        return code;
    }
    /* RFC 8725 2.4, RFC 7519 4: of two members of one name readers differ which counts */
    json = quick_parse(text);
    if (!json) {
        json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    }
    if (!json) {
        apr_size_t offset = fault.position > 0 ? (apr_size_t)fault.position - 1 : 0;

        return fail_at(err, code_on_error, text, offset,
                       words_for(json_error_code(&fault)));
    }
    *pjson = own(pool, json);
    return M2_OK;
}

m2_json_type_t m2_json_type(const m2_json_t *json)
{
    if (!json) {
        return M2_JSON_NONE;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return M2_JSON_OBJECT;
    case JSON_ARRAY:
        return M2_JSON_ARRAY;
    case JSON_STRING:
        return M2_JSON_STRING;
    case JSON_INTEGER:
        return M2_JSON_INT;
    case JSON_REAL:
        return M2_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return M2_JSON_BOOL;
    default:
        return M2_JSON_NULL;
    }
}

const m2_json_t *m2_json_get(const m2_json_t *json, const char *name)
{
    return json_object_get(json, name);
}

/* Member by a name that is not NUL-terminated; at most M2_MAX_JSON_MEMBERS to look at. */
static const m2_json_t *member(const m2_json_t *json, m2_slice_t name)
{
    void *it;

    for (it = m2_json_iter(json); it; it = m2_json_iter_next(json, it)) {
        if (m2_slice_is(name, m2_json_iter_name(it))) {
            return m2_json_iter_value(it);
        }
    }
    return NULL;
}

/* jansson counts references atomically. */
const m2_json_t *m2_json_retain(const m2_json_t *json)
{
    return json_incref((json_t *)json);
}

void m2_json_release(const m2_json_t *json)
{
    json_decref((json_t *)json);
}

const m2_json_t *m2_json_path(const m2_json_t *json, const char *path)
{
    const m2_json_t *found = m2_json_get(json, path);
    const char *dot;

    if (found || !strchr(path, '.')) {
        return found;
    }
    while (json && (dot = strchr(path, '.')) != NULL) {
        json = member(json, m2_slice(path, (apr_size_t)(dot - path)));
        path = dot + 1;
    }
    return m2_json_get(json, path);
}

m2_slice_t m2_json_string(const m2_json_t *json)
{
    return json_is_string(json)
               ? m2_slice(json_string_value(json), json_string_length(json))
               : m2_slice(NULL, 0);
}

int m2_json_bool(const m2_json_t *json, int *pvalue)
{
    if (!json_is_boolean(json)) {
        return 0;
    }
    *pvalue = json_is_true(json);
    return 1;
}

apr_size_t m2_json_length(const m2_json_t *array_or_object)
{
    return json_is_array(array_or_object) ? json_array_size(array_or_object)
                                          : json_object_size(array_or_object);
}

const m2_json_t *m2_json_at(const m2_json_t *array, apr_size_t i)
{
    return json_array_get(array, i);
}

/* jansson's iterators take a mutable object though they do not change it. */
void *m2_json_iter(const m2_json_t *object)
{
    return json_object_iter((json_t *)object);
}

void *m2_json_iter_next(const m2_json_t *object, void *it)
{
    return json_object_iter_next((json_t *)object, it);
}

const char *m2_json_iter_name(void *it)
{
    return json_object_iter_key(it);
}

const m2_json_t *m2_json_iter_value(void *it)
{
    return json_object_iter_value(it);
}

m2_code_t m2_json_time(const m2_json_t *json, double *pseconds)
{
    double seconds;

    if (!json) {
        return M2_E_NOT_FOUND;
    }
    if (!json_is_number(json)) {
        return M2_E_CLAIM_INVALID;
    }
    if (json_is_integer(json) && json_integer_value(json) > (json_int_t)MAX_TIME) {
        return M2_E_CLAIM_INVALID; /* as a double, 2^53 + 1 would pass for 2^53 */
    }
    seconds = json_number_value(json);
    if (!(seconds >= 0 && seconds <= MAX_TIME)
        || (json_is_integer(json) && json_integer_value(json) > (json_int_t)MAX_TIME)) {
        return M2_E_CLAIM_INVALID; /* 2^53 + 1 rounds to 2^53 as a double */
    }
    *pseconds = seconds;
    return M2_OK;
}

/* --- texts --- */

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

/* The text of a scalar that is not a string, into a buffer of MAX_NUMBER bytes. */
static const char *scalar_text(char *buffer, const json_t *json)
{
    if (json_is_integer(json)) {
        apr_snprintf(buffer, MAX_NUMBER, "%" APR_INT64_T_FMT,
                     (apr_int64_t)json_integer_value(json));
        return buffer;
    }
    if (json_is_real(json)) {
        real_text(buffer, MAX_NUMBER, json_real_value(json));
        return buffer;
    }
    return json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null";
}

/* A text that grows in a pool. */
typedef struct text_t {
    apr_pool_t *pool;
    char *p;
    apr_size_t n, room;
} text_t;

static void put(text_t *text, const char *p, apr_size_t n)
{
    if (text->room - text->n <= n) {
        apr_size_t room = (text->room + n) * 2 + 64;
        char *grown = apr_palloc(text->pool, room);

        if (text->n) {
            memcpy(grown, text->p, text->n);
        }
        text->p = grown;
        text->room = room;
    }
    memcpy(text->p + text->n, p, n);
    text->n += n;
    text->p[text->n] = '\0';
}

static void put_z(text_t *text, const char *z)
{
    put(text, z, strlen(z));
}

/* RFC 8259 7: quotation mark, backslash and controls are escaped, the rest stands. */
static void put_string(text_t *text, m2_slice_t s)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    apr_size_t i;

    put_z(text, "\"");
    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char *pair = letters;
        char escape[8];

        while (*pair && (unsigned char)*pair != c) {
            pair += 2;
        }
        if (*pair) {
            escape[0] = '\\';
            escape[1] = pair[1];
            put(text, escape, 2);
        }
        else if (c < 0x20) {
            apr_snprintf(escape, sizeof(escape), "\\u%04x", c);
            put_z(text, escape);
        }
        else {
            put(text, s.p + i, 1);
        }
    }
    put_z(text, "\"");
}

static void put_json(text_t *text, const json_t *json);

static void put_array(text_t *text, const json_t *json)
{
    apr_size_t i;

    put_z(text, "[");
    for (i = 0; i < json_array_size(json); i++) {
        if (i) {
            put_z(text, ",");
        }
        put_json(text, json_array_get(json, i));
    }
    put_z(text, "]");
}

static void put_object(text_t *text, const json_t *json)
{
    void *it, *first = m2_json_iter(json);

    put_z(text, "{");
    for (it = first; it; it = m2_json_iter_next(json, it)) {
        if (it != first) {
            put_z(text, ",");
        }
        put_string(text, m2_slice_z(m2_json_iter_name(it)));
        put_z(text, ":");
        put_json(text, m2_json_iter_value(it));
    }
    put_z(text, "}");
}

/* Recurses as deep as the document, which reading has bounded. */
static void put_json(text_t *text, const json_t *json)
{
    char buffer[MAX_NUMBER];

    if (json_is_object(json)) {
        put_object(text, json);
    }
    else if (json_is_array(json)) {
        put_array(text, json);
    }
    else if (json_is_string(json)) {
        put_string(text, m2_json_string(json));
    }
    else {
        put_z(text, scalar_text(buffer, json));
    }
}

const char *m2_json_dump(apr_pool_t *pool, const m2_json_t *json)
{
    text_t text = { pool, NULL, 0, 0 };

    put_json(&text, json);
    return text.p;
}

static int all_strings(const json_t *array)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i))) {
            return 0;
        }
    }
    return 1;
}

static const char *joined(apr_pool_t *pool, const json_t *array)
{
    text_t text = { pool, NULL, 0, 0 };
    apr_size_t i;

    put_z(&text, "");
    for (i = 0; i < json_array_size(array); i++) {
        m2_slice_t s = m2_json_string(json_array_get(array, i));

        if (i) {
            put_z(&text, " ");
        }
        put(&text, s.p, s.n);
    }
    return text.p;
}

const char *m2_json_text(apr_pool_t *pool, const m2_json_t *json)
{
    if (!json) {
        return NULL;
    }
    if (json_is_string(json)) {
        return m2_slice_dup(pool, m2_json_string(json));
    }
    if (json_is_array(json) && all_strings(json)) {
        return joined(pool, json);
    }
    return m2_json_dump(pool, json);
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

/* Whether value is the text of json. A container's text is made for the comparison only.
 * */
static int is_text(const json_t *json, m2_slice_t value)
{
    char buffer[MAX_NUMBER];
    apr_pool_t *pool;
    int same;

    if (json_is_string(json)) {
        return m2_slice_eq(m2_json_string(json), value);
    }
    if (!json_is_array(json) && !json_is_object(json)) {
        return !json_is_null(json) && m2_slice_is(value, scalar_text(buffer, json));
    }
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 0;
    }
    same = m2_slice_is(value, m2_json_text(pool, json));
    apr_pool_destroy(pool);
    return same;
}

int m2_json_has(const m2_json_t *json, m2_slice_t value, int words)
{
    apr_size_t i;

    if (!json || !value.p) {
        return 0;
    }
    if (json_is_array(json)) {
        for (i = 0; i < json_array_size(json); i++) {
            if (is_text(json_array_get(json, i), value)) {
                return 1;
            }
        }
        return 0;
    }
    return is_text(json, value)
           || (words && json_is_string(json) && has_word(m2_json_string(json), value));
}

/* --- making --- */

m2_json_t *m2_json_make(apr_pool_t *pool)
{
    return own(pool, json_object());
}

m2_json_t *m2_json_make_array(apr_pool_t *pool)
{
    return own(pool, json_array());
}

void m2_json_set_string(m2_json_t *object, const char *name, const char *value)
{
    json_object_set_new(object, name, json_string(value));
}

void m2_json_set_int(m2_json_t *object, const char *name, apr_int64_t value)
{
    json_object_set_new(object, name, json_integer(value));
}

void m2_json_set_bool(m2_json_t *object, const char *name, int value)
{
    json_object_set_new(object, name, json_boolean(value));
}

void m2_json_set_json(m2_json_t *object, const char *name, const m2_json_t *value)
{
    json_object_set(object, name, (json_t *)value);
}

void m2_json_append(m2_json_t *array, const m2_json_t *value)
{
    json_array_append(array, (json_t *)value);
}

void m2_json_append_string(m2_json_t *array, const char *value)
{
    json_array_append_new(array, json_string(value));
}
