/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The document: its version, where it lives, its path items and their operations.
 */
#include "operation/m2_openapi_int.h"

#include <string.h>

#define EXTENSION "x-"
#define ANY_METHOD_FIELD "x-aliyun-apigateway-any-method"
#define GATEWAY_EXTENSION "x-aliyun-apigateway-"

static const struct method_t {
    const char *field;
    const char *method;
} methods[] = {
    { "get", "GET" },       { "put", "PUT" },         { "post", "POST" },
    { "delete", "DELETE" }, { "options", "OPTIONS" }, { "head", "HEAD" },
    { "patch", "PATCH" },   { "trace", "TRACE" },     { ANY_METHOD_FIELD, M2_ANY_METHOD },
};

/* what else a path item may hold */
static const char *const item_fields[] = { "$ref", "summary", "description", "parameters" };

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int begins(const char *text, const char *with)
{
    apr_size_t n = strlen(with);

    return strlen(text) >= n && m2_slice_eq(m2_slice(text, n), m2_slice(with, n));
}

/* --- where it lives --- */

/* `3.1`, or that with a patch level behind it */
static int is_version(const char *text, const char *version)
{
    const char next = begins(text, version) ? text[strlen(version)] : '?';

    return !next || next == '.';
}

static m2_code_t check_version(m2_apidoc_t *doc)
{
    const m2_node_t *openapi = m2_apidoc_get(doc->root, "openapi");
    const m2_node_t *version = openapi ? openapi : m2_apidoc_get(doc->root, "swagger");
    const char *text = version && version->text ? version->text : "";

    if (!version) {
        return m2_node_fault(doc->root, doc->err, "this is not an OpenAPI document: neither "
                             "\"openapi\" nor \"swagger\" stands at its top");
    }
    if (openapi ? is_version(text, "3.0") || is_version(text, "3.1")
                : m2_slice_is(m2_slice_z(text), "2.0")) {
        return M2_OK;
    }
    return m2_node_fault(version, doc->err, "version \"%s\"; known are OpenAPI 3.0 and 3.1 "
                         "and Swagger 2.0", text);
}

/* the value of {NAME} in a server's URL: the default of its variable */
static m2_code_t add_variable(const char **ptext, m2_apidoc_t *doc, const m2_node_t *server,
                              const m2_node_t *url, const char *name)
{
    const m2_node_t *variable = m2_apidoc_get(m2_apidoc_get(server, "variables"), name);
    const m2_node_t *value = m2_apidoc_get(variable, "default");

    if (!value || !value->text) {
        return m2_node_fault(url, doc->err, "the server's variable \"%s\" has no default; say "
                             "base=", name);
    }
    *ptext = apr_pstrcat(doc->pool, *ptext, value->text, NULL);
    return M2_OK;
}

static m2_code_t expand(const char **ptext, m2_apidoc_t *doc, const m2_node_t *server,
                        const m2_node_t *url)
{
    const char *at = url->text, *open, *close;
    m2_code_t code = M2_OK;

    *ptext = "";
    while (!code && (open = strchr(at, '{')) && (close = strchr(open, '}'))) {
        *ptext = apr_pstrcat(doc->pool, *ptext,
                             apr_pstrmemdup(doc->ptemp, at, (apr_size_t)(open - at)), NULL);
        code = add_variable(ptext, doc, server, url,
                            apr_pstrmemdup(doc->ptemp, open + 1,
                                           (apr_size_t)(close - open - 1)));
        at = close + 1;
    }
    *ptext = apr_pstrcat(doc->pool, *ptext, at, NULL);
    return code;
}

/* the path of a URL, absolute or relative */
static const char *path_of(const char *url)
{
    const char *authority = begins(url, "//") ? url - 1 : strstr(url, "://");
    const char *slash = authority ? strchr(authority + 3, '/') : url;

    return slash ? slash : "";
}

static m2_code_t take_server(m2_apidoc_t *doc, const m2_node_t *servers)
{
    const m2_node_t *url = NULL;
    m2_code_t code = m2_node_want(servers, M2_WANT_LIST, "servers", doc->err);

    if (!code && m2_node_count(servers)) {
        url = m2_apidoc_get(m2_node_at(servers, 0), "url");
    }
    if (!code && (!url || !url->text)) {
        code = m2_node_fault(servers, doc->err, "the first server has no url; say base=");
    }
    code = code ? code : expand(&doc->api->base, doc, m2_node_at(servers, 0), url);
    if (!code && m2_node_count(servers) > 1) {
        m2_apidoc_note(doc, servers, "the path of the first server counts, %s; further "
                       "servers do not", path_of(doc->api->base));
    }
    return code;
}

