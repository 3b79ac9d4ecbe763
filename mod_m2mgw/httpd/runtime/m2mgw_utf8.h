/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Strings from outside, as UTF-8 (RFC 3629) and in buffers of a fixed size.
 */
#ifndef M2MGW_UTF8_H
#define M2MGW_UTF8_H

#include "httpd/m2mgw.h"

/** The bytes of the character that text begins with, of the n there are; 0: invalid. */
apr_size_t m2mgw_utf8_character(const char *text, apr_size_t n);

/** text itself where it is UTF-8, else a copy with U+FFFD for each byte that is not. */
const char *m2mgw_utf8(apr_pool_t *pool, const char *text);

/** How many of the first most bytes of text are whole characters. */
apr_size_t m2mgw_utf8_cut(const char *text, apr_size_t most);

/** Copy text, which may be NULL, to size bytes, cut between characters, with a NUL at the end. */
void m2mgw_utf8_copy(char *to, apr_size_t size, const char *text);

#endif /* M2MGW_UTF8_H */
