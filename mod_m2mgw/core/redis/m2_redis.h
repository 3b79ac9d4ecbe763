/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The one client of Redis: one server, the master that sentinels name, or a cluster. A command
 * is sent once; it is sent again only where Redis says that it was not carried out (MOVED,
 * ASK). A connection that breaks in between is "no answer": what that means is for the caller
 * to say, and it is never "not there".
 *
 * Whom to ask is found out by a thread of the process (m2_worker), never in a request: each
 * second where sentinels are, at once when a command met trouble. Names are resolved by that
 * of m2_names.
 *
 * The room redis decides which Redis is asked and whether it answered. Never knows what
 * the answer is for.
 */
#ifndef M2_REDIS_H
#define M2_REDIS_H

#include "redis/m2_redis_reply.h"
#include "redis/m2_redis_spec.h"

typedef struct m2_redis_t m2_redis_t;

/* one command */
typedef struct m2_redis_call_t {
    const char *key;         /* which node of a cluster; NULL: any */
    int argc;
    const char *const *argv;
    int wait;                /* replicas that must have it; 0: none */
    apr_int64_t deadline;    /* of m2_wire_clock; 0: the timeout from now */
    int acked;               /* out: replicas that have it, where wait asked */
} m2_redis_call_t;

/** In the parent: reads the password, prepares TLS. spec must live as long as pool. user is
 *  who uses it ("replay store redis:..."), loss what a key costs that Redis drops for want of
 *  memory, both for the log. M2_E_CONFIG with a sentence; that nobody answers is not an error. */
m2_code_t m2_redis_open(m2_redis_t **predis, apr_pool_t *pool, const m2_redis_spec_t *spec,
                        const char *user, const char *loss, m2_err_t *err);

/** Whether it could be opened: its files can be read and fit together. For httpd -t. */
m2_code_t m2_redis_try(apr_pool_t *pool, const m2_redis_spec_t *spec, m2_err_t *err);

/** In each process of its own, before requests come. Waits for the first answer about names
 *  and masters, the timeout at most. Connections are closed with pool. */
m2_code_t m2_redis_attach(m2_redis_t *redis, apr_pool_t *pool, m2_err_t *err);

/**
 *  Send a command, and read its answer before the deadline. An error of Redis is an answer like
 *  others; READONLY, LOADING and their like have the topology looked up again. NULL with why
 *  (M2_WIRE_WHY bytes): no server to send it to, or sent and not answered. The caller frees the
 *  answer. Thread-safe.
 */
m2_redis_reply_t *m2_redis_ask(m2_redis_t *redis, m2_redis_call_t *call, char *why);

#endif /* M2_REDIS_H */
