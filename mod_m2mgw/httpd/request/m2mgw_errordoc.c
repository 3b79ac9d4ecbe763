/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * ErrorDocument for refusals of ours. A caller who was refused must start no code: the
 * document's handler is looked at in the handler stage, where mod_rewrite, mod_dir and
 * mod_mime have had their say, and a static file is given to httpd's default handler directly,
 * so that no module that claims requests by their path or type is asked at all.
 */
#include "httpd/request/m2mgw_errordoc.h"

#include <apr_lib.h>
#include <util_filter.h>

#define DEFAULT_HANDLER "default-handler"

/* As mod_filter of httpd 2.4 defines it; the core declares it and leaves it open. */
struct ap_filter_provider_t {
    void *expr;
    const char **types;
    ap_filter_rec_t *frec;
    ap_filter_provider_t *next;
};

static ap_filter_rec_t *no_body_handle;

/* The record of the refusal that r is the document of, or NULL: a request that was refused is
 * redirected for nothing else. */
static m2mgw_ctx_t *refusal_of(request_rec *r)
{
    m2mgw_ctx_t *before = r->prev && !r->main ? m2mgw_ctx(r->prev) : NULL;

    return before && before->refused ? before : NULL;
}

/* The refusal that made the request come here, however many redirects ago. */
static m2mgw_ctx_t *refused_before(request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        m2mgw_ctx_t *ctx = m2mgw_ctx(r);

        if (ctx && ctx->refused) {
            return ctx;
        }
    }
    return NULL;
}

int m2mgw_is_error_document(request_rec *r)
{
    return refusal_of(r) != NULL;
}

static int only_static(const m2mgw_ctx_t *refusal)
{
    return !refusal->effective.any_document;
}

void m2mgw_error_document_meet(request_rec *r)
{
    static const char *const names[] = { "M2M_DECISION", "M2M_REASON", "M2M_RULE",
                                         "M2M_ERROR_CODE" };
    apr_size_t i;

    r->status_line = ap_get_status_line_ex(r->pool, r->status);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = apr_table_get(r->prev->subprocess_env, names[i]);

        if (value) {
            apr_table_setn(r->subprocess_env, names[i], value);
        }
    }
}

static int is_proxied(const request_rec *r)
{
    return r->proxyreq
           || (r->handler && strlen(r->handler) > 6
               && m2_slice_is_nocase(m2_slice(r->handler, 6), "proxy:"));
}

int m2mgw_error_document_guard(request_rec *r)
{
    const m2mgw_ctx_t *refusal = refusal_of(r);

    return refusal && only_static(refusal) && is_proxied(r) ? refusal->refused : DECLINED;
}

/* Types that name a handler: where no handler is set, httpd and its modules take the type of a
 * file for one. */
static int type_is_a_handler(const char *type)
{
    static const char *const marks[] = { "httpd", "x-type-map", "server-parsed", "php",
                                         "script", "perl", "python", "x-sh", "x-csh",
                                         "x-lua", "cgi" };
    static const char *const plain[] = { "text/javascript", "application/javascript",
                                         "application/x-javascript" };
    apr_size_t i;

    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (ap_cstr_casecmp(type, plain[i]) == 0) {
            return 0;
        }
    }
    for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (ap_strcasestr(type, marks[i])) {
            return 1;
        }
    }
    return 0;
}

/* Only the default handler is meant: no handler was set, and the type is not the name of one.
 * httpd has put the type, without its parameters, in the place of a handler that is not set. */
static int is_for_default_handler(request_rec *r)
{
    const char *type = r->content_type ? ap_field_noparam(r->pool, r->content_type) : "";
    const char *handler = r->handler ? r->handler : "";

    return !type_is_a_handler(type)
           && (m2_slice_is(m2_slice_z(handler), type)
               || m2_slice_is(m2_slice_z(handler), DEFAULT_HANDLER));
}

/* AP_FTYPE_RESOURCE and what is registered a little behind it; mod_expires, which only sets
 * fields, is a little in front of AP_FTYPE_CONTENT_SET. */
static int is_resource_filter(const ap_filter_rec_t *frec)
{
    return (int)frec->ftype < ((int)AP_FTYPE_RESOURCE + (int)AP_FTYPE_CONTENT_SET) / 2;
}

/* Whether a filter makes content of its own: INCLUDES, PHP, SUBSTITUTE. A filter of mod_filter
 * is what its providers are. */
static int makes_content(const ap_filter_rec_t *frec)
{
    const ap_filter_provider_t *provider;

    if (!frec->providers) {
        return is_resource_filter(frec);
    }
    for (provider = frec->providers; provider; provider = provider->next) {
        if (is_resource_filter(provider->frec)) {
            return 1;
        }
    }
    return 0;
}

/* The first filter on the way out that does, or NULL. */
static const char *content_filter(const request_rec *r)
{
    const ap_filter_t *f;

    for (f = r->output_filters; f; f = f->next) {
        if (makes_content(f->frec)) {
            return f->frec->name;
        }
    }
    return NULL;
}

