/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What clients are granted: M2MGrant and the watched M2MGrantFile, as one table. A revocation
 * counts as soon as the changed file is believed (m2mi_watch.h). M2MGrantQuery adds what a
 * database grants the one client that asks, at the time it asks.
 */
#include "issuer/m2mi.h"

#include "host/m2h_dbd.h"

/* fixed grants and the text's, in pool */
static const char *grants_parse(const void **pobject, apr_pool_t *pool, const char *path,
                                m2_slice_t text, int first, void *baton)
{
    const m2mi_grants_t *grants = baton;
    m2_grants_t *all = m2_grants_make(pool);
    m2_code_t rc;
    m2_err_t err;

    (void)first;
    m2_err_init(&err, pool);
    rc = m2_grants_add_all(all, grants->fixed, &err);
    rc = rc == M2_OK ? m2_grants_parse(all, text, &err) : rc;
    if (rc != M2_OK) {
        return apr_psprintf(pool, "%s line %d: %s", path, err.line, err.text);
    }
    *pobject = all;
    return NULL;
}

static const m2mi_watch_kind_t grant_file = { "M2MGrantFile", M2_MAX_GRANT_BYTES, 1, 0,
                                              grants_parse, NULL };

const char *m2mi_grants_open(m2mi_grants_t *grants, apr_pool_t *pool, server_rec *s)
{
    return grants->file && !grants->watch
               ? m2mi_watch_open(&grants->watch, pool, s, &grant_file, grants->file, grants)
               : NULL;
}

const m2_grants_t *m2mi_grants_enter(const m2mi_server_t *conf)
{
    if (!conf->grants) {
        return NULL;
    }
    return conf->grants->watch ? m2mi_watch_enter(conf->grants->watch) : conf->grants->fixed;
}

void m2mi_grants_leave(const m2mi_server_t *conf)
{
    if (conf->grants && conf->grants->watch) {
        m2mi_watch_leave(conf->grants->watch);
    }
}

/* --- M2MGrantQuery --- */

/* exactly one `%s`, and no other `%` but doubled ones */
static int has_one_place(const char *sql)
{
    int places = 0;

    for (; (sql = strchr(sql, '%')) != NULL; sql += 2) {
        if (sql[1] != '%' && sql[1] != 's') {
            return 0;
        }
        places += sql[1] == 's';
    }
    return places == 1;
}

const char *m2mi_grants_query_set(m2mi_grants_t *grants, cmd_parms *cmd, const char *sql)
{
    const char *missing = m2h_dbd_missing(cmd);
    apr_ssize_t n = APR_HASH_KEY_STRING;

    if (missing) {
        return missing;
    }
    if (!has_one_place(sql)) {
        return "takes a query with one %s in it, for the client";
    }
    grants->query = apr_psprintf(cmd->pool, "m2m_grants_%08x", apr_hashfunc_default(sql, &n));
    grants->dbd = m2h_dbd_host(cmd->pool, cmd->server);
    m2h_dbd_prepare(cmd->server, grants->query, sql);
    return NULL;
}

/* A row that is no grant may be read by nobody as one: the whole answer is bad. */
static int take_row(void *baton, const char *const *columns, char *why)
{
    m2mi_call_t *call = baton;
    apr_pool_t *pool = call->r->pool;
    m2_grant_t grant = { { NULL, 0 }, m2_slice_z(call->who.client), NULL };
    m2_err_t err;

    m2_err_init(&err, pool);
    grant.audience = m2_slice_z(columns[0]);
    grant.permissions = apr_array_make(pool, 1, sizeof(m2_slice_t));
    APR_ARRAY_PUSH(grant.permissions, m2_slice_t) = m2_slice_z(columns[1]);
    if (!columns[0] || !columns[1] || !m2_scope_word_ok(grant.audience)
        || !m2_scope_word_ok(APR_ARRAY_IDX(grant.permissions, 0, m2_slice_t))) {
        apr_cpystrn(why, "a row is not an audience and permission", M2_DBD_WHY);
        return 0;
    }
    if (m2_grants_add(call->queried, &grant, &err) != M2_OK) {
        apr_cpystrn(why, err.text, M2_DBD_WHY);
        return 0;
    }
    return 1;
}

m2_code_t m2mi_grants_query(m2mi_call_t *call)
{
    const m2mi_grants_t *grants = call->conf->grants;
    const char *args[] = { call->who.client };
    char why[M2_DBD_WHY] = "";

    if (call->queried) {
        return M2_OK;
    }
    call->queried = m2_grants_make(call->r->pool);
    if (!grants || !grants->query
        || m2_dbd_desk_read(grants->dbd, grants->query, 1, args, 2, 0, take_row, call,
                            M2_DBD_WAIT, why)) {
        return M2_OK;
    }
    call->queried = NULL;
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, "M2-730: M2MGrantQuery: %s", why);
    return M2_E_KEYS_UNAVAILABLE;
}
