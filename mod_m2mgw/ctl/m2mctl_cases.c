/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Reading a table of cases: strictly, since an expectation that is spelled wrong would never
 * be missed.
 */
#include "ctl/m2mctl_cases.h"

#include "plugin/m2_yaml.h"
#include "text/m2_nearest.h"

#include <stddef.h>

typedef struct file_nodes_t {
    const m2_node_t *cases;
} file_nodes_t;

typedef struct case_nodes_t {
    const m2_node_t *name, *now, *request, *claims, *token, *bound, *expect;
} case_nodes_t;

typedef struct request_nodes_t {
    const m2_node_t *method, *url, *headers, *body, *address, *certificate;
} request_nodes_t;

typedef struct expect_nodes_t {
    const m2_node_t *decision, *reason, *rule, *status;
} expect_nodes_t;

/* clang-format off */
static const m2_field_t file_fields[] = {
    { "cases", M2_WANT_LIST, offsetof(file_nodes_t, cases), NULL },
    { NULL, 0, 0, NULL },
};
static const m2_field_t case_fields[] = {
    { "name", M2_WANT_TEXT, offsetof(case_nodes_t, name), NULL },
    { "now", M2_WANT_INT, offsetof(case_nodes_t, now), NULL },
    { "request", M2_WANT_MAP, offsetof(case_nodes_t, request), NULL },
    { "claims", M2_WANT_MAP, offsetof(case_nodes_t, claims), NULL },
    { "token", M2_WANT_STRING, offsetof(case_nodes_t, token), NULL },
    { "bound", M2_WANT_STRING, offsetof(case_nodes_t, bound), NULL },
    { "expect", M2_WANT_MAP, offsetof(case_nodes_t, expect), NULL },
    { NULL, 0, 0, NULL },
};
static const m2_field_t request_fields[] = {
    { "method", M2_WANT_STRING, offsetof(request_nodes_t, method), NULL },
    { "url", M2_WANT_STRING, offsetof(request_nodes_t, url), NULL },
    { "headers", M2_WANT_MAP, offsetof(request_nodes_t, headers), NULL },
    { "body", M2_WANT_STRING, offsetof(request_nodes_t, body), NULL },
    { "address", M2_WANT_STRING, offsetof(request_nodes_t, address), NULL },
    { "certificate", M2_WANT_STRING, offsetof(request_nodes_t, certificate), NULL },
    { NULL, 0, 0, NULL },
};
static const m2_field_t expect_fields[] = {
    { "decision", M2_WANT_STRING, offsetof(expect_nodes_t, decision), NULL },
    { "reason", M2_WANT_STRING, offsetof(expect_nodes_t, reason), NULL },
    { "rule", M2_WANT_TEXT, offsetof(expect_nodes_t, rule), NULL },
    { "status", M2_WANT_INT, offsetof(expect_nodes_t, status), NULL },
    { NULL, 0, 0, NULL },
};
/* clang-format on */

static const char *text_of(const m2_node_t *node)
{
    return node ? node->text : NULL;
}

static m2_code_t number_of(m2mctl_number_t *number, const m2_node_t *node, m2_err_t *err)
{
    char *end;

    if (!node) {
        return M2_OK;
    }
    number->set = 1;
    number->value = apr_strtoi64(node->text, &end, 10);
    return *end ? m2_node_fault(node, err, "\"%s\" is not a whole number", node->text) : M2_OK;
}

/* --- claims: a node as JSON text --- */

static const char *quoted(apr_pool_t *pool, const char *text)
{
    m2_json_t *array = m2_json_make_array(pool);
    const char *dump;

    m2_json_append_string(array, text);
    dump = m2_json_dump(pool, array); /* ["..."] */
    return apr_pstrmemdup(pool, dump + 1, strlen(dump) - 2);
}

static const char *json_text(apr_pool_t *pool, const m2_node_t *node)
{
    const int map = node->type == M2_NODE_MAP;
    const char *text = map ? "{" : "[";
    int i;

    if (node->type == M2_NODE_NULL) {
        return "null";
    }
    if (node->type == M2_NODE_BOOL) {
        return node->truth ? "true" : "false";
    }
    if (node->type != M2_NODE_LIST && !map) {
        return node->type == M2_NODE_STRING ? quoted(pool, node->text) : node->text;
    }
    for (i = 0; i < m2_node_count(node); i++) { /* M2_MAX_JSON_DEPTH levels at most */
        const char *name = map ? quoted(pool, m2_node_name_at(node, i)->text) : "";

        text = apr_pstrcat(pool, text, i ? "," : "", name, map ? ":" : "",
                           json_text(pool, map ? m2_node_value_at(node, i) : m2_node_at(node, i)),
                           NULL);
    }
    return apr_pstrcat(pool, text, map ? "}" : "]", NULL);
}

static m2_code_t read_claims(m2mctl_case_t *c, apr_pool_t *pool, const m2_node_t *node,
                             m2_err_t *err)
{
    m2_err_t cause;

    if (!node) {
        return M2_OK;
    }
    m2_err_init(&cause, pool);
    return m2_json_parse(&c->claims, pool, m2_slice_z(json_text(pool, node)), M2_E_CONFIG, &cause)
               ? m2_node_fault(node, err, "claims: %s", cause.text)
               : M2_OK;
}

/* --- requests --- */

static m2_code_t read_headers(m2mctl_request_t *request, apr_pool_t *pool, const m2_node_t *map,
                              m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && map && i < m2_node_count(map); i++) {
        const m2_node_t *value = m2_node_value_at(map, i);

        code = m2_node_want(value, M2_WANT_TEXT, "a header", err);
        if (!code) {
            APR_ARRAY_PUSH(request->headers, const char *) =
                apr_pstrcat(pool, m2_node_name_at(map, i)->text, ": ", value->text, NULL);
        }
    }
    return code;
}

