/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A revocation list in Redis: a set of lines, and a version that each writer counts up. A
 * thread of each process looks at the version several times a second and reads the set when
 * it has changed; no request asks Redis.
 */
#ifndef M2_REVOCATION_REDIS_H
#define M2_REVOCATION_REDIS_H

#include "jwks/m2_fetch.h"
#include "redis/m2_redis.h"

#define M2_REVOCATION_PREFIX "m2m:revoked:" /* default of prefix= */

typedef struct m2_revocation_redis_t m2_revocation_redis_t;

/** In the parent. spec must live as long as pool. M2_E_CONFIG with a sentence. */
m2_code_t m2_revocation_redis_open(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                   const m2_redis_spec_t *spec, m2_err_t *err);

/** m2_puller_t: baton is the m2_revocation_redis_t. */
m2_puller_fn m2_revocation_redis_attach;
m2_pull_fn m2_revocation_redis_pull;

/** Add a line (without its end) to the list that words name, one string as M2MRevocation has
 *  it. For the command line tool: waits for the answer. M2_E_CONFIG with a sentence. */
m2_code_t m2_revocation_redis_append(apr_pool_t *pool, const char *words, const char *line,
                                     m2_err_t *err);

#endif /* M2_REVOCATION_REDIS_H */
