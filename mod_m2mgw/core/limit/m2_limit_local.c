/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between a use and its slot in the table.
 */
#include "limit/m2_limit_local.h"

/* Nobody can tell what is left: no door opens, and the client may come again. */
static void refuse_all(m2_lt_take_t *takes, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        memset(&takes[i].answer, 0, sizeof(takes[i].answer));
        takes[i].answer.wait = takes[i].answer.full_in = M2_GCRA_SEC;
    }
}

static apr_uint64_t part(apr_uint32_t whole, int nodes)
{
    const apr_uint64_t n = whole / (apr_uint32_t)nodes;

    return n ? n : 1;
}

void m2_limit_local_take(m2_lt_t *table, m2_limit_use_t *uses, int n, int nodes,
                         apr_uint64_t now)
{
    m2_lt_take_t takes[M2_LIMIT_TAKES];
    m2_gcra_t terms[M2_LIMIT_TAKES];
    int i;

    for (i = 0; i < n; i++) {
        const m2_limit_rate_t *rate = uses[i].rate;

        takes[i].row = uses[i].row;
        takes[i].shadow = uses[i].limit->shadow;
        takes[i].terms = &rate->terms;
        takes[i].slot = NULL;
        if (nodes > 1
            && m2_gcra_terms(&terms[i], part(rate->count, nodes), rate->window,
                             part(rate->burst, nodes))) {
            takes[i].terms = &terms[i];
        }
        m2_lt_id(takes[i].id, table, uses[i].bucket.p, uses[i].bucket.n);
    }
    if (n && m2_lt_take(table, takes, n, now) < 0) {
        refuse_all(takes, n);
    }
    for (i = 0; i < n; i++) {
        uses[i].answer = takes[i].answer;
    }
}
