/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which node has which slot. The map comes from any node that answers (CLUSTER SLOTS), and is
 * corrected by what nodes say to commands: MOVED for good, ASK for one command while a slot
 * moves. A node that is sent a command for a slot it does not have refuses it, so a map that
 * is out of date costs a detour and nothing else.
 */
#include "redis/m2_redis_int.h"

#define EVERY 15000     /* milliseconds between two turns */
#define IN_TROUBLE 200  /* the same while something is wrong */
#define PATIENCE 500    /* milliseconds for one node */
#define AT_ONCE 2000    /* milliseconds for one turn */

/* --- slots --- */

/* CRC16 as the cluster specification has it: polynomial 0x1021, nothing reflected. */
static unsigned crc16(const char *p, apr_size_t n)
{
    unsigned crc = 0;
    int bit;

    while (n-- > 0) {
        crc ^= (unsigned)(unsigned char)*p++ << 8;
        for (bit = 0; bit < 8; bit++) {
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021u : 0)) & 0xffff;
        }
    }
    return crc;
}

int m2_redis_slot(const char *key)
{
    const char *open = strchr(key, '{');
    const char *close = open ? strchr(open, '}') : NULL;

    return close && close > open + 1
               ? (int)(crc16(open + 1, (apr_size_t)(close - open - 1)) % M2_REDIS_SLOTS)
               : (int)(crc16(key, strlen(key)) % M2_REDIS_SLOTS);
}

static void set_slot(m2_redis_t *redis, int slot, const m2_redis_node_t *node)
{
    __atomic_store_n(&redis->slots[slot], (apr_uint16_t)(node->index + 1), __ATOMIC_RELEASE);
}

m2_redis_node_t *m2_redis_cluster_node(m2_redis_t *redis, const char *key)
{
    const int i = key ? __atomic_load_n(&redis->slots[m2_redis_slot(key)], __ATOMIC_ACQUIRE)
                      : 0;

    return redis->nodes[i ? i - 1 : 0]; /* any node knows better than none */
}

/* --- redirections --- */

/* `HOST:PORT`; without a host it is that of the node which says so. */
static m2_redis_node_t *node_at(m2_redis_t *redis, const m2_redis_node_t *from, char *text)
{
    char *colon = strrchr(text, ':'), *end = NULL;
    const apr_int64_t port = colon ? apr_strtoi64(colon + 1, &end, 10) : 0;

    if (port < 1 || port > 65535 || !apr_isdigit(colon[1]) || *end) {
        return NULL;
    }
    *colon = '\0';
    return m2_redis_node(redis, *text ? text : from->host, (apr_port_t)port, 0);
}

m2_redis_node_t *m2_redis_cluster_redirect(m2_redis_t *redis, const m2_redis_node_t *node,
                                           const m2_redis_reply_t *reply, int *pasking)
{
    const int moved = m2_redis_fails(reply, "MOVED");
    char text[256], *blank, *end = NULL;
    m2_redis_node_t *to = NULL;
    apr_int64_t slot;

    *pasking = m2_redis_fails(reply, "ASK");
    if (!moved && !*pasking) {
        return NULL;
    }
    apr_cpystrn(text, m2_redis_text(reply).p, sizeof(text));
    blank = strrchr(text, ' ');
    slot = apr_strtoi64(text + (moved ? 6 : 4), &end, 10);
    if (blank && end == blank && slot >= 0 && slot < M2_REDIS_SLOTS) {
        to = node_at(redis, node, blank + 1);
    }
    if (to && moved) {
        set_slot(redis, (int)slot, to);
        m2_redis_trouble(redis);
    }
    return to;
}

/* --- the map --- */

/* [first, last, [host, port, ...], replicas...] */
static void take_range(m2_redis_t *redis, const m2_redis_node_t *from,
                       const m2_redis_reply_t *range)
{
    const m2_redis_reply_t *master = m2_redis_count(range) > 2 ? m2_redis_at(range, 2) : NULL;
    const char *host;
    m2_redis_node_t *node;
    apr_int64_t slot, last, port;

    if (!master || m2_redis_count(master) < 2) {
        return;
    }
    slot = m2_redis_number(m2_redis_at(range, 0));
    last = m2_redis_number(m2_redis_at(range, 1));
    host = m2_redis_text(m2_redis_at(master, 0)).p;
    port = m2_redis_number(m2_redis_at(master, 1));
    if (slot < 0 || last >= M2_REDIS_SLOTS || port < 1 || port > 65535
        || (host && m2_slice_is(m2_slice_z(host), "?"))) {
        return;
    }
    node = m2_redis_node(redis, host && *host ? host : from->host, (apr_port_t)port, 0);
    for (; node && slot <= last; slot++) {
        set_slot(redis, (int)slot, node);
    }
}

/* Whether node gave a map. */
static int ask_map(m2_redis_t *redis, m2_redis_node_t *node)
{
    static const char *const argv[] = { "CLUSTER", "SLOTS" };
    char why[M2_WIRE_WHY];
    m2_redis_reply_t *reply = m2_redis_node_ask(node, 2, argv, PATIENCE, why);
    const int n = reply ? m2_redis_count(reply) : 0;
    int i;

    for (i = 0; i < n; i++) {
        take_range(redis, node, m2_redis_at(reply, i));
    }
    m2_redis_free(reply);
    return n > 0;
}

int m2_redis_cluster_turn(m2_worker_t *worker, void *baton)
{
    m2_redis_t *redis = baton;
    const apr_int64_t until = m2_wire_clock() + AT_ONCE;
    int i, trouble = 0, found = 0, wait = m2_redis_turn_begin(redis, &trouble);
    const int n = __atomic_load_n(&redis->n, __ATOMIC_ACQUIRE);

    if (wait) {
        return wait;
    }
    redis->next += trouble != 0; /* who gave the last map may know no better */
    for (i = 0; i < n && !found && !m2_worker_ended(worker) && m2_wire_clock() < until; i++) {
        found = ask_map(redis, redis->nodes[redis->next % n]);
        redis->next += !found;
    }
    redis->next %= n;
    return trouble || !found ? IN_TROUBLE : EVERY;
}
