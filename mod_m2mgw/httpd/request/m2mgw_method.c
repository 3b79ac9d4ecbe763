/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The method that rules, limits and operations decide on is that of the request line, and no
 * backend gets a different one.
 */
#include "httpd/request/m2mgw_method.h"

#include "httpd/config/m2mgw_section.h"
#include "httpd/request/m2mgw_body.h"

#include "request/m2_method.h"

#define DEFAULT_PARAMETER "_method"

static const m2_nameset_t *default_names; /* made when the module is loaded */

static int reads_method(const m2_rules_t *rules)
{
    return rules && m2_params_use(rules->params, M2_SRC_METHOD);
}

#define MAX_NESTED 8 /* <If> in <If>, deeper ones count as naming the method */

static int any_by_method(const apr_array_header_t *vectors, int depth);

/* Whether a section of ours in there is reached by method. */
static int is_by_method(const ap_conf_vector_t *vector, int depth)
{
    const m2mgw_dir_t *dir = ap_get_module_config(vector, &m2mgw_module);
    const core_dir_config *core = ap_get_core_module_config(vector);

    return (dir && dir->section && dir->section->by_method) || depth > MAX_NESTED
           || (core && (any_by_method(core->sec_if, depth + 1)
                        || any_by_method(core->sec_file, depth + 1)));
}

static int any_by_method(const apr_array_header_t *vectors, int depth)
{
    int i;

    for (i = 0; vectors && i < vectors->nelts; i++) {
        if (is_by_method(APR_ARRAY_IDX(vectors, i, const ap_conf_vector_t *), depth)) {
            return 1;
        }
    }
    return 0;
}

/* Whether an <If> that was evaluated for this request, true or not, names the method. */
static int expression_reads_method(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);

    return core->sec_if && any_by_method(core->sec_if, 0);
}

static int method_decides(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    const m2_limits_t *limits = ctx->effective.limits;

    return ctx->operation || reads_method(ctx->effective.policy.rules)
           || (limits && reads_method(limits->scope)) || expression_reads_method(r);
}

/* Remove it from the headers, in every spelling; 1 if one named another method. */
static int take_headers(request_rec *r)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i = 0, differs = 0;

    while (i < all->nelts) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (m2_method_is_override(field->key)) {
            differs |= m2_method_differs(m2_slice_z(field->val), r->method);
            apr_table_unset(r->headers_in, field->key); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
    return differs;
}

static int is_one_of(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

static int take_query(m2mgw_ctx_t *ctx, request_rec *r, const m2_nameset_t *names)
{
    const int differs = m2_method_differs_in(r->pool, r->args, names, r->method);
    const char *kept = m2_nameset_remove(r->pool, r->args, is_one_of, names);

    if (kept != r->args) {
        r->args = *kept ? (char *)m2_form_clean(r->pool, kept) : NULL;
        ctx->query_changed = 1;
    }
    return differs;
}

/* A subrequest must not change the body, and frameworks only look at that of a POST. */
static m2_code_t take_body(int *pdiffers, m2mgw_ctx_t *ctx, request_rec *r,
                           const m2_nameset_t *names, m2_err_t *err)
{
    const char *text, *kept;
    m2_slice_t body;
    m2_code_t code;

    if (r->main || r->method_number != M_POST) {
        return M2_OK;
    }
    code = m2mgw_body_text(&body, ctx, r, err);
    if (code != M2_OK || !body.p) {
        return code;
    }
    text = m2_form_text(r->pool, body);
    kept = m2_nameset_remove(r->pool, text, is_one_of, names);
    if (kept != text) {
        *pdiffers |= m2_method_differs_in(r->pool, text, names, r->method);
        m2mgw_body_replace(ctx, r, kept);
    }
    return M2_OK;
}

/* Some backends find names and forms in other character sets; this module does not. */
static m2_code_t check_readable(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const m2_body_kind_t kind = m2mgw_body_kind(ctx, r), plain = m2_body_kind(type, NULL);
    const int may_be_form = kind != M2_BODY_NONE && r->method_number == M_POST
                            && (plain == M2_BODY_FORM || plain == M2_BODY_UNTYPED);

    if ((r->args || may_be_form) && !m2_body_charset_is_plain(type)) {
        return m2_err_set(err, M2_E_RULE_ERROR, "the character set of the Content-Type may "
                          "respell a parameter that names a method");
    }
    if (may_be_form && kind == M2_BODY_CODED) {
        return m2_err_set(err, M2_E_RULE_ERROR, "a content-encoded form may name a method");
    }
    return M2_OK;
}

m2_code_t m2mgw_method_guard(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    const m2_nameset_t *names = dir && dir->method_names ? dir->method_names : default_names;
    m2_code_t code;
    int differs;

    if (!method_decides(ctx, r)) {
        return M2_OK;
    }
    if (expression_reads_method(r) && m2_method_is_respelled(r->method)) {
        return m2_err_set(err, M2_E_RULE_ERROR, "the method is a registered one in other "
                          "letters");
    }
    differs = take_headers(r);
    differs |= take_query(ctx, r, names);
    code = m2_nameset_is_empty(names) ? M2_OK : check_readable(ctx, r, err);
    code = code ? code : take_body(&differs, ctx, r, names, err);
    if (code == M2_OK && differs) {
        code = m2_err_set(err, M2_E_RULE_ERROR, "a header or parameter names another method "
                          "than the request's");
    }
    return code;
}

void m2mgw_method_register(apr_pool_t *pool)
{
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);

    m2_nameset_add(names, DEFAULT_PARAMETER);
    default_names = names;
}
