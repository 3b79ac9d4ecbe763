/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl openapi: the operations of an OpenAPI document with what each of them needs, as the
 * server would read it; and the same as <Location> sections, for those who want to do without.
 */
#include "ctl/m2mctl_locations.h"
#include "ctl/m2mctl_verb.h"

#include "operation/m2_openapi.h"

#include <stdio.h>

typedef struct openapi_t {
    const char *base, *scheme, *strict;
    int locations;
} openapi_t;

/* clang-format off */
static const m2mctl_option_t openapi_options[] = {
    { "base", M2MCTL_TEXT, offsetof(openapi_t, base), "PATH", "where the API lives; default: "
                                                              "its first server" },
    { "scheme", M2MCTL_TEXT, offsetof(openapi_t, scheme), "NAME,...", "security schemes that are "
                                                                      "a token; default: by kind" },
    { "strict", M2MCTL_WORD, offsetof(openapi_t, strict), NULL, "exit 1 where an operation needs "
                                                                "no token or no scope (=token: "
                                                                "no token)" },
    { "locations", M2MCTL_FLAG, offsetof(openapi_t, locations), NULL, "print <Location> sections "
                                                                      "instead" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

typedef struct listing_t {
    m2mctl_t *ctl;
    const openapi_t *options;
    const char *file;
    const m2_openapi_t *api;
    const m2_operations_t *table;
} listing_t;

static int read_document(listing_t *l)
{
    m2_operations_t *table = m2_operations_make(l->ctl->pool);
    m2_openapi_options_t options = { l->options->base, NULL };
    apr_array_header_t *schemes;
    m2_openapi_t *api = NULL;
    m2_slice_t text;
    m2_err_t err;
    char *last, *name;
    m2_code_t code;

    if (l->options->scheme) {
        schemes = apr_array_make(l->ctl->pool, 2, sizeof(const char *));
        name = apr_strtok(apr_pstrdup(l->ctl->pool, l->options->scheme), ",", &last);
        for (; name; name = apr_strtok(NULL, ",", &last)) {
            APR_ARRAY_PUSH(schemes, const char *) = name;
        }
        options.schemes = schemes;
    }
    m2_err_init(&err, l->ctl->pool);
    code = m2mctl_read(&text, l->ctl->pool, l->file, &err);
    code = code ? code : m2_openapi_read(&api, table, l->ctl->pool, l->ctl->pool, text,
                                         &options, &err);
    if (code) {
        return m2mctl_fault(l->ctl, l->file, &err);
    }
    m2_operations_finish(table, api->notices);
    l->api = api;
    l->table = table;
    return 0;
}

/* "public", "token", or the alternatives: "a b | c" */
static const char *needs(apr_pool_t *pool, const m2_operation_t *op)
{
    const char *text = NULL;
    int i;

    if (op->is_public) {
        return "public";
    }
    for (i = 0; op->alternatives && i < op->alternatives->nelts; i++) {
        const apr_array_header_t *way = APR_ARRAY_IDX(op->alternatives, i,
                                                      const apr_array_header_t *);

        if (!way->nelts) {
            return "token";
        }
        text = apr_pstrcat(pool, text ? text : "", text ? " | " : "",
                           apr_array_pstrcat(pool, way, ' '), NULL);
    }
    return text ? text : "token";
}

static int is_open(const listing_t *l, const m2_operation_t *op)
{
    const char *strict = l->options->strict;
    const char *what = needs(l->ctl->pool, op);

    return strict && (op->is_public || (!*strict && m2_slice_is(m2_slice_z(what), "token")));
}

static m2_json_t *operation_json(const listing_t *l, const m2_operation_t *op)
{
    apr_pool_t *pool = l->ctl->pool;
    m2_json_t *json = m2_json_make(pool), *ways = m2_json_make_array(pool);
    int i, j;

    m2_json_set_string(json, "operation", op->name);
    m2_json_set_string(json, "method", op->method);
    m2_json_set_string(json, "path", apr_pstrcat(pool, l->api->base, op->path, NULL));
    m2_json_set_bool(json, "public", op->is_public);
    for (i = 0; op->alternatives && i < op->alternatives->nelts; i++) {
        const apr_array_header_t *way = APR_ARRAY_IDX(op->alternatives, i,
                                                      const apr_array_header_t *);
        m2_json_t *scopes = m2_json_make_array(pool);

        for (j = 0; j < way->nelts; j++) {
            m2_json_append_string(scopes, APR_ARRAY_IDX(way, j, const char *));
        }
        m2_json_append(ways, scopes);
    }
    m2_json_set_json(json, "scopes", ways);
    return json;
}

static m2_json_t *texts_json(apr_pool_t *pool, const apr_array_header_t *texts)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < texts->nelts; i++) {
        m2_json_append_string(list, APR_ARRAY_IDX(texts, i, const char *));
    }
    return list;
}

