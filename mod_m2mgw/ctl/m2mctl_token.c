/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl token: fetch an access token as any client would. Finds the endpoint by the
 * issuer's metadata (RFC 8414), sends the secret by client_secret_post or _basic or shows a
 * certificate (RFC 8705), perhaps with a proof of possession (RFC 9449), prints the token and
 * nothing else. Only https, or http to this machine; no redirect is followed,
 * since a secret goes with the request. The environment's proxies are not looked at.
 */
#include "ctl/m2mctl_dpop.h"

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
#define MAX_NONCE 512           /* bytes of a DPoP-Nonce */
#define TIMEOUT 30              /* seconds of each of the two requests */

typedef struct token_t {
    const char *issuer, *client, *secret_file, *method, *ca, *cert, *key, *dpop_key;
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
    { "cert",        M2MCTL_TEXT, SLOT(cert), "FILE", "log in with this certificate, PEM" },
    { "key",         M2MCTL_TEXT, SLOT(key), "FILE", "and its private key, PEM" },
    { "dpop-key",    M2MCTL_TEXT, SLOT(dpop_key), "FILE", "bind the token to this private key: "
                                                          "JWK or PEM" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* one run: what goes out and what came back */
typedef struct call_t {
    m2mctl_t *ctl;
    const token_t *options;
    m2_err_t err;
    char *secret; /* NULL: a certificate logs in */
    m2_jwk_t *dpop_key; /* NULL: no proof */
    const m2_alg_t *dpop_alg;
    char nonce[MAX_NONCE]; /* of the last answer; empty: none */
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

/* the DPoP-Nonce of an answer (RFC 9449 8) */
static size_t take_header(char *data, size_t size, size_t n, void *baton)
{
    static const char name[] = "DPoP-Nonce:";
    const m2_slice_t line = m2_slice(data, n * size);
    apr_size_t at = sizeof(name) - 1, end = line.n;
    call_t *call = baton;

    if (line.n > at && m2_slice_is_nocase(m2_slice(line.p, at), name)) {
        while (at < end && apr_isspace(line.p[at])) {
            at++;
        }
        while (end > at && apr_isspace(line.p[end - 1])) {
            end--;
        }
        if (end - at < MAX_NONCE) {
            memcpy(call->nonce, line.p + at, end - at);
            call->nonce[end - at] = '\0';
        }
    }
    return line.n;
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
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    if (call->options->cert) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, call->options->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, call->options->key);
    }
    if (call->options->ca) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->options->ca);
    }
}

