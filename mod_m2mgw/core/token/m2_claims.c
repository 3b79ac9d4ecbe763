/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Checks of RFC 7519 4.1 as the policy asks for them. Times are doubles, since a
 * NumericDate may have a fraction and 2^53 is the ceiling; a JSON null counts as absent.
 */
#include "token/m2_claims.h"

#include "token/m2_scope.h"

#define MOST_SHOWN 200 /* bytes of a value, or of a list, in a sentence */

/* text, cut where a character of UTF-8 ends, with dots for the rest */
static const char *cut(apr_pool_t *pool, const char *text)
{
    apr_size_t n = strlen(text);

    if (n <= MOST_SHOWN) {
        return text;
    }
    for (n = MOST_SHOWN; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--) {
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, text, n), "...", NULL);
}

m2_code_t m2_claims_refuse(m2_err_t *err, m2_code_t code, const char *name,
                           const m2_json_t *found, const apr_array_header_t *accepted)
{
    const char *list = "";
    int i;

    if (!err || err->code != M2_OK) {
        return code;
    }
    for (i = 0; accepted && i < accepted->nelts && strlen(list) < MOST_SHOWN; i++) {
        list = apr_pstrcat(err->pool, list, i ? ", \"" : "\"",
                           APR_ARRAY_IDX(accepted, i, const char *), "\"", NULL);
    }
    if (!found) {
        return m2_err_set(err, code, "there is no %s; accepted: %s", name, cut(err->pool, list));
    }
    return m2_err_set(err, code, "%s is %s; accepted: %s", name,
                      cut(err->pool, m2_json_dump(err->pool, found)), cut(err->pool, list));
}

/* Whether exp is read and required. */
static int wants_exp(const m2_claims_policy_t *policy)
{
    return !policy->ignore_expiration || policy->need_exp || policy->max_lifetime > 0;
}

static m2_code_t read_time(double *pseconds, int *phas, const m2_json_t *claims,
                           const char *name, m2_err_t *err)
{
    m2_code_t code = m2_json_time(m2_json_get(claims, name), pseconds);

    *phas = code == M2_OK;
    return code == M2_E_CLAIM_INVALID
               ? m2_err_set(err, code, "%s is not a time in 0 to 2^53 seconds", name)
               : M2_OK;
}

m2_code_t m2_times_read(m2_times_t *times, const m2_json_t *claims,
                        const m2_claims_policy_t *policy, m2_err_t *err)
{
    m2_code_t code = M2_OK;

    memset(times, 0, sizeof(*times));
    if (wants_exp(policy)) {
        code = read_time(&times->exp, &times->has_exp, claims, "exp", err);
    }
    if (code == M2_OK) {
        code = read_time(&times->nbf, &times->has_nbf, claims, "nbf", err);
    }
    if (code == M2_OK) {
        code = read_time(&times->iat, &times->has_iat, claims, "iat", err);
    }
    return code;
}

static m2_code_t check_expiration(const m2_times_t *times,
                                  const m2_claims_policy_t *policy, double now,
                                  m2_err_t *err)
{
    if (!wants_exp(policy)) {
        return M2_OK;
    }
    if (!times->has_exp) {
        return m2_err_set(err, M2_E_CLAIM_MISSING, "the claim exp is missing");
    }
    if (policy->ignore_expiration && !policy->need_exp) { /* M2MMaxLifetime alone wants it */
        return M2_OK;
    }
    /* RFC 7519 4.1.4: on or after exp the token must not be accepted */
    if (now >= times->exp + (double)policy->leeway) {
        return m2_err_set(err, M2_E_EXPIRED, "the token has expired");
    }
    return M2_OK;
}

/* The whole life that the issuer gave it; without iat what is left of it. */
static m2_code_t check_lifetime(const m2_times_t *times, const m2_claims_policy_t *policy,
                                double now, m2_err_t *err)
{
    const double from = times->has_iat ? times->iat : now;

    if (policy->max_lifetime > 0 && times->exp - from > (double)policy->max_lifetime) {
        return m2_err_set(err, M2_E_CLAIM_INVALID, "the token lives longer than is allowed");
    }
    return M2_OK;
}

