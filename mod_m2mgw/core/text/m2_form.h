/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * application/x-www-form-urlencoded text, as a query string or a body: reading pairs,
 * comparing names the way the most careless backend would, taking names out, adding pairs
 * at the end. Everything that decides whether a client's parameter could be mistaken for
 * one of ours is here, so that query, form and token look-up agree.
 *
 * Pairs are separated by '&' and ';'. A name is compared after percent- and '+'-decoding,
 * in any case, without leading blanks and without anything from '[' on; '.', blank and '-'
 * count as '_' (what PHP, Rack and servlet containers fold together).
 */
#ifndef M2_FORM_H
#define M2_FORM_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef struct m2_pair_t {
    m2_slice_t raw;   /* the pair as it stands in the text, without separators */
    m2_slice_t name;  /* raw name */
    m2_slice_t value; /* raw value; "there is none" without '=' */
} m2_pair_t;

/** Next pair of *rest, which moves on; 0 at the end. Empty pairs are skipped. */
int m2_form_next(m2_slice_t *rest, m2_pair_t *pair);

/** Percent- and '+'-decoded copy in pool; a bad escape stays as it stands. May hold NUL. */
m2_slice_t m2_form_decode(apr_pool_t *pool, m2_slice_t raw);

/** Exact name comparison after decoding (parameters, tokens). */
int m2_form_name_is(apr_pool_t *pool, m2_slice_t raw_name, const char *name);

/** Folded comparison as described above (scrubbing). */
int m2_form_name_like(apr_pool_t *pool, m2_slice_t raw_name, const char *name);

/** Text without the pairs whose name is exactly / like one of names (const char *); the
 *  other pairs keep their bytes and order, and their separators. Returns text.p itself when
 *  nothing was taken out. NUL-terminated in pool otherwise. */
const char *m2_form_remove(apr_pool_t *pool, const char *text,
                           const apr_array_header_t *exact, const apr_array_header_t *like);

/** Percent-encode: unreserved characters (RFC 3986 2.3) stay, all else is %XX. */
const char *m2_form_encode(apr_pool_t *pool, m2_slice_t value);

/** text & name=value, encoded; text may be NULL or empty. */
const char *m2_form_append(apr_pool_t *pool, const char *text, const char *name,
                           m2_slice_t value);

/** Replace the value of every pair named exactly one of names by the replacement, which is
 *  already encoded (masking). Returns text itself when nothing matched. */
const char *m2_form_mask(apr_pool_t *pool, const char *text, const apr_array_header_t *names,
                         const char *replacement);

/** Header names: equal in any case, where every character other than letters and digits
 *  counts as '_' (CGI-style backends fold them so). */
int m2_header_name_like(const char *a, const char *b);

#endif /* M2_FORM_H */
