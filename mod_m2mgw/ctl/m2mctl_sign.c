/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl sign: test tokens, good ones by default and odd ones on request. Whatever the
 * payload, the signature over it is real.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_b64.h"

#include <apr_general.h>

#include <stdio.h>

typedef struct sign_t {
    const char *key, *alg, *kid, *claims, *raw, *iss, *sub, *jti, *scope, *client_id,
        *typ;
    apr_array_header_t *aud, *claim, *text, *header;
    m2mctl_number_t exp_in, nbf_in, iat_in, now;
    int no_exp, no_iat, no_kid;
} sign_t;

/* clang-format off */
#define SLOT(member) offsetof(sign_t, member)
static const m2mctl_option_t sign_options[] = {
    { "key",         M2MCTL_TEXT,   SLOT(key), "FILE", "private key: JWK or PEM (needed)" },
    { "alg",         M2MCTL_TEXT,   SLOT(alg), "NAME", "default: the first the key can do" },
    { "kid",         M2MCTL_TEXT,   SLOT(kid), "ID", "default: the kid of the key" },
    { "no-kid",      M2MCTL_FLAG,   SLOT(no_kid), NULL, "no kid in the header" },
    { "typ",         M2MCTL_TEXT,   SLOT(typ), "TYPE", "default JWT; empty: none" },
    { "header",      M2MCTL_LIST,   SLOT(header), "NAME=VALUE", "header member, JSON or text" },
    { "iss",         M2MCTL_TEXT,   SLOT(iss), "URL", "issuer" },
    { "aud",         M2MCTL_LIST,   SLOT(aud), "NAME", "audience; several make an array" },
    { "sub",         M2MCTL_TEXT,   SLOT(sub), "NAME", "subject" },
    { "client-id",   M2MCTL_TEXT,   SLOT(client_id), "ID", "claim client_id" },
    { "scope",       M2MCTL_TEXT,   SLOT(scope), "WORDS", "claim scope" },
    { "jti",         M2MCTL_TEXT,   SLOT(jti), "ID", "token id; auto: a random one" },
    { "exp-in",      M2MCTL_NUMBER, SLOT(exp_in), "SECONDS", "from now, default 300; may be "
                                                             "negative" },
    { "nbf-in",      M2MCTL_NUMBER, SLOT(nbf_in), "SECONDS", "from now; default: no nbf" },
    { "iat-in",      M2MCTL_NUMBER, SLOT(iat_in), "SECONDS", "from now, default 0" },
    { "no-exp",      M2MCTL_FLAG,   SLOT(no_exp), NULL, "no exp" },
    { "no-iat",      M2MCTL_FLAG,   SLOT(no_iat), NULL, "no iat" },
    { "claim",       M2MCTL_LIST,   SLOT(claim), "NAME=VALUE", "claim, JSON if it is JSON, "
                                                               "else text" },
    { "claim-text",  M2MCTL_LIST,   SLOT(text), "NAME=VALUE", "claim, always text" },
    { "claims",      M2MCTL_TEXT,   SLOT(claims), "FILE", "JSON object to start from; - is "
                                                          "standard input" },
    { "raw-payload", M2MCTL_TEXT,   SLOT(raw), "FILE", "sign these bytes as they are" },
    { "now",         M2MCTL_NUMBER, SLOT(now), "SECONDS", "the clock, since 1970" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

static void set_text(m2_json_t *object, const char *name, const char *value)
{
    if (value) {
        m2_json_set_string(object, name, value);
    }
}

/* NAME=VALUE: the value is JSON when it reads as such, else a text */
static m2_code_t set_pair(m2_json_t *object, apr_pool_t *pool, const char *word,
                          int always_text, m2_err_t *err)
{
    const char *name, *value;
    const m2_json_t *json = NULL;
    m2_code_t code = m2mctl_pair(&name, &value, pool, word, err);

    if (code) {
        return code;
    }
    if (!always_text &&
        !m2_json_parse(&json, pool, m2_slice_z(value), M2_E_CONFIG, NULL)) {
        m2_json_set_json(object, name, json);
    }
    else {
        m2_json_set_string(object, name, value);
    }
    return M2_OK;
}

static m2_code_t set_pairs(m2_json_t *object, apr_pool_t *pool,
                           const apr_array_header_t *list, int always_text, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && list && i < list->nelts; i++) {
        code = set_pair(object, pool, APR_ARRAY_IDX(list, i, const char *), always_text,
                        err);
    }
    return code;
}

/* --- claims --- */

static void set_audience(m2_json_t *claims, apr_pool_t *pool,
                         const apr_array_header_t *aud)
{
    m2_json_t *list;
    int i;

    if (!aud) {
        return;
    }
    if (aud->nelts == 1) {
        m2_json_set_string(claims, "aud", APR_ARRAY_IDX(aud, 0, const char *));
        return;
    }
    list = m2_json_make_array(pool);
    for (i = 0; i < aud->nelts; i++) {
        m2_json_append_string(list, APR_ARRAY_IDX(aud, i, const char *));
    }
    m2_json_set_json(claims, "aud", list);
}

/* a time that was asked for, or, when the claims do not have it, the default */
static void set_time(m2_json_t *claims, const char *name, const m2mctl_number_t *in,
                     apr_int64_t now, int has_default, apr_int64_t by_default)
{
    if (in->set) {
        m2_json_set_int(claims, name, now + in->value);
    }
    else if (has_default && !m2_json_get(claims, name)) {
        m2_json_set_int(claims, name, now + by_default);
    }
}

static const char *random_id(apr_pool_t *pool)
{
    unsigned char bytes[16];

    apr_generate_random_bytes(bytes, sizeof(bytes));
    return m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)));
}

