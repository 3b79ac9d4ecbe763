/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Claims against a policy, at a constant clock: both sides of every border.
 */
#include "unit.h"

#include "token/m2_claims.h"

#define NOW 1000000 /* seconds */

static m2_claims_policy_t policy;

static void fresh(void)
{
    memset(&policy, 0, sizeof(policy));
    policy.leeway = 60;
    policy.max_age = -1;
    clean();
}

static const apr_array_header_t *list(const char *a, const char *b)
{
    apr_array_header_t *names = apr_array_make(pool, 2, sizeof(const char *));

    if (a) {
        APR_ARRAY_PUSH(names, const char *) = a;
    }
    if (b) {
        APR_ARRAY_PUSH(names, const char *) = b;
    }
    return names;
}

static const m2_json_t *claims(const char *text)
{
    const m2_json_t *json;

    assert_int_equal(m2_json_parse(&json, pool, z(text), M2_E_CONFIG, &err), M2_OK);
    return json;
}

static m2_code_t times_at(const char *text, double now)
{
    m2_times_t times;
    m2_code_t code;

    clean();
    code = m2_times_read(&times, claims(text), &policy, &err);
    return code == M2_OK ? m2_times_check(&times, &policy, (apr_time_t)(now * APR_USEC_PER_SEC),
                                          &err)
                         : code;
}

static m2_code_t check(const char *text)
{
    clean();
    return m2_claims_check(claims(text), &policy, &err);
}

static void test_exp(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(times_at("{\"exp\":1000001}", NOW), M2_OK);
    assert_int_equal(times_at("{\"exp\":1000000}", NOW + 59), M2_OK);
    assert_int_equal(times_at("{\"exp\":1000000}", NOW + 59.999), M2_OK);
    assert_int_equal(times_at("{\"exp\":1000000}", NOW + 60), M2_E_EXPIRED);
    assert_int_equal(times_at("{\"exp\":1000000.5}", NOW + 60), M2_OK);
    assert_int_equal(times_at("{\"exp\":0}", NOW), M2_E_EXPIRED);
    assert_int_equal(times_at("{}", NOW), M2_E_CLAIM_MISSING);
    assert_int_equal(times_at("{\"exp\":null}", NOW), M2_E_CLAIM_MISSING);
    assert_int_equal(times_at("{\"exp\":\"2000000\"}", NOW), M2_E_CLAIM_INVALID);
    assert_int_equal(times_at("{\"exp\":-1}", NOW), M2_E_CLAIM_INVALID);
    assert_int_equal(times_at("{\"exp\":1e300}", NOW), M2_E_CLAIM_INVALID);
    assert_int_equal(times_at("{\"exp\":9007199254740992}", NOW), M2_OK);
    policy.leeway = 0;
    assert_int_equal(times_at("{\"exp\":1000000}", NOW), M2_E_EXPIRED);
    assert_int_equal(times_at("{\"exp\":1000000}", NOW - 0.001), M2_OK);
}

static void test_exp_ignored(void **state)
{
    (void)state;
    fresh();
    policy.ignore_expiration = 1;
    assert_int_equal(times_at("{}", NOW), M2_OK);
    assert_int_equal(times_at("{\"exp\":1}", NOW), M2_OK);
    assert_int_equal(times_at("{\"exp\":\"soon\"}", NOW), M2_OK);
    assert_int_equal(times_at("{\"exp\":1,\"nbf\":2000000}", NOW), M2_E_NOT_YET_VALID);
    policy.need_exp = 1;
    assert_int_equal(times_at("{}", NOW), M2_E_CLAIM_MISSING);
    assert_int_equal(times_at("{\"exp\":1}", NOW), M2_E_EXPIRED);
    assert_int_equal(times_at("{\"exp\":2000000}", NOW), M2_OK);
}

static void test_nbf_and_iat(void **state)
{
    static const char *const names[] = { "nbf", "iat" };
    size_t i;

    (void)state;
    fresh();
    policy.ignore_expiration = 1;
    for (i = 0; i < 2; i++) {
        const char *at = apr_psprintf(pool, "{\"%s\":1000000}", names[i]);

        assert_int_equal(times_at(at, NOW), M2_OK);
        assert_int_equal(times_at(at, NOW - 60), M2_OK);
        assert_int_equal(times_at(at, NOW - 60.001), M2_E_NOT_YET_VALID);
        assert_int_equal(times_at(apr_psprintf(pool, "{\"%s\":\"0\"}", names[i]), NOW),
                         M2_E_CLAIM_INVALID);
        assert_int_equal(times_at(apr_psprintf(pool, "{\"%s\":null}", names[i]), NOW),
                         M2_OK); /* null is absent */
    }
}

