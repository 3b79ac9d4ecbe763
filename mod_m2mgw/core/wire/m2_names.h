/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Addresses of the hosts that remote stores live on. A resolver may take ten seconds to say
 * that it does not answer, so no request ever asks it: a thread of the process does, once
 * for each name, again each half minute, and soon after a connection could not be made.
 * Addresses that are written as such need no thread and are always there.
 */
#ifndef M2_NAMES_H
#define M2_NAMES_H

#include "base/m2_err.h"

#include <apr_network_io.h>

#include <sys/socket.h>

#define M2_NAMES_ADDRS 8 /* addresses kept of one name */
#define M2_NAMES_MAX 256 /* names of one process: a cluster may name its nodes */

typedef struct m2_addr_t {
    struct sockaddr_storage to;
    socklen_t len;
} m2_addr_t;

typedef struct m2_names_t m2_names_t;

/** The names of one process, made after it was forked. Its thread is told to end with pool,
 *  and is not waited for. M2_E_INTERNAL when there is no lock to be had. */
m2_code_t m2_names_make(m2_names_t **pnames, apr_pool_t *pool, m2_err_t *err);

/** (names may be NULL: then only an address written as such is one.)
 *  How many addresses of host there are, in addrs with port set. 0: not known (yet); the
 *  thread is asked for them. Never waits. Thread-safe. */
int m2_names_find(m2_addr_t addrs[M2_NAMES_ADDRS], m2_names_t *names, const char *host,
                  apr_port_t port);

/** Nobody answered at host: its addresses may have changed. At most one look a second. */
void m2_names_doubt(m2_names_t *names, const char *host);

/** Wait until every name that was asked for was looked up once, msec at most. For the start
 *  of a process, never for a request. */
void m2_names_wait(m2_names_t *names, int msec);

/** What looks a name up, getaddrinfo unless a test says otherwise. */
struct addrinfo;
typedef int m2_names_fn(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **plist);
void m2_names_use(m2_names_fn *fn);

#endif /* M2_NAMES_H */
