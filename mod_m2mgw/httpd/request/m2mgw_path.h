/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Ambiguous paths, and placeholders in a backend's URL.
 */
#ifndef M2MGW_PATH_H
#define M2MGW_PATH_H

#include "httpd/request/m2mgw_ctx.h"

/** Whether the path of r could mean another path to the backend than to rules, or names a
 *  placeholder that only the administrator may write. */
int m2mgw_path_is_unsafe(const m2mgw_effective_t *effective, request_rec *r);

/** Whether mod_proxy forwards the path as the client wrote it: `nocanon`, `mapping=encoded` or
 *  `[P,NE]`. For a RewriteRule in a directory this is known only from the guard on. */
int m2mgw_path_is_raw(request_rec *r);

void m2mgw_path_register(void);

#endif /* M2MGW_PATH_H */
