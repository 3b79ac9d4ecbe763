/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Marks in Redis: one `SET key 1 NX EX ttl` per mark. hiredis, whose only home this is,
 * writes and reads the protocol; the connection is ours (m2_wire), because hiredis 0.14 has
 * no TLS and no deadline for a whole exchange. Any answer but OK and nil refuses the mark:
 * out of memory, read-only replica, moved slot, loading, no permission.
 *
 * Redis with an eviction policy forgets live marks when its memory is full; that is looked
 * at on each new connection and complained about once by each process. What a failover loses:
 * docs/replay.md.
 */
#include "replay/m2_replay_store.h"
#include "base/m2_log.h"
#include "replay/m2_wire.h"
#include "text/m2_file.h"

#include <hiredis/hiredis.h>


#define MAX_ARGS 8
#define MAX_SECRET 1024 /* bytes of a password */
#define MAX_PASSWORD_FILE 65536
#define MAX_REPLY (64 * 1024)

typedef struct redis_t {
    const char *password; /* or NULL */
    struct ssl_ctx_st *tls;
    m2_wire_t *wire;      /* of this process */
} redis_t;

/* Send argv and read one reply; NULL with why when there is none. */
static redisReply *ask(m2_conn_t *conn, int argc, const char **argv, char *why)
{
    char *request = NULL, bytes[4096];
    const long long n = redisFormatCommandArgv(&request, argc, argv, NULL); /* 0.14: int */
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    apr_size_t got = 1, all = 0;

    if (n < 0 || !reader || !m2_conn_write(conn, request, (apr_size_t)n)) {
        apr_cpystrn(why, "the connection broke", M2_WIRE_WHY);
        got = 0;
    }
    while (got && !reply && all < MAX_REPLY) {
        got = m2_conn_read(conn, bytes, sizeof(bytes));
        all += got;
        if (!got) {
            apr_cpystrn(why, "no answer in time", M2_WIRE_WHY);
        }
        else if (redisReaderFeed(reader, bytes, got) != REDIS_OK
                 || redisReaderGetReply(reader, &reply) != REDIS_OK) {
            apr_cpystrn(why, "the answer is no Redis protocol", M2_WIRE_WHY);
            got = 0;
        }
    }
    if (reader) {
        redisReaderFree(reader);
    }
    if (request) {
        redisFreeCommand(request);
    }
    return reply;
}

/* Why a reply is not what was hoped for; Redis's error texts hold no argument of ours. */
static void complain(const redisReply *reply, const char *doing, char *why)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses %s: %.90s", doing, reply->str);
    }
    else {
        apr_snprintf(why, M2_WIRE_WHY, "Redis gives no clear answer to %s", doing);
    }
}

static int is_status(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STATUS
           && m2_slice_is(m2_slice(reply->str, (apr_size_t)reply->len), text);
}

/* One greeting command that must be answered with OK. */
static int tell(m2_conn_t *conn, int argc, const char **argv, char *why)
{
    redisReply *reply = ask(conn, argc, argv, why);
    int ok = reply && is_status(reply, "OK");

    if (reply && !ok) {
        complain(reply, argv[0], why);
    }
    if (reply) {
        freeReplyObject(reply);
    }
    return ok;
}

/* Whether the text of INFO memory names a policy that drops keys. */
static int evicts(const char *info)
{
    const char *policy = strstr(info, "maxmemory_policy:");
    const char *limit = strstr(info, "\nmaxmemory:");

    return policy && limit && limit[11] != '0'
           && !m2_slice_is(m2_slice(policy + 17, strcspn(policy + 17, "\r\n")), "noeviction");
}

static int look_at_policy(m2_conn_t *conn, m2_replay_t *store, char *why)
{
    const char *argv[] = { "INFO", "memory" };
    redisReply *reply = ask(conn, 2, argv, why);

    if (!reply) {
        return 0;
    }
    if (reply->type == REDIS_REPLY_STRING && evicts(reply->str) && m2_replay_first(store)) {
        m2_log(M2_LOG_WARNING,
               "replay store %s: Redis drops live marks when its memory is full, and a "
               "dropped mark is a token accepted twice; set maxmemory-policy noeviction",
               store->name);
    }
    freeReplyObject(reply);
    return 1; /* a user without the right to ask may still mark */
}

