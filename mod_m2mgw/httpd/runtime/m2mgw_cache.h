/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The verified-token cache of this process.
 */
#ifndef M2MGW_CACHE_H
#define M2MGW_CACHE_H

struct m2_cache_t;

/** The verified-token cache of this process, or NULL. */
struct m2_cache_t *m2mgw_cache(void);

void m2mgw_cache_register(void);

#endif /* M2MGW_CACHE_H */
