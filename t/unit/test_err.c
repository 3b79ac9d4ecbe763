/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of refusals, row by row as the public contract has it, and the record.
 */
#include "unit.h"

/* reason, gateway code, status and error of rfc6750, status of gateway */
static const struct row_t {
    m2_code_t code;
    const char *reason, *ca_code;
    int status;
    const char *oauth_error;
    int challenge, gateway_status;
} rows[] = {
    { M2_OK, "ok", NULL, 200, NULL, 0, 200 },
    { M2_BYPASS, "bypass", NULL, 200, NULL, 0, 200 },
    { M2_E_TOKEN_MISSING, "token_missing", "I400JR", 401, NULL, 1, 400 },
    { M2_E_TOKEN_MULTIPLE, "token_multiple", "I400JR", 400, "invalid_request", 1, 400 },
    { M2_E_TOKEN_MALFORMED, "token_malformed", "I400JD", 401, "invalid_token", 1, 400 },
    { M2_E_ALG_NOT_ALLOWED, "alg_not_allowed", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_CRIT_UNSUPPORTED, "crit_unsupported", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_TYP_MISMATCH, "typ_mismatch", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_SIGNATURE_INVALID, "signature_invalid", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_CLAIM_INVALID, "claim_invalid", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_CLAIM_MISSING, "claim_missing", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_NOT_YET_VALID, "not_yet_valid", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_ISSUER_MISMATCH, "issuer_mismatch", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_AUDIENCE_MISMATCH, "audience_mismatch", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_TOO_OLD, "too_old", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_KID_UNKNOWN, "kid_unknown", "A403JK", 401, "invalid_token", 1, 403 },
    { M2_E_EXPIRED, "expired", "A403JE", 401, "invalid_token", 1, 403 },
    { M2_E_JTI_MISSING, "jti_missing", "S403JI", 401, "invalid_token", 1, 403 },
    { M2_E_JTI_REPLAYED, "jti_replayed", "S403JU", 401, "invalid_token", 1, 403 },
    { M2_E_REVOKED, "revoked", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_PROOF_MISSING, "proof_missing", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_CERT_MISMATCH, "cert_mismatch", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_PROOF_INVALID, "proof_invalid", "A403JT", 401, "invalid_dpop_proof", 1, 403 },
    { M2_E_PROOF_UNBOUND, "proof_invalid", "A403JT", 401, "invalid_token", 1, 403 },
    { M2_E_PROOF_REPLAYED, "proof_replayed", "A403JT", 401, "invalid_dpop_proof", 1, 403 },
    { M2_E_PROOF_NONCE, "proof_nonce", "A403JT", 401, "use_dpop_nonce", 2, 401 },
    { M2_E_CLAIM_UNSAFE, "claim_unsafe", "A403JT", 403, NULL, 0, 403 },
    { M2_E_CLAIM_MISSING_PATH, "claim_missing", "A403JT", 403, NULL, 0, 403 },
    { M2_E_PATH_UNSAFE, "path_unsafe", "A403JT", 400, NULL, 0, 400 },
    { M2_E_BODY_UNREADABLE, "body_unreadable", "A403JT", 400, NULL, 0, 400 },
    { M2_E_BODY_TOO_LARGE, "body_too_large", "A403JT", 413, NULL, 0, 413 },
    { M2_E_BODY_UNSUPPORTED, "body_unsupported", "A403JT", 415, NULL, 0, 415 },
    { M2_E_RULE_DENIED, "rule_denied", "A403AC", 0, NULL, 0, 0 },
    { M2_E_RULE_ERROR, "rule_error", "A403AC", 403, NULL, 0, 403 },
    { M2_E_RULE_DEFAULT, "rule_default", "A403AC", 403, NULL, 0, 403 },
    { M2_E_OPERATION_UNKNOWN, "operation_unknown", "A403AC", 403, NULL, 0, 403 },
    { M2_E_METHOD_NOT_ALLOWED, "method_not_allowed", "A403AC", 405, NULL, 0, 405 },
    { M2_E_INSUFFICIENT_SCOPE, "insufficient_scope", "A403AC", 403, "insufficient_scope", 1,
      403 },
    { M2_E_CLAIM_DENIED, "claim_denied", "A403AC", 403, "insufficient_scope", 1, 403 },
    { M2_E_LIMIT_EXCEEDED, "limit_exceeded", "T429PR", 429, NULL, 0, 429 },
    { M2_E_LIMIT_NULL, "limit_exceeded", "T429PR", 403, NULL, 0, 403 },
    { M2_E_KEYS_UNAVAILABLE, "keys_unavailable", "X500ER", 503, NULL, 0, 503 },
    { M2_E_REPLAY_UNAVAILABLE, "replay_unavailable", "X500ER", 503, NULL, 0, 503 },
    { M2_E_REVOCATION_UNAVAILABLE, "revocation_unavailable", "X500ER", 503, NULL, 0, 503 },
    { M2_E_INTERNAL, "internal_error", "X500ER", 500, NULL, 0, 500 },
    { M2_E_REQUIRE_DENIED, "require_denied", NULL, 403, NULL, 0, 403 },
};

