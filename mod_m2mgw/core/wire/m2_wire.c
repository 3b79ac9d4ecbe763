/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sockets are non-blocking, every wait is a poll up to the connection's deadline. Idle
 * connections are a list, the last one used first, so that spare ones grow old and close.
 */
#include "wire/m2_wire.h"

#include "base/m2_hold.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LEAVE_ALONE 1000 /* milliseconds after a failed connection */
#define MAX_IDLE 60000   /* milliseconds a connection is kept unused */

struct m2_conn_t {
    m2_conn_t *next;
    SSL *ssl;
    apr_int64_t deadline; /* milliseconds of the monotonic clock */
    apr_int64_t used;
    int fd;
};

struct m2_wire_t {
    m2_endpoint_t end;
    pthread_mutex_t lock; /* of what follows */
    m2_conn_t *idle;
    apr_int64_t alone_until;
};

apr_int64_t m2_wire_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (apr_int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void close_conn(m2_conn_t *conn)
{
    if (conn->ssl) {
        SSL_free(conn->ssl);
        ERR_clear_error();
    }
    if (conn->fd >= 0) {
        close(conn->fd);
    }
    free(conn);
}

/**************************************************************************************/
/* waiting, reading, writing */

static int wait_for(const m2_conn_t *conn, short events)
{
    struct pollfd p = { conn->fd, events, 0 };
    apr_int64_t left;
    int rv;

    do {
        left = conn->deadline - m2_wire_clock();
        rv = left > 0 ? poll(&p, 1, (int)left) : 0;
    } while (rv < 0 && errno == EINTR);
    return rv > 0;
}

/* Whether to try the call again that returned rv. */
static int tls_again(const m2_conn_t *conn, int rv)
{
    int want = SSL_get_error(conn->ssl, rv);

    ERR_clear_error();
    if (want == SSL_ERROR_WANT_READ) {
        return wait_for(conn, POLLIN);
    }
    return want == SSL_ERROR_WANT_WRITE && wait_for(conn, POLLOUT);
}

static int fd_again(const m2_conn_t *conn, short events)
{
    return errno == EINTR
           || ((errno == EAGAIN || errno == EWOULDBLOCK) && wait_for(conn, events));
}

int m2_conn_write(m2_conn_t *conn, const char *bytes, apr_size_t n)
{
    apr_size_t done = 0;

    ERR_clear_error(); /* errors that others left there would be attributed to this connection */
    while (done < n) {
        ssize_t rv = conn->ssl ? SSL_write(conn->ssl, bytes + done, (int)(n - done))
                               : send(conn->fd, bytes + done, n - done, MSG_NOSIGNAL);

        if (rv > 0) {
            done += (apr_size_t)rv;
        }
        else if (!(conn->ssl ? tls_again(conn, (int)rv) : fd_again(conn, POLLOUT))) {
            return 0;
        }
    }
    return 1;
}

apr_size_t m2_conn_read(m2_conn_t *conn, char *bytes, apr_size_t n)
{
    ssize_t rv;

    ERR_clear_error();
    for (;;) {
        rv = conn->ssl ? SSL_read(conn->ssl, bytes, (int)n) : recv(conn->fd, bytes, n, 0);
        if (rv > 0) {
            return (apr_size_t)rv;
        }
        if (!conn->ssl && rv == 0) {
            return 0;
        }
        if (!(conn->ssl ? tls_again(conn, (int)rv) : fd_again(conn, POLLIN))) {
            return 0;
        }
    }
}

/**************************************************************************************/
/* connecting */

static int finish_connect(m2_conn_t *conn, const struct sockaddr *to, socklen_t len)
{
    int e = 0, one = 1;
    socklen_t n = sizeof(e);

    if (conn->fd < 0) {
        return 0;
    }
    if (to->sa_family != AF_UNIX) {
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    if (connect(conn->fd, to, len) == 0) {
        return 1;
    }
    if (errno != EINPROGRESS) {
        return 0;
    }
    if (!wait_for(conn, POLLOUT)) {
        errno = ETIMEDOUT;
        return 0;
    }
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0) {
        return 0;
    }
    errno = e;
    return e == 0;
}

static int connect_unix(m2_conn_t *conn, const char *path)
{
    struct sockaddr_un to;

    memset(&to, 0, sizeof(to));
    to.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(to.sun_path)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    memcpy(to.sun_path, path, strlen(path));
    conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return finish_connect(conn, (struct sockaddr *)&to, sizeof(to));
}

/* Each address of the name in turn, within the one deadline. */
static int connect_any(m2_conn_t *conn, const m2_addr_t *addrs, int n)
{
    int i, ok = 0;

    for (i = 0; i < n && !ok; i++) {
        if (conn->fd >= 0) {
            close(conn->fd);
        }
        conn->fd = socket(addrs[i].to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          0);
        ok = finish_connect(conn, (const struct sockaddr *)(const void *)&addrs[i].to,
                            addrs[i].len);
    }
    return ok;
}

static int connect_host(m2_conn_t *conn, const m2_endpoint_t *end)
{
    m2_addr_t addrs[M2_NAMES_ADDRS];
    int n, e;

    if (end->host[0] == '/') {
        return connect_unix(conn, end->host);
    }
    n = m2_names_find(addrs, end->names, end->host, end->port);
    errno = EHOSTUNREACH;
    if (connect_any(conn, addrs, n)) {
        return 1;
    }
    e = errno;
    if (n && end->names) {
        m2_names_doubt(end->names, end->host);
    }
    errno = e;
    return 0;
}

/* The server's certificate must be of the host by name or by address (RFC 6125, 9525). */
static int name_peer(SSL *ssl, const char *host)
{
    unsigned char address[16];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int start_tls(m2_conn_t *conn, const m2_endpoint_t *end, char *why)
{
    int rv;
    long verified;

    conn->ssl = SSL_new(end->tls);
    if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1
        || !name_peer(conn->ssl, end->host)) {
        apr_cpystrn(why, "TLS cannot be set up", M2_WIRE_WHY);
        return 0;
    }
    ERR_clear_error();
    while ((rv = SSL_connect(conn->ssl)) != 1) {
        if (!tls_again(conn, rv)) {
            break;
        }
    }
    if (rv == 1) {
        return 1;
    }
    verified = SSL_get_verify_result(conn->ssl);
    apr_snprintf(why, M2_WIRE_WHY, "TLS handshake failed: %s",
                 verified == X509_V_OK ? "no answer or no common parameters"
                                       : X509_verify_cert_error_string(verified));
    return 0;
}

static m2_conn_t *new_conn(const m2_wire_t *wire, apr_int64_t deadline, char *why)
{
    const m2_endpoint_t *end = &wire->end;
    m2_conn_t *conn = calloc(1, sizeof(*conn));
    char text[96];
    int ok, e;

    if (!conn) {
        apr_cpystrn(why, "out of memory", M2_WIRE_WHY);
        return NULL;
    }
    conn->fd = -1;
    conn->deadline = deadline;
    ok = connect_host(conn, end);
    e = errno;
    if (!ok) {
        apr_snprintf(why, M2_WIRE_WHY, "cannot connect: %s",
                     apr_strerror(e, text, sizeof(text)));
    }
    else if ((!end->tls || start_tls(conn, end, why))
             && (!end->hello || end->hello(conn, end->baton, why))) {
        return conn;
    }
    close_conn(conn);
    return NULL;
}

/**************************************************************************************/
/* keeping */

/* A kept connection has nothing to say; one that has was closed, or is out of step. */
static int is_quiet(const m2_conn_t *conn)
{
    struct pollfd p = { conn->fd, POLLIN, 0 };

    return poll(&p, 1, 0) == 0;
}

static m2_conn_t *take_idle(m2_wire_t *wire, int *pleave, apr_int64_t now)
{
    m2_conn_t *conn;

    pthread_mutex_lock(&wire->lock);
    conn = wire->idle;
    if (conn) {
        wire->idle = conn->next;
    }
    *pleave = now < wire->alone_until;
    pthread_mutex_unlock(&wire->lock);
    return conn;
}

/* The thread that resolves names is left to its work, which may be done in an instant. */
static int is_resolved(const m2_wire_t *wire, char *why)
{
    const m2_endpoint_t *end = &wire->end;
    m2_addr_t addrs[M2_NAMES_ADDRS];

    if (end->host[0] == '/' || m2_names_find(addrs, end->names, end->host, end->port)) {
        return 1;
    }
    apr_snprintf(why, M2_WIRE_WHY, "no address of %.100s is known yet", end->host);
    return 0;
}

m2_conn_t *m2_wire_take(m2_wire_t *wire, apr_int64_t deadline, char *why)
{
    const apr_int64_t now = m2_wire_clock();
    const apr_int64_t until = deadline ? deadline : now + wire->end.timeout;
    m2_conn_t *conn;
    int leave = 0;

    while ((conn = take_idle(wire, &leave, now)) != NULL) {
        if (now - conn->used < MAX_IDLE && is_quiet(conn)) {
            conn->deadline = until;
            return conn;
        }
        close_conn(conn);
    }
    if (leave) {
        apr_cpystrn(why, "left alone for a second after it could not be reached",
                    M2_WIRE_WHY);
        return NULL;
    }
    if (!is_resolved(wire, why)) {
        return NULL;
    }
    conn = new_conn(wire, until, why);
    if (!conn) {
        pthread_mutex_lock(&wire->lock);
        wire->alone_until = m2_wire_clock() + LEAVE_ALONE;
        pthread_mutex_unlock(&wire->lock);
    }
    return conn;
}

void m2_wire_give(m2_wire_t *wire, m2_conn_t *conn)
{
    conn->used = m2_wire_clock();
    pthread_mutex_lock(&wire->lock);
    conn->next = wire->idle;
    wire->idle = conn;
    pthread_mutex_unlock(&wire->lock);
}

void m2_wire_drop(m2_wire_t *wire, m2_conn_t *conn)
{
    (void)wire;
    close_conn(conn);
}

static void close_idle(m2_wire_t *wire)
{
    m2_conn_t *conn;

    while ((conn = wire->idle) != NULL) {
        wire->idle = conn->next;
        close_conn(conn);
    }
}

void m2_wire_drop_all(m2_wire_t *wire, m2_conn_t *conn)
{
    close_conn(conn);
    pthread_mutex_lock(&wire->lock);
    close_idle(wire);
    pthread_mutex_unlock(&wire->lock);
}

void m2_wire_reset(m2_wire_t *wire)
{
    pthread_mutex_lock(&wire->lock);
    close_idle(wire);
    wire->alone_until = 0;
    pthread_mutex_unlock(&wire->lock);
}

int m2_conn_left(const m2_conn_t *conn)
{
    const apr_int64_t left = conn->deadline - m2_wire_clock();

    return left > 0 ? (int)left : 0;
}

/**************************************************************************************/
/* making */

m2_wire_t *m2_wire_new(const m2_endpoint_t *endpoint)
{
    m2_wire_t *wire = calloc(1, sizeof(*wire));

    if (wire && pthread_mutex_init(&wire->lock, NULL) != 0) {
        free(wire);
        wire = NULL;
    }
    if (wire) {
        wire->end = *endpoint;
    }
    return wire;
}

void m2_wire_free(m2_wire_t *wire)
{
    close_idle(wire);
    pthread_mutex_destroy(&wire->lock);
    free(wire);
}

static apr_status_t close_all(void *baton)
{
    if (!m2_hold_needed()) { /* else the process ends, which closes them */
        m2_wire_free(baton);
    }
    return APR_SUCCESS;
}

m2_code_t m2_wire_make(m2_wire_t **pwire, apr_pool_t *pool, const m2_endpoint_t *endpoint,
                       m2_err_t *err)
{
    *pwire = m2_wire_new(endpoint);
    if (!*pwire) {
        return m2_err_set(err, M2_E_INTERNAL, "cannot make a lock");
    }
    apr_pool_cleanup_register(pool, *pwire, close_all, apr_pool_cleanup_null);
    return M2_OK;
}

static apr_status_t free_tls(void *baton)
{
    if (!m2_hold_needed()) {
        SSL_CTX_free(baton);
    }
    return APR_SUCCESS;
}

m2_code_t m2_wire_tls(SSL_CTX **pctx, apr_pool_t *pool, const char *ca, const char *cert,
                      const char *key, m2_err_t *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const char *what = NULL;

    *pctx = NULL;
    if (!ctx) {
        return m2_err_set(err, M2_E_CONFIG, "TLS cannot be set up");
    }
    apr_pool_cleanup_register(pool, ctx, free_tls, apr_pool_cleanup_null);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                              | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!(ca ? SSL_CTX_load_verify_file(ctx, ca) : SSL_CTX_set_default_verify_paths(ctx))) {
        what = ca ? ca : "the system's CA certificates";
    }
    else if (cert && SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        what = cert;
    }
    else if (cert && (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1
                      || SSL_CTX_check_private_key(ctx) != 1)) {
        what = key;
    }
    ERR_clear_error();
    if (what) {
        return m2_err_set(err, M2_E_CONFIG, "%s: cannot be read or does not fit", what);
    }
    *pctx = ctx;
    return M2_OK;
}
