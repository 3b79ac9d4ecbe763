/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A tree of segments, twice: as written, and folded as a lenient backend would read it. A
 * look-up goes down the first, tries literal before mixed before variable before rest, and
 * goes back where a choice leads nowhere; its cost depends on the path, not on the number of
 * operations. The second only answers whether both readings lead to the same template.
 */
#include "operation/m2_operation.h"
#include "operation/m2_operation_path.h"

#include <apr_hash.h>

#include <stdlib.h>
#include <string.h>

typedef struct node_t node_t;

/* a way on from a node */
typedef struct edge_t {
    m2_segment_t segment;
    node_t *to;
} edge_t;

struct node_t {
    apr_array_header_t *literals; /* of edge_t, sorted by shape once finished; may be NULL */
    apr_array_header_t *mixed;    /* of edge_t, heaviest first once finished; may be NULL */
    node_t *variable, *rest;      /* may be NULL */
    apr_array_header_t *operations; /* of const m2_operation_t *; NULL: no template ends here */
    const char *written;          /* the first template that ends here */
    int line;                     /* of it, or 0 */
    const node_t *folded;         /* in the tree as written: its twin in the folded one */
    int number;
};

struct m2_operations_t {
    apr_pool_t *pool;
    node_t *written, *folded;
    apr_hash_t *edges;        /* "node kind shape" -> node, while the table is filled */
    apr_array_header_t *list; /* of const m2_operation_t * */
    apr_array_header_t *nodes; /* of node_t * */
};

/* --- filling --- */

static node_t *make_node(m2_operations_t *table)
{
    node_t *node = apr_pcalloc(table->pool, sizeof(*node));

    node->number = table->nodes->nelts;
    APR_ARRAY_PUSH(table->nodes, node_t *) = node;
    return node;
}

m2_operations_t *m2_operations_make(apr_pool_t *pool)
{
    m2_operations_t *table = apr_pcalloc(pool, sizeof(*table));

    table->pool = pool;
    table->edges = apr_hash_make(pool);
    table->list = apr_array_make(pool, 16, sizeof(const m2_operation_t *));
    table->nodes = apr_array_make(pool, 16, sizeof(node_t *));
    table->written = make_node(table);
    table->folded = make_node(table);
    return table;
}

static void add_edge(apr_array_header_t **plist, apr_pool_t *pool, const m2_segment_t *segment,
                     node_t *to)
{
    edge_t *edge;

    *plist = *plist ? *plist : apr_array_make(pool, 1, sizeof(edge_t));
    edge = apr_array_push(*plist);
    edge->segment = *segment;
    edge->to = to;
}

static void link_node(m2_operations_t *table, node_t *node, const m2_segment_t *segment,
                      node_t *to)
{
    switch (segment->kind) {
    case M2_SEGMENT_LITERAL:
        add_edge(&node->literals, table->pool, segment, to);
        break;
    case M2_SEGMENT_MIXED:
        add_edge(&node->mixed, table->pool, segment, to);
        break;
    case M2_SEGMENT_VARIABLE:
        node->variable = to;
        break;
    case M2_SEGMENT_REST:
        node->rest = to;
        break;
    }
}

/* the node that a segment leads to, made where there is none */
static node_t *step(m2_operations_t *table, node_t *node, const m2_segment_t *segment)
{
    const char *key = apr_psprintf(table->pool, "%d %d %s", node->number, segment->kind,
                                   segment->shape.p);
    node_t *to = apr_hash_get(table->edges, key, APR_HASH_KEY_STRING);

    if (!to) {
        to = make_node(table);
        link_node(table, node, segment, to);
        apr_hash_set(table->edges, key, APR_HASH_KEY_STRING, to);
    }
    return to;
}

static node_t *grow(m2_operations_t *table, node_t *node, const m2_operation_path_t *path)
{
    int i;

    for (i = 0; i < path->segments->nelts; i++) {
        node = step(table, node, &APR_ARRAY_IDX(path->segments, i, m2_segment_t));
    }
    return node;
}

