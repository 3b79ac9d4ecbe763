/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Decisions by operation, in memory that all child processes share and that restarts keep. A
 * hundred thousand operations may be described: the first M2MGW_OPERATION_ROWS that requests
 * meet are told apart, all others are one.
 */
#ifndef M2MGW_OPERATION_COUNTS_H
#define M2MGW_OPERATION_COUNTS_H

#include "httpd/runtime/m2mgw_counters.h"

#define M2MGW_OPERATION_ROWS 2048

/** Count a decision, if it is about an operation. Any thread, no lock. */
void m2mgw_count_operation(const m2mgw_decision_t *decision);

/** What was counted for an operation that is told apart; 0 when it is not. */
int m2mgw_counted_operation(m2mgw_reasons_t *sums, const m2mgw_operations_t *operations,
                            int number);

/** What was counted for all others together. */
void m2mgw_counted_other_operations(m2mgw_reasons_t *sums);

void m2mgw_operation_counts_register(void);

#endif /* M2MGW_OPERATION_COUNTS_H */