static void same_text(const char *a, const char *b)
{
    if (!a || !b) {
        assert_ptr_equal(a, b);
        return;
    }
    assert_string_equal(a, b);
}

static void test_every_row(void **state)
{
    size_t i;

    (void)state;
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), M2_CODES);
    for (i = 0; i < M2_CODES; i++) {
        const m2_reason_t *reason = m2_reason_of((m2_code_t)i);

        assert_int_equal(rows[i].code, i);
        assert_int_equal(reason->code, i);
        same_text(reason->reason, rows[i].reason);
        same_text(reason->ca_code, rows[i].ca_code);
        assert_int_equal(reason->status, rows[i].status);
        same_text(reason->oauth_error, rows[i].oauth_error);
        assert_int_equal(reason->challenge, rows[i].challenge);
        assert_int_equal(reason->gateway_status, rows[i].gateway_status);
        assert_true(reason->text && *reason->text);
        assert_null(strchr(reason->text, '"')); /* it stands inside a quoted-string */
    }
}

static void test_unknown_codes_are_internal(void **state)
{
    (void)state;
    assert_int_equal(m2_reason_of(M2_CODES)->code, M2_E_INTERNAL);
    assert_int_equal(m2_reason_of(M2_E_CONFIG)->code, M2_E_INTERNAL);
    assert_int_equal(m2_reason_of(M2_E_NOT_FOUND)->code, M2_E_INTERNAL);
    assert_int_equal(m2_reason_of((m2_code_t)-1)->code, M2_E_INTERNAL);
}

static void test_first_error_wins(void **state)
{
    (void)state;
    assert_int_equal(m2_err_at(&err, M2_E_CONFIG, 3, 7, "a %s", "b"), M2_E_CONFIG);
    assert_int_equal(m2_err_set(&err, M2_E_INTERNAL, "later"), M2_E_INTERNAL);
    assert_int_equal(err.code, M2_E_CONFIG);
    assert_string_equal(err.text, "a b");
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 7);
    assert_int_equal(m2_err_set(NULL, M2_E_EXPIRED, "nobody asks"), M2_E_EXPIRED);
    assert_int_equal(m2_err_at(NULL, M2_E_EXPIRED, 1, 1, "nobody asks"), M2_E_EXPIRED);
}

static void test_quotes(void **state)
{
    const char *more = apr_psprintf(pool, "%065d", 0);

    (void)state;
    assert_string_equal(m2_err_quote(&err, "a \"\\\n\xe9\0b", 8), "\"a \\x22\\x5c\\x0a\\xe9\\x00b\"");
    assert_string_equal(m2_err_quote(&err, "", 0), "\"\"");
    assert_string_equal(m2_err_quote(&err, more, 64), apr_psprintf(pool, "\"%064d\"", 0));
    assert_string_equal(m2_err_quote(&err, more, 65), apr_psprintf(pool, "\"%064d\"...", 0));
    assert_string_equal(m2_err_quote(NULL, "a", 1), "");
}

static void test_log_is_bounded(void **state)
{
    char *longer = apr_palloc(pool, 5001);

    (void)state;
    memset(longer, 'x', 5000);
    longer[5000] = '\0';
    m2_log(M2_LOG_WARNING, "%s", longer);
    assert_int_equal(logged, 1);
    assert_int_equal(last_level, M2_LOG_WARNING);
    assert_in_range(strlen(last_log), 1000, 1100);
    m2_log_set(NULL, NULL);
    m2_log(M2_LOG_ERR, "nobody listens");
    assert_int_equal(logged, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_every_row),
        unit(test_unknown_codes_are_internal),
        unit(test_first_error_wins),
        unit(test_quotes),
        unit(test_log_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
