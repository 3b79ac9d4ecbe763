/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Requests in which a framework might read another method, where the method decides.
 */
#ifndef M2MGW_METHOD_H
#define M2MGW_METHOD_H

#include "httpd/request/m2mgw_ctx.h"

/**
 * Where operations are in force, or a rule, a limit or the expression of an <If> with directives
 * of ours reads the method, whether anything is in force or not: take out of r what
 * frameworks take a method from (headers, and the parameters of M2MMethodParameter in the query
 * and in the body of a POST). M2_E_RULE_ERROR where it named another method than the request's,
 * or a fault of the body that was read for it.
 */
m2_code_t m2mgw_method_guard(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

void m2mgw_method_register(apr_pool_t *pool);

#endif /* M2MGW_METHOD_H */
