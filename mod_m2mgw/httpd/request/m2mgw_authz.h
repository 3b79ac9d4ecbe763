/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `Require m2m-claim` and `Require m2m-scope`.
 */
#ifndef M2MGW_AUTHZ_H
#define M2MGW_AUTHZ_H

#include "httpd/request/m2mgw_ctx.h"

/** The authorization stages (access_checker_ex, auth_checker), run around the modules after this
 *  one, so that a refusal by our providers is answered by this module. */
int m2mgw_authz_userless(request_rec *r);
int m2mgw_authz_user(request_rec *r);

void m2mgw_authz_register(apr_pool_t *pool);

/** Whether a module other than httpd's own takes part in auth_checker. */
int m2mgw_authz_has_others(void);

#endif /* M2MGW_AUTHZ_H */
