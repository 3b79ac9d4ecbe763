/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Uses of limits taken from the buckets of this server: whole ones, or its part of those that
 * several servers share while they cannot ask each other.
 */
#ifndef M2_LIMIT_LOCAL_H
#define M2_LIMIT_LOCAL_H

#include "limit/m2_limit.h"
#include "limit/m2_limit_table.h"

/** Take one request from the buckets of all n uses (M2_LIMIT_TAKES at most), or from none;
 *  answers are filled, requests counted. nodes: of COUNT and burst the nodes-th part holds, 1
 *  at least. now in nanoseconds of CLOCK_MONOTONIC. Thread-safe; allocates nothing. */
void m2_limit_local_take(m2_lt_t *table, m2_limit_use_t *uses, int n, int nodes,
                         apr_uint64_t now);

#endif /* M2_LIMIT_LOCAL_H */
