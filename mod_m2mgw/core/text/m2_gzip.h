/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * gzip (RFC 1952), undone into bounded memory: some web servers send documents compressed
 * whatever they were asked for, and some editors put a byte order mark in front.
 */
#ifndef M2_GZIP_H
#define M2_GZIP_H

#include "base/m2_slice.h"

/** Whether text begins like gzip. */
int m2_gzip_is(m2_slice_t text);

/** Undo it into pool. NULL, or what is wrong: bytes that are not gzip, or more than max of what
 *  it holds. Thread-safe. */
const char *m2_gzip_undo(m2_slice_t *ptext, apr_pool_t *pool, m2_slice_t packed, apr_size_t max);

/** A document of at most max bytes as plain text: gzip undone, a byte order mark in front passed
 *  over. *ptext keeps pointing into the document, or into pool. NULL, or what is wrong.
 *  Thread-safe. */
const char *m2_gzip_plain(m2_slice_t *ptext, apr_pool_t *pool, apr_size_t max);

#endif /* M2_GZIP_H */