static m2_code_t check_age(const m2_times_t *times, const m2_claims_policy_t *policy,
                           double now, m2_err_t *err)
{
    if (policy->max_age < 0) {
        return M2_OK;
    }
    if (!times->has_iat) {
        return m2_err_set(err, M2_E_CLAIM_MISSING, "the claim iat is missing");
    }
    if (now - times->iat > (double)policy->max_age) {
        return m2_err_set(err, M2_E_TOO_OLD, "the token was issued too long ago");
    }
    return M2_OK;
}

m2_code_t m2_times_check(const m2_times_t *times, const m2_claims_policy_t *policy,
                         apr_time_t now, m2_err_t *err)
{
    const double seconds = (double)now / APR_USEC_PER_SEC;
    const double ahead = seconds + (double)policy->leeway;
    m2_code_t code = check_expiration(times, policy, seconds, err);

    if (code != M2_OK) {
        return code;
    }
    if (times->has_nbf && times->nbf > ahead) {
        return m2_err_set(err, M2_E_NOT_YET_VALID, "nbf lies in the future");
    }
    if (times->has_iat && times->iat > ahead) {
        return m2_err_set(err, M2_E_NOT_YET_VALID, "iat lies in the future");
    }
    code = check_lifetime(times, policy, seconds, err);
    return code ? code : check_age(times, policy, seconds, err);
}

