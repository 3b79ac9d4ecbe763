/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A table is filled in a pool of its own, which goes when the table is finished: what is kept
 * is what look-ups need, each text once. The second tree is kept where folding changes a
 * template; elsewhere it is the first.
 */
#include "operation/m2_operation_int.h"

#include "base/m2_pool.h"

#include <stdlib.h>
#include <string.h>

/* --- filling --- */

static m2_opnode_t *make_node(m2_operations_t *table, apr_pool_t *pool)
{
    m2_opnode_t *node = apr_pcalloc(pool, sizeof(*node));

    node->number = table->nodes->nelts;
    node->pool = pool;
    APR_ARRAY_PUSH(table->nodes, m2_opnode_t *) = node;
    APR_ARRAY_PUSH(table->places, m2_origin_t) = (m2_origin_t){ NULL, 0 };
    return node;
}

m2_operations_t *m2_operations_make(apr_pool_t *pool)
{
    m2_operations_t *table = apr_pcalloc(pool, sizeof(*table));

    table->pool = pool;
    table->filling = m2_pool_own(pool);
    table->folding = m2_pool_own(pool);
    apr_pool_create(&table->scratch, table->filling);
    table->edges = apr_hash_make(table->filling);
    table->methods = apr_hash_make(table->filling);
    table->list = apr_array_make(table->filling, 16, sizeof(const m2_operation_t *));
    table->bare = apr_array_make(table->filling, 1, sizeof(const char *));
    table->nodes = apr_array_make(table->filling, 16, sizeof(m2_opnode_t *));
    table->places = apr_array_make(table->filling, 16, sizeof(m2_origin_t));
    table->origins = apr_array_make(table->filling, 16, sizeof(m2_origin_t));
    table->written = make_node(table, pool);
    table->folded = make_node(table, table->folding);
    return table;
}

/* a segment that outlives its template; a literal is its shape */
static void keep_segment(m2_segment_t *to, apr_pool_t *pool, const m2_segment_t *from)
{
    int i;

    *to = *from;
    to->shape = m2_slice(apr_pstrmemdup(pool, from->shape.p, from->shape.n), from->shape.n);
    to->literals = NULL;
    if (from->kind == M2_SEGMENT_MIXED) {
        to->literals = apr_palloc(pool, (apr_size_t)(from->variables + 1) * sizeof(m2_slice_t));
        for (i = 0; i <= from->variables; i++) {
            const m2_slice_t literal = from->literals[i];

            to->literals[i] = m2_slice(apr_pstrmemdup(pool, literal.p, literal.n), literal.n);
        }
    }
}

static void add_edge(apr_array_header_t **plist, m2_operations_t *table,
                     const m2_segment_t *segment, m2_opnode_t *to)
{
    m2_opedge_t *edge;

    *plist = *plist ? *plist : apr_array_make(table->filling, 1, sizeof(m2_opedge_t));
    edge = apr_array_push(*plist);
    keep_segment(&edge->segment, to->pool, segment);
    edge->to = to;
}

/* the place of a segment among those that match: its kind, then its literal bytes */
static int rank_of(const m2_segment_t *segment)
{
    return (int)segment->kind * 2 * M2_MAX_OPERATION_TEMPLATE -
           (segment->kind == M2_SEGMENT_MIXED ? (int)segment->weight : 0);
}

static void link_node(m2_operations_t *table, m2_opnode_t *node, const m2_segment_t *segment,
                      m2_opnode_t *to)
{
    switch (segment->kind) {
    case M2_SEGMENT_LITERAL:
        add_edge(&node->literals, table, segment, to);
        break;
    case M2_SEGMENT_MIXED:
        add_edge(&node->mixed, table, segment, to);
        break;
    case M2_SEGMENT_VARIABLE:
        node->variable = to;
        break;
    case M2_SEGMENT_REST:
        node->rest = to;
        break;
    }
}

/* the node that a segment leads to, made if absent */
static m2_opnode_t *step(m2_operations_t *table, m2_opnode_t *node, const m2_segment_t *segment)
{
    const char *key = apr_psprintf(table->scratch, "%d %d %s", node->number, segment->kind,
                                   segment->shape.p);
    m2_opnode_t *to = apr_hash_get(table->edges, key, APR_HASH_KEY_STRING);

    if (!to) {
        to = make_node(table, node->pool);
        to->parent = node;
        to->depth = node->depth + 1;
        to->rank = rank_of(segment);
        link_node(table, node, segment, to);
        apr_hash_set(table->edges, apr_pstrdup(table->filling, key), APR_HASH_KEY_STRING, to);
    }
    return to;
}

static m2_opnode_t *grow(m2_operations_t *table, m2_opnode_t *node,
                         const m2_operation_path_t *path)
{
    int i;

    for (i = 0; i < path->segments->nelts; i++) {
        node = step(table, node, &APR_ARRAY_IDX(path->segments, i, m2_segment_t));
    }
    return node;
}

