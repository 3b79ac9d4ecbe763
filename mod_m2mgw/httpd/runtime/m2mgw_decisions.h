/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MDecisionLog: one line for each decision, as JSON or as text.
 */
#ifndef M2MGW_DECISIONS_H
#define M2MGW_DECISIONS_H

#include "httpd/runtime/m2mgw_decision.h"

/** Write the line of a decision where its virtual host logs decisions of this kind. One write,
 *  no lock; a line that cannot be written is lost. */
void m2mgw_decision_log(request_rec *r, const m2mgw_decision_t *decision);

/** Whether the virtual host of r logs a decision of this kind. */
int m2mgw_decision_is_logged(const request_rec *r, const m2mgw_decision_t *decision);

void m2mgw_decisions_register(void);

#endif /* M2MGW_DECISIONS_H */
