/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the files of the client share. A node is a server that was ever met by this process;
 * nodes are added and never removed, so that a request may hold one without a lock.
 */
#ifndef M2_REDIS_INT_H
#define M2_REDIS_INT_H

#include "redis/m2_redis.h"
#include "wire/m2_worker.h"

#include <pthread.h>

#define M2_REDIS_NODES 1024 /* servers that a process may meet, replaced ones included */
#define M2_REDIS_SLOTS 16384

typedef struct m2_redis_node_t {
    m2_redis_t *redis;
    int index; /* in the list */
    char *host;
    apr_port_t port;
    int is_sentinel;
    m2_wire_t *wire;
} m2_redis_node_t;

struct m2_redis_t {
    const m2_redis_spec_t *spec;
    const char *user, *loss; /* for the log */
    const char *password, *sentinel_password; /* or NULL */
    struct ssl_ctx_st *tls;
    int told;                /* this process has complained about eviction */
    /* of this process, from here on */
    m2_names_t *names;
    m2_worker_t *worker;     /* NULL: one server, about which there is nothing to find out */
    pthread_mutex_t lock;    /* of adding nodes */
    m2_redis_node_t *nodes[M2_REDIS_NODES];
    int n;                   /* nodes; atomic, grows */
    int seeds;               /* the first of them are those of the directive */
    m2_redis_node_t *master; /* the server, or what sentinels named; atomic, NULL: not known */
    apr_uint16_t slots[M2_REDIS_SLOTS]; /* cluster: node + 1, 0: not known; atomic */
    int trouble;             /* a command failed in a way that another turn may repair; atomic */
    /* of the worker */
    apr_int64_t turned;      /* milliseconds: when the last turn began */
    apr_int64_t epoch;       /* sentinel: of the master's configuration */
    int next;                /* cluster: which node to ask first */
};

/** The node of that address, made if needed; NULL when there are too many, or no memory. */
m2_redis_node_t *m2_redis_node(m2_redis_t *redis, const char *host, apr_port_t port,
                               int is_sentinel);

/** Another turn of the worker is due. */
void m2_redis_trouble(m2_redis_t *redis);

/** One exchange with a node, for the worker. */
m2_redis_reply_t *m2_redis_node_ask(m2_redis_node_t *node, int argc, const char *const *argv,
                                    int msec, char *why);

/** Turns of the worker (m2_worker_fn). */
int m2_redis_sentinel_turn(m2_worker_t *worker, void *baton);
int m2_redis_cluster_turn(m2_worker_t *worker, void *baton);

/** Milliseconds that a turn has to wait because the last one was just now, 0: go on; *ptrouble
 *  says whether something was wrong since. */
int m2_redis_turn_begin(m2_redis_t *redis, int *ptrouble);

/** Cluster: who has the key, as far as it is known. */
m2_redis_node_t *m2_redis_cluster_node(m2_redis_t *redis, const char *key);

/** Cluster: where an answer of node sends the command, NULL: nowhere, it is the answer.
 *  *pasking: the command goes behind ASKING. */
m2_redis_node_t *m2_redis_cluster_redirect(m2_redis_t *redis, const m2_redis_node_t *node,
                                           const m2_redis_reply_t *reply, int *pasking);

/** The slot of a key (Redis cluster specification, "Key distribution model"). */
int m2_redis_slot(const char *key);

#endif /* M2_REDIS_INT_H */
