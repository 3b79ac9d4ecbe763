/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a token is bound to against what came with it, mode by mode; and the order in which
 * proof and token are spent.
 */
#include "unit.h"

#include "gate/m2_gate.h"
#include "text/m2_b64.h"

#include <openssl/evp.h>

#define NOW 1700000000
#define URL "https://api.example/orders"
#define X5T "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"
#define TOKEN "header.payload.signature"

static m2_jwk_t *key;
static const char *jkt, *proof_text, *shown;
static int asked; /* how often the host was asked for the proof */
static m2_proof_t proof;
static m2_bound_policy_t policy;

static const char *hash(const char *text)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    assert_int_equal(EVP_Digest(text, strlen(text), bytes, &n, EVP_sha256(), NULL), 1);
    return m2_b64_encode(pool, m2_slice((char *)bytes, n));
}

static const char *make_proof(const char *token)
{
    m2_json_t *header = m2_json_make(pool);
    const char *claims, *text;

    m2_json_set_string(header, "typ", "dpop+jwt");
    m2_json_set_json(header, "jwk", m2_jwk_to_json(pool, key, 0));
    claims = apr_psprintf(pool, "{\"jti\":\"j\",\"htm\":\"GET\",\"htu\":\"" URL "\",\"iat\":%d,"
                          "\"ath\":\"%s\"}", NOW, hash(token));
    assert_int_equal(m2_jws_sign(&text, pool, header, z(claims), key, m2_alg_find(z("ES256")),
                                 &err),
                     M2_OK);
    return text;
}

static void present_proof(m2_proof_request_t *request, void *baton)
{
    apr_array_header_t *targets = apr_array_make(pool, 1, sizeof(const char *));

    (void)baton;
    asked++;
    *(const char **)apr_array_push(targets) = URL;
    request->proof = z(proof_text);
    request->fields = proof_text != NULL;
    request->method = "GET";
    request->targets = targets;
}

static const char *present_certificate(void *baton)
{
    (void)baton;
    return shown;
}

static const char *ath; /* the hash of the token, where it is known */

static void begin(void)
{
    clean();
    ath = "";
    memset(&policy, 0, sizeof(policy));
    policy.constraint = M2_CONSTRAINT_AUTO;
    policy.proof.algs = m2_proof_algs();
    policy.proof.window = 60;
    assert_int_equal(m2_jwk_generate(&key, pool, m2_alg_find(z("ES256")), 0, NULL, &err), M2_OK);
    jkt = m2_jwk_thumbprint(pool, key);
    proof_text = make_proof(TOKEN);
    shown = NULL;
}

/* the claims: cnf as JSON text, NULL for none */
static m2_code_t judge(const char *cnf, int as_dpop)
{
    const m2_presented_t presented = { as_dpop, present_proof, present_certificate, NULL };
    const char *text = cnf ? apr_pstrcat(pool, "{\"cnf\":", cnf, "}", NULL) : "{}";
    const m2_json_t *claims;
    m2_code_t code;

    clean();
    asked = 0;
    assert_int_equal(m2_json_parse(&claims, pool, z(text), M2_E_CONFIG, &err), M2_OK);
    code = m2_bound_check(&proof, pool, &policy, claims, z(TOKEN), ath, &presented,
                          apr_time_from_sec(NOW), &err);
    assert_true(code == M2_OK || err.text);
    return code;
}

static const char *to_key(void)
{
    return apr_psprintf(pool, "{\"jkt\":\"%s\"}", jkt);
}

static const char *to_both(void)
{
    return apr_psprintf(pool, "{\"jkt\":\"%s\",\"x5t#S256\":\"" X5T "\"}", jkt);
}

#define TO_CERT "{\"x5t#S256\":\"" X5T "\"}"

