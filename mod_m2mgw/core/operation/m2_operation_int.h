/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between the files of m2_operation: the trees of segments, and the table while it is filled.
 */
#ifndef M2_OPERATION_INT_H
#define M2_OPERATION_INT_H

#include "operation/m2_operation.h"
#include "operation/m2_operation_path.h"

#include <apr_hash.h>

typedef struct m2_opnode_t m2_opnode_t;

/* a way on from a node */
typedef struct m2_opedge_t {
    m2_segment_t segment;
    m2_opnode_t *to;
} m2_opedge_t;

struct m2_opnode_t {
    apr_array_header_t *literals; /* of m2_opedge_t, sorted by shape once finished; may be NULL */
    apr_array_header_t *mixed;    /* of m2_opedge_t, heaviest first once finished; may be NULL */
    m2_opnode_t *variable, *rest;      /* may be NULL */
    apr_array_header_t *operations; /* of const m2_operation_t *; empty: no method is described;
                                       NULL: no template ends here */
    const char *written;          /* the first template that ends here */
    const m2_opnode_t *folded;         /* in the tree as written: its twin in the folded one */
    int number;
    int depth, rank;              /* segments down to it; of the last one, lower is better */
    const m2_opnode_t *parent;
    apr_pool_t *pool;             /* that it and its edges live in */
};

/* where an operation is written */
typedef struct m2_origin_t {
    const char *source; /* NULL: not known */
    int line;           /* 0: likewise */
} m2_origin_t;

struct m2_operations_t {
    apr_pool_t *pool;
    m2_opnode_t *written, *folded;
    int folds; /* some template is another one when folded */
    apr_array_header_t *list; /* of const m2_operation_t * */
    apr_array_header_t *bare; /* of const char *: templates without a method */

    /* while the table is filled; NULL from then on */
    apr_pool_t *filling;  /* arrays that grow and the like */
    apr_pool_t *folding;  /* the second tree, which may not be needed */
    apr_pool_t *scratch;  /* emptied with each operation */
    apr_hash_t *edges;    /* "node kind shape" -> node */
    apr_hash_t *methods;  /* text -> the same */
    apr_array_header_t *nodes; /* of m2_opnode_t * */
    apr_array_header_t *places;  /* of m2_origin_t: by number, where a node's template is first */
    apr_array_header_t *origins; /* of m2_origin_t, of each operation */
    const char *source;   /* of what is added next, or NULL */
};

/** The operation of a method that ends at node, or NULL. */
const m2_operation_t *m2_opnode_operation(const m2_opnode_t *node, const char *method);

/** The order of two literal edges: of their shapes, byte by byte. */
int m2_opedge_order(const void *a, const void *b);

#endif /* M2_OPERATION_INT_H */
