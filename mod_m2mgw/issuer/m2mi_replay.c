/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Each client assertion counts once (RFC 7523 3, jti). The memory for that is the gateway's
 * one-machine replay store, in a table of our own: shared by all processes, kept over
 * restarts of the configuration, and never short of an answer that refuses.
 */
#include "issuer/m2mi.h"

#include "replay/m2_replay.h"

#define POOL_KEY "m2m_issuer_replay_pool"

/* Written while the configuration is read and when a child starts, read by requests. */
static m2_replay_t *store;

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

static int needed(const server_rec *s)
{
    for (; s; s = s->next) {
        const m2mi_server_t *conf =
            ap_get_module_config(s->module_config, &m2m_issuer_module);
        if (conf->client_keys) {
            return 1;
        }
    }
    return 0;
}

int m2mi_replay_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_array_header_t *words = apr_array_make(ptemp, 1, sizeof(const char *));
    m2_replay_spec_t *spec;
    m2_err_t err;
    m2_code_t rc;

    (void)plog;
    store = NULL;
    if (!needed(s) || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    m2_err_init(&err, ptemp);
    APR_ARRAY_PUSH(words, const char *) = "shm";
    rc = m2_replay_parse(&spec, pconf, words, &err);
    rc = rc == M2_OK ? m2_replay_open(&store, pconf, process_pool(s), spec, &err) : rc;
    if (rc != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                     "M2-715: M2MClientKeys: no memory for used assertions: %s",
                     err.text ? err.text : "no reason given");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

void m2mi_replay_child(apr_pool_t *pool, server_rec *s)
{
    m2_err_t err;

    m2_err_init(&err, pool);
    if (store && m2_replay_attach(store, pool, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "M2-716: M2MClientKeys: %s",
                     err.text ? err.text : "used assertions cannot be remembered");
        store = NULL; /* assertions are then refused */
    }
}

m2_code_t m2mi_replay_mark(request_rec *r, const m2_assertion_t *assertion, m2_err_t *err)
{
    const m2mi_server_t *conf =
        ap_get_module_config(r->server->module_config, &m2m_issuer_module);
    const char *issuer = apr_pstrcat(r->pool, conf->name, " ", assertion->client, NULL);
    apr_time_t until = apr_time_from_sec((apr_int64_t)assertion->exp + 1 +
                                         M2_ASSERTION_LEEWAY);

    if (!store) {
        return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "no store for used assertions");
    }
    return m2_replay_mark(store, m2_slice_z(issuer), m2_slice_z(assertion->jti), until,
                          r->request_time, err);
}
