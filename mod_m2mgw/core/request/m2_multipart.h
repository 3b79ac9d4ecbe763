/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The names of fields in a multipart body (RFC 7578), as any backend may read them. Nothing is
 * taken out: parsers differ too much in what a part, a header and a quoted string are.
 */
#ifndef M2_MULTIPART_H
#define M2_MULTIPART_H

#include "request/m2_nameset.h"

/** Whether pick takes a field name that a backend could find in body, whatever the boundary is.
 *  What only looks like a parameter `name=` counts too, also within a file. The time it takes is
 *  proportional to body: one of values within values, which would take more, is taken. */
int m2_multipart_has(m2_slice_t body, m2_nameset_pick_fn *pick, const void *baton);

#endif /* M2_MULTIPART_H */
