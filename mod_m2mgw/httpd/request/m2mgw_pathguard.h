/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MPathGuard: a request whose path a backend could find in other sections than httpd does is
 * refused before any section is applied.
 */
#ifndef M2MGW_PATHGUARD_H
#define M2MGW_PATHGUARD_H

#include "httpd/request/m2mgw_ctx.h"

/** Judge r->uri, unless it has been judged already: DECLINED, or the HTTP status of the refusal,
 *  which is written. To be called again wherever httpd may have given r another path without
 *  a new request_rec. */
int m2mgw_pathguard_judge(request_rec *r);

void m2mgw_pathguard_register(void);

#endif /* M2MGW_PATHGUARD_H */
