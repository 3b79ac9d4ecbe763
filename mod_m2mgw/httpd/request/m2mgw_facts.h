/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What rules may ask about a request.
 */
#ifndef M2MGW_FACTS_H
#define M2MGW_FACTS_H

#include "httpd/request/m2mgw_ctx.h"

/** Fill facts so that rules can ask about r. */
void m2mgw_facts_init(m2_facts_t *facts, m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now);

/** Likewise for whoever names the parameters and the path of scope. */
void m2mgw_facts_for(m2_facts_t *facts, m2mgw_ctx_t *ctx, const m2_rules_t *scope,
                     request_rec *r, apr_time_t now);

#endif /* M2MGW_FACTS_H */
