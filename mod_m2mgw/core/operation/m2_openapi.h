/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * An API's own description -> operations. Reads OpenAPI 3.0, OpenAPI 3.1 and Swagger 2.0, as
 * YAML or JSON. Decides which operations there are, which need no token and which scopes
 * suffice. Fetches nothing: only references within the document are followed, and those only
 * from path items.
 *
 * Specifications: OpenAPI 3.0.4 and 3.1.1, 4.8 "Schema"; Swagger 2.0.
 */
#ifndef M2_OPENAPI_H
#define M2_OPENAPI_H

#include "operation/m2_operation.h"

#define M2_MAX_OPENAPI_BYTES (32 * 1024 * 1024)
#define M2_MAX_OPENAPI_DEPTH 64
#define M2_MAX_OPENAPI_NODES (16 * 1024 * 1024) /* with what aliases repeat */

/* how a document is to be read */
typedef struct m2_openapi_options_t {
    const char *base;                  /* NULL: of the document's first server */
    const apr_array_header_t *schemes; /* of const char *: which are ours; NULL: by their kind */
} m2_openapi_options_t;

typedef struct m2_openapi_t {
    const char *base;            /* no slash at its end; "" for none */
    apr_array_header_t *notices; /* of const char *: what an operator should know */
    apr_array_header_t *ignored; /* of const char *: extensions that say nothing here */
} m2_openapi_t;

/** Whether text is a YAML or JSON document that says at its top that it is one of these. */
int m2_openapi_is(apr_pool_t *ptemp, m2_slice_t text);

/**
 * Add the operations of a document to a table that is not finished. What is kept lives in
 * pool, the document's tree in ptemp. M2_E_CONFIG with line and column in err.
 */
m2_code_t m2_openapi_read(m2_openapi_t **papi, m2_operations_t *table, apr_pool_t *pool,
                          apr_pool_t *ptemp, m2_slice_t text,
                          const m2_openapi_options_t *options, m2_err_t *err);

#endif /* M2_OPENAPI_H */
