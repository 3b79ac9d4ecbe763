/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The two spellings of an ECDSA signature: R and S one behind the other, each as long as the
 * curve says (RFC 7518 3.4), which tokens have, and a DER sequence of two integers (RFC 3279
 * 2.2.3), which OpenSSL takes and makes.
 */
#ifndef M2_ECDSA_H
#define M2_ECDSA_H

#include "base/m2_slice.h"

#define M2_ECDSA_DER 144 /* bytes of a P-521 signature in DER: 139, rounded up */

/** *pder in room, of M2_ECDSA_DER bytes, is the signature raw, R||S of up to 66 bytes each.
 *  0 when R or S is zero: with r = s = 0 careless verifiers take any text as signed.
 *  Thread-safe. */
int m2_ecdsa_to_der(m2_slice_t *pder, unsigned char *room, m2_slice_t raw);

/** R||S of size bytes in out, of the signature der; 0 when it is none, or a number is too
 *  long. Thread-safe. */
int m2_ecdsa_from_der(unsigned char *out, apr_size_t size, m2_slice_t der);

#endif /* M2_ECDSA_H */
