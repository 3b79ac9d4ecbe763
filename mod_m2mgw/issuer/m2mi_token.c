/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The token endpoint (RFC 6749 4.4): a request that may be read at all, a client that is
 * who it says, a scope it was granted, a signed token. Every step either goes on or ends
 * with one error and one sentence (RFC 6749 5.2); the answer is written in one place.
 */
#include "issuer/m2mi.h"

#include "base/m2_hold.h"

#include <http_ssl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

#define JTI_BYTES 16

/* what is known of a request on its way */
typedef struct issue_t {
    request_rec *r;
    const m2mi_server_t *conf;
    char *body;
    apr_size_t body_n;
    int basic;          /* Authorization was there: a refusal must challenge */
    const char *client;
    m2_scope_t scope;
    apr_int64_t now;    /* seconds */
    int lifetime;
    const char *token;
    const char *text;   /* why it ended, a constant sentence */
    int answered;       /* httpd itself has refused the body, as malformed HTTP */
} issue_t;

static m2_oauth_error_t stop(issue_t *issue, m2_oauth_error_t error, const char *text)
{
    issue->text = text;
    return error;
}

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

static m2_oauth_error_t request_check(issue_t *issue)
{
    request_rec *r = issue->r;
    const char *encoding = apr_table_get(r->headers_in, "Content-Encoding");

    if (r->method_number != M_POST) {
        return stop(issue, M2_OAUTH_METHOD, "only POST is served here");
    }
    if (!is_private(r) && issue->conf->plain != 1) {
        return stop(issue, M2_OAUTH_INVALID_REQUEST, "TLS is required");
    }
    if (m2_oauth_in_query(r->args)) {
        return stop(issue, M2_OAUTH_INVALID_REQUEST,
                    "parameters belong into the body, not into the URL");
    }
    if (!is_form(r) || (encoding && ap_cstr_casecmp(encoding, "identity") != 0)) {
        return stop(issue, M2_OAUTH_INVALID_REQUEST,
                    "the body must be " FORM_TYPE " and not compressed");
    }
    return M2_OAUTH_OK;
}

/* --- the body --- */

static apr_status_t body_cleanse(void *data)
{
    issue_t *issue = data;

    OPENSSL_cleanse(issue->body, issue->body_n);
    return APR_SUCCESS;
}

/* one brigade into the body; the ceiling is met before anything is copied */
static apr_status_t brigade_take(issue_t *issue, apr_bucket_brigade *bb, apr_size_t max,
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
        if (n > max - issue->body_n) {
            return APR_ENOSPC;
        }
        memcpy(issue->body + issue->body_n, data, n);
        issue->body_n += n;
    }
    return APR_SUCCESS;
}

static apr_status_t body_pull(issue_t *issue, apr_size_t max)
{
    request_rec *r = issue->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;
    int end = 0;

    while (rv == APR_SUCCESS && !end) {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ,
                            HUGE_STRING_LEN);
        if (rv == APR_SUCCESS) {
            rv = brigade_take(issue, bb, max, &end);
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
static m2_oauth_error_t body_read(issue_t *issue)
{
    apr_size_t max = body_size(issue->r);
    apr_status_t rv = APR_ENOSPC;

    if (max <= M2_MAX_TOKEN_REQUEST) {
        issue->body = apr_pcalloc(issue->r->pool, max + 1);
        apr_pool_cleanup_register(issue->r->pool, issue, body_cleanse,
                                  apr_pool_cleanup_null);
        rv = body_pull(issue, max);
    }
    if (rv == APR_SUCCESS) {
        return M2_OAUTH_OK;
    }
    issue->answered = rv == AP_FILTER_ERROR;
    issue->r->connection->keepalive = AP_CONN_CLOSE; /* nor is what is left of one */
    return stop(issue, M2_OAUTH_INVALID_REQUEST,
                rv == APR_ENOSPC ? "the body is too large" : "the body cannot be read");
}

/* --- who and what --- */

static m2_oauth_error_t client_check(issue_t *issue, m2_token_request_t *request)
{
    request_rec *r = issue->r;
    const char *authorization = apr_table_get(r->headers_in, "Authorization");
    m2_oauth_error_t rc;

    rc = m2_oauth_request(request, r->pool, issue->body, issue->body_n, authorization,
                          &issue->text);
    if (rc == M2_OAUTH_OK) {
        rc = m2mi_client_check(&issue->client, r, request, &issue->text);
    }
    m2_oauth_forget(request);
    if (rc == M2_OAUTH_OK) {
        r->user = apr_pstrdup(r->pool, issue->client);
        r->ap_auth_type = "M2M";
    }
    return rc;
}

static m2_oauth_error_t scope_check(issue_t *issue, const m2_token_request_t *request)
{
    request_rec *r = issue->r;
    const m2_grants_t *grants =
        issue->conf->grants ? m2mi_grants_now(issue->conf->grants, r)
                            : m2_grants_make(r->pool);
    m2_err_t err;

    m2_err_init(&err, r->pool);
    if (m2_grants_resolve(&issue->scope, r->pool, grants, issue->client,
                          m2_slice_z(request->scope), &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-712: client %s: %s", issue->client,
                      err.text);
        return stop(issue, M2_OAUTH_INVALID_SCOPE, err.text);
    }
    return M2_OAUTH_OK;
}

/* --- the token --- */

static const char *jti_make(apr_pool_t *pool)
{
    unsigned char bytes[JTI_BYTES];

    return RAND_bytes(bytes, sizeof(bytes)) == 1
               ? m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)))
               : NULL;
}

