/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Whether the public key of Ed25519 or Ed448 is a point that signatures can be trusted to.
 * OpenSSL takes any bytes for a key and finds out only when it verifies.
 */
#ifndef M2_EDWARDS_H
#define M2_EDWARDS_H

#include "base/m2.h"

/** What is wrong with a public key as RFC 8032 encodes it, in words that go on behind "its
 *  point"; NULL: nothing. n is 32 for Ed25519 and 57 for Ed448. Thread-safe. */
const char *m2_edwards_fault(const unsigned char *key, apr_size_t n);

#endif /* M2_EDWARDS_H */
