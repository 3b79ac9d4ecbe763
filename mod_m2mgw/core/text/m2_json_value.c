/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents are values in their pool: no reference counts, nothing to free. This file looks at
 * them, copies them and makes them.
 */
#include "text/m2_json_int.h"

#include <stdlib.h>

#define MAX_TIME 9007199254740992.0 /* 2^53: above it doubles skip whole seconds */

/* --- members --- */

m2_member_t *m2_json_member(const m2_json_t *object, m2_slice_t name)
{
    m2_member_t *member =
        object && object->type == M2_JSON_OBJECT && name.p ? object->is.members : NULL;

    while (member
           && (member->name_n != name.n || !m2_slice_eq(m2_slice(member->name, name.n), name))) {
        member = member->next;
    }
    return member;
}

void m2_json_member_add(m2_json_t *object, m2_slice_t name, const m2_json_t *value)
{
    m2_json_member_link(object, apr_palloc(object->pool, sizeof(m2_member_t)), name, value);
}

/* --- looking --- */

m2_json_type_t m2_json_type(const m2_json_t *json)
{
    return json ? json->type : M2_JSON_NONE;
}

const m2_json_t *m2_json_get(const m2_json_t *json, const char *name)
{
    const m2_member_t *member = m2_json_member(json, m2_slice_z(name));

    return member ? member->value : NULL;
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
    return m2_json_type(array) == M2_JSON_ARRAY && i < array->n ? m2_json_element(array, i) : NULL;
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

    if (m2_json_has_text(json)) {
        *ptexts += json->n + 1;
    }
    else if (json->type == M2_JSON_ARRAY) {
        size += sizeof(*json->is.elements) + json->n * sizeof(const m2_json_t *);
        for (i = 0; i < json->n; i++) {
            size += measure(m2_json_element(json, i), ptexts);
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
        APR_ARRAY_IDX(list, i, const m2_json_t *) = copy_json(block, m2_json_element(copy, i));
    }
}

static m2_json_t *copy_json(block_t *block, const m2_json_t *json)
{
    m2_json_t *copy = put_value(block, json, sizeof(*json));

    copy->pool = NULL;
    if (m2_json_has_text(json)) {
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
    case M2_JSON_NULL:
        return M2_E_NOT_FOUND;
    case M2_JSON_INT:
        if (json->n || json->is.integer > (apr_int64_t)MAX_TIME) {
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

/* --- making --- */

m2_json_t *m2_json_make(apr_pool_t *pool)
{
    return m2_json_value(pool, M2_JSON_OBJECT);
}

m2_json_t *m2_json_make_array(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_value(pool, M2_JSON_ARRAY);

    m2_json_as_array(json, pool);
    return json;
}

/* Whether none of n bytes is beyond ASCII. */
static int is_ascii(const char *text, apr_size_t n)
{
    apr_uint64_t all = 0, eight;
    apr_size_t i;

    for (i = 0; n - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, text + i, sizeof(eight));
        all |= eight;
    }
    for (; i < n; i++) {
        all |= (unsigned char)text[i];
    }
    return !(all & 0x8080808080808080u);
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

/* A value of that text; NULL for NULL, and for what is not UTF-8, which JSON cannot hold. */
static m2_json_t *string_make(apr_pool_t *pool, const char *text)
{
    const apr_size_t n = text ? strlen(text) : 0;
    m2_json_t *json;

    if (!text || !(is_ascii(text, n) || is_utf8(text))) {
        return NULL;
    }
    json = m2_json_value(pool, M2_JSON_STRING);
    json->n = (apr_uint32_t)n;
    json->is.text = apr_pstrmemdup(pool, text, n);
    return json;
}

void m2_json_set_json(m2_json_t *object, const char *name, const m2_json_t *value)
{
    const m2_slice_t key = m2_slice_z(name);
    m2_member_t *member = m2_json_member(object, key);

    if (member && value) {
        member->value = value;
    }
    else if (value && (is_ascii(name, key.n) || is_utf8(name))) {
        m2_json_member_add(object, m2_slice(apr_pstrmemdup(object->pool, name, key.n), key.n),
                           value);
    }
}

void m2_json_set_string(m2_json_t *object, const char *name, const char *value)
{
    m2_json_set_json(object, name, string_make(object->pool, value));
}

void m2_json_set_int(m2_json_t *object, const char *name, apr_int64_t value)
{
    m2_json_t *json = m2_json_value(object->pool, M2_JSON_INT);

    json->is.integer = value;
    m2_json_set_json(object, name, json);
}

void m2_json_set_bool(m2_json_t *object, const char *name, int value)
{
    m2_json_t *json = m2_json_value(object->pool, M2_JSON_BOOL);

    json->n = value != 0;
    m2_json_set_json(object, name, json);
}

void m2_json_append(m2_json_t *array, const m2_json_t *value)
{
    if (value) {
        APR_ARRAY_PUSH(array->is.elements, const m2_json_t *) = value;
        array->n++;
    }
}

void m2_json_append_string(m2_json_t *array, const char *value)
{
    m2_json_append(array, string_make(array->pool, value));
}