static int hello(m2_conn_t *conn, void *baton, char *why)
{
    m2_replay_t *store = baton;
    const m2_replay_spec_t *spec = store->spec;
    const redis_t *redis = store->state;
    const char *argv[MAX_ARGS];
    char db[16];
    int n = 0;

    if (redis->password) {
        argv[n++] = "AUTH";
        if (spec->user) {
            argv[n++] = spec->user;
        }
        argv[n++] = redis->password;
        if (!tell(conn, n, argv, why)) {
            return 0;
        }
    }
    if (spec->db) {
        apr_snprintf(db, sizeof(db), "%d", spec->db);
        argv[0] = "SELECT";
        argv[1] = db;
        if (!tell(conn, 2, argv, why)) {
            return 0;
        }
    }
    return look_at_policy(conn, store, why);
}

static m2_code_t code_of(const redisReply *reply, int *pfull, char *why)
{
    if (is_status(reply, "OK")) {
        return M2_OK;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        return M2_E_JTI_REPLAYED;
    }
    complain(reply, "SET", why);
    *pfull = reply->type == REDIS_REPLY_ERROR
             && m2_slice_is(m2_slice(reply->str, strcspn(reply->str, " ")), "OOM");
    return M2_E_REPLAY_UNAVAILABLE;
}

static m2_code_t redis_mark(m2_replay_t *store, const unsigned char *id,
                            apr_time_t expires_at, apr_time_t now, int *pfull, char *why)
{
    redis_t *redis = store->state;
    char key[M2_REPLAY_KEY], ttl[24];
    const char *argv[] = { "SET", key, "1", "NX", "EX", ttl };
    m2_conn_t *conn = m2_wire_take(redis->wire, why);
    redisReply *reply;
    m2_code_t code;

    if (!conn) {
        return M2_E_REPLAY_UNAVAILABLE;
    }
    m2_replay_key(key, store, id);
    apr_snprintf(ttl, sizeof(ttl), "%" APR_UINT64_T_FMT, m2_replay_ttl(expires_at, now));
    reply = ask(conn, 6, argv, why);
    if (!reply) {
        m2_wire_drop(redis->wire, conn);
        return M2_E_REPLAY_UNAVAILABLE;
    }
    code = code_of(reply, pfull, why);
    freeReplyObject(reply);
    if (code == M2_E_REPLAY_UNAVAILABLE) {
        m2_wire_drop(redis->wire, conn); /* perhaps the name leads elsewhere by now */
    }
    else {
        m2_wire_give(redis->wire, conn);
    }
    return code;
}

/* The first line of the password file, read while the parent may still read it. */
static m2_code_t read_password(const char **ppassword, apr_pool_t *pool, const char *path,
                               m2_err_t *err)
{
    m2_file_t file;
    m2_err_t why;
    apr_size_t n;

    m2_err_init(&why, pool);
    if (m2_file_read(&file, pool, path, MAX_PASSWORD_FILE, M2_FILE_DECIDES, &why) != M2_OK) {
        return m2_err_set(err, M2_E_CONFIG, "password-file=%s: %s", path, why.text);
    }
    n = strcspn(file.text.p, "\r\n");
    if (n == 0 || n > MAX_SECRET || (n < file.text.n && file.text.p[n] == '\0')) {
        return m2_err_set(err, M2_E_CONFIG, "password-file=%s: its first line is empty or "
                          "longer than %d bytes", path, MAX_SECRET);
    }
    *ppassword = apr_pstrmemdup(pool, file.text.p, n);
    return M2_OK;
}

static m2_code_t redis_open(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                            m2_err_t *err)
{
    const m2_replay_spec_t *spec = store->spec;
    redis_t *redis = apr_pcalloc(pool, sizeof(*redis));
    m2_code_t code = M2_OK;

    store->state = redis;
    m2_replay_note_leeway(store, process);
    if (spec->password_file) {
        code = read_password(&redis->password, pool, spec->password_file, err);
    }
    if (code == M2_OK && spec->tls) {
        code = m2_wire_tls(&redis->tls, pool, spec->ca, spec->cert, spec->key, err);
    }
    return code;
}

static m2_code_t redis_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    redis_t *redis = store->state;
    m2_replay_host_t *host = &APR_ARRAY_IDX(store->spec->hosts, 0, m2_replay_host_t);
    m2_endpoint_t end = { host->name, host->port, store->spec->timeout, NULL, redis->tls,
                          hello, store };
    m2_code_t code = m2_replay_names(&end.names, pool, store->spec, err);

    return code ? code : m2_wire_make(&redis->wire, pool, &end, err);
}

static void redis_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    (void)stats;
    (void)store;
}

const m2_replay_impl_t m2_replay_redis = { redis_open, redis_attach, redis_mark,
                                           redis_stats };
