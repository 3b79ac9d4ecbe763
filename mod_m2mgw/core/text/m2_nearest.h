/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a mistyped word may have been meant to be. For people who write configuration and command
 * lines, never for requests.
 */
#ifndef M2_NEAREST_H
#define M2_NEAREST_H

#include "base/m2_slice.h"

/** The word of n that is most like word: few letters wrong, missing, too many or swapped, case
 *  and dashes ignored, or one that begins with word. NULL when none is like it. */
const char *m2_nearest(const char *word, const char *const *words, apr_size_t n);

/** The same among the words of a sentence such as "ttl=, max-stale= and timeout=": a text to
 *  put behind an error, `; did you mean ttl=?`, or "". In pool;
 *  without one (NULL) there is no hint. */
const char *m2_nearest_hint(apr_pool_t *pool, const char *word, const char *sentence);

#endif /* M2_NEAREST_H */
