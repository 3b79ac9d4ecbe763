/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Files of one entry a line, whose words are separated by blanks: grants, revoked tokens,
 * passwords. What the words mean is for the caller to say.
 */
#ifndef M2_LINES_H
#define M2_LINES_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#include <apr_pools.h>

/** Next line of *rest without its end (LF or CR LF); *rest moves on. 0 at the end. */
int m2_line_next(m2_slice_t *rest, m2_slice_t *line);

/** Next word of *rest, which moves on; blanks and tabs separate. 0 at the end. */
int m2_word_next(m2_slice_t *rest, m2_slice_t *word);

/** Likewise, but a word that begins with `#` begins a comment, which is skipped to its end. */
int m2_entry_next(m2_slice_t *rest, m2_slice_t *word);

/** A text without the byte order mark that some editors put in front. */
m2_slice_t m2_lines_bare(m2_slice_t text);

/** Read one line into data. temp is emptied after each line. M2_E_NOT_FOUND: there is nothing
 *  in it. */
typedef m2_code_t m2_line_fn(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *err);

/**
 * Hand the lines of text (m2_lines_bare) to read, one after the other, until one fails; err then
 * has the number of its line.
 * @param data for read
 * @param pool for temporary pools
 * @param longest bytes that a line may have
 * @return M2_OK, M2_E_CONFIG for a line that is too long, or what read returned
 */
m2_code_t m2_lines_read(void *data, apr_pool_t *pool, m2_line_fn *read, m2_slice_t text,
                        apr_size_t longest, m2_err_t *err);

#endif /* M2_LINES_H */
