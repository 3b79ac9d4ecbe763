/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What lives longer than a request: stores, key sources, and the core's log callback.
 */
#include "mod_m2mgw_request.h"

m2_code_t m2mgw_runtime_spend(const m2_verdict_t *verdict, void *baton, m2_err_t *err)
{
    (void)verdict;
    (void)baton;
    return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "no replay store is open");
}
