/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl token: fetch an access token as any client would. Finds the endpoint by the
 * issuer's metadata (RFC 8414), sends the secret by client_secret_post or _basic, prints the
 * token and nothing else. Only https, or http to this machine; no redirect is followed,
 * since a secret goes with the request. The environment's proxies are not looked at.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_form.h"
#include "oauth/m2_oauth.h"

#include <apr_uri.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#ifdef M2_HAVE_CURL
#include <curl/curl.h>
#endif

#define MAX_ANSWER (256 * 1024) /* bytes of metadata or of a token response */
#define TIMEOUT 30              /* seconds of each of the two requests */

typedef struct token_t {
    const char *issuer, *client, *secret_file, *method, *ca;
    apr_array_header_t *scope;
} token_t;

/* clang-format off */
#define SLOT(member) offsetof(token_t, member)
static const m2mctl_option_t token_options[] = {
    { "issuer",      M2MCTL_TEXT, SLOT(issuer), "URL", "of the M2M server (needed)" },
    { "client",      M2MCTL_TEXT, SLOT(client), "ID", "client_id (needed)" },
    { "scope",       M2MCTL_LIST, SLOT(scope), "AUDIENCE|PERMISSION", "what for; repeatable" },
    { "secret-file", M2MCTL_TEXT, SLOT(secret_file), "FILE", "first line is the secret; "
                                                             "default: standard input" },
    { "method",      M2MCTL_TEXT, SLOT(method), "post|basic", "default post" },
    { "ca",          M2MCTL_TEXT, SLOT(ca), "FILE", "CA certificates, PEM; default: the "
                                                    "system's" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* one run: what goes out and what came back */
typedef struct call_t {
    m2mctl_t *ctl;
    const token_t *options;
    m2_err_t err;
    char *secret;
    char *answer;
    apr_size_t n;
    long status;
} call_t;

/* RFC 8414 3.1: behind the host, before the issuer's path */
static const char *metadata_url(apr_pool_t *pool, const char *issuer)
{
    apr_uri_t uri;
    const char *path;
    apr_size_t n;

    if (apr_uri_parse(pool, issuer, &uri) != APR_SUCCESS || !uri.scheme || !uri.hostinfo ||
        uri.query || uri.fragment) {
        return NULL;
    }
    path = uri.path ? uri.path : "";
    n = strlen(path);
    return apr_pstrcat(pool, uri.scheme, "://", uri.hostinfo,
                       "/.well-known/oauth-authorization-server",
                       apr_pstrmemdup(pool, path, n && path[n - 1] == '/' ? n - 1 : n), NULL);
}

/* secrets and keys are not sent in the clear to other machines */
static int is_safe(apr_pool_t *pool, const char *url)
{
    apr_uri_t uri;

    if (apr_uri_parse(pool, url, &uri) != APR_SUCCESS || !uri.scheme || !uri.hostname) {
        return 0;
    }
    return m2_slice_is(m2_slice_z(uri.scheme), "https") ||
           (m2_slice_is(m2_slice_z(uri.scheme), "http") &&
            (m2_slice_is(m2_slice_z(uri.hostname), "localhost") ||
             m2_slice_is(m2_slice_z(uri.hostname), "127.0.0.1") ||
             m2_slice_is(m2_slice_z(uri.hostname), "::1")));
}

#ifdef M2_HAVE_CURL

static size_t take(char *data, size_t size, size_t n, void *baton)
{
    call_t *call = baton;

    n *= size;
    if (n > MAX_ANSWER - call->n) {
        return 0;
    }
    memcpy(call->answer + call->n, data, n);
    call->n += n;
    return n;
}

static void prepare(CURL *curl, call_t *call, const char *url, char *fault)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fault);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    if (call->options->ca) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->options->ca);
    }
}

/* GET, or POST of a form; the answer stays in call */
static m2_code_t transfer(call_t *call, const char *url, const char *form, const char *header)
{
    char fault_text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    CURL *curl = curl_easy_init();
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    call->n = 0;
    if (curl) {
        prepare(curl, call, url, fault_text);
        if (form) {
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
        }
        if (header) {
            headers = curl_slist_append(headers, header);
        }
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &call->status);
        curl_easy_cleanup(curl);
    }
    curl_slist_free_all(headers);
    return rc == CURLE_OK ? M2_OK
                          : m2_err_set(&call->err, M2_E_CONFIG, "%s",
                                       *fault_text ? fault_text : curl_easy_strerror(rc));
}