static void print_as_json(const listing_t *l)
{
    apr_pool_t *pool = l->ctl->pool;
    m2_json_t *json = m2_json_make(pool), *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < m2_operations_count(l->table); i++) {
        m2_json_append(list, operation_json(l, m2_operations_at(l->table, i)));
    }
    m2_json_set_string(json, "file", l->file);
    m2_json_set_string(json, "base", l->api->base);
    m2_json_set_json(json, "operations", list);
    m2_json_set_json(json, "notices", texts_json(pool, l->api->notices));
    m2_json_set_json(json, "ignored", texts_json(pool, l->api->ignored));
    m2mctl_print_json(pool, json);
}

static void print_list(const listing_t *l)
{
    int i;

    for (i = 0; i < m2_operations_count(l->table); i++) {
        const m2_operation_t *op = m2_operations_at(l->table, i);

        printf("%-7s %s%s  %s  %s\n", op->method, m2mctl_plain(l->ctl->pool, l->api->base),
               m2mctl_plain(l->ctl->pool, op->path),
               m2mctl_plain(l->ctl->pool, needs(l->ctl->pool, op)),
               m2mctl_plain(l->ctl->pool, op->name));
    }
    for (i = 0; i < l->api->notices->nelts; i++) {
        fprintf(stderr, "%s:%s\n", l->file,
                m2mctl_plain(l->ctl->pool, APR_ARRAY_IDX(l->api->notices, i, const char *)));
    }
    for (i = 0; i < l->api->ignored->nelts; i++) {
        fprintf(stderr, "%s:%s says nothing here\n", l->file,
                m2mctl_plain(l->ctl->pool, APR_ARRAY_IDX(l->api->ignored, i, const char *)));
    }
}

static int complain_of_open(const listing_t *l)
{
    int i, bad = 0;

    for (i = 0; i < m2_operations_count(l->table); i++) {
        const m2_operation_t *op = m2_operations_at(l->table, i);

        if (is_open(l, op)) {
            fprintf(stderr, "%s: %s %s needs %s\n", l->file, op->method,
                    m2mctl_plain(l->ctl->pool, op->path),
                    op->is_public ? "no token" : "no scope");
            bad = 1;
        }
    }
    return bad;
}

static int run_openapi(m2mctl_t *ctl, void *options)
{
    listing_t l = { ctl, options, NULL, NULL, NULL };
    int bad;

    if (ctl->words->nelts != 1) {
        return m2mctl_usage(ctl, "name one OpenAPI document");
    }
    if (l.options->strict && *l.options->strict
        && !m2_slice_is_nocase(m2_slice_z(l.options->strict), "token")) {
        return m2mctl_usage(ctl, "--strict stands alone or is --strict=token");
    }
    l.file = APR_ARRAY_IDX(ctl->words, 0, const char *);
    bad = read_document(&l);
    if (bad) {
        return bad;
    }
    if (ctl->json) {
        print_as_json(&l);
    }
    else if (l.options->locations) {
        m2mctl_locations(ctl->pool, l.table, l.api->base);
    }
    else {
        print_list(&l);
    }
    return complain_of_open(&l) ? M2MCTL_DENY : M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_openapi = {
    "openapi",
    "FILE",
    "operations of an OpenAPI document, and what each needs",
    "Reads an OpenAPI 3.0, OpenAPI 3.1 or Swagger 2.0 document as M2MOpenAPI does and lists\n"
    "method, path, what a caller needs (public, token, or scopes) and name of each operation.\n"
    "A fault is printed as FILE:LINE:COLUMN: text, and the exit status is 2.\n",
    { { openapi_options, 0 } },
    sizeof(openapi_t),
    run_openapi,
};
