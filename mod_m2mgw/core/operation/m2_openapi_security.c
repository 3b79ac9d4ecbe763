/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Security of a document: which schemes carry a token, and which scopes an operation asks for.
 * An unclear operation needs a token; only an empty list or an empty alternative makes an
 * operation public. OpenAPI 3.1.1, 4.8.27 and 4.8.30.
 */
#include "operation/m2_openapi_int.h"

#include <string.h>

static int is_text(const m2_node_t *node, const char *word)
{
    return node && node->text && m2_slice_is_nocase(m2_slice_z(node->text), word);
}

/* whether a scheme, by its kind, can carry a token of ours */
static int carries_token(const m2_node_t *scheme)
{
    const m2_node_t *type = m2_apidoc_get(scheme, "type");

    if (is_text(type, "oauth2") || is_text(type, "openIdConnect")) {
        return 1;
    }
    if (is_text(type, "http")) {
        return is_text(m2_apidoc_get(scheme, "scheme"), "bearer");
    }
    return is_text(type, "apiKey") && is_text(m2_apidoc_get(scheme, "in"), "header") &&
           is_text(m2_apidoc_get(scheme, "name"), "Authorization");
}

static int is_chosen(const m2_apidoc_t *doc, const char *name, const m2_node_t *scheme)
{
    const apr_array_header_t *chosen = doc->options->schemes;
    int i;

    if (!chosen) {
        return carries_token(scheme);
    }
    for (i = 0; i < chosen->nelts; i++) {
        if (m2_slice_is(m2_slice_z(name), APR_ARRAY_IDX(chosen, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static const m2_node_t *definitions(const m2_apidoc_t *doc)
{
    const m2_node_t *old = m2_apidoc_get(doc->root, "securityDefinitions");

    return old ? old : m2_apidoc_get(m2_apidoc_get(doc->root, "components"),
                                     "securitySchemes");
}

static m2_code_t check_chosen(m2_apidoc_t *doc)
{
    const apr_array_header_t *chosen = doc->options->schemes;
    int i;

    for (i = 0; chosen && i < chosen->nelts; i++) {
        const char *name = APR_ARRAY_IDX(chosen, i, const char *);

        if (!apr_hash_get(doc->schemes, name, APR_HASH_KEY_STRING)) {
            return m2_node_fault(doc->root, doc->err,
                                 "scheme=%s: the document defines no such security scheme",
                                 name);
        }
    }
    return M2_OK;
}

m2_code_t m2_apidoc_schemes(m2_apidoc_t *doc)
{
    const m2_node_t *defined = definitions(doc);
    int i;

    doc->schemes = apr_hash_make(doc->ptemp);
    doc->foreign = apr_hash_make(doc->ptemp);
    if (defined && defined->type != M2_NODE_MAP) {
        return m2_node_want(defined, M2_WANT_MAP, "the list of security schemes", doc->err);
    }
    for (i = 0; defined && i < m2_node_count(defined); i++) {
        const char *name = m2_node_name_at(defined, i)->text;
        const m2_node_t *scheme = m2_node_value_at(defined, i);

        apr_hash_set(is_chosen(doc, name, scheme) ? doc->schemes : doc->foreign, name,
                     APR_HASH_KEY_STRING,
                     !doc->options->schemes && m2_apidoc_get(scheme, "$ref") ? "$ref" : "");
    }
    return check_chosen(doc);
}

static m2_code_t add_scopes(apr_array_header_t *scopes, m2_apidoc_t *doc,
                            const m2_node_t *list)
{
    m2_code_t code = m2_node_want(list, M2_WANT_LIST, "the scopes of a security scheme",
                                  doc->err);
    int i;

    for (i = 0; !code && i < m2_node_count(list); i++) {
        const m2_node_t *scope = m2_node_at(list, i);

        if (!scope->text || !*scope->text || strpbrk(scope->text, " \t\r\n")) {
            return m2_node_fault(scope, doc->err, "a scope is a text without blanks");
        }
        APR_ARRAY_PUSH(scopes, const char *) = scope->text;
    }
    return code;
}

/* a scheme that is not ours must be known not to be: its scopes are not looked at */
static m2_code_t check_foreign(m2_apidoc_t *doc, const m2_node_t *name)
{
    const char *kind = apr_hash_get(doc->foreign, name->text, APR_HASH_KEY_STRING);

    if (!kind) {
        return m2_node_fault(name, doc->err, "the security scheme \"%s\" is not defined",
                             name->text);
    }
    return *kind ? m2_node_fault(name, doc->err, "the security scheme \"%s\" is a reference, which "
                                 "is not followed; name the schemes that carry a token with "
                                 "scheme=", name->text)
                 : M2_OK;
}

/* one alternative: our schemes in it, all of whose scopes count together */
static m2_code_t read_way(apr_array_header_t **pscopes, m2_apidoc_t *doc,
                          const m2_node_t *way)
{
    apr_array_header_t *scopes = NULL;
    m2_code_t code = m2_node_want(way, M2_WANT_MAP, "a security requirement", doc->err);
    int i;

    for (i = 0; !code && i < m2_node_count(way); i++) {
        const m2_node_t *name = m2_node_name_at(way, i);

        if (apr_hash_get(doc->schemes, name->text, APR_HASH_KEY_STRING)) {
            scopes = scopes ? scopes : apr_array_make(doc->ptemp, 2, sizeof(const char *));
            code = add_scopes(scopes, doc, m2_node_value_at(way, i));
        }
        else {
            code = check_foreign(doc, name);
        }
    }
    *pscopes = scopes;
    return code;
}

static apr_array_header_t *copy_of(apr_pool_t *pool, const apr_array_header_t *scopes)
{
    apr_array_header_t *copy = apr_array_make(pool, scopes->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < scopes->nelts; i++) {
        APR_ARRAY_PUSH(copy, const char *) =
            apr_pstrdup(pool, APR_ARRAY_IDX(scopes, i, const char *));
    }
    return copy;
}

/* The same alternatives are kept once; scopes hold no blanks. */
static const apr_array_header_t *keep_ways(m2_apidoc_t *doc, const apr_array_header_t *ways)
{
    apr_array_header_t *kept;
    const char *key = "";
    int i;

    for (i = 0; i < ways->nelts; i++) {
        key = apr_pstrcat(doc->ptemp, key,
                          apr_array_pstrcat(doc->ptemp,
                                            APR_ARRAY_IDX(ways, i, apr_array_header_t *), ' '),
                          "\n", NULL);
    }
    kept = apr_hash_get(doc->ways, key, APR_HASH_KEY_STRING);
    if (!kept) {
        kept = apr_array_make(doc->pool, ways->nelts, sizeof(apr_array_header_t *));
        for (i = 0; i < ways->nelts; i++) {
            APR_ARRAY_PUSH(kept, apr_array_header_t *) =
                copy_of(doc->pool, APR_ARRAY_IDX(ways, i, apr_array_header_t *));
        }
        apr_hash_set(doc->ways, key, APR_HASH_KEY_STRING, kept);
    }
    return kept;
}

static m2_code_t read_ways(m2_operation_t *operation, m2_apidoc_t *doc, const m2_node_t *list)
{
    apr_array_header_t *ways = apr_array_make(doc->ptemp, 1, sizeof(apr_array_header_t *));
    apr_array_header_t *scopes;
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && i < m2_node_count(list); i++) {
        const m2_node_t *way = m2_node_at(list, i);

        code = read_way(&scopes, doc, way);
        if (!code && !m2_node_count(way)) {
            operation->is_public = 1;
        }
        if (!code && scopes) {
            APR_ARRAY_PUSH(ways, apr_array_header_t *) = scopes;
        }
    }
    operation->alternatives = code ? ways : keep_ways(doc, ways);
    return code;
}

m2_code_t m2_apidoc_security(m2_operation_t *operation, m2_apidoc_t *doc,
                             const m2_node_t *own, const m2_node_t *at)
{
    const m2_node_t *list = own ? own : doc->security;
    m2_code_t code;

    if (!list) {
        doc->is_unstated = 1;
        return M2_OK; /* reported once for the whole document */
    }
    code = m2_node_want(list, M2_WANT_LIST, "security", doc->err);
    if (code) {
        return code;
    }
    if (!m2_node_count(list)) {
        operation->is_public = 1;
        return M2_OK;
    }
    code = read_ways(operation, doc, list);
    if (!code && !operation->is_public && !operation->alternatives->nelts) {
        m2_apidoc_note(doc, at, "%s %s: none of its security schemes carries a token; any "
                       "valid token is enough", operation->method, operation->path);
    }
    return code;
}