#else

static m2_code_t transfer(call_t *call, const char *url, const char *form, const char *header)
{
    (void)url;
    (void)form;
    (void)header;
    return m2_err_set(&call->err, M2_E_CONFIG, "this build has no libcurl");
}

#endif

static const m2_json_t *answer_json(call_t *call)
{
    const m2_json_t *json = NULL;

    if (m2_json_parse(&json, call->ctl->pool, m2_slice(call->answer, call->n), M2_E_CONFIG,
                      NULL) != M2_OK || m2_json_type(json) != M2_JSON_OBJECT) {
        m2_err_set(&call->err, M2_E_CONFIG, "HTTP status %ld, and no JSON object",
                   call->status);
        return NULL;
    }
    return json;
}

/* RFC 8414 3.3: whoever answers must say that he is the issuer that was asked for */
static m2_code_t discover(const char **pendpoint, call_t *call)
{
    apr_pool_t *pool = call->ctl->pool;
    const char *url = metadata_url(pool, call->options->issuer);
    const m2_json_t *json;

    if (!url || !is_safe(pool, url)) {
        return m2_err_set(&call->err, M2_E_CONFIG,
                          "an issuer is an https:// URL, or http:// to this machine");
    }
    if (transfer(call, url, NULL, NULL) != M2_OK) {
        return M2_E_CONFIG;
    }
    json = call->status == 200 ? answer_json(call) : NULL;
    if (!json) {
        return m2_err_set(&call->err, M2_E_CONFIG, "no metadata at %s: HTTP status %ld", url,
                          call->status);
    }
    if (!m2_slice_is(m2_json_string(m2_json_get(json, "issuer")), call->options->issuer)) {
        return m2_err_set(&call->err, M2_E_CONFIG, "%s is of another issuer", url);
    }
    *pendpoint =
        m2_slice_dup(pool, m2_json_string(m2_json_get(json, "token_endpoint")));
    return *pendpoint && is_safe(pool, *pendpoint)
               ? M2_OK
               : m2_err_set(&call->err, M2_E_CONFIG, "%s names no safe token_endpoint", url);
}

static const char *form_of(const call_t *call, int basic)
{
    apr_pool_t *pool = call->ctl->pool;
    const char *form =
        m2_form_append(pool, NULL, "grant_type", m2_slice_z(M2_GRANT_CLIENT_CREDENTIALS));

    if (call->options->scope) {
        form = m2_form_append(pool, form, "scope",
                              m2_slice_z(apr_array_pstrcat(pool, call->options->scope, ' ')));
    }
    if (!basic) {
        form = m2_form_append(pool, form, "client_id", m2_slice_z(call->options->client));
        form = m2_form_append(pool, form, "client_secret", m2_slice_z(call->secret));
    }
    return form;
}

/* RFC 6749 2.3.1: both halves form-encoded */
static const char *basic_of(const call_t *call)
{
    apr_pool_t *pool = call->ctl->pool;
    const char *both =
        apr_pstrcat(pool, m2_form_encode(pool, m2_slice_z(call->options->client)), ":",
                    m2_form_encode(pool, m2_slice_z(call->secret)), NULL);
    char *text = apr_palloc(pool, (strlen(both) + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)both, (int)strlen(both));
    return apr_pstrcat(pool, "Authorization: Basic ", text, NULL);
}

/* what the server said, as far as it is printable */
static const char *printable(apr_pool_t *pool, m2_slice_t text)
{
    char *copy = text.p ? m2_slice_dup(pool, text) : apr_pstrdup(pool, "");
    char *c;

    for (c = copy; *c; c++) {
        *c = apr_isprint(*c) ? *c : '?';
    }
    return copy;
}