/* The name of its file only if it is another one. */
static const char *text_of(m2_operations_t *table, const m2_origin_t *origin)
{
    const int elsewhere = origin->source && table->source
                          && !m2_slice_is(m2_slice_z(origin->source), table->source);

    return origin->line ? apr_psprintf(table->scratch, " (line %d%s%s)", origin->line,
                                       elsewhere ? " of " : "", elsewhere ? origin->source : "")
                        : "";
}

/* a template that ends at node already must be the same text */
static m2_code_t check_place(m2_operations_t *table, const m2_opnode_t *node,
                             const char *written, m2_err_t *err)
{
    return !node->operations || m2_slice_is(m2_slice_z(node->written), written)
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "\"%s\" equals \"%s\"%s but for names of "
                            "variables", written, node->written,
                            text_of(table, &APR_ARRAY_IDX(table->places, node->number,
                                                          m2_origin_t)));
}

/* whether all names differ */
static int names_are_distinct(const m2_operation_path_t *path)
{
    int i, j;

    for (i = 0; i < path->names->nelts; i++) {
        for (j = 0; j < i; j++) {
            if (m2_slice_is(m2_slice_z(APR_ARRAY_IDX(path->names, i, const char *)),
                            APR_ARRAY_IDX(path->names, j, const char *))) {
                return 0;
            }
        }
    }
    return 1;
}

static const char *const *names_of(apr_pool_t *pool, const m2_operation_path_t *path)
{
    const char **names = apr_pcalloc(pool, (apr_size_t)(path->names->nelts + 1) *
                                               sizeof(*names));
    int i;

    for (i = 0; i < path->names->nelts; i++) {
        names[i] = apr_pstrdup(pool, APR_ARRAY_IDX(path->names, i, const char *));
    }
    return names;
}

/* A template ends at node from now on, with a method or without. */
static void open_place(m2_operations_t *table, m2_opnode_t *node, const char *written, int line)
{
    if (!node->operations) {
        node->operations = apr_array_make(table->filling, 1, sizeof(const m2_operation_t *));
        node->written = written;
        APR_ARRAY_IDX(table->places, node->number, m2_origin_t) =
            (m2_origin_t){ table->source, line };
    }
}

static const char *method_of(m2_operations_t *table, const char *method)
{
    const char *kept = apr_hash_get(table->methods, method, APR_HASH_KEY_STRING);

    if (!kept) {
        kept = apr_pstrdup(table->pool, method);
        apr_hash_set(table->methods, kept, APR_HASH_KEY_STRING, kept);
    }
    return kept;
}

/* The operations of a template share its text and the names of its variables. */
static m2_operation_t *keep(m2_operations_t *table, const m2_operation_t *from,
                            const m2_opnode_t *node, const char *base,
                            const m2_operation_path_t *path)
{
    m2_operation_t *op = apr_pmemdup(table->pool, from, sizeof(*from));

    op->method = method_of(table, from->method);
    op->written = node->written;
    op->path = node->written + strlen(base);
    op->name = from->name ? apr_pstrdup(table->pool, from->name)
                          : apr_pstrcat(table->pool, op->method, " ", op->path, NULL);
    op->variables = node->operations->nelts
                        ? APR_ARRAY_IDX(node->operations, 0, const m2_operation_t *)->variables
                        : names_of(table->pool, path);
    op->number = table->list->nelts;
    return op;
}

static int is_folded(const m2_operation_path_t *path, const m2_operation_path_t *folded)
{
    int i;

    for (i = 0; i < path->segments->nelts; i++) {
        if (path->segments->nelts != folded->segments->nelts
            || !m2_slice_eq(APR_ARRAY_IDX(path->segments, i, m2_segment_t).shape,
                            APR_ARRAY_IDX(folded->segments, i, m2_segment_t).shape)) {
            return 0;
        }
    }
    return 1;
}

/* The place of a template, in both trees; path is what it consists of, in scratch. */
static m2_code_t make_place(m2_opnode_t **pnode, m2_operation_path_t *path,
                            m2_operations_t *table, const char *written, int line,
                            m2_err_t *err)
{
    m2_operation_path_t folded;
    m2_opnode_t *node, *twin;
    m2_code_t code;

    code = m2_operation_path_read(path, table->scratch, written, 0, err);
    code = code ? code : m2_operation_path_read(&folded, table->scratch, written, 1, err);
    if (!code && !names_are_distinct(path)) {
        code = m2_err_set(err, M2_E_CONFIG, "\"%s\" names a variable twice", written);
    }
    if (code) {
        return code;
    }
    *pnode = node = grow(table, table->written, path);
    code = check_place(table, node, written, err);
    if (code == M2_OK && !node->operations) {
        open_place(table, node, apr_pstrdup(table->pool, written), line);
        node->folded = twin = grow(table, table->folded, &folded);
        open_place(table, twin, node->written, line);
        table->folds |= !is_folded(path, &folded);
    }
    return code;
}