static const m2_operation_t *of_method(const node_t *node, const char *method)
{
    int i;

    for (i = 0; node->operations && i < node->operations->nelts; i++) {
        const m2_operation_t *op =
            APR_ARRAY_IDX(node->operations, i, const m2_operation_t *);

        if (m2_slice_is(m2_slice_z(method), op->method)) {
            return op;
        }
    }
    return NULL;
}

static const char *at_line(apr_pool_t *pool, int line)
{
    return line ? apr_psprintf(pool, " (line %d)", line) : "";
}

/* a template that ends at node already must be the same text */
static m2_code_t check_place(m2_operations_t *table, const node_t *node, const char *written,
                             const m2_operation_t *operation, m2_err_t *err)
{
    if (!node->operations) {
        return M2_OK;
    }
    if (!m2_slice_is(m2_slice_z(node->written), written)) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" equals \"%s\"%s but for names of variables",
                          written, node->written, at_line(table->pool, node->line));
    }
    if (of_method(node, operation->method)) {
        return m2_err_set(err, M2_E_CONFIG, "%s %s is there already%s", operation->method,
                          written, at_line(table->pool, node->line));
    }
    return M2_OK;
}

static const char *const *names_of(apr_pool_t *pool, const m2_operation_path_t *path)
{
    const char **names = apr_pcalloc(pool, (apr_size_t)(path->names->nelts + 1) *
                                               sizeof(*names));
    int i, j;

    for (i = 0; i < path->names->nelts; i++) {
        names[i] = APR_ARRAY_IDX(path->names, i, const char *);
        for (j = 0; j < i; j++) {
            if (m2_slice_is(m2_slice_z(names[i]), names[j])) {
                return NULL;
            }
        }
    }
    return names;
}

static void place(m2_operations_t *table, node_t *node, const m2_operation_t *operation,
                  const char *written, int line)
{
    if (!node->operations) {
        node->operations = apr_array_make(table->pool, 1, sizeof(const m2_operation_t *));
        node->written = written;
        node->line = line;
    }
    APR_ARRAY_PUSH(node->operations, const m2_operation_t *) = operation;
}

static m2_operation_t *keep(m2_operations_t *table, const m2_operation_t *from)
{
    m2_operation_t *op = apr_pmemdup(table->pool, from, sizeof(*from));

    op->method = apr_pstrdup(table->pool, from->method);
    op->path = apr_pstrdup(table->pool, from->path);
    op->name = from->name ? apr_pstrdup(table->pool, from->name)
                          : apr_pstrcat(table->pool, op->method, " ", op->path, NULL);
    op->number = table->list->nelts;
    return op;
}

m2_code_t m2_operations_add(m2_operations_t *table, const char *base, int line,
                            const m2_operation_t *operation, m2_err_t *err)
{
    const char *written = apr_pstrcat(table->pool, base, operation->path, NULL);
    m2_operation_path_t path, folded;
    m2_operation_t *op;
    node_t *node, *twin;
    m2_code_t code;

    if (table->list->nelts >= M2_MAX_OPERATIONS) {
        return m2_err_set(err, M2_E_CONFIG, "more than %d operations", M2_MAX_OPERATIONS);
    }
    code = m2_operation_path_read(&path, table->pool, written, 0, err);
    code = code ? code : m2_operation_path_read(&folded, table->pool, written, 1, err);
    if (code) {
        return code;
    }
    node = grow(table, table->written, &path);
    code = check_place(table, node, written, operation, err);
    if (code) {
        return code;
    }
    op = keep(table, operation);
    op->written = written;
    op->variables = names_of(table->pool, &path);
    if (!op->variables) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" names a variable twice", written);
    }
    place(table, node, op, written, line);
    twin = grow(table, table->folded, &folded);
    place(table, twin, op, written, line);
    node->folded = twin;
    APR_ARRAY_PUSH(table->list, const m2_operation_t *) = op;
    return M2_OK;
}

/* --- finishing --- */

