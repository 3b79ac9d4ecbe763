/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A form body that has to be read before the decision: taken in once per client request, up
 * to the limit, kept with the initial request, and handed on by an input filter that every
 * later request_rec of it gets anew (an internal redirect resets input filters).
 */
#include "httpd/request/m2mgw_body.h"

#include <apr_buckets.h>
#include <util_filter.h>

typedef struct m2mgw_body_t {
    m2_code_t code;    /* how reading ended */
    m2_slice_t bytes;  /* as the client sent it, or as replaced */
    m2_body_kind_t kind;
    int looked;        /* reading was tried: code says how it ended */
    int taken;         /* bytes were read from the client, so that the filter is needed */
    int broken;        /* httpd gave up on it: the status it would have answered with */
    int handed;        /* a handler has begun to read: nothing can be changed any more */
    apr_off_t sent;    /* handed on so far, across redirects */
} m2mgw_body_t;

static ap_filter_rec_t *body_filter_handle;
static ap_filter_rec_t *fault_filter_handle;

static int has_body(request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    /* httpd knows more ways than these two, and none of them for HEAD */
    return apr_table_get(r->headers_in, "Transfer-Encoding")
           || (length && !m2_slice_is(m2_slice_z(length), "0")) || ap_request_has_body(r);
}

/* A form of zero bytes is a form, and may get claims. */
static m2_body_kind_t kind_of(request_rec *r)
{
    const m2_body_kind_t kind = m2_body_kind(
        apr_table_get(r->headers_in, "Content-Type"),
        apr_table_get(r->headers_in, "Content-Encoding"));

    return has_body(r) || (kind == M2_BODY_FORM
                           && apr_table_get(r->headers_in, "Content-Length"))
               ? kind : M2_BODY_NONE;
}

/* A growing text, in its own pool, which is destroyed when the text moves to a larger one; at
 * most one brigade longer than limit. A form uses one and a half times the limit while it is
 * read, and its own size from then on. */
typedef struct text_t {
    apr_pool_t *parent;
    apr_pool_t *own; /* NULL: nothing is held */
    char *p;
    apr_size_t used, size, limit;
} text_t;

/* Moves the text to where size bytes have room. */
static void text_move(text_t *text, apr_size_t size)
{
    apr_pool_t *old = text->own;
    char *p;

    apr_pool_create(&text->own, text->parent);
    p = apr_palloc(text->own, size);
    if (text->used) {
        memcpy(p, text->p, text->used);
    }
    if (old) {
        apr_pool_destroy(old);
    }
    text->p = p;
    text->size = size;
}

static void text_add(text_t *text, const char *data, apr_size_t n)
{
    const apr_size_t needed = text->used + n, most = text->limit + HUGE_STRING_LEN;

    if (needed > text->size) {
        text_move(text, needed > most || needed * 2 < most ? needed * 2 : most);
    }
    memcpy(text->p + text->used, data, n);
    text->used += n;
}

/* Frees memory beyond twice the text. */
static void text_end(text_t *text)
{
    if (text->size > 2 * text->used + HUGE_STRING_LEN) {
        text_move(text, text->used + 1);
    }
}

/* Appends the whole brigade even beyond the limit: in Shadow the request goes on, and the
 * backend must get every byte. *ended is set at the end of the body. */
static m2_code_t text_add_brigade(text_t *text, apr_bucket_brigade *bb, int *ended)
{
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    for (; b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t n;

        if (APR_BUCKET_IS_EOS(b)) {
            *ended = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        if (apr_bucket_read(b, &data, &n, APR_BLOCK_READ) != APR_SUCCESS) {
            return M2_E_BODY_UNREADABLE;
        }
        text_add(text, data, n);
    }
    return text->used > text->limit ? M2_E_BODY_TOO_LARGE : M2_OK;
}

/* If a body is faulty, httpd's input filter answers the client at once, through the output
 * filters. But this module must answer, so while the body is read, this filter stops the fault. */
static apr_status_t fault_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    m2mgw_body_t *body = ((m2mgw_root_t *)f->ctx)->body;
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    for (; b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (AP_BUCKET_IS_ERROR(b)) {
            body->broken = ((ap_bucket_error *)b->data)->status;
            apr_brigade_cleanup(bb);
            return AP_FILTER_ERROR;
        }
    }
    return ap_pass_brigade(f->next, bb);
}

