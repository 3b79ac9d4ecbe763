/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Secrets are for the authn providers of httpd to judge. A refusal costs the same time
 * whether there is such a client or not. Where a password file is known, by what its hashes
 * cost; for other providers by what their answers took so far, since only they know how they
 * keep secrets.
 */
#include "issuer/m2mi.h"

#define FAILED "client authentication failed"

#define SECRET_MAX 1024 /* bytes; some hashes cost as much as what they hash is long */

static const m2mi_providers_t *providers_of(request_rec *r)
{
    const m2mi_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2m_issuer_module);

    return dir->providers;
}

/* Racing threads may lose a sample, which an average bears. */
static void cost_learn(const m2mi_providers_t *providers, apr_time_t took)
{
    apr_uint32_t sample = took > APR_USEC_PER_SEC ? APR_USEC_PER_SEC : (apr_uint32_t)took;
    apr_uint32_t old = __atomic_load_n(providers->usec, __ATOMIC_RELAXED);

    __atomic_store_n(providers->usec, old ? old - old / 8 + sample / 8 : sample,
                     __ATOMIC_RELAXED);
}

static authn_status providers_ask(request_rec *r, const m2mi_providers_t *providers,
                                  const char *id, const char *secret)
{
    const apr_array_header_t *list = providers->list;
    authn_status status = AUTH_USER_NOT_FOUND;
    int i;

    for (i = 0; status == AUTH_USER_NOT_FOUND && i < list->nelts; i++) {
        const m2mi_provider_t *word = &APR_ARRAY_IDX(list, i, m2mi_provider_t);

        apr_table_setn(r->notes, AUTHN_PROVIDER_NAME_NOTE, word->name);
        status = word->provider->check_password(r, id, secret);
        apr_table_unset(r->notes, AUTHN_PROVIDER_NAME_NOTE);
    }
    return status;
}

/* a file whose hashes are known */
static authn_status ask_file(request_rec *r, const m2mi_providers_t *providers,
                             const char *id, const char *secret, int may_ask)
{
    const m2mi_watch_t *passwords = providers->passwords;
    const apr_uint32_t changes = m2mi_watch_changes(passwords);
    authn_status status = AUTH_USER_NOT_FOUND;

    if (m2mi_watch_unsafe(passwords)) {
        return AUTH_GENERAL_ERROR;
    }
    if (may_ask && m2mi_memory_has(passwords, id, secret)) {
        return AUTH_GRANTED;
    }
    if (may_ask) {
        status = providers_ask(r, providers, id, secret);
    }
    if (status == AUTH_GRANTED) {
        m2mi_memory_put(passwords, id, secret, changes);
    }
    else if (status == AUTH_DENIED || status == AUTH_USER_NOT_FOUND) {
        m2mi_passwords_equalise(passwords, id, secret, status == AUTH_DENIED);
    }
    return status;
}

/* providers that only their answers tell something of */
static authn_status ask_others(request_rec *r, const m2mi_providers_t *providers,
                               const char *id, const char *secret, int may_ask)
{
    apr_time_t begin = m2mi_cost_now();
    authn_status status =
        may_ask ? providers_ask(r, providers, id, secret) : AUTH_USER_NOT_FOUND;

    if (status == AUTH_GRANTED || status == AUTH_DENIED) {
        cost_learn(providers, m2mi_cost_now() - begin);
    }
    else if (status == AUTH_USER_NOT_FOUND) {
        m2mi_cost_burn(__atomic_load_n(providers->usec, __ATOMIC_RELAXED), secret);
    }
    return status;
}

static authn_status ask(request_rec *r, const char *id, const char *secret)
{
    const m2mi_providers_t *providers = providers_of(r);
    const int is_long = strlen(secret) > SECRET_MAX;
    const int may_ask = m2_client_id_ok(m2_slice_z(id)) && !is_long;

    if (!providers) {
        m2mi_cost_burn(0, is_long ? "" : secret);
        return AUTH_USER_NOT_FOUND;
    }
    return m2mi_passwords_is(providers, r->per_dir_config)
               ? ask_file(r, providers, id, is_long ? "" : secret, may_ask)
               : ask_others(r, providers, id, is_long ? "" : secret, may_ask);
}

m2_oauth_error_t m2mi_secret_check(m2mi_who_t *who, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext)
{
    authn_status status;

    *ptext = FAILED;
    if (!request->secret || !*request->secret) {
        who->why = "an empty secret"; /* no provider is asked about one */
        return M2_OAUTH_INVALID_CLIENT;
    }
    status = ask(r, request->client_id, request->secret);
    if (status == AUTH_GRANTED) {
        who->client = request->client_id;
        return M2_OAUTH_OK;
    }
    if (status == AUTH_GENERAL_ERROR) {
        static apr_time_t told;

        ap_log_rerror(APLOG_MARK, m2mi_log_level(APLOG_ERR, &told), 0, r,
                      "M2-709: the client provider cannot answer, or everybody may write its "
                      "AuthUserFile");
        *ptext = "clients cannot be checked at the moment";
        return M2_OAUTH_UNAVAILABLE;
    }
    who->is_known = who->is_known || status == AUTH_DENIED;
    who->why = status == AUTH_USER_NOT_FOUND ? "unknown" : "wrong secret";
    return M2_OAUTH_INVALID_CLIENT;
}
