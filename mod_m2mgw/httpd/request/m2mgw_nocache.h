/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Keeping mod_cache away from protected responses.
 */
#ifndef M2MGW_NOCACHE_H
#define M2MGW_NOCACHE_H

#include "httpd/request/m2mgw_ctx.h"

/** Have mod_cache, where it is loaded, store nothing of this response. */
void m2mgw_nocache_store(request_rec *r);

void m2mgw_nocache_register(void);

#endif /* M2MGW_NOCACHE_H */
