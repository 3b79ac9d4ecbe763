/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents are values in their pool: no reference counts, nothing to free. The common
 * document is read straight into them; any other one, and every refusal, is jansson's. Before
 * jansson sees a byte, one pass without recursion counts nesting, members and elements:
 * jansson recurses per level, and a hostile document must not choose how deep. Texts are
 * written here and not by jansson, whose numbers take 17 digits and whose errors quote the
 * document.
 */
#include "text/m2_json.h"

#include "base/m2_hold.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NUMBER 64   /* bytes of a number's text; 25 digits and 7 signs at most */
#define PLAIN_DIGITS 18 /* integer digits of a real without an exponent */
#define MAX_TIME 9007199254740992.0 /* 2^53: above it doubles skip whole seconds */
#define FEW 8 /* elements that an array has room for at first */

struct m2_json_t {
    m2_json_type_t type;
    apr_uint32_t n; /* bytes of a string, members, elements; the value of a boolean */
    union {
        const char *text; /* NUL-terminated */
        apr_int64_t integer;
        double real;
        struct m2_member_t *members; /* in order */
        apr_array_header_t *elements; /* of const m2_json_t * */
    } is;
    struct m2_member_t *last; /* of members */
    apr_pool_t *pool;         /* of a container */
};

struct m2_member_t {
    const char *name; /* NUL-terminated */
    apr_size_t name_n;
    const m2_json_t *value;
    m2_member_t *next;
};

/* --- values --- */

static m2_json_t *value_make(apr_pool_t *pool, m2_json_type_t type)
{
    static const m2_json_t none;
    m2_json_t *json = apr_palloc(pool, sizeof(*json));

    *json = none;
    json->type = type;
    json->pool = pool;
    return json;
}

static m2_json_t *array_make(apr_pool_t *pool)
{
    m2_json_t *json = value_make(pool, M2_JSON_ARRAY);

    json->is.elements = apr_array_make(pool, FEW, sizeof(const m2_json_t *));
    return json;
}

static const m2_json_t *element(const m2_json_t *array, apr_size_t i)
{
    return APR_ARRAY_IDX(array->is.elements, i, const m2_json_t *);
}

static m2_member_t *member_find(const m2_json_t *object, m2_slice_t name)
{
    m2_member_t *member = object && object->type == M2_JSON_OBJECT ? object->is.members : NULL;

    while (member && !m2_slice_eq(m2_slice(member->name, member->name_n), name)) {
        member = member->next;
    }
    return member;
}

/* The name lives as long as the object. */
static void member_add(m2_json_t *object, m2_slice_t name, const m2_json_t *value)
{
    m2_member_t *member = apr_palloc(object->pool, sizeof(*member));

    member->name = name.p;
    member->name_n = name.n;
    member->value = value;
    member->next = NULL;
    if (object->last) {
        object->last->next = member;
    }
    else {
        object->is.members = member;
    }
    object->last = member;
    object->n++;
}

static void element_add(m2_json_t *array, const m2_json_t *value)
{
    APR_ARRAY_PUSH(array->is.elements, const m2_json_t *) = value;
    array->n++;
}

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

/* --- the common document, read fast ---
 *
 * jansson looks at each character through a stream of its own, which costs more than all else
 * about a token but its signature. Nearly every token is made of objects, arrays, plain ASCII
 * strings and integers. That much is read here; at the first thing that is more, or wrong, the
 * document is left to jansson from its beginning, which alone decides what is refused. */

#define QUICK_DIGITS 18 /* of an integer, which can then not overflow */

typedef struct quick_t {
    const char *p, *end;
    apr_pool_t *pool;
    char *text; /* where the next string goes; all strings are no longer than the document */
    int depth;
} quick_t;

static m2_json_t *quick_value(quick_t *q);

/* The next character that is no blank, 0 at the end. */
static inline char quick_peek(quick_t *q)
{
    while (q->p < q->end && (*q->p == ' ' || *q->p == '\n' || *q->p == '\t' || *q->p == '\r')) {
        q->p++;
    }
    return (char)(q->p < q->end ? *q->p : 0);
}

static inline int quick_char(quick_t *q, char c)
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
    const char *start, *end;
    int odd = 0;

    if (!quick_char(q, '"')) {
        return 0;
    }
    start = q->p;
    end = memchr(start, '"', (apr_size_t)(q->end - start));
    if (!end) {
        return 0;
    }
    for (; q->p < end; q->p++) {
        odd |= *q->p < ' ' || *q->p > '~' || *q->p == '\\';
    }
    *ptext = m2_slice(q->text, (apr_size_t)(end - start));
    memcpy(q->text, start, ptext->n);
    q->text[ptext->n] = '\0';
    q->text += ptext->n + 1;
    q->p++;
    return !odd;
}

