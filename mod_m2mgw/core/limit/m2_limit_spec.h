/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What M2MLimitStore says: where buckets are. Read once while configuration is read; nothing
 * is opened here.
 */
#ifndef M2_LIMIT_SPEC_H
#define M2_LIMIT_SPEC_H

#include "redis/m2_redis_spec.h"

#define M2_LIMIT_TIMEOUT 250 /* default of Redis here, milliseconds */
#define M2_LIMIT_LEASE 50    /* default, milliseconds */

typedef struct m2_limit_spec_t {
    apr_uint32_t entries;   /* buckets that are not full at the same time */
    m2_redis_spec_t *redis; /* NULL: in the memory of this server alone */
    int nodes;              /* redis: servers that share it */
    int lease;              /* redis: milliseconds whose requests are taken at once, 0: none */
} m2_limit_spec_t;

/** Words of M2MLimitStore (const char *): `shm [entries=N]`, or one of Redis with `nodes=N
 *  [lease=TIME] [entries=N]` and its options. M2_E_CONFIG with a sentence. */
m2_code_t m2_limit_spec_parse(m2_limit_spec_t *spec, const apr_array_header_t *words,
                              m2_err_t *err);

/** The words again. */
const char *m2_limit_spec_describe(apr_pool_t *pool, const m2_limit_spec_t *spec);

#endif /* M2_LIMIT_SPEC_H */
