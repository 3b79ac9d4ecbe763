/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Decoding shrinks, so it happens in place: the secret then exists once, where the caller
 * can overwrite it. m2_form.h reads forms the way careless backends do; here we are the
 * backend, and read them as they are specified.
 */
#include "oauth/m2_oauth.h"

#include "request/m2_reading.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* ORDER OAUTH ERROR */
static const m2_oauth_row_t rows[] = {
    { M2_OAUTH_OK, NULL, 200 },
    { M2_OAUTH_INVALID_REQUEST, "invalid_request", 400 },
    { M2_OAUTH_METHOD, "invalid_request", 405 },
    { M2_OAUTH_INVALID_CLIENT, "invalid_client", 401 },
    { M2_OAUTH_INVALID_SCOPE, "invalid_scope", 400 },
    { M2_OAUTH_INVALID_TARGET, "invalid_target", 400 },
    { M2_OAUTH_GRANT_TYPE, "unsupported_grant_type", 400 },
    { M2_OAUTH_FORBIDDEN, "insufficient_scope", 403 },
    { M2_OAUTH_INVALID_PROOF, "invalid_dpop_proof", 400 },
    { M2_OAUTH_USE_NONCE, "use_dpop_nonce", 400 },
    { M2_OAUTH_UNAVAILABLE, "temporarily_unavailable", 503 },
    { M2_OAUTH_SERVER_ERROR, "server_error", 500 },
};
_Static_assert(sizeof(rows) / sizeof(*rows) == M2_OAUTH_SERVER_ERROR + 1,
               "a row for each error");

/* parameters this endpoint knows: each may be there once */
typedef enum param_t {
    P_GRANT_TYPE,
    P_SCOPE,
    P_CLIENT_ID,
    P_CLIENT_SECRET,
    P_ASSERTION_TYPE,
    P_ASSERTION,
    P_RESOURCE,
    P_TOKEN,
    P_TOKEN_HINT,
    P_COUNT
} param_t;

static const char *const param_names[P_COUNT] = {
    "grant_type",            "scope",           "client_id", "client_secret",
    "client_assertion_type", "client_assertion", "resource", "token", "token_type_hint"
};

/* what a log must not hold; `assertion` and `code` are other grants' secrets */
static const char *const secret_names[] = { "client_secret", "client_assertion", "token",
                                            "secret", "assertion", "password",
                                            "access_token", "refresh_token" };

const m2_oauth_row_t *m2_oauth_row(m2_oauth_error_t error)
{
    return (unsigned)error <= M2_OAUTH_SERVER_ERROR ? &rows[error]
                                                    : &rows[M2_OAUTH_SERVER_ERROR];
}

static m2_oauth_error_t fail(const char **ptext, m2_oauth_error_t error, const char *text)
{
    *ptext = text;
    return error;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Form-decode n bytes at text in place and terminate them; text[n] is written. 0 for a bad
 * escape or a NUL, which no credential or scope holds and C strings would cut. */
static int decode(char *text, apr_size_t n)
{
    apr_size_t i, out = 0;

    for (i = 0; i < n; i++) {
        char c = text[i] == '+' ? ' ' : text[i];

        if (c == '%') {
            int high = i + 2 < n ? hex(text[i + 1]) : -1;
            int low = i + 2 < n ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return 0;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (!c) {
            return 0;
        }
        text[out++] = c;
    }
    text[out] = '\0';
    return 1;
}

static int param_find(const char *name)
{
    int i;

    for (i = 0; i < P_COUNT; i++) {
        if (strcmp(param_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* one pair of the body; text[n] is the separator or the byte behind the body */
static m2_oauth_error_t pair_read(char **values, int *presources, char *text, apr_size_t n,
                                  const char **ptext)
{
    char *eq = memchr(text, '=', n);
    apr_size_t name_n = eq ? (apr_size_t)(eq - text) : n;
    int which;

    if (eq && !decode(eq + 1, n - name_n - 1)) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST, "the form is not properly encoded");
    }
    if (!decode(text, name_n)) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST, "the form is not properly encoded");
    }
    which = param_find(text);
    if (which < 0) {
        return M2_OAUTH_OK; /* RFC 6749 3.2: unrecognized parameters are ignored */
    }
    if (which == P_RESOURCE && ++*presources > 1) {
        return M2_OAUTH_OK; /* RFC 8707 2 has an error of its own for too many */
    }
    if (values[which]) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST, "a parameter is repeated");
    }
    values[which] = eq ? eq + 1 : text + strlen(text);
    return M2_OAUTH_OK;
}

/* values: NULL where the body has no such parameter */
static m2_oauth_error_t body_read(char **values, int *presources, char *body, apr_size_t n,
                                  const char **ptext)
{
    m2_oauth_error_t rc = M2_OAUTH_OK;

    while (rc == M2_OAUTH_OK && n) {
        char *amp = memchr(body, '&', n);
        apr_size_t len = amp ? (apr_size_t)(amp - body) : n;

        rc = pair_read(values, presources, body, len, ptext);
        body += len + (amp ? 1 : 0);
        n -= len + (amp ? 1 : 0);
    }
    return rc;
}