/* Why r is not a static file that is served unchanged; NULL: it is one. */
static const char *not_static(request_rec *r)
{
    const char *filter = content_filter(r);

    if (is_proxied(r)) {
        return "it would be fetched";
    }
    if (r->finfo.filetype != APR_REG || (r->path_info && *r->path_info)) {
        return "it is not a regular file";
    }
    if (!is_for_default_handler(r)) {
        return apr_pstrcat(r->pool, "its handler is ", r->handler, NULL);
    }
    return filter ? apr_pstrcat(r->pool, "it goes through the filter ", filter, NULL) : NULL;
}

/* A program that reads the client's body gets end of file. */
static apr_status_t no_body_filter(ap_filter_t *f, apr_bucket_brigade *bb,
                                   ap_input_mode_t mode, apr_read_type_e block,
                                   apr_off_t wanted)
{
    if (mode == AP_MODE_EATCRLF || mode == AP_MODE_INIT) {
        return ap_get_brigade(f->next, bb, mode, block, wanted);
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(f->c->bucket_alloc));
    return APR_SUCCESS;
}

/* Reads the body and throws it away, which httpd does not do where it closes the connection
 * anyway; so no later handler can read it or learn its length and type. */
static int discard_body(request_rec *r)
{
    const int status = ap_discard_request_body(r);

    if (status == OK) {
        ap_add_input_filter_handle(no_body_handle, NULL, r, r->connection);
        r->headers_in = apr_table_copy(r->pool, r->headers_in);
        apr_table_unset(r->headers_in, "Content-Length");
        apr_table_unset(r->headers_in, "Transfer-Encoding");
        apr_table_unset(r->headers_in, "Content-Type");
        apr_table_unset(r->headers_in, "Content-Encoding");
    }
    return status;
}

/* Calls the hook of one of httpd's own modules, as the server would; DECLINED where that
 * module is not there. */
static int run_handler_of(request_rec *r, const char *file)
{
    const apr_array_header_t *hooks = ap_hook_get_handler();
    int status = DECLINED;
    int i;

    for (i = 0; hooks && i < hooks->nelts && status == DECLINED; i++) {
        const ap_LINK_handler_t *hook = &APR_ARRAY_IDX(hooks, i, const ap_LINK_handler_t);

        if (m2_slice_is(m2_slice_z(hook->szName), file)) {
            status = hook->pFunc(r);
        }
    }
    return status;
}

/* An Action for the file's type redirects, and a redirect from here is refused
 * (hook_post_read_request); what is left is httpd's own. */
static int serve(request_rec *r)
{
    const char *handler = r->handler;
    int status = run_handler_of(r, "mod_actions.c");

    if (status == DECLINED) {
        r->handler = DEFAULT_HANDLER;
        status = run_handler_of(r, "core.c");
        r->handler = handler;
    }
    return status == DECLINED ? HTTP_NOT_FOUND : status;
}

/* What another module wants to answer in the document's place, as mod_rewrite a redirect, does
 * not count. */
static int is_not_served(request_rec *r, const m2mgw_ctx_t *refusal, const char *why)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-202: ErrorDocument %s is not served: %s "
                  "(M2MErrorDocuments Static)", r->uri, why);
    apr_table_unset(r->headers_out, "Location");
    r->status = refusal->refused; /* mod_rewrite sets it to 200, and httpd would start anew */
    return refusal->refused;
}

int m2mgw_error_document_handle(request_rec *r)
{
    const m2mgw_ctx_t *refusal = refusal_of(r);
    const char *why;
    int status;

    if (!refusal) {
        return DECLINED;
    }
    why = only_static(refusal) ? not_static(r) : NULL;
    if (why) {
        return is_not_served(r, refusal, why);
    }
    status = discard_body(r);
    if (status != OK) {
        return status;
    }
    return only_static(refusal) ? serve(r) : DECLINED;
}

int m2mgw_error_document_may_be(const m2mgw_ctx_t *ctx, const char *configured)
{
    return !configured || !only_static(ctx) || *configured == '"' || *configured == '/';
}

/* A document that sends the request elsewhere (Action, a program's Location) is not a file. */
static int hook_post_read_request(request_rec *r)
{
    const m2mgw_ctx_t *refusal = r->prev && !r->main ? refused_before(r) : NULL;

    return refusal && only_static(refusal) && !refusal_of(r) ? refusal->refused : DECLINED;
}

/* mod_lua and mod_cache answer in this stage, in front of all that is looked at above. */
static int hook_quick_handler(request_rec *r, int lookup)
{
    const m2mgw_ctx_t *refusal = lookup ? NULL : refusal_of(r);
    int status;

    if (!refusal || !only_static(refusal)) {
        return DECLINED;
    }
    status = ap_process_request_internal(r);
    return status == OK ? ap_invoke_handler(r)
                        : is_not_served(r, refusal,
                                        apr_psprintf(r->pool, "it is answered %d", status));
}

void m2mgw_errordoc_register(void)
{
    no_body_handle = ap_register_input_filter("M2MGW_NO_BODY", no_body_filter, NULL,
                                              (ap_filter_type)(AP_FTYPE_PROTOCOL - 1));
    ap_hook_post_read_request(hook_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_quick_handler(hook_quick_handler, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
}
