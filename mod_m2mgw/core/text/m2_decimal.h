/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Numbers as decimal texts of any length, compared digit by digit and never through binary
 * floating point: 0.1 is 0.1, and 9007199254740993 is not 9007199254740992.
 */
#ifndef M2_DECIMAL_H
#define M2_DECIMAL_H

#include "base/m2_slice.h"

/* borrowed from the text it was read from */
typedef struct m2_decimal_t {
    int negative;     /* never for zero */
    m2_slice_t whole; /* digits without leading zeros */
    m2_slice_t part;  /* digits behind the point without trailing zeros */
} m2_decimal_t;

/** 1 when the whole of text is -?[0-9]+(\.[0-9]+)?, else 0 and *decimal is undefined. */
int m2_decimal_read(m2_decimal_t *decimal, m2_slice_t text);

/** Negative, zero or positive. */
int m2_decimal_cmp(const m2_decimal_t *a, const m2_decimal_t *b);

#endif /* M2_DECIMAL_H */
