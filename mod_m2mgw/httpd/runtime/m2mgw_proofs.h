/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What proofs of possession need that lives longer than a request: the store of used proofs,
 * and the key that nonces are made with.
 */
#ifndef M2MGW_PROOFS_H
#define M2MGW_PROOFS_H

#include "proof/m2_proof.h"
#include "replay/m2_replay.h"

/** Mark a proof that passed as used: M2_OK the first time, M2_E_PROOF_REPLAYED,
 *  M2_E_PROOF_INVALID (its time has run out since it was judged), M2_E_REPLAY_UNAVAILABLE. */
m2_code_t m2mgw_proofs_spend(const m2_proof_t *proof, m2_err_t *err);

/** The largest window of any section in seconds; before *puntil *pold judges, since marks were made
 *  for that until a restart raised it. */
int m2mgw_proofs_window(int *pold, apr_time_t *puntil);

/** Keys of this child's clients, for m2_proof_request_t; NULL where there are none. */
const m2_proof_keys_t *m2mgw_proofs_keys(void);

/** M2MDPoPNonceKey, or the random key of this server; the same in all children. */
m2_slice_t m2mgw_proofs_nonce_key(void);

/** The figures of the store of used proofs; 0 where none is open. */
int m2mgw_proofs_stats(m2_replay_stats_t *stats);

void m2mgw_proofs_register(void);

#endif /* M2MGW_PROOFS_H */