static m2_code_t add(m2_operations_t *table, const char *base, int line,
                     const m2_operation_t *operation, m2_err_t *err)
{
    const char *written = apr_pstrcat(table->scratch, base, operation->path, NULL);
    m2_operation_path_t path;
    const m2_operation_t *op, *there;
    m2_opnode_t *node;
    m2_code_t code = make_place(&node, &path, table, written, line, err);

    if (code || !operation->method) {
        return code;
    }
    there = m2_opnode_operation(node, operation->method);
    if (there) {
        return m2_err_set(err, M2_E_CONFIG, "%s %s is there already%s", operation->method,
                          written, text_of(table, &APR_ARRAY_IDX(table->origins, there->number,
                                                                 m2_origin_t)));
    }
    op = keep(table, operation, node, base, &path);
    APR_ARRAY_PUSH(node->operations, const m2_operation_t *) = op;
    APR_ARRAY_PUSH(table->list, const m2_operation_t *) = op;
    APR_ARRAY_PUSH(table->origins, m2_origin_t) = (m2_origin_t){ table->source, line };
    return M2_OK;
}

void m2_operations_source(m2_operations_t *table, const char *source)
{
    table->source = source;
}

m2_code_t m2_operations_add(m2_operations_t *table, const char *base, int line,
                            const m2_operation_t *operation, m2_err_t *err)
{
    m2_code_t code;

    if (table->list->nelts >= M2_MAX_OPERATIONS) {
        return m2_err_set(err, M2_E_CONFIG, "more than %d operations", M2_MAX_OPERATIONS);
    }
    code = add(table, base, line, operation, err);
    apr_pool_clear(table->scratch);
    return code;
}

/* --- finishing --- */

static int by_weight(const void *a, const void *b)
{
    const apr_size_t x = ((const m2_opedge_t *)a)->segment.weight;
    const apr_size_t y = ((const m2_opedge_t *)b)->segment.weight;

    return x == y ? m2_opedge_order(a, b) : x < y ? 1 : -1;
}

/* An array in pool, of just its size; NULL for NULL. */
static apr_array_header_t *settled(apr_pool_t *pool, const apr_array_header_t *array)
{
    apr_array_header_t *copy =
        array ? apr_array_make(pool, array->nelts, array->elt_size) : NULL;

    if (copy) {
        apr_array_cat(copy, array);
    }
    return copy;
}

static apr_array_header_t *sorted(apr_pool_t *pool, const apr_array_header_t *edges,
                                  int (*order)(const void *, const void *))
{
    apr_array_header_t *copy = settled(pool, edges);

    if (copy) {
        qsort(copy->elts, (apr_size_t)copy->nelts, sizeof(m2_opedge_t), order);
    }
    return copy;
}

/* templates as written that became one when folded */
static void note_alike(const m2_operations_t *table, const m2_opnode_t *node,
                       apr_array_header_t *notices)
{
    if (node->folded && !m2_slice_is(m2_slice_z(node->folded->written), node->written)) {
        APR_ARRAY_PUSH(notices, const char *) =
            apr_psprintf(table->pool, "\"%s\" and \"%s\" differ only in case or in a slash at "
                         "the end; requests for either are judged as one when read as a "
                         "lenient backend reads them", node->folded->written, node->written);
    }
}

static int is_bare(const m2_operations_t *table, const m2_opnode_t *node)
{
    return node->pool == table->pool && node->operations && !node->operations->nelts;
}

static void finish_node(m2_operations_t *table, m2_opnode_t *node, apr_array_header_t *notices)
{
    if (notices) {
        note_alike(table, node, notices);
    }
    if (is_bare(table, node)) {
        APR_ARRAY_PUSH(table->bare, const char *) = node->written;
    }
    if (!table->folds && node->pool == table->folding) {
        return;
    }
    node->literals = sorted(node->pool, node->literals, m2_opedge_order);
    node->mixed = sorted(node->pool, node->mixed, by_weight);
    node->operations = settled(node->pool, node->operations);
    if (!table->folds) {
        node->folded = node;
    }
}

void m2_operations_finish(m2_operations_t *table, apr_array_header_t *notices)
{
    int i;

    for (i = 0; i < table->nodes->nelts; i++) {
        finish_node(table, APR_ARRAY_IDX(table->nodes, i, m2_opnode_t *), notices);
    }
    table->list = settled(table->pool, table->list);
    table->bare = settled(table->pool, table->bare);
    if (!table->folds) {
        table->folded = table->written;
        apr_pool_destroy(table->folding);
    }
    apr_pool_destroy(table->filling);
    table->filling = table->folding = table->scratch = NULL;
    table->edges = table->methods = NULL;
    table->source = NULL;
    table->nodes = table->places = table->origins = NULL;
}
