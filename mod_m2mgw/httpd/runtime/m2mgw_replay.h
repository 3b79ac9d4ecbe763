/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The replay store of this server, and how long a mark is kept in it.
 */
#ifndef M2MGW_REPLAY_H
#define M2MGW_REPLAY_H

#include "gate/m2_verdict.h"

/** Mark the verdict's token in the replay store. */
m2_code_t m2mgw_runtime_spend(const m2_verdict_t *verdict, m2_err_t *err);

void m2mgw_runtime_register(void);

#endif /* M2MGW_REPLAY_H */