static void test_auto(void **state)
{
    (void)state;
    begin();
    assert_int_equal(judge(NULL, 0), M2_OK);
    assert_int_equal(asked, 0);
    assert_int_equal(judge(NULL, 1), M2_E_PROOF_UNBOUND);
    assert_int_equal(judge(to_key(), 1), M2_OK);
    assert_true(m2_slice_is(proof.jti, "j"));
    assert_int_equal(judge(to_key(), 0), M2_E_PROOF_MISSING);
    assert_int_equal(asked, 0); /* a proof beside a bearer token is not looked at */
    assert_int_equal(judge("{}", 0), M2_E_PROOF_MISSING);
    assert_int_equal(judge("{\"kid\":\"a\"}", 0), M2_E_PROOF_MISSING);
    assert_int_equal(judge("\"x\"", 0), M2_E_CLAIM_INVALID);
    proof_text = NULL;
    assert_int_equal(judge(to_key(), 1), M2_E_PROOF_MISSING);
    proof_text = make_proof("another.token.text");
    assert_int_equal(judge(to_key(), 1), M2_E_PROOF_INVALID);
}

static void test_certificate(void **state)
{
    (void)state;
    begin();
    assert_int_equal(judge(TO_CERT, 0), M2_E_CERT_MISMATCH);
    shown = "another";
    assert_int_equal(judge(TO_CERT, 0), M2_E_CERT_MISMATCH);
    shown = X5T;
    assert_int_equal(judge(TO_CERT, 0), M2_OK);
    assert_null(proof.jti.p);
    assert_int_equal(judge(TO_CERT, 1), M2_E_PROOF_UNBOUND);
    assert_int_equal(judge(to_both(), 1), M2_OK);
    assert_int_equal(judge(to_both(), 0), M2_E_PROOF_MISSING);
    shown = NULL;
    assert_int_equal(judge(to_both(), 1), M2_E_CERT_MISMATCH);
}

static void test_modes(void **state)
{
    static const struct {
        m2_constraint_t constraint;
        m2_code_t none, key, cert;
    } rows[] = {
        { M2_CONSTRAINT_OFF, M2_OK, M2_OK, M2_OK },
        { M2_CONSTRAINT_AUTO, M2_OK, M2_OK, M2_OK },
        { M2_CONSTRAINT_DPOP, M2_E_PROOF_MISSING, M2_OK, M2_E_PROOF_MISSING },
        { M2_CONSTRAINT_MTLS, M2_E_PROOF_MISSING, M2_E_PROOF_MISSING, M2_OK },
        { M2_CONSTRAINT_ANY, M2_E_PROOF_MISSING, M2_OK, M2_OK },
    };
    size_t i;

    (void)state;
    begin();
    shown = X5T;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        policy.constraint = rows[i].constraint;
        assert_int_equal(judge(NULL, 0), rows[i].none);
        assert_int_equal(judge(to_key(), 1), rows[i].key);
        assert_int_equal(judge(TO_CERT, 0), rows[i].cert);
        assert_int_equal(judge(to_both(), 1), M2_OK);
    }
    policy.constraint = M2_CONSTRAINT_OFF;
    assert_int_equal(judge("\"x\"", 0), M2_OK);
    assert_int_equal(judge(to_key(), 0), M2_OK);
}

static void test_nothing_presented(void **state)
{
    const m2_json_t *claims;

    (void)state;
    begin();
    assert_int_equal(m2_json_parse(&claims, pool,
                                   z(apr_pstrcat(pool, "{\"cnf\":", to_key(), "}", NULL)),
                                   M2_E_CONFIG, &err),
                     M2_OK);
    assert_int_equal(m2_bound_check(&proof, pool, &policy, claims, z(TOKEN), "", NULL,
                                    apr_time_from_sec(NOW), &err),
                     M2_E_PROOF_MISSING);
}

/* A hash that is known is not made again. */
static void test_known_hash(void **state)
{
    (void)state;
    begin();
    ath = m2_proof_hash(pool, z(TOKEN));
    assert_int_equal(judge(to_key(), 1), M2_OK);
    proof_text = make_proof("another token");
    assert_int_equal(judge(to_key(), 1), M2_E_PROOF_INVALID);
    ath = m2_proof_hash(pool, z("another token"));
    assert_int_equal(judge(to_key(), 1), M2_OK);
    ath = "";
    assert_int_equal(judge(to_key(), 1), M2_E_PROOF_INVALID);
}

