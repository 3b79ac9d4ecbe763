/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * httpd applies every section that matches, and the last one wins: so the template that counts
 * must come behind all that match the same path, and must say something for every method, or
 * those of a wider one would pass. Expressions are written so that M2MPathGuard covers them.
 */
#include "ctl/m2mctl_locations.h"

#include "ctl/m2mctl_verb.h"
#include "operation/m2_operation_path.h"

#include <apr_hash.h>
#include <stdio.h>
#include <stdlib.h>

/* A template with its operations. */
typedef struct place_t {
    const char *written;
    m2_operation_path_t path;
    apr_array_header_t *operations; /* of const m2_operation_t * */
} place_t;

/* --- order --- */

static int compare_numbers(apr_size_t a, apr_size_t b)
{
    return (a > b) - (a < b);
}

/* Positive where a is better: literal before mixed, and so on. */
static int compare_ranks(const m2_segment_t *a, const m2_segment_t *b)
{
    return a->kind != b->kind             ? compare_numbers(b->kind, a->kind)
           : a->kind == M2_SEGMENT_MIXED ? compare_numbers(a->weight, b->weight)
                                         : 0;
}

static int compare_shapes(const m2_segment_t *a, const m2_segment_t *b)
{
    return a->kind == M2_SEGMENT_MIXED ? strcmp(b->shape.p, a->shape.p) : 0;
}

static int compare_by(int (*compare)(const m2_segment_t *, const m2_segment_t *),
                      const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i, order = 0;

    for (i = 0; !order && i < a->nelts && i < b->nelts; i++) {
        order = compare(&APR_ARRAY_IDX(a, i, m2_segment_t), &APR_ARRAY_IDX(b, i, m2_segment_t));
    }
    return order;
}

/* The better of two templates comes last. */
static int by_preference(const void *a, const void *b)
{
    const place_t *x = *(const place_t *const *)a, *y = *(const place_t *const *)b;
    int order = compare_by(compare_ranks, x->path.segments, y->path.segments);

    order = order ? order : compare_by(compare_shapes, x->path.segments, y->path.segments);
    return order ? order : strcmp(x->written, y->written);
}

static place_t *add_place(apr_array_header_t *places, const char *written)
{
    place_t *place = apr_pcalloc(places->pool, sizeof(*place));
    m2_err_t err;

    m2_err_init(&err, places->pool);
    place->written = written;
    place->operations = apr_array_make(places->pool, 2, sizeof(const m2_operation_t *));
    (void)m2_operation_path_read(&place->path, places->pool, written, 0, &err); /* it was read */
    APR_ARRAY_PUSH(places, place_t *) = place;
    return place;
}

static const apr_array_header_t *places_of(apr_pool_t *pool, const m2_operations_t *table)
{
    const apr_array_header_t *bare = m2_operations_bare(table);
    apr_array_header_t *places = apr_array_make(pool, 16, sizeof(place_t *));
    apr_hash_t *known = apr_hash_make(pool);
    int i;

    for (i = 0; i < m2_operations_count(table); i++) {
        const m2_operation_t *op = m2_operations_at(table, i);
        place_t *place = apr_hash_get(known, op->written, APR_HASH_KEY_STRING);

        if (!place) {
            place = add_place(places, op->written);
            apr_hash_set(known, op->written, APR_HASH_KEY_STRING, place);
        }
        APR_ARRAY_PUSH(place->operations, const m2_operation_t *) = op;
    }
    for (i = 0; i < bare->nelts; i++) {
        add_place(places, APR_ARRAY_IDX(bare, i, const char *));
    }
    qsort(places->elts, (apr_size_t)places->nelts, sizeof(place_t *), by_preference);
    return places;
}

/* --- what they match --- */

static void print_literal(m2_slice_t literal)
{
    apr_size_t i;

    for (i = 0; i < literal.n; i++) {
        if (literal.p[i] == '"' || strchr(".^$|()[]*+?{}", literal.p[i])) {
            putchar('\\');
        }
        putchar(literal.p[i]);
    }
}

static void print_segment(const m2_segment_t *segment)
{
    int i;

    if (segment->kind == M2_SEGMENT_REST) {
        printf(".*");
        return;
    }
    print_literal(segment->literals[0]);
    for (i = 1; i <= segment->variables; i++) {
        printf("[^/]+");
        print_literal(segment->literals[i]);
    }
}

