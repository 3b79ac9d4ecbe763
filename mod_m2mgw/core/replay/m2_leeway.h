/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Marks are kept until a token can pass no more: until its end and the leeway then in force.
 * When a restart raises the leeway, a mark that was made before is too short by the
 * difference, and a token whose mark has ended could pass once more. Two things prevent it:
 * the marks that are still alive are made longer, where that can be done; and until the last
 * token whose mark had ended is out of the new leeway too, the old one judges.
 */
#ifndef M2_LEEWAY_H
#define M2_LEEWAY_H

#include "base/m2.h"

/* Zeroed: nothing is known of earlier marks. Lies in memory that outlives configurations. */
typedef struct m2_leeway_t {
    apr_uint32_t now;    /* seconds that marks are made with, and one: 0 is "not known" */
    apr_uint32_t before; /* seconds that judge until then */
    apr_uint64_t until;  /* Unix seconds; 0: no raise is being waited for */
} m2_leeway_t;

/** From now on marks are made with leeway. Returns by how many seconds longer the marks that
 *  are alive have to be, 0 when the leeway was not raised. wait: for how many seconds more the
 *  old leeway has to judge because that cannot be done (0 where it can). */
apr_uint32_t m2_leeway_set(m2_leeway_t *leeway, apr_uint32_t seconds, apr_uint64_t wait,
                           apr_uint64_t now);

/** The marks of two places come together: the shorter leeway and the longer wait of the two. */
void m2_leeway_join(m2_leeway_t *leeway, const m2_leeway_t *other);

/** The leeway that judges at now in place of a section's own, -1 for none. Thread-safe beside
 *  m2_leeway_set. */
int m2_leeway_judges(const m2_leeway_t *leeway, apr_uint64_t now);

#endif /* M2_LEEWAY_H */
