/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A tree of segments, twice: as written, and folded as a lenient backend would read it. A
 * look-up goes down the first, tries literal before mixed before variable before rest, and
 * goes back where a choice leads nowhere; its cost depends on the path, not on the number of
 * operations. The second only answers whether both readings lead to the same template.
 */
#include "operation/m2_operation_int.h"

#include <string.h>

const m2_operation_t *m2_opnode_operation(const m2_opnode_t *node, const char *method)
{
    int i;

    for (i = 0; i < node->n_operations; i++) {
        if (m2_slice_is(m2_slice_z(method), node->operations[i]->method)) {
            return node->operations[i];
        }
    }
    return NULL;
}

int m2_opliteral_order(m2_slice_t a, m2_slice_t b)
{
    return a.n == b.n ? memcmp(a.p, b.p, a.n) : a.n < b.n ? -1 : 1;
}

int m2_opmixed_order(m2_slice_t a, m2_slice_t b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

int m2_operations_count(const m2_operations_t *table)
{
    return table->n;
}

const m2_operation_t *m2_operations_at(const m2_operations_t *table, int i)
{
    return table->list[i];
}

const apr_array_header_t *m2_operations_bare(const m2_operations_t *table)
{
    return table->bare;
}

/* --- looking up --- */

typedef struct walk_t {
    m2_operation_match_t *match;
    const char *end; /* of the path */
    int fold;        /* a rest may be empty without its slash */
} walk_t;

static const m2_opnode_t *walk(walk_t *w, const m2_opnode_t *node, const char *at);

static const m2_opliteral_t *literal_edge(const m2_opnode_t *node, m2_slice_t segment)
{
    int low = 0, high = node->n_literals;

    while (low < high) {
        const int middle = low + (high - low) / 2;
        const m2_opliteral_t *edge = &node->literals[middle];
        const int order = m2_opliteral_order(segment, edge->text);

        if (!order) {
            return edge;
        }
        if (order < 0) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* Whether a is better than b by their segments from the left; both match the whole path. */
static int is_better(const m2_opnode_t *a, const m2_opnode_t *b)
{
    int better = a->depth < b->depth; /* a rest that is empty */

    while (a->depth > b->depth) {
        a = a->parent;
    }
    while (b->depth > a->depth) {
        b = b->parent;
    }
    for (; a != b; a = a->parent, b = b->parent) {
        if (a->rank != b->rank) {
            better = a->rank < b->rank;
        }
    }
    return better;
}

static const m2_opnode_t *walk_edge(walk_t *w, const m2_opmixed_t *edge, m2_slice_t segment,
                                    const char *next)
{
    const int before = w->match->n;
    const m2_opnode_t *found;

    if (before + edge->segment.variables > M2_MAX_OPERATION_VARIABLES ||
        !m2_segment_match(w->match->values + before, &edge->segment, segment)) {
        return NULL;
    }
    w->match->n = before + edge->segment.variables;
    found = walk(w, edge->to, next);
    if (!found) {
        w->match->n = before;
    }
    return found;
}

static int is_tied(const m2_opnode_t *node, int i, int j)
{
    return j < node->n_mixed &&
           node->mixed[j].segment.weight == node->mixed[i].segment.weight;
}

/* The edges behind i have as many literal bytes: what follows decides. Not inlined: a template
 * has at most as many mixed segments as variables, which bounds the stack. */
__attribute__((noinline)) static const m2_opnode_t *
walk_tied(walk_t *w, const m2_opnode_t *node, int i, const m2_opnode_t *best, int before,
          m2_slice_t segment, const char *next)
{
    m2_operation_match_t kept = *w->match;
    int j;

    for (j = i + 1; is_tied(node, i, j); j++) {
        const m2_opnode_t *other;

        w->match->n = before;
        other = walk_edge(w, &node->mixed[j], segment, next);
        if (other && is_better(other, best)) {
            best = other;
            kept = *w->match;
        }
        else {
            *w->match = kept;
        }
    }
    return best;
}

/* the best of the mixed segments that lead to a whole match */
static const m2_opnode_t *walk_mixed(walk_t *w, const m2_opnode_t *node, m2_slice_t segment,
                                const char *next)
{
    const int before = w->match->n;
    int i;

    for (i = 0; i < node->n_mixed; i++) {
        const m2_opnode_t *found = walk_edge(w, &node->mixed[i], segment, next);

        if (found) {
            return is_tied(node, i, i + 1) ? walk_tied(w, node, i, found, before, segment, next)
                                           : found;
        }
    }
    return NULL;
}

static const m2_opnode_t *walk_variable(walk_t *w, const m2_opnode_t *node, m2_slice_t segment,
                                   const char *next)
{
    const m2_opnode_t *found;

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

static const m2_opnode_t *rest_of(const m2_opnode_t *node)
{
    return node->rest && node->rest->written ? node->rest : NULL;
}

static const m2_opnode_t *arrive(const walk_t *w, const m2_opnode_t *node)
{
    return node->written ? node : w->fold ? rest_of(node) : NULL;
}

/* at is behind the slash that begins a segment, NULL behind the last segment */
static const m2_opnode_t *walk(walk_t *w, const m2_opnode_t *node, const char *at)
{
    const char *slash;
    const m2_opliteral_t *literal;
    const m2_opnode_t *found = NULL;
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

static const m2_operation_t *operation_of(const m2_opnode_t *node, const char *method)
{
    const m2_operation_t *op = m2_opnode_operation(node, method);

    if (!op && m2_slice_is(m2_slice_z(method), "HEAD")) {
        op = m2_opnode_operation(node, "GET");
    }
    return op ? op : m2_opnode_operation(node, M2_ANY_METHOD);
}

m2_code_t m2_operations_find(m2_operation_match_t *match, const m2_operations_t *table,
                             const char *method, m2_slice_t path)
{
    walk_t w = { match, path.p + path.n, 0 };
    const m2_opnode_t *node;

    match->operation = NULL;
    match->n = 0;
    node = path.n && path.p[0] == '/' ? walk(&w, table->written.root, path.p + 1) : NULL;
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
    const m2_opnode_t *node = match->place, *found;

    lenient.n = 0;
    if (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    w.end = path.p + path.n;
    found = path.n ? walk(&w, table->folded.root, path.p + 1) : NULL;
    return node ? found == node->folded : !found;
}

int m2_operations_is_respelled(const m2_operation_match_t *match, const char *method)
{
    const m2_opnode_t *node = match->place;
    const m2_operation_t *op;
    int i;

    for (i = 0; match->operation && i < node->n_operations; i++) {
        op = node->operations[i];
        if (op != match->operation && m2_slice_is_nocase(m2_slice_z(method), op->method)) {
            return 1;
        }
    }
    op = match->operation && m2_slice_is_nocase(m2_slice_z(method), "HEAD")
             ? m2_opnode_operation(node, "GET") : NULL;
    return op && op != match->operation && !m2_opnode_operation(node, "HEAD");
}

const char *m2_operations_allow(apr_pool_t *pool, const m2_operation_match_t *match)
{
    const m2_opnode_t *node = match->place;
    const char *list = "";
    int i;

    for (i = 0; node && i < node->n_operations; i++) {
        const m2_operation_t *op = node->operations[i];

        list = apr_pstrcat(pool, list, *list ? ", " : "", op->method, NULL);
        if (m2_slice_is(m2_slice_z(op->method), "GET") && !m2_opnode_operation(node, "HEAD")) {
            list = apr_pstrcat(pool, list, ", HEAD", NULL);
        }
    }
    return list;
}

int m2_operations_place_is_public(const m2_operation_match_t *match)
{
    const m2_opnode_t *node = match->place;
    int i;

    for (i = 0; node && i < node->n_operations; i++) {
        if (!node->operations[i]->is_public) {
            return 0;
        }
    }
    return node && node->n_operations;
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
