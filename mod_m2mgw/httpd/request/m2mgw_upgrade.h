/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Requests that httpd answers with 101 to begin them anew in another protocol (h2c).
 */
#ifndef M2MGW_UPGRADE_H
#define M2MGW_UPGRADE_H

#include "httpd/request/m2mgw_ctx.h"

/** Whether httpd's own upgrade handler is about to take r: the same request will come again, as
 *  the first of the new protocol. What is spent for a request is left to that one, and to the
 *  handler stage where r is not taken after all. */
int m2mgw_upgrade_is_due(request_rec *r);

#endif /* M2MGW_UPGRADE_H */
