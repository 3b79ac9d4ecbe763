/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What was found right a moment ago, by a tag that nobody can guess: kept until a time, and for
 * one version of what it was checked against. Any number of threads reads and writes it, and
 * none waits.
 */
#ifndef M2_RECALL_H
#define M2_RECALL_H

#include "base/m2.h"

#define M2_RECALL_WORDS 4 /* of a tag */

typedef struct m2_recall_t m2_recall_t;

/** Room in pool for so many tags at the same time, for 32768 at most: 192 bytes for each. Where
 *  there are more, what was put first is given up. */
m2_recall_t *m2_recall_make(apr_pool_t *pool, apr_size_t tags);

/** Whether tag was put with that version, and until a time that is later than now. Takes the same
 *  time whatever is there. */
int m2_recall_has(m2_recall_t *recall, const apr_uint64_t tag[M2_RECALL_WORDS],
                  apr_uint32_t version, apr_int64_t now);

/** Keep tag, in place of what it was kept as before or else of one that is older than others. May
 *  keep nothing when another thread writes at the same place. */
void m2_recall_put(m2_recall_t *recall, const apr_uint64_t tag[M2_RECALL_WORDS],
                   apr_uint32_t version, apr_int64_t until);

#endif /* M2_RECALL_H */
