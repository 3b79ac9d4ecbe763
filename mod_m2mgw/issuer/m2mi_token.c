/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The token endpoint (RFC 6749 4.4): a scope that was granted, a signed token (RFC 9068).
 */
#include "issuer/m2mi_figures.h"

#include <openssl/rand.h>

#define JTI_BYTES 16
#define JTI_STOCK 64

/* --- what it asks for --- */

static m2_code_t scope_resolve(m2_scope_t *scope, m2mi_call_t *call, m2_err_t *err)
{
    const m2_token_request_t *request = &call->request;
    apr_pool_t *pool = call->r->pool;
    const m2_grants_t *grants;
    m2_code_t rc = m2mi_grants_query(call);

    if (rc != M2_OK) {
        return rc;
    }
    rc = M2_E_KEYS_UNAVAILABLE;
    grants = m2mi_grants_enter(call->conf);
    if (grants || !call->conf->grants) {
        m2_grants_join(call->queried, grants);
        rc = m2_grants_resolve(scope, pool, call->queried, call->who.client,
                               m2_slice_z(request->scope), request->resource, err);
        m2_grants_join(call->queried, NULL);
    }
    m2mi_grants_leave(call->conf);
    return rc;
}

static m2_oauth_error_t scope_check(m2_scope_t *scope, m2mi_call_t *call)
{
    m2_err_t err;
    m2_code_t rc;

    m2_err_init(&err, call->r->pool);
    if (call->request.resources > 1
        || (call->request.resources && !call->request.resource)) { /* RFC 8707 2 */
        return m2mi_stop(call, M2_OAUTH_INVALID_TARGET,
                         "one request is for one resource, which is not empty");
    }
    rc = scope_resolve(scope, call, &err);
    if (rc == M2_OK) {
        return M2_OAUTH_OK;
    }
    if (rc == M2_E_KEYS_UNAVAILABLE) { /* a restart found the grant file bad and had no copy */
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "there are no grants at the moment");
    }
    return m2mi_stop(call, rc == M2_E_AUDIENCE_MISMATCH ? M2_OAUTH_INVALID_TARGET
                                                        : M2_OAUTH_INVALID_SCOPE, err.text);
}

/* --- the token --- */

static int lifetime_of(const m2mi_call_t *call)
{
    return call->conf->lifetime != M2_UNSET ? call->conf->lifetime : M2MI_LIFETIME;
}

/* Random bytes for this thread's next tokens: one call of the generator serves many. */
static __thread struct jti_stock_t {
    char bytes[JTI_STOCK * JTI_BYTES];
    apr_size_t left;
} jti_stock;

static const char *jti_make(apr_pool_t *pool)
{
    struct jti_stock_t *stock = &jti_stock;

    if (stock->left == 0) {
        if (RAND_bytes((unsigned char *)stock->bytes, sizeof(stock->bytes)) != 1) {
            return NULL;
        }
        stock->left = sizeof(stock->bytes);
    }
    stock->left -= JTI_BYTES;
    return m2_b64_encode(pool, m2_slice(stock->bytes + stock->left, JTI_BYTES));
}

/* RFC 9449 6.1, RFC 8705 3.1 */
static const m2_json_t *cnf_make(const m2mi_call_t *call)
{
    m2_json_t *cnf = m2_json_make(call->r->pool);

    if (call->jkt) {
        m2_json_set_string(cnf, "jkt", call->jkt);
    }
    if (call->who.x5t) {
        m2_json_set_string(cnf, "x5t#S256", call->who.x5t);
    }
    return cnf;
}

static const m2_json_t *claims_make(const m2mi_call_t *call, const m2_scope_t *scope,
                                    const char *jti)
{
    m2_json_t *claims = m2_json_make(call->r->pool);

    m2_json_set_string(claims, "iss", call->conf->name);
    m2_json_set_string(claims, "aud", scope->audience);
    m2_json_set_string(claims, "sub", call->who.client);
    m2_json_set_string(claims, "client_id", call->who.client);
    m2_json_set_string(claims, "scope", scope->permissions);
    m2_json_set_string(claims, "jti", jti);
    m2_json_set_int(claims, "iat", call->now);
    m2_json_set_int(claims, "nbf", call->now);
    m2_json_set_int(claims, "exp", call->now + lifetime_of(call));
    if (call->jkt || call->who.x5t) {
        m2_json_set_json(claims, "cnf", cnf_make(call));
    }
    return claims;
}

static m2_oauth_error_t token_make(const char **ptoken, m2mi_call_t *call,
                                   const m2_scope_t *scope)
{
    apr_pool_t *pool = call->r->pool;
    const m2mi_key_t *key = &APR_ARRAY_IDX(call->conf->keys, 0, m2mi_key_t);
    const char *jti = jti_make(pool), *payload;
    m2_err_t err;

    m2_err_init(&err, pool);
    payload = jti ? m2_json_dump(pool, claims_make(call, scope, jti)) : NULL;
    if (!payload || m2_jws_sign_under(ptoken, pool, key->head, m2_slice_z(payload), key->jwk,
                                      key->alg, &err) != M2_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, "M2-713: cannot sign: %s",
                      err.text ? err.text : "no randomness");
        return m2mi_stop(call, M2_OAUTH_SERVER_ERROR, "the token cannot be made");
    }
    m2mi_figures_count(M2_OAUTH_OK);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r,
                  "M2-714: token for client %s at %s, kid %s, jti %s", call->who.client,
                  scope->audience, key->jwk->kid, jti);
    return M2_OAUTH_OK;
}

static const m2_json_t *answer_make(const m2mi_call_t *call, const char *token,
                                    const m2_scope_t *scope)
{
    m2_json_t *doc = m2_json_make(call->r->pool);

    m2_json_set_string(doc, "access_token", token);
    m2_json_set_string(doc, "token_type", call->jkt ? "DPoP" : "Bearer");
    m2_json_set_int(doc, "expires_in", lifetime_of(call));
    m2_json_set_int(doc, "expires_at", call->now + lifetime_of(call));
    m2_json_set_string(doc, "scope", scope->scope);
    return doc;
}

/* What can be used up but once is used up last. */
static m2_oauth_error_t issue(m2mi_call_t *call)
{
    m2_scope_t scope;
    const char *token = NULL;
    m2_oauth_error_t rc;

    if (!APR_ARRAY_IDX(call->conf->keys, 0, m2mi_key_t).jwk) { /* bad at the last restart */
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "there is no key to sign with");
    }
    rc = scope_check(&scope, call);
    rc = rc == M2_OAUTH_OK ? m2mi_proof_check(call) : rc;
    rc = rc == M2_OAUTH_OK ? m2mi_proof_spend(call) : rc;
    rc = rc == M2_OAUTH_OK ? m2mi_client_spend(&call->who, call->r, &call->text) : rc;
    rc = rc == M2_OAUTH_OK ? token_make(&token, call, &scope) : rc;
    if (rc == M2_OAUTH_OK) {
        call->answer = answer_make(call, token, &scope);
    }
    return rc;
}

int m2mi_token_handler(request_rec *r)
{
    return m2mi_endpoint(r, M2_OAUTH_FOR_TOKEN, issue);
}
