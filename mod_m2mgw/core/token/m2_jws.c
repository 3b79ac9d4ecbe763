/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One verifier per family, in a table. The digest, the curve and the length of the signature
 * come from the algorithm's row and the key, never from the token. OpenSSL's error queue is
 * empty when a public function returns.
 */
#include "token/m2_jws.h"

#include "token/m2_claims.h"

#include "text/m2_b64.h"
#include "key/m2_ecdsa.h"
#include "key/m2_kept.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

typedef const unsigned char *bytes_t;

/* --- taking apart --- */

m2_code_t m2_jws_split(m2_jws_t *jws, m2_slice_t token, m2_err_t *err)
{
    const char *dot[2] = { NULL, NULL }, *end = token.p + token.n, *p;
    int dots = 0;

    memset(jws, 0, sizeof(*jws));
    if (!token.p || token.n > M2_MAX_TOKEN) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "the token is longer than %d bytes",
                          M2_MAX_TOKEN);
    }
    if (memchr(token.p, ' ', token.n)) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "a blank stands in the token, as it does "
                          "where a client writes its scheme twice");
    }
    for (p = token.p; (p = memchr(p, '.', (apr_size_t)(end - p))) != NULL; p++) {
        if (dots < 2) {
            dot[dots] = p;
        }
        dots++;
    }
    if (dots == 4) { /* RFC 7516 9 */
        return m2_err_set(err, M2_E_TOKEN_MALFORMED,
                          "encrypted tokens are not supported");
    }
    if (dots != 2) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "a token has three parts, and this has %d: "
                          "some providers give opaque ones unless they are asked for a JWT",
                          dots + 1);
    }
    jws->token = token;
    jws->header64 = m2_slice(token.p, (apr_size_t)(dot[0] - token.p));
    jws->payload64 = m2_slice(dot[0] + 1, (apr_size_t)(dot[1] - dot[0] - 1));
    jws->signature64 = m2_slice(dot[1] + 1, (apr_size_t)(end - dot[1] - 1));
    jws->signed_part = m2_slice(token.p, (apr_size_t)(dot[1] - token.p));
    if (!jws->header64.n || !jws->payload64.n || !jws->signature64.n) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "a part of the token is empty");
    }
    return M2_OK;
}

/* Parse one part, which must be a JSON object. */
static m2_code_t parse_part(const m2_json_t **pjson, apr_pool_t *pool, m2_slice_t text,
                            const char *part, m2_err_t *err)
{
    m2_code_t code = m2_json_parse(pjson, pool, text, M2_E_TOKEN_MALFORMED, err);

    if (code == M2_OK && m2_json_type(*pjson) != M2_JSON_OBJECT) {
        *pjson = NULL;
        code = m2_err_set(err, M2_E_TOKEN_MALFORMED, "the %s is not a JSON object", part);
    }
    return code;
}

/* --- header --- */

/* A string member that may be absent, but not of another type. */
static m2_code_t read_optional(m2_slice_t *pvalue, const m2_json_t *header,
                               const char *name, m2_err_t *err)
{
    const m2_json_t *member = m2_json_get(header, name);

    *pvalue = m2_json_string(member);
    return !member || pvalue->p ? M2_OK
                                : m2_err_set(err, M2_E_TOKEN_MALFORMED,
                                             "the header member %s is not a string", name);
}

/* RFC 7515 4.1.9: `application/` may be left out where no other slash follows. */
static m2_slice_t bare_type(m2_slice_t type)
{
    static const char prefix[] = "application/";
    const apr_size_t n = sizeof(prefix) - 1;

    if (type.n > n && m2_slice_is_nocase(m2_slice(type.p, n), prefix)
        && !memchr(type.p + n, '/', type.n - n)) {
        return m2_slice(type.p + n, type.n - n);
    }
    return type;
}

int m2_jws_typ_is(const m2_jws_t *jws, const char *type)
{
    const m2_slice_t wanted = bare_type(m2_slice_z(type)), bare = bare_type(jws->typ);

    return bare.p && bare.n == wanted.n
           && m2_slice_is_nocase(bare, wanted.p); /* it ends where its C string does */
}

