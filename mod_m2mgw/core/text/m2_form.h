/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * application/x-www-form-urlencoded text, as a query string or a body: taking it apart, and
 * writing it. Which names a backend may mistake for which is said in core/request.
 */
#ifndef M2_FORM_H
#define M2_FORM_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef struct m2_pair_t {
    m2_slice_t raw;   /* the pair as it stands in the text, without separators */
    m2_slice_t name;  /* raw name */
    m2_slice_t value; /* raw value; absent without '=' */
} m2_pair_t;

/** Next pair of *rest, which moves on; 0 at the end. Empty pairs are skipped. '&' and ';'
 *  separate. */
int m2_form_next(m2_slice_t *rest, m2_pair_t *pair);

/* what a decoder takes for an escape */
#define M2_DECODE_PERCENT 1u /* %XX (RFC 3986 2.1) */
#define M2_DECODE_PLUS 2u    /* '+' is a blank (WHATWG URL 5.1) */
#define M2_DECODE_UNICODE 4u /* %uXXXX, of no standard; the character in UTF-8 */

/* Decodes one byte after the other. Zeroed but for p, end and how. */
typedef struct m2_decoder_t {
    const char *p, *end;
    unsigned how;          /* M2_DECODE_... */
    unsigned left;         /* bytes of a character that are still to come */
    unsigned char more[2];
} m2_decoder_t;

m2_decoder_t m2_decoder(m2_slice_t raw, unsigned how);

/** The byte of the escape that begins at d->p, or what one left over; a bad escape stays as
 *  it stands. Part of m2_decode_next. */
int m2_decode_escape(m2_decoder_t *d);

/** The next byte, -1 at the end. */
static inline int m2_decode_next(m2_decoder_t *d)
{
    if (d->left || (d->p < d->end && *d->p == '%')) {
        return m2_decode_escape(d);
    }
    if (d->p >= d->end) {
        return -1;
    }
    if (*d->p == '+' && (d->how & M2_DECODE_PLUS)) {
        d->p++;
        return ' ';
    }
    return (unsigned char)*d->p++;
}

/** How many bytes at p are a Unicode blank in UTF-8 (White_Space of the Unicode Character
 *  Database beyond ASCII, and the zero-width ones that some trim), 0: none. */
apr_size_t m2_form_blank(const char *p, apr_size_t n);

/** Percent- and '+'-decoded copy in pool; a bad escape stays as it stands. May hold NUL. */
m2_slice_t m2_form_decode(apr_pool_t *pool, m2_slice_t raw);

/** Exact name comparison after decoding as m2_form_decode does it. */
int m2_form_name_is(m2_slice_t raw_name, const char *name);

/** Percent-encode: unreserved characters (RFC 3986 2.3) stay, all else is %XX. */
const char *m2_form_encode(apr_pool_t *pool, m2_slice_t value);

/** A body as a C string: a NUL in it is %00. */
const char *m2_form_text(apr_pool_t *pool, m2_slice_t body);

/** text & name=value, encoded; text may be NULL or empty. */
const char *m2_form_append(apr_pool_t *pool, const char *text, const char *name,
                           m2_slice_t value);

/** text with pairs (encoded, joined by '&') in front of its first pair that has a '=', behind
 *  one non-empty pair at most: backends read a limited number of pairs, and a first one
 *  without '=' may be what the URL is about. text may be NULL or empty. */
const char *m2_form_insert(apr_pool_t *pool, const char *text, const char *pairs);

/** text with every byte outside 0x21..0x7e percent-encoded; text itself without any. */
const char *m2_form_clean(apr_pool_t *pool, const char *text);

#endif /* M2_FORM_H */
