/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_fetch against a server that lives in the same thread: a fetcher never blocks, so the
 * test runs it a little, looks at what arrived, and answers with the bytes it likes. In a
 * build without libcurl the same program holds the stand-in to its words.
 */
#include "unit.h"

#include "jwks/m2_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE apr_time_from_sec(60)

/* --- the server ------------------------------------------------------------------------ */

typedef struct server_t {
    int listener, peer;
    unsigned port;
    const char *url;
    char request[4096];
    apr_size_t asked;  /* bytes of the request that came */
    const char *reply; /* NULL: never answers */
    apr_size_t n, sent;
    int connections;
} server_t;

static server_t *serve(const char *reply, apr_size_t n)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    server_t *s = apr_pcalloc(pool, sizeof(*s));

    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    s->peer = -1;
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(s->listener, 64), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&addr, &len), 0);
    s->port = ntohs(addr.sin_port);
    s->url = apr_psprintf(pool, "http://127.0.0.1:%u/jwks", s->port);
    s->reply = reply;
    s->n = n;
    return s;
}

static server_t *serve_text(const char *reply)
{
    return serve(reply, reply ? strlen(reply) : 0);
}

static void hang_up(server_t *s)
{
    if (s->peer >= 0) {
        close(s->peer);
    }
    s->peer = -1;
}

static void read_request(server_t *s)
{
    const ssize_t got = recv(s->peer, s->request + s->asked,
                             sizeof(s->request) - 1 - s->asked, MSG_DONTWAIT);

    if (got > 0) {
        s->asked += (apr_size_t)got;
        s->request[s->asked] = '\0';
    }
    else if (got == 0 || errno != EAGAIN) {
        hang_up(s);
    }
}

