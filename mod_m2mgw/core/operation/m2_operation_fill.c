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

/* Room for one more behind n elements in pool, which doubles where n is a power of two. */
static void *grown(apr_pool_t *pool, const void *elements, int n, apr_size_t size)
{
    void *more = (void *)(apr_uintptr_t)elements;

    if (!(n & (n - 1))) {
        more = apr_palloc(pool, (n ? 2 * (apr_size_t)n : 1) * size);
        if (n) {
            memcpy(more, elements, (apr_size_t)n * size);
        }
    }
    return more;
}

static m2_opnode_t *make_node(m2_optree_t *tree)
{
    m2_opnode_t *node = apr_pcalloc(tree->pool, sizeof(*node));

    APR_ARRAY_PUSH(tree->nodes, m2_opnode_t *) = node;
    return node;
}

static void make_tree(m2_optree_t *tree, apr_pool_t *pool, apr_pool_t *filling)
{
    tree->pool = pool;
    tree->nodes = apr_array_make(filling, 16, sizeof(m2_opnode_t *));
    tree->root = make_node(tree);
}

m2_operations_t *m2_operations_make(apr_pool_t *pool)
{
    m2_operations_t *table = apr_pcalloc(pool, sizeof(*table));

    table->pool = pool;
    table->filling = m2_pool_own(pool);
    table->folding = m2_pool_own(pool);
    apr_pool_create(&table->scratch, table->filling);
    table->edges = apr_hash_make(table->filling);
    table->texts = apr_hash_make(table->filling);
    table->variables = apr_hash_make(table->filling);
    table->places = apr_hash_make(table->filling);
    table->origins = apr_array_make(table->filling, 16, sizeof(m2_origin_t));
    table->bare = apr_array_make(table->filling, 1, sizeof(const char *));
    make_tree(&table->written, pool, table->filling);
    make_tree(&table->folded, table->folding, table->filling);
    return table;
}

/* A mixed segment that outlives its template. */
static void keep_segment(m2_segment_t *to, apr_pool_t *pool, const m2_segment_t *from)
{
    int i;

    *to = *from;
    to->shape = m2_slice(apr_pstrmemdup(pool, from->shape.p, from->shape.n), from->shape.n);
    to->literals = apr_palloc(pool, (apr_size_t)(from->variables + 1) * sizeof(m2_slice_t));
    for (i = 0; i <= from->variables; i++) {
        const m2_slice_t literal = from->literals[i];

        to->literals[i] = m2_slice(apr_pstrmemdup(pool, literal.p, literal.n), literal.n);
    }
}

/* A literal that outlives its template, whose kept text holds it unless it was decoded. */
static m2_slice_t keep_literal(apr_pool_t *pool, m2_slice_t literal, const char *written)
{
    const char *there = memmem(written, strlen(written), literal.p, literal.n);

    return m2_slice(there ? there : apr_pstrmemdup(pool, literal.p, literal.n), literal.n);
}

/* the place of a segment among those that match: its kind, then its literal bytes */
static apr_uint16_t rank_of(const m2_segment_t *segment)
{
    _Static_assert(M2_SEGMENT_REST * 2 * M2_MAX_OPERATION_TEMPLATE <= 0xffff, "a rank fits");
    return (apr_uint16_t)(segment->kind * 2 * M2_MAX_OPERATION_TEMPLATE
                          - (segment->kind == M2_SEGMENT_MIXED ? segment->weight : 0));
}

