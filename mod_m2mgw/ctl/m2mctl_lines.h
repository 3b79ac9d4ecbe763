/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A file as lines that are changed one by one.
 */
#ifndef M2MCTL_LINES_H
#define M2MCTL_LINES_H

#include "base/m2_slice.h"

#include <apr_tables.h>

/** The lines of a text without their ends: const char *, in pool. */
apr_array_header_t *m2mctl_lines(apr_pool_t *pool, m2_slice_t text);

/** The text of lines, each with an end. A line that is NULL is left out. */
m2_slice_t m2mctl_lines_text(apr_pool_t *pool, const apr_array_header_t *lines);

#endif /* M2MCTL_LINES_H */
