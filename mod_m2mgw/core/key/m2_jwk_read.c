/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A JWK as JSON or as words -> key. Faults name the member, never quote its value.
 */
#include "key/m2_jwk_int.h"

#include "text/m2_b64.h"
#include "text/m2_nearest.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

static const m2_curve_t *curve_by_crv(m2_slice_t crv, const char *kty)
{
    apr_size_t i;

    for (i = 0; i < M2_CURVES; i++) {
        if (m2_slice_is(crv, m2_curves[i].crv)
            && m2_slice_is(m2_slice_z(kty), m2_curves[i].kty)) {
            return &m2_curves[i];
        }
    }
    return NULL;
}

/* --- members --- */

/* The bytes of a base64url member that must be there. */
static m2_code_t read_bytes(m2_slice_t *pbytes, m2_jwk_reader_t *r, const char *name)
{
    m2_slice_t text = m2_json_string(m2_jwk_member(r, name));

    if (!text.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is missing or no string",
                          name);
    }
    if (m2_b64_decode(pbytes, r->pool, text) != M2_OK || pbytes->n == 0) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is not base64url", name);
    }
    return M2_OK;
}

/* Likewise of a member of a public key, in whatever alphabet it is written. */
static m2_code_t read_public(m2_slice_t *pbytes, m2_jwk_reader_t *r, const char *name)
{
    m2_slice_t text = m2_json_string(m2_jwk_member(r, name));
    const char *odd;

    if (!text.p || m2_b64_decode_any(pbytes, &odd, r->pool, text) != M2_OK || !pbytes->n) {
        return read_bytes(pbytes, r, name);
    }
    if (odd && !r->jwk->odd) {
        r->jwk->odd = apr_psprintf(r->pool, "its member %s is base64 %s", name, odd);
    }
    return M2_OK;
}

/* The coordinate of a point, size bytes: RFC 7518 6.2.1.2 wants leading zeros, which some
 * writers of numbers leave out. */
static m2_code_t read_coordinate(unsigned char *out, m2_jwk_reader_t *r, const char *name,
                                 apr_size_t size)
{
    m2_slice_t bytes;
    m2_code_t code = read_public(&bytes, r, name);

    if (code == M2_OK && bytes.n > size) {
        code = m2_err_set(r->err, M2_E_CONFIG, "its member %s must be %d bytes long", name,
                          (int)size);
    }
    if (code == M2_OK) {
        memset(out, 0, size - bytes.n);
        memcpy(out + size - bytes.n, bytes.p, bytes.n);
    }
    return code;
}

/* The bytes of a private member, of exactly size: RFC 7518 6.2.2.1, RFC 8037 2. */
static m2_code_t read_sized(m2_slice_t *pbytes, m2_jwk_reader_t *r, const char *name,
                            apr_size_t size)
{
    m2_code_t code = read_bytes(pbytes, r, name);

    if (code == M2_OK && pbytes->n != size) {
        code = m2_err_set(r->err, M2_E_CONFIG, "its member %s must be %d bytes long",
                          name, (int)size);
    }
    return code;
}

/* A string member that may be absent (NULL), but not of another type. */
static m2_code_t read_optional(const char **pvalue, m2_jwk_reader_t *r, const char *name)
{
    const m2_json_t *member = m2_jwk_member(r, name);

    *pvalue = NULL;
    if (member && m2_json_type(member) != M2_JSON_STRING) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is not a string", name);
    }
    if (member) {
        *pvalue = m2_slice_dup(r->pool, m2_json_string(member));
    }
    return M2_OK;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *build, int is_private)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey,
                             is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params)
               != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static int is_public(const char *rsa_member)
{
    return rsa_member == m2_rsa_members[0].name || rsa_member == m2_rsa_members[1].name;
}

/* Read a member into a number and push it; the number goes to *pbn, to be freed after the
 * build, which borrows it. */
