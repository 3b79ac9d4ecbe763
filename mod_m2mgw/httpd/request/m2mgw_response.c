/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the client gets to see of a decision. A refusal is written in one place from one row
 * of the table of reasons; httpd sends it the way it sends all its errors, so ErrorDocument,
 * `Header always` and the logs work as everywhere, and a filter puts our body in place of
 * the canned one; no cache keeps it. Responses that pass get the request id and, where the
 * token was not in Authorization, lose their public cacheability.
 */
#include "httpd/request/m2mgw_response.h"

#include "httpd/request/m2mgw_challenge.h"
#include "httpd/request/m2mgw_errordoc.h"
#include "httpd/request/m2mgw_limits.h"
#include "httpd/runtime/m2mgw_tell.h"
#include "httpd/runtime/m2mgw_utf8.h"

#include <mod_core.h> /* ap_response_code_string */
#include <util_filter.h>

#define REQUEST_ID "X-Ca-Request-Id"
#define RETRY_AFTER "5"

static ap_filter_rec_t *refusal_filter_handle;
static ap_filter_rec_t *id_filter_handle;
static ap_filter_rec_t *private_filter_handle;
static ap_filter_rec_t *no_store_filter_handle;

/* RFC 9457, with the reason and the request id, which an operator asks a caller for. */
static const char *problem(m2mgw_ctx_t *ctx, request_rec *r, const m2_reason_t *reason,
                           int status)
{
    m2_json_t *json = m2_json_make(r->pool);
    const char *line = ap_get_status_line_ex(r->pool, status);

    m2_json_set_string(json, "type", "about:blank");
    m2_json_set_string(json, "title", strlen(line) > 4 ? line + 4 : line);
    m2_json_set_int(json, "status", status);
    m2_json_set_string(json, "detail",
                       ctx->verdict.refusal.message
                           ? m2mgw_utf8(r->pool, ctx->verdict.refusal.message)
                           : reason->text);
    m2_json_set_string(json, "reason", reason->reason);
    m2_json_set_string(json, "code", reason->ca_code);
    m2_json_set_string(json, "request_id", ctx->root->request_id);
    return apr_pstrcat(r->pool, m2_json_dump(r->pool, json), "\n", NULL);
}

/* The refusal's own, of a rule or of M2MOperationUnknown NotFound; else that of the row. */
static int status_of(const m2mgw_ctx_t *ctx, const m2_reason_t *reason)
{
    if (ctx->verdict.refusal.status) {
        return ctx->verdict.refusal.status;
    }
    return ctx->effective.profile == M2MGW_PROFILE_GATEWAY ? reason->gateway_status
                                                           : reason->status;
}

/* The rule's own body, else whatever ErrorDocument says, else ours for the profile. */
static void choose_body(m2mgw_ctx_t *ctx, request_rec *r, const m2_reason_t *reason,
                        int status)
{
    const m2_refusal_t *own = &ctx->verdict.refusal;
    const char *configured;

    if (own->body) {
        ap_custom_response(r, status, "");
        ctx->body = own->body;
        ctx->content_type = own->content_type;
        return;
    }
    configured = ap_response_code_string(r, ap_index_of_response(status));
    if (configured && *configured == '"') {
        return;
    }
    if (!m2mgw_error_document_may_be(ctx, configured)) {
        ap_custom_response(r, status, "");
    }
    if (ctx->effective.profile == M2MGW_PROFILE_GATEWAY) {
        ctx->body = "";
        ctx->content_type = NULL;
    }
    else {
        ctx->body = problem(ctx, r, reason, status);
        ctx->content_type = "application/problem+json";
    }
}

/* A rule's fields replace other fields of the same name, but not each other: two Set-Cookie
 * fields both stay. */