static m2_code_t check_base(m2_apidoc_t *doc, const m2_node_t *at)
{
    char *base = apr_pstrdup(doc->pool, path_of(doc->api->base));
    apr_size_t n = strlen(base);

    while (n && base[n - 1] == '/') {
        base[--n] = '\0';
    }
    doc->api->base = base;
    if (n && (base[0] != '/' || strpbrk(base, "{}?#*"))) {
        return m2_node_fault(at, doc->err, "the base \"%s\" is not a path; say base=/PATH", base);
    }
    return M2_OK;
}

static m2_code_t find_base(m2_apidoc_t *doc)
{
    const m2_node_t *servers = m2_apidoc_get(doc->root, "servers");
    const m2_node_t *path = m2_apidoc_get(doc->root, "basePath");
    m2_code_t code = M2_OK;

    if (doc->options->base) {
        doc->api->base = doc->options->base;
    }
    else if (servers) {
        code = take_server(doc, servers);
    }
    else if (path && path->text) {
        doc->api->base = path->text;
    }
    else {
        return m2_node_fault(doc->root, doc->err, "the document does not say where it lives "
                             "(servers, basePath); say base=PATH");
    }
    return code ? code : check_base(doc, servers ? servers : path ? path : doc->root);
}

/* --- references --- */

/* the octet of a percent-escape at p of n bytes, or -1 */
static int escaped_at(const char *p, apr_size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const char *high, *low;

    if (n < 3 || p[0] != '%' || !p[1] || !p[2]) {
        return -1;
    }
    high = strchr(digits, apr_tolower(p[1]));
    low = strchr(digits, apr_tolower(p[2]));
    return high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

/* A pointer in a fragment as it is meant (RFC 6901 6): what is no escape stays. */
static const char *unescaped(m2_apidoc_t *doc, const char *text)
{
    const apr_size_t n = strlen(text);
    char *plain = apr_palloc(doc->ptemp, n + 1);
    apr_size_t i, out = 0;

    for (i = 0; i < n; i++) {
        const int octet = escaped_at(text + i, n - i);

        plain[out++] = octet > 0 ? (char)octet : text[i];
        i += octet > 0 ? 2 : 0;
    }
    plain[out] = '\0';
    return plain;
}

/* the member that one step of a JSON Pointer names (RFC 6901 4) */
static const m2_node_t *step(m2_apidoc_t *doc, const m2_node_t *map, const char *at,
                             apr_size_t n)
{
    char *name = apr_palloc(doc->ptemp, n + 1);
    apr_size_t i, out = 0;

    for (i = 0; i < n; i++) {
        if (at[i] == '~' && i + 1 < n && (at[i + 1] == '0' || at[i + 1] == '1')) {
            name[out++] = at[++i] == '0' ? '~' : '/';
        }
        else {
            name[out++] = at[i];
        }
    }
    name[out] = '\0';
    return m2_apidoc_get(map, name);
}

static const m2_node_t *pointed(m2_apidoc_t *doc, const char *pointer)
{
    const m2_node_t *node = doc->root;
    const char *at = pointer, *slash;

    while (node && *at == '/') {
        at++;
        slash = strchr(at, '/');
        node = step(doc, node, at, slash ? (apr_size_t)(slash - at) : strlen(at));
        at = slash ? slash : at + strlen(at);
    }
    return *at ? NULL : node;
}

#define MAX_REFERENCES 16 /* from one path item to the next */

/* what stands beside a reference describes nothing, and somebody may think it does */
static void note_siblings(m2_apidoc_t *doc, const m2_node_t *item)
{
    apr_size_t i;

    for (i = 0; i < COUNT(methods); i++) {
        const m2_node_t *lost = m2_apidoc_get(item, methods[i].field);

        if (lost) {
            m2_apidoc_note(doc, lost, "\"%s\" beside a $ref describes no operation; move it to "
                           "where the reference leads", methods[i].field);
        }
    }
}

/* the path item itself, behind its references */
static m2_code_t resolve(const m2_node_t **pitem, m2_apidoc_t *doc, const m2_node_t *item)
{
    const m2_node_t *ref;
    int steps;

    for (steps = 0; (ref = m2_apidoc_get(item, "$ref")); steps++) {
        if (!ref->text || !begins(ref->text, "#/")) {
            return m2_node_fault(ref, doc->err, "a path item refers to \"%s\": only references "
                                 "within the document are followed",
                                 ref->text ? ref->text : "");
        }
        if (steps >= MAX_REFERENCES) {
            return m2_node_fault(ref, doc->err, "references in a circle, or more than %d",
                                 MAX_REFERENCES);
        }
        note_siblings(doc, item);
        item = pointed(doc, unescaped(doc, ref->text + 1));
        if (!item) {
            return m2_node_fault(ref, doc->err, "\"%s\" leads nowhere", ref->text);
        }
    }
    *pitem = item;
    return M2_OK;
}

/* --- path items --- */

static m2_code_t check_style(m2_apidoc_t *doc, const m2_node_t *parameter)
{
    const m2_node_t *style = m2_apidoc_get(parameter, "style");

    if (style && style->text && m2_slice_is(m2_slice_z(style->text), "matrix")) {
        return m2_node_fault(style, doc->err, "parameters of style matrix (;name=value) "
                             "are not supported: servers read them in different ways");
    }
    return M2_OK;
}

static m2_code_t check_parameters(m2_apidoc_t *doc, const m2_node_t *holder)
{
    const m2_node_t *list = m2_apidoc_get(holder, "parameters");
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && list && list->type == M2_NODE_LIST && i < m2_node_count(list); i++) {
        code = check_style(doc, m2_node_at(list, i));
    }
    return code;
}