static m2_code_t push_number(BIGNUM **pbn, m2_jwk_reader_t *r, OSSL_PARAM_BLD *build,
                             const char *name, const char *param)
{
    m2_slice_t bytes;
    m2_code_t code =
        is_public(name) ? read_public(&bytes, r, name) : read_bytes(&bytes, r, name);

    if (code != M2_OK) {
        return code;
    }
    *pbn = BN_bin2bn((const unsigned char *)bytes.p, (int)bytes.n, NULL);
    OPENSSL_cleanse((char *)bytes.p, bytes.n);
    if (!*pbn || !OSSL_PARAM_BLD_push_BN(build, param, *pbn)) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member %s is not a number", name);
    }
    return M2_OK;
}

/* What serialisers write for an empty list; it is ignored. */
static int is_empty_list(const m2_json_t *member)
{
    return m2_json_type(member) == M2_JSON_ARRAY && m2_json_length(member) == 0;
}

/* RFC 7518 6.3.2: of the factors and what goes with them all are there, or none is. */
static int rsa_members_wanted(const m2_jwk_reader_t *r)
{
    int i;

    if (!r->is_private) {
        return 2;
    }
    for (i = 3; i < (int)M2_RSA_MEMBERS; i++) {
        if (m2_jwk_member(r, m2_rsa_members[i].name)) {
            return M2_RSA_MEMBERS;
        }
    }
    return 3;
}

static m2_code_t read_rsa(m2_jwk_reader_t *r)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[M2_RSA_MEMBERS] = { NULL };
    EVP_PKEY *pkey = NULL;
    m2_code_t code = M2_OK;
    int i, wanted = rsa_members_wanted(r);

    if (m2_jwk_member(r, "oth") && !is_empty_list(m2_jwk_member(r, "oth"))) {
        code = m2_err_set(r->err, M2_E_CONFIG, "RSA keys of more than two primes");
    }
    for (i = 0; code == M2_OK && i < wanted; i++) {
        code =
            push_number(&numbers[i], r, build, m2_rsa_members[i].name, m2_rsa_members[i].param);
    }
    if (code == M2_OK && BN_num_bits(numbers[0]) > M2_MAX_RSA_BITS) {
        code = m2_err_set(r->err, M2_E_CONFIG, "an RSA key of more than 16384 bits");
    }
    if (code == M2_OK) {
        pkey = pkey_from("RSA", build, r->is_private);
    }
    OSSL_PARAM_BLD_free(build);
    for (i = 0; i < (int)M2_RSA_MEMBERS; i++) {
        BN_clear_free(numbers[i]);
    }
    return code == M2_OK ? m2_jwk_take_pkey(r, pkey) : code;
}

static m2_code_t read_ec_point(unsigned char *point, m2_jwk_reader_t *r,
                               const m2_curve_t *curve)
{
    m2_code_t code = read_coordinate(point + 1, r, "x", curve->size);

    point[0] = 0x04; /* SEC 1 2.3.3: uncompressed */
    return code == M2_OK ? read_coordinate(point + 1 + curve->size, r, "y", curve->size) : code;
}

static m2_code_t build_ec(EVP_PKEY **ppkey, m2_jwk_reader_t *r, const m2_curve_t *curve,
                          OSSL_PARAM_BLD *build, BIGNUM **pd)
{
    unsigned char point[1 + 2 * M2_MAX_COORDINATE];
    m2_code_t code = read_ec_point(point, r, curve);
    m2_slice_t d;

    if (code == M2_OK && r->is_private) {
        code = read_sized(&d, r, "d", curve->size);
        if (code == M2_OK) {
            code = push_number(pd, r, build, "d", OSSL_PKEY_PARAM_PRIV_KEY);
            OPENSSL_cleanse((char *)d.p, d.n);
        }
    }
    if (code == M2_OK
        && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->name,
                                           0)
        && OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            1 + 2 * curve->size)) {
        *ppkey = pkey_from("EC", build, r->is_private);
    }
    return code;
}

