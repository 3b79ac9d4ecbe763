/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The payload is read before it is trusted, because only it tells whose key to verify with
 * (client_id is optional beside an assertion, RFC 7521 4.2). It chooses among keys that an
 * administrator registered, never brings one.
 */
#include "oauth/m2_assertion.h"

#include "token/m2_verify.h"

/* RFC 8725 3.11 and 3.12: a key that signs assertions may sign proofs, tokens and more, and none
 * of those logs anybody in. */
static m2_code_t typ_check(const m2_jws_t *jws, m2_err_t *err)
{
    static const char *const types[] = { "JWT", "client-authentication+jwt" };
    apr_size_t i;

    for (i = 0; jws->typ.p && i < sizeof(types) / sizeof(types[0]); i++) {
        if (m2_jws_typ_is(jws, types[i])) {
            return M2_OK;
        }
    }
    return !jws->typ.p ? M2_OK
                       : m2_err_set(err, M2_E_TYP_MISMATCH,
                                    "typ of client_assertion must be JWT or "
                                    "client-authentication+jwt, if it has one");
}

static m2_code_t client_read(m2_assertion_t *assertion, apr_pool_t *pool,
                             const m2_json_t *claims, const char *client_id, m2_err_t *err)
{
    m2_slice_t sub = m2_json_string(m2_json_get(claims, "sub"));

    /* RFC 7523 3: both are the client_id */
    if (!sub.p || !m2_slice_eq(sub, m2_json_string(m2_json_get(claims, "iss")))) {
        return m2_err_set(err, M2_E_CLAIM_INVALID,
                          "iss and sub of client_assertion must both be the client_id");
    }
    if (client_id && !m2_slice_is(sub, client_id)) {
        return m2_err_set(err, M2_E_CLAIM_INVALID,
                          "client_id differs from the subject of client_assertion");
    }
    assertion->client = m2_slice_dup(pool, sub);
    return M2_OK;
}

static m2_code_t jti_read(m2_assertion_t *assertion, apr_pool_t *pool,
                          const m2_json_t *claims, m2_err_t *err)
{
    m2_slice_t jti = m2_json_string(m2_json_get(claims, "jti"));

    if (!jti.p || jti.n == 0 || jti.n > M2_ASSERTION_JTI) {
        return m2_err_set(err, M2_E_JTI_MISSING,
                          "client_assertion needs a jti of at most %d bytes",
                          M2_ASSERTION_JTI);
    }
    assertion->jti = m2_slice_dup(pool, jti);
    return M2_OK;
}

/* We alone: whoever else it is meant for could log in here with it. */
static m2_code_t audience_check(const m2_json_t *claims, const apr_array_header_t *audiences,
                                m2_err_t *err)
{
    const m2_json_t *aud = m2_json_get(claims, "aud");
    apr_size_t i, n = m2_json_type(aud) == M2_JSON_ARRAY ? m2_json_length(aud) : 0;
    int k;

    for (i = 0; i < n; i++) {
        const m2_slice_t one = m2_json_string(m2_json_at(aud, i));

        for (k = 0; k < audiences->nelts
                    && !m2_slice_is(one, APR_ARRAY_IDX(audiences, k, const char *)); k++) {
        }
        if (k == audiences->nelts) {
            return m2_err_set(err, M2_E_AUDIENCE_MISMATCH,
                              "aud of client_assertion names others beside the issuer and its "
                              "token endpoint");
        }
    }
    return M2_OK;
}

/* audience and times; a far exp would have us remember the id for as long */
static m2_code_t claims_check(m2_assertion_t *assertion, const m2_json_t *claims,
                              const apr_array_header_t *audiences, apr_time_t now,
                              m2_err_t *err)
{
    m2_claims_policy_t policy = { .audiences = audiences,
                                  .leeway = M2_ASSERTION_LEEWAY,
                                  .max_age = -1,
                                  .need_exp = 1 };
    m2_times_t times;
    m2_code_t rc = m2_times_read(&times, claims, &policy, err);

    rc = rc == M2_OK ? m2_times_check(&times, &policy, now, err) : rc;
    rc = rc == M2_OK ? m2_claims_check(claims, &policy, err) : rc;
    rc = rc == M2_OK ? audience_check(claims, audiences, err) : rc;
    if (rc != M2_OK) {
        return rc;
    }
    if (times.exp > (double)apr_time_sec(now) + M2_ASSERTION_LIFE) {
        return m2_err_set(err, M2_E_CLAIM_INVALID,
                          "client_assertion must expire within %d seconds",
                          M2_ASSERTION_LIFE);
    }
    assertion->exp = times.exp;
    return M2_OK;
}

/* With the keys of the client; without keys to try, a decoy costs the same. */
static m2_code_t signature_check(m2_jws_t *jws, apr_pool_t *pool, const char *client,
                                 const m2_assertion_rules_t *rules, m2_err_t *err)
{
    const m2_keyset_t *keys = rules->keys_of(client, rules->baton);
    const m2_jwk_t *jwk = NULL, *decoy;
    int tries = 0;
    m2_code_t rc = keys ? m2_jws_verify_with(&jwk, &tries, jws, pool, keys,
                                             ~(m2_alg_mask_t)0, err)
                        : m2_err_set(err, M2_E_KID_UNKNOWN,
                                     "no keys are registered for the client");

    if (rc == M2_OK || tries) {
        return rc;
    }
    decoy = rules->decoy_of ? rules->decoy_of(client, jws->alg, rules->baton) : NULL;
    if (decoy) {
        (void)m2_jws_verify(jws, pool, decoy, NULL); /* whatever it says, rc stands */
    }
    return rc;
}

m2_code_t m2_assertion_check(m2_assertion_t *assertion, apr_pool_t *pool, m2_slice_t token,
                             const char *client_id, const m2_assertion_rules_t *rules,
                             m2_err_t *err)
{
    const m2_json_t *claims = NULL;
    m2_jws_t jws;
    m2_code_t rc;

    memset(&jws, 0, sizeof(jws));
    memset(assertion, 0, sizeof(*assertion));
    rc = m2_jws_split(&jws, token, err);
    rc = rc == M2_OK ? m2_jws_header(&jws, pool, NULL, err) : rc;
    rc = rc == M2_OK ? typ_check(&jws, err) : rc;
    rc = rc == M2_OK ? m2_jws_payload(&claims, &jws, pool, err) : rc;
    rc = rc == M2_OK ? client_read(assertion, pool, claims, client_id, err) : rc;
    rc = rc == M2_OK ? signature_check(&jws, pool, assertion->client, rules, err) : rc;
    rc = rc == M2_OK ? claims_check(assertion, claims, rules->audiences, rules->now, err)
                     : rc;
    return rc == M2_OK ? jti_read(assertion, pool, claims, err) : rc;
}
