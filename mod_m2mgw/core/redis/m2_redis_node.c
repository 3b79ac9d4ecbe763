/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Servers: how they are greeted, and the list of those that this process has met. Redis with
 * an eviction policy forgets keys when its memory is full; that is looked at on each new
 * connection and complained about once by each process.
 */
#include "redis/m2_redis_int.h"

#include "base/m2_log.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 4
#define MIN_TURN 100 /* milliseconds between two turns of the worker */

/* --- greeting --- */

/* Why a reply is not what was hoped for; Redis's error texts hold no argument of ours. */
static void complain(const m2_redis_reply_t *reply, const char *doing, char *why)
{
    if (m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses %s: %.90s", doing,
                     m2_redis_text(reply).p);
    }
    else {
        apr_snprintf(why, M2_WIRE_WHY, "Redis gives no clear answer to %s", doing);
    }
}

/* One greeting command that must be answered with OK. */
static int tell(m2_conn_t *conn, int argc, const char *const *argv, char *why)
{
    m2_redis_reply_t *reply = m2_redis_exchange(conn, argc, argv, why);
    const int ok = reply && m2_redis_is(reply, "OK");

    if (reply && !ok) {
        complain(reply, argv[0], why);
    }
    m2_redis_free(reply);
    return ok;
}

static int log_in(m2_conn_t *conn, const char *user, const char *password, char *why)
{
    const char *argv[MAX_ARGS];
    int n = 0;

    if (!password) {
        return 1;
    }
    argv[n++] = "AUTH";
    if (user) {
        argv[n++] = user;
    }
    argv[n++] = password;
    return tell(conn, n, argv, why);
}

static int choose_db(m2_conn_t *conn, const m2_redis_spec_t *spec, char *why)
{
    char db[16];
    const char *argv[] = { "SELECT", db };

    apr_snprintf(db, sizeof(db), "%d", spec->db);
    return !spec->db || tell(conn, 2, argv, why);
}

/* A server that sentinels name may have become a replica, or not yet be the master. */
static int is_master(m2_conn_t *conn, char *why)
{
    static const char *const argv[] = { "ROLE" };
    m2_redis_reply_t *reply = m2_redis_exchange(conn, 1, argv, why);
    const m2_redis_reply_t *role;
    int ok;

    if (!reply) {
        return 0;
    }
    role = m2_redis_at(reply, 0);
    ok = role && m2_slice_is(m2_redis_text(role), "master");
    if (!ok && role) {
        apr_cpystrn(why, "what the sentinels name is not a master", M2_WIRE_WHY);
    }
    else if (!ok) {
        complain(reply, "ROLE", why);
    }
    m2_redis_free(reply);
    return ok;
}

/* Whether the text of INFO memory names a policy that drops keys. */
static int evicts(const char *info)
{
    const char *policy = strstr(info, "maxmemory_policy:");

    return policy
           && !m2_slice_is(m2_slice(policy + 17, strcspn(policy + 17, "\r\n")), "noeviction");
}

static int look_at_policy(m2_conn_t *conn, m2_redis_t *redis, char *why)
{
    static const char *const argv[] = { "INFO", "memory" };
    m2_redis_reply_t *reply;

    if (__atomic_load_n(&redis->told, __ATOMIC_RELAXED)) {
        return 1;
    }
    reply = m2_redis_exchange(conn, 2, argv, why);
    if (reply && m2_redis_kind(reply) == M2_REDIS_TEXT && evicts(m2_redis_text(reply).p)
        && !__atomic_exchange_n(&redis->told, 1, __ATOMIC_RELAXED)) {
        m2_log(M2_LOG_WARNING,
               "%s: Redis drops keys when its memory is full, and %s; set maxmemory-policy "
               "noeviction", redis->user, redis->loss);
    }
    m2_redis_free(reply);
    return reply != NULL; /* a user without the right to ask may still do the rest */
}

