/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A set of configured names, made while configuration is read and const from then on: the
 * names of a client's request are looked up in it, so that taking names out costs what the
 * client sent, however many names there are.
 */
#ifndef M2_NAMESET_H
#define M2_NAMESET_H

#include "request/m2_reading.h"

typedef struct m2_nameset_t m2_nameset_t;

/** An empty set, in pool, of names of one kind: those of headers, of queries and so on. */
m2_nameset_t *m2_nameset_make(apr_pool_t *pool, m2_reading_t reading);

/** Add a name of at most M2_MAX_NAME bytes; one that is in it already changes nothing. */
void m2_nameset_add(m2_nameset_t *names, const char *name);

/** The names as they were configured, of const char *; for a set without any, `None`. */
apr_array_header_t *m2_nameset_list(apr_pool_t *pool, const m2_nameset_t *names);

/** Whether there is no name in it. */
int m2_nameset_is_empty(const m2_nameset_t *names);

/** The name that some backend takes raw for, as it was configured; NULL: none. names may be
 *  NULL. */
const char *m2_nameset_find(const m2_nameset_t *names, m2_slice_t raw);

/* whether the pair of a raw name has to go */
typedef int m2_nameset_pick_fn(const void *baton, m2_slice_t raw);

/** Urlencoded text without the pairs that pick says; the other pairs keep their bytes and
 *  order, and their separators. Text itself when nothing was taken out, NUL-terminated in pool
 *  otherwise. text may be NULL. */
const char *m2_nameset_remove(apr_pool_t *pool, const char *text, m2_nameset_pick_fn *pick,
                            const void *baton);

/** Urlencoded text with the value of every pair in names replaced by replacement, which is
 *  already encoded (masking). Text itself when nothing matched. text may be NULL. */
const char *m2_nameset_mask(apr_pool_t *pool, const char *text, const m2_nameset_t *names,
                          const char *replacement);

/** A URL with its query masked likewise, and its fragment. tail, which may be NULL, points at
 *  what stands behind the URL in text (the protocol of a request line). text may be NULL. */
const char *m2_nameset_mask_url(apr_pool_t *pool, const char *text, const char *tail,
                                const m2_nameset_t *names, const char *replacement);

#endif /* M2_NAMESET_H */