static m2_code_t read_curve(const m2_curve_t **pcurve, m2_jwk_reader_t *r, const char *kty)
{
    m2_slice_t crv = m2_json_string(m2_jwk_member(r, "crv"));

    if (!crv.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member crv is missing or no string");
    }
    *pcurve = curve_by_crv(crv, kty);
    return *pcurve ? M2_OK
                   : m2_err_set(r->err, M2_E_KEY_SKIPPED, "its curve is not supported");
}

static m2_code_t read_ec(m2_jwk_reader_t *r)
{
    const m2_curve_t *curve;
    OSSL_PARAM_BLD *build;
    BIGNUM *d = NULL;
    EVP_PKEY *pkey = NULL;
    m2_code_t code = read_curve(&curve, r, "EC");

    if (code != M2_OK) {
        return code;
    }
    build = OSSL_PARAM_BLD_new();
    code = build_ec(&pkey, r, curve, build, &d);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(d);
    if (code == M2_OK && !pkey) {
        code = m2_err_set(r->err, M2_E_CONFIG,
                          "its x and y (%d bytes each, but for zeros in front) are no point of "
                          "curve %s",
                          (int)curve->size, curve->crv);
    }
    return code == M2_OK ? m2_jwk_take_pkey(r, pkey) : code;
}