/* --- through the gate --- */

static char spent[8];
static m2_code_t proof_is, token_is;

static m2_code_t spend_proof(const m2_verdict_t *verdict, void *baton, m2_err_t *why)
{
    (void)verdict;
    (void)baton;
    apr_cpystrn(spent + strlen(spent), "p", 2);
    return proof_is ? m2_err_set(why, proof_is, "used") : M2_OK;
}

static m2_code_t spend_token(const m2_verdict_t *verdict, void *baton, m2_err_t *why)
{
    (void)verdict;
    (void)baton;
    apr_cpystrn(spent + strlen(spent), "t", 2);
    return token_is ? m2_err_set(why, token_is, "used") : M2_OK;
}

/* A bound token with its jti, judged and spent; what was spent stands in `spent`. */
static m2_code_t whole(int observe, m2_verdict_t *verdict)
{
    const m2_presented_t presented = { 1, present_proof, present_certificate, NULL };
    const m2_services_t services = { .spend = spend_token, .spend_proof = spend_proof,
                                     .presented = &presented };
    m2_keyset_t *set = m2_keyset_make(pool);
    m2_jwk_t *issuer;
    m2_policy_t all;
    const char *token;

    assert_int_equal(m2_jwk_generate(&issuer, pool, m2_alg_find(z("HS256")), 0, NULL, &err),
                     M2_OK);
    assert_int_equal(m2_keyset_add(set, issuer, &err), M2_OK);
    assert_int_equal(m2_jws_sign(&token, pool, NULL,
                                 z(apr_psprintf(pool, "{\"exp\":%d,\"jti\":\"t\",\"cnf\":%s}",
                                                NOW + 60, to_key())),
                                 issuer, m2_alg_find(z("HS256")), &err),
                     M2_OK);
    proof_text = make_proof(token);
    memset(&all, 0, sizeof(all));
    all.keys = m2_keyring_make(pool, set);
    all.algs = ~(m2_alg_mask_t)0;
    all.claims.max_age = -1;
    all.replay = M2_REPLAY_ON;
    all.bound.constraint = M2_CONSTRAINT_AUTO;
    all.bound.proof.algs = m2_proof_algs();
    all.bound.proof.window = 60;
    all.bound.observe = observe;
    memset(verdict, 0, sizeof(*verdict));
    spent[0] = '\0';
    assert_int_equal(m2_gate_token(verdict, pool, &all, z(token), apr_time_from_sec(NOW),
                                   &services),
                     M2_OK);
    assert_string_equal(spent, "");
    return m2_gate_spend(verdict, &all, &services);
}

static void test_order(void **state)
{
    m2_verdict_t verdict;

    (void)state;
    begin();
    proof_is = token_is = M2_OK;
    assert_int_equal(whole(0, &verdict), M2_OK);
    assert_string_equal(spent, "pt");
    proof_is = M2_E_PROOF_REPLAYED; /* and no token is spent for it */
    assert_int_equal(whole(0, &verdict), M2_E_PROOF_REPLAYED);
    assert_string_equal(spent, "p");
    assert_int_equal(whole(1, &verdict), M2_OK);
    assert_string_equal(spent, "pt");
    proof_is = M2_E_REPLAY_UNAVAILABLE;
    assert_int_equal(whole(0, &verdict), M2_E_REPLAY_UNAVAILABLE);
    proof_is = M2_OK;
    token_is = M2_E_JTI_REPLAYED;
    assert_int_equal(whole(0, &verdict), M2_E_JTI_REPLAYED);
    assert_string_equal(spent, "pt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_auto),  unit(test_certificate),       unit(test_modes),
        unit(test_order), unit(test_nothing_presented), unit(test_known_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