static void test_max_age(void **state)
{
    (void)state;
    fresh();
    policy.ignore_expiration = 1;
    policy.max_age = 300;
    assert_int_equal(times_at("{\"iat\":1000000}", NOW + 300), M2_OK);
    assert_int_equal(times_at("{\"iat\":1000000}", NOW + 300.001), M2_E_TOO_OLD);
    assert_int_equal(times_at("{}", NOW), M2_E_CLAIM_MISSING);
    policy.max_age = 0;
    assert_int_equal(times_at("{\"iat\":1000000}", NOW), M2_OK);
    assert_int_equal(times_at("{\"iat\":1000000}", NOW + 1), M2_E_TOO_OLD);
}

static void test_issuer(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(check("{}"), M2_OK);
    assert_int_equal(check("{\"iss\":7}"), M2_OK); /* not looked at */
    policy.issuers = list(NULL, NULL);
    assert_int_equal(check("{}"), M2_OK);
    policy.issuers = list("https://a.example", "https://b.example");
    assert_int_equal(check("{\"iss\":\"https://b.example\"}"), M2_OK);
    assert_int_equal(check("{\"iss\":\"https://b.example/\"}"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(check("{\"iss\":\"https://B.example\"}"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(check("{\"iss\":\"\"}"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(check("{\"iss\":[\"https://a.example\"]}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"iss\":7}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"iss\":null}"), M2_E_CLAIM_MISSING);
    assert_int_equal(check("{}"), M2_E_CLAIM_MISSING);
}

static void test_audience(void **state)
{
    (void)state;
    fresh();
    policy.audiences = list("orders", "stock");
    assert_int_equal(check("{\"aud\":\"stock\"}"), M2_OK);
    assert_int_equal(check("{\"aud\":[\"x\",\"orders\"]}"), M2_OK);
    assert_int_equal(check("{\"aud\":[\"x\"]}"), M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(check("{\"aud\":[]}"), M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(check("{\"aud\":\"orders stock\"}"), M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(check("{\"aud\":\"order\"}"), M2_E_AUDIENCE_MISMATCH);
    assert_int_equal(check("{\"aud\":[\"orders\",1]}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"aud\":{\"orders\":1}}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"aud\":true}"), M2_E_CLAIM_INVALID);
    assert_int_equal(check("{\"aud\":null}"), M2_E_CLAIM_MISSING);
    assert_int_equal(check("{}"), M2_E_CLAIM_MISSING);
}

static m2_code_t required(const char *name, const char *a, const char *b, const char *text)
{
    apr_array_header_t *all = apr_array_make(pool, 1, sizeof(m2_require_t));
    m2_require_t *one = apr_array_push(all);
    m2_code_t code;

    one->name = name;
    one->values = list(a, b);
    policy.requires = all;
    code = check(text);
    assert_int_equal(m2_claim_matches(claims(text), one, policy.scopes), code == M2_OK);
    return code;
}

static void test_required(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(required("sub", NULL, NULL, "{\"sub\":\"\"}"), M2_OK);
    assert_int_equal(required("sub", NULL, NULL, "{\"sub\":null}"), M2_E_CLAIM_MISSING);
    assert_int_equal(required("sub", NULL, NULL, "{}"), M2_E_CLAIM_MISSING);
    assert_int_equal(required("sub", "x", "y", "{\"sub\":\"y\"}"), M2_OK);
    assert_int_equal(required("sub", "x", "y", "{\"sub\":\"x y\"}"), M2_E_CLAIM_INVALID);
    assert_int_equal(required("roles", "x", "y", "{\"roles\":[\"a\",\"y\"]}"), M2_OK);
    assert_int_equal(required("roles", "x", "y", "{\"roles\":[]}"), M2_E_CLAIM_INVALID);
    assert_int_equal(required("level", "3", NULL, "{\"level\":3}"), M2_OK);
    assert_int_equal(required("level", "3", NULL, "{\"level\":30}"), M2_E_CLAIM_INVALID);
    assert_int_equal(required("ok", "true", NULL, "{\"ok\":true}"), M2_OK);
    assert_int_equal(required("a.b.c", "z", NULL, "{\"a\":{\"b\":{\"c\":\"z\"}}}"), M2_OK);
    assert_int_equal(required("a.b.c", "z", NULL, "{\"a\":{\"b\":\"z\"}}"), M2_E_CLAIM_MISSING);
}

static m2_code_t scoped(const char *name, const char *a, const char *b, const char *text)
{
    apr_array_header_t *all = apr_array_make(pool, 1, sizeof(m2_require_t));
    m2_require_t *one = apr_array_push(all);
    const char *missing;
    m2_code_t code;

    one->name = name;
    one->values = list(a, b);
    policy.requires = all;
    assert_int_equal(check(text), M2_OK); /* the token is good, whatever it grants */
    code = m2_claims_check_scopes(&missing, pool, claims(text), &policy, &err);
    assert_int_equal(m2_claim_matches(claims(text), one, policy.scopes), code == M2_OK);
    if (code != M2_OK && a) {
        assert_string_equal(missing, b ? apr_pstrcat(pool, a, " ", b, NULL) : a);
    }
    return code;
}

/* a scope that is missing is not a reason to fetch another token: 403 */
static void test_required_scope(void **state)
{
    (void)state;
    fresh();
    assert_int_equal(scoped("scope", "r", NULL, "{\"scope\":\"w r\"}"), M2_OK);
    assert_int_equal(scoped("scope", "r", NULL, "{\"scp\":[\"w\",\"r\"]}"), M2_OK);
    assert_int_equal(scoped("scp", "x", "r", "{\"scope\":\"w r\"}"), M2_OK);
    assert_int_equal(scoped("scope", "r", NULL, "{\"scope\":\"w r2\"}"), M2_E_INSUFFICIENT_SCOPE);
    assert_int_equal(scoped("scope", "r", "s", "{}"), M2_E_INSUFFICIENT_SCOPE);
    assert_int_equal(scoped("scope", NULL, NULL, "{}"), M2_E_INSUFFICIENT_SCOPE);
    assert_int_equal(scoped("scope", NULL, NULL, "{\"scp\":\"\"}"), M2_OK);
    policy.scopes = list("roles", NULL);
    assert_int_equal(scoped("roles", "r", NULL, "{\"roles\":[\"r\"]}"), M2_OK);
    assert_int_equal(required("scope", "r", NULL, "{\"scope\":\"w r\"}"), M2_E_CLAIM_INVALID);
    assert_int_equal(required("scope", "w r", NULL, "{\"scope\":\"w r\"}"), M2_OK);
}

static void test_bound_issuers(void **state)
{
    (void)state;
    fresh();
    policy.bound = list("https://bound.example", NULL);
    assert_int_equal(check("{\"iss\":\"https://bound.example\"}"), M2_OK);
    assert_int_equal(check("{\"iss\":\"https://other.example\"}"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(check("{}"), M2_E_CLAIM_MISSING);
    policy.issuers = list("https://other.example", NULL);
    assert_int_equal(check("{\"iss\":\"https://bound.example\"}"), M2_OK);
    assert_int_equal(check("{\"iss\":\"https://other.example\"}"), M2_OK);
    assert_int_equal(check("{\"iss\":\"https://third.example\"}"), M2_E_ISSUER_MISMATCH);
    assert_non_null(strstr(err.text, "\"https://other.example\", \"https://bound.example\""));
    policy.bound = NULL;
    assert_int_equal(check("{\"iss\":\"https://bound.example\"}"), M2_E_ISSUER_MISMATCH);
}

static m2_code_t lives(const char *text)
{
    m2_times_t times;
    m2_code_t code;

    clean();
    code = m2_times_read(&times, claims(text), &policy, &err);
    return code ? code : m2_times_check(&times, &policy, apr_time_from_sec(NOW), &err);
}

static void test_max_lifetime(void **state)
{
    (void)state;
    fresh();
    policy.max_lifetime = 3600;
    assert_int_equal(lives("{\"iat\":999000,\"exp\":1002600}"), M2_OK);
    assert_int_equal(lives("{\"iat\":999000,\"exp\":1002601}"), M2_E_CLAIM_INVALID);
    assert_int_equal(lives("{\"exp\":1003600}"), M2_OK);
    assert_int_equal(lives("{\"exp\":1003601}"), M2_E_CLAIM_INVALID);
    policy.ignore_expiration = 1;
    assert_int_equal(lives("{}"), M2_E_CLAIM_MISSING);
    assert_int_equal(lives("{\"iat\":900000,\"exp\":900001}"), M2_OK);
    policy.max_lifetime = 0;
    assert_int_equal(lives("{}"), M2_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_exp),     unit(test_exp_ignored), unit(test_nbf_and_iat),
        unit(test_max_age), unit(test_issuer),      unit(test_audience),
        unit(test_required_scope), unit(test_bound_issuers), unit(test_max_lifetime),
        unit(test_required),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
