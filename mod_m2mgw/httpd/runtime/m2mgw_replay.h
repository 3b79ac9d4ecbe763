/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay store of this server, and how long a mark is kept in it.
 */
#ifndef M2MGW_REPLAY_H
#define M2MGW_REPLAY_H

#include "gate/m2_verdict.h"
#include "replay/m2_replay.h"

/** Mark the verdict's token in the replay store. */
m2_code_t m2mgw_runtime_spend(const m2_verdict_t *verdict, m2_err_t *err);

/** The figures of the replay store; 0 where none is open. */
int m2mgw_replay_stats(m2_replay_stats_t *stats);

void m2mgw_runtime_register(void);

#endif /* M2MGW_REPLAY_H */