static int hello(m2_conn_t *conn, void *baton, char *why)
{
    const m2_redis_node_t *node = baton;
    m2_redis_t *redis = node->redis;
    const m2_redis_spec_t *spec = redis->spec;

    if (node->is_sentinel) {
        return log_in(conn, spec->sentinel_user, redis->sentinel_password, why);
    }
    return log_in(conn, spec->user, redis->password, why) && choose_db(conn, spec, why)
           && (spec->mode != M2_REDIS_SENTINEL || is_master(conn, why))
           && look_at_policy(conn, redis, why);
}

/* --- the list --- */

static m2_redis_node_t *make_node(m2_redis_t *redis, const char *host, apr_port_t port,
                                  int is_sentinel)
{
    m2_redis_node_t *node = calloc(1, sizeof(*node));
    m2_endpoint_t end;

    if (!node || !(node->host = strdup(host))) {
        free(node);
        return NULL;
    }
    node->redis = redis;
    node->index = redis->n;
    node->port = port;
    node->is_sentinel = is_sentinel;
    memset(&end, 0, sizeof(end));
    end.host = node->host;
    end.port = port;
    end.timeout = redis->spec->timeout;
    end.names = redis->names;
    end.tls = redis->tls;
    end.hello = hello;
    end.baton = node;
    node->wire = m2_wire_new(&end);
    if (!node->wire) {
        free(node->host);
        free(node);
        return NULL;
    }
    return node;
}

static m2_redis_node_t *find_node(const m2_redis_t *redis, const char *host, apr_port_t port,
                                  int is_sentinel)
{
    const int n = __atomic_load_n(&redis->n, __ATOMIC_ACQUIRE);
    int i;

    for (i = 0; i < n; i++) {
        m2_redis_node_t *node = redis->nodes[i];

        if (node->port == port && node->is_sentinel == is_sentinel
            && strcmp(node->host, host) == 0) {
            return node;
        }
    }
    return NULL;
}

m2_redis_node_t *m2_redis_node(m2_redis_t *redis, const char *host, apr_port_t port,
                               int is_sentinel)
{
    m2_redis_node_t *node = find_node(redis, host, port, is_sentinel);

    if (node) {
        return node;
    }
    pthread_mutex_lock(&redis->lock);
    node = find_node(redis, host, port, is_sentinel);
    if (!node && redis->n < M2_REDIS_NODES) {
        node = make_node(redis, host, port, is_sentinel);
        if (node) {
            redis->nodes[redis->n] = node;
            __atomic_store_n(&redis->n, redis->n + 1, __ATOMIC_RELEASE);
        }
    }
    pthread_mutex_unlock(&redis->lock);
    return node;
}

/* --- for the worker --- */

m2_redis_reply_t *m2_redis_node_ask(m2_redis_node_t *node, int argc, const char *const *argv,
                                    int msec, char *why)
{
    m2_conn_t *conn = m2_wire_take(node->wire, m2_wire_clock() + msec, why);
    m2_redis_reply_t *reply = conn ? m2_redis_exchange(conn, argc, argv, why) : NULL;

    if (reply) {
        m2_wire_give(node->wire, conn);
    }
    else if (conn) {
        m2_wire_drop_all(node->wire, conn);
    }
    return reply;
}

void m2_redis_trouble(m2_redis_t *redis)
{
    __atomic_store_n(&redis->trouble, 1, __ATOMIC_RELEASE);
    if (redis->worker) {
        m2_worker_wake(redis->worker);
    }
}

int m2_redis_turn_begin(m2_redis_t *redis, int *ptrouble)
{
    const apr_int64_t now = m2_wire_clock();

    if (redis->turned && now - redis->turned < MIN_TURN) {
        return MIN_TURN - (int)(now - redis->turned);
    }
    redis->turned = now;
    *ptrouble = __atomic_exchange_n(&redis->trouble, 0, __ATOMIC_ACQ_REL);
    return 0;
}
