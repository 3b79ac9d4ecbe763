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

/* a way on from a node along a segment without variables */
typedef struct m2_opliteral_t {
    m2_slice_t text; /* mostly a stretch of a template's text, which is not copied */
    m2_opnode_t *to;
} m2_opliteral_t;

/* a way on from a node along a mixed segment */
typedef struct m2_opmixed_t {
    m2_segment_t segment;
    m2_opnode_t *to;
} m2_opmixed_t;

/* There are about as many as operations, so each counts its own elements instead of having
 * arrays of APR, whose heads are larger than most of these are. */
struct m2_opnode_t {
    m2_opliteral_t *literals;          /* in their order once finished */
    m2_opmixed_t *mixed;               /* heaviest first once finished */
    const m2_operation_t **operations; /* of the place; only in the tree as written */
    const char *written;               /* the first template that ends here; NULL: none does */
    int n_literals, n_mixed, n_operations;
    apr_uint16_t depth, rank;          /* segments down to it; of the last one, lower is better */
    m2_opnode_t *variable, *rest;      /* may be NULL */
    const m2_opnode_t *folded;         /* in the tree as written: its twin in the folded one */
    const m2_opnode_t *parent;
};

typedef struct m2_optree_t {
    m2_opnode_t *root;
    apr_pool_t *pool;          /* that nodes and their edges live in; NULL once finished */
    apr_array_header_t *nodes; /* of m2_opnode_t *, while the table is filled */
} m2_optree_t;

/* where an operation is written */
typedef struct m2_origin_t {
    const char *source; /* NULL: not known */
    int line;           /* 0: likewise */
} m2_origin_t;

struct m2_operations_t {
    apr_pool_t *pool;
    m2_optree_t written, folded;
    int folds; /* some template is another one when folded */
    int n;
    const m2_operation_t **list;
    apr_array_header_t *bare; /* of const char *: templates without a method */

    /* while the table is filled; NULL from then on */
    apr_pool_t *filling;   /* arrays that grow and the like */
    apr_pool_t *folding;   /* the second tree, which may not be needed */
    apr_pool_t *scratch;   /* emptied with each operation */
    apr_hash_t *edges;     /* "node kind shape" -> node */
    apr_hash_t *texts;     /* methods and templates -> the same, kept */
    apr_hash_t *places;    /* template -> const m2_origin_t *: where it is first */
    apr_hash_t *variables; /* names with slashes between them -> const char *const *, kept */
    apr_array_header_t *origins; /* of m2_origin_t, of each operation */
    const char *source;    /* of what is added next, or NULL */
};

/** The operation of a method that ends at node, or NULL. */
const m2_operation_t *m2_opnode_operation(const m2_opnode_t *node, const char *method);

/** The order of a node's literals: the shorter first, which mostly tells them apart. */
int m2_opliteral_order(m2_slice_t a, m2_slice_t b);

/** The order of the shapes of mixed segments: byte by byte. */
int m2_opmixed_order(m2_slice_t a, m2_slice_t b);

#endif /* M2_OPERATION_INT_H */
