/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * libcurl's multi interface. A dead host delays only its own transfer by some seconds; a
 * drip-feed ends with the transfer's total time, a flood with the size.
 *
 * No content coding is asked for, so none is decoded here; the reader of the document decodes
 * gzip within its own bounds. The environment's proxy variables are not looked at.
 */
#include "jwks/m2_fetch.h"

#include "jwks/m2_url.h"

#include <apr_uri.h>

#include <curl/curl.h>
#include <openssl/err.h>
#include <stdlib.h>

#define MAX_HEADER 256 /* bytes of an ETag that are kept; a longer one is forgotten */

typedef struct transfer_t {
    CURL *curl; /* NULL: free */
    struct curl_slist *headers;
    m2_fetched_fn *fn;
    void *baton;
    char *body;
    apr_size_t n, room;
    apr_size_t max; /* bytes */
    int too_large;
    int bounded; /* the answer says where it ends */
    int max_age;
    char etag[MAX_HEADER];
    char fault[CURL_ERROR_SIZE];
} transfer_t;

struct m2_fetch_t {
    CURLM *multi;
    const m2_fetch_tls_t *tls;
    int active;
    transfer_t transfers[M2_MAX_FETCHES];
};

int m2_fetch_available(void)
{
    return 1;
}

int m2_fetch_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void m2_fetch_exit(void)
{
    curl_global_cleanup();
}

m2_fetch_t *m2_fetch_open(apr_pool_t *pool, const m2_fetch_tls_t *tls)
{
    m2_fetch_t *fetch = apr_pcalloc(pool, sizeof(*fetch));

    fetch->tls = tls;
    fetch->multi = curl_multi_init();
    return fetch->multi ? fetch : NULL;
}

/* --- what comes in --- */

static size_t on_body(char *data, size_t size, size_t count, void *baton)
{
    transfer_t *t = baton;
    const apr_size_t n = size * count;
    char *grown;

    if (n > t->max - t->n) {
        t->too_large = 1;
        return 0; /* curl ends the transfer */
    }
    if (t->room - t->n < n) {
        t->room = (t->n + n) * 2;
        grown = realloc(t->body, t->room);
        if (!grown) {
            return 0;
        }
        t->body = grown;
    }
    memcpy(t->body + t->n, data, n);
    t->n += n;
    return n;
}