static m2_json_t *quick_string(quick_t *q)
{
    m2_json_t *json;
    m2_slice_t text;

    if (!quick_text(&text, q)) {
        return NULL;
    }
    json = value_make(q->pool, M2_JSON_STRING);
    json->is.text = text.p;
    json->n = (apr_uint32_t)text.n;
    return json;
}

/* No zero in front, no sign before a zero, no fraction, no exponent. */
static m2_json_t *quick_integer(quick_t *q)
{
    const int minus = *q->p == '-';
    const char *digits = q->p + minus, *p = digits;
    apr_int64_t value = 0;
    m2_json_t *json;

    for (; p < q->end && *p >= '0' && *p <= '9' && p - digits < QUICK_DIGITS; p++) {
        value = value * 10 + (*p - '0');
    }
    if (p == digits || (*digits == '0' && (minus || p - digits > 1))
        || (p < q->end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == 'E'))) {
        return NULL;
    }
    q->p = p;
    json = value_make(q->pool, M2_JSON_INT);
    json->is.integer = minus ? -value : value;
    return json;
}

static m2_json_t *quick_word(quick_t *q, const char *word, m2_json_type_t type, int value)
{
    const apr_size_t n = strlen(word);
    m2_json_t *json;

    if ((apr_size_t)(q->end - q->p) < n || !m2_slice_is(m2_slice(q->p, n), word)) {
        return NULL;
    }
    q->p += n;
    json = value_make(q->pool, type);
    json->n = (apr_uint32_t)value;
    return json;
}

/* One member behind its opening brace or comma; a name that is there already is a fault. */
static int quick_member(m2_json_t *object, quick_t *q)
{
    const m2_json_t *value;
    m2_slice_t name;

    if (object->n == M2_MAX_JSON_MEMBERS || !quick_text(&name, q) || !quick_char(q, ':')
        || member_find(object, name) || !(value = quick_value(q))) {
        return 0;
    }
    member_add(object, name, value);
    return 1;
}

static int quick_element(m2_json_t *array, quick_t *q)
{
    const m2_json_t *value = array->n < M2_MAX_JSON_ELEMENTS ? quick_value(q) : NULL;

    if (value) {
        element_add(array, value);
    }
    return value != NULL;
}

static m2_json_t *quick_container(quick_t *q, m2_json_t *json, char close,
                                  int (*one)(m2_json_t *json, quick_t *q))
{
    q->p++;
    if (++q->depth > M2_MAX_JSON_DEPTH) {
        return NULL;
    }
    if (!quick_char(q, close)) {
        do {
            if (!one(json, q)) {
                return NULL;
            }
        } while (quick_char(q, ','));
        if (!quick_char(q, close)) {
            return NULL;
        }
    }
    q->depth--;
    return json;
}

static m2_json_t *quick_value(quick_t *q)
{
    switch (quick_peek(q)) {
    case '"':
        return quick_string(q);
    case '{':
        return quick_container(q, value_make(q->pool, M2_JSON_OBJECT), '}', quick_member);
    case '[':
        return quick_container(q, array_make(q->pool), ']', quick_element);
    case 't':
        return quick_word(q, "true", M2_JSON_BOOL, 1);
    case 'f':
        return quick_word(q, "false", M2_JSON_BOOL, 0);
    case 'n':
        return quick_word(q, "null", M2_JSON_NULL, 0);
    case 0:
        return NULL;
    default:
        return quick_integer(q);
    }
}

/* The whole of text, or NULL for jansson to read it. */
static m2_json_t *quick_parse(apr_pool_t *pool, m2_slice_t text)
{
    quick_t q = { text.p, text.p + text.n, pool, apr_palloc(pool, text.n + 1), 0 };
    m2_json_t *json = quick_value(&q);

    return json && !quick_peek(&q) && q.p == q.end ? json : NULL;
}

/* --- any document, read by jansson --- */

static m2_json_t *taken(apr_pool_t *pool, const json_t *from);

static m2_json_t *taken_object(apr_pool_t *pool, const json_t *from)
{
    m2_json_t *json = value_make(pool, M2_JSON_OBJECT);
    void *it = json_object_iter((json_t *)from); /* changes nothing */

    for (; it; it = json_object_iter_next((json_t *)from, it)) {
        member_add(json, m2_slice_z(apr_pstrdup(pool, json_object_iter_key(it))),
                   taken(pool, json_object_iter_value(it)));
    }
    return json;
}

