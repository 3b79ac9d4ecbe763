/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl dpop: the proof of possession that goes with one request.
 */
#include "ctl/m2mctl_dpop.h"

#include "proof/m2_proof.h"
#include "proof/m2_target.h"
#include "text/m2_b64.h"
#include "token/m2_jws.h"

#include <apr_general.h>

typedef struct dpop_t {
    const char *key, *alg, *method, *url, *token_file, *nonce, *jti;
    m2mctl_number_t iat_in, now;
} dpop_t;

/* clang-format off */
#define SLOT(member) offsetof(dpop_t, member)
static const m2mctl_option_t dpop_options[] = {
    { "key",        M2MCTL_TEXT,   SLOT(key), "FILE", "private key: JWK or PEM (needed)" },
    { "alg",        M2MCTL_TEXT,   SLOT(alg), "NAME", "default: the first the key can do" },
    { "method",     M2MCTL_TEXT,   SLOT(method), "NAME", "of the request, default GET" },
    { "url",        M2MCTL_TEXT,   SLOT(url), "URL", "of the request (needed)" },
    { "token-file", M2MCTL_TEXT,   SLOT(token_file), "FILE", "the token it goes with; - is "
                                                             "standard input" },
    { "nonce",      M2MCTL_TEXT,   SLOT(nonce), "TEXT", "of the server's DPoP-Nonce" },
    { "jti",        M2MCTL_TEXT,   SLOT(jti), "ID", "default: a random one" },
    { "iat-in",     M2MCTL_NUMBER, SLOT(iat_in), "SECONDS", "from now, default 0" },
    { "now",        M2MCTL_NUMBER, SLOT(now), "SECONDS", "the clock, since 1970" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* --- making --- */

static const m2_alg_t *first_alg(const m2_jwk_t *key)
{
    int i = 0;

    while (m2_alg_at(i) && !(m2_alg_at(i)->bit & key->algs & m2_proof_algs())) {
        i++;
    }
    return m2_alg_at(i);
}

m2_code_t m2mctl_proof_key(m2_jwk_t **pkey, const m2_alg_t **palg, apr_pool_t *pool,
                           const char *path, const char *alg, m2_err_t *err)
{
    m2_keyset_t *set = m2_keyset_make(pool);
    m2_code_t code = m2mctl_read_keys(set, path, M2_JWK_PRIVATE, err);

    if (code) {
        return code;
    }
    if (set->keys->nelts != 1) {
        return m2_err_set(err, M2_E_CONFIG, "it holds %d keys; a proof takes one",
                          set->keys->nelts);
    }
    *pkey = apr_pmemdup(pool, APR_ARRAY_IDX(set->keys, 0, const m2_jwk_t *), sizeof(**pkey));
    (*pkey)->kid = NULL;
    *palg = alg ? m2_alg_find(m2_slice_z(alg)) : first_alg(*pkey);
    if (!*palg) {
        return m2_err_set(err, M2_E_CONFIG, alg ? "there is no algorithm %s"
                                                : "the key can make no proofs", alg);
    }
    return M2_OK;
}

static const char *random_id(apr_pool_t *pool)
{
    unsigned char bytes[16];

    apr_generate_random_bytes(bytes, sizeof(bytes));
    return m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)));
}

static m2_code_t set_claims(m2_json_t *claims, apr_pool_t *pool, const m2mctl_made_t *made,
                            m2_err_t *err)
{
    const char *htu;
    m2_err_t why;

    m2_err_init(&why, pool);
    if (m2_target_uri(&htu, pool, m2_slice_z(made->url), &why) != M2_OK) {
        return m2_err_set(err, M2_E_CONFIG, "no proof can be made for \"%s\": %s", made->url,
                          why.text);
    }
    m2_json_set_string(claims, "jti", made->jti ? made->jti : random_id(pool));
    m2_json_set_string(claims, "htm", made->method);
    m2_json_set_string(claims, "htu", htu);
    m2_json_set_int(claims, "iat", made->iat);
    if (made->token.p) {
        m2_json_set_string(claims, "ath", m2_proof_hash(pool, made->token));
    }
    if (made->nonce) {
        m2_json_set_string(claims, "nonce", made->nonce);
    }
    return M2_OK;
}

