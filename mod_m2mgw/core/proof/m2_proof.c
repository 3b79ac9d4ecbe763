/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The steps share one record and stop at the first fault. A proof is read by the reader of
 * tokens, with two differences: its key comes with it, and must be the public half alone;
 * and `kid`, which names a key for tokens, says nothing here.
 *
 * The binding is looked at before the signature, for it costs less: a stranger's key is
 * refused without a verification.
 */
#include "proof/m2_proof.h"

#include "proof/m2_target.h"
#include "text/m2_b64.h"
#include "token/m2_jws.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define MEMBERS 4 /* that say which key it is, at most */
#define KEY_FLAGS (M2_JWK_PUBLIC | M2_JWK_NAMELESS)

/* one proof on its way through the steps */
typedef struct check_t {
    m2_proof_t *proof;
    apr_pool_t *pool;
    const m2_proof_policy_t *policy;
    const m2_proof_request_t *request;
    apr_time_t now;
    m2_err_t *err;
    m2_jws_t jws;
    m2_jwk_t *jwk;
    m2_owner_t *owner; /* whose jwk that is; NULL: it is this proof's alone */
    const m2_json_t *claims;
    m2_slice_t htm, htu, ath;
} check_t;

static m2_code_t invalid(check_t *c, const char *why)
{
    return m2_err_set(c->err, M2_E_PROOF_INVALID, "the proof is refused: %s", why);
}

/* What was wanted; what the proof says itself is not told, for it goes into logs. */
static m2_code_t unlike(check_t *c, const char *what, const char *wanted)
{
    return invalid(c, apr_pstrcat(c->pool, what, wanted, NULL));
}

static m2_code_t unlike_algs(check_t *c, const char *what)
{
    return unlike(c, what, m2_alg_spellings(c->pool, c->policy->algs & m2_proof_algs()));
}

/* What the readers of tokens and keys say, in the words of a proof. */
static m2_code_t refuse(check_t *c, const m2_err_t *why)
{
    return invalid(c, why->text ? why->text : "it cannot be read");
}

/* --- the JWT --- */

/* A list is two proofs in one field (RFC 9110 5.3); base64url has neither comma nor blank. */
static m2_code_t check_single(check_t *c)
{
    const m2_slice_t text = c->request->proof;

    if (c->request->fields == 0 || !text.p || text.n == 0) {
        return m2_err_set(c->err, M2_E_PROOF_MISSING, "the request has no proof");
    }
    if (c->request->fields > 1) {
        return invalid(c, "the request has more than one");
    }
    return memchr(text.p, ',', text.n) ? invalid(c, "it is a list") : M2_OK;
}

static m2_code_t check_form(check_t *c)
{
    m2_err_t why;
    m2_code_t code;

    if (c->request->proof.n > M2_MAX_PROOF) {
        return invalid(c, "it is longer than 8192 bytes");
    }
    m2_err_init(&why, c->pool);
    if (m2_jws_split(&c->jws, c->request->proof, &why) != M2_OK) {
        return refuse(c, &why);
    }
    code = m2_jws_header_unnamed(&c->jws, c->pool, &why);
    if (code != M2_OK && code != M2_E_ALG_NOT_ALLOWED) { /* of that, the step for alg */
        return refuse(c, &why);
    }
    return m2_jws_payload(&c->claims, &c->jws, c->pool, &why) == M2_OK ? M2_OK
                                                                       : refuse(c, &why);
}

static m2_code_t check_typ(check_t *c)
{
    return m2_jws_typ_is(&c->jws, "dpop+jwt") ? M2_OK : invalid(c, "its typ is not dpop+jwt");
}

static m2_code_t check_alg(check_t *c)
{
    if (!c->jws.alg || !(c->jws.alg->bit & c->policy->algs & m2_proof_algs())) {
        return unlike_algs(c, "its alg is not one of ");
    }
    c->proof->alg = c->jws.alg->name;
    return M2_OK;
}

/* --- its key --- */

/* RFC 9449 4.3 check 7. A null member counts: it has a private part's name. */
static int has_private(const m2_json_t *jwk)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (m2_json_get(jwk, names[i])) {
            return 1;
        }
    }
    return 0;
}

/* The one spelling of a member of the key (RFC 7518 6.2.1, 6.3.1, RFC 8037 2): base64url,
 * and for a number of RSA no zero in front. The length of a coordinate is the reader's. */