static int by_shape(const void *a, const void *b)
{
    m2_slice_t x = ((const edge_t *)a)->segment.shape, y = ((const edge_t *)b)->segment.shape;
    apr_size_t n = x.n < y.n ? x.n : y.n;
    int order = memcmp(x.p, y.p, n);

    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static int by_weight(const void *a, const void *b)
{
    apr_size_t x = ((const edge_t *)a)->segment.weight, y = ((const edge_t *)b)->segment.weight;

    return x == y ? by_shape(a, b) : x < y ? 1 : -1;
}

static void sort_edges(apr_array_header_t *edges, int (*order)(const void *, const void *))
{
    if (edges) {
        qsort(edges->elts, (apr_size_t)edges->nelts, sizeof(edge_t), order);
    }
}

/* templates as written that became one when folded */
static void note_alike(const m2_operations_t *table, const node_t *node,
                       apr_array_header_t *notices)
{
    if (node->folded && !m2_slice_is(m2_slice_z(node->folded->written), node->written)) {
        APR_ARRAY_PUSH(notices, const char *) =
            apr_psprintf(table->pool, "\"%s\" and \"%s\" differ only in case or in a slash at "
                         "the end; requests for either are judged as one when read as a "
                         "lenient backend reads them", node->folded->written, node->written);
    }
}

void m2_operations_finish(m2_operations_t *table, apr_array_header_t *notices)
{
    int i;

    for (i = 0; i < table->nodes->nelts; i++) {
        node_t *node = APR_ARRAY_IDX(table->nodes, i, node_t *);

        sort_edges(node->literals, by_shape);
        sort_edges(node->mixed, by_weight);
        if (notices) {
            note_alike(table, node, notices);
        }
    }
    table->edges = NULL;
}

int m2_operations_count(const m2_operations_t *table)
{
    return table->list->nelts;
}

const m2_operation_t *m2_operations_at(const m2_operations_t *table, int i)
{
    return APR_ARRAY_IDX(table->list, i, const m2_operation_t *);
}

/* --- looking up --- */

typedef struct walk_t {
    m2_operation_match_t *match;
    const char *end; /* of the path */
    int fold;        /* a rest may be empty without its slash */
} walk_t;

static const node_t *walk(walk_t *w, const node_t *node, const char *at);

static const edge_t *literal_edge(const node_t *node, m2_slice_t segment)
{
    edge_t key;

    if (!node->literals) {
        return NULL;
    }
    key.segment.shape = segment;
    return bsearch(&key, node->literals->elts, (apr_size_t)node->literals->nelts,
                   sizeof(edge_t), by_shape);
}

/* the first mixed segment that leads to a whole match */
static const node_t *walk_mixed(walk_t *w, const node_t *node, m2_slice_t segment,
                                const char *next)
{
    int i, before = w->match->n;

    for (i = 0; node->mixed && i < node->mixed->nelts; i++) {
        const edge_t *edge = &APR_ARRAY_IDX(node->mixed, i, edge_t);
        const node_t *found;

        if (before + edge->segment.variables <= M2_MAX_OPERATION_VARIABLES &&
            m2_segment_match(w->match->values + before, &edge->segment, segment)) {
            w->match->n = before + edge->segment.variables;
            found = walk(w, edge->to, next);
            if (found) {
                return found;
            }
            w->match->n = before;
        }
    }
    return NULL;
}

static const node_t *walk_variable(walk_t *w, const node_t *node, m2_slice_t segment,
                                   const char *next)
{
    const node_t *found;

    if (!node->variable || !segment.n || w->match->n >= M2_MAX_OPERATION_VARIABLES) {
        return NULL;
    }
    w->match->values[w->match->n++] = segment;
    found = walk(w, node->variable, next);
    if (!found) {
        w->match->n--;
    }
    return found;
}

static const node_t *rest_of(const node_t *node)
{
    return node->rest && node->rest->operations ? node->rest : NULL;
}

static const node_t *arrive(const walk_t *w, const node_t *node)
{
    return node->operations ? node : w->fold ? rest_of(node) : NULL;
}

/* at is behind the slash that begins a segment, NULL behind the last segment */
static const node_t *walk(walk_t *w, const node_t *node, const char *at)
{
    const char *slash;
    const edge_t *literal;
    const node_t *found = NULL;
    m2_slice_t segment;

    if (!at) {
        return arrive(w, node);
    }
    slash = memchr(at, '/', (apr_size_t)(w->end - at));
    segment = m2_slice(at, (apr_size_t)((slash ? slash : w->end) - at));
    at = slash ? slash + 1 : NULL;
    literal = literal_edge(node, segment);
    found = literal ? walk(w, literal->to, at) : NULL;
    found = found ? found : walk_mixed(w, node, segment, at);
    found = found ? found : walk_variable(w, node, segment, at);
    return found ? found : rest_of(node);
}

static const m2_operation_t *operation_of(const node_t *node, const char *method)
{
    const m2_operation_t *op = of_method(node, method);

    if (!op && m2_slice_is(m2_slice_z(method), "HEAD")) {
        op = of_method(node, "GET");
    }
    return op ? op : of_method(node, M2_ANY_METHOD);
}

m2_code_t m2_operations_find(m2_operation_match_t *match, const m2_operations_t *table,
                             const char *method, m2_slice_t path)
{
    walk_t w = { match, path.p + path.n, 0 };
    const node_t *node;

    match->operation = NULL;
    match->n = 0;
    node = path.n && path.p[0] == '/' ? walk(&w, table->written, path.p + 1) : NULL;
    match->place = node;
    if (!node) {
        return M2_E_OPERATION_UNKNOWN;
    }
    match->operation = operation_of(node, method);
    return match->operation ? M2_OK : M2_E_METHOD_NOT_ALLOWED;
}

int m2_operations_agree(const m2_operations_t *table, const m2_operation_match_t *match,
                        m2_slice_t path)
{
    m2_operation_match_t lenient;
    walk_t w = { &lenient, NULL, 1 };
    const node_t *node = match->place, *found;

    lenient.n = 0;
    if (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    w.end = path.p + path.n;
    found = path.n ? walk(&w, table->folded, path.p + 1) : NULL;
    return node ? found == node->folded : !found;
}

const char *m2_operations_allow(apr_pool_t *pool, const m2_operation_match_t *match)
{
    const node_t *node = match->place;
    const char *list = "";
    int i;

    for (i = 0; node && i < node->operations->nelts; i++) {
        const m2_operation_t *op =
            APR_ARRAY_IDX(node->operations, i, const m2_operation_t *);

        list = apr_pstrcat(pool, list, *list ? ", " : "", op->method, NULL);
        if (m2_slice_is(m2_slice_z(op->method), "GET") && !of_method(node, "HEAD")) {
            list = apr_pstrcat(pool, list, ", HEAD", NULL);
        }
    }
    return list;
}

int m2_operations_place_is_public(const m2_operation_match_t *match)
{
    const node_t *node = match->place;
    int i;

    for (i = 0; node && i < node->operations->nelts; i++) {
        if (!APR_ARRAY_IDX(node->operations, i, const m2_operation_t *)->is_public) {
            return 0;
        }
    }
    return node != NULL;
}

m2_slice_t m2_operation_value(const m2_operation_match_t *match, const char *name)
{
    int i;

    for (i = 0; match->operation && i < match->n; i++) {
        if (m2_slice_is(m2_slice_z(name), match->operation->variables[i])) {
            return match->values[i];
        }
    }
    return m2_slice(NULL, 0);
}

static int has_all(const apr_array_header_t *scopes,
                   int (*has)(const char *scope, const void *baton), const void *baton)
{
    int i;

    for (i = 0; i < scopes->nelts; i++) {
        if (!has(APR_ARRAY_IDX(scopes, i, const char *), baton)) {
            return 0;
        }
    }
    return 1;
}

int m2_operation_allows(const m2_operation_t *operation,
                        int (*has)(const char *scope, const void *baton), const void *baton)
{
    const apr_array_header_t *ways = operation->alternatives;
    int i;

    for (i = 0; ways && i < ways->nelts; i++) {
        if (has_all(APR_ARRAY_IDX(ways, i, const apr_array_header_t *), has, baton)) {
            return 1;
        }
    }
    return !ways || !ways->nelts;
}
