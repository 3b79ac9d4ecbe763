/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON with limits: the only home of jansson. Documents are parsed once, lie in the pool they
 * were parsed into, and are read only from then on. Pointers into a document live as long as
 * that pool.
 *
 * Refused on reading: duplicate members (RFC 8725 2.4: two readers may disagree which one
 * counts), depth over M2_MAX_JSON_DEPTH, more than M2_MAX_JSON_MEMBERS members in an object,
 * invalid UTF-8, \u0000, NUL bytes, numbers out of range, anything behind the value. Integers
 * of up to 40 digits keep their decimal text.
 *
 * The room text decides whether bytes are well spelt: base64url, JSON, forms, numbers,
 * lines of a file. Never knows what they mean.
 */
#ifndef M2_JSON_H
#define M2_JSON_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/* a member of an object */
typedef struct m2_member_t m2_member_t;

typedef enum m2_json_type_t {
    M2_JSON_NONE, /* there is no value (NULL pointer) */
    M2_JSON_NULL,
    M2_JSON_BOOL,
    M2_JSON_INT,
    M2_JSON_REAL,
    M2_JSON_STRING,
    M2_JSON_ARRAY,
    M2_JSON_OBJECT
} m2_json_type_t;

/**
 * Parse text into pool. code_on_error is what a fault is reported as
 * (M2_E_TOKEN_MALFORMED for a token part, M2_E_CONFIG for a file).
 * The error text says what and where, never quotes the document.
 */
m2_code_t m2_json_parse(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                        m2_code_t code_on_error, m2_err_t *err);

m2_json_type_t m2_json_type(const m2_json_t *json);

/** Member of an object by exact name; NULL when json is not an object or has none. */
const m2_json_t *m2_json_get(const m2_json_t *json, const char *name);

/** The value that a claim path leads to; NULL for none, and for JSON null. A path is a name;
 *  `a.b.c`, where the longest member name that leads to a value wins and shorter ones are tried
 *  after it (so `https://idp.example/claims.role` works); or, when it begins with a slash, a
 *  JSON Pointer (RFC 6901). */
const m2_json_t *m2_json_path(const m2_json_t *json, const char *path);

/** M2_E_CONFIG for what is not a claim path: an empty name, a pointer with a stray `~`. */
m2_code_t m2_json_path_check(const char *path, m2_err_t *err);

/** A read-only copy in one malloc'd block of *psize bytes, which lives until
 *  m2_json_drop. NULL when json is NULL or memory is short. */
m2_json_t *m2_json_keep(const m2_json_t *json, apr_size_t *psize);
void m2_json_drop(m2_json_t *kept);

/** The string value as a slice of the document, with a NUL behind it; absent for any
 *  other type. */
m2_slice_t m2_json_string(const m2_json_t *json);

/** Boolean value in *pvalue; 0 when json is not a boolean. */
int m2_json_bool(const m2_json_t *json, int *pvalue);

apr_size_t m2_json_length(const m2_json_t *array_or_object);
const m2_json_t *m2_json_at(const m2_json_t *array, apr_size_t i);

/** Walk an object's members in their order: for (it = m2_json_iter(o); it;
 *  it = m2_json_iter_next(it)) with name and value of it. */
const m2_member_t *m2_json_iter(const m2_json_t *object);
const m2_member_t *m2_json_iter_next(const m2_member_t *it);
const char *m2_json_iter_name(const m2_member_t *it);
const m2_json_t *m2_json_iter_value(const m2_member_t *it);

/**
 * A NumericDate (RFC 7519 2) in seconds: an integer or finite real in 0..2^53.
 * M2_OK; M2_E_NOT_FOUND when json is NULL or JSON null; M2_E_CLAIM_INVALID for anything else.
 * One reader for all times, so that 1e300, strings and negatives have one fate.
 */
m2_code_t m2_json_time(const m2_json_t *json, double *pseconds);

/**
 * The text of a claim: strings as they are, integers in decimal, true/false, arrays of
 * strings joined by one blank if none is empty or holds one, anything else compact JSON, in
 * which a blank within a string is \u0020, so that it is one word. Reals are written with the
 * fewest digits that read back as the same number. NULL only when json is NULL.
 */
const char *m2_json_text(apr_pool_t *pool, const m2_json_t *json);

/** Like m2_json_text, but of a string its own text, which lives as long as the document. */
const char *m2_json_text_lent(apr_pool_t *pool, const m2_json_t *json);

/** Whether value is the text of json, an element's text of an array, or, when words is set
 *  and json is a string, one of its blank-separated words. */
int m2_json_has(const m2_json_t *json, m2_slice_t value, int words);

/** Compact JSON text in pool. */
const char *m2_json_dump(apr_pool_t *pool, const m2_json_t *json);

/* Making documents (command line tool, M2M server, problem bodies). The object belongs to
 * pool; texts handed in are copied, values are shared. Member order is kept. */
m2_json_t *m2_json_make(apr_pool_t *pool);
m2_json_t *m2_json_make_array(apr_pool_t *pool);
void m2_json_set_string(m2_json_t *object, const char *name, const char *value);
void m2_json_set_int(m2_json_t *object, const char *name, apr_int64_t value);
void m2_json_set_bool(m2_json_t *object, const char *name, int value);
void m2_json_set_json(m2_json_t *object, const char *name, const m2_json_t *value);
void m2_json_append(m2_json_t *array, const m2_json_t *value);
void m2_json_append_string(m2_json_t *array, const char *value);

#endif /* M2_JSON_H */
