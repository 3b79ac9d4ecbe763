/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the room: last good documents, in shared memory and on disk.
 */
#ifndef M2_JWKS_STATE_H
#define M2_JWKS_STATE_H

#include "jwks/m2_keysource_int.h"

#define M2_MAX_LINE 8192 /* bytes in front of a document */

/* what a file of the state directory says; document and etag only while it is read */
typedef struct m2_state_t {
    m2_slice_t document;
    const char *etag;
    int interval; /* seconds */
    apr_time_t checked;
    apr_uint64_t digest;
} m2_state_t;

/** The user whose copies count beside root's, of this process. */
void m2_state_trust(apr_uint32_t uid);

/** The file of the copy of a source; NULL when OpenSSL refuses. */
const char *m2_state_path(m2_keysource_t *source, const char *state_dir);

/** Remove what children that were killed left half written. */
void m2_state_sweep(const char *state_dir, apr_time_t now);

/** Store a document that was found good, in memory and on disk. What became of the latter;
 *  APR_ENOENT: there is no state directory. */
apr_status_t m2_state_write(m2_keysource_t *source, apr_pool_t *pool, m2_slice_t document,
                            const char *etag, apr_uint64_t interval);

/** The document that the source has is good still. */
void m2_state_confirm(m2_keysource_t *source, apr_pool_t *pool);

/** Make the copy in memory, else the one on disk, the source's current document; 0 when neither
 *  is good. */
int m2_state_take(m2_state_t *state, m2_keysource_t *source, int flags);

#endif /* M2_JWKS_STATE_H */