static int type_is_one_of(const m2_jws_t *jws, const apr_array_header_t *types)
{
    int i;

    for (i = 0; i < types->nelts; i++) {
        if (m2_jws_typ_is(jws, APR_ARRAY_IDX(types, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t read_alg(const m2_alg_t **palg, const m2_json_t *header, m2_err_t *err)
{
    m2_slice_t alg = m2_json_string(m2_json_get(header, "alg"));

    if (!alg.p) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED,
                          "the header member alg is missing or no string");
    }
    *palg = m2_alg_find(alg);
    return *palg ? M2_OK
                 : m2_err_set(err, M2_E_ALG_NOT_ALLOWED,
                              "alg is %s, and there is no such algorithm",
                              m2_err_quote(err, alg.p, alg.n));
}

static m2_code_t parse_header(m2_jws_t *jws, apr_pool_t *pool, m2_err_t *err)
{
    m2_slice_t text;

    if (m2_b64_decode(&text, pool, jws->header64) != M2_OK) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "the header is not base64url");
    }
    return parse_part(&jws->header, pool, text, "header", err);
}

/* RFC 7515 4.1.11: what must be understood is not understood here. RFC 7797 6: without
 * `crit`, readers would differ on what a `b64` means for the bytes that were signed. */
static m2_code_t check_extensions(const m2_json_t *header, m2_err_t *err)
{
    if (m2_json_get(header, "crit") || m2_json_get(header, "b64")) {
        return m2_err_set(err, M2_E_CRIT_UNSUPPORTED,
                          "the header members crit and b64 are not supported");
    }
    return M2_OK;
}

m2_code_t m2_jws_header_unnamed(m2_jws_t *jws, apr_pool_t *pool, m2_err_t *err)
{
    m2_code_t code = parse_header(jws, pool, err);

    if (code == M2_OK) {
        code = read_optional(&jws->typ, jws->header, "typ", err);
    }
    if (code == M2_OK) {
        code = check_extensions(jws->header, err);
    }
    return code == M2_OK ? read_alg(&jws->alg, jws->header, err) : code;
}

m2_code_t m2_jws_header(m2_jws_t *jws, apr_pool_t *pool, const apr_array_header_t *types,
                        m2_err_t *err)
{
    m2_code_t code = parse_header(jws, pool, err);

    if (code == M2_OK) {
        code = read_optional(&jws->kid, jws->header, "kid", err);
    }
    if (code == M2_OK) {
        code = read_optional(&jws->typ, jws->header, "typ", err);
    }
    if (code != M2_OK) {
        return code;
    }
    if (jws->kid.n == 0) { /* an empty name names nothing */
        jws->kid = m2_slice(NULL, 0);
    }
    code = check_extensions(jws->header, err);
    if (code == M2_OK) {
        code = read_alg(&jws->alg, jws->header, err);
    }
    if (code == M2_OK && types && types->nelts && !type_is_one_of(jws, types)) {
        code = m2_claims_refuse(err, M2_E_TYP_MISMATCH, "typ",
                                m2_json_get(jws->header, "typ"), types);
    }
    return code;
}

static m2_code_t decode_payload(m2_jws_t *jws, apr_pool_t *pool, m2_err_t *err)
{
    if (jws->payload.p || m2_b64_decode(&jws->payload, pool, jws->payload64) == M2_OK) {
        return M2_OK;
    }
    return m2_err_set(err, M2_E_TOKEN_MALFORMED, "the payload is not base64url");
}

m2_code_t m2_jws_payload(const m2_json_t **pclaims, m2_jws_t *jws, apr_pool_t *pool,
                         m2_err_t *err)
{
    m2_code_t code = decode_payload(jws, pool, err);

    if (!code && !jws->claims) {
        code = parse_part(&jws->claims, pool, jws->payload, "payload", err);
    }
    *pclaims = jws->claims;
    return code;
}

/* --- signatures --- */

static int verify_bytes(const m2_jws_t *jws, const m2_jwk_t *jwk, bytes_t signature,
                        apr_size_t n)
{
    return m2_kept_verify(jwk->kept, jws->alg, m2_slice((const char *)signature, n),
                          jws->signed_part);
}

/* RFC 8017 8.1.2 and 8.2.2 step 1, RFC 8032 5.1.7: as long as the key says, no other. */
static int verify_whole(const m2_jws_t *jws, const m2_jwk_t *jwk, m2_slice_t signature)
{
    return signature.n == (apr_size_t)EVP_PKEY_get_size(jwk->pkey)
           && verify_bytes(jws, jwk, (bytes_t)signature.p, signature.n);
}

/* RFC 7518 3.4: R and S, each of the curve's length. */
static int verify_ecdsa(const m2_jws_t *jws, const m2_jwk_t *jwk, m2_slice_t signature)
{
    unsigned char room[M2_ECDSA_DER];
    m2_slice_t der;

    return signature.n == jws->alg->size && m2_ecdsa_to_der(&der, room, signature)
           && verify_bytes(jws, jwk, (bytes_t)der.p, der.n);
}

static int make_hmac(unsigned char *tag, const m2_alg_t *alg, const m2_jwk_t *jwk,
                     m2_slice_t text)
{
    unsigned int n = 0;

    return HMAC(EVP_get_digestbyname(alg->digest), jwk->secret.p, (int)jwk->secret.n,
                (bytes_t)text.p, text.n, tag, &n)
           && n == alg->size;
}

static int verify_hmac(const m2_jws_t *jws, const m2_jwk_t *jwk, m2_slice_t signature)
{
    unsigned char tag[EVP_MAX_MD_SIZE];

    return signature.n == jws->alg->size
           && make_hmac(tag, jws->alg, jwk, jws->signed_part)
           && CRYPTO_memcmp(tag, signature.p, jws->alg->size) == 0;
}

typedef int verify_fn(const m2_jws_t *jws, const m2_jwk_t *jwk, m2_slice_t signature);

static verify_fn *const verifiers[] = { /* order of m2_alg_family_t */
                                        verify_whole, verify_whole, verify_ecdsa,
                                        verify_whole, verify_hmac
};

m2_code_t m2_jws_verify(m2_jws_t *jws, apr_pool_t *pool, const m2_jwk_t *jwk,
                        m2_err_t *err)
{
    m2_slice_t signature;
    m2_code_t code;

    if (!jws->alg || !(jws->alg->bit & jwk->algs)) {
        return m2_err_set(err, M2_E_ALG_NOT_ALLOWED,
                          "the key cannot do the token's algorithm");
    }
    if (m2_b64_decode(&signature, pool, jws->signature64) != M2_OK) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "the signature is not base64url");
    }
    code = decode_payload(jws, pool, err);
    if (code != M2_OK) {
        return code;
    }
    if (!verifiers[jws->alg->family](jws, jwk, signature)) {
        ERR_clear_error();
        return m2_err_set(err, M2_E_SIGNATURE_INVALID, "the signature does not verify");
    }
    return M2_OK;
}

