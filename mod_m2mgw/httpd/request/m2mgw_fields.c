/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Request header fields as lists.
 */
#include "httpd/request/m2mgw_fields.h"

void m2mgw_set_list(request_rec *r, const char *name, const apr_array_header_t *elements,
                    const char *separator)
{
    const apr_size_t gap = strlen(separator);
    apr_size_t size = 1;
    char *value, *at;
    int i;

    for (i = 0; i < elements->nelts; i++) {
        size += APR_ARRAY_IDX(elements, i, m2_slice_t).n + gap;
    }
    at = value = apr_palloc(r->pool, size);
    for (i = 0; i < elements->nelts; i++) {
        const m2_slice_t element = APR_ARRAY_IDX(elements, i, m2_slice_t);

        if (i > 0) {
            memcpy(at, separator, gap);
            at += gap;
        }
        memcpy(at, element.p, element.n);
        at += element.n;
    }
    *at = '\0';
    if (elements->nelts > 0) {
        apr_table_setn(r->headers_in, name, value);
    }
    else {
        apr_table_unset(r->headers_in, name);
    }
}