/* The public half of an Ed key must be the one its private half gives (RFC 8037 2). */
static EVP_PKEY *okp_private(m2_jwk_reader_t *r, const m2_curve_t *curve, m2_slice_t x)
{
    unsigned char public[M2_MAX_OKP];
    size_t n = sizeof(public);
    m2_slice_t d;
    EVP_PKEY *pkey;

    if (read_sized(&d, r, "d", curve->size) != M2_OK) {
        return NULL;
    }
    pkey = EVP_PKEY_new_raw_private_key_ex(NULL, curve->name, NULL,
                                           (const unsigned char *)d.p, d.n);
    OPENSSL_cleanse((char *)d.p, d.n);
    if (pkey
        && (!EVP_PKEY_get_raw_public_key(pkey, public, &n) || n != x.n
            || CRYPTO_memcmp(public, x.p, n) != 0)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static m2_code_t read_okp(m2_jwk_reader_t *r)
{
    const m2_curve_t *curve;
    m2_slice_t x;
    m2_code_t code = read_curve(&curve, r, "OKP");

    if (code == M2_OK) {
        code = read_public(&x, r, "x");
    }
    if (code == M2_OK && x.n != curve->size) {
        code = m2_err_set(r->err, M2_E_CONFIG, "its member x must be %d bytes long",
                          (int)curve->size);
    }
    if (code != M2_OK) {
        return code;
    }
    return m2_jwk_take_pkey(
        r, r->is_private ? okp_private(r, curve, x)
                         : EVP_PKEY_new_raw_public_key_ex(
                             NULL, curve->name, NULL, (const unsigned char *)x.p, x.n));
}

static m2_code_t read_oct(m2_jwk_reader_t *r)
{
    m2_slice_t secret;
    m2_code_t code;

    if (!(r->flags & M2_JWK_OCT)) {
        return m2_err_set(r->err, M2_E_CONFIG, "a symmetric key does not belong here");
    }
    code = read_bytes(&secret, r, "k");
    return code == M2_OK ? m2_jwk_take_secret(r, secret) : code;
}

/* --- JWK --- */

typedef m2_code_t read_fn(m2_jwk_reader_t *r);

static const struct {
    const char *kty;
    read_fn *read;
} types[] = {
    { "RSA", read_rsa }, { "EC", read_ec }, { "OKP", read_okp }, { "oct", read_oct }
};

/* RFC 7517 4.2: a key that is not for signatures is not used here. A SPIFFE bundle says jwt-svid
 * for the keys of its tokens. */
static m2_code_t check_use(m2_jwk_reader_t *r)
{
    const char *use;
    m2_code_t code = read_optional(&use, r, "use");

    if (code == M2_OK && use && !m2_slice_is(m2_slice_z(use), "sig")
        && !m2_slice_is(m2_slice_z(use), "jwt-svid")) {
        code = m2_err_set(r->err, M2_E_KEY_SKIPPED, "its use is not sig");
    }
    return code;
}

static int listed_before(const m2_json_t *list, apr_size_t i)
{
    apr_size_t j;

    for (j = 0; j < i; j++) {
        if (m2_slice_eq(m2_json_string(m2_json_at(list, i)),
                        m2_json_string(m2_json_at(list, j)))) {
            return 1;
        }
    }
    return 0;
}

/* RFC 7517 4.3: strings, none twice; what is asked for here is `verify`, or `sign` where
 * keys are read to sign. */
static m2_code_t check_key_ops(m2_jwk_reader_t *r)
{
    const m2_json_t *ops = m2_jwk_member(r, "key_ops");
    int able = 0;
    apr_size_t i;

    if (!ops || is_empty_list(ops)) {
        return M2_OK;
    }
    if (m2_json_type(ops) != M2_JSON_ARRAY || m2_json_length(ops) > M2_MAX_JSON_MEMBERS) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member key_ops is not a list");
    }
    for (i = 0; i < m2_json_length(ops); i++) {
        m2_slice_t op = m2_json_string(m2_json_at(ops, i));

        if (!op.p || listed_before(ops, i)) {
            return m2_err_set(r->err, M2_E_CONFIG,
                              "its member key_ops must hold strings, each once");
        }
        able |= m2_slice_is(op, "verify")
                || ((r->flags & M2_JWK_PRIVATE) && m2_slice_is(op, "sign"));
    }
    return able ? M2_OK
                : m2_err_set(r->err, M2_E_KEY_SKIPPED, "its key_ops do not hold verify");
}

static m2_code_t read_names(m2_jwk_reader_t *r)
{
    m2_code_t code = read_optional(&r->jwk->kid, r, "kid");

    if (code == M2_OK && r->jwk->kid && !*r->jwk->kid) {
        r->jwk->kid = NULL;
    }
    if (code == M2_OK) {
        code = read_optional(&r->jwk->alg, r, "alg");
    }
    if (code == M2_OK && r->jwk->alg && !m2_alg_find(m2_slice_z(r->jwk->alg))) {
        code = m2_err_set(r->err, M2_E_KEY_SKIPPED, "its alg is not supported");
    }
    return code;
}

/* RFC 7517 4.7: the first certificate is that of the key. Another one does not name it. */
static int is_certificate(m2_jwk_reader_t *r, m2_slice_t der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *certificate = d2i_X509(NULL, &p, (long)der.n);
    const EVP_PKEY *pkey = certificate ? X509_get0_pubkey(certificate) : NULL;
    const int same = pkey && r->jwk->pkey && EVP_PKEY_eq(pkey, r->jwk->pkey) == 1;

    if (certificate && !same && !r->jwk->odd) {
        r->jwk->odd = "its x5c is the certificate of another key, and does not count";
    }
    X509_free(certificate);
    return same;
}

/* RFC 7517 4.7 to 4.9: what the certificate is called, stated or computed. Only a name: what
 * cannot be read says nothing. */
static void read_certificate(m2_jwk_reader_t *r)
{
    const m2_json_t *chain = m2_jwk_member(r, "x5c");
    m2_slice_t der, text = m2_json_string(m2_json_at(chain, 0));
    const char *odd;

    r->jwk->x5t = m2_slice_dup(r->pool, m2_json_string(m2_jwk_member(r, "x5t")));
    r->jwk->x5t256 = m2_slice_dup(r->pool, m2_json_string(m2_jwk_member(r, "x5t#S256")));
    if (text.p && m2_b64_decode_any(&der, &odd, r->pool, text) == M2_OK && der.n
        && is_certificate(r, der)) {
        m2_jwk_take_certificate(r, der);
    }
}

static m2_code_t read_jwk(m2_jwk_reader_t *r)
{
    m2_slice_t kty = m2_json_string(m2_jwk_member(r, "kty"));
    m2_code_t code;
    apr_size_t i;

    if (!kty.p) {
        return m2_err_set(r->err, M2_E_CONFIG, "its member kty is missing or no string");
    }
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (m2_slice_is(kty, types[i].kty)) {
            code = check_use(r);
            code = code == M2_OK ? read_names(r) : code;
            code = code == M2_OK ? check_key_ops(r) : code;
            if (code == M2_OK && !m2_slice_is(kty, "oct")) {
                code = m2_jwk_check_private(r);
            }
            code = code == M2_OK ? types[i].read(r) : code;
            if (code == M2_OK && !(r->flags & M2_JWK_NAMELESS)) {
                read_certificate(r);
            }
            return code;
        }
    }
    return m2_err_set(r->err, M2_E_KEY_SKIPPED, "its kty is not supported");
}

