/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What follows from a verified token and the policy alone, whatever request brings it: found
 * once, when the token is kept, so that a request has only the rest to ask.
 */
#ifndef M2_SETTLE_H
#define M2_SETTLE_H

#include "gate/m2_verdict.h"

#define M2_SETTLE_RULES 256 /* more to ask than these: all rules are asked, and no list is kept */

/**
 * Settle what can be settled about token and its claims, of verdict, under policy. settled->rest is
 * in pool, which also serves the conditions. Errors settle nothing: what cannot be evaluated is
 * asked again by every request.
 */
void m2_settle(m2_settled_t *settled, apr_pool_t *pool, const m2_verdict_t *verdict,
               const m2_policy_t *policy, m2_slice_t token);

#endif /* M2_SETTLE_H */