/* --- Basic --- */

typedef struct bytes_t {
    unsigned char *p;
    apr_size_t n;
} bytes_t;

static apr_status_t bytes_cleanse(void *data)
{
    bytes_t *bytes = data;

    OPENSSL_cleanse(bytes->p, bytes->n);
    return APR_SUCCESS;
}

static int base64_char(char c)
{
    return apr_isalnum(c) || c == '+' || c == '/';
}

/* Number of '=' at the end of strict base64 (RFC 4648 4, padded), -1 when it is malformed.
 * OpenSSL's decoder skips white space and does not count the padding. */
static int base64_padding(m2_slice_t text)
{
    apr_size_t i;
    int pad = 0;

    if (text.n == 0 || text.n % 4 != 0) {
        return -1;
    }
    while (pad < 2 && text.p[text.n - 1 - (apr_size_t)pad] == '=') {
        pad++;
    }
    for (i = 0; i < text.n - (apr_size_t)pad; i++) {
        if (!base64_char(text.p[i])) {
            return -1;
        }
    }
    return pad;
}

/* decoded, NUL-terminated and cleansed with pool; NULL when it is not base64 */
static bytes_t *base64_decode(apr_pool_t *pool, m2_slice_t text)
{
    int pad = base64_padding(text);
    bytes_t *bytes;

    if (pad < 0) {
        return NULL;
    }
    bytes = apr_pcalloc(pool, sizeof(*bytes));
    bytes->n = text.n / 4 * 3 + 1;
    bytes->p = apr_pcalloc(pool, bytes->n);
    apr_pool_cleanup_register(pool, bytes, bytes_cleanse, apr_pool_cleanup_null);
    if (EVP_DecodeBlock(bytes->p, (const unsigned char *)text.p, (int)text.n) < 0) {
        return NULL;
    }
    bytes->n -= 1 + (apr_size_t)pad;
    bytes->p[bytes->n] = '\0';
    return bytes;
}

/* the credentials of a Basic header value; absent for another scheme */
static m2_slice_t basic_credentials(m2_slice_t value)
{
    apr_size_t i = sizeof("Basic") - 1;
    apr_size_t n = value.n;

    if (n <= i || !m2_slice_is_nocase(m2_slice(value.p, i), "Basic") || value.p[i] != ' ') {
        return m2_slice(NULL, 0);
    }
    while (i < n && value.p[i] == ' ') {
        i++;
    }
    return m2_slice(value.p + i, n - i);
}

/* `Authorization: Basic` (RFC 7617; both halves form-encoded, RFC 6749 2.3.1). *pid and *psecret
 * live in pool, which cleanses them when it goes. M2_OAUTH_OK, or M2_OAUTH_INVALID_CLIENT with
 * *ptext. */
static m2_oauth_error_t read_basic(const char **pid, char **psecret, apr_pool_t *pool,
                                   m2_slice_t value, const char **ptext)
{
    m2_slice_t text = basic_credentials(value);
    bytes_t *bytes;
    char *id, *colon;
    apr_size_t id_n;

    if (!text.p || value.n > M2_MAX_BASIC) {
        return fail(ptext, M2_OAUTH_INVALID_CLIENT,
                    "Authorization must be Basic client credentials");
    }
    bytes = base64_decode(pool, text);
    id = bytes ? (char *)bytes->p : NULL;
    colon = id ? memchr(id, ':', bytes->n) : NULL;
    if (!colon) {
        return fail(ptext, M2_OAUTH_INVALID_CLIENT, "the Basic credentials are malformed");
    }
    id_n = (apr_size_t)(colon - id);
    if (!decode(colon + 1, bytes->n - id_n - 1) || !decode(id, id_n) || !*id) {
        return fail(ptext, M2_OAUTH_INVALID_CLIENT, "the Basic credentials are malformed");
    }
    *pid = id;
    *psecret = colon + 1;
    return M2_OAUTH_OK;
}

/* --- the request --- */

/* absent and empty are the same from here on */
static char *given(char *const *values, param_t which)
{
    return values[which] && *values[which] ? values[which] : NULL;
}

static m2_oauth_error_t use_basic(m2_token_request_t *request, apr_pool_t *pool,
                                  char *const *values, const char *authorization,
                                  const char **ptext)
{
    const char *body_id = given(values, P_CLIENT_ID);
    m2_oauth_error_t rc = read_basic(&request->client_id, &request->secret, pool,
                                     m2_slice_z(authorization), ptext);

    request->method = M2_CLIENT_BASIC;
    if (rc == M2_OAUTH_OK && body_id && strcmp(body_id, request->client_id) != 0) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST,
                    "client_id differs from the client that authenticates");
    }
    return rc;
}