m2_code_t m2_jwk_from_json(m2_jwk_t **pjwk, apr_pool_t *pool, const m2_json_t *json,
                           int flags, m2_err_t *err)
{
    m2_jwk_reader_t r = { pool, json, flags, 0, apr_pcalloc(pool, sizeof(m2_jwk_t)), err };
    m2_code_t code;

    *pjwk = NULL;
    if (m2_json_type(json) != M2_JSON_OBJECT) {
        return m2_err_set(err, M2_E_CONFIG, "it is not a JSON object");
    }
    code = read_jwk(&r);
    ERR_clear_error();
    if (code == M2_OK) {
        *pjwk = r.jwk;
    }
    return code;
}

/* --- words --- */

/* Members that can be written as a word (RFC 7517 4, RFC 7518 6, RFC 8037 2). Others are ignored in
 * JSON, but people write words: one for `issuer` would leave the key unbound. */
static const char *const members[] = { "kty", "use", "key_ops", "alg", "kid",  "x5u", "x5t",
                                       "x5t#S256", "crv", "x", "y", "n", "e", "k", "d", "p",
                                       "q", "dp", "dq", "qi", "ext" };

int m2_jwk_is_word(const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (m2_slice_is(m2_slice_z(name), members[i])) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t check_member(const char *name, m2_err_t *err)
{
    const char *near;

    if (m2_jwk_is_word(name)) {
        return M2_OK;
    }
    near = m2_nearest(name, members, sizeof(members) / sizeof(members[0]));
    return m2_err_set(err, M2_E_CONFIG, "a key has no member \"%.40s\"%s%s%s", name,
                      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* One NAME=VALUE. key_ops is a list in JSON, here its values are joined by commas. */
static m2_code_t add_word(m2_json_t *json, apr_pool_t *pool, char *word, m2_err_t *err)
{
    char *value = strchr(word, '='), *op, *last;
    m2_json_t *ops;

    if (!value || value == word) {
        return m2_err_set(err, M2_E_CONFIG, "a key in words is NAME=VALUE ...");
    }
    *value++ = '\0';
    if (check_member(word, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    if (m2_json_get(json, word)) {
        return m2_err_set(err, M2_E_CONFIG, "its member %s appears twice", word);
    }
    if (!m2_slice_is(m2_slice_z(word), "key_ops")) {
        m2_json_set_string(json, word, value);
        return M2_OK;
    }
    ops = m2_json_make_array(pool);
    for (op = apr_strtok(value, ",", &last); op; op = apr_strtok(NULL, ",", &last)) {
        m2_json_append_string(ops, op);
    }
    m2_json_set_json(json, word, ops);
    return M2_OK;
}

m2_code_t m2_jwk_from_words(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t words,
                            int flags, m2_err_t *err)
{
    m2_json_t *json = m2_json_make(pool);
    char *word, *last;
    m2_code_t code;

    *pjwk = NULL;
    word = apr_strtok(apr_pstrmemdup(pool, words.p, words.n), " \t\r\n", &last);
    for (; word; word = apr_strtok(NULL, " \t\r\n", &last)) {
        code = add_word(json, pool, word, err);
        if (code != M2_OK) {
            return code;
        }
    }
    return m2_jwk_from_json(pjwk, pool, json, flags, err);
}