/* The members that say which key it is, and nothing else (RFC 7638 3.2): verifiers that know
 * the key need not read it again. */
static m2_json_t *bare_jwk(apr_pool_t *pool, const m2_jwk_t *key)
{
    static const char *const names[] = { "crv", "e", "kty", "n", "x", "y" };
    const m2_json_t *whole = m2_jwk_to_json(pool, key, 0);
    m2_json_t *bare = m2_json_make(pool);
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const m2_json_t *member = m2_json_get(whole, names[i]);

        if (member) {
            m2_json_set_json(bare, names[i], member);
        }
    }
    return bare;
}

m2_code_t m2mctl_proof_make(const char **pproof, apr_pool_t *pool, const m2_jwk_t *key,
                            const m2_alg_t *alg, const m2mctl_made_t *made, m2_err_t *err)
{
    m2_json_t *header = m2_json_make(pool), *claims = m2_json_make(pool);
    m2_code_t code = set_claims(claims, pool, made, err);

    m2_json_set_string(header, "typ", "dpop+jwt");
    m2_json_set_json(header, "jwk", bare_jwk(pool, key));
    return code ? code
                : m2_jws_sign(pproof, pool, header, m2_slice_z(m2_json_dump(pool, claims)), key,
                              alg, err);
}

/* --- the verb --- */

static int show(m2mctl_t *ctl, const char *proof, const m2_jwk_t *key, const m2_alg_t *alg)
{
    m2_json_t *json;

    if (!ctl->json) {
        m2mctl_print_token(proof);
        return M2MCTL_ALLOW;
    }
    json = m2_json_make(ctl->pool);
    m2_json_set_string(json, "proof", proof);
    m2_json_set_string(json, "alg", alg->name);
    m2_json_set_string(json, "jkt", m2_jwk_thumbprint(ctl->pool, key));
    m2mctl_print_json(ctl->pool, json);
    return M2MCTL_ALLOW;
}

static int run_dpop(m2mctl_t *ctl, void *options)
{
    const dpop_t *o = options;
    m2mctl_made_t made = { o->method ? o->method : "GET", o->url, { NULL, 0 }, o->nonce, o->jti,
                           o->now.set ? o->now.value : apr_time_sec(apr_time_now()) };
    const m2_alg_t *alg;
    const char *proof;
    m2_jwk_t *key;
    m2_err_t err;

    if (!o->key || !o->url || ctl->words->nelts) {
        return m2mctl_usage(ctl, "--key FILE and --url URL are needed, and there are no "
                                 "arguments");
    }
    m2_err_init(&err, ctl->pool);
    made.iat += o->iat_in.set ? o->iat_in.value : 0;
    if (m2mctl_proof_key(&key, &alg, ctl->pool, o->key, o->alg, &err)) {
        return m2mctl_fault(ctl, o->key, &err);
    }
    if (o->token_file && m2mctl_read_token(&made.token, NULL, ctl->pool, o->token_file, &err)) {
        return m2mctl_fault(ctl, o->token_file, &err);
    }
    if (m2mctl_proof_make(&proof, ctl->pool, key, alg, &made, &err)) {
        return m2mctl_fault(ctl, "dpop", &err);
    }
    return show(ctl, proof, key, alg);
}

const m2mctl_verb_t m2mctl_dpop = {
    "dpop",
    "",
    "make a proof of possession for a request",
    "Prints the value of a DPoP header (RFC 9449) for one request: its method, its URL and,\n"
    "with --token-file, the token that goes with it. With --json also the key's thumbprint,\n"
    "which a bound token has in cnf.jkt. A proof counts once.\n",
    {{dpop_options, 0}},
    sizeof(dpop_t),
    run_dpop,
};