/* parameters that operations refer to; the references are not followed */
static m2_code_t check_shared_parameters(m2_apidoc_t *doc)
{
    const m2_node_t *map = m2_apidoc_get(m2_apidoc_get(doc->root, "components"), "parameters");
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && map && map->type == M2_NODE_MAP && i < m2_node_count(map); i++) {
        code = check_style(doc, m2_node_value_at(map, i));
    }
    return code;
}

static m2_code_t check_servers(m2_apidoc_t *doc, const m2_node_t *holder)
{
    const m2_node_t *servers = m2_apidoc_get(holder, "servers");

    return servers ? m2_node_fault(servers, doc->err, "servers below the whole document are "
                                   "not supported")
                   : M2_OK;
}

static void note_extensions(m2_apidoc_t *doc, const m2_node_t *holder)
{
    int i;

    for (i = 0; i < m2_node_count(holder); i++) {
        const m2_node_t *name = m2_node_name_at(holder, i);

        if (begins(name->text, GATEWAY_EXTENSION) &&
            !m2_slice_is(m2_slice_z(name->text), ANY_METHOD_FIELD)) {
            APR_ARRAY_PUSH(doc->api->ignored, const char *) =
                apr_psprintf(doc->pool, "%d:%d: %s", name->line, name->column, name->text);
        }
    }
}

static m2_code_t add_operation(m2_apidoc_t *doc, const char *path, const char *method,
                               const m2_node_t *name, const m2_node_t *node)
{
    const m2_node_t *id = m2_apidoc_get(node, "operationId");
    m2_operation_t operation = { NULL, method, path, NULL, NULL, 0, 0, NULL };
    m2_err_t cause;
    m2_code_t code = m2_node_want(node, M2_WANT_MAP, method, doc->err);

    code = code ? code : check_servers(doc, node);
    code = code ? code : check_parameters(doc, node);
    code = code ? code : m2_apidoc_security(&operation, doc, m2_apidoc_get(node, "security"),
                                            name);
    if (code) {
        return code;
    }
    note_extensions(doc, node);
    operation.name = id && id->text && *id->text ? id->text : NULL;
    m2_err_init(&cause, doc->ptemp);
    code = m2_operations_add(doc->table, doc->api->base, name->line, &operation, &cause);
    return code ? m2_node_fault_of(name, path, &cause, doc->err) : M2_OK;
}

static int is_item_field(const char *name)
{
    apr_size_t i;

    for (i = 0; i < COUNT(item_fields); i++) {
        if (m2_slice_is(m2_slice_z(name), item_fields[i])) {
            return 1;
        }
    }
    return begins(name, EXTENSION);
}

static m2_code_t read_field(m2_apidoc_t *doc, const char *path, const m2_node_t *name,
                            const m2_node_t *value)
{
    apr_size_t i;

    for (i = 0; i < COUNT(methods); i++) {
        if (m2_slice_is(m2_slice_z(name->text), methods[i].field)) {
            return add_operation(doc, path, methods[i].method, name, value);
        }
        if (m2_slice_is_nocase(m2_slice_z(name->text), methods[i].field)) {
            return m2_node_fault(name, doc->err, "\"%s\" is written \"%s\"", name->text,
                                 methods[i].field);
        }
    }
    if (!is_item_field(name->text)) {
        m2_apidoc_note(doc, name, "\"%s\" is not a method and not a field of a path item; it "
                       "describes no operation", name->text);
    }
    return M2_OK;
}

