/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens against a fixed set of keys (those of RFC 7515 A.1 and A.3, RFC 8037 A.2). Only the
 * seeds' own texts can verify; any other that does is a forgery, and stops the run.
 */
#include "fuzz.h"

#include <openssl/err.h>

#include "token/m2_claims.h"
#include "token/m2_verify.h"
#include "key/m2_keyset.h"

static const char keys[] =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKt"
    "MN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9"
    "tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":"
    "\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

/* what was signed by the holders of the keys: RFC 7515 A.1 and A.3, RFC 8037 A.4 */
static const char *const genuine[] = {
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ",
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ",
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
};

static int is_genuine(m2_slice_t signed_part)
{
    size_t i;

    for (i = 0; i < sizeof(genuine) / sizeof(genuine[0]); i++) {
        if (m2_slice_is(signed_part, genuine[i])) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t judge(apr_pool_t *pool, m2_slice_t token, m2_err_t *err)
{
    static const m2_claims_policy_t policy = { .leeway = 60, .max_age = -1 };
    m2_keyset_t *set = m2_keyset_make(pool);
    const m2_json_t *claims;
    const m2_jwk_t *jwk;
    m2_times_t times;
    m2_jws_t jws;
    m2_code_t code;
    int tries;

    PROMISE(m2_keyset_parse(set, m2_slice_z(keys), "keys", M2_JWK_PUBLIC | M2_JWK_OCT,
                            M2_KEYSET_STRICT, err)
            == M2_OK);
    code = m2_jws_split(&jws, token, err);
    code = code == M2_OK ? m2_jws_header(&jws, pool, NULL, err) : code;
    jws.kid = m2_slice(NULL, 0);
    code = code == M2_OK ? m2_jws_verify_with(&jwk, &tries, &jws, pool, set, ~0u, err) : code;
    if (code == M2_OK) {
        PROMISE(is_genuine(jws.signed_part));
    }
    code = code == M2_OK ? m2_jws_payload(&claims, &jws, pool, err) : code;
    code = code == M2_OK ? m2_times_read(&times, claims, &policy, err) : code;
    code = code == M2_OK ? m2_times_check(&times, &policy, apr_time_from_sec(1300819000), err)
                         : code;
    return code == M2_OK ? m2_claims_check(claims, &policy, err) : code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = judge(pool, m2_slice((const char *)data, size), &err);
    PROMISE(code == M2_OK || err.text != NULL);
    PROMISE(ERR_peek_error() == 0);
    apr_pool_destroy(pool);
    return 0;
}
