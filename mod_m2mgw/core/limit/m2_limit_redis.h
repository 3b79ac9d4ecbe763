/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Buckets in Redis, so that many servers share them. One script takes a request, or the
 * requests of a lease, from all buckets or from none, by Redis's own clock. In a cluster,
 * where buckets lie on several nodes, it runs for each of them, in order of the limits' names,
 * and what was taken is given back when one refuses.
 */
#ifndef M2_LIMIT_REDIS_H
#define M2_LIMIT_REDIS_H

#include "limit/m2_limit_lease.h"
#include "redis/m2_redis.h"

#define M2_LR_KEY (M2_HOST_MAX_PREFIX + 2 * 16 + 1) /* bytes of a bucket's key */

typedef struct m2_lr_t m2_lr_t;

/** In the parent, where the password may be read. M2_E_CONFIG with a sentence. */
m2_code_t m2_lr_open(m2_lr_t **plr, apr_pool_t *pool, const m2_redis_spec_t *spec,
                     m2_err_t *err);

/** In each process of its own (m2_redis_attach). */
m2_code_t m2_lr_attach(m2_lr_t *lr, apr_pool_t *pool, m2_err_t *err);

/** The key of a bucket, and its id here, of all bytes that make it one: SHA-256, the same on
 *  all servers. 0 when it cannot be had. */
int m2_lr_key(char key[M2_LR_KEY], apr_uint64_t id[2], const m2_lr_t *lr, const void *bytes,
              apr_size_t n);

/** Ask for those of takes that ask: granted and answer are filled. 1: the request passes them
 *  all, 0: one that is not a shadow refuses, and nothing is taken; -1 with why (M2_WIRE_WHY
 *  bytes): no answer, and it is unknown what was taken. Thread-safe. */
int m2_lr_ask(m2_lr_t *lr, m2_lease_take_t *takes, int n, char *why);

#endif /* M2_LIMIT_REDIS_H */
