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

#define LOCK_WAIT 5000 /* milliseconds a request waits for another writer */

/* *prevoked: what the lists of the section say of a token of ours. */
static m2_code_t look(m2_inspected_t *token, m2_code_t *prevoked, m2mi_call_t *call)
{
    APR_OPTIONAL_FN_TYPE(m2mgw_revoked) *revoked = APR_RETRIEVE_OPTIONAL_FN(m2mgw_revoked);
    const m2_inspect_rules_t rules = { call->conf->name, call->conf->own_keys,
                                       call->r->request_time };
    m2_code_t rc;
    m2_err_t err;

    m2_err_init(&err, call->r->pool);
    rc = m2_inspect(token, call->r->pool, m2_slice_z(call->request.token), &rules, &err);
    if (rc != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, call->r, "M2-724: not a token of ours: %s",
                      err.text ? err.text : "refused");
        return rc;
    }
    *prevoked = revoked ? revoked(call->r->per_dir_config, call->r->pool, token->claims,
                                  token->kid)
                        : M2_E_REVOCATION_UNAVAILABLE;
    return M2_OK;
}

/* Nobody knows what is revoked, or what would be revoked would not count. */
static m2_oauth_error_t unavailable(m2mi_call_t *call)
{
    return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "the list of revoked tokens cannot be used at "
                                                 "the moment");
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
    m2_code_t revoked;
    m2_oauth_error_t rc;

    if (m2mi_grants_query(call) != M2_OK) {
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "there are no grants at the moment");
    }
    if (!may_ask(call, NULL)) {
        return m2mi_stop(call, M2_OAUTH_FORBIDDEN,
                         "the client is not granted .introspect on any audience");
    }
    rc = m2mi_client_spend(&call->who, call->r, &call->text);
    if (rc != M2_OAUTH_OK) {
        return rc;
    }
    call->answer = m2_inspect_nothing(pool);
    if (look(&token, &revoked, call) != M2_OK || !may_ask(call, token.audience)) {
        return M2_OAUTH_OK;
    }
    if (revoked == M2_E_REVOCATION_UNAVAILABLE) {
        return unavailable(call);
    }
    if (revoked == M2_OK) {
        call->answer = m2_inspect_document(pool, &token);
    }
    return M2_OAUTH_OK;
}

int m2mi_introspect_handler(request_rec *r)
{
    return m2mi_endpoint(r, M2_OAUTH_ABOUT_TOKEN, introspect);
}

/* --- revocation --- */

/* A list that is bad has to be mended first; what is added to it counts for nobody. */
static m2_code_t append(m2mi_call_t *call, const m2_view_t *view, const m2_revoked_t *entry,
                        m2_err_t *err)
{
    APR_OPTIONAL_FN_TYPE(m2mgw_revoke) *revoke = APR_RETRIEVE_OPTIONAL_FN(m2mgw_revoke);

    if (view->revocations != 1 || view->revocation_broken) {
        return m2_err_set(err, M2_E_CONFIG, view->revocation_broken ? "the list is broken"
                                                                    : "there is not one list");
    }
    if (view->revocation) {
        return m2_revocation_append(call->r->pool, view->revocation, entry, LOCK_WAIT, err);
    }
    return revoke ? revoke(call->r->per_dir_config, call->r->pool, entry, call->r->request_time,
                           err)
                  : m2_err_set(err, M2_E_CONFIG, "mod_m2mgw is not loaded");
}

/* Redis drops ended entries as it is written to. */
static void prune(m2mi_call_t *call, const char *path)
{
    m2_err_t err;

    m2_err_init(&err, call->r->pool);
    if (path && m2_revocation_prune(call->r->pool, path, call->r->request_time, &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r, "M2-728: expired entries stay on the "
                      "list: %s", err.text);
    }
}

static m2_oauth_error_t take_back(m2mi_call_t *call, const m2_inspected_t *token)
{
    const m2_revoked_t entry = { M2_REVOKED_JTI, m2_slice_z(call->conf->name),
                                 m2_slice_z(token->jti), token->exp, 0 };
    static apr_time_t told;
    m2_view_t view;
    m2_err_t err;

    m2_err_init(&err, call->r->pool);
    m2mi_view(&view, call->r->per_dir_config, call->r);
    if (append(call, &view, &entry, &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, m2mi_log_level(APLOG_ERR, &told), 0, call->r,
                      "M2-725: cannot revoke: %s", err.text);
        return unavailable(call);
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r, "M2-726: client %s revoked its token "
                  "with jti %s", call->who.client, token->jti);
    prune(call, view.revocation);
    return M2_OAUTH_OK;
}

/* RFC 7009 2.2: a token that is none, or is revoked already, is as revoked as can be. */
static m2_oauth_error_t revoke_token(m2mi_call_t *call)
{
    m2_inspected_t token;
    m2_code_t revoked;
    m2_oauth_error_t rc = m2mi_client_spend(&call->who, call->r, &call->text);

    if (rc != M2_OAUTH_OK || look(&token, &revoked, call) != M2_OK) {
        return rc;
    }
    if (strcmp(token.client, call->who.client) != 0) { /* RFC 7009 2.1 */
        return m2mi_stop(call, M2_OAUTH_INVALID_REQUEST, "the token was not issued to the "
                                                         "client");
    }
    return revoked == M2_E_REVOKED ? M2_OAUTH_OK : take_back(call, &token);
}

int m2mi_revoke_handler(request_rec *r)
{
    return m2mi_endpoint(r, M2_OAUTH_ABOUT_TOKEN, revoke_token);
}

/* --- the list --- */

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

void m2mi_list_open(const char *path)
{
    if (!m2m_issuer_writes(path)) {
        APR_ARRAY_PUSH(lists, const char *) = path;
    }
}

void m2mi_lists_register(void)
{
    APR_REGISTER_OPTIONAL_FN(m2m_issuer_writes);
}

/* Whether this server had the list before: then it is missing, and not new. */
static int was_there(apr_pool_t *process, const char *path)
{
    const char *key = apr_pstrcat(process, "m2m_issuer_list:", path, NULL);
    void *seen = NULL;

    apr_pool_userdata_get(&seen, key, process);
    apr_pool_userdata_set("", key, NULL, process);
    return seen != NULL;
}

const char *m2mi_lists_make(apr_pool_t *pool, server_rec *s)
{
    const char *wrong = NULL;
    int i;

    for (i = 0; !wrong && i < lists->nelts; i++) {
        const char *path = APR_ARRAY_IDX(lists, i, const char *);

        if (!was_there(s->process->pool, path)) {
            wrong = list_make(pool, path);
        }
    }
    return wrong;
}
