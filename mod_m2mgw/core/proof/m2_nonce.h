/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Nonces for proofs (RFC 9449 8 and 9): a time and a MAC over it, so that every machine which
 * has the key can tell its own without remembering any. The time is that of the last full
 * window, so a nonce is handed out unchanged for a window, and is good for one to two.
 */
#ifndef M2_NONCE_H
#define M2_NONCE_H

#include "base/m2_slice.h"

#define M2_NONCE_MIN_KEY 32 /* bytes: the MAC is HMAC-SHA256 */

/* who asks for the nonce: one of the gateway is of no use at the token endpoint */
#define M2_NONCE_RESOURCE "resource"
#define M2_NONCE_ISSUER "issuer"

/** The nonce of now, in pool. window in seconds, 1 or more. NULL when OpenSSL fails. */
const char *m2_nonce_make(apr_pool_t *pool, m2_slice_t key, const char *role, int window,
                          apr_time_t now);

/** Whether nonce was made with key for role, not longer than two windows ago. */
int m2_nonce_is_good(apr_pool_t *pool, m2_slice_t key, const char *role, int window,
                     m2_slice_t nonce, apr_time_t now);

#endif /* M2_NONCE_H */