/* A path item may be empty (OpenAPI 3.1.1, 4.8.9): the path is there, and takes no method. */
static m2_code_t add_bare(m2_apidoc_t *doc, const m2_node_t *path)
{
    const m2_operation_t none = { NULL, NULL, path->text, NULL, NULL, 0, 0, NULL };
    m2_err_t cause;
    m2_code_t code;

    m2_err_init(&cause, doc->ptemp);
    code = m2_operations_add(doc->table, doc->api->base, path->line, &none, &cause);
    if (code) {
        return m2_node_fault_of(path, path->text, &cause, doc->err);
    }
    m2_apidoc_note(doc, path, "%s has no operation: every method of it is refused, and no wider "
                   "template matches its path", path->text);
    return M2_OK;
}

static m2_code_t read_item(m2_apidoc_t *doc, const m2_node_t *path, const m2_node_t *item)
{
    m2_code_t code = m2_node_want(item, M2_WANT_MAP, path->text, doc->err);
    const int before = m2_operations_count(doc->table);
    int i;

    if (!code && path->text[0] != '/') {
        code = m2_node_fault(path, doc->err, "\"%s\": a path begins with /", path->text);
    }
    code = code ? code : resolve(&item, doc, item);
    code = code ? code : m2_node_want(item, M2_WANT_MAP, path->text, doc->err);
    code = code ? code : check_servers(doc, item);
    code = code ? code : check_parameters(doc, item);
    if (!code) {
        note_extensions(doc, item);
    }
    for (i = 0; !code && i < m2_node_count(item); i++) {
        code = read_field(doc, path->text, m2_node_name_at(item, i),
                          m2_node_value_at(item, i));
    }
    return code || m2_operations_count(doc->table) > before ? code : add_bare(doc, path);
}

static m2_code_t read_paths(m2_apidoc_t *doc)
{
    const m2_node_t *paths = m2_apidoc_get(doc->root, "paths");
    m2_code_t code;
    int i;

    if (!paths) {
        return m2_node_fault(doc->root, doc->err, "the document has no paths");
    }
    code = m2_node_want(paths, M2_WANT_MAP, "paths", doc->err);
    for (i = 0; !code && i < m2_node_count(paths); i++) {
        const m2_node_t *path = m2_node_name_at(paths, i);

        if (!begins(path->text, EXTENSION)) {
            code = read_item(doc, path, m2_node_value_at(paths, i));
        }
    }
    return code;
}

static m2_code_t read_document(m2_apidoc_t *doc)
{
    int before = m2_operations_count(doc->table);
    m2_code_t code = check_version(doc);

    code = code ? code : find_base(doc);
    code = code ? code : m2_apidoc_schemes(doc);
    code = code ? code : check_shared_parameters(doc);
    if (code) {
        return code;
    }
    doc->security = m2_apidoc_get(doc->root, "security");
    if (doc->security) {
        code = m2_node_want(doc->security, M2_WANT_LIST, "security", doc->err);
    }
    note_extensions(doc, doc->root);
    code = code ? code : read_paths(doc);
    if (!code && doc->is_unstated) {
        m2_apidoc_note(doc, doc->root, "the document as a whole states no security; any valid "
                       "token is enough where an operation states none of its own");
    }
    if (!code && m2_operations_count(doc->table) == before) {
        code = m2_node_fault(doc->root, doc->err, "the document has no operation");
    }
    return code;
}

static const m2_node_limits_t limits = { M2_MAX_OPENAPI_BYTES, M2_MAX_OPENAPI_DEPTH,
                                         M2_MAX_OPENAPI_NODES };

int m2_openapi_is(apr_pool_t *ptemp, m2_slice_t text)
{
    const m2_node_t *root;
    m2_err_t err;

    m2_err_init(&err, ptemp);
    return m2_node_read_within(&root, ptemp, text, &limits, &err) == M2_OK
           && (m2_apidoc_get(root, "openapi") || m2_apidoc_get(root, "swagger"));
}

m2_code_t m2_openapi_read(m2_openapi_t **papi, m2_operations_t *table, apr_pool_t *pool,
                          apr_pool_t *ptemp, m2_slice_t text,
                          const m2_openapi_options_t *options, m2_err_t *err)
{
    m2_apidoc_t doc = { pool, ptemp, NULL, options, NULL, table, NULL, NULL, NULL, 0, err,
                        apr_hash_make(ptemp) };
    m2_code_t code;

    doc.api = apr_pcalloc(pool, sizeof(*doc.api));
    doc.api->notices = apr_array_make(pool, 4, sizeof(const char *));
    doc.api->ignored = apr_array_make(pool, 4, sizeof(const char *));
    code = m2_node_read_within(&doc.root, ptemp, text, &limits, err);
    code = code ? code : read_document(&doc);
    *papi = code ? NULL : doc.api;
    return code;
}