static m2_code_t read_request(m2mctl_case_t *c, apr_pool_t *pool, const m2_node_t *node,
                              m2_err_t *err)
{
    request_nodes_t n;
    m2_code_t code;

    memset(&n, 0, sizeof(n));
    c->request.headers = apr_array_make(pool, 4, sizeof(const char *));
    if (!node) {
        return M2_OK;
    }
    code = m2_node_fields(&n, node, "request", request_fields, err);
    c->request.method = text_of(n.method);
    c->request.url = text_of(n.url);
    c->request.body = text_of(n.body);
    c->request.client_ip = text_of(n.address);
    c->certificate = text_of(n.certificate);
    return code ? code : read_headers(&c->request, pool, n.headers, err);
}

/* --- expectations --- */

static m2_code_t check_reason(const m2_node_t *node, m2_err_t *err)
{
    const char *words[M2_CODES], *near;
    apr_size_t n = 0;
    const m2_reason_t *row;

    for (; (row = m2_reason_at((unsigned)n)) != NULL; n++) {
        if (!node || m2_slice_is(m2_slice_z(node->text), row->reason)) {
            return M2_OK;
        }
        words[n] = row->reason;
    }
    near = m2_nearest(node->text, words, n);
    return m2_node_fault(node, err, "there is no reason \"%s\"%s%s%s", node->text,
                         near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static m2_code_t read_expect(m2mctl_case_t *c, const m2_node_t *node, m2_err_t *err)
{
    expect_nodes_t n;
    m2_code_t code;
    m2_slice_t decision;

    memset(&n, 0, sizeof(n));
    code = m2_node_fields(&n, node, "expect", expect_fields, err);
    if (code) {
        return code;
    }
    decision = m2_slice_z(text_of(n.decision));
    if (decision.p && !m2_slice_is(decision, "allow") && !m2_slice_is(decision, "deny")) {
        return m2_node_fault(n.decision, err, "decision is allow or deny");
    }
    if (!n.decision && !n.reason && !n.rule && !n.status) {
        return m2_node_fault(node, err, "expect takes decision, reason, rule and status, at least "
                             "one of them");
    }
    if (check_reason(n.reason, err)) {
        return M2_E_CONFIG;
    }
    c->decision = text_of(n.decision);
    c->reason = text_of(n.reason);
    c->rule = text_of(n.rule);
    return number_of(&c->status, n.status, err);
}

/* A proof is made here, so that only claims can be bound to its key. */
static m2_code_t read_bound(m2mctl_case_t *c, const case_nodes_t *n, m2_err_t *err)
{
    const m2_slice_t word = m2_slice_z(text_of(n->bound));

    c->bound = text_of(n->bound);
    if (n->bound && !n->claims) {
        return m2_node_fault(n->bound, err, "bound goes with claims; a token says itself what it "
                             "is bound to");
    }
    return !n->bound || m2_slice_is(word, "DPoP") || m2_slice_is(word, "mTLS")
                   || m2_slice_is(word, "both")
               ? M2_OK : m2_node_fault(n->bound, err, "bound is DPoP, mTLS or both");
}

static m2_code_t read_case(m2mctl_case_t *c, apr_pool_t *pool, const m2_node_t *node, int number,
                           m2_err_t *err)
{
    case_nodes_t n;
    m2_code_t code;

    memset(&n, 0, sizeof(n));
    code = m2_node_want(node, M2_WANT_MAP, "a case", err);
    code = code ? code : m2_node_fields(&n, node, "case", case_fields, err);
    if (code) {
        return code;
    }
    if (!n.expect) {
        return m2_node_fault(node, err, "the case has no expect");
    }
    if (n.claims && n.token) {
        return m2_node_fault(n.token, err, "a case has claims or a token, not both");
    }
    c->line = node->line;
    c->name = n.name ? n.name->text : apr_psprintf(pool, "case %d", number);
    c->token = text_of(n.token);
    code = read_bound(c, &n, err);
    code = code ? code : number_of(&c->now, n.now, err);
    code = code ? code : read_request(c, pool, n.request, err);
    code = code ? code : read_claims(c, pool, n.claims, err);
    return code ? code : read_expect(c, n.expect, err);
}

m2_code_t m2mctl_cases(apr_array_header_t **pcases, apr_pool_t *pool, m2_slice_t text,
                       m2_err_t *err)
{
    static const m2_node_limits_t limits = { M2MCTL_MAX_FILE, M2_MAX_JSON_DEPTH, 0 };
    apr_array_header_t *cases = apr_array_make(pool, 32, sizeof(m2mctl_case_t));
    const m2_node_t *root;
    file_nodes_t n = { NULL };
    m2_code_t code = m2_node_read_within(&root, pool, text, &limits, err);
    int i;

    code = code ? code : m2_node_want(root, M2_WANT_MAP, "the file", err);
    code = code ? code : m2_node_fields(&n, root, "file", file_fields, err);
    if (!code && (!n.cases || !m2_node_count(n.cases))) {
        code = m2_node_fault(root, err, "there are no cases");
    }
    for (i = 0; !code && i < m2_node_count(n.cases); i++) {
        m2mctl_case_t *c = apr_array_push(cases);

        memset(c, 0, sizeof(*c));
        code = read_case(c, pool, m2_node_at(n.cases, i), i + 1, err);
    }
    *pcases = cases;
    return code;
}
