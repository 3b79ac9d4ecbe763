/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The generic cell rate algorithm (ITU-T I.371): a bucket of tokens as one number, the time
 * at which it is full again. In any time t at most burst + COUNT * t / WINDOW requests pass.
 * Times are nanoseconds of one clock that does not step. Pure arithmetic, no state.
 */
#ifndef M2_GCRA_H
#define M2_GCRA_H

#include "base/m2.h"

#define M2_GCRA_SEC 1000000000u /* nanoseconds */

/* the terms of a bucket */
typedef struct m2_gcra_t {
    apr_uint64_t step;  /* nanoseconds until one request's token is back, rounded up */
    apr_uint64_t depth; /* nanoseconds until an empty bucket is full: burst steps */
} m2_gcra_t;

/* what became of one request, or would */
typedef struct m2_gcra_answer_t {
    int passes;
    apr_uint64_t full_at; /* passes: when the bucket is full again with this request taken */
    apr_uint64_t left;    /* requests that may come at once now, this one taken if it passes */
    apr_uint64_t wait;    /* does not pass: nanoseconds until it would */
    apr_uint64_t full_in; /* nanoseconds until the bucket is full, this one taken likewise */
} m2_gcra_answer_t;

/** Terms of count requests in window seconds, burst at once; 0 when they are out of range (a
 *  step below a nanosecond, a depth beyond a hundred years). All are at least 1. */
int m2_gcra_terms(m2_gcra_t *terms, apr_uint64_t count, apr_uint64_t window,
                  apr_uint64_t burst);

/** Ask a bucket that is full at full_at; nothing is taken until the caller stores
 *  answer->full_at. A time further off than terms allow (they were changed) counts as empty. */
void m2_gcra_ask(m2_gcra_answer_t *answer, const m2_gcra_t *terms, apr_uint64_t full_at,
                 apr_uint64_t now);

#endif /* M2_GCRA_H */