static void add_rule_headers(request_rec *r, const apr_array_header_t *headers)
{
    int i;

    for (i = 0; headers && i < headers->nelts; i++) {
        apr_table_unset(r->err_headers_out, APR_ARRAY_IDX(headers, i, m2_publish_t).name);
    }
    for (i = 0; headers && i < headers->nelts; i++) {
        const m2_publish_t *header = &APR_ARRAY_IDX(headers, i, m2_publish_t);

        apr_table_addn(r->err_headers_out, header->name, header->value);
    }
}

void m2mgw_log_refusal(const m2mgw_ctx_t *ctx, request_rec *r, m2_code_t code, int status,
                       const char *detail)
{
    const m2_reason_t *reason = m2_reason_of(code);
    const m2_rule_t *rule = code == ctx->verdict.code ? ctx->verdict.rule : NULL;
    const m2mgw_dir_t *dir = ctx->effective.dir; /* may be one of this request alone */
    int level = m2mgw_level(reason->level);

    if (level < APLOG_INFO && !m2mgw_may_tell(dir ? dir->section : NULL, code)) {
        level = APLOG_INFO;
    }
    ap_log_rerror(APLOG_MARK, level, 0, r, "M2-201: %s: %d %s%s%s%s%s [%s]", r->uri, status,
                  reason->reason, rule ? " by rule " : "", rule ? rule->name : "",
                  detail ? ": " : "", detail ? detail : "", ctx->root->request_id);
}

/* An unknown kid may belong to a key that is still being fetched; a refresh does not help a
 * token without a kid. */
static int keys_may_come(const m2mgw_ctx_t *ctx)
{
    return ctx->verdict.code == M2_E_KID_UNKNOWN && ctx->root->kid_asked;
}

/* mod_negotiation and mod_dir may make it the answer to the client (m2mgw_adopt.c). */
static void note_below(const m2mgw_ctx_t *ctx, const request_rec *r, int status)
{
    m2mgw_below_t *below = &ctx->root->below;

    if (r->main) {
        below->status = status;
        below->code = ctx->verdict.code;
        below->profile = ctx->effective.profile;
        below->why = ctx->verdict.err.text ? apr_pstrdup(ctx->root->r->pool,
                                                         ctx->verdict.err.text) : "";
    }
}

int m2mgw_refuse(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_reason_t *reason = m2_reason_of(ctx->verdict.code);
    const int status = status_of(ctx, reason);
    apr_table_t *out = r->err_headers_out;
    const char *message = ctx->verdict.refusal.message;

    if (ctx->refused == status) {
        return status;
    }
    m2mgw_log_refusal(ctx, r, ctx->verdict.code, status, ctx->verdict.err.text);
    ctx->refused = status;
    note_below(ctx, r, status);
    r->status_line = ap_get_status_line_ex(r->pool, status); /* else httpd's own codes only */
    add_rule_headers(r, ctx->verdict.refusal.headers);
    apr_table_setn(out, "Cache-Control", "no-store");
    apr_table_setn(out, "X-Ca-Error-Code", reason->ca_code);
    apr_table_setn(out, "X-Ca-Error-Message",
                   message ? m2mgw_utf8(r->pool, message) : reason->text);
    apr_table_setn(out, REQUEST_ID, ctx->root->request_id);
    if (ctx->retry_after) {
        apr_table_setn(out, "Retry-After", ctx->retry_after);
    }
    else if (status == HTTP_SERVICE_UNAVAILABLE && !message) {
        apr_table_setn(out, "Retry-After", RETRY_AFTER);
    }
    else if (keys_may_come(ctx)) {
        apr_table_setn(out, "Retry-After", "1");
    }
    if ((reason->challenge == M2_CHALLENGE_ALWAYS
         || (ctx->effective.profile != M2MGW_PROFILE_GATEWAY
             && (reason->challenge || status == HTTP_UNAUTHORIZED)))
        && !(message && apr_table_get(out, "WWW-Authenticate"))) {
        m2mgw_challenge(ctx, r, reason);
    }
    choose_body(ctx, r, reason, status);
    if (!ctx->body || *ctx->body) {
        apr_table_setn(out, "X-Content-Type-Options", "nosniff");
    }
    return status;
}

