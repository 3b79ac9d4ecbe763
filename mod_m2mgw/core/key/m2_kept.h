/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * OpenSSL contexts kept ready with a key. Setting up a verification costs OpenSSL a fifth of an
 * RSA verification (fetching digests under a lock, allocating, copying parameters); a context
 * that was used once can be used again. A thread takes one out, uses it alone, and puts it back;
 * no thread waits.
 */
#ifndef M2_KEPT_H
#define M2_KEPT_H

#include "key/m2_alg.h"

#include <openssl/types.h>

typedef struct m2_kept_t m2_kept_t;

/** Room for the contexts of one key; a cleanup of pool frees what is in it. pkey must live as
 *  long. */
m2_kept_t *m2_kept_make(apr_pool_t *pool, EVP_PKEY *pkey);

/** Whether signature (as OpenSSL takes it: PKCS#1, PSS, DER, or RFC 8032) over text verifies
 *  by alg, which the key can do. Thread-safe. */
int m2_kept_verify(m2_kept_t *kept, const m2_alg_t *alg, m2_slice_t signature,
                   m2_slice_t text);

/** Sign text by alg, which the key can do and has the private part for, into *pn bytes at
 *  signature, EVP_PKEY_get_size at least; *pn becomes its length (DER for ECDSA). Returns 0 when
 *  OpenSSL refuses. Thread-safe. */
int m2_kept_sign(unsigned char *signature, apr_size_t *pn, m2_kept_t *kept, const m2_alg_t *alg,
                 m2_slice_t text);

#endif /* M2_KEPT_H */