static m2_json_t *taken_array(apr_pool_t *pool, const json_t *from)
{
    m2_json_t *json = array_make(pool);
    apr_size_t i;

    for (i = 0; i < json_array_size(from); i++) {
        element_add(json, taken(pool, json_array_get(from, i)));
    }
    return json;
}

static m2_json_t *taken_scalar(apr_pool_t *pool, const json_t *from)
{
    m2_json_t *json = value_make(pool, M2_JSON_NULL);

    if (json_is_string(from)) {
        json->type = M2_JSON_STRING;
        json->n = (apr_uint32_t)json_string_length(from);
        json->is.text = apr_pstrmemdup(pool, json_string_value(from), json->n);
    }
    else if (json_is_integer(from)) {
        json->type = M2_JSON_INT;
        json->is.integer = json_integer_value(from);
    }
    else if (json_is_real(from)) {
        json->type = M2_JSON_REAL;
        json->is.real = json_real_value(from);
    }
    else if (json_is_boolean(from)) {
        json->type = M2_JSON_BOOL;
        json->n = json_is_true(from);
    }
    return json;
}

/* Recurses as deep as the document, which the counting pass has bounded. */
static m2_json_t *taken(apr_pool_t *pool, const json_t *from)
{
    return json_is_object(from)  ? taken_object(pool, from)
           : json_is_array(from) ? taken_array(pool, from)
                                 : taken_scalar(pool, from);
}

/* RFC 8725 2.4, RFC 7519 4: of two members of one name readers differ which counts. */
static m2_code_t thorough_parse(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                                m2_code_t code_on_error, m2_err_t *err)
{
    m2_code_t code = check_limits(text, code_on_error, err);
    json_error_t fault;
    json_t *json;

    if (code != M2_OK) {
        return code;
    }
    json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!json) {
        apr_size_t offset = fault.position > 0 ? (apr_size_t)fault.position - 1 : 0;

        return fail_at(err, code_on_error, text, offset,
                       words_for(json_error_code(&fault)));
    }
    *pjson = taken(pool, json);
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
    *pjson = quick_parse(pool, text);
    if (*pjson) {
        return M2_OK;
    }
    m2_hold_begin(&hold);
    code = thorough_parse(pjson, pool, text, code_on_error, err);
    m2_hold_end(&hold);
    return code;
}

/* --- looking --- */

m2_json_type_t m2_json_type(const m2_json_t *json)
{
    return json ? json->type : M2_JSON_NONE;
}

static const m2_json_t *member_value(const m2_json_t *json, m2_slice_t name)
{
    const m2_member_t *member = member_find(json, name);

    return member ? member->value : NULL;
}

const m2_json_t *m2_json_get(const m2_json_t *json, const char *name)
{
    return member_value(json, m2_slice_z(name));
}

const m2_json_t *m2_json_path(const m2_json_t *json, const char *path)
{
    const m2_json_t *found = m2_json_get(json, path);
    const char *dot;

    if (found || !strchr(path, '.')) {
        return found;
    }
    while (json && (dot = strchr(path, '.')) != NULL) {
        json = member_value(json, m2_slice(path, (apr_size_t)(dot - path)));
        path = dot + 1;
    }
    return m2_json_get(json, path);
}

m2_slice_t m2_json_string(const m2_json_t *json)
{
    return json && json->type == M2_JSON_STRING ? m2_slice(json->is.text, json->n)
                                                : m2_slice(NULL, 0);
}

int m2_json_bool(const m2_json_t *json, int *pvalue)
{
    if (m2_json_type(json) != M2_JSON_BOOL) {
        return 0;
    }
    *pvalue = (int)json->n;
    return 1;
}

apr_size_t m2_json_length(const m2_json_t *array_or_object)
{
    return m2_json_type(array_or_object) >= M2_JSON_ARRAY ? array_or_object->n : 0;
}

const m2_json_t *m2_json_at(const m2_json_t *array, apr_size_t i)
{
    return m2_json_type(array) == M2_JSON_ARRAY && i < array->n ? element(array, i) : NULL;
}

const m2_member_t *m2_json_iter(const m2_json_t *object)
{
    return m2_json_type(object) == M2_JSON_OBJECT ? object->is.members : NULL;
}

const m2_member_t *m2_json_iter_next(const m2_member_t *it)
{
    return it->next;
}

const char *m2_json_iter_name(const m2_member_t *it)
{
    return it->name;
}

const m2_json_t *m2_json_iter_value(const m2_member_t *it)
{
    return it->value;
}

/* --- copies --- */

