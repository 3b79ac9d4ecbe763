/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2_wire against a server that lives in the same thread: the kernel completes connections
 * to a listening socket by itself, the test accepts them when it wants to look.
 */
#include "unit.h"

#include "wire/m2_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char why[M2_WIRE_WHY];

/* a socket on loopback with a port of its own; refusing ones do not listen */
static int server(apr_port_t *pport, int listening)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listening ? listen(fd, 8) : 0, 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *pport = ntohs(addr.sin_port);
    return fd;
}

static m2_wire_t *wire_to(const char *host, apr_port_t port, m2_wire_hello_fn *hello)
{
    m2_endpoint_t end;
    m2_wire_t *wire;

    memset(&end, 0, sizeof(end));
    end.host = host;
    end.port = port;
    end.timeout = 300;
    end.hello = hello;
    assert_int_equal(m2_wire_make(&wire, pool, &end, &err), M2_OK);
    why[0] = '\0';
    return wire;
}

static void test_exchange(void **state)
{
    apr_port_t port;
    int listener = server(&port, 1), peer;
    m2_wire_t *wire = wire_to("127.0.0.1", port, NULL);
    m2_conn_t *conn = m2_wire_take(wire, 0, why);
    char bytes[8];

    (void)state;
    assert_non_null(conn);
    peer = accept(listener, NULL, NULL);
    assert_int_equal(m2_conn_write(conn, "ping", 4), 1);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 4);
    assert_memory_equal(bytes, "ping", 4);
    assert_int_equal(send(peer, "pong", 4, 0), 4);
    assert_int_equal(m2_conn_read(conn, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "pong", 4);
    m2_wire_drop(wire, conn);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 0);
    close(peer);
    close(listener);
}

static void test_kept(void **state)
{
    apr_port_t port;
    int listener = server(&port, 1), peer;
    m2_wire_t *wire = wire_to("127.0.0.1", port, NULL);
    m2_conn_t *conn = m2_wire_take(wire, 0, why);
    char bytes[8];

    (void)state;
    assert_non_null(conn);
    peer = accept(listener, NULL, NULL);
    m2_wire_give(wire, conn);
    conn = m2_wire_take(wire, 0, why);
    assert_non_null(conn);
    assert_int_equal(m2_conn_write(conn, "x", 1), 1);
    assert_int_equal(recv(peer, bytes, sizeof(bytes), 0), 1); /* the same connection */
    m2_wire_drop(wire, conn);
    close(peer);
    close(listener);
}

/* What a kept connection's server closed, or said unasked, is not written to: whether the
 * answer belongs to the question could not be told. */
static void test_kept_is_checked(void **state)
{
    apr_port_t port;
    int listener = server(&port, 1), peer, again;
    m2_wire_t *wire = wire_to("127.0.0.1", port, NULL);
    m2_conn_t *conn = m2_wire_take(wire, 0, why);
    int unasked;
    char byte;

    (void)state;
    for (unasked = 0; unasked <= 1; unasked++) {
        assert_non_null(conn);
        peer = accept(listener, NULL, NULL);
        m2_wire_give(wire, conn);
        if (unasked) {
            assert_int_equal(send(peer, "late", 4, 0), 4);
        }
        else {
            close(peer);
        }
        conn = m2_wire_take(wire, 0, why);
        assert_non_null(conn);
        assert_int_equal(m2_conn_write(conn, "x", 1), 1);
        again = accept(listener, NULL, NULL);
        assert_int_equal(recv(again, &byte, 1, 0), 1);
        m2_wire_drop(wire, conn);
        close(again);
        if (unasked) {
            close(peer);
        }
        conn = m2_wire_take(wire, 0, why);
    }
    m2_wire_drop(wire, conn);
    close(listener);
}

static void test_refused_then_left_alone(void **state)
{
    const apr_time_t end = apr_time_now() + apr_time_from_sec(30);
    apr_port_t port;
    int fd = server(&port, 0), left_alone = 0;
    m2_wire_t *wire = wire_to("127.0.0.1", port, NULL);
    m2_conn_t *conn;

    (void)state;
    assert_null(m2_wire_take(wire, 0, why));
    assert_non_null(strstr(why, "cannot connect: "));
    assert_int_equal(listen(fd, 8), 0);
    while (!(conn = m2_wire_take(wire, 0, why)) && apr_time_now() < end) {
        assert_non_null(strstr(why, "left alone"));
        left_alone++;
        apr_sleep(apr_time_from_msec(100));
    }
    assert_true(left_alone > 0);
    assert_non_null(conn); /* it is asked again afterwards */
    m2_wire_drop(wire, conn);
    close(fd);
}

static void test_deadline(void **state)
{
    apr_port_t port;
    int listener = server(&port, 1);
    m2_wire_t *wire = wire_to("127.0.0.1", port, NULL);
    apr_time_t begin = apr_time_now(); /* connecting counts, too */
    m2_conn_t *conn = m2_wire_take(wire, 0, why);
    char bytes[8];

    (void)state;
    assert_non_null(conn);
    assert_int_equal(m2_conn_read(conn, bytes, sizeof(bytes)), 0);
    assert_true(apr_time_now() - begin >= apr_time_from_msec(250));
    assert_true(apr_time_now() - begin < apr_time_from_sec(30));
    m2_wire_drop(wire, conn);
    close(listener);
}

static int refuse_hello(m2_conn_t *conn, void *baton, char *text)
{
    (void)conn;
    (void)baton;
    apr_cpystrn(text, "not you", M2_WIRE_WHY);
    return 0;
}

static void test_hello(void **state)
{
    apr_port_t port;
    int listener = server(&port, 1);

    (void)state;
    assert_null(m2_wire_take(wire_to("127.0.0.1", port, refuse_hello), 0, why));
    assert_string_equal(why, "not you");
    close(listener);
}

static void test_unix(void **state)
{
    struct sockaddr_un addr;
    const char *path = apr_psprintf(pool, "/tmp/m2-wire-%d.sock", (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    m2_wire_t *wire;

    (void)state;
    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;
    apr_cpystrn(addr.sun_path, path, sizeof(addr.sun_path));
    unlink(path);
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 8), 0);
    wire = wire_to(path, 0, NULL);
    m2_wire_give(wire, m2_wire_take(wire, 0, why)); /* closed with the pool */
    assert_string_equal(why, "");
    unlink(path);
    assert_null(m2_wire_take(wire_to(path, 0, NULL), 0, why));
    assert_non_null(strstr(why, "cannot connect"));
    path = apr_psprintf(pool, "/%0300d", 0);
    assert_null(m2_wire_take(wire_to(path, 0, NULL), 0, why));
    close(listener);
}

static void test_tls_settings(void **state)
{
    struct ssl_ctx_st *ctx = NULL;

    (void)state;
    assert_int_equal(m2_wire_tls(&ctx, pool, NULL, NULL, NULL, &err), M2_OK);
    assert_non_null(ctx);
    assert_int_equal(m2_wire_tls(&ctx, pool, "/no/such/ca.pem", NULL, NULL, &err),
                     M2_E_CONFIG);
    assert_null(ctx);
    assert_non_null(strstr(err.text, "/no/such/ca.pem"));
    clean();
    assert_int_equal(m2_wire_tls(&ctx, pool, NULL, "/no/such/cert.pem", "/no/such/key.pem",
                                 &err), M2_E_CONFIG);
    assert_null(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_exchange),
        unit(test_kept),
        unit(test_kept_is_checked),
        unit(test_refused_then_left_alone),
        unit(test_deadline),
        unit(test_hello),
        unit(test_unix),
        unit(test_tls_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
