/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Each client assertion counts once (RFC 7523 3, jti). The memory for that is a replay store
 * of the gateway's kinds (M2MAssertionStore), in a table of our own: shared by all processes,
 * kept over restarts of the configuration, and never short of an answer that refuses.
 */
#include "issuer/m2mi.h"

#include "host/m2h_dbd.h"
#include "issuer/m2mi_share.h"
#include "redis/m2_redis.h"
#include "replay/m2_replay_dbd.h"

#include <unixd.h>

#define POOL_KEY "m2m_issuer_replay_pool"
#define OTHERS 2048 /* clients that send proofs, beside those that log in by a key */
#define SHARE 10 /* no client holds more than one in so many entries */

/* Written while the configuration is read and when a child starts, read by requests. */
static m2_replay_t *store;
static m2_replay_spec_t *spec; /* M2MAssertionStore; NULL: the default */
static m2mi_share_t *shares;
static apr_uint32_t limit;     /* marks of one client; 0: a store without a known size */

void m2mi_replay_reset(void)
{
    spec = NULL;
}

/* --- the directive --- */

static void make_absolute(const char **pfile, apr_pool_t *pool)
{
    const char *absolute = *pfile ? ap_server_root_relative(pool, *pfile) : NULL;

    *pfile = absolute ? absolute : *pfile;
}

/* A store in a database: what is in force for the main server, where the directive stands. */
static const char *use_database(cmd_parms *cmd)
{
    const char *missing = m2h_dbd_missing(cmd), *label, *sql;
    int i;

    for (i = 0; !missing && m2_replay_dbd_statement(&label, &sql, cmd->pool, spec->table, i);
         i++) {
        m2h_dbd_prepare(cmd->server, label, sql);
    }
    spec->dbd = m2h_dbd_host(cmd->pool, cmd->server);
    return missing;
}

const char *m2mi_replay_set(cmd_parms *cmd, int argc, char *const argv[])
{
    apr_pool_t *pool = cmd->pool;
    apr_array_header_t *words = apr_array_make(pool, argc, sizeof(const char *));
    m2_err_t err;
    int i;

    for (i = 0; i < argc; i++) {
        APR_ARRAY_PUSH(words, const char *) = argv[i];
    }
    m2_err_init(&err, pool);
    if (m2_replay_parse(&spec, pool, words, &err) != M2_OK) {
        return err.text;
    }
    for (i = 0; m2_replay_spec_file(spec, i); i++) {
        make_absolute(m2_replay_spec_file(spec, i), pool);
    }
    if (spec->redis && m2_redis_try(cmd->temp_pool, spec->redis, &err) != M2_OK) {
        return err.text;
    }
    return spec->kind == M2_REPLAY_DBD ? use_database(cmd) : NULL;
}

/* --- the parent --- */

/* The table has to outlive configurations, and the gateway keeps its own in the process
 * pool: ours lives in a pool of that pool. */
static apr_pool_t *process_pool(const server_rec *s)
{
    apr_pool_t *parent = s->process->pool, *pool;
    void *data = NULL;

    apr_pool_userdata_get(&data, POOL_KEY, parent);
    if (data) {
        return data;
    }
    apr_pool_create(&pool, parent);
    /* copies the key: the text of a module does not survive a restart */
    apr_pool_userdata_set(pool, POOL_KEY, NULL, parent);
    return pool;
}

/* whether any server gives tokens: proofs bind them unless that is off */
static int issuers(const server_rec *s)
{
    for (; s; s = s->next) {
        const m2mi_server_t *conf =
            ap_get_module_config(s->module_config, &m2m_issuer_module);

        if (conf->name) {
            return 1;
        }
    }
    return 0;
}

/* how many clients may log in by a key */
static apr_uint32_t key_clients(const server_rec *s)
{
    apr_uint32_t n = 0;

    for (; s; s = s->next) {
        const m2mi_server_t *conf =
            ap_get_module_config(s->module_config, &m2m_issuer_module);

        n += conf->client_keys ? apr_hash_count(conf->client_keys) : 0;
    }
    return n;
}

static int refuse(server_rec *s, const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                 "M2-715: M2MAssertionStore: used assertions cannot be remembered: %s",
                 why ? why : "no reason given");
    return HTTP_INTERNAL_SERVER_ERROR;
}

int m2mi_replay_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const apr_uint32_t clients = issuers(s) ? key_clients(s) + OTHERS : 0;
    m2_replay_spec_t *own;
    m2_replay_stats_t stats;
    m2_err_t err;

    (void)plog;
    store = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG || !clients) {
        return OK; /* the configuration is read again before anybody serves */
    }
    m2_err_init(&err, ptemp);
    own = spec ? apr_pmemdup(pconf, spec, sizeof(*spec)) : m2_replay_default(pconf);
    own->owner_uid = ap_unixd_config.user_id;
    own->owner_gid = ap_unixd_config.group_id;
    own->owner_set = geteuid() == 0;
    if (m2_replay_open(&store, pconf, process_pool(s), own, &err) != M2_OK) {
        return refuse(s, err.text);
    }
    m2_replay_stats(&stats, store);
    limit = stats.entries ? (apr_uint32_t)(stats.entries / SHARE) : 0;
    limit = stats.entries && !limit ? 1 : limit;
    shares = m2mi_share_open(s, clients);
    return shares ? OK : refuse(s, "no memory");
}

void m2mi_replay_child(apr_pool_t *pool, server_rec *s)
{
    m2_err_t err;

    m2_err_init(&err, pool);
    if (store && m2_replay_attach(store, pool, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "M2-716: M2MAssertionStore: %s",
                     err.text ? err.text : "used assertions cannot be remembered");
        store = NULL; /* assertions are then refused */
    }
}

/* --- requests --- */

m2_code_t m2mi_replay_mark(request_rec *r, const char *client, const char *owner,
                           const char *jti, apr_time_t until, int *pwait, m2_err_t *err)
{
    m2_code_t rc;

    *pwait = 0;
    if (!store) {
        return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "no store for used assertions");
    }
    if (limit) {
        *pwait = m2mi_share_take(shares, client, until, r->request_time, limit);
    }
    if (*pwait) {
        return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE,
                          "the client holds its share of M2MAssertionStore, %u entries",
                          limit);
    }
    rc = m2_replay_mark(store, m2_slice_z(owner), m2_slice_z(jti), until, r->request_time,
                        err);
    if (rc != M2_OK && limit) {
        m2mi_share_give(shares, client, until);
    }
    return rc;
}