/* GET, or POST of a form, with two header lines or NULL; the answer stays in call */
static m2_code_t transfer(call_t *call, const char *url, const char *form, const char *header,
                          const char *proof)
{
    char fault_text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    CURL *curl = curl_easy_init();
    CURLcode rc = CURLE_OUT_OF_MEMORY;

    call->n = 0;
    call->nonce[0] = '\0';
    if (curl) {
        prepare(curl, call, url, fault_text);
        if (form) {
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
        }
        if (header) {
            headers = curl_slist_append(headers, header);
        }
        if (proof) {
            headers = curl_slist_append(headers, proof);
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

static m2_code_t transfer(call_t *call, const char *url, const char *form, const char *header,
                          const char *proof)
{
    (void)url;
    (void)form;
    (void)header;
    (void)proof;
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

/* RFC 8705 5: who shows a certificate may have to go elsewhere */
static const char *endpoint_of(apr_pool_t *pool, const m2_json_t *metadata, int by_cert)
{
    const m2_json_t *aliases = by_cert ? m2_json_get(metadata, "mtls_endpoint_aliases") : NULL;
    m2_slice_t url = m2_json_string(m2_json_get(aliases, "token_endpoint"));

    return m2_slice_dup(pool, url.p ? url
                                    : m2_json_string(m2_json_get(metadata, "token_endpoint")));
}

/* RFC 8414 3.3: the answer must name the issuer that was asked for */
static m2_code_t discover(const char **pendpoint, call_t *call)
{
    apr_pool_t *pool = call->ctl->pool;
    const char *url = metadata_url(pool, call->options->issuer);
    const m2_json_t *json;

    if (!url || !is_safe(pool, url)) {
        return m2_err_set(&call->err, M2_E_CONFIG,
                          "an issuer is an https:// URL, or http:// to this machine");
    }
    if (transfer(call, url, NULL, NULL, NULL) != M2_OK) {
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
    *pendpoint = endpoint_of(pool, json, call->options->cert != NULL);
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
    }
    if (!basic && call->secret) {
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
    if (call->dpop_key
        && !m2_slice_is_nocase(m2_json_string(m2_json_get(json, "token_type")), "DPoP")) {
        fprintf(stderr, "m2mctl: the server gave a token that is bound to nothing\n");
        return M2MCTL_DENY;
    }
    if (call->ctl->json) {
        m2mctl_print_json(call->ctl->pool, json);
    }
    else {
        m2mctl_print_token(m2_slice_dup(call->ctl->pool, token));
    }
    return M2MCTL_ALLOW;
}

/* `DPoP: ...` for the endpoint, in *pline; NULL where no key was given. The URL is that of the
 * metadata, so that it fits. */
static m2_code_t proof_of(const char **pline, call_t *call, const char *endpoint)
{
    apr_pool_t *pool = call->ctl->pool;
    const m2mctl_made_t made = { "POST", endpoint, { NULL, 0 },
                                 *call->nonce ? apr_pstrdup(pool, call->nonce) : NULL, NULL,
                                 apr_time_sec(apr_time_now()) };
    const char *proof = NULL;
    m2_code_t code = M2_OK;

    *pline = NULL;
    if (call->dpop_key) {
        code = m2mctl_proof_make(&proof, pool, call->dpop_key, call->dpop_alg, &made, &call->err);
        *pline = apr_pstrcat(pool, "DPoP: ", proof, NULL);
    }
    return code;
}

/* One request, and a second one where the server wants its nonce in the proof (RFC 9449 8). */
static const m2_json_t *ask(call_t *call, const char *endpoint, const char *form,
                            const char *header)
{
    const m2_json_t *json = NULL;
    const char *proof;
    int again, round = 0;

    do {
        again = proof_of(&proof, call, endpoint) == M2_OK
                && transfer(call, endpoint, form, header, proof) == M2_OK;
        json = again ? answer_json(call) : NULL;
        again = json && proof && *call->nonce && round++ == 0
                && m2_slice_is(m2_json_string(m2_json_get(json, "error")), "use_dpop_nonce");
    } while (again);
    return json;
}

static int fetch(call_t *call, int basic)
{
    const char *endpoint = NULL, *form, *header;
    const m2_json_t *json;

    if (discover(&endpoint, call) != M2_OK) {
        return m2mctl_fault(call->ctl, call->options->issuer, &call->err);
    }
    form = form_of(call, basic);
    header = basic ? basic_of(call) : NULL;
    json = ask(call, endpoint, form, header);
    OPENSSL_cleanse((char *)(apr_uintptr_t)form, strlen(form));
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

/* what is wrong with the login; NULL: nothing */
static const char *misfit(const token_t *o, m2_slice_t method)
{
    if (!o->issuer || !o->client) {
        return "needs --issuer and --client, and the secret on standard input or in "
               "--secret-file, or --cert and --key";
    }
    if (!m2_slice_is(method, "post") && !m2_slice_is(method, "basic")) {
        return "--method is post or basic";
    }
    if (!o->cert != !o->key) {
        return "--cert and --key go together";
    }
    return o->cert && (o->secret_file || o->method)
               ? "a certificate logs in by itself: no --secret-file and no --method beside it"
               : NULL;
}

static int run_token(m2mctl_t *ctl, void *options)
{
    const token_t *o = options;
    m2_slice_t method = m2_slice_z(o->method ? o->method : "post");
    const char *wrong = misfit(o, method);
    call_t call;
    int rc;

    memset(&call, 0, sizeof(call));
    call.ctl = ctl;
    call.options = o;
    m2_err_init(&call.err, ctl->pool);
    if (wrong || ctl->words->nelts) {
        return m2mctl_usage(ctl, "%s", wrong ? wrong : "there are no arguments");
    }
    if (o->dpop_key && m2mctl_proof_key(&call.dpop_key, &call.dpop_alg, ctl->pool, o->dpop_key,
                                        NULL, &call.err)) {
        return m2mctl_fault(ctl, o->dpop_key, &call.err);
    }
    if (!o->cert && !secret_read(&call)) {
        return m2mctl_fault(ctl, o->secret_file ? o->secret_file : "standard input",
                            &call.err);
    }
    call.answer = apr_palloc(ctl->pool, MAX_ANSWER);
    rc = fetch(&call, m2_slice_is(method, "basic"));
    if (call.secret) {
        OPENSSL_cleanse(call.secret, strlen(call.secret));
    }
    return rc;
}

const m2mctl_verb_t m2mctl_token = {
    "token",
    "",
    "get a token from an M2M server",
    "Finds the token endpoint by the issuer's metadata (RFC 8414) and asks by client\n"
    "credentials (RFC 6749 4.4). The secret is read from standard input or a file, never\n"
    "from the arguments; with --cert and --key the certificate takes its place (RFC 8705).\n"
    "--dpop-key binds the token to that key (RFC 9449); a nonce that the server asks for is\n"
    "sent. Prints the token; with --json the whole answer. Exit status 1: the server "
    "refused.\n",
    {{token_options, 0}},
    sizeof(token_t),
    run_token,
};