static m2_code_t read_claims(m2_json_t *claims, apr_pool_t *pool, const char *path,
                             m2_err_t *err)
{
    const m2_json_t *json;
    m2_slice_t text;
    m2_code_t code = m2mctl_read(&text, pool, path, err);
    const m2_member_t *it;

    code = code ? code : m2_json_parse(&json, pool, text, M2_E_CONFIG, err);
    if (!code && m2_json_type(json) != M2_JSON_OBJECT) {
        code = m2_err_set(err, M2_E_CONFIG, "claims are a JSON object");
    }
    for (it = code ? NULL : m2_json_iter(json); it; it = m2_json_iter_next(it)) {
        m2_json_set_json(claims, m2_json_iter_name(it), m2_json_iter_value(it));
    }
    return code;
}

static m2_code_t make_claims(m2_json_t *claims, apr_pool_t *pool, const sign_t *o,
                             m2_err_t *err)
{
    apr_int64_t now = o->now.set ? o->now.value : apr_time_sec(apr_time_now());
    int auto_id = o->jti && m2_slice_is(m2_slice_z(o->jti), "auto");
    m2_code_t code = o->claims ? read_claims(claims, pool, o->claims, err) : M2_OK;

    set_text(claims, "iss", o->iss);
    set_audience(claims, pool, o->aud);
    set_text(claims, "sub", o->sub);
    set_text(claims, "client_id", o->client_id);
    set_text(claims, "scope", o->scope);
    set_text(claims, "jti", auto_id ? random_id(pool) : o->jti);
    code = code ? code : set_pairs(claims, pool, o->claim, 0, err);
    code = code ? code : set_pairs(claims, pool, o->text, 1, err);
    set_time(claims, "iat", &o->iat_in, now, !o->no_iat, 0);
    set_time(claims, "nbf", &o->nbf_in, now, 0, 0);
    set_time(claims, "exp", &o->exp_in, now, !o->no_exp, 300);
    return code;
}

/* --- the token --- */

