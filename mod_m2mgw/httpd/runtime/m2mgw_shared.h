/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Memory that all child processes share and that outlives restarts: it belongs to the process
 * that started, not to a reading of the configuration.
 *
 * The room runtime keeps what lives longer than a request: keys, marks, counters, logs. Never
 * knows why a request is refused before it is told.
 */
#ifndef M2MGW_SHARED_H
#define M2MGW_SHARED_H

#include "httpd/m2mgw.h"

typedef struct m2mgw_shared_t {
    apr_pool_t *pool;    /* holds the segment */
    void *base;          /* aligned to 64 bytes */
    apr_size_t size;     /* of what is usable */
    apr_uint64_t layout; /* of the code that made it: memory with another version cannot be read */
} m2mgw_shared_t;

/** What is kept under key since an earlier configuration, or NULL. Only in post_config. */
m2mgw_shared_t *m2mgw_shared_kept(server_rec *s, const char *key);

/** New memory of size bytes, all zero, not yet kept under a key; NULL if it cannot be allocated. */
m2mgw_shared_t *m2mgw_shared_make(server_rec *s, apr_size_t size, apr_uint64_t layout);

/** Keep shared under key from now on. What was kept before is unmapped here; children that
 *  were made before go on with theirs. */
void m2mgw_shared_keep(server_rec *s, const char *key, m2mgw_shared_t *shared);

#endif /* M2MGW_SHARED_H */