static m2_slice_t trimmed(m2_slice_t s)
{
    while (s.n && apr_isspace(s.p[0])) {
        s = m2_slice(s.p + 1, s.n - 1);
    }
    while (s.n && apr_isspace(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* RFC 9111 5.2.2: of a Cache-Control only what shortens the time to the next fetch. */
static void note_directive(transfer_t *t, m2_slice_t word)
{
    static const char prefix[] = "max-age=";
    const apr_size_t n = sizeof(prefix) - 1;
    apr_size_t i;
    int age = 0;

    if (m2_slice_is_nocase(word, "no-store") || m2_slice_is_nocase(word, "no-cache")) {
        t->max_age = 0;
    }
    if (word.n <= n || !m2_slice_is_nocase(m2_slice(word.p, n), prefix)) {
        return;
    }
    for (i = n; i < word.n && i < n + 8 && apr_isdigit(word.p[i]); i++) {
        age = age * 10 + (word.p[i] - '0');
    }
    if (i == word.n && t->max_age != 0) {
        t->max_age = age;
    }
}

static void note_cache_control(transfer_t *t, m2_slice_t value)
{
    apr_size_t i, start = 0;

    for (i = 0; i <= value.n; i++) {
        if (i == value.n || value.p[i] == ',') {
            note_directive(t, trimmed(m2_slice(value.p + start, i - start)));
            start = i + 1;
        }
    }
}

/* RFC 9112 6.1: the last coding is chunked. */
static int ends_chunked(m2_slice_t codings)
{
    static const char chunked[] = "chunked";
    const apr_size_t n = sizeof(chunked) - 1;

    return codings.n >= n
           && m2_slice_is_nocase(m2_slice(codings.p + codings.n - n, n), chunked);
}

static size_t on_header(char *data, size_t size, size_t count, void *baton)
{
    transfer_t *t = baton;
    const apr_size_t n = size * count;
    const char *colon = memchr(data, ':', n);
    m2_slice_t name, value;

    if (n > 5
        && m2_slice_is(m2_slice(data, 5), "HTTP/")) { /* of a redirect, or the last */
        t->etag[0] = '\0';
        t->max_age = M2_UNSET;
        t->bounded = n > 7 && data[5] > '1'; /* by its frames */
    }
    if (!colon) {
        return n;
    }
    name = m2_slice(data, (apr_size_t)(colon - data));
    value = trimmed(m2_slice(colon + 1, n - name.n - 1));
    if (m2_slice_is_nocase(name, "ETag") && value.n < MAX_HEADER
        && !memchr(value.p, '\n', value.n)) {
        memcpy(t->etag, value.p, value.n);
        t->etag[value.n] = '\0';
    }
    else if (m2_slice_is_nocase(name, "Cache-Control")) {
        note_cache_control(t, value);
    }
    else if (m2_slice_is_nocase(name, "Content-Length")
             || (m2_slice_is_nocase(name, "Transfer-Encoding") && ends_chunked(value))) {
        t->bounded = 1; /* libcurl fails a transfer that ends before */
    }
    return n;
}

/* --- transfers --- */

static void release(m2_fetch_t *fetch, transfer_t *t)
{
    curl_multi_remove_handle(fetch->multi, t->curl);
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    free(t->body);
    memset(t, 0, sizeof(*t));
    fetch->active--;
}

static int set_limits(CURL *curl, int timeout, apr_size_t max)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    CURLcode fault = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");

    fault |= curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
#else
    CURLcode fault = curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
                                      (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));

    fault |= curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
    fault |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    fault |= curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)M2_MAX_REDIRECTS);
    fault |= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout * 1000L);
    fault |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout * 1000L);
    fault |= curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)max);
    fault |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* other threads' signals */
#if LIBCURL_VERSION_NUM >= 0x075700
    /* or ending a transfer would wait for a resolver that got stuck */
    fault |= curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
    return fault == CURLE_OK;
}

/* Whether host is one of the list. */
static int is_listed(const char *host, const char *list)
{
    const apr_size_t n = strlen(host);

    while (list && *list) {
        const apr_size_t k = strcspn(list, ",");
        const m2_slice_t entry = m2_slice(list, k);

        if (k == n && m2_slice_is_nocase(entry, host)) {
            return 1;
        }
        if (*list == '.'
            && ((n > k && m2_slice_is_nocase(entry, host + n - k))
                || (n + 1 == k && m2_slice_is_nocase(m2_slice(list + 1, k - 1), host)))) {
            return 1;
        }
        list += k + (list[k] == ',');
    }
    return 0;
}

/* The proxy to ask for url, "" for none. What is on this machine is never asked by another, and
 * nothing of the environment counts. */
static const char *proxy_for(const m2_fetch_tls_t *tls, const char *url)
{
    apr_pool_t *pool;
    apr_uri_t uri;
    int direct = 1;

    if (tls->proxy && apr_pool_create_unmanaged(&pool) == APR_SUCCESS) {
        direct = apr_uri_parse(pool, url, &uri) != APR_SUCCESS || !uri.hostname
                 || m2_url_is_loopback(uri.hostname) || is_listed(uri.hostname, tls->no_proxy);
        apr_pool_destroy(pool);
    }
    return direct ? "" : tls->proxy;
}

static int set_tls(CURL *curl, const m2_fetch_tls_t *tls, const char *url)
{
    CURLcode fault = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);

    fault |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    fault |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    fault |= curl_easy_setopt(curl, CURLOPT_PROXY, proxy_for(tls, url));
    fault |= curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
    fault |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "mod_m2mgw/" M2_VERSION);
    if (tls->ca) {
        fault |= curl_easy_setopt(curl, CURLOPT_CAINFO, tls->ca);
    }
    if (tls->cert) {
        fault |= curl_easy_setopt(curl, CURLOPT_SSLCERT, tls->cert);
        fault |= curl_easy_setopt(curl, CURLOPT_SSLKEY, tls->key);
    }
    return fault == CURLE_OK;
}

