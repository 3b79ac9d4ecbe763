/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between the files of m2_openapi: the document that is being read, and its security.
 */
#ifndef M2_OPENAPI_INT_H
#define M2_OPENAPI_INT_H

#include "operation/m2_openapi.h"
#include "plugin/m2_yaml.h"

#include <apr_hash.h>

typedef struct m2_apidoc_t {
    apr_pool_t *pool, *ptemp;
    const m2_node_t *root;
    const m2_openapi_options_t *options;
    m2_openapi_t *api;
    m2_operations_t *table;
    apr_hash_t *schemes;        /* name -> "" for ours, NULL value never: see is_ours */
    apr_hash_t *foreign;        /* name -> "": defined, of another kind; "$ref": of any */
    const m2_node_t *security;  /* of the whole document, NULL for none */
    int is_unstated;            /* some operation states none, nor does the document */
    m2_err_t *err;
    apr_hash_t *ways;           /* text -> array of alternatives that many operations share */
} m2_apidoc_t;

/** The value of a name in a mapping; NULL when it is not there, or map is not a mapping. */
const m2_node_t *m2_apidoc_get(const m2_node_t *map, const char *name);

/** Record a notice at node. */
void m2_apidoc_note(m2_apidoc_t *doc, const m2_node_t *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Find the security schemes and tell ours from the rest. */
m2_code_t m2_apidoc_schemes(m2_apidoc_t *doc);

/**
 * What an operation needs, by its own `security` or the document's: fills is_public and
 * alternatives. at is where a notice belongs.
 */
m2_code_t m2_apidoc_security(m2_operation_t *operation, m2_apidoc_t *doc,
                             const m2_node_t *own, const m2_node_t *at);

#endif /* M2_OPENAPI_INT_H */
