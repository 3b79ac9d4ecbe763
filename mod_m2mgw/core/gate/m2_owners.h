/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Keys of clients that proved to own their tokens, so that the next proof by the same key costs
 * its signature and not the making of the key. Kept by thumbprint, each in one pair of hands at
 * a time; which proof they verified is not kept.
 */
#ifndef M2_OWNERS_H
#define M2_OWNERS_H

#include "proof/m2_proof.h"

typedef struct m2_owners_t m2_owners_t;

/** Room for so many keys (rounded up to a power of two), empty. It lives as long as pool; NULL
 *  without memory. What it keeps is freed with it, except where a process ends in a signal
 *  handler. Thread-safe from then on, without a lock. */
m2_owners_t *m2_owners_make(apr_pool_t *pool, apr_size_t keys);

/** What m2_proof_check asks for: take and give over owners. */
m2_proof_keys_t m2_owners_keys(m2_owners_t *owners);

#endif /* M2_OWNERS_H */