static m2_code_t read_key(m2_jwk_t *key, apr_pool_t *pool, const sign_t *o, m2_err_t *err)
{
    m2_keyset_t *set = m2_keyset_make(pool);
    m2_code_t code = m2mctl_read_keys(set, o->key, M2_JWK_PRIVATE | M2_JWK_OCT, err);

    if (!code && set->keys->nelts != 1) {
        code = m2_err_set(err, M2_E_CONFIG, "it holds %d keys; sign takes one",
                          set->keys->nelts);
    }
    if (code) {
        return code;
    }
    *key = *APR_ARRAY_IDX(set->keys, 0, const m2_jwk_t *);
    if (o->kid) {
        key->kid = *o->kid ? o->kid : NULL;
    }
    if (o->no_kid) {
        key->kid = NULL;
    }
    return M2_OK;
}

static const m2_alg_t *choose_alg(const m2_jwk_t *key, const char *name)
{
    int i;

    if (name) {
        return m2_alg_find(m2_slice_z(name));
    }
    for (i = 0; m2_alg_at(i) && !(m2_alg_at(i)->bit & key->algs); i++) {
    }
    return m2_alg_at(i);
}

static m2_code_t make_payload(m2_slice_t *ppayload, apr_pool_t *pool, const sign_t *o,
                              m2_err_t *err)
{
    m2_json_t *claims = m2_json_make(pool);
    m2_code_t code;

    if (o->raw) {
        return m2mctl_read(ppayload, pool, o->raw, err);
    }
    code = make_claims(claims, pool, o, err);
    *ppayload = m2_slice_z(m2_json_dump(pool, claims));
    return code;
}

static void print_token(m2mctl_t *ctl, const char *token, const m2_alg_t *alg,
                        const m2_jwk_t *key)
{
    m2_json_t *json = m2_json_make(ctl->pool);

    if (!ctl->json) {
        m2mctl_print_token(token);
        return;
    }
    m2_json_set_string(json, "token", token);
    m2_json_set_string(json, "alg", alg->name);
    if (key->kid) {
        m2_json_set_string(json, "kid", key->kid);
    }
    m2mctl_print_json(ctl->pool, json);
}

/* The header of a token, which may say an alg and a kid that are not the key's. */
static const char *header_of(apr_pool_t *pool, const m2_json_t *header)
{
    return m2_b64_encode(pool, m2_slice_z(m2_json_dump(pool, header)));
}

static int run_sign(m2mctl_t *ctl, void *options)
{
    const sign_t *o = options;
    m2_json_t *header = m2_json_make(ctl->pool);
    const m2_alg_t *alg;
    const char *token;
    m2_slice_t payload;
    m2_jwk_t key;
    m2_err_t err;

    if (!o->key || ctl->words->nelts) {
        return m2mctl_usage(ctl, "--key FILE is needed, and there are no arguments");
    }
    m2_err_init(&err, ctl->pool);
    if (read_key(&key, ctl->pool, o, &err)) {
        return m2mctl_fault(ctl, o->key, &err);
    }
    alg = choose_alg(&key, o->alg);
    if (!alg) {
        return m2mctl_usage(ctl, "there is no algorithm %s", o->alg);
    }
    set_text(header, "alg", alg->name);
    set_text(header, "kid", key.kid);
    set_text(header, "typ", o->typ ? (*o->typ ? o->typ : NULL) : "JWT");
    if (make_payload(&payload, ctl->pool, o, &err) ||
        set_pairs(header, ctl->pool, o->header, 0, &err) ||
        m2_jws_sign_under(&token, ctl->pool, header_of(ctl->pool, header), payload, &key, alg,
                          &err)) {
        return m2mctl_fault(ctl, o->raw ? o->raw : o->claims ? o->claims : "sign", &err);
    }
    print_token(ctl, token, alg, &key);
    return M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_sign = {
    "sign",
    "",
    "make a token",
    "Prints a compact JWS. Without options about times it is good from now on for five\n"
    "minutes. Claims come from --claims, then the named options, then --claim and\n"
    "--claim-text, each over the one before. For tests of a verifier a token may be as "
    "odd\n"
    "as wanted: --exp-in -100, --no-exp, --header crit='[\"exp\"]', --raw-payload "
    "FILE.\n",
    {{sign_options, 0}},
    sizeof(sign_t),
    run_sign,
};
