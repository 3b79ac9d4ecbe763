/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The step is rounded up, so that rounding never lets through more than was allowed: by at
 * most a nanosecond for each request.
 */
#include "limit/m2_gcra.h"

#define MAX_DEPTH (3153600000u * (apr_uint64_t)M2_GCRA_SEC) /* a hundred years */

int m2_gcra_terms(m2_gcra_t *terms, apr_uint64_t count, apr_uint64_t window,
                  apr_uint64_t burst)
{
    const apr_uint64_t span = window * M2_GCRA_SEC;

    if (!count || !window || !burst || window > MAX_DEPTH / M2_GCRA_SEC || count > span) {
        return 0;
    }
    terms->step = span / count + (span % count != 0);
    if (burst > MAX_DEPTH / terms->step) {
        return 0;
    }
    terms->depth = burst * terms->step;
    return 1;
}

void m2_gcra_ask(m2_gcra_answer_t *answer, const m2_gcra_t *terms, apr_uint64_t full_at,
                 apr_uint64_t now)
{
    apr_uint64_t owed = full_at > now ? full_at - now : 0;

    if (owed > terms->depth) {
        owed = terms->depth;
    }
    answer->passes = owed + terms->step <= terms->depth;
    answer->wait = answer->passes ? 0 : owed + terms->step - terms->depth;
    owed += answer->passes ? terms->step : 0;
    answer->full_in = owed;
    answer->full_at = now + owed;
    answer->left = (terms->depth - owed) / terms->step;
}
