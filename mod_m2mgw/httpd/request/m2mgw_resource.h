/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `SetHandler m2m-resource-metadata`: what clients have to know of a protected resource to get
 * a token for it (RFC 9728).
 */
#ifndef M2MGW_RESOURCE_H
#define M2MGW_RESOURCE_H

#include "httpd/request/m2mgw_ctx.h"

void m2mgw_resource_register(void);

#endif /* M2MGW_RESOURCE_H */
