/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A command's way: the node that is known to have the key, a connection of it that is kept or
 * new, and where the node says that another has it, that one; all before one deadline.
 */
#include "redis/m2_redis_int.h"

#include "base/m2_hold.h"
#include "text/m2_file.h"

#include <stdlib.h>

#define MAX_SECRET 1024 /* bytes of a password */
#define MAX_FILE 65536
#define MAX_HOPS 5      /* a map that is out of date, a slot that moves, one more each */
#define AGAIN 20 /* milliseconds until a command whose keys are moving is sent again */

/* --- asking --- */

/* What a server says that is not, or not yet, the one for this. The command was not carried
 * out. */
static int is_stale(const m2_redis_reply_t *reply)
{
    static const char *const words[] = { "READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN",
                                         "NOREPLICAS", NULL };
    int i = 0;

    while (words[i] && !m2_redis_fails(reply, words[i])) {
        i++;
    }
    return words[i] != NULL;
}

/* How many replicas have what was just written, in what is left of the time. */
static int await(m2_conn_t *conn, int replicas, int *packed, char *why)
{
    const int left = m2_conn_left(conn);
    char count[16], msec[16];
    const char *const argv[] = { "WAIT", count, msec };
    m2_redis_reply_t *reply;

    apr_snprintf(count, sizeof(count), "%d", replicas);
    /* so that the answer is here in time, though Redis looks at its clock ten times a second;
     * 0 would be for ever */
    apr_snprintf(msec, sizeof(msec), "%d", left > 300 ? left - 150 : left / 2 + 1);
    reply = m2_redis_exchange(conn, 3, argv, why);
    if (!reply) {
        return 0;
    }
    *packed = (int)m2_redis_number(reply);
    if (*packed < replicas) {
        apr_snprintf(why, M2_WIRE_WHY, "%d of %d replicas have it in time", *packed, replicas);
    }
    m2_redis_free(reply);
    return 1;
}

/* What one node answers, its connection kept if it is in step. */
static m2_redis_reply_t *ask_node(m2_redis_node_t *node, m2_redis_call_t *call, int asking,
                                  char *why)
{
    static const char *const asks[] = { "ASKING" };
    m2_conn_t *conn = m2_wire_take(node->wire, call->deadline, why);
    m2_redis_reply_t *reply = NULL;
    int keep = conn != NULL;

    if (keep && asking) {
        reply = m2_redis_exchange(conn, 1, asks, why);
        keep = reply && m2_redis_is(reply, "OK");
        m2_redis_free(reply);
        reply = NULL;
    }
    if (keep) {
        reply = m2_redis_exchange(conn, call->argc, call->argv, why);
        keep = reply && !is_stale(reply);
    }
    if (keep && call->wait && m2_redis_kind(reply) != M2_REDIS_NIL
        && m2_redis_kind(reply) != M2_REDIS_ERROR) {
        keep = await(conn, call->wait, &call->acked, why);
    }
    if (keep) {
        m2_wire_give(node->wire, conn);
        return reply;
    }
    if (conn) {
        m2_wire_drop_all(node->wire, conn);
        m2_names_doubt(node->redis->names, node->host);
    }
    m2_redis_trouble(node->redis);
    return reply;
}

static m2_redis_node_t *first_node(m2_redis_t *redis, const m2_redis_call_t *call)
{
    return redis->spec->mode == M2_REDIS_CLUSTER
               ? m2_redis_cluster_node(redis, call->key)
               : __atomic_load_n(&redis->master, __ATOMIC_ACQUIRE);
}

static m2_redis_reply_t *route(m2_redis_t *redis, m2_redis_call_t *call, char *why)
{
    m2_redis_node_t *node = first_node(redis, call), *to;
    m2_redis_reply_t *reply;
    int hops, asking = 0;

    if (!node) {
        apr_snprintf(why, M2_WIRE_WHY, "no sentinel has named the master %.80s yet",
                     redis->spec->master);
        m2_redis_trouble(redis);
        return NULL;
    }
    for (hops = 0; hops < MAX_HOPS; hops++) {
        reply = ask_node(node, call, asking, why);
        to = reply && redis->spec->mode == M2_REDIS_CLUSTER
                 ? m2_redis_cluster_redirect(redis, node, reply, &asking)
                 : NULL;
        if (!to) {
            return reply;
        }
        m2_redis_free(reply);
        node = to;
    }
    apr_cpystrn(why, "the cluster sends from node to node", M2_WIRE_WHY);
    return NULL;
}

/* Some of its keys have moved to another node and others have not: it was not carried out, and
 * can be as soon as all are there. */
static int is_between(const m2_redis_t *redis, const m2_redis_call_t *call,
                      const m2_redis_reply_t *reply)
{
    return reply && redis->spec->mode == M2_REDIS_CLUSTER && m2_redis_fails(reply, "TRYAGAIN")
           && m2_wire_clock() + AGAIN < call->deadline;
}

