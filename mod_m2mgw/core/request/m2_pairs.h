/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The pairs of one query string, form or Cookie header, or the header fields of a request,
 * read once and found by name from then on. A look-up says what the name's value is, and
 * whether every backend would read the same one.
 */
#ifndef M2_PAIRS_H
#define M2_PAIRS_H

#include "request/m2_reading.h"

typedef struct m2_pairs_t m2_pairs_t;

/* what is unclear about a value */
enum {
    M2_UNCLEAR_ALIKE = 1,   /* the name occurs in another spelling */
    M2_UNCLEAR_DIFFERS = 2, /* several values that differ */
    M2_UNCLEAR_CUT = 4,     /* a raw ';' behind the value: some end it there */
    M2_UNCLEAR_EDGE = 8,    /* the value begins or ends with what some take off */
    M2_UNCLEAR_COOKIE = 16  /* a cookie that some backends do not find or read differently */
};

typedef struct m2_reply_t {
    m2_slice_t value; /* of the first pair of exactly that name, decoded; or absent */
    unsigned unclear; /* M2_UNCLEAR_... */
    m2_slice_t first; /* the first non-empty value; or absent */
    int count;        /* how many of these */
    int alike;        /* pairs in other spellings, likewise */
} m2_reply_t;

/** Read text, of which the pairs borrow; it may be absent. For M2_READ_HEADER pairs
 *  are added one by one. */
m2_pairs_t *m2_pairs_make(apr_pool_t *pool, m2_slice_t text, m2_reading_t reading);

/** Add a header field to pairs of M2_READ_HEADER. */
void m2_pairs_add(m2_pairs_t *pairs, const char *name, const char *value);

m2_reading_t m2_pairs_reading(const m2_pairs_t *pairs);

/** Whether pairs were read of exactly that text (compared by its address). */
int m2_pairs_are_of(const m2_pairs_t *pairs, m2_slice_t text);

/** Look a configured name up. Values are decoded into the pool of pairs. */
m2_reply_t m2_pairs_get(const m2_pairs_t *pairs, const char *name);

/** Whether some backend takes value, decoded, for less than it is: it begins or ends with a
 *  byte below 0x21, with U+0085 or U+00A0, or, where it is not UTF-8, with one of these in
 *  Latin-1. */
int m2_value_has_edge(m2_slice_t value);

#endif /* M2_PAIRS_H */
