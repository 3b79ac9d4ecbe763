/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The lists that are in force in a section (M2MRevocation): sources as those of keys are, files
 * and URLs, each read into a set that is swapped as a whole (jwks/m2_jwks.h). A token counts
 * when it is in no list and every list may be used: of one that was not found good for longer
 * than its max-stale nobody knows what it would say now.
 */
#ifndef M2_REVOCATIONS_H
#define M2_REVOCATIONS_H

#include "jwks/m2_jwks.h"
#include "revocation/m2_revocation.h"

/** Revocation lists, for m2_jwks_list_file and its kin. */
extern const m2_document_t m2_document_revocations;

/**
 * Whether a verified token still counts, by the lists that ring is fed from: M2_OK;
 * M2_E_REVOKED; M2_E_REVOCATION_UNAVAILABLE: no list has it, and not all may be used. claims is
 * the token's payload, kid that of the key which verified it, or absent. err gets a
 * sentence that quotes nothing of the token. No lock; in the thread of a request.
 *
 * psought is a number that is kept with the token (and is of this ring alone), 0 at first, or
 * NULL: the lists, as they are, in which the token was sought in vain. Lists never change, they
 * are replaced: a token that is asked again before they are is not sought again. Threads may
 * share it.
 */
m2_code_t m2_revocations_check(const m2_keyring_t *ring, apr_pool_t *pool,
                               const m2_json_t *claims, m2_slice_t kid, apr_uint64_t *psought,
                               m2_err_t *err);

#endif /* M2_REVOCATIONS_H */
