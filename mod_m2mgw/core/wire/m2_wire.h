/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Connections of one process to one remote store: TCP, TLS or a unix socket, kept open
 * between uses, never waited for longer than a deadline; names are resolved elsewhere
 * (m2_names). A server that cannot be reached is
 * left alone for a second, so that its absence costs one request a timeout and not all.
 *
 * Nothing is ever sent twice: whether a store acted on a request whose answer was lost is
 * not known. A kept connection that the server has closed meanwhile is found out before it
 * is written to.
 *
 * The room wire decides how a server is reached and when it has had its time. Never
 * knows what is said to it.
 */
#ifndef M2_WIRE_H
#define M2_WIRE_H

#include "base/m2_err.h"
#include "base/m2_slice.h"
#include "wire/m2_names.h"

#define M2_WIRE_WHY 160 /* bytes of a reason */

typedef struct m2_wire_t m2_wire_t;
typedef struct m2_conn_t m2_conn_t;

/** Greet a new connection (log in, choose a database). Returns 0 with why filled when the
 *  server does not let us in. */
typedef int m2_wire_hello_fn(m2_conn_t *conn, void *baton, char *why);

typedef struct m2_endpoint_t {
    const char *host;   /* name, address, or absolute path of a socket */
    apr_port_t port;
    int timeout;        /* milliseconds for connecting, greeting and one exchange together */
    m2_names_t *names;  /* of this process; NULL: host is an address or a path */
    struct ssl_ctx_st *tls; /* NULL: plain */
    m2_wire_hello_fn *hello; /* or NULL */
    void *baton;
} m2_endpoint_t;

/** TLS client context that requires a certificate of host: ca NULL is the system's. Freed
 *  with pool. M2_E_CONFIG with a sentence. */
m2_code_t m2_wire_tls(struct ssl_ctx_st **pctx, apr_pool_t *pool, const char *ca,
                      const char *cert, const char *key, m2_err_t *err);

/** In each process of its own: connections are closed with pool. */
m2_code_t m2_wire_make(m2_wire_t **pwire, apr_pool_t *pool, const m2_endpoint_t *endpoint,
                       m2_err_t *err);

/** The same without a pool, for servers that are met while serving: NULL when there is no memory.
 *  m2_wire_free only when it is no longer in use. */
m2_wire_t *m2_wire_new(const m2_endpoint_t *endpoint);
void m2_wire_free(m2_wire_t *wire);

/** Milliseconds of the clock that deadlines use. */
apr_int64_t m2_wire_clock(void);

/** A connection for one exchange, kept or new, which has to be over by deadline (0: the
 *  endpoint's timeout from now); NULL with why. */
m2_conn_t *m2_wire_take(m2_wire_t *wire, apr_int64_t deadline, char *why);

/** Keep it for the next one; only after a whole, understood answer. */
void m2_wire_give(m2_wire_t *wire, m2_conn_t *conn);

/** Close it. */
void m2_wire_drop(m2_wire_t *wire, m2_conn_t *conn);

/** Close it, and those that are not in use: the server does not answer, or says that it is
 *  not what it was. */
void m2_wire_drop_all(m2_wire_t *wire, m2_conn_t *conn);

/** Close those that are not in use, and forget that the server was to be left alone: it is
 *  another one from now on. */
void m2_wire_reset(m2_wire_t *wire);

/** Milliseconds until the connection's deadline, 0 when it is over. */
int m2_conn_left(const m2_conn_t *conn);

/** All of it, before the deadline: 1, else 0. */
int m2_conn_write(m2_conn_t *conn, const char *bytes, apr_size_t n);

/** At least one byte, before the deadline: how many, or 0. */
apr_size_t m2_conn_read(m2_conn_t *conn, char *bytes, apr_size_t n);

#endif /* M2_WIRE_H */
