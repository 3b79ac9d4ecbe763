/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What all endpoints for clients have in common: a request that may be read at all, a client
 * that is who it says, one answer. Every step either goes on or ends with one error and one
 * sentence (RFC 6749 5.2); the answer is written in one place.
 */
#include "issuer/m2mi_figures.h"

#include "base/m2_hold.h"

#include <http_ssl.h>
#include <openssl/crypto.h>
#include <util_filter.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

#define RETRY_AFTER 5 /* seconds, where nobody knows better */

/* --- may this request be read --- */

static int is_loopback(const apr_sockaddr_t *address)
{
    if (!address) {
        return 0;
    }
#if APR_HAVE_IPV6
    if (address->family == APR_INET6) {
        const struct in6_addr *v6 = &address->sa.sin6.sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) ||
               (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
#endif
    return address->family == APR_INET
               ? ntohl(address->sa.sin.sin_addr.s_addr) >> 24 == 127
               : address->family == APR_UNIX;
}

/* Secrets and tokens travel here: TLS, or no wire at all. Where mod_remoteip says that the
 * client is elsewhere, it is elsewhere. */
static int is_private(request_rec *r)
{
    return ap_ssl_conn_is_ssl(r->connection) ||
           (is_loopback(r->connection->client_addr) && is_loopback(r->useragent_addr));
}

/* the media type alone; charset and the like change nothing for ASCII */
static int is_form(request_rec *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    apr_size_t n = type ? strcspn(type, "; \t") : 0;

    return type && m2_slice_is_nocase(m2_slice(type, n), FORM_TYPE);
}

static m2_oauth_error_t request_check(m2mi_call_t *call)
{
    request_rec *r = call->r;
    const char *encoding = apr_table_get(r->headers_in, "Content-Encoding");

    if (r->method_number != M_POST) {
        return m2mi_stop(call, M2_OAUTH_METHOD, "only POST is served here");
    }
    if (!is_private(r) && call->conf->plain != 1) {
        return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST, "TLS is required");
    }
    if (m2_oauth_in_query(r->args)) {
        return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST,
                    "parameters belong into the body, not into the URL");
    }
    if (!is_form(r) || (encoding && ap_cstr_casecmp(encoding, "identity") != 0)) {
        return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST,
                    "the body must be " FORM_TYPE " and not compressed");
    }
    return M2_OAUTH_OK;
}

/* --- the body --- */

static apr_status_t body_cleanse(void *data)
{
    m2mi_call_t *call = data;

    OPENSSL_cleanse(call->body, call->body_n);
    return APR_SUCCESS;
}

/* one brigade into the body; the ceiling is met before anything is copied */
static apr_status_t brigade_take(m2mi_call_t *call, apr_bucket_brigade *bb, apr_size_t max,
                                 int *pend)
{
    apr_bucket *b;
    const char *data;
    apr_size_t n;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        apr_status_t rv;
        if (APR_BUCKET_IS_EOS(b)) {
            *pend = 1;
            return APR_SUCCESS;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        rv = apr_bucket_read(b, &data, &n, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (n > max - call->body_n) {
            return APR_ENOSPC;
        }
        memcpy(call->body + call->body_n, data, n);
        call->body_n += n;
    }
    return APR_SUCCESS;
}

static apr_status_t body_pull(m2mi_call_t *call, apr_size_t max)
{
    request_rec *r = call->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;
    int end = 0;

    while (rv == APR_SUCCESS && !end) {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                            HUGE_STRING_LEN);
        if (rv == APR_SUCCESS) {
            rv = brigade_take(call, bb, max, &end);
        }
        apr_brigade_cleanup(bb);
    }
    return rv;
}

/* bytes announced, M2_MAX_TOKEN_REQUEST when nobody says, more than that when too many */
static apr_size_t body_size(request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n;
    char *end;

    if (!length || apr_table_get(r->headers_in, "Transfer-Encoding")) {
        return M2_MAX_TOKEN_REQUEST;
    }
    if (apr_strtoff(&n, length, &end, 10) != APR_SUCCESS || *end || n < 0 ||
        n > M2_MAX_TOKEN_REQUEST) {
        return M2_MAX_TOKEN_REQUEST + 1;
    }
    return (apr_size_t)n;
}

/* RFC 6749 5.2 knows no other status than 400 for a body nobody wants to read */
static m2_oauth_error_t body_read(m2mi_call_t *call)
{
    apr_size_t max = body_size(call->r);
    apr_status_t rv = APR_ENOSPC;

    if (max <= M2_MAX_TOKEN_REQUEST) {
        call->body = apr_pcalloc(call->r->pool, max + 1);
        apr_pool_cleanup_register(call->r->pool, call, body_cleanse,
                                  apr_pool_cleanup_null);
        rv = body_pull(call, max);
    }
    if (rv == APR_SUCCESS) {
        return M2_OAUTH_OK;
    }
    call->answered = rv == AP_FILTER_ERROR;
    call->r->connection->keepalive = AP_CONN_CLOSE; /* nor is what is left of one */
    return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST,
                rv == APR_ENOSPC ? "the body is too large" : "the body cannot be read");
}

/* --- who --- */

