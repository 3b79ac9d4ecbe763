/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A line that was changed is written with LF at its end, whatever it had.
 */
#include "ctl/m2mctl_lines.h"

#include "text/m2_lines.h"

#include <apr_strings.h>

apr_array_header_t *m2mctl_lines(apr_pool_t *pool, m2_slice_t text)
{
    apr_array_header_t *lines = apr_array_make(pool, 64, sizeof(const char *));
    m2_slice_t line;

    while (m2_line_next(&text, &line)) {
        APR_ARRAY_PUSH(lines, const char *) = m2_slice_dup(pool, line);
    }
    return lines;
}

m2_slice_t m2mctl_lines_text(apr_pool_t *pool, const apr_array_header_t *lines)
{
    apr_array_header_t *kept = apr_array_make(pool, lines->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (APR_ARRAY_IDX(lines, i, const char *)) {
            APR_ARRAY_PUSH(kept, const char *) = APR_ARRAY_IDX(lines, i, const char *);
        }
    }
    APR_ARRAY_PUSH(kept, const char *) = ""; /* the last line ends, too */
    return m2_slice_z(apr_array_pstrcat(pool, kept, '\n'));
}