/* Bytes of all values and members, and in *ptexts of the texts that stand behind them. */
static apr_size_t measure(const m2_json_t *json, apr_size_t *ptexts)
{
    apr_size_t size = sizeof(*json), i;
    const m2_member_t *member;

    if (json->type == M2_JSON_STRING) {
        *ptexts += json->n + 1;
    }
    else if (json->type == M2_JSON_ARRAY) {
        size += sizeof(*json->is.elements) + json->n * sizeof(const m2_json_t *);
        for (i = 0; i < json->n; i++) {
            size += measure(element(json, i), ptexts);
        }
    }
    else if (json->type == M2_JSON_OBJECT) {
        for (member = json->is.members; member; member = member->next) {
            *ptexts += member->name_n + 1;
            size += sizeof(*member) + measure(member->value, ptexts);
        }
    }
    return size;
}

/* One block that is being filled: values and members are aligned, texts need not be. */
typedef struct block_t {
    char *values, *texts;
} block_t;

static void *put_value(block_t *block, const void *value, apr_size_t n)
{
    void *copy = block->values;

    memcpy(copy, value, n);
    block->values += n;
    return copy;
}

static const char *put_chars(block_t *block, const char *text, apr_size_t n)
{
    char *copy = block->texts;

    memcpy(copy, text, n);
    copy[n] = '\0';
    block->texts += n + 1;
    return copy;
}

static m2_json_t *copy_json(block_t *block, const m2_json_t *json);

static void copy_members(block_t *block, m2_json_t *copy)
{
    m2_member_t **at = &copy->is.members;

    for (; *at; at = &(*at)->next) {
        m2_member_t *member = put_value(block, *at, sizeof(*member));

        member->name = put_chars(block, member->name, member->name_n);
        member->value = copy_json(block, member->value);
        *at = copy->last = member;
    }
}

static void copy_elements(block_t *block, m2_json_t *copy)
{
    apr_array_header_t *list = put_value(block, copy->is.elements, sizeof(*list));
    apr_size_t i;

    list->pool = NULL;
    list->elts = put_value(block, list->elts, copy->n * sizeof(const m2_json_t *));
    copy->is.elements = list;
    for (i = 0; i < copy->n; i++) {
        APR_ARRAY_IDX(list, i, const m2_json_t *) = copy_json(block, element(copy, i));
    }
}

static m2_json_t *copy_json(block_t *block, const m2_json_t *json)
{
    m2_json_t *copy = put_value(block, json, sizeof(*json));

    copy->pool = NULL;
    if (json->type == M2_JSON_STRING) {
        copy->is.text = put_chars(block, json->is.text, json->n);
    }
    else if (json->type == M2_JSON_ARRAY) {
        copy_elements(block, copy);
    }
    else if (json->type == M2_JSON_OBJECT) {
        copy_members(block, copy);
    }
    return copy;
}

m2_json_t *m2_json_keep(const m2_json_t *json, apr_size_t *psize)
{
    apr_size_t texts = 0, values = json ? measure(json, &texts) : 0;
    block_t block;

    *psize = values + texts;
    block.values = json ? malloc(*psize) : NULL;
    block.texts = block.values ? block.values + values : NULL;
    return block.values ? copy_json(&block, json) : NULL;
}

void m2_json_drop(m2_json_t *kept)
{
    free(kept);
}

/* --- times --- */