/* httpd puts the methods its own handlers offer on every 405; the rule's own value is more
 * exact. */
static void set_allow(request_rec *r, const apr_array_header_t *headers)
{
    int i;

    apr_table_unset(r->headers_out, "Allow");
    for (i = 0; headers && i < headers->nelts; i++) {
        const m2_publish_t *header = &APR_ARRAY_IDX(headers, i, m2_publish_t);

        if (ap_cstr_casecmp(header->name, "Allow") == 0) {
            apr_table_setn(r->headers_out, "Allow", header->value);
        }
    }
}

/* Drops the canned body and sends ours, once, in front of the end of the stream. */
static apr_status_t refusal_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    m2mgw_ctx_t *ctx = f->ctx;
    apr_bucket *b = APR_BRIGADE_FIRST(in);
    int ended = 0;

    while (b != APR_BRIGADE_SENTINEL(in)) {
        apr_bucket *next = APR_BUCKET_NEXT(b);

        ended |= APR_BUCKET_IS_EOS(b);
        if (!APR_BUCKET_IS_METADATA(b)) {
            apr_bucket_delete(b);
        }
        b = next;
    }
    if (!ended) {
        return apr_brigade_cleanup(in);
    }
    if (*ctx->body && !f->r->header_only) {
        b = apr_bucket_pool_create(ctx->body, strlen(ctx->body), f->r->pool,
                                   f->c->bucket_alloc);
        APR_BRIGADE_INSERT_HEAD(in, b);
    }
    ap_remove_output_filter(f);
    set_allow(f->r, ctx->verdict.refusal.headers);
    ap_set_content_type(f->r, ctx->content_type);
    apr_table_unset(f->r->headers_out, "Content-Length");
    return ap_pass_brigade(f->next, in);
}

/* Without what would let a shared cache keep it. */
static const char *private_cache_control(apr_pool_t *pool, const char *value)
{
    const char *kept = "private";
    const char *token = value ? ap_get_token(pool, &value, 1) : "";

    while (*token) {
        if (ap_cstr_casecmp(token, "public") != 0 && ap_cstr_casecmp(token, "private") != 0
            && ap_cstr_casecmpn(token, "s-maxage", 8) != 0) {
            kept = apr_pstrcat(pool, kept, ", ", token, NULL);
        }
        value += *value == ',';
        token = ap_get_token(pool, &value, 1);
    }
    return kept;
}

/* A backend that sends our header back must not double or replace it. What a script sends is in
 * err_headers_out, and mod_headers is still to come. */
static apr_status_t id_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    const m2mgw_ctx_t *ctx = f->ctx;

    apr_table_unset(f->r->headers_out, REQUEST_ID);
    apr_table_setn(f->r->err_headers_out, REQUEST_ID, ctx->root->request_id);
    m2mgw_limits_answer(ctx, f->r);
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

/* An answer to a URL with a token in it is private, whatever the backend and `Header` say. */
static apr_status_t private_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    request_rec *r = f->r;
    const char *always = apr_table_getm(r->pool, r->err_headers_out, "Cache-Control");
    const char *value = apr_table_getm(r->pool, r->headers_out, "Cache-Control");

    if (always) {
        value = value ? apr_pstrcat(r->pool, value, ", ", always, NULL) : always;
        apr_table_unset(r->err_headers_out, "Cache-Control");
    }
    apr_table_setn(r->headers_out, "Cache-Control", private_cache_control(r->pool, value));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

/* A refusal is an answer to one request, whatever `Header` and Expires say of it or of its
 * document. */
static apr_status_t no_store_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    apr_table_unset(f->r->headers_out, "Cache-Control");
    apr_table_setn(f->r->err_headers_out, "Cache-Control", "no-store");
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

/* --- pages that include protected answers --- */

