/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Is it that client? Secrets are judged in m2mi_secret.c; assertions by the keys an
 * administrator registered. Whatever fails, the client is told one and the same sentence;
 * the log tells more.
 */
#include "issuer/m2mi.h"

#define FAILED "client authentication failed"

static const m2mi_server_t *server_of(request_rec *r)
{
    return ap_get_module_config(r->server->module_config, &m2m_issuer_module);
}

/* Whether there is such a client: then its name is not a secret in the wrong place. */
static int is_known(request_rec *r, const char *name)
{
    const m2mi_server_t *conf = server_of(r);
    const m2mi_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2m_issuer_module);
    const m2_grants_t *grants;
    int known;

    if (!name) {
        return 0;
    }
    grants = m2mi_grants_enter(conf);
    known = grants && m2_grants_knows(grants, name);
    m2mi_grants_leave(conf);
    return known
           || (conf->client_keys && apr_hash_get(conf->client_keys, name, APR_HASH_KEY_STRING))
           || (conf->client_certs
               && apr_hash_get(conf->client_certs, name, APR_HASH_KEY_STRING))
           || (dir->providers && dir->providers->passwords
               && m2mi_passwords_has(dir->providers->passwords, name));
}

static m2_oauth_error_t by_assertion(m2mi_who_t *who, request_rec *r,
                                     const m2_token_request_t *request, const char **ptext)
{
    const m2mi_server_t *conf = server_of(r);
    const m2_assertion_rules_t rules = { m2mi_client_keys_of, m2mi_client_decoy_of,
                                         (void *)(apr_uintptr_t)conf, conf->audiences,
                                         r->request_time };
    m2_err_t err;
    m2_code_t rc;

    m2_err_init(&err, r->pool);
    m2mi_client_keys_enter(conf);
    rc = m2_assertion_check(&who->assertion, r->pool, m2_slice_z(request->assertion),
                            request->client_id, &rules, &err);
    m2mi_client_keys_leave(conf);
    if (rc == M2_OK && conf->client_certs
        && apr_hash_get(conf->client_certs, who->assertion.client, APR_HASH_KEY_STRING)) {
        rc = m2_err_set(&err, M2_E_CLAIM_INVALID, "the client logs in with its certificate "
                                                  "alone");
    }
    if (rc == M2_OK) {
        who->claimed = who->client = who->assertion.client;
        return M2_OAUTH_OK;
    }
    if (!who->claimed) {
        who->claimed = who->assertion.client;
        who->is_known = is_known(r, who->claimed);
    }
    if (rc == M2_E_KEYS_UNAVAILABLE) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "M2-711: keys of client %s: %s",
                      m2mi_log_name(r->pool, who->claimed, who->is_known), err.text);
        *ptext = "clients cannot be checked at the moment";
        return M2_OAUTH_UNAVAILABLE;
    }
    *ptext = FAILED;
    who->why = apr_pstrcat(r->pool, "client_assertion: ", err.text ? err.text : "refused",
                           " (", m2_reason_of(rc)->reason, ")", NULL);
    return M2_OAUTH_INVALID_CLIENT;
}

/* RFC 8705 2: such a client logs in in no other way. A secret beside its name costs what it
 * does with any other. */
static m2_oauth_error_t by_certificate(m2mi_who_t *who, request_rec *r,
                                       const m2_token_request_t *request,
                                       const apr_array_header_t *certs, const char **ptext)
{
    if (request->method == M2_CLIENT_NAMED) {
        return m2mi_cert_check(who, r, certs, ptext);
    }
    if (request->secret) {
        (void)m2mi_secret_check(who, r, request, ptext);
    }
    who->client = NULL;
    who->why = "the client logs in with its certificate alone";
    *ptext = FAILED;
    return M2_OAUTH_INVALID_CLIENT;
}

m2_oauth_error_t m2mi_client_check(m2mi_who_t *who, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext)
{
    const m2mi_server_t *conf = server_of(r);
    const apr_array_header_t *certs;

    who->claimed = request->client_id;
    who->is_known = is_known(r, who->claimed);
    who->method = request->method;
    certs = conf->client_certs && who->claimed
                ? apr_hash_get(conf->client_certs, who->claimed, APR_HASH_KEY_STRING)
                : NULL;
    if (certs) {
        return by_certificate(who, r, request, certs, ptext);
    }
    switch (request->method) {
    case M2_CLIENT_ASSERTION:
        return by_assertion(who, r, request, ptext);
    case M2_CLIENT_POST:
    case M2_CLIENT_BASIC:
        return m2mi_secret_check(who, r, request, ptext);
    default:
        *ptext = "client authentication is missing";
        return M2_OAUTH_INVALID_CLIENT;
    }
}

m2_oauth_error_t m2mi_client_spend(m2mi_who_t *who, request_rec *r, const char **ptext)
{
    const m2_assertion_t *assertion = &who->assertion;
    const char *owner = apr_pstrcat(r->pool, server_of(r)->name, " ", who->client, NULL);
    apr_time_t until;
    m2_err_t err;
    m2_code_t rc;

    if (who->method != M2_CLIENT_ASSERTION) {
        return M2_OAUTH_OK;
    }
    m2_err_init(&err, r->pool);
    until = apr_time_from_sec((apr_int64_t)assertion->exp + 1 + M2_ASSERTION_LEEWAY);
    rc = m2mi_replay_mark(r, who->client, owner, assertion->jti, until, &who->wait, &err);
    if (rc == M2_OK) {
        return M2_OAUTH_OK;
    }
    if (rc == M2_E_REPLAY_UNAVAILABLE) {
        ap_log_rerror(APLOG_MARK, who->wait ? APLOG_NOTICE : APLOG_ERR, 0, r,
                      "M2-720: client %s from %s: %s", who->client, r->useragent_ip,
                      err.text ? err.text : "no reason given");
        *ptext = "assertions cannot be checked at the moment";
        return M2_OAUTH_UNAVAILABLE;
    }
    *ptext = FAILED;
    who->why = apr_pstrcat(r->pool, "client_assertion: ", err.text ? err.text : "refused",
                           " (", m2_reason_of(rc)->reason, ")", NULL);
    return M2_OAUTH_INVALID_CLIENT;
}
