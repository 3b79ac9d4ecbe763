/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Operations in the status document.
 */
#ifndef M2MGW_OPERATIONS_LIST_H
#define M2MGW_OPERATIONS_LIST_H

#include "httpd/m2mgw.h"

#include "text/m2_json.h"

/** Add `operations` to a document: a row for each that requests have met, made in pool. */
void m2mgw_operations_list(m2_json_t *document, apr_pool_t *pool);

#endif /* M2MGW_OPERATIONS_LIST_H */