static int set_callbacks(transfer_t *t)
{
    CURLcode fault = curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);

    fault |= curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    fault |= curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
    fault |= curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    fault |= curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->fault);
    fault |= curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
    fault |= curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    return fault == CURLE_OK;
}

static struct curl_slist *headers_for(const char *etag)
{
    char line[MAX_HEADER + 32];
    struct curl_slist *list =
        curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");

    if (etag && strlen(etag) < MAX_HEADER) {
        apr_snprintf(line, sizeof(line), "If-None-Match: %s", etag);
        list = curl_slist_append(list, line);
    }
    return list;
}

int m2_fetch_start(m2_fetch_t *fetch, const char *url, const char *etag, int timeout,
                   apr_size_t max, m2_fetched_fn *fn, void *baton)
{
    transfer_t *t = fetch->transfers;

    while (t < fetch->transfers + M2_MAX_FETCHES && t->curl) {
        t++;
    }
    if (t == fetch->transfers + M2_MAX_FETCHES) {
        return 0;
    }
    t->curl = curl_easy_init();
    if (!t->curl) {
        return 0;
    }
    fetch->active++;
    t->fn = fn;
    t->baton = baton;
    t->max = max;
    t->max_age = M2_UNSET;
    t->headers = headers_for(etag);
    if (curl_easy_setopt(t->curl, CURLOPT_URL, url) != CURLE_OK || !set_callbacks(t)
        || !set_limits(t->curl, timeout, max) || !set_tls(t->curl, fetch->tls, url)
        || curl_multi_add_handle(fetch->multi, t->curl) != CURLM_OK) {
        release(fetch, t);
        return 0;
    }
    return 1;
}

/* The words for a transfer that failed. curl's own may quote a URL, never a document. */
static const char *fault_of(const transfer_t *t, CURLcode code)
{
    if (code == CURLE_OK) {
        return NULL;
    }
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return "the answer is too large";
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {
        return "it redirects to something else than https, which is not followed";
    }
    if (code == CURLE_TOO_MANY_REDIRECTS) {
        return "it redirects more often than is followed";
    }
    return t->fault[0] ? t->fault : curl_easy_strerror(code);
}

/* The slot is free before the callback, which may start the next transfer in it. */
static void finish(m2_fetch_t *fetch, transfer_t *t, CURLcode code)
{
    transfer_t ended;
    m2_answer_t answer = { NULL, 0, { NULL, 0 }, NULL, M2_UNSET, 0, 0 };
    long status = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    ended = *t;
    t->body = NULL;
    release(fetch, t);
    answer.fault = fault_of(&ended, code);
    answer.status = (int)status;
    answer.body = m2_slice(ended.body ? ended.body : "", ended.n);
    answer.etag = ended.etag[0] ? ended.etag : NULL;
    answer.max_age = ended.max_age;
    answer.unbounded = !ended.bounded;
    ended.fn(&answer, ended.baton);
    free(ended.body);
}

int m2_fetch_run(m2_fetch_t *fetch, apr_interval_time_t wait)
{
    CURLMsg *message;
    int running, queued;

    if (!fetch->active) {
        return 0;
    }
    curl_multi_perform(fetch->multi, &running);
    if (running == fetch->active && wait > 0) {
        curl_multi_wait(fetch->multi, NULL, 0, (int)apr_time_as_msec(wait), NULL);
        curl_multi_perform(fetch->multi, &running);
    }
    while ((message = curl_multi_info_read(fetch->multi, &queued)) != NULL) {
        char *t = NULL;

        if (message->msg == CURLMSG_DONE) {
            const CURLcode code = message->data.result;

            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
            finish(fetch, (transfer_t *)(void *)t, code);
        }
    }
    ERR_clear_error(); /* errors that curl leaves there would be attributed to the next user */
    return fetch->active;
}

void m2_fetch_close(m2_fetch_t *fetch)
{
    int i;

    for (i = 0; i < M2_MAX_FETCHES; i++) {
        if (fetch->transfers[i].curl) {
            release(fetch, &fetch->transfers[i]);
        }
    }
    curl_multi_cleanup(fetch->multi);
    fetch->multi = NULL;
}