static m2_oauth_error_t use_assertion(m2_token_request_t *request, char *const *values,
                                      const char **ptext)
{
    const char *type = given(values, P_ASSERTION_TYPE);

    if (!type || !given(values, P_ASSERTION)) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST,
                    "client_assertion and client_assertion_type belong together");
    }
    request->method = M2_CLIENT_ASSERTION;
    if (strcmp(type, M2_ASSERTION_JWT_BEARER) != 0) {
        return fail(ptext, M2_OAUTH_INVALID_CLIENT, "unknown client_assertion_type");
    }
    request->client_id = given(values, P_CLIENT_ID);
    request->assertion = given(values, P_ASSERTION);
    return M2_OAUTH_OK;
}

static m2_oauth_error_t use_post(m2_token_request_t *request, char *const *values,
                                 const char **ptext)
{
    request->method = M2_CLIENT_POST;
    request->client_id = given(values, P_CLIENT_ID);
    request->secret = given(values, P_CLIENT_SECRET);
    return request->client_id
               ? M2_OAUTH_OK
               : fail(ptext, M2_OAUTH_INVALID_REQUEST, "client_id is missing");
}

/* the code that knows the certificates decides whether that suffices */
static m2_oauth_error_t use_name(m2_token_request_t *request, char *const *values,
                                 const char **ptext)
{
    request->client_id = given(values, P_CLIENT_ID);
    request->method = request->client_id ? M2_CLIENT_NAMED : M2_CLIENT_NONE;
    return request->client_id
               ? M2_OAUTH_OK
               : fail(ptext, M2_OAUTH_INVALID_CLIENT, "client authentication is missing");
}

/* RFC 6749 2.3: no more than one method in a request */
static m2_oauth_error_t method_choose(m2_token_request_t *request, apr_pool_t *pool,
                                      char *const *values, const char *authorization,
                                      const char **ptext)
{
    int assertion = given(values, P_ASSERTION) || given(values, P_ASSERTION_TYPE);
    int post = given(values, P_CLIENT_SECRET) != NULL;

    if (!!authorization + assertion + post > 1) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST,
                    "more than one way of client authentication");
    }
    if (authorization) {
        return use_basic(request, pool, values, authorization, ptext);
    }
    if (assertion) {
        return use_assertion(request, values, ptext);
    }
    if (post) {
        return use_post(request, values, ptext);
    }
    return use_name(request, values, ptext);
}

static m2_oauth_error_t grant_check(const m2_token_request_t *request, const char **ptext)
{
    if (!request->grant_type) {
        return fail(ptext, M2_OAUTH_INVALID_REQUEST, "grant_type is missing");
    }
    if (strcmp(request->grant_type, M2_GRANT_CLIENT_CREDENTIALS) != 0) {
        return fail(ptext, M2_OAUTH_GRANT_TYPE, "grant_type must be client_credentials");
    }
    return M2_OAUTH_OK;
}

m2_oauth_error_t m2_oauth_request(m2_token_request_t *request, apr_pool_t *pool,
                                  m2_oauth_kind_t kind, char *body, apr_size_t n,
                                  const char *authorization, const char **ptext)
{
    char *values[P_COUNT] = { NULL };
    m2_oauth_error_t rc;

    memset(request, 0, sizeof(*request));
    rc = body_read(values, &request->resources, body, n, ptext);
    if (rc != M2_OAUTH_OK) {
        return rc;
    }
    request->grant_type = given(values, P_GRANT_TYPE);
    request->scope = given(values, P_SCOPE);
    request->resource = given(values, P_RESOURCE);
    request->token = given(values, P_TOKEN);
    if (kind == M2_OAUTH_FOR_TOKEN) {
        rc = grant_check(request, ptext);
    }
    else if (!request->token) {
        rc = fail(ptext, M2_OAUTH_INVALID_REQUEST, "token is missing");
    }
    return rc == M2_OAUTH_OK ? method_choose(request, pool, values, authorization, ptext)
                             : rc;
}

int m2_oauth_in_query(const char *query)
{
    m2_slice_t rest = m2_slice_z(query);
    m2_pair_t pair;
    int i;

    while (rest.n && m2_form_next(&rest, &pair)) {
        for (i = 0; i < P_COUNT; i++) {
            if (m2_name_like(pair.name, param_names[i], M2_READ_FORM)) {
                return 1;
            }
        }
    }
    return 0;
}

m2_nameset_t *m2_oauth_secrets(apr_pool_t *pool)
{
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);
    apr_size_t i;

    for (i = 0; i < sizeof(secret_names) / sizeof(*secret_names); i++) {
        m2_nameset_add(names, secret_names[i]);
    }
    return names;
}

static void wipe(char *text)
{
    if (text) {
        OPENSSL_cleanse(text, strlen(text));
    }
}

void m2_oauth_forget(m2_token_request_t *request)
{
    wipe(request->secret);
    wipe(request->assertion);
    request->secret = NULL;
    request->assertion = NULL;
}
