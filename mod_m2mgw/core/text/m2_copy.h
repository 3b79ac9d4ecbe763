/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The last good text of a file that decides, in memory that all processes of a server share
 * and that outlives configurations. A file that is half written at the wrong moment must cost
 * nothing: a process that saw nothing between a revocation and a broken file, or a parent that
 * is told to restart while the file is broken, goes on with what another process has read.
 *
 *   parent, reading configuration   open, then put what was read well, or get
 *   any process, one thread of it   put what it came to believe, get what others did
 *
 * Reading takes no lock. Writers take turns; one that is killed or stopped in the middle
 * leaves the text before it in force.
 */
#ifndef M2_COPY_H
#define M2_COPY_H

#include "base/m2_slice.h"
#include "text/m2_file.h"

typedef struct m2_copy_t m2_copy_t;

/**
 * The copy of the file `path`, of at most max bytes, that means what `kind` says (two readers
 * of one file may differ in what they take for good). The same one for as long as `process`
 * lives, which is the pool of the process. NULL when there is no memory; every other function
 * takes NULL for a copy that nobody ever puts anything into. Not thread-safe; the others are.
 */
m2_copy_t *m2_copy_open(apr_pool_t *process, const char *kind, const char *path,
                        apr_size_t max);

/**
 *  Publish a text that was read from the file while it had that stamp, and was found good. A text
 *  that is no longer in the file is dropped: another process publishes the later one. stamp is
 *  NULL for what is not a file: then the last one counts. *pversion becomes that of the text that
 *  counts now, if that is this one. 0 when it could not be published.
 */
int m2_copy_put(m2_copy_t *copy, apr_uint64_t *pversion, m2_slice_t text,
                const m2_stamp_t *stamp, apr_time_t now);

/**
 * A text of another version than *pversion (0: of any), which is set. The text is in pool, a
 * NUL behind it, wiped when the pool goes; its p is NULL if absent. *psince, unless
 * NULL, is when it was published.
 */
m2_slice_t m2_copy_get(const m2_copy_t *copy, apr_uint64_t *pversion, apr_time_t *psince,
                       apr_pool_t *pool);

/** What was read or fetched is that version's text still; without effect where another counts
 *  by now. */
void m2_copy_confirm(m2_copy_t *copy, apr_uint64_t version, apr_time_t now);

/** When some process last found so; 0 where another version counts. */
apr_time_t m2_copy_checked(const m2_copy_t *copy, apr_uint64_t version);

/** The version that counts now; 0: there is no text. */
apr_uint64_t m2_copy_version(const m2_copy_t *copy);

/** Whether it is for this process to tell what is wrong with the file in that state: 1 for the
 *  first one that asks, 0 until something else was asked. text is NULL when nothing is wrong. */
int m2_copy_tell(m2_copy_t *copy, const char *text, const m2_stamp_t *stamp);

#endif /* M2_COPY_H */
