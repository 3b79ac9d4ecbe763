/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the documents of a source are: key sets, or lists of one entry a line (revocations, data
 * sets). Watching, fetching, keeping the last good one and swapping are the same for all.
 */
#ifndef M2_DOCUMENT_H
#define M2_DOCUMENT_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/* one kind of document; static */
typedef struct m2_document_t {
    const char *noun;   /* what it holds, for messages: "keys" */
    const char *suffix; /* of copies in the state directory */
    apr_size_t max;     /* bytes */
    int file_flags;     /* for m2_file_watch */
    apr_interval_time_t look; /* between two looks at a file */
    int ages;           /* a file, too, has to be found good again within max-stale */

    /** What text means, immutable and in pool. label is what messages begin with, and ": ";
     *  name is the source's, which outlives the object. flags and mode are of m2_keyset_parse. */
    m2_code_t (*parse)(const void **pobject, apr_pool_t *pool, m2_slice_t text,
                       const char *label, const char *name, int flags, int mode,
                       m2_err_t *err);

    /** How many there are. */
    int (*count)(const void *object);
} m2_document_t;

/** Key sets. */
extern const m2_document_t m2_document_keys;

#endif /* M2_DOCUMENT_H */