static int refused(call_t *call, const m2_json_t *json)
{
    apr_pool_t *pool = call->ctl->pool;
    const char *error = printable(pool, m2_json_string(m2_json_get(json, "error")));
    const char *text =
        printable(pool, m2_json_string(m2_json_get(json, "error_description")));

    if (call->ctl->json) {
        m2mctl_print_json(pool, json);
    }
    fprintf(stderr, "m2mctl: refused: %s%s%s (HTTP status %ld)\n", *error ? error : "-",
            *text ? ": " : "", text, call->status);
    return M2MCTL_DENY;
}

static int show(call_t *call, const m2_json_t *json)
{
    m2_slice_t token = m2_json_string(m2_json_get(json, "access_token"));

    if (!token.p || !token.n) {
        m2_err_set(&call->err, M2_E_CONFIG, "the answer holds no access_token");
        return m2mctl_fault(call->ctl, call->options->issuer, &call->err);
    }
    if (call->ctl->json) {
        m2mctl_print_json(call->ctl->pool, json);
    }
    else {
        m2mctl_print_token(m2_slice_dup(call->ctl->pool, token));
    }
    return M2MCTL_ALLOW;
}

static int fetch(call_t *call, int basic)
{
    const char *endpoint = NULL, *form, *header;
    const m2_json_t *json;
    m2_code_t rc;

    if (discover(&endpoint, call) != M2_OK) {
        return m2mctl_fault(call->ctl, call->options->issuer, &call->err);
    }
    form = form_of(call, basic);
    header = basic ? basic_of(call) : NULL;
    rc = transfer(call, endpoint, form, header);
    OPENSSL_cleanse((char *)(apr_uintptr_t)form, strlen(form));
    json = rc == M2_OK ? answer_json(call) : NULL;
    if (!json) {
        return m2mctl_fault(call->ctl, endpoint, &call->err);
    }
    return call->status == 200 ? show(call, json) : refused(call, json);
}

static int secret_read(call_t *call)
{
    const char *path = call->options->secret_file ? call->options->secret_file : "-";
    m2_slice_t text;
    apr_size_t n = 0;

    if (m2mctl_read(&text, call->ctl->pool, path, &call->err) != M2_OK) {
        return 0;
    }
    while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r') {
        n++;
    }
    if (!n || memchr(text.p, '\0', n)) {
        m2_err_set(&call->err, M2_E_CONFIG, "the first line holds no secret");
        return 0;
    }
    call->secret = apr_pstrmemdup(call->ctl->pool, text.p, n);
    OPENSSL_cleanse((char *)(apr_uintptr_t)text.p, text.n);
    return 1;
}

static int run_token(m2mctl_t *ctl, void *options)
{
    const token_t *o = options;
    m2_slice_t method = m2_slice_z(o->method ? o->method : "post");
    call_t call;
    int rc;

    memset(&call, 0, sizeof(call));
    call.ctl = ctl;
    call.options = o;
    m2_err_init(&call.err, ctl->pool);
    if (!o->issuer || !o->client || ctl->words->nelts) {
        return m2mctl_usage(ctl, "needs --issuer and --client, and the secret on standard "
                                 "input or in --secret-file");
    }
    if (!m2_slice_is(method, "post") && !m2_slice_is(method, "basic")) {
        return m2mctl_usage(ctl, "--method is post or basic");
    }
    if (!secret_read(&call)) {
        return m2mctl_fault(ctl, o->secret_file ? o->secret_file : "standard input",
                            &call.err);
    }
    call.answer = apr_palloc(ctl->pool, MAX_ANSWER);
    rc = fetch(&call, m2_slice_is(method, "basic"));
    OPENSSL_cleanse(call.secret, strlen(call.secret));
    return rc;
}

const m2mctl_verb_t m2mctl_token = {
    "token",
    "",
    "get a token from an M2M server",
    "Finds the token endpoint by the issuer's metadata (RFC 8414) and asks by client\n"
    "credentials (RFC 6749 4.4). The secret is read from standard input or a file, never\n"
    "from the arguments. Prints the token; with --json the whole answer. Exit status 1: the\n"
    "server refused.\n",
    {{token_options, 0}},
    sizeof(token_t),
    run_token,
};