static int is_exact(check_t *c, const m2_json_t *jwk, const char *name, int is_number)
{
    const m2_json_t *member = m2_json_get(jwk, name);
    m2_slice_t bytes;

    return !member
           || (m2_b64_decode(&bytes, c->pool, m2_json_string(member)) == M2_OK && bytes.n
               && !(is_number && bytes.p[0] == '\0'));
}

/* The bytes of a coordinate of its curve; 0 for a curve that is not known. */
static apr_size_t curve_size(const m2_json_t *jwk)
{
    static const struct {
        const char *crv;
        apr_size_t size;
    } sizes[] = { { "P-256", 32 }, { "P-384", 48 }, { "P-521", 66 },
                  { "Ed25519", 32 }, { "Ed448", 57 } };
    const m2_slice_t crv = m2_json_string(m2_json_get(jwk, "crv"));
    apr_size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (m2_slice_is(crv, sizes[i].crv)) {
            return sizes[i].size;
        }
    }
    return 0;
}

/* A coordinate may not lack zeros in front. */
static int has_size(check_t *c, const m2_json_t *jwk, const char *name)
{
    const apr_size_t size = curve_size(jwk);
    const m2_json_t *member = m2_json_get(jwk, name);
    m2_slice_t bytes;

    return !member || !size
           || (m2_b64_decode(&bytes, c->pool, m2_json_string(member)) == M2_OK
               && bytes.n == size);
}

static int has_null(const m2_json_t *jwk)
{
    const m2_member_t *it;

    for (it = m2_json_iter(jwk); it; it = m2_json_iter_next(it)) {
        if (m2_json_type(m2_json_iter_value(it)) == M2_JSON_NULL) {
            return 1;
        }
    }
    return 0;
}

/* The tolerance for keys that are published ends here: this one is made for us. */
static int is_strict(check_t *c, const m2_json_t *jwk)
{
    const m2_json_t *use = m2_json_get(jwk, "use"), *ops = m2_json_get(jwk, "key_ops");

    return !has_null(jwk) && is_exact(c, jwk, "n", 1) && is_exact(c, jwk, "e", 1)
           && is_exact(c, jwk, "x", 0) && is_exact(c, jwk, "y", 0) && has_size(c, jwk, "x")
           && has_size(c, jwk, "y") && (!use || m2_slice_is(m2_json_string(use), "sig"))
           && (!ops || m2_json_has(ops, m2_slice_z("verify"), 0));
}

const char *m2_proof_hash(apr_pool_t *pool, m2_slice_t text)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    return EVP_Digest(text.p, text.n, hash, &n, EVP_sha256(), NULL) == 1
               ? m2_b64_encode(pool, m2_slice((const char *)hash, n))
               : NULL;
}

/* RFC 7638 3.2, RFC 8037 2: the members that say which key it is, in the order of a
 * thumbprint; NULL for another kty. */
static const char *const *required_of(const m2_json_t *jwk)
{
    static const struct {
        const char *kty, *names[MEMBERS];
    } required[] = { { "EC", { "crv", "kty", "x", "y" } },
                     { "OKP", { "crv", "kty", "x", NULL } },
                     { "RSA", { "e", "kty", "n", NULL } } };
    const m2_slice_t kty = m2_json_string(m2_json_get(jwk, "kty"));
    apr_size_t i;

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (m2_slice_is(kty, required[i].kty)) {
            return required[i].names;
        }
    }
    return NULL;
}

/* Whether it says which key it is and nothing else, so that its thumbprint tells it from every
 * other: a strict one of a known curve. */
static int is_bare(const m2_json_t *jwk)
{
    const char *const *names = required_of(jwk);
    apr_size_t n = 0;

    while (names && n < MEMBERS && names[n] && m2_json_string(m2_json_get(jwk, names[n])).p) {
        n++;
    }
    return n >= 3 && n == m2_json_length(jwk) && (n == MEMBERS || !names[n])
           && (!m2_json_get(jwk, "crv") || curve_size(jwk));
}

/* The members are in the one spelling there is, so that what OpenSSL made of them need not be
 * written again, which costs a quarter of a verification. */
static const char *thumbprint_of(check_t *c, const m2_json_t *jwk)
{
    const char *const *names = required_of(jwk), *text = "{";
    apr_size_t i;

    for (i = 0; names && i < MEMBERS && names[i]; i++) {
        text = apr_pstrcat(c->pool, text, i ? ",\"" : "\"", names[i], "\":\"",
                           m2_slice_dup(c->pool, m2_json_string(m2_json_get(jwk, names[i]))),
                           "\"", NULL);
    }
    return names ? m2_proof_hash(c->pool, m2_slice_z(apr_pstrcat(c->pool, text, "}", NULL))) : NULL;
}

