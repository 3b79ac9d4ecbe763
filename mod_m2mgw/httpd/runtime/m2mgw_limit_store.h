/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The store of limits: open in the parent where some section has limits, used by requests.
 */
#ifndef M2MGW_LIMIT_STORE_H
#define M2MGW_LIMIT_STORE_H

#include "httpd/m2mgw.h"

#include "limit/m2_limit_store.h"

/** Take a request from all of uses (m2_limit_use_t): the first that refuses, or NULL. */
const m2_limit_use_t *m2mgw_limit_store_take(apr_array_header_t *uses);

/** The store; NULL where no section has limits. */
const m2_limit_store_t *m2mgw_limit_store(void);

void m2mgw_limit_store_register(void);

#endif /* M2MGW_LIMIT_STORE_H */
