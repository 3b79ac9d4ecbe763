/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key sources in a running httpd: the registry that configuration fills, the memory and the
 * directory children share, the watchdog thread that ticks, and what a request with an
 * unknown kid may ask for.
 */
#ifndef MOD_M2MGW_KEYS_H
#define MOD_M2MGW_KEYS_H

#include "httpd/m2mgw.h"

#include "key/m2_keyring.h"

/** A token named a kid that is not in the ring: ask for a refresh, and wait at most wait
 *  milliseconds for it. Returns 1 if choosing again may succeed. */
int m2mgw_keys_missing(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       int wait);

void m2mgw_keys_register(void);

#endif /* MOD_M2MGW_KEYS_H */