/* A key with members beyond its value (alg, use) is parsed again, because of those members. */
static m2_code_t read_key(check_t *c, const m2_json_t *jwk, m2_err_t *why)
{
    const m2_proof_keys_t *keys = c->request->keys;
    m2_code_t code = M2_OK;

    c->proof->jkt = thumbprint_of(c, jwk);
    if (keys && c->proof->jkt && is_bare(jwk)) {
        c->owner = keys->take(keys->baton, c->proof->jkt);
    }
    if (!c->owner) {
        return m2_jwk_from_json(&c->jwk, c->pool, jwk, KEY_FLAGS, why);
    }
    if (!c->owner->jwk) {
        code = m2_jwk_from_json(&c->owner->jwk, c->owner->pool, jwk, KEY_FLAGS, why);
    }
    c->jwk = c->owner->jwk;
    return code;
}

static m2_code_t check_public(check_t *c)
{
    const m2_json_t *jwk = m2_json_get(c->jws.header, "jwk");
    m2_err_t why;

    if (m2_json_type(jwk) != M2_JSON_OBJECT) {
        return invalid(c, "its header has no jwk");
    }
    if (has_private(jwk)) {
        return invalid(c, "its jwk is not a public key alone");
    }
    if (!is_strict(c, jwk)) {
        return invalid(c, "its jwk is not written strictly");
    }
    m2_err_init(&why, c->pool);
    if (read_key(c, jwk, &why) != M2_OK) {
        c->proof->jkt = NULL;
        return invalid(c, apr_pstrcat(c->pool, "its jwk: ",
                                      why.text ? why.text : "not usable", NULL));
    }
    return c->proof->jkt ? M2_OK : invalid(c, "its jwk has no thumbprint");
}

static m2_code_t check_binding(check_t *c)
{
    return !c->request->jkt.p || m2_slice_is(c->request->jkt, c->proof->jkt)
               ? M2_OK
               : invalid(c, "its key is not the one that the token is bound to");
}

static m2_code_t check_signature(check_t *c)
{
    m2_err_t why;

    m2_err_init(&why, c->pool);
    if (!(c->jwk->algs & c->jws.alg->bit & c->policy->algs)) { /* EdDSA is of two curves */
        return unlike_algs(c, "its key can do none of ");
    }
    return m2_jws_verify(&c->jws, c->pool, c->jwk, &why) == M2_OK ? M2_OK : refuse(c, &why);
}

/* --- what it says --- */