m2_code_t m2_json_time(const m2_json_t *json, double *pseconds)
{
    double seconds;

    switch (m2_json_type(json)) {
    case M2_JSON_NONE:
        return M2_E_NOT_FOUND;
    case M2_JSON_INT:
        if (json->is.integer > (apr_int64_t)MAX_TIME) {
            return M2_E_CLAIM_INVALID; /* as a double, 2^53 + 1 would pass for 2^53 */
        }
        seconds = (double)json->is.integer;
        break;
    case M2_JSON_REAL:
        seconds = json->is.real;
        break;
    default:
        return M2_E_CLAIM_INVALID;
    }
    if (!(seconds >= 0 && seconds <= MAX_TIME)) {
        return M2_E_CLAIM_INVALID;
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
        return integer_text(buffer, json->is.integer);
    }
    if (json->type == M2_JSON_REAL) {
        real_text(buffer, MAX_NUMBER, json->is.real);
        return buffer;
    }
    return json->type == M2_JSON_NULL ? "null" : json->n ? "true" : "false";
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

static void put_json(text_t *text, const m2_json_t *json);

static void put_array(text_t *text, const m2_json_t *json)
{
    apr_size_t i;

    put_z(text, "[");
    for (i = 0; i < json->n; i++) {
        if (i) {
            put_z(text, ",");
        }
        put_json(text, element(json, i));
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
    text_t text = { pool, NULL, 0, 0 };

    put_json(&text, json);
    return text.p;
}

static int all_strings(const m2_json_t *array)
{
    apr_size_t i;

    for (i = 0; i < array->n; i++) {
        if (element(array, i)->type != M2_JSON_STRING) {
            return 0;
        }
    }
    return 1;
}

static const char *joined(apr_pool_t *pool, const m2_json_t *array)
{
    text_t text = { pool, NULL, 0, 0 };
    apr_size_t i;

    put_z(&text, "");
    for (i = 0; i < array->n; i++) {
        m2_slice_t s = m2_json_string(element(array, i));

        if (i) {
            put_z(&text, " ");
        }
        put(&text, s.p, s.n);
    }
    return text.p;
}

const char *m2_json_text(apr_pool_t *pool, const m2_json_t *json)
{
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
    if (json->type == M2_JSON_ARRAY && all_strings(json)) {
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

/* Whether value is the text of a container, which is made for the comparison only. */
static int is_container_text(const m2_json_t *json, m2_slice_t value)
{
    apr_pool_t *pool;
    m2_hold_t hold;
    int same = 0;

    m2_hold_begin(&hold);
    if (apr_pool_create(&pool, NULL) == APR_SUCCESS) {
        same = m2_slice_is(value, m2_json_text(pool, json));
        apr_pool_destroy(pool);
    }
    m2_hold_end(&hold);
    return same;
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
            if (is_text(element(json, i), value)) {
                return 1;
            }
        }
        return 0;
    }
    return is_text(json, value)
           || (words && json->type == M2_JSON_STRING && has_word(m2_json_string(json), value));
}

/* --- making --- */

m2_json_t *m2_json_make(apr_pool_t *pool)
{
    return value_make(pool, M2_JSON_OBJECT);
}

m2_json_t *m2_json_make_array(apr_pool_t *pool)
{
    return array_make(pool);
}

/* RFC 3629 4: no longer spelling than needed, no surrogates, nothing above U+10FFFF. */
static int is_utf8(const char *z)
{
    static const apr_uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)z;

    while (*p) {
        const int more = *p < 0x80             ? 0
                         : (*p & 0xe0) == 0xc0 ? 1
                         : (*p & 0xf0) == 0xe0 ? 2
                         : (*p & 0xf8) == 0xf0 ? 3
                                               : -1;
        apr_uint32_t c = *p;
        int i;

        if (more > 0) {
            c &= 0x3fu >> more;
        }
        for (i = 0; i < more; i++) {
            if ((*++p & 0xc0) != 0x80) {
                return 0;
            }
            c = c << 6 | (*p & 0x3f);
        }
        if (more < 0 || c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return 0;
        }
        p++;
    }
    return 1;
}

/* A value of that text; NULL for NULL, and for what is no UTF-8, which JSON cannot hold. */
static m2_json_t *string_make(apr_pool_t *pool, const char *text)
{
    m2_json_t *json;

    if (!text || !is_utf8(text)) {
        return NULL;
    }
    json = value_make(pool, M2_JSON_STRING);
    json->n = (apr_uint32_t)strlen(text);
    json->is.text = apr_pstrmemdup(pool, text, json->n);
    return json;
}

void m2_json_set_json(m2_json_t *object, const char *name, const m2_json_t *value)
{
    m2_member_t *member = member_find(object, m2_slice_z(name));

    if (member && value) {
        member->value = value;
    }
    else if (value && is_utf8(name)) {
        member_add(object, m2_slice_z(apr_pstrdup(object->pool, name)), value);
    }
}

void m2_json_set_string(m2_json_t *object, const char *name, const char *value)
{
    m2_json_set_json(object, name, string_make(object->pool, value));
}

void m2_json_set_int(m2_json_t *object, const char *name, apr_int64_t value)
{
    m2_json_t *json = value_make(object->pool, M2_JSON_INT);

    json->is.integer = value;
    m2_json_set_json(object, name, json);
}

void m2_json_set_bool(m2_json_t *object, const char *name, int value)
{
    m2_json_t *json = value_make(object->pool, M2_JSON_BOOL);

    json->n = value != 0;
    m2_json_set_json(object, name, json);
}

void m2_json_append(m2_json_t *array, const m2_json_t *value)
{
    if (value) {
        element_add(array, value);
    }
}

void m2_json_append_string(m2_json_t *array, const char *value)
{
    m2_json_append(array, string_make(array->pool, value));
}