/* --- signing --- */

static int sign_pkey(m2_slice_t *psignature, apr_pool_t *pool, m2_slice_t text,
                     const m2_jwk_t *jwk, const m2_alg_t *alg)
{
    apr_size_t n = (apr_size_t)EVP_PKEY_get_size(jwk->pkey);
    unsigned char *out = apr_palloc(pool, n), *pair;
    int ok = m2_kept_sign(out, &n, jwk->kept, alg, text);

    if (ok && alg->family == M2_FAMILY_ECDSA) {
        pair = apr_palloc(pool, alg->size);
        ok = m2_ecdsa_from_der(pair, alg->size, m2_slice((const char *)out, n));
        out = pair;
        n = alg->size;
    }
    *psignature = m2_slice((const char *)out, n);
    return ok;
}

static int sign(m2_slice_t *psignature, apr_pool_t *pool, m2_slice_t text,
                const m2_jwk_t *jwk, const m2_alg_t *alg)
{
    unsigned char *tag;

    if (alg->family != M2_FAMILY_HMAC) {
        return sign_pkey(psignature, pool, text, jwk, alg);
    }
    tag = apr_palloc(pool, EVP_MAX_MD_SIZE);
    *psignature = m2_slice((const char *)tag, alg->size);
    return make_hmac(tag, alg, jwk, text);
}

/* alg and kid first, then what the caller wants besides. */
static const char *header_text(apr_pool_t *pool, const m2_json_t *wanted,
                               const m2_jwk_t *jwk, const m2_alg_t *alg)
{
    m2_json_t *header = m2_json_make(pool);
    const m2_member_t *it;

    m2_json_set_string(header, "alg", alg->name);
    if (jwk->kid) {
        m2_json_set_string(header, "kid", jwk->kid);
    }
    for (it = wanted ? m2_json_iter(wanted) : NULL; it;
         it = m2_json_iter_next(it)) {
        if (!m2_json_get(header, m2_json_iter_name(it))) {
            m2_json_set_json(header, m2_json_iter_name(it), m2_json_iter_value(it));
        }
    }
    return m2_json_dump(pool, header);
}

const char *m2_jws_head(apr_pool_t *pool, const m2_json_t *header, const m2_jwk_t *jwk,
                        const m2_alg_t *alg)
{
    return m2_b64_encode(pool, m2_slice_z(header_text(pool, header, jwk, alg)));
}

m2_code_t m2_jws_sign_under(const char **ptoken, apr_pool_t *pool, const char *head,
                            m2_slice_t payload, const m2_jwk_t *jwk, const m2_alg_t *alg,
                            m2_err_t *err)
{
    const char *text;
    m2_slice_t signature;
    int done;

    *ptoken = NULL;
    if (!(alg->bit & jwk->algs) || !jwk->is_private) {
        return m2_err_set(err, M2_E_ALG_NOT_ALLOWED, "the key cannot sign by %s",
                          alg->name);
    }
    text = apr_pstrcat(pool, head, ".", m2_b64_encode(pool, payload), NULL);
    done = sign(&signature, pool, m2_slice_z(text), jwk, alg);
    ERR_clear_error();
    if (!done) {
        return m2_err_set(err, M2_E_INTERNAL, "OpenSSL does not sign by %s", alg->name);
    }
    *ptoken = apr_pstrcat(pool, text, ".", m2_b64_encode(pool, signature), NULL);
    return M2_OK;
}

m2_code_t m2_jws_sign(const char **ptoken, apr_pool_t *pool, const m2_json_t *header,
                      m2_slice_t payload, const m2_jwk_t *jwk, const m2_alg_t *alg,
                      m2_err_t *err)
{
    return m2_jws_sign_under(ptoken, pool, m2_jws_head(pool, header, jwk, alg), payload, jwk,
                             alg, err);
}
