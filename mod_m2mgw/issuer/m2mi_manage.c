/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens that are out: what they are worth (m2m-introspect, RFC 7662), and taking one back
 * (m2m-revoke, RFC 7009). Both work on the one writable M2MRevocation of their <Location>,
 * which mod_m2mgw knows; a gateway that reads the same list refuses what is on it.
 *
 * Whoever may not be told about a token is told what he is told about one that does not
 * exist.
 */
#include "issuer/m2mi.h"

#include "oauth/m2_inspect.h"
#include "revocation/m2_revocation_file.h"

#include <unixd.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LOCK_WAIT 1000 /* milliseconds a request waits for another writer */

static const m2mi_dir_t *dir_of(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &m2m_issuer_module);
}

/* A token of ours. M2_E_REVOCATION-like answers are the caller's: token->revoked tells. */
static m2_code_t look(m2_inspected_t *token, m2mi_call_t *call)
{
    const m2mi_watch_t *list = dir_of(call->r)->list;
    m2_inspect_rules_t rules = { call->conf->name, call->conf->own_keys, NULL,
                                 call->r->request_time };
    m2_code_t rc;
    m2_err_t err;

    m2_err_init(&err, call->r->pool);
    rules.revocation = list ? m2mi_watch_enter(list) : NULL;
    rc = m2_inspect(token, call->r->pool, m2_slice_z(call->request.token), &rules, &err);
    if (list) {
        m2mi_watch_leave(list);
    }
    if (rc != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, call->r, "M2-724: not a token of ours: %s",
                      err.text ? err.text : "refused");
    }
    return rc;
}

/* A restart found the list bad and had no copy of it: nobody knows what is revoked. */
static m2_oauth_error_t list_check(m2mi_call_t *call)
{
    const m2mi_watch_t *list = dir_of(call->r)->list;

    return list && m2mi_watch_lost(list)
               ? m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "the list of revoked tokens cannot be "
                                                       "read at the moment")
               : M2_OAUTH_OK;
}

/* --- introspection --- */

/* whether the client may ask: about that audience, or, with NULL, about any */
static int may_ask(m2mi_call_t *call, const char *audience)
{
    const m2_grants_t *grants = m2mi_grants_enter(call->conf);
    int may = m2_grants_introspects(call->queried, call->r->pool, call->who.client, audience)
              || (grants && m2_grants_introspects(grants, call->r->pool, call->who.client,
                                                  audience));

    m2mi_grants_leave(call->conf);
    return may;
}

static m2_oauth_error_t introspect(m2mi_call_t *call)
{
    apr_pool_t *pool = call->r->pool;
    m2_inspected_t token;
    m2_oauth_error_t rc;

    if (m2mi_grants_query(call) != M2_OK) {
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "there are no grants at the moment");
    }
    if (!may_ask(call, NULL)) {
        return m2mi_stop(call, M2_OAUTH_FORBIDDEN,
                         "the client is not granted .introspect on any audience");
    }
    rc = list_check(call);
    rc = rc == M2_OAUTH_OK ? m2mi_client_spend(&call->who, call->r, &call->text) : rc;
    if (rc != M2_OAUTH_OK) {
        return rc;
    }
    call->answer = look(&token, call) == M2_OK && !token.revoked
                           && may_ask(call, token.audience)
                       ? m2_inspect_document(pool, &token)
                       : m2_inspect_nothing(pool);
    return M2_OAUTH_OK;
}

int m2mi_introspect_handler(request_rec *r)
{
    return m2mi_endpoint(r, M2_OAUTH_ABOUT_TOKEN, introspect);
}

/* --- revocation --- */

static m2_oauth_error_t take_back(m2mi_call_t *call, const m2_inspected_t *token)
{
    const char *path = m2mi_watch_path(dir_of(call->r)->list);
    const m2_revoked_t entry = { M2_REVOKED_JTI, m2_slice_z(call->conf->name),
                                 m2_slice_z(token->jti), token->exp };
    m2_err_t err;

    m2_err_init(&err, call->r->pool);
    if (m2_revocation_append(call->r->pool, path, &entry, LOCK_WAIT, &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, "M2-725: cannot revoke: %s",
                      err.text);
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "the token cannot be revoked at the "
                                                     "moment");
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r, "M2-726: client %s revoked its token "
                  "with jti %s", call->who.client, token->jti);
    return M2_OAUTH_OK;
}

/* RFC 7009 2.2: a token that is none, or is revoked already, is as revoked as can be. */
static m2_oauth_error_t revoke_token(m2mi_call_t *call)
{
    m2_inspected_t token;
    m2_oauth_error_t rc = list_check(call);

    rc = rc == M2_OAUTH_OK ? m2mi_client_spend(&call->who, call->r, &call->text) : rc;
    if (rc != M2_OAUTH_OK || look(&token, call) != M2_OK) {
        return rc;
    }
    if (strcmp(token.client, call->who.client) != 0) { /* RFC 7009 2.1 */
        return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST, "the token was not issued to the "
                                                         "client");
    }
    return token.revoked ? M2_OAUTH_OK : take_back(call, &token);
}

int m2mi_revoke_handler(request_rec *r)
{
    return m2mi_endpoint(r, M2_OAUTH_ABOUT_TOKEN, revoke_token);
}

/* --- the list --- */

static const char *list_parse(const void **pobject, apr_pool_t *pool, const char *path,
                              m2_slice_t text, int first, void *baton)
{
    m2_revocation_t *set = m2_revocation_make(pool);
    m2_err_t err;

    (void)first;
    (void)baton;
    m2_err_init(&err, pool);
    if (m2_revocation_parse(set, text, &err) != M2_OK) {
        return apr_psprintf(pool, "%s line %d: %s", path, err.line, err.text);
    }
    *pobject = set;
    return NULL;
}

static const m2mi_watch_kind_t list_kind = { "M2MRevocation", M2_MAX_REVOCATION_BYTES, 1, 1,
                                             list_parse };

static const char *list_make(apr_pool_t *pool, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    const char *wrong = NULL;

    if (fd < 0) {
        return errno == EEXIST ? NULL : apr_psprintf(pool, "M2MRevocation %s cannot be made",
                                                     path);
    }
    if (geteuid() == 0
        && fchown(fd, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
        wrong = apr_psprintf(pool, "M2MRevocation %s cannot be handed to User", path);
    }
    close(fd);
    return wrong;
}

static apr_array_header_t *lists; /* paths, while configuration is read */

void m2mi_lists_reset(apr_pool_t *pconf)
{
    lists = apr_array_make(pconf, 2, sizeof(const char *));
}

const char *m2mi_list_open(m2mi_dir_t *dir, apr_pool_t *pool, server_rec *s,
                           const char *path)
{
    if (dir->list) {
        return NULL;
    }
    APR_ARRAY_PUSH(lists, const char *) = path;
    return m2mi_watch_open(&dir->list, pool, s, &list_kind, path, NULL);
}

static int m2m_issuer_writes(const char *path)
{
    int i;

    for (i = 0; i < lists->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(lists, i, const char *), path) == 0) {
            return 1;
        }
    }
    return 0;
}

void m2mi_lists_register(void)
{
    APR_REGISTER_OPTIONAL_FN(m2m_issuer_writes);
}

const char *m2mi_lists_make(apr_pool_t *pool)
{
    const char *wrong = NULL;
    int i;

    for (i = 0; !wrong && i < lists->nelts; i++) {
        wrong = list_make(pool, APR_ARRAY_IDX(lists, i, const char *));
    }
    return wrong;
}
