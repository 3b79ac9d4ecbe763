/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A line ends at LF; a CR before it belongs to the end. The last line needs none.
 */
#include "text/m2_lines.h"

#include <string.h>

int m2_line_next(m2_slice_t *rest, m2_slice_t *line)
{
    const char *end;
    apr_size_t n;

    if (!rest->n) {
        return 0;
    }
    end = memchr(rest->p, '\n', rest->n);
    n = end ? (apr_size_t)(end - rest->p) : rest->n;
    *line = m2_slice(rest->p, n && rest->p[n - 1] == '\r' ? n - 1 : n);
    n += end ? 1 : 0;
    *rest = m2_slice(rest->p + n, rest->n - n);
    return 1;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int m2_word_next(m2_slice_t *rest, m2_slice_t *word)
{
    apr_size_t n = 0;

    while (rest->n && is_blank(*rest->p)) {
        *rest = m2_slice(rest->p + 1, rest->n - 1);
    }
    while (n < rest->n && !is_blank(rest->p[n])) {
        n++;
    }
    *word = m2_slice(rest->p, n);
    *rest = m2_slice(rest->p + n, rest->n - n);
    return n > 0;
}

int m2_entry_next(m2_slice_t *rest, m2_slice_t *word)
{
    if (!m2_word_next(rest, word)) {
        return 0;
    }
    if (*word->p == '#') {
        *rest = m2_slice(rest->p + rest->n, 0);
        return 0;
    }
    return 1;
}

m2_slice_t m2_lines_bare(m2_slice_t text)
{
    return text.n >= 3 && m2_slice_is(m2_slice(text.p, 3), "\xef\xbb\xbf")
               ? m2_slice(text.p + 3, text.n - 3) : text;
}

m2_code_t m2_lines_read(void *data, apr_pool_t *pool, m2_line_fn *read, m2_slice_t text,
                        apr_size_t longest, m2_err_t *err)
{
    apr_pool_t *temp;
    m2_slice_t line;
    m2_code_t code = M2_OK;
    int number = 0;

    text = m2_lines_bare(text);
    apr_pool_create(&temp, pool);
    while (code == M2_OK && m2_line_next(&text, &line)) {
        number++;
        code = line.n > longest
                   ? m2_err_set(err, M2_E_CONFIG, "the line is longer than %d bytes",
                                (int)longest)
                   : read(data, temp, line, err);
        code = code == M2_E_NOT_FOUND ? M2_OK : code;
        apr_pool_clear(temp);
    }
    if (code != M2_OK && err && !err->line) {
        err->line = number;
    }
    apr_pool_destroy(temp);
    return code;
}
