/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Text -> document, and the only home of jansson. The common document is read by a short reader
 * (m2_json_quick.c); any other one, and every refusal, is jansson's. Before jansson sees a byte,
 * one pass without recursion counts nesting, members and elements: jansson recurses per level, and
 * a hostile document must not choose how deep.
 */
#include "text/m2_json_int.h"

#include "base/m2_hold.h"

#include <jansson.h>

/* --- limits --- */

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
            const char *broken = text.p[i] ? scan_char(&scan, text.p[i]) : "a NUL byte";

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

/* --- any document, read by jansson ---
 *
 * jansson's integers end at 64 bits. Longer ones are blanked to their first digit in a copy of
 * the text, and what they were is put back while the tree is taken: numbers come in the order
 * of the text, since a document with a duplicate member makes no tree. */

/* a document on its way from jansson's tree into ours */
typedef struct taker_t {
    apr_pool_t *pool;
    apr_array_header_t *numbers; /* of m2_slice_t, all of the text in order; NULL: none is long */
    int next;
} taker_t;

static int is_long_integer(m2_slice_t number)
{
    const apr_size_t sign = number.p[0] == '-';
    apr_size_t i;

    if (number.n - sign <= M2_JSON_FEW_DIGITS || number.n - sign > M2_JSON_MOST_DIGITS
        || number.p[sign] == '0') {
        return 0;
    }
    for (i = sign; i < number.n; i++) {
        if (!apr_isdigit(number.p[i])) {
            return 0;
        }
    }
    return 1;
}

/* The number that begins at i, or an empty slice. */
static m2_slice_t number_at(m2_slice_t text, apr_size_t i)
{
    apr_size_t n = 0;

    if (text.p[i] == '-' || apr_isdigit(text.p[i])) {
        while (i + n < text.n && text.p[i + n] && strchr("0123456789+-.eE", text.p[i + n])) {
            n++;
        }
    }
    return m2_slice(text.p + i, n);
}

/* The text with long integers blanked, which stand in numbers; text itself without any. */
static m2_slice_t blank_integers(taker_t *taker, m2_slice_t text)
{
    apr_array_header_t *numbers = apr_array_make(taker->pool, 16, sizeof(m2_slice_t));
    char *copy = NULL;
    apr_size_t i;

    for (i = 0; i < text.n; i++) {
        const m2_slice_t number = number_at(text, i);

        if (text.p[i] == '"') {
            i = skip_string(text, i);
        }
        else if (number.n) {
            APR_ARRAY_PUSH(numbers, m2_slice_t) = number;
            if (is_long_integer(number)) {
                const apr_size_t kept = 1 + (number.p[0] == '-');

                copy = copy ? copy : apr_pmemdup(taker->pool, text.p, text.n);
                memset(copy + i + kept, ' ', number.n - kept);
            }
            i += number.n - 1;
        }
    }
    taker->numbers = copy ? numbers : NULL;
    return copy ? m2_slice(copy, text.n) : text;
}

static m2_json_t *taken(taker_t *taker, const json_t *from);

static m2_json_t *taken_object(taker_t *taker, const json_t *from)
{
    m2_json_t *json = m2_json_value(taker->pool, M2_JSON_OBJECT);
    void *it = json_object_iter((json_t *)from); /* changes nothing */

    for (; it; it = json_object_iter_next((json_t *)from, it)) {
        m2_json_member_add(json, m2_slice_z(apr_pstrdup(taker->pool, json_object_iter_key(it))),
                           taken(taker, json_object_iter_value(it)));
    }
    return json;
}

static m2_json_t *taken_array(taker_t *taker, const json_t *from)
{
    m2_json_t *json = m2_json_make_array(taker->pool);
    apr_size_t i;

    for (i = 0; i < json_array_size(from); i++) {
        m2_json_append(json, taken(taker, json_array_get(from, i)));
    }
    return json;
}

static m2_json_t *taken_number(taker_t *taker, const json_t *from)
{
    m2_json_t *json = m2_json_value(taker->pool, M2_JSON_INT);

    if (taker->numbers && taker->next < taker->numbers->nelts) {
        const m2_slice_t text = APR_ARRAY_IDX(taker->numbers, taker->next++, m2_slice_t);

        if (is_long_integer(text)) {
            m2_json_set_digits(json, taker->pool, text);
            return json;
        }
    }
    if (json_is_integer(from)) {
        json->is.integer = json_integer_value(from);
    }
    else {
        json->type = M2_JSON_REAL;
        json->is.real = json_real_value(from);
    }
    return json;
}

static m2_json_t *taken_scalar(taker_t *taker, const json_t *from)
{
    m2_json_t *json = m2_json_value(taker->pool, M2_JSON_NULL);

    if (json_is_string(from)) {
        json->type = M2_JSON_STRING;
        json->n = (apr_uint32_t)json_string_length(from);
        json->is.text = apr_pstrmemdup(taker->pool, json_string_value(from), json->n);
    }
    else if (json_is_boolean(from)) {
        json->type = M2_JSON_BOOL;
        json->n = json_is_true(from);
    }
    return json;
}

/* Recurses as deep as the document, which the counting pass has bounded. */
static m2_json_t *taken(taker_t *taker, const json_t *from)
{
    return json_is_object(from)   ? taken_object(taker, from)
           : json_is_array(from)  ? taken_array(taker, from)
           : json_is_number(from) ? taken_number(taker, from)
                                  : taken_scalar(taker, from);
}

/* RFC 8725 2.4, RFC 7519 4: of two members of one name readers differ which counts. */
static m2_code_t thorough_parse(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                                m2_code_t code_on_error, m2_err_t *err)
{
    m2_code_t code = check_limits(text, code_on_error, err);
    taker_t taker = { pool, NULL, 0 };
    json_error_t fault;
    m2_slice_t blanked;
    json_t *json;

    if (code != M2_OK) {
        return code;
    }
    blanked = blank_integers(&taker, text);
    json = json_loadb(blanked.p, blanked.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!json) {
        apr_size_t offset = fault.position > 0 ? (apr_size_t)fault.position - 1 : 0;

        return fail_at(err, code_on_error, text, offset,
                       words_for(json_error_code(&fault)));
    }
    *pjson = taken(&taker, json);
    json_decref(json);
    return M2_OK;
}

m2_code_t m2_json_parse(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                        m2_code_t code_on_error, m2_err_t *err)
{
    m2_code_t code;
    m2_hold_t hold;

    *pjson = NULL;
    if (!text.p || text.n == 0) {
        return m2_err_set(err, code_on_error, "bad JSON: it is empty");
    }
    *pjson = m2_json_quick(pool, text);
    if (*pjson) {
        return M2_OK;
    }
    m2_hold_begin(&hold);
    code = thorough_parse(pjson, pool, text, code_on_error, err);
    m2_hold_end(&hold);
    return code;
}