/* One step: whoever connects last is served, all of the reply, then the connection ends. */
static void step(server_t *s)
{
    const int peer = accept(s->listener, NULL, NULL);
    ssize_t sent;

    if (peer >= 0) {
        hang_up(s);
        s->peer = peer;
        s->asked = s->sent = 0;
        s->connections++;
    }
    if (s->peer >= 0) {
        read_request(s);
    }
    if (s->peer < 0 || !s->reply || !strstr(s->request, "\r\n\r\n")) {
        return;
    }
    sent = send(s->peer, s->reply + s->sent, s->n - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    s->sent += sent > 0 ? (apr_size_t)sent : 0;
    if (s->sent == s->n || (sent < 0 && errno != EAGAIN)) {
        hang_up(s);
    }
}

static void end_server(server_t *s)
{
    hang_up(s);
    close(s->listener);
}

/* --- what came of it ------------------------------------------------------------------- */

typedef struct outcome_t {
    int calls, status, max_age, unbounded;
    const char *fault, *etag;
    m2_slice_t body;
} outcome_t;

static const m2_fetch_tls_t no_tls;

static void note(const m2_answer_t *answer, void *baton)
{
    outcome_t *o = baton;

    assert_int_equal(answer->lost, 0); /* which no server can say */
    o->calls++;
    o->status = answer->status;
    o->max_age = answer->max_age;
    o->unbounded = answer->unbounded;
    o->fault = answer->fault ? apr_pstrdup(pool, answer->fault) : NULL;
    o->etag = answer->etag ? apr_pstrdup(pool, answer->etag) : NULL;
    o->body = m2_slice(apr_pstrmemdup(pool, answer->body.p, answer->body.n), answer->body.n);
}

static void run(m2_fetch_t *fetch, server_t *s)
{
    const apr_time_t end = apr_time_now() + PATIENCE;

    while (m2_fetch_run(fetch, apr_time_from_msec(5)) && apr_time_now() < end) {
        if (s) {
            step(s);
        }
    }
    assert_true(apr_time_now() < end);
}

static outcome_t fetch_with(const m2_fetch_tls_t *tls, server_t *s, const char *url,
                            const char *etag)
{
    outcome_t o = { 0 };
    m2_fetch_t *fetch = m2_fetch_open(pool, tls);

    assert_non_null(fetch);
    assert_int_equal(m2_fetch_start(fetch, url, etag, 2, M2_MAX_KEYSET_BYTES, note, &o), 1);
    run(fetch, s);
    assert_int_equal(o.calls, 1);
    m2_fetch_close(fetch);
    return o;
}

static outcome_t fetch_from(server_t *s, const char *etag)
{
    return fetch_with(&no_tls, s, s->url, etag);
}

/* --- answers --------------------------------------------------------------------------- */

static void test_answer(void **state)
{
    server_t *s = serve_text("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nCache-Control: max-age=60\r\n"
                             "Content-Length: 11\r\n\r\n{\"keys\":[]}");
    outcome_t o = fetch_from(s, NULL);

    (void)state;
    assert_null(o.fault);
    assert_int_equal(o.status, 200);
    assert_int_equal(o.max_age, 60);
    assert_string_equal(o.etag, "\"v1\"");
    assert_true(m2_slice_is(o.body, "{\"keys\":[]}"));
    assert_memory_equal(s->request, "GET /jwks HTTP/1.1\r\n", 20);
    assert_non_null(strstr(s->request, "Accept: application/jwk-set+json, application/json"));
    assert_null(strstr(s->request, "Accept-Encoding"));
    assert_null(strstr(s->request, "If-None-Match"));
    assert_null(strstr(s->request, "Authorization"));
    end_server(s);
}

static void test_plain_answer(void **state)
{
    server_t *s = serve_text("HTTP/1.1 200 OK\r\n\r\nto the end");
    outcome_t o = fetch_from(s, NULL);

    (void)state;
    assert_null(o.fault);
    assert_null(o.etag);
    assert_int_equal(o.max_age, M2_UNSET);
    assert_true(m2_slice_is(o.body, "to the end"));
    end_server(s);
}

/* a status is for the caller to judge, and no fault of the transfer */
static void test_status(void **state)
{
    server_t *s = serve_text("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno");
    outcome_t o = fetch_from(s, NULL);

    (void)state;
    assert_null(o.fault);
    assert_int_equal(o.status, 503);
    end_server(s);
}

static void test_etag(void **state)
{
    server_t *s = serve_text("HTTP/1.1 304 Not Modified\r\nETag: \"v2\"\r\n\r\n");
    char *lengthy = apr_palloc(pool, 301);
    outcome_t o = fetch_from(s, "\"v1\"");

    (void)state;
    assert_null(o.fault);
    assert_int_equal(o.status, 304);
    assert_int_equal(o.body.n, 0);
    assert_string_equal(o.etag, "\"v2\"");
    assert_non_null(strstr(s->request, "\r\nIf-None-Match: \"v1\"\r\n"));
    memset(lengthy, 'e', 300);
    lengthy[300] = '\0';
    fetch_from(s, lengthy);
    assert_null(strstr(s->request, "If-None-Match"));
    end_server(s);
    s = serve_text(apr_psprintf(pool, "HTTP/1.1 200 OK\r\nETag: %s\r\n\r\n", lengthy));
    o = fetch_from(s, NULL);
    assert_null(o.fault);
    assert_null(o.etag); /* one that is forgotten, not one that is cut */
    end_server(s);
}

static void test_cache_control(void **state)
{
    static const struct {
        const char *value;
        int age;
    } cases[] = {
        { "max-age=300", 300 },
        { "Max-Age=300", 300 },
        { "public, max-age=7", 7 },
        { "public , max-age=7 , must-revalidate", 7 },
        { "max-age=0", 0 },
        { "no-store", 0 },
        { "no-cache, max-age=300", 0 },
        { "max-age=300, no-store", 0 },
        { "max-age=-1", M2_UNSET },
        { "max-age=", M2_UNSET },
        { "max-age=1x", M2_UNSET },
        { "max-age=99999999999", M2_UNSET },
        { "s-maxage=5", M2_UNSET },
        { "private", M2_UNSET },
        { "", M2_UNSET },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server_t *s = serve_text(apr_psprintf(pool, "HTTP/1.1 200 OK\r\nCache-Control: %s\r\n"
                                              "Content-Length: 0\r\n\r\n", cases[i].value));
        outcome_t o = fetch_from(s, NULL);

        assert_null(o.fault);
        if (o.max_age != cases[i].age) {
            print_error("Cache-Control: %s\n", cases[i].value);
        }
        assert_int_equal(o.max_age, cases[i].age);
        end_server(s);
    }
}

/* --- what is too much ------------------------------------------------------------------ */

/* a reply with a body of n bytes, its length announced or not */
static server_t *serve_bytes(apr_size_t n, int announced)
{
    const char *head = announced
        ? apr_psprintf(pool, "HTTP/1.1 200 OK\r\nContent-Length: %" APR_SIZE_T_FMT "\r\n\r\n", n)
        : "HTTP/1.1 200 OK\r\n\r\n";
    const apr_size_t skip = strlen(head);
    char *reply = apr_palloc(pool, skip + n);

    memcpy(reply, head, skip);
    memset(reply + skip, ' ', n);
    return serve(reply, skip + n);
}

static void test_size(void **state)
{
    int announced;

    (void)state;
    for (announced = 0; announced <= 1; announced++) {
        server_t *s = serve_bytes(M2_MAX_KEYSET_BYTES, announced);
        outcome_t o = fetch_from(s, NULL);

        assert_null(o.fault);
        assert_int_equal(o.body.n, M2_MAX_KEYSET_BYTES);
        end_server(s);
        s = serve_bytes(M2_MAX_KEYSET_BYTES + 1, announced);
        o = fetch_from(s, NULL);
        assert_string_equal(o.fault, "the answer is too large");
        end_server(s);
    }
}

/* a coding that nobody asked for is not undone */
static void test_coding(void **state)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                                "Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00";
    server_t *s = serve(reply, sizeof(reply) - 1);
    outcome_t o = fetch_from(s, NULL);

    (void)state;
    assert_null(o.fault);
    assert_int_equal(o.body.n, 4);
    assert_memory_equal(o.body.p, "\x1f\x8b\x08\x00", 4);
    end_server(s);
}