static void link_node(m2_operations_t *table, const m2_optree_t *tree, m2_opnode_t *node,
                      const m2_segment_t *segment, const char *written, m2_opnode_t *to)
{
    m2_opliteral_t *literal;
    m2_opmixed_t *mixed;

    switch (segment->kind) {
    case M2_SEGMENT_LITERAL:
        node->literals = grown(table->filling, node->literals, node->n_literals,
                               sizeof(*node->literals));
        literal = &node->literals[node->n_literals++];
        literal->text = keep_literal(tree->pool, segment->shape, written);
        literal->to = to;
        break;
    case M2_SEGMENT_MIXED:
        node->mixed = grown(table->filling, node->mixed, node->n_mixed, sizeof(*node->mixed));
        mixed = &node->mixed[node->n_mixed++];
        keep_segment(&mixed->segment, tree->pool, segment);
        mixed->to = to;
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
static m2_opnode_t *step(m2_operations_t *table, m2_optree_t *tree, m2_opnode_t *node,
                         const m2_segment_t *segment, const char *written)
{
    const char *key = apr_psprintf(table->scratch, "%pp %d %s", (void *)node, segment->kind,
                                   segment->shape.p);
    m2_opnode_t *to = apr_hash_get(table->edges, key, APR_HASH_KEY_STRING);

    if (!to) {
        to = make_node(tree);
        to->parent = node;
        to->depth = (apr_uint16_t)(node->depth + 1);
        to->rank = rank_of(segment);
        link_node(table, tree, node, segment, written, to);
        apr_hash_set(table->edges, apr_pstrdup(table->filling, key), APR_HASH_KEY_STRING, to);
    }
    return to;
}

/* The node where a template ends; written is its text, kept. */
static m2_opnode_t *grow(m2_operations_t *table, m2_optree_t *tree,
                         const m2_operation_path_t *path, const char *written)
{
    m2_opnode_t *node = tree->root;
    int i;

    for (i = 0; i < path->segments->nelts; i++) {
        node = step(table, tree, node, &APR_ARRAY_IDX(path->segments, i, m2_segment_t), written);
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
    return !node->written || m2_slice_is(m2_slice_z(node->written), written)
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "\"%s\" equals \"%s\"%s but for names of "
                            "variables", written, node->written,
                            text_of(table, apr_hash_get(table->places, node->written,
                                                        APR_HASH_KEY_STRING)));
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

/* The names of a template's variables, once for all templates that have the same. */
static const char *const *names_of(m2_operations_t *table, const m2_operation_path_t *path)
{
    const char *key = apr_array_pstrcat(table->scratch, path->names, '/'); /* none holds one */
    const char **names = apr_hash_get(table->variables, key, APR_HASH_KEY_STRING);
    int i;

    if (!names) {
        names = apr_pcalloc(table->pool, (apr_size_t)(path->names->nelts + 1) * sizeof(*names));
        for (i = 0; i < path->names->nelts; i++) {
            names[i] = apr_pstrdup(table->pool, APR_ARRAY_IDX(path->names, i, const char *));
        }
        apr_hash_set(table->variables, apr_pstrdup(table->filling, key), APR_HASH_KEY_STRING,
                     names);
    }
    return names;
}

/* A text of which the table keeps one copy: a method, or a template. */
static const char *kept(m2_operations_t *table, const char *text)
{
    const char *copy = apr_hash_get(table->texts, text, APR_HASH_KEY_STRING);

    if (!copy) {
        copy = apr_pstrdup(table->pool, text);
        apr_hash_set(table->texts, copy, APR_HASH_KEY_STRING, copy);
    }
    return copy;
}

static m2_operation_t *keep(m2_operations_t *table, const m2_operation_t *from, const char *base,
                            const char *written, const m2_operation_path_t *path)
{
    m2_operation_t *op = apr_pmemdup(table->pool, from, sizeof(*from));

    op->method = kept(table, from->method);
    op->written = written;
    op->path = written + strlen(base);
    op->name = from->name ? apr_pstrdup(table->pool, from->name)
                          : apr_pstrcat(table->pool, op->method, " ", op->path, NULL);
    op->variables = names_of(table, path);
    op->number = table->n;
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

/* A template ends at node from now on, with a method or without. */
static void open_place(m2_operations_t *table, m2_opnode_t *node, const char *written, int line,
                       const m2_operation_path_t *path, const m2_operation_path_t *folded)
{
    const m2_origin_t origin = { table->source, line };
    m2_opnode_t *twin = grow(table, &table->folded, folded, written);

    node->written = written;
    node->folded = twin;
    twin->written = twin->written ? twin->written : written;
    table->folds |= !is_folded(path, folded);
    apr_hash_set(table->places, written, APR_HASH_KEY_STRING,
                 apr_pmemdup(table->filling, &origin, sizeof(origin)));
}

/* The place of a template, in both trees; path is what it consists of, in scratch. */
static m2_code_t make_place(m2_opnode_t **pnode, m2_operation_path_t *path,
                            m2_operations_t *table, const char *written, int line,
                            m2_err_t *err)
{
    m2_operation_path_t folded;
    m2_code_t code;

    code = m2_operation_path_read(path, table->scratch, written, 0, err);
    code = code ? code : m2_operation_path_read(&folded, table->scratch, written, 1, err);
    if (!code && !names_are_distinct(path)) {
        code = m2_err_set(err, M2_E_CONFIG, "\"%s\" names a variable twice", written);
    }
    if (code) {
        return code;
    }
    written = kept(table, written);
    *pnode = grow(table, &table->written, path, written);
    code = check_place(table, *pnode, written, err);
    if (!code && !(*pnode)->written) {
        open_place(table, *pnode, written, line, path, &folded);
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
    op = keep(table, operation, base, node->written, &path);
    node->operations = grown(table->filling, node->operations, node->n_operations,
                             sizeof(*node->operations));
    node->operations[node->n_operations++] = op;
    table->list = grown(table->filling, table->list, table->n++, sizeof(*table->list));
    table->list[op->number] = op;
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

    if (table->n >= M2_MAX_OPERATIONS) {
        return m2_err_set(err, M2_E_CONFIG, "more than %d operations", M2_MAX_OPERATIONS);
    }
    code = add(table, base, line, operation, err);
    apr_pool_clear(table->scratch);
    return code;
}

/* --- finishing --- */

static int by_order(const void *a, const void *b)
{
    return m2_opliteral_order(((const m2_opliteral_t *)a)->text,
                              ((const m2_opliteral_t *)b)->text);
}

static int by_weight(const void *a, const void *b)
{
    const m2_segment_t *x = &((const m2_opmixed_t *)a)->segment;
    const m2_segment_t *y = &((const m2_opmixed_t *)b)->segment;

    return x->weight == y->weight ? m2_opmixed_order(x->shape, y->shape)
           : x->weight < y->weight ? 1
                                   : -1;
}

/* A copy in pool, of just its size, sorted where an order is given; NULL for NULL. */
static void *settled(apr_pool_t *pool, const void *elements, int n, apr_size_t size,
                     int (*order)(const void *, const void *))
{
    void *copy = n ? apr_pmemdup(pool, elements, (apr_size_t)n * size) : NULL;

    if (copy && order) {
        qsort(copy, (apr_size_t)n, size, order);
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

static void settle(m2_opnode_t *node, apr_pool_t *pool)
{
    node->literals = settled(pool, node->literals, node->n_literals, sizeof(*node->literals),
                             by_order);
    node->mixed = settled(pool, node->mixed, node->n_mixed, sizeof(*node->mixed), by_weight);
    node->operations = settled(pool, node->operations, node->n_operations,
                               sizeof(*node->operations), NULL);
}

static void finish_tree(m2_optree_t *tree)
{
    int i;

    for (i = 0; i < tree->nodes->nelts; i++) {
        settle(APR_ARRAY_IDX(tree->nodes, i, m2_opnode_t *), tree->pool);
    }
    tree->nodes = NULL;
    tree->pool = NULL;
}

void m2_operations_finish(m2_operations_t *table, apr_array_header_t *notices)
{
    const apr_array_header_t *nodes = table->written.nodes;
    apr_array_header_t *bare;
    int i;

    for (i = 0; i < nodes->nelts; i++) {
        m2_opnode_t *node = APR_ARRAY_IDX(nodes, i, m2_opnode_t *);

        if (notices) {
            note_alike(table, node, notices);
        }
        if (node->written && !node->n_operations) {
            APR_ARRAY_PUSH(table->bare, const char *) = node->written;
        }
        if (!table->folds) {
            node->folded = node;
        }
    }
    finish_tree(&table->written);
    if (table->folds) {
        finish_tree(&table->folded);
    }
    else {
        table->folded = table->written;
        apr_pool_destroy(table->folding);
    }
    bare = apr_array_make(table->pool, table->bare->nelts, sizeof(const char *));
    apr_array_cat(bare, table->bare);
    table->bare = bare;
    table->list = settled(table->pool, table->list, table->n, sizeof(*table->list), NULL);
    apr_pool_destroy(table->filling);
    table->filling = table->folding = table->scratch = NULL;
    table->edges = table->texts = table->places = table->variables = NULL;
    table->origins = NULL;
    table->source = NULL;
}
