/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A YAML 1.1 or JSON document as a tree whose every node knows its line and column, and
 * reading a mapping by a table of its fields. A script is an administrator's text, read at
 * start; its tree lives as long as the temporary pool it was read into.
 */
#ifndef M2_YAML_H
#define M2_YAML_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef enum m2_node_type_t { /* ORDER NODE: words in m2_yaml.c */
    M2_NODE_NULL,
    M2_NODE_BOOL,
    M2_NODE_INT,
    M2_NODE_REAL,
    M2_NODE_STRING,
    M2_NODE_LIST,
    M2_NODE_MAP
} m2_node_type_t;

typedef struct m2_node_t m2_node_t;
struct m2_node_t {
    m2_node_type_t type;
    const char *text;          /* scalars, as it is meant; never holds a NUL */
    int truth;                 /* value of a M2_NODE_BOOL */
    int line, column;          /* 1-based; column in characters */
    int height;                /* levels from here down, 1 for a scalar */
    apr_size_t weight;         /* nodes from here down, what aliases repeat counted again */
    apr_array_header_t *items; /* of m2_node_t *: elements, or names and values in turn */
};

/* sets of node types that a field may have */
#define M2_WANT(type) (1u << (type))
#define M2_WANT_STRING M2_WANT(M2_NODE_STRING)
#define M2_WANT_NAME (M2_WANT_STRING | M2_WANT(M2_NODE_INT)) /* `kid: 7` means "7" */
#define M2_WANT_TEXT (M2_WANT_NAME | M2_WANT(M2_NODE_REAL) | M2_WANT(M2_NODE_BOOL))
#define M2_WANT_BOOL M2_WANT(M2_NODE_BOOL)
#define M2_WANT_INT M2_WANT(M2_NODE_INT)
#define M2_WANT_LIST M2_WANT(M2_NODE_LIST)
#define M2_WANT_MAP M2_WANT(M2_NODE_MAP)

/* one field of a mapping */
typedef struct m2_field_t {
    const char *name;        /* NULL ends a table; its instead is a hint for unknown names */
    unsigned want;           /* 0: known to the gateway, not supported here */
    apr_size_t slot;         /* offsetof a const m2_node_t * in the struct that is filled */
    const char *instead;     /* of a field that is not supported: what to do */
} m2_field_t;

/** Record a fault at a node, "origin" of line and column. Returns M2_E_CONFIG. */
m2_code_t m2_node_fault(const m2_node_t *node, m2_err_t *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** A fault that another unit found in what node says, with node's place. what names the
 *  part, e.g. "rule x: condition". */
m2_code_t m2_node_fault_of(const m2_node_t *node, const char *what, const m2_err_t *cause,
                           m2_err_t *err);

/** M2_OK when node has one of the wanted types; what names it in the fault. */
m2_code_t m2_node_want(const m2_node_t *node, unsigned want, const char *what,
                       m2_err_t *err);

/** Number of elements of a list, or of pairs of a mapping. */
int m2_node_count(const m2_node_t *node);
/** The i-th of them, from 0 to m2_node_count - 1: an element, or name and value of a pair. */
const m2_node_t *m2_node_at(const m2_node_t *list, int i);
const m2_node_t *m2_node_name_at(const m2_node_t *map, int i);
const m2_node_t *m2_node_value_at(const m2_node_t *map, int i);

/** Store the values of a mapping's fields into the slots of a struct, which the caller
 *  zeroed. what names the mapping in faults. Unknown fields, types that do not fit and
 *  unsupported fields are faults. */
m2_code_t m2_node_fields(void *slots, const m2_node_t *map, const char *what,
                         const m2_field_t *fields, m2_err_t *err);

/* what a document may be */
typedef struct m2_node_limits_t {
    apr_size_t bytes;  /* of the text */
    int depth;         /* levels */
    apr_size_t weight; /* nodes, those that aliases repeat counted again; 0: no aliases */
} m2_node_limits_t;

/** Read text, one YAML 1.1 (or JSON) document, into a tree in pool. An alias shares the node
 *  of its anchor; merge keys are refused whatever the limits are. */
m2_code_t m2_node_read_within(const m2_node_t **pnode, apr_pool_t *pool, m2_slice_t text,
                              const m2_node_limits_t *limits, m2_err_t *err);

/** m2_node_read_within for a plugin script: M2_MAX_PLUGIN_BYTES, M2_MAX_JSON_DEPTH, no aliases. */
m2_code_t m2_node_read(const m2_node_t **pnode, apr_pool_t *pool, m2_slice_t text,
                       m2_err_t *err);

#endif /* M2_YAML_H */