static apr_size_t characters(m2_slice_t utf8)
{
    apr_size_t i, n = 0;

    for (i = 0; i < utf8.n; i++) {
        n += (utf8.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static m2_code_t check_claims(check_t *c)
{
    m2_proof_t *proof = c->proof;

    proof->jti = m2_json_string(m2_json_get(c->claims, "jti"));
    c->htm = m2_json_string(m2_json_get(c->claims, "htm"));
    c->htu = m2_json_string(m2_json_get(c->claims, "htu"));
    c->ath = m2_json_string(m2_json_get(c->claims, "ath"));
    if (!proof->jti.n || characters(proof->jti) > M2_MAX_PROOF_JTI) {
        return invalid(c, "its jti is not a string of 1 to 256 characters");
    }
    if (m2_json_time(m2_json_get(c->claims, "iat"), &proof->iat) != M2_OK) {
        return invalid(c, "its iat is not a time");
    }
    if (!c->htm.p || !c->htu.p) {
        return invalid(c, "its htm and htu are not both strings");
    }
    return !c->request->token.p || c->ath.p ? M2_OK : invalid(c, "its ath is not a string");
}

static m2_code_t check_method(check_t *c)
{
    return m2_slice_is(c->htm, c->request->method)
               ? M2_OK
               : unlike(c, "its htm is not the method of the request, ", c->request->method);
}

static m2_code_t check_target(check_t *c)
{
    const apr_array_header_t *targets = c->request->targets;
    const char *htu;
    m2_err_t why;
    int i;

    m2_err_init(&why, c->pool);
    if (m2_target_uri(&htu, c->pool, c->htu, &why) != M2_OK) {
        return invalid(c, apr_pstrcat(c->pool, "its htu: ", why.text, NULL));
    }
    for (i = 0; i < targets->nelts; i++) {
        if (m2_slice_is(m2_slice_z(htu), APR_ARRAY_IDX(targets, i, const char *))) {
            return M2_OK;
        }
    }
    if (!targets->nelts) {
        return invalid(c, "the target of the request is not a path of RFC 3986, or the server "
                          "has no name");
    }
    return unlike(c, targets->nelts > 1 ? "its htu is no URL of the request, as is "
                                        : "its htu is not the URL of the request, ",
                  APR_ARRAY_IDX(targets, 0, const char *));
}

static m2_code_t check_time(check_t *c)
{
    const double away = (double)c->now / APR_USEC_PER_SEC - c->proof->iat;
    const double window = (double)c->policy->window;

    if (away > window) {
        return invalid(c, apr_psprintf(c->pool, "its iat is more than %d seconds in the past",
                                       c->policy->window));
    }
    return away < -window
               ? invalid(c, apr_psprintf(c->pool, "its iat is more than %d seconds in the future",
                                         c->policy->window))
               : M2_OK;
}

static m2_code_t check_token(check_t *c)
{
    const m2_slice_t token = c->request->token;
    const char *hash = c->request->ath;

    if (!token.p) {
        return M2_OK;
    }
    hash = hash && *hash ? hash : m2_proof_hash(c->pool, token);
    if (!hash) {
        return invalid(c, "the token cannot be hashed");
    }
    return m2_slice_is(c->ath, hash)
               ? M2_OK
               : invalid(c, "its ath is not the hash of the token");
}

static m2_code_t check_fresh(check_t *c)
{
    const m2_slice_t nonce = m2_json_string(m2_json_get(c->claims, "nonce"));

    if (!c->policy->nonce
        || m2_nonce_is_good(c->pool, c->request->nonce_key, c->request->nonce_role,
                            c->policy->window, nonce, c->now)) {
        return M2_OK;
    }
    return m2_err_set(c->err, M2_E_PROOF_NONCE,
                      nonce.p ? "the nonce of the proof is not one that was given out lately"
                              : "the proof has no nonce");
}

/* --- all of them --- */

static const struct step_t {
    m2_proof_step_t step;
    m2_code_t (*check)(check_t *c);
    const char *text;
} steps[] = { /* ORDER STEP */
    { M2_PROOF_SINGLE, check_single, "one DPoP header with one proof" },
    { M2_PROOF_FORM, check_form, "a well-formed JWT" },
    { M2_PROOF_TYP, check_typ, "typ is dpop+jwt" },
    { M2_PROOF_ALG, check_alg, "alg is asymmetric and accepted" },
    { M2_PROOF_PUBLIC, check_public, "jwk is a public key" },
    { M2_PROOF_BINDING, check_binding, "jwk is the key in cnf.jkt" },
    { M2_PROOF_SIGNATURE, check_signature, "the signature verifies with jwk" },
    { M2_PROOF_CLAIMS, check_claims, "jti, htm, htu, iat and ath are there" },
    { M2_PROOF_METHOD, check_method, "htm is the method" },
    { M2_PROOF_TARGET, check_target, "htu is the URL" },
    { M2_PROOF_TIME, check_time, "iat is within the window" },
    { M2_PROOF_TOKEN, check_token, "ath is the hash of the token" },
    { M2_PROOF_FRESH, check_fresh, "nonce was given out lately, where one is asked for" },
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) == M2_PROOF_STEPS, "ORDER STEP");

const char *m2_proof_step_text(m2_proof_step_t step)
{
    return (unsigned)step < M2_PROOF_STEPS ? steps[step].text : "all checks passed";
}

m2_alg_mask_t m2_proof_algs(void)
{
    const m2_alg_t *alg;
    m2_alg_mask_t mask = 0;
    int i;

    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        mask |= alg->family == M2_FAMILY_HMAC ? 0 : alg->bit;
    }
    return mask;
}

m2_code_t m2_proof_check(m2_proof_t *proof, apr_pool_t *pool,
                         const m2_proof_policy_t *policy, const m2_proof_request_t *request,
                         apr_time_t now, m2_err_t *err)
{
    check_t c = { .proof = proof, .pool = pool, .policy = policy, .request = request,
                  .now = now, .err = err };
    m2_code_t code = M2_OK;

    memset(proof, 0, sizeof(*proof));
    proof->judged = 1;
    while (proof->step < M2_PROOF_STEPS) {
        code = steps[proof->step].check(&c);
        if (code != M2_OK) {
            break;
        }
        proof->step++;
    }
    if (c.owner) {
        c.owner->proven |= code == M2_OK;
        request->keys->give(request->keys->baton, c.owner);
    }
    ERR_clear_error();
    return code;
}

apr_time_t m2_proof_spent_until(const m2_proof_t *proof, int window)
{
    return (apr_time_t)((proof->iat + (double)window + 1) * APR_USEC_PER_SEC);
}
