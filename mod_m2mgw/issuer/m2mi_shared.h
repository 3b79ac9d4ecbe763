/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The last good text of a watched file, in memory that all processes of this server share
 * and that outlives configurations. A process that did nothing between a revocation and a
 * broken file, or a parent that restarts while the file is broken, takes over from here what
 * another has read.
 */
#ifndef M2MI_SHARED_H
#define M2MI_SHARED_H

#include "base/m2_slice.h"

#include <httpd.h>

typedef struct m2mi_shared_t m2mi_shared_t;

/** The text of that file, of at most max bytes, in the process pool; NULL: no memory. */
m2mi_shared_t *m2mi_shared_open(server_rec *s, const char *name, apr_size_t max);

/** Publish a text that was read from the file in that state (a stamp of the caller's).
 *  Returns its version, *pversion stays what it was when another process is at it. */
void m2mi_shared_put(m2mi_shared_t *shared, apr_uint32_t *pversion, m2_slice_t text,
                     apr_uint64_t stamp);

/** A copy in pool of a text of another version than *pversion, which becomes its own; "there
 *  is none" otherwise. */
m2_slice_t m2mi_shared_get(m2mi_shared_t *shared, apr_uint32_t *pversion, apr_pool_t *pool);

#endif /* M2MI_SHARED_H */