/* One brigade after the other, to the end of the body or the first fault. */
static m2_code_t read_on(m2mgw_body_t *body, text_t *text, request_rec *r)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    m2_code_t code = M2_OK;
    int ended = 0;

    while (code == M2_OK && !ended) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                                         APR_BLOCK_READ, HUGE_STRING_LEN);

        if (rv != APR_SUCCESS || APR_BRIGADE_EMPTY(bb)) {
            code = M2_E_BODY_UNREADABLE;
            body->broken = body->broken ? body->broken : HTTP_BAD_REQUEST;
        }
        else {
            code = text_add_brigade(text, bb, &ended);
        }
        apr_brigade_cleanup(bb);
    }
    apr_brigade_destroy(bb);
    return body->broken == HTTP_REQUEST_ENTITY_TOO_LARGE ? M2_E_BODY_TOO_LARGE : code;
}

/* With MergeTrailers httpd gives the request other headers when the last chunk has come, and
 * names we have scrubbed may be among them (RFC 9110 6.5.1): the request keeps those it had. */
static m2_code_t read_all(m2mgw_root_t *root, request_rec *r, apr_size_t limit)
{
    apr_table_t *headers = r->headers_in;
    text_t text = { root->r->pool, NULL, (char *)"", 0, 0, limit };
    ap_filter_t *fault = ap_add_output_filter_handle(fault_filter_handle, root, r,
                                                     r->connection);
    m2_code_t code = read_on(root->body, &text, r);

    text_end(&text);
    ap_remove_output_filter(fault);
    r->headers_in = headers;
    root->body->bytes = m2_slice(text.p, text.used);
    root->body->taken = 1;
    return code;
}

/* Whose body it is: a subrequest has none of its own, but may take the place of the request
 * that made it (mod_dir, mod_negotiation), and then its body is this one. */
static request_rec *owner_of(request_rec *r)
{
    while (r->main) {
        r = r->main;
    }
    return r;
}

static m2_code_t take(m2mgw_root_t *root, request_rec *r, apr_off_t limit)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t announced = 0;
    m2_code_t code;

    if (length && ap_parse_strict_length(&announced, length) && announced > limit) {
        return M2_E_BODY_TOO_LARGE;
    }
    code = read_all(root, r, (apr_size_t)limit);
    ap_add_input_filter_handle(body_filter_handle, root, r, r->connection);
    return code;
}

static m2mgw_body_t *body_of(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2mgw_root_t *root = ctx->root;

    if (!root->body) {
        root->body = apr_pcalloc(root->r->pool, sizeof(*root->body));
        root->body->kind = kind_of(owner_of(r));
    }
    return root->body;
}

m2_body_kind_t m2mgw_body_kind(m2mgw_ctx_t *ctx, request_rec *r)
{
    return body_of(ctx, r)->kind;
}

m2_code_t m2mgw_body_whole(m2_slice_t *ptext, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    m2mgw_body_t *body = body_of(ctx, r);

    *ptext = m2_slice(NULL, 0);
    if (!body->looked) {
        body->looked = 1;
        body->code = take(ctx->root, owner_of(r), ctx->effective.form_limit);
    }
    if (body->code != M2_OK) {
        return m2_err_set(err, body->code, "the form body cannot be used");
    }
    if (!body->handed) { /* else no later filter or handler would get it */
        *ptext = body->bytes;
    }
    return M2_OK;
}

