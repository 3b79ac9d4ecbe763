/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What else in a request may override its method.
 */
#ifndef M2_METHOD_H
#define M2_METHOD_H

#include "request/m2_nameset.h"

/** Whether a header field, in whatever spelling, is one that frameworks take a method from. */
int m2_method_is_override(const char *header);

/** Whether value, as written in a header, names another method: case is ignored, and an empty
 *  value names no method. */
int m2_method_differs(m2_slice_t value, const char *method);

/** Whether a pair of urlencoded text whose name is in names has a value that names another
 *  method. text may be NULL. */
int m2_method_differs_in(apr_pool_t *pool, const char *text, const m2_nameset_t *names,
                         const char *method);

/** Whether a method is a registered one in other letters: some backends take it for that one
 *  (RFC 9110 9.1 says that it is not). */
int m2_method_is_respelled(const char *method);

#endif /* M2_METHOD_H */