static int carries(request_rec *r, const m2_token_source_t *source)
{
    const char *cookies = apr_table_get(r->headers_in, "Cookie");

    switch (source->place) {
    case M2_TOKEN_HEADER:
        return apr_table_get(r->headers_in, source->name) != NULL;
    case M2_TOKEN_QUERY:
        return r->args != NULL;
    case M2_TOKEN_COOKIE:
        return cookies && strstr(cookies, source->name);
    default:
        return r->method_number == M_POST;
    }
}

/* When the part of a page comes that is protected (SSI), the headers have gone. So a page that
 * is parsed is private beforehand, where its request may carry a token that a part asks for
 * and that shared caches do not know for one. */
static int may_include(request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);
    const ap_filter_t *f;
    int i;

    for (f = conf->elsewhere ? r->output_filters : NULL; f; f = f->next) {
        for (i = 0; f->frec->ftype <= AP_FTYPE_RESOURCE && i < conf->elsewhere->nelts; i++) {
            if (carries(r, &APR_ARRAY_IDX(conf->elsewhere, i, m2_token_source_t))) {
                return 1;
            }
        }
    }
    return 0;
}

/* The decision behind this response: an ErrorDocument may be outside of all sections. */
static m2mgw_ctx_t *decided(request_rec *r)
{
    m2mgw_ctx_t *ctx;

    for (; r; r = r->prev) {
        ctx = m2mgw_ctx(r);
        if (ctx && ctx->was_in_force) {
            return ctx;
        }
    }
    return NULL;
}

/* Whether it is a refusal or a document for one, whatever section that lies in. */
static int is_refusal(request_rec *r)
{
    for (; r; r = r->prev) {
        const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

        if (ctx && ctx->refused) {
            return 1;
        }
    }
    return 0;
}

/* Whether it is answered with a file, by the default handler or one that adds no header of ours:
 * no backend, script or other handler that could send the id back. */
static int is_file(const request_rec *r)
{
    return !r->handler && !r->proxyreq && r->finfo.filetype == APR_REG
           && (!r->content_type || ap_cstr_casecmpn(r->content_type, "text/", 5) == 0);
}

/* Where no answer can hold an id, and no limits are told, it needs no filter. */
static void insert_id(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (!ctx->refused && !ctx->root->limits && !ctx->effective.limits && is_file(r)) {
        apr_table_setn(r->err_headers_out, REQUEST_ID, ctx->root->request_id);
    }
    else {
        ap_add_output_filter_handle(id_filter_handle, ctx, r, r->connection);
    }
}

void m2mgw_response_insert(request_rec *r)
{
    m2mgw_ctx_t *ctx = r->main ? NULL : decided(r);

    if (!r->main && is_refusal(r)) {
        ap_add_output_filter_handle(no_store_filter_handle, NULL, r, r->connection);
    }
    else if (!r->main && (ctx ? ctx->token_elsewhere : may_include(r))) {
        ap_add_output_filter_handle(private_filter_handle, NULL, r, r->connection);
    }
    if (!ctx) {
        return;
    }
    if (ctx->r == r && ctx->refused && ctx->refused == r->status && ctx->body) {
        ap_add_output_filter_handle(refusal_filter_handle, ctx, r, r->connection);
    }
    insert_id(ctx, r);
}

void m2mgw_response_register(void)
{
    id_filter_handle = ap_register_output_filter("M2MGW_ID", id_filter, NULL,
                                                 (ap_filter_type)(AP_FTYPE_CONTENT_SET - 1));
    /* behind mod_headers and mod_cache, in front of everything that touches the bytes */
    refusal_filter_handle = ap_register_output_filter(
        "M2MGW_REFUSAL", refusal_filter, NULL, (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
    private_filter_handle = ap_register_output_filter(
        "M2MGW_PRIVATE", private_filter, NULL, (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
    no_store_filter_handle = ap_register_output_filter(
        "M2MGW_NO_STORE", no_store_filter, NULL, (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
    ap_hook_insert_filter(m2mgw_response_insert, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(m2mgw_response_insert, NULL, NULL, APR_HOOK_LAST);
}
