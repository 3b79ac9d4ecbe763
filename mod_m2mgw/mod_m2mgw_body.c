/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A form body that has to be read before the decision: taken in once per client request, up
 * to the limit, kept with the initial request, and handed on by an input filter that every
 * later request_rec of it gets anew (an internal redirect resets input filters).
 */
#include "mod_m2mgw_request.h"

#include <apr_buckets.h>
#include <util_filter.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

typedef struct m2mgw_body_t {
    m2_code_t code;    /* how reading ended */
    m2_slice_t bytes;  /* as the client sent it, or as replaced */
    int is_form;
    apr_off_t sent;    /* handed on so far, across redirects */
} m2mgw_body_t;

static ap_filter_rec_t *body_filter_handle;

/* Whether text, a list of comma- or blank-separated words, is nothing but `identity`. */
static int no_coding(const char *text)
{
    return !text || m2_slice_is_nocase(m2_slice_z(text), "identity");
}

/* The charset parameter of a media type: "there is none" when it has none. */
static m2_slice_t charset_of(const char *type)
{
    const char *p = ap_strcasestr(type, "charset");
    m2_slice_t charset = m2_slice(NULL, 0);

    if (p) {
        p += strlen("charset");
        p += strspn(p, " \t");
        p += *p == '=';
        p += strspn(p, " \t\"'");
        charset = m2_slice(p, strcspn(p, " \t\"';,"));
    }
    return charset;
}

/* Some backends decode names by the charset of the body: only those in which the letters of
 * a name are its bytes may pass for read. */
static int charset_keeps_names(const char *type)
{
    static const char *const known[] = { "utf-8", "utf8", "us-ascii", "iso-8859-1",
                                         "windows-1252" };
    m2_slice_t charset = charset_of(type);
    apr_size_t i;

    for (i = 0; charset.p && i < sizeof(known) / sizeof(known[0]); i++) {
        if (m2_slice_is_nocase(charset, known[i])) {
            return 1;
        }
    }
    return !charset.p;
}

typedef enum kind_t { KIND_OTHER, KIND_FORM, KIND_ODD_FORM } kind_t;

static kind_t kind_of(const request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");

    if (!type || !ap_strcasestr(type, FORM_TYPE)) {
        return KIND_OTHER;
    }
    if (!m2_slice_is_nocase(m2_slice(type, strcspn(type, "; \t")), FORM_TYPE)
        || strchr(type, ',') || !charset_keeps_names(type)
        || !no_coding(apr_table_get(r->headers_in, "Content-Encoding"))) {
        return KIND_ODD_FORM;
    }
    return KIND_FORM;
}

static int has_body(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return apr_table_get(r->headers_in, "Transfer-Encoding")
           || (length && !m2_slice_is(m2_slice_z(length), "0"));
}

int m2mgw_body_is_opaque(const request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");

    return has_body(r)
           && ((type && ap_strcasestr(type, "multipart/"))
               || !no_coding(apr_table_get(r->headers_in, "Content-Encoding")));
}

/* A growing text in a pool; never longer than limit. */
typedef struct text_t {
    apr_pool_t *pool;
    char *p;
    apr_size_t used, size, limit;
} text_t;

static m2_code_t text_add(text_t *text, const char *data, apr_size_t n)
{
    if (n > text->limit - text->used) {
        return M2_E_BODY_TOO_LARGE;
    }
    if (text->used + n > text->size) {
        char *old = text->p;

        text->size = (text->used + n) * 2;
        text->p = apr_palloc(text->pool, text->size);
        if (text->used) {
            memcpy(text->p, old, text->used);
        }
    }
    memcpy(text->p + text->used, data, n);
    text->used += n;
    return M2_OK;
}

/* Appends the data of one brigade; *ended is set at the end of the body. */
static m2_code_t text_add_brigade(text_t *text, apr_bucket_brigade *bb, int *ended)
{
    m2_code_t code = M2_OK;
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    for (; code == M2_OK && b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t n;

        if (APR_BUCKET_IS_EOS(b)) {
            *ended = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        code = apr_bucket_read(b, &data, &n, APR_BLOCK_READ) == APR_SUCCESS
                   ? text_add(text, data, n)
                   : M2_E_BODY_UNREADABLE;
    }
    return code;
}

static m2_code_t read_all(m2mgw_body_t *body, request_rec *r, apr_pool_t *pool,
                          apr_size_t limit)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    text_t text = { pool, (char *)"", 0, 0, limit };
    m2_code_t code = M2_OK;
    int ended = 0;

    while (code == M2_OK && !ended) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                                         APR_BLOCK_READ, HUGE_STRING_LEN);

        code = rv != APR_SUCCESS || APR_BRIGADE_EMPTY(bb)
                   ? M2_E_BODY_UNREADABLE
                   : text_add_brigade(&text, bb, &ended);
        apr_brigade_cleanup(bb);
    }
    apr_brigade_destroy(bb);
    body->bytes = m2_slice(text.p, text.used);
    return code;
}

/* Reads the body into the root, unless that was done before. */
static m2mgw_body_t *body_of(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2mgw_root_t *root = ctx->root;
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t announced = 0;
    kind_t kind;

    if (root->body) {
        return root->body;
    }
    root->body = apr_pcalloc(root->r->pool, sizeof(*root->body));
    /* a form of zero bytes is a form, and may get claims */
    kind = !r->main && (length || has_body(r)) ? kind_of(r) : KIND_OTHER;
    root->body->is_form = kind == KIND_FORM;
    root->body->code = kind == KIND_ODD_FORM ? M2_E_BODY_UNSUPPORTED : M2_OK;
    if (!root->body->is_form) {
        return root->body;
    }
    if (length && ap_parse_strict_length(&announced, length)
        && announced > ctx->effective.form_limit) {
        root->body->code = M2_E_BODY_TOO_LARGE;
        return root->body;
    }
    root->body->code = read_all(root->body, r, root->r->pool,
                                (apr_size_t)ctx->effective.form_limit);
    if (root->body->code == M2_OK) {
        ap_add_input_filter_handle(body_filter_handle, root, r, r->connection);
    }
    return root->body;
}

m2_code_t m2mgw_body_form(m2_slice_t *pform, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2mgw_body_t *body = body_of(ctx, r);

    *pform = m2_slice(NULL, 0);
    if (body->code != M2_OK) {
        return m2_err_set(err, body->code, "the form body cannot be used");
    }
    if (body->is_form) {
        *pform = body->bytes;
    }
    return M2_OK;
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
    if (body->sent >= (apr_off_t)body->bytes.n) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(f->c->bucket_alloc));
    }
    return APR_SUCCESS;
}

/* Every request_rec of the client's request that may read the body gets the filter. */
static void insert(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const ap_filter_t *f;

    if (!ctx || !ctx->root->body || !ctx->root->body->is_form || r->main
        || ctx->root->body->code != M2_OK) {
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
    body_filter_handle =
        ap_register_input_filter("M2MGW_BODY", body_filter, NULL, AP_FTYPE_RESOURCE);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_FIRST);
}
