/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Who the master is. Every sentinel of the directive is asked in each turn, and the newest
 * configuration counts: one that is cut off from the others goes on naming the old master.
 * Whether the server agrees is seen on connecting (ROLE).
 */
#include "redis/m2_redis_int.h"

#define EVERY 1000      /* milliseconds between two turns */
#define IN_TROUBLE 200  /* the same while something is wrong */
#define PATIENCE 500    /* milliseconds for one sentinel */

typedef struct named_t {
    const char *host; /* in the reply */
    apr_int64_t port, epoch;
} named_t;

static apr_int64_t number_of(const char *text)
{
    char *end;
    const apr_int64_t n = apr_strtoi64(text, &end, 10);

    return apr_isdigit(*text) && !*end ? n : -1;
}

/* SENTINEL MASTER answers with names and values in turn. */
static int read_master(named_t *named, const m2_redis_reply_t *reply)
{
    int i;

    named->host = NULL;
    named->port = named->epoch = -1;
    for (i = 0; i + 1 < m2_redis_count(reply); i += 2) {
        const m2_slice_t name = m2_redis_text(m2_redis_at(reply, i));
        const char *value = m2_redis_text(m2_redis_at(reply, i + 1)).p;

        if (value && m2_slice_is(name, "ip")) {
            named->host = value;
        }
        else if (value && m2_slice_is(name, "port")) {
            named->port = number_of(value);
        }
        else if (value && m2_slice_is(name, "config-epoch")) {
            named->epoch = number_of(value);
        }
    }
    return named->host && *named->host && named->port > 0 && named->port < 65536;
}

/* From now on that one; what is kept open to it is from another time. */
static void take_master(m2_redis_t *redis, m2_redis_node_t *node, apr_int64_t epoch)
{
    m2_redis_node_t *before = redis->master;

    redis->epoch = epoch;
    if (!node || node == before) {
        return;
    }
    m2_wire_reset(node->wire);
    __atomic_store_n(&redis->master, node, __ATOMIC_RELEASE);
    if (before) {
        m2_wire_reset(before->wire);
    }
}

int m2_redis_sentinel_turn(m2_worker_t *worker, void *baton)
{
    m2_redis_t *redis = baton;
    const char *argv[] = { "SENTINEL", "MASTER", redis->spec->master };
    m2_redis_node_t *best = NULL;
    apr_int64_t epoch = -2;
    char why[M2_WIRE_WHY];
    int i, trouble = 0, wait = m2_redis_turn_begin(redis, &trouble);

    for (i = 0; !wait && i < redis->seeds && !m2_worker_ended(worker); i++) {
        m2_redis_reply_t *reply = m2_redis_node_ask(redis->nodes[i], 3, argv, PATIENCE, why);
        named_t named;

        if (reply && read_master(&named, reply) && named.epoch > epoch) {
            epoch = named.epoch;
            best = m2_redis_node(redis, named.host, (apr_port_t)named.port, 0);
        }
        m2_redis_free(reply);
    }
    if (best && (epoch >= redis->epoch || trouble)) {
        take_master(redis, best, epoch);
    }
    if (wait) {
        return wait;
    }
    return trouble || !redis->master ? IN_TROUBLE : EVERY;
}
