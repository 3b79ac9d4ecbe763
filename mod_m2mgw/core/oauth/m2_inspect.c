/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Our own tokens are read as strictly as those of others. No leeway: the clock that made them
 * is this one, or one that is kept as well.
 */
#include "oauth/m2_inspect.h"

#include "token/m2_claims.h"
#include "token/m2_jws.h"
#include "token/m2_verify.h"

static m2_code_t verify(const m2_json_t **pclaims, const m2_jwk_t **pjwk, apr_pool_t *pool,
                        m2_slice_t text, const m2_inspect_rules_t *rules, m2_err_t *err)
{
    apr_array_header_t *types = apr_array_make(pool, 1, sizeof(const char *));
    m2_code_t rc;
    m2_jws_t jws;
    int tries = 0;

    APR_ARRAY_PUSH(types, const char *) = "at+jwt";
    memset(&jws, 0, sizeof(jws));
    rc = m2_jws_split(&jws, text, err);
    rc = rc == M2_OK ? m2_jws_header(&jws, pool, types, err) : rc;
    rc = rc == M2_OK ? m2_jws_verify_with(pjwk, &tries, &jws, pool, rules->keys,
                                          ~(m2_alg_mask_t)0, err) : rc;
    return rc == M2_OK ? m2_jws_payload(pclaims, &jws, pool, err) : rc;
}

static m2_code_t claims_check(apr_pool_t *pool, const m2_json_t *claims,
                              const m2_inspect_rules_t *rules, m2_times_t *times,
                              m2_err_t *err)
{
    apr_array_header_t *issuers = apr_array_make(pool, 1, sizeof(const char *));
    m2_claims_policy_t policy = { .max_age = -1, .need_exp = 1 };
    m2_code_t rc;

    APR_ARRAY_PUSH(issuers, const char *) = rules->issuer;
    policy.issuers = issuers;
    rc = m2_times_read(times, claims, &policy, err);
    rc = rc == M2_OK ? m2_times_check(times, &policy, rules->now, err) : rc;
    return rc == M2_OK ? m2_claims_check(claims, &policy, err) : rc;
}

static const char *text_of(apr_pool_t *pool, const m2_json_t *claims, const char *name)
{
    return m2_slice_dup(pool, m2_json_string(m2_json_get(claims, name)));
}

m2_code_t m2_inspect(m2_inspected_t *token, apr_pool_t *pool, m2_slice_t text,
                     const m2_inspect_rules_t *rules, m2_err_t *err)
{
    const m2_json_t *claims = NULL;
    const m2_jwk_t *jwk = NULL;
    m2_times_t times;
    m2_code_t rc = verify(&claims, &jwk, pool, text, rules, err);

    memset(token, 0, sizeof(*token));
    rc = rc == M2_OK ? claims_check(pool, claims, rules, &times, err) : rc;
    if (rc != M2_OK) {
        return rc;
    }
    token->claims = claims;
    token->audience = text_of(pool, claims, "aud");
    token->client = text_of(pool, claims, "client_id");
    token->jti = text_of(pool, claims, "jti");
    token->exp = (apr_int64_t)times.exp;
    if (!token->audience || !token->client || !token->jti) {
        return m2_err_set(err, M2_E_CLAIM_MISSING, "a token of ours has aud, client_id and jti");
    }
    token->kid = jwk->kid;
    return M2_OK;
}

const m2_json_t *m2_inspect_document(apr_pool_t *pool, const m2_inspected_t *token)
{
    static const char *const told[] = { "iss", "aud", "sub", "client_id", "scope",
                                        "exp", "iat", "nbf", "jti", "cnf" };
    m2_json_t *doc = m2_json_make(pool);
    const m2_json_t *cnf = m2_json_get(token->claims, "cnf");
    size_t i;

    m2_json_set_bool(doc, "active", 1);
    for (i = 0; i < sizeof(told) / sizeof(*told); i++) {
        const m2_json_t *claim = m2_json_get(token->claims, told[i]);

        if (claim) {
            m2_json_set_json(doc, told[i], claim);
        }
    }
    m2_json_set_string(doc, "token_type", m2_json_get(cnf, "jkt") ? "DPoP" : "Bearer");
    return doc;
}

const m2_json_t *m2_inspect_nothing(apr_pool_t *pool)
{
    m2_json_t *doc = m2_json_make(pool);

    m2_json_set_bool(doc, "active", 0);
    return doc;
}
