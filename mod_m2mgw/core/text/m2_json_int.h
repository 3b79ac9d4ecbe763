/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the m2_json_*.c files: what a value is made of.
 */
#ifndef M2_JSON_INT_H
#define M2_JSON_INT_H

#include "text/m2_json.h"

#define M2_JSON_FEW 8          /* elements that an array has room for at first */
#define M2_JSON_FEW_DIGITS 18  /* of an integer, which then fits; more keep their text */
#define M2_JSON_MOST_DIGITS 40 /* of an integer at all */

struct m2_json_t {
    m2_json_type_t type;
    apr_uint32_t n; /* bytes of a text, members, elements; the value of a boolean */
    union {
        const char *text; /* NUL-terminated; of an integer that has one (n > 0), its digits */
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

/** A zeroed value of that type in pool. */
static inline m2_json_t *m2_json_value(apr_pool_t *pool, m2_json_type_t type)
{
    static const m2_json_t none;
    m2_json_t *json = apr_palloc(pool, sizeof(*json));

    *json = none;
    json->type = type;
    json->pool = pool;
    return json;
}

/** Make json an empty array of pool. */
static inline void m2_json_as_array(m2_json_t *json, apr_pool_t *pool)
{
    json->type = M2_JSON_ARRAY;
    json->pool = pool;
    json->is.elements = apr_array_make(pool, M2_JSON_FEW, sizeof(const m2_json_t *));
}

/** Give an integer its decimal text, of which it keeps a copy in pool. */
static inline void m2_json_set_digits(m2_json_t *json, apr_pool_t *pool, m2_slice_t digits)
{
    json->is.text = m2_slice_dup(pool, digits);
    json->n = (apr_uint32_t)digits.n;
}

/** Whether json holds a text: a string, or an integer beyond 18 digits. */
static inline int m2_json_has_text(const m2_json_t *json)
{
    return json->type == M2_JSON_STRING || (json->type == M2_JSON_INT && json->n);
}

/** Element i of an array that has one. */
static inline const m2_json_t *m2_json_element(const m2_json_t *array, apr_size_t i)
{
    return APR_ARRAY_IDX(array->is.elements, i, const m2_json_t *);
}

/** Member of that name; NULL when object is not an object or has none. */
m2_member_t *m2_json_member(const m2_json_t *object, m2_slice_t name);

/** Append member, which lives as long as the object, as do name and value; the name is new. */
static inline void m2_json_member_link(m2_json_t *object, m2_member_t *member, m2_slice_t name,
                                       const m2_json_t *value)
{
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

/** Append a member whose name lives as long as the object and is new to it. */
void m2_json_member_add(m2_json_t *object, m2_slice_t name, const m2_json_t *value);

/** The whole of text, which is not empty, in pool; NULL for what jansson has to read or refuse. */
m2_json_t *m2_json_quick(apr_pool_t *pool, m2_slice_t text);

#endif /* M2_JSON_INT_H */
