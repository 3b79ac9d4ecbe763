/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the text of a path expression, as in <LocationMatch> or <Location "/x/ * /y">, says
 * about itself: whether it may be tried on other readings of a path, and what every path it
 * matches begins with. It is looked at, not compiled.
 */
#ifndef M2_PATH_PATTERN_H
#define M2_PATH_PATTERN_H

#include "base/m2_slice.h"

typedef enum m2_pattern_kind_t {
    M2_PATTERN_REGEX,   /* as PCRE reads it */
    M2_PATTERN_WILDCARD /* `*`, `?` and `[...]` of a shell */
} m2_pattern_kind_t;

/** Why pattern can be tried on the path as it stands only: it tells capitals from small
 *  letters (`[A-Z]`, but not `[A-Za-z]`), or matches a literal `;`, `%` or backslash. A word
 *  for a notice; NULL: it can be tried on every reading. */
const char *m2_path_pattern_exact(const char *pattern, m2_pattern_kind_t kind);

/** What every path that pattern matches begins with, in lower case and in pool; "" when that
 *  is not easily said. */
const char *m2_path_pattern_start(apr_pool_t *pool, const char *pattern,
                                  m2_pattern_kind_t kind);

#endif /* M2_PATH_PATTERN_H */