m2_redis_reply_t *m2_redis_ask(m2_redis_t *redis, m2_redis_call_t *call, char *why)
{
    m2_redis_reply_t *reply;
    m2_hold_t hold;

    if (!call->deadline) {
        call->deadline = m2_wire_clock() + redis->spec->timeout;
    }
    call->acked = 0;
    m2_hold_begin(&hold);
    while (is_between(redis, call, reply = route(redis, call, why))) {
        m2_redis_free(reply);
        apr_sleep(apr_time_from_msec(AGAIN));
    }
    m2_hold_end(&hold);
    return reply;
}

/* --- making --- */

/* The first line of a password file, read while the parent may still read it. */
static m2_code_t read_password(const char **ppassword, apr_pool_t *pool, const char *option,
                               const char *path, m2_err_t *err)
{
    m2_file_t file;
    m2_err_t why;
    apr_size_t n;

    if (!path) {
        return M2_OK;
    }
    m2_err_init(&why, pool);
    if (m2_file_read(&file, pool, path, MAX_FILE, M2_FILE_DECIDES, &why) != M2_OK) {
        return m2_err_set(err, M2_E_CONFIG, "%s=%s: %s", option, path, why.text);
    }
    n = strcspn(file.text.p, "\r\n");
    if (n == 0 || n > MAX_SECRET || (n < file.text.n && file.text.p[n] == '\0')) {
        return m2_err_set(err, M2_E_CONFIG, "%s=%s: its first line is empty or longer than %d "
                          "bytes", option, path, MAX_SECRET);
    }
    *ppassword = apr_pstrmemdup(pool, file.text.p, n);
    return M2_OK;
}

m2_code_t m2_redis_open(m2_redis_t **predis, apr_pool_t *pool, const m2_redis_spec_t *spec,
                        const char *user, const char *loss, m2_err_t *err)
{
    m2_redis_t *redis = apr_pcalloc(pool, sizeof(*redis));
    m2_code_t code;

    *predis = redis;
    redis->spec = spec;
    redis->user = user;
    redis->loss = loss;
    code = read_password(&redis->password, pool, "password-file", spec->password_file, err);
    if (code == M2_OK) {
        code = read_password(&redis->sentinel_password, pool, "sentinel-password-file",
                             spec->sentinel_password_file, err);
    }
    if (code == M2_OK && spec->tls) {
        code = m2_wire_tls(&redis->tls, pool, spec->ca, spec->cert, spec->key, err);
    }
    return code;
}

m2_code_t m2_redis_try(apr_pool_t *pool, const m2_redis_spec_t *spec, m2_err_t *err)
{
    m2_redis_t *redis;

    return m2_redis_open(&redis, pool, spec, "", "", err);
}

static apr_status_t free_nodes(void *baton)
{
    m2_redis_t *redis = baton;
    int i;

    if (m2_hold_needed()) {
        return APR_SUCCESS; /* the process ends, which closes them */
    }
    for (i = 0; i < redis->n; i++) {
        m2_wire_free(redis->nodes[i]->wire);
        free(redis->nodes[i]->host);
        free(redis->nodes[i]);
    }
    redis->n = 0;
    pthread_mutex_destroy(&redis->lock);
    return APR_SUCCESS;
}

/* The nodes of the directive, and their addresses asked for. */
static m2_code_t add_seeds(m2_redis_t *redis, m2_err_t *err)
{
    const m2_redis_spec_t *spec = redis->spec;
    m2_addr_t addrs[M2_NAMES_ADDRS];
    int i;

    for (i = 0; i < spec->hosts->nelts; i++) {
        const m2_host_t *host = &APR_ARRAY_IDX(spec->hosts, i, m2_host_t);

        if (!m2_redis_node(redis, host->name, host->port, spec->mode == M2_REDIS_SENTINEL)) {
            return m2_err_set(err, M2_E_INTERNAL, "no memory");
        }
        if (host->name[0] != '/') {
            m2_names_find(addrs, redis->names, host->name, host->port);
        }
    }
    redis->seeds = redis->n;
    m2_names_wait(redis->names, spec->timeout);
    if (spec->mode == M2_REDIS_ONE) {
        redis->master = redis->nodes[0];
    }
    return M2_OK;
}

m2_code_t m2_redis_attach(m2_redis_t *redis, apr_pool_t *pool, m2_err_t *err)
{
    m2_worker_fn *const turns[] = { NULL, m2_redis_sentinel_turn, m2_redis_cluster_turn };
    m2_worker_fn *turn = turns[redis->spec->mode]; /* ORDER REDIS */
    m2_code_t code = m2_names_make(&redis->names, pool, err);

    if (code == M2_OK && pthread_mutex_init(&redis->lock, NULL) != 0) {
        code = m2_err_set(err, M2_E_INTERNAL, "cannot make a lock");
    }
    if (code != M2_OK) {
        return code;
    }
    apr_pool_cleanup_register(pool, redis, free_nodes, apr_pool_cleanup_null);
    code = add_seeds(redis, err);
    if (code == M2_OK && turn) {
        code = m2_worker_make(&redis->worker, pool, turn, redis, err);
    }
    if (code == M2_OK && turn) {
        m2_worker_wait(redis->worker, redis->spec->timeout);
    }
    return code;
}
