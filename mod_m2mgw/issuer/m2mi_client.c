/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Is it that client? Secrets are for the authn providers of httpd to judge; assertions for
 * the keys an administrator registered. Whatever fails, the answer is one and the same
 * sentence; the log tells more.
 *
 * A client nobody knows would be answered faster than a wrong secret, by the time a password
 * hash takes, and names could be found out so. So a hash of about the same cost is computed
 * for nobody. What the real ones cost is measured as they happen, since only the provider
 * knows how they were made.
 */
#include "issuer/m2mi.h"

#include <apr_atomic.h>
#include <apr_md5.h>

#include <time.h>

#define FAILED "client authentication failed"

#define SECRET_MAX 1024 /* bytes; some hashes cost as much as what they hash is long */

#define COST_FIRST 5 /* of the hashes htpasswd -B and m2mctl make unless told otherwise */
#define COST_LEAST 4 /* bcrypt knows no less */
#define COST_MOST 15 /* a second or so */

/* microseconds of one bcrypt of COST_LEAST on this machine; set before threads start */
static apr_uint32_t unit_usec = 1000;

static const m2mi_server_t *server_of(request_rec *r)
{
    return ap_get_module_config(r->server->module_config, &m2m_issuer_module);
}

static m2mi_providers_t *providers_of(request_rec *r)
{
    const m2mi_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2m_issuer_module);

    return dir->providers;
}

/* --- time --- */

/* Processor time of this thread: what hashing costs, however busy the machine is. */
static apr_time_t cpu_now(void)
{
    struct timespec now = { 0, 0 };

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* a bcrypt hash of that cost, of nothing anybody could send */
static void burn(int cost, const char *secret)
{
    char hash[] = "$2y$00$abcdefghijklmnopqrstuuK5s8Vf3xzQyTqkUr2yDqJb1m1Y3cW7u";

    hash[4] = (char)('0' + cost / 10);
    hash[5] = (char)('0' + cost % 10);
    (void)apr_password_validate(secret, hash);
}

void m2mi_client_child(void)
{
    apr_time_t begin = cpu_now();
    apr_time_t took;

    burn(COST_LEAST, "");
    took = cpu_now() - begin;
    unit_usec = took < 50 ? 50 : (apr_uint32_t)took;
}

/* Each step of bcrypt's cost doubles the time: the step nearest to what checks take. */
static int cost_now(m2mi_providers_t *providers)
{
    apr_uint32_t target = providers ? apr_atomic_read32(&providers->usec) : 0;
    apr_uint32_t usec = unit_usec;
    int cost = COST_LEAST;

    if (!target) {
        return COST_FIRST;
    }
    while (cost < COST_MOST && usec + usec / 2 < target) {
        usec *= 2;
        cost++;
    }
    return cost;
}

/* Racing threads may lose a sample, which an average bears. */
static void cost_learn(m2mi_providers_t *providers, apr_time_t took)
{
    apr_uint32_t sample = took > APR_USEC_PER_SEC ? APR_USEC_PER_SEC : (apr_uint32_t)took;
    apr_uint32_t old = apr_atomic_read32(&providers->usec);

    apr_atomic_set32(&providers->usec, old ? old - old / 8 + sample / 8 : sample);
}

/* --- secrets --- */

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

static authn_status secret_check(request_rec *r, const char *id, const char *secret)
{
    m2mi_providers_t *providers = providers_of(r);
    apr_time_t begin = cpu_now();
    authn_status status = AUTH_USER_NOT_FOUND;

    if (providers && m2_client_id_ok(m2_slice_z(id)) && strlen(secret) <= SECRET_MAX) {
        status = providers_ask(r, providers, id, secret);
    }
    if (status == AUTH_GRANTED || status == AUTH_DENIED) {
        cost_learn(providers, cpu_now() - begin);
    }
    else if (status == AUTH_USER_NOT_FOUND) {
        burn(cost_now(providers), secret);
    }
    return status;
}

static m2_oauth_error_t by_secret(const char **pclient, request_rec *r,
                                  const m2_token_request_t *request, const char **ptext)
{
    authn_status status;

    *ptext = FAILED;
    if (!request->secret || !*request->secret) {
        return M2_OAUTH_INVALID_CLIENT; /* no provider is asked about an empty secret */
    }
    status = secret_check(r, request->client_id, request->secret);
    if (status == AUTH_GRANTED) {
        *pclient = request->client_id;
        return M2_OAUTH_OK;
    }
    if (status == AUTH_GENERAL_ERROR) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "M2-709: the client provider cannot answer");
        *ptext = "clients cannot be checked at the moment";
        return M2_OAUTH_UNAVAILABLE;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-710: client %s: %s", request->client_id,
                  status == AUTH_USER_NOT_FOUND ? "unknown" : "wrong secret");
    return M2_OAUTH_INVALID_CLIENT;
}

/* --- assertions --- */

static const m2_keyset_t *keys_of(const char *client, void *baton)
{
    const m2mi_server_t *conf = baton;

    return conf->client_keys ? apr_hash_get(conf->client_keys, client, APR_HASH_KEY_STRING)
                             : NULL;
}

static m2_oauth_error_t assertion_refused(request_rec *r, const m2_err_t *err, m2_code_t rc)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-711: client_assertion: %s (%s)",
                  err->text ? err->text : "refused", m2_reason_of(rc)->reason);
    return M2_OAUTH_INVALID_CLIENT;
}

static m2_oauth_error_t by_assertion(const char **pclient, request_rec *r,
                                     const m2_token_request_t *request, const char **ptext)
{
    const m2mi_server_t *conf = server_of(r);
    m2_assertion_t assertion;
    m2_err_t err;
    m2_code_t rc;

    *ptext = FAILED;
    m2_err_init(&err, r->pool);
    rc = m2_assertion_check(&assertion, r->pool, m2_slice_z(request->assertion),
                            request->client_id, keys_of, (void *)(apr_uintptr_t)conf,
                            conf->audiences, r->request_time, &err);
    if (rc != M2_OK) {
        return assertion_refused(r, &err, rc);
    }
    rc = m2mi_replay_mark(r, &assertion, &err);
    if (rc == M2_E_REPLAY_UNAVAILABLE) {
        *ptext = "assertions cannot be checked at the moment";
        return M2_OAUTH_UNAVAILABLE;
    }
    if (rc != M2_OK) {
        return assertion_refused(r, &err, rc);
    }
    *pclient = assertion.client;
    return M2_OAUTH_OK;
}

m2_oauth_error_t m2mi_client_check(const char **pclient, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext)
{
    return request->method == M2_CLIENT_ASSERTION ? by_assertion(pclient, r, request, ptext)
                                                  : by_secret(pclient, r, request, ptext);
}
