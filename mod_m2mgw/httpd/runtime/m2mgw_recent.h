/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The last refusals of all child processes (M2MRecentRefusals), for the status page: a caller
 * who was refused can report the id, and the reason is found here.
 */
#ifndef M2MGW_RECENT_H
#define M2MGW_RECENT_H

#include "httpd/runtime/m2mgw_decision.h"

/* One refusal; strings are cut between characters, empty if unknown. */
typedef struct m2mgw_refusal_t {
    apr_time_t time;
    m2_code_t code;
    char id[80];
    char section[224];
    char detail[260];
    char rule[132];
    char client[260];
} m2mgw_refusal_t;

/** Remember a refusal. Any thread; nothing is locked, and one that comes while the same place is
 *  written is dropped. */
void m2mgw_recent_add(const m2mgw_decision_t *decision);

/** Copies of what is remembered, newest first: of m2mgw_refusal_t, in pool. */
apr_array_header_t *m2mgw_recent(apr_pool_t *pool);

void m2mgw_recent_register(void);

#endif /* M2MGW_RECENT_H */