static m2_oauth_error_t client_check(m2mi_call_t *call, m2_oauth_kind_t kind)
{
    request_rec *r = call->r;
    const char *authorization = apr_table_get(r->headers_in, "Authorization");
    m2_oauth_error_t rc;

    rc = m2_oauth_request(&call->request, r->pool, kind, call->body, call->body_n,
                          authorization, &call->text);
    if (rc == M2_OAUTH_OK) {
        rc = m2mi_client_check(&call->who, r, &call->request, &call->text);
    }
    else {
        call->who.claimed = call->request.client_id;
    }
    m2_oauth_forget(&call->request);
    if (rc == M2_OAUTH_OK) {
        r->user = apr_pstrdup(r->pool, call->who.client);
        r->ap_auth_type = "M2M";
        call->who.is_known = 1;
    }
    return rc;
}

/* --- the answer --- */

static m2_json_t *error_document(const m2mi_call_t *call, const m2_oauth_row_t *row)
{
    request_rec *r = call->r;
    const char *id = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    m2_json_t *doc = m2_json_make(r->pool);

    m2_json_set_string(doc, "error", row->name);
    m2_json_set_string(doc, "error_description", call->text);
    if (id) {
        m2_json_set_string(doc, "request_id", id);
    }
    return doc;
}

static void refusal_headers(const m2mi_call_t *call, m2_oauth_error_t error)
{
    apr_pool_t *pool = call->r->pool;
    apr_table_t *headers = call->r->err_headers_out;

    if (error == M2_OAUTH_INVALID_CLIENT
        && apr_table_get(call->r->headers_in, "Authorization")) {
        /* RFC 6749 5.2: the scheme the client used. A client that did not use the header
         * is not challenged to. */
        apr_table_setn(headers, "WWW-Authenticate",
                       apr_psprintf(pool, "Basic realm=\"%s\", charset=\"UTF-8\"",
                                    call->conf->name));
    }
    if (error == M2_OAUTH_UNAVAILABLE) {
        apr_table_setn(headers, "Retry-After",
                       apr_itoa(pool, call->who.wait ? call->who.wait : RETRY_AFTER));
    }
    if (error == M2_OAUTH_METHOD) {
        apr_table_setn(headers, "Allow", "POST");
    }
}

static int answer(const m2mi_call_t *call, m2_oauth_error_t error)
{
    request_rec *r = call->r;
    const m2_oauth_row_t *row = m2_oauth_row(error);
    const m2_json_t *doc =
        error == M2_OAUTH_OK ? call->answer : error_document(call, row);
    const char *text = doc ? m2_json_dump(r->pool, doc) : "";

    r->status = row->status;
    if (!call->body) {
        r->connection->keepalive = AP_CONN_CLOSE; /* nobody reads a body for nothing */
    }
    if (error != M2_OAUTH_OK) {
        m2mi_figures_count(error);
        m2mi_log_refusal(call, error);
    }
    refusal_headers(call, error);
    if (call->conf->jwks) {
        m2mi_proof_nonce(r);
    }
    if (doc) {
        ap_set_content_type(r, "application/json");
    }
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

static ap_filter_rec_t *no_store_handle;

static const char no_store_note[] = "m2mi-no-store";

/* RFC 6749 5.1, RFC 7662 4; set before anything can go wrong */
static void never_store(request_rec *r)
{
    r->no_cache = 1;
    r->no_local_copy = 1;
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Pragma", "no-cache");
    apr_table_setn(r->notes, no_store_note, "1");
    ap_add_output_filter_handle(no_store_handle, NULL, r, r->connection);
}

/* Behind mod_headers and mod_expires: a token is in no cache, whatever is said about caches. */
static apr_status_t no_store_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    apr_table_unset(f->r->headers_out, "Cache-Control");
    apr_table_setn(f->r->err_headers_out, "Cache-Control", "no-store");
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

/* httpd answers a malformed body itself, with other filters. */
static void insert_error_filter(request_rec *r)
{
    request_rec *each;

    for (each = r; each; each = each->prev) {
        if (apr_table_get(each->notes, no_store_note)) {
            ap_add_output_filter_handle(no_store_handle, NULL, r, r->connection);
            return;
        }
    }
}

void m2mi_endpoint_register(void)
{
    no_store_handle = ap_register_output_filter("M2MI_NO_STORE", no_store_filter, NULL,
                                                (ap_filter_type)(AP_FTYPE_CONTENT_SET + 2));
    ap_hook_insert_error_filter(insert_error_filter, NULL, NULL, APR_HOOK_LAST);
}

static m2_oauth_error_t serve(m2mi_call_t *call, m2_oauth_kind_t kind, m2mi_act_fn *act)
{
    m2_oauth_error_t rc = request_check(call);
    m2_hold_t hold;

    rc = rc == M2_OAUTH_OK ? body_read(call) : rc;
    m2_hold_begin(&hold);
    rc = rc == M2_OAUTH_OK ? client_check(call, kind) : rc;
    rc = rc == M2_OAUTH_OK ? act(call) : rc;
    m2_hold_end(&hold);
    return rc;
}

int m2mi_endpoint(request_rec *r, m2_oauth_kind_t kind, m2mi_act_fn *act)
{
    m2mi_call_t *call = apr_pcalloc(r->pool, sizeof(*call));
    m2_oauth_error_t error;

    never_store(r);
    call->r = r;
    call->conf = ap_get_module_config(r->server->module_config, &m2m_issuer_module);
    call->now = apr_time_sec(r->request_time);
    if (!call->conf->jwks) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "M2-702: %s: this virtual host has no M2MIssuerName", r->handler);
        return answer(call, m2mi_stop(call, M2_OAUTH_SERVER_ERROR, "not configured"));
    }
    error = serve(call, kind, act);
    return call->answered ? AP_FILTER_ERROR : answer(call, error);
}
