/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The error record, and the one table of refusals. A status, a gateway code or an RFC 6750
 * error word is written nowhere else; add a reason here and every host knows it.
 */
#include "base/m2_err.h"

#include "base/m2_slice.h"

#include <apr_strings.h>

#include <stdarg.h>

/* The level follows who has to act: what a caller can repeat is INFO, so that callers cannot
 * flood a log that is watched; what the operator must fix is ERR, and logged once in a while. */
/* clang-format off */
static const m2_reason_t reasons[] = { /* ORDER CODE */
    { M2_OK, "ok", NULL, 200, NULL, 0, 200, M2_LOG_DEBUG, "The request passes" },
    { M2_BYPASS, "bypass", NULL, 200, NULL, 0, 200, M2_LOG_DEBUG,
      "The request passes without a token" },
    { M2_E_TOKEN_MISSING, "token_missing", "I400JR", 401, NULL, 1, 400, M2_LOG_INFO,
      "No token in the request" },
    { M2_E_TOKEN_MULTIPLE, "token_multiple", "I400JR", 400, "invalid_request", 1, 400,
      M2_LOG_INFO, "More than one token in the request" },
    { M2_E_TOKEN_MALFORMED, "token_malformed", "I400JD", 401, "invalid_token", 1, 400,
      M2_LOG_INFO, "The token is malformed" },
    { M2_E_ALG_NOT_ALLOWED, "alg_not_allowed", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The algorithm of the token is not allowed" },
    { M2_E_CRIT_UNSUPPORTED, "crit_unsupported", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token asks for an extension that is not supported" },
    { M2_E_TYP_MISMATCH, "typ_mismatch", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The type of the token is not accepted" },
    { M2_E_SIGNATURE_INVALID, "signature_invalid", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The signature of the token is invalid" },
    { M2_E_CLAIM_INVALID, "claim_invalid", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "A claim of the token is invalid" },
    { M2_E_CLAIM_MISSING, "claim_missing", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "A required claim is missing" },
    { M2_E_NOT_YET_VALID, "not_yet_valid", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token is not yet valid" },
    { M2_E_ISSUER_MISMATCH, "issuer_mismatch", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The issuer of the token is not accepted" },
    { M2_E_AUDIENCE_MISMATCH, "audience_mismatch", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token is meant for another audience" },
    { M2_E_TOO_OLD, "too_old", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token is too old" },
    { M2_E_KID_UNKNOWN, "kid_unknown", "A403JK", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The key of the token is unknown" },
    { M2_E_EXPIRED, "expired", "A403JE", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token has expired" },
    { M2_E_JTI_MISSING, "jti_missing", "S403JI", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token has no jti" },
    { M2_E_JTI_REPLAYED, "jti_replayed", "S403JU", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token was used before" },
    { M2_E_REVOKED, "revoked", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token was revoked" },
    { M2_E_PROOF_MISSING, "proof_missing", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token needs a proof of possession" },
    { M2_E_CERT_MISMATCH, "cert_mismatch", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token is bound to another client certificate" },
    { M2_E_PROOF_INVALID, "proof_invalid", "A403JT", 401, "invalid_dpop_proof", 1, 403,
      M2_LOG_INFO, "The proof of possession is invalid" },
    { M2_E_PROOF_UNBOUND, "proof_invalid", "A403JT", 401, "invalid_token", 1, 403,
      M2_LOG_INFO, "The token is not bound to a key, and came under the scheme DPoP" },
    { M2_E_PROOF_REPLAYED, "proof_replayed", "A403JT", 401, "invalid_dpop_proof", 1, 403,
      M2_LOG_INFO, "The proof of possession was used before" },
    { M2_E_PROOF_NONCE, "proof_nonce", "A403JT", 401, "use_dpop_nonce", M2_CHALLENGE_ALWAYS,
      401, M2_LOG_INFO, "The proof of possession needs a nonce of this server" },
    { M2_E_CLAIM_UNSAFE, "claim_unsafe", "A403JT", 403, NULL, 0, 403,
      M2_LOG_INFO, "A claim of the token is unsafe where it is to be put" },
    { M2_E_CLAIM_MISSING_PATH, "claim_missing", "A403JT", 403, NULL, 0, 403,
      M2_LOG_INFO, "A claim that the path needs is missing" },
    { M2_E_PATH_UNSAFE, "path_unsafe", "A403JT", 400, NULL, 0, 400,
      M2_LOG_INFO, "The path of the request is ambiguous" },
    { M2_E_BODY_UNREADABLE, "body_unreadable", "A403JT", 400, NULL, 0, 400,
      M2_LOG_INFO, "The body of the request cannot be read" },
    { M2_E_BODY_TOO_LARGE, "body_too_large", "A403JT", 413, NULL, 0, 413,
      M2_LOG_INFO, "The body of the request is too large" },
    { M2_E_BODY_UNSUPPORTED, "body_unsupported", "A403JT", 415, NULL, 0, 415,
      M2_LOG_INFO, "The type of the body is not supported" },
    { M2_E_RULE_DENIED, "rule_denied", "A403AC", 0, NULL, 0, 0,
      M2_LOG_INFO, "Access Control Forbidden" },
    { M2_E_RULE_ERROR, "rule_error", "A403AC", 403, NULL, 0, 403,
      M2_LOG_INFO, "Access Control Forbidden" },
    { M2_E_RULE_DEFAULT, "rule_default", "A403AC", 403, NULL, 0, 403,
      M2_LOG_INFO, "Access Control Forbidden" },
    { M2_E_OPERATION_UNKNOWN, "operation_unknown", "A403AC", 403, NULL, 0, 403,
      M2_LOG_INFO, "The API has no such operation" }, /* 404 with M2MOperationUnknown NotFound */
    { M2_E_METHOD_NOT_ALLOWED, "method_not_allowed", "A403AC", 405, NULL, 0, 405,
      M2_LOG_INFO, "The operation does not take this method" },
    { M2_E_INSUFFICIENT_SCOPE, "insufficient_scope", "A403AC", 403, "insufficient_scope", 1,
      403, M2_LOG_INFO, "The token does not grant the scope that is needed" },
    { M2_E_CLAIM_DENIED, "claim_denied", "A403AC", 403, "insufficient_scope", 1, 403,
      M2_LOG_INFO, "The claims of the token do not grant access" },
    { M2_E_LIMIT_EXCEEDED, "limit_exceeded", "T429PR", 429, NULL, 0, 429,
      M2_LOG_INFO, "Throttled" },
    { M2_E_LIMIT_NULL, "limit_exceeded", "T429PR", 403, NULL, 0, 403,
      M2_LOG_INFO, "Throttled" },
    { M2_E_KEYS_UNAVAILABLE, "keys_unavailable", "X500ER", 503, NULL, 0, 503,
      M2_LOG_INFO, "No keys are available" }, /* its source said so once, at ERR */
    { M2_E_REPLAY_UNAVAILABLE, "replay_unavailable", "X500ER", 503, NULL, 0, 503,
      M2_LOG_INFO, "The replay store is not available" }, /* it said so once, at ERR */
    { M2_E_REVOCATION_UNAVAILABLE, "revocation_unavailable", "X500ER", 503, NULL, 0, 503,
      M2_LOG_INFO, "Revocations are not available" }, /* the list's source said so once, at ERR */
    { M2_E_INTERNAL, "internal_error", "X500ER", 500, NULL, 0, 500,
      M2_LOG_ERR, "Internal error" },
    { M2_E_REQUIRE_DENIED, "require_denied", NULL, 403, NULL, 0, 403,
      M2_LOG_INFO, "httpd's Require does not grant access" }
};
/* clang-format on */
_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == M2_CODES, "ORDER CODE");

void m2_err_init(m2_err_t *err, apr_pool_t *pool)
{
    err->pool = pool;
    err->code = M2_OK;
    err->text = NULL;
    err->line = 0;
    err->column = 0;
}

static void record(m2_err_t *err, m2_code_t code, int line, int column, const char *fmt,
                   va_list args)
{
    err->code = code;
    err->line = line;
    err->column = column;
    err->text = fmt ? apr_pvsprintf(err->pool, fmt, args) : NULL;
}

m2_code_t m2_err_set(m2_err_t *err, m2_code_t code, const char *fmt, ...)
{
    va_list args;

    if (err && err->code == M2_OK) {
        va_start(args, fmt);
        record(err, code, 0, 0, fmt, args);
        va_end(args);
    }
    return code;
}

m2_code_t m2_err_at(m2_err_t *err, m2_code_t code, int line, int column, const char *fmt,
                    ...)
{
    va_list args;

    if (err && err->code == M2_OK) {
        va_start(args, fmt);
        record(err, code, line, column, fmt, args);
        va_end(args);
    }
    return code;
}

#define MOST_QUOTED 64

const char *m2_err_quote(const m2_err_t *err, const char *p, apr_size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const apr_size_t shown = n < MOST_QUOTED ? n : MOST_QUOTED;
    char *text, *out;
    apr_size_t i;

    if (!err || err->code != M2_OK) {
        return "";
    }
    text = out = apr_palloc(err->pool, 4 * shown + sizeof("\"\"..."));
    *out++ = '"';
    for (i = 0; i < shown; i++) {
        const unsigned char c = (unsigned char)p[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = 'x';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
        else {
            *out++ = (char)c;
        }
    }
    *out++ = '"';
    memcpy(out, shown < n ? "..." : "", shown < n ? 4 : 1);
    return text;
}

const char *m2_err_behind(const m2_err_t *err, const char *origin)
{
    const apr_size_t n = strlen(origin);

    if (!err->text) {
        return "cannot be used";
    }
    return n && strlen(err->text) > n + 2 && m2_slice_is(m2_slice(err->text, n), origin)
                   && err->text[n] == ':'
               ? err->text + n + 2
               : err->text;
}

const m2_reason_t *m2_reason_of(m2_code_t code)
{
    return &reasons[(unsigned)code < M2_CODES ? code : M2_E_INTERNAL];
}

const m2_reason_t *m2_reason_at(unsigned i)
{
    return i < sizeof(reasons) / sizeof(reasons[0]) ? &reasons[i] : NULL;
}