m2_code_t m2mgw_body_text(m2_slice_t *ptext, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2_body_kind_t kind = m2mgw_body_kind(ctx, r);

    *ptext = m2_slice(NULL, 0);
    return kind == M2_BODY_FORM || kind == M2_BODY_UNTYPED
               ? m2mgw_body_whole(ptext, ctx, r, err) : M2_OK;
}

m2_code_t m2mgw_body_form(m2_slice_t *pform, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2_body_kind_t kind = m2mgw_body_kind(ctx, r);

    *pform = m2_slice(NULL, 0);
    if (m2_body_is_odd_form(kind, apr_table_get(owner_of(r)->headers_in, "Content-Type"))) {
        return m2_err_set(err, M2_E_BODY_UNSUPPORTED, "the body is a form to some backends "
                          "only, or in a character set that respells names");
    }
    return kind == M2_BODY_FORM ? m2mgw_body_text(pform, ctx, r, err) : M2_OK;
}

int m2mgw_body_is_too_large(const m2mgw_ctx_t *ctx)
{
    return ctx->root->body && ctx->root->body->code == M2_E_BODY_TOO_LARGE;
}

int m2mgw_body_is_broken(const m2mgw_ctx_t *ctx)
{
    return ctx->root->body && ctx->root->body->broken;
}

void m2mgw_body_replace(m2mgw_ctx_t *ctx, request_rec *r, const char *form)
{
    m2mgw_body_t *body = ctx->root->body;

    body->bytes = m2_slice_z(form);
    apr_table_unset(r->headers_in, "Transfer-Encoding");
    apr_table_setn(r->headers_in, "Content-Length",
                   apr_psprintf(r->pool, "%" APR_SIZE_T_FMT, body->bytes.n));
}

/* Hands the kept body on, in pieces of at most what is asked for. */
static apr_status_t body_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                                apr_read_type_e block, apr_off_t wanted)
{
    m2mgw_body_t *body = ((m2mgw_root_t *)f->ctx)->body;
    apr_off_t left = (apr_off_t)body->bytes.n - body->sent;
    apr_bucket *b;

    if (mode == AP_MODE_EATCRLF || mode == AP_MODE_INIT) {
        return ap_get_brigade(f->next, bb, mode, block, wanted);
    }
    body->handed |= mode != AP_MODE_SPECULATIVE;
    if (left == 0 && body->code != M2_OK) { /* what was not read before follows */
        ap_remove_input_filter(f);
        return ap_get_brigade(f->next, bb, mode, block, wanted);
    }
    if (mode == AP_MODE_READBYTES && wanted >= 0 && wanted < left) {
        left = wanted;
    }
    if (left > 0) {
        b = apr_bucket_immortal_create(body->bytes.p + body->sent, (apr_size_t)left,
                                       f->c->bucket_alloc);
        APR_BRIGADE_INSERT_TAIL(bb, b);
        if (mode != AP_MODE_SPECULATIVE) {
            body->sent += left;
        }
    }
    if (body->code == M2_OK && body->sent >= (apr_off_t)body->bytes.n) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(f->c->bucket_alloc));
    }
    return APR_SUCCESS;
}

/* Every request_rec of the client's request that may read the body gets the filter. */
static void insert(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const ap_filter_t *f;

    if (!ctx || !ctx->root->body || !ctx->root->body->taken || r->main
        || ctx->error_document) { /* which gets no body */
        return;
    }
    for (f = r->input_filters; f; f = f->next) {
        if (f->frec == body_filter_handle) {
            return;
        }
    }
    ap_add_input_filter_handle(body_filter_handle, ctx->root, r, r->connection);
}

void m2mgw_body_register(void)
{
    /* next to the network: other input filters (SetInputFilter) see what we pass on */
    body_filter_handle = ap_register_input_filter(
        "M2MGW_BODY", body_filter, NULL, (ap_filter_type)(AP_FTYPE_PROTOCOL - 1));
    fault_filter_handle =
        ap_register_output_filter("M2MGW_FAULT", fault_filter, NULL, AP_FTYPE_RESOURCE);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_FIRST);
}
