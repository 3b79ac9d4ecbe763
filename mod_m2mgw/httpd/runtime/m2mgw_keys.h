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

#include "key/m2_keyring.h"

/** A token named a kid that is not in the ring: ask for a refresh, and wait at most wait
 *  milliseconds for it. Returns 1 if choosing again may succeed. */
int m2mgw_keys_missing(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       int wait);

/** Whether some key that is in force now can do an algorithm that dir allows; 1 where it has no
 *  keys, or none have come yet. No lock. */
int m2mgw_keys_fit(const m2mgw_dir_t *dir);

void m2mgw_keys_register(void);

#endif /* MOD_M2MGW_KEYS_H */