/* names may be NULL */
static int is_one_of(m2_slice_t value, const apr_array_header_t *names)
{
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        if (m2_slice_is(value, APR_ARRAY_IDX(names, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* A claim that is there; JSON null is not. */
static const m2_json_t *present(const m2_json_t *json)
{
    return m2_json_type(json) == M2_JSON_NULL ? NULL : json;
}

/* all that would have been accepted, for the message */
static const apr_array_header_t *accepted(apr_pool_t *pool, const m2_claims_policy_t *policy)
{
    if (!policy->issuers || !policy->bound) {
        return policy->issuers ? policy->issuers : policy->bound;
    }
    return apr_array_append(pool, policy->issuers, policy->bound);
}

static m2_code_t check_issuer(const m2_json_t *claims, const m2_claims_policy_t *policy,
                              m2_err_t *err)
{
    const m2_json_t *iss = present(m2_json_get(claims, "iss"));

    if ((!policy->issuers || !policy->issuers->nelts)
        && (!policy->bound || !policy->bound->nelts)) {
        return M2_OK;
    }
    if (!iss) {
        return m2_err_set(err, M2_E_CLAIM_MISSING, "the claim iss is missing");
    }
    if (!m2_json_string(iss).p) {
        return m2_err_set(err, M2_E_CLAIM_INVALID, "iss is not a string");
    }
    return is_one_of(m2_json_string(iss), policy->issuers)
                   || is_one_of(m2_json_string(iss), policy->bound)
               ? M2_OK
               : m2_claims_refuse(err, M2_E_ISSUER_MISMATCH, "iss", iss,
                                  err ? accepted(err->pool, policy) : NULL);
}

/* RFC 7519 4.1.3: a string, or an array of strings; *pfound says whether one is accepted.
 * */
static m2_code_t search_audience(int *pfound, const m2_json_t *aud,
                                 const apr_array_header_t *audiences, m2_err_t *err)
{
    apr_size_t i, n = m2_json_type(aud) == M2_JSON_ARRAY ? m2_json_length(aud) : 1;

    *pfound = 0;
    for (i = 0; i < n; i++) {
        const m2_json_t *one =
            m2_json_type(aud) == M2_JSON_ARRAY ? m2_json_at(aud, i) : aud;

        if (!m2_json_string(one).p) {
            return m2_err_set(err, M2_E_CLAIM_INVALID,
                              "aud is neither a string nor an array of strings");
        }
        *pfound |= is_one_of(m2_json_string(one), audiences);
    }
    return M2_OK;
}

static m2_code_t check_audience(const m2_json_t *claims, const m2_claims_policy_t *policy,
                                m2_err_t *err)
{
    const m2_json_t *aud = present(m2_json_get(claims, "aud"));
    m2_code_t code;
    int found;

    if (!policy->audiences || !policy->audiences->nelts) {
        return M2_OK;
    }
    if (!aud) {
        return m2_err_set(err, M2_E_CLAIM_MISSING, "the claim aud is missing");
    }
    code = search_audience(&found, aud, policy->audiences, err);
    if (code == M2_OK && !found) {
        code = m2_claims_refuse(err, M2_E_AUDIENCE_MISMATCH, "aud", aud, policy->audiences);
    }
    return code;
}

/* One of the values, wherever scopes stand or in json. */
static int has_any(const m2_json_t *claims, const m2_json_t *json, const m2_require_t *require,
                   const apr_array_header_t *scopes)
{
    const int is_scope = m2_scope_is(scopes, require->name);
    int i;

    for (i = 0; i < require->values->nelts; i++) {
        const m2_slice_t value = m2_slice_z(APR_ARRAY_IDX(require->values, i, const char *));

        if (is_scope ? m2_scope_has(scopes, claims, value) : m2_json_has(json, value, 0)) {
            return 1;
        }
    }
    return 0;
}

static int has_values(const m2_require_t *require)
{
    return require->values && require->values->nelts;
}

static m2_code_t check_required(const m2_json_t *claims, const m2_claims_policy_t *policy,
                                m2_err_t *err)
{
    int i;

    for (i = 0; policy->requires && i < policy->requires->nelts; i++) {
        const m2_require_t *require = &APR_ARRAY_IDX(policy->requires, i, m2_require_t);
        const m2_json_t *claim = m2_json_path(claims, require->name);

        if (m2_scope_is(policy->scopes, require->name)) {
            continue;
        }
        if (!claim) {
            return m2_err_set(err, M2_E_CLAIM_MISSING, "the claim %s is missing",
                              require->name);
        }
        if (has_values(require) && !has_any(claims, claim, require, policy->scopes)) {
            return m2_err_set(err, M2_E_CLAIM_INVALID,
                              "the claim %s has none of the required values",
                              require->name);
        }
    }
    return M2_OK;
}

m2_code_t m2_claims_check_scopes(const char **pmissing, apr_pool_t *pool,
                                 const m2_json_t *claims, const m2_claims_policy_t *policy,
                                 m2_err_t *err)
{
    int i;

    *pmissing = NULL;
    for (i = 0; policy->requires && i < policy->requires->nelts; i++) {
        const m2_require_t *require = &APR_ARRAY_IDX(policy->requires, i, m2_require_t);

        if (!m2_scope_is(policy->scopes, require->name)
            || m2_claim_matches(claims, require, policy->scopes)) {
            continue;
        }
        if (has_values(require)) {
            *pmissing = apr_array_pstrcat(pool, require->values, ' ');
        }
        return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE, "the token grants none of: %s",
                          *pmissing ? *pmissing : "any scope");
    }
    return M2_OK;
}

m2_code_t m2_claims_check(const m2_json_t *claims, const m2_claims_policy_t *policy,
                          m2_err_t *err)
{
    m2_code_t code = check_issuer(claims, policy, err);

    if (code == M2_OK) {
        code = check_audience(claims, policy, err);
    }
    if (code == M2_OK) {
        code = check_required(claims, policy, err);
    }
    return code;
}

int m2_claim_matches(const m2_json_t *claims, const m2_require_t *require,
                     const apr_array_header_t *scopes)
{
    const m2_json_t *claim = m2_json_path(claims, require->name);

    if (has_values(require)) {
        return has_any(claims, claim, require, scopes);
    }
    return m2_scope_is(scopes, require->name) ? m2_scope_any(scopes, claims) : claim != NULL;
}