static void print_expression(const place_t *place)
{
    int i;

    printf("<LocationMatch \"^");
    for (i = 0; i < place->path.segments->nelts; i++) {
        putchar('/');
        print_segment(&APR_ARRAY_IDX(place->path.segments, i, m2_segment_t));
    }
    printf("$\">\n");
}

/* --- what they need --- */

/* text within a pair of quotes */
static void print_quoted(m2_slice_t text)
{
    apr_size_t i;

    for (i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\') {
            putchar('\\');
        }
        putchar(text.p[i]);
    }
}

static void print_way(const apr_array_header_t *scopes)
{
    int i;

    printf("            Require %s", scopes->nelts ? "m2m-scope" : "valid-user");
    for (i = 0; i < scopes->nelts; i++) {
        printf(" \"");
        print_quoted(m2_slice_z(APR_ARRAY_IDX(scopes, i, const char *)));
        putchar('"');
    }
    putchar('\n');
}

static void print_requirement(const m2_operation_t *op)
{
    int i;

    if (op->is_public) {
        printf("        Require all granted\n");
        return;
    }
    if (!op->alternatives || !op->alternatives->nelts) {
        printf("        Require valid-user\n");
        return;
    }
    printf("        <RequireAny>\n");
    for (i = 0; i < op->alternatives->nelts; i++) {
        print_way(APR_ARRAY_IDX(op->alternatives, i, const apr_array_header_t *));
    }
    printf("        </RequireAny>\n");
}

/* op NULL: nobody may */
static void print_operation(apr_pool_t *pool, const m2_operation_t *op, int some_public)
{
    if (!op) {
        printf("        Require all denied\n");
        return;
    }
    printf("        # %s\n", m2mctl_plain(pool, op->name));
    if (some_public) {
        printf("        M2MBypassEmptyToken %s\n", op->is_public ? "On" : "Off");
    }
    print_requirement(op);
}

static const m2_operation_t *find(const place_t *place, const char *method)
{
    int i;

    for (i = 0; i < place->operations->nelts; i++) {
        const m2_operation_t *op = APR_ARRAY_IDX(place->operations, i, const m2_operation_t *);

        if (m2_slice_is(m2_slice_z(op->method), method)) {
            return op;
        }
    }
    return NULL;
}

/* HEAD without an operation of its own is GET's; what is left goes to x-...-any-method. */
static void print_place(apr_pool_t *pool, const place_t *place, int some_public)
{
    const m2_operation_t *any = find(place, M2_ANY_METHOD);
    const char *word = "If";
    int i;

    print_expression(place);
    for (i = 0; i < place->operations->nelts; i++) {
        const m2_operation_t *op = APR_ARRAY_IDX(place->operations, i, const m2_operation_t *);
        const int heads = m2_slice_is(m2_slice_z(op->method), "GET") && !find(place, "HEAD");

        if (op != any) {
            printf("    <%s \"%%{REQUEST_METHOD} in {'%s'%s}\">\n", word, op->method,
                   heads ? ", 'HEAD'" : "");
            print_operation(pool, op, some_public);
            printf("    </%s>\n", word);
            word = "ElseIf";
        }
    }
    word = m2_slice_is(m2_slice_z(word), "If") ? word : "Else";
    printf("    <%s%s>\n", word, word[0] == 'I' ? " \"true\"" : "");
    print_operation(pool, any, some_public);
    printf("    </%s>\n</LocationMatch>\n", word);
}

/* httpd compares <Location> with the decoded path. */
static void print_base(apr_pool_t *pool, const char *base)
{
    m2_operation_path_t path;
    m2_err_t err;
    int i;

    m2_err_init(&err, pool);
    (void)m2_operation_path_read(&path, pool, *base ? base : "/", 0, &err);
    printf("# Key sources and other directives belong into this section; the others follow it.\n"
           "<Location \"");
    for (i = 0; i < path.segments->nelts; i++) {
        putchar('/');
        print_quoted(APR_ARRAY_IDX(path.segments, i, m2_segment_t).shape);
    }
    printf("\">\n    Require all denied\n</Location>\n");
}

void m2mctl_locations(apr_pool_t *pool, const m2_operations_t *table, const char *base)
{
    const apr_array_header_t *places = places_of(pool, table);
    int i, some_public = 0;

    for (i = 0; i < m2_operations_count(table); i++) {
        some_public |= m2_operations_at(table, i)->is_public;
    }
    print_base(pool, base);
    for (i = 0; i < places->nelts; i++) {
        print_place(pool, APR_ARRAY_IDX(places, i, const place_t *), some_public);
    }
}