/* half of an answer is none */
static void test_torn(void **state)
{
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\":[]}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"keys\":[]}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"keys\"",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        server_t *s = serve_text(replies[i]);
        outcome_t o = fetch_from(s, NULL);

        assert_non_null(o.fault);
        end_server(s);
    }
}

/* RFC 9112 6.3: what ends with the connection may have been cut off */
static void test_unbounded(void **state)
{
    static const struct {
        const char *reply;
        int unbounded;
    } cases[] = {
        { "HTTP/1.1 200 OK\r\n\r\nabc", 1 },
        { "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabc", 1 },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0 },
        { "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", 0 },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0 },
        { "HTTP/1.1 200 OK\r\nContent-Lengths: 3\r\nX: Content-Length: 3\r\n\r\nabc", 1 },
        { "HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", 1 },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server_t *s = serve_text(cases[i].reply);
        outcome_t o = fetch_from(s, NULL);

        assert_null(o.fault);
        assert_true(m2_slice_is(o.body, "abc"));
        if (o.unbounded != cases[i].unbounded) {
            fail_msg("%s", cases[i].reply);
        }
        end_server(s);
    }
}

static void test_silence(void **state)
{
    const apr_time_t began = apr_time_now();
    server_t *s;
    outcome_t o;

    (void)state;
    if (!may_wait()) {
        return;
    }
    s = serve_text(NULL);
    o = fetch_from(s, NULL);
    assert_non_null(o.fault);
    assert_int_equal(s->connections, 1);
    assert_true(apr_time_now() - began >= apr_time_from_sec(1));
    assert_true(apr_time_now() - began < apr_time_from_sec(30));
    end_server(s);
}

/* --- where it does not go -------------------------------------------------------------- */

static void test_nobody_there(void **state)
{
    server_t *s = serve_text("");
    outcome_t o;

    (void)state;
    end_server(s);
    o = fetch_with(&no_tls, NULL, s->url, NULL);
    assert_non_null(o.fault);
    assert_int_equal(o.status, 0);
}

/* A redirect goes to https or nowhere: not in the clear, not into a file. */
static void test_redirect(void **state)
{
    server_t *other = serve_text("HTTP/1.1 200 OK\r\n\r\nstolen");
    const char *targets[] = { other->url, "file:///etc/hostname", "ftp://127.0.0.1/x",
                              "gopher://127.0.0.1/x", "dict://127.0.0.1/x" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        server_t *s = serve_text(apr_psprintf(pool, "HTTP/1.1 302 Found\r\nLocation: %s\r\n"
                                              "Content-Length: 0\r\n\r\n", targets[i]));
        outcome_t o = fetch_from(s, NULL);

        assert_non_null(o.fault);
        assert_int_equal(s->connections, 1);
        end_server(s);
    }
    step(other);
    assert_int_equal(other->connections, 0);
    end_server(other);
}

static void test_schemes(void **state)
{
    static const char *const urls[] = { "file:///etc/hostname", "ftp://127.0.0.1/x",
                                        "gopher://127.0.0.1/x", "dict://127.0.0.1/x",
                                        "no-url", "" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        m2_fetch_t *fetch = m2_fetch_open(pool, &no_tls);
        outcome_t o = { 0 };

        assert_non_null(fetch);
        if (m2_fetch_start(fetch, urls[i], NULL, 2, M2_MAX_KEYSET_BYTES, note, &o)) {
            run(fetch, NULL);
            assert_int_equal(o.calls, 1);
            assert_non_null(o.fault);
            assert_int_equal(o.body.n, 0);
        }
        m2_fetch_close(fetch);
    }
}

