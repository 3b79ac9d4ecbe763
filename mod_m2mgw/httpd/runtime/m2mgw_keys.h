/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key sources in a running httpd: the registry that configuration fills, the memory and the
 * directory children share, the watchdog thread that ticks, and what a request with an
 * unknown kid may ask for.
 */
#ifndef MOD_M2MGW_KEYS_H
#define MOD_M2MGW_KEYS_H

#include "httpd/config/m2mgw_conf.h"

#include "jwks/m2_jwks.h"

/** A new registry for a new reading of the configuration. */
void m2mgw_keys_reset(apr_pool_t *pconf);
m2_jwks_t *m2mgw_keys_registry(void);

/** A token named a kid that is not in the ring: ask for a refresh, and wait at most wait
 *  milliseconds for it. Whether it is worth to choose again. */
int m2mgw_keys_missing(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       int wait);

void m2mgw_keys_register(void);

#endif /* MOD_M2MGW_KEYS_H */