static const m2_json_t *claims_make(const issue_t *issue, const char *jti)
{
    m2_json_t *claims = m2_json_make(issue->r->pool);

    m2_json_set_string(claims, "iss", issue->conf->name);
    m2_json_set_string(claims, "aud", issue->scope.audience);
    m2_json_set_string(claims, "sub", issue->client);
    m2_json_set_string(claims, "client_id", issue->client);
    m2_json_set_string(claims, "scope", issue->scope.permissions);
    m2_json_set_string(claims, "jti", jti);
    m2_json_set_int(claims, "iat", issue->now);
    m2_json_set_int(claims, "nbf", issue->now);
    m2_json_set_int(claims, "exp", issue->now + issue->lifetime);
    return claims;
}

static m2_oauth_error_t token_make(issue_t *issue)
{
    apr_pool_t *pool = issue->r->pool;
    const m2mi_key_t *key = &APR_ARRAY_IDX(issue->conf->keys, 0, m2mi_key_t);
    const char *jti = jti_make(pool), *payload;
    m2_json_t *header = m2_json_make(pool);
    m2_err_t err;

    m2_err_init(&err, pool);
    m2_json_set_string(header, "typ", "at+jwt"); /* RFC 9068 2.1 */
    payload = jti ? m2_json_dump(pool, claims_make(issue, jti)) : NULL;
    if (!payload || m2_jws_sign(&issue->token, pool, header, m2_slice_z(payload), key->jwk,
                                key->alg, &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, issue->r, "M2-713: cannot sign: %s",
                      err.text ? err.text : "no randomness");
        return stop(issue, M2_OAUTH_SERVER_ERROR, "the token cannot be made");
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, issue->r,
                  "M2-714: token for client %s at %s, kid %s", issue->client,
                  issue->scope.audience, key->jwk->kid);
    return M2_OAUTH_OK;
}

/* --- the answer --- */

static m2_json_t *answer_token(const issue_t *issue)
{
    m2_json_t *doc = m2_json_make(issue->r->pool);

    m2_json_set_string(doc, "access_token", issue->token);
    m2_json_set_string(doc, "token_type", "Bearer");
    m2_json_set_int(doc, "expires_in", issue->lifetime);
    m2_json_set_int(doc, "expires_at", issue->now + issue->lifetime);
    m2_json_set_string(doc, "scope", issue->scope.scope);
    return doc;
}

static m2_json_t *answer_error(const issue_t *issue, const m2_oauth_row_t *row)
{
    request_rec *r = issue->r;
    const char *id = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    m2_json_t *doc = m2_json_make(r->pool);

    m2_json_set_string(doc, "error", row->name);
    m2_json_set_string(doc, "error_description", issue->text);
    if (id) {
        m2_json_set_string(doc, "request_id", id);
    }
    return doc;
}

static void refusal_headers(const issue_t *issue, m2_oauth_error_t error)
{
    apr_table_t *headers = issue->r->err_headers_out;

    if (error == M2_OAUTH_INVALID_CLIENT && issue->basic) {
        /* RFC 6749 5.2: the scheme the client used. A client that did not use the header
         * is not challenged to. */
        apr_table_setn(headers, "WWW-Authenticate",
                       apr_psprintf(issue->r->pool, "Basic realm=\"%s\", charset=\"UTF-8\"",
                                    issue->conf->name));
    }
    if (error == M2_OAUTH_UNAVAILABLE) {
        apr_table_setn(headers, "Retry-After", "5");
    }
    if (error == M2_OAUTH_METHOD) {
        apr_table_setn(headers, "Allow", "POST");
    }
}

static int answer(const issue_t *issue, m2_oauth_error_t error)
{
    request_rec *r = issue->r;
    const m2_oauth_row_t *row = m2_oauth_row(error);
    const char *text = m2_json_dump(
        r->pool, error == M2_OAUTH_OK ? answer_token(issue) : answer_error(issue, row));

    r->status = row->status;
    if (!issue->body) {
        r->connection->keepalive = AP_CONN_CLOSE; /* nobody reads a body for nothing */
    }
    refusal_headers(issue, error);
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

static m2_oauth_error_t serve(issue_t *issue)
{
    m2_token_request_t request;
    m2_oauth_error_t rc = request_check(issue);
    m2_hold_t hold;

    rc = rc == M2_OAUTH_OK ? body_read(issue) : rc;
    m2_hold_begin(&hold);
    rc = rc == M2_OAUTH_OK ? client_check(issue, &request) : rc;
    rc = rc == M2_OAUTH_OK ? scope_check(issue, &request) : rc;
    rc = rc == M2_OAUTH_OK ? token_make(issue) : rc;
    m2_hold_end(&hold);
    return rc;
}

/* RFC 6749 5.1; set before anything can go wrong */
static void never_store(request_rec *r)
{
    r->no_cache = 1;
    r->no_local_copy = 1;
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "Pragma", "no-cache");
}

int m2mi_token_handler(request_rec *r)
{
    issue_t *issue = apr_pcalloc(r->pool, sizeof(*issue));
    m2_oauth_error_t error;

    never_store(r);
    issue->r = r;
    issue->conf = ap_get_module_config(r->server->module_config, &m2m_issuer_module);
    issue->now = apr_time_sec(r->request_time);
    issue->lifetime =
        issue->conf->lifetime != M2_UNSET ? issue->conf->lifetime : M2MI_LIFETIME;
    issue->basic = apr_table_get(r->headers_in, "Authorization") != NULL;
    if (!issue->conf->jwks) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "M2-702: %s: this virtual host has no M2MIssuerName", r->handler);
        return answer(issue, stop(issue, M2_OAUTH_SERVER_ERROR, "not configured"));
    }
    error = serve(issue);
    return issue->answered ? AP_FILTER_ERROR : answer(issue, error);
}
