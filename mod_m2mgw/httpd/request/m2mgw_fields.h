/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Request header fields as lists.
 */
#ifndef M2MGW_FIELDS_H
#define M2MGW_FIELDS_H

#include "base/m2_slice.h"

#include <httpd.h>

/** Set a request header to elements (m2_slice_t) with separator between them, or unset it
 *  when there are none. */
void m2mgw_set_list(request_rec *r, const char *name, const apr_array_header_t *elements,
                    const char *separator);

#endif /* M2MGW_FIELDS_H */
