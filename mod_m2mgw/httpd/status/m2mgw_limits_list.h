/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Limits in the status document.
 */
#ifndef M2MGW_LIMITS_LIST_H
#define M2MGW_LIMITS_LIST_H

#include "httpd/m2mgw.h"

#include "text/m2_json.h"

/** Add `limits`, and how many slots of the store are used, to a document; made in pool. */
void m2mgw_limits_list(m2_json_t *document, apr_pool_t *pool);

#endif /* M2MGW_LIMITS_LIST_H */
