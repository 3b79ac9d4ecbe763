/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Members of the status document: set by those who fill it, read by those who show it.
 */
#ifndef M2MGW_MEMBER_H
#define M2MGW_MEMBER_H

#include "base/m2_err.h"
#include "text/m2_json.h"

/** Set a member to text that somebody else wrote; what is not UTF-8 in it is masked. */
void m2mgw_status_text(m2_json_t *json, apr_pool_t *pool, const char *name,
                       const char *text);

/** A whole number of the document; 0 when it is absent. */
apr_int64_t m2mgw_status_int(const m2_json_t *json, const char *name);

/** The row of a reason by its name; NULL: no request can end with it. */
const m2_reason_t *m2mgw_status_reason(const char *name);

/** Counters by reason, by code from first on; two codes may share a reason. zeros: those that
 *  are 0, too. *ptotal is their sum. */
m2_json_t *m2mgw_status_by_reason(apr_uint64_t *ptotal, apr_pool_t *pool,
                                  const apr_uint64_t *counts, m2_code_t first, int zeros);

#endif /* M2MGW_MEMBER_H */