/* https is TLS; whoever answers in the clear is not heard */
static void test_no_tls_there(void **state)
{
    server_t *s;
    outcome_t o;

    (void)state;
    if (!may_wait()) {
        return;
    }
    s = serve_text("HTTP/1.1 200 OK\r\n\r\n{\"keys\":[]}");
    o = fetch_with(&no_tls, s, apr_psprintf(pool, "https://127.0.0.1:%u/", s->port), NULL);
    assert_non_null(o.fault);
    assert_int_equal(o.body.n, 0);
    end_server(s);
}

/* The environment of whoever starts httpd does not say where keys come from; tls does. */
static void test_proxy(void **state)
{
    server_t *s = serve_text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    server_t *proxy = serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
    m2_fetch_tls_t tls = { 0 };
    outcome_t o;

    (void)state;
    tls.proxy = apr_psprintf(pool, "http://127.0.0.1:%u", proxy->port);
    setenv("http_proxy", tls.proxy, 1);
    setenv("all_proxy", tls.proxy, 1);
    o = fetch_from(s, NULL);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_null(o.fault);
    assert_true(m2_slice_is(o.body, "{}"));
    o = fetch_with(&tls, proxy, "http://keys.invalid/jwks", NULL);
    assert_null(o.fault);
    assert_true(m2_slice_is(o.body, "proxy"));
    assert_memory_equal(proxy->request, "GET http://keys.invalid/jwks ", 29);
    end_server(s);
    end_server(proxy);
}

/* --- many ------------------------------------------------------------------------------ */

static void test_many(void **state)
{
    server_t *s = serve_text(NULL);
    m2_fetch_t *fetch = m2_fetch_open(pool, &no_tls);
    outcome_t o = { 0 };
    int i;

    (void)state;
    assert_non_null(fetch);
    assert_int_equal(m2_fetch_run(fetch, 0), 0);
    for (i = 0; i < M2_MAX_FETCHES; i++) {
        assert_int_equal(m2_fetch_start(fetch, s->url, NULL, 30, M2_MAX_KEYSET_BYTES, note, &o), 1);
    }
    assert_int_equal(m2_fetch_start(fetch, s->url, NULL, 30, M2_MAX_KEYSET_BYTES, note, &o), 0);
    assert_int_equal(m2_fetch_run(fetch, apr_time_from_msec(20)), M2_MAX_FETCHES);
    m2_fetch_close(fetch); /* all are dropped, nobody is told */
    assert_int_equal(o.calls, 0);
    end_server(s);
}

typedef struct relay_t {
    m2_fetch_t *fetch;
    const char *url;
    int left;
} relay_t;

static void again(const m2_answer_t *answer, void *baton)
{
    relay_t *r = baton;

    assert_null(answer->fault);
    assert_true(m2_slice_is(answer->body, "ok"));
    if (--r->left) {
        assert_int_equal(m2_fetch_start(r->fetch, r->url, NULL, 5, M2_MAX_KEYSET_BYTES, again, r), 1);
    }
}

/* the slot of a transfer that ended is free for the one its callback starts */
static void test_callback_starts(void **state)
{
    server_t *s = serve_text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    relay_t r = { m2_fetch_open(pool, &no_tls), s->url, M2_MAX_FETCHES + 3 };

    (void)state;
    assert_non_null(r.fetch);
    assert_int_equal(m2_fetch_start(r.fetch, r.url, NULL, 5, M2_MAX_KEYSET_BYTES, again, &r), 1);
    run(r.fetch, s);
    assert_int_equal(r.left, 0);
    m2_fetch_close(r.fetch);
    end_server(s);
}

/* --- without libcurl ------------------------------------------------------------------- */

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(m2_fetch_init(), 1);
    assert_null(m2_fetch_open(pool, &no_tls));
    assert_int_equal(m2_fetch_start(NULL, "http://127.0.0.1/", NULL, 1, M2_MAX_KEYSET_BYTES, note, NULL), 0);
    assert_int_equal(m2_fetch_run(NULL, 0), 0);
    m2_fetch_close(NULL);
    m2_fetch_exit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_answer),
        unit(test_plain_answer),
        unit(test_status),
        unit(test_etag),
        unit(test_cache_control),
        unit(test_size),
        unit(test_coding),
        unit(test_torn), unit(test_unbounded),
        unit(test_silence),
        unit(test_nobody_there),
        unit(test_redirect),
        unit(test_schemes),
        unit(test_no_tls_there),
        unit(test_proxy),
        unit(test_many),
        unit(test_callback_starts),
    };
    const struct CMUnitTest none[] = { unit(test_none) };
    int status;

    if (!m2_fetch_available()) {
        return cmocka_run_group_tests(none, NULL, NULL);
    }
    m2_fetch_init();
    status = cmocka_run_group_tests(tests, NULL, NULL);
    m2_fetch_exit();
    return status;
}
