/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl keygen and jwks: fresh keys, and the public half of keys as a set to publish.
 * Symmetric keys have no public half, so jwks refuses them.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_b64.h"

#include <apr_general.h>

/* --- keygen --- */

typedef struct keygen_t {
    const char *alg, *kid, *out, *public_out, *format;
    m2mctl_number_t bits;
    int force, no_kid;
} keygen_t;

/* clang-format off */
#define SLOT(member) offsetof(keygen_t, member)
static const m2mctl_option_t keygen_options[] = {
    { "alg",    M2MCTL_TEXT,   SLOT(alg), "NAME", "what the key is for; default RS256" },
    { "bits",   M2MCTL_NUMBER, SLOT(bits), "N", "RSA: modulus, default 2048; HS: key" },
    { "kid",    M2MCTL_TEXT,   SLOT(kid), "ID", "default: the RFC 7638 thumbprint; of HS "
                                            "keys a random name" },
    { "no-kid", M2MCTL_FLAG,   SLOT(no_kid), NULL, "write no kid" },
    { "format", M2MCTL_TEXT,   SLOT(format), "jwk|pem", "default jwk" },
    { "out",    M2MCTL_TEXT,   SLOT(out), "FILE", "private key, mode 0600; default: "
                                                  "standard output" },
    { "public", M2MCTL_TEXT,   SLOT(public_out), "FILE", "public key as well; - is standard "
                                                         "output" },
    { "force",  M2MCTL_FLAG,   SLOT(force), NULL, "overwrite files" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* EdDSA is one algorithm over two curves; their names are understood as well */
static const m2_alg_t *alg_of(const char *name, int *pbits)
{
    m2_slice_t word = m2_slice_z(name ? name : "RS256");

    if (m2_slice_is_nocase(word, "Ed25519") || m2_slice_is_nocase(word, "Ed448")) {
        *pbits = m2_slice_is_nocase(word, "Ed448") ? 448 : 255;
        word = m2_slice_z("EdDSA");
    }
    return m2_alg_find(word);
}

static const char *key_text(apr_pool_t *pool, const m2_jwk_t *jwk, int pem,
                            int with_private)
{
    const m2_json_t *json;

    if (pem) {
        return m2_jwk_to_pem(pool, jwk, with_private);
    }
    json = m2_jwk_to_json(pool, jwk, with_private);
    return json ? apr_pstrcat(pool, m2_json_dump(pool, json), "\n", NULL) : NULL;
}

static m2_code_t write_key(const m2_jwk_t *jwk, const keygen_t *o, const char *path,
                           int pem, int with_private, apr_pool_t *pool, m2_err_t *err)
{
    const char *text = key_text(pool, jwk, pem, with_private);
    int to_stdout = path && m2_slice_is(m2_slice_z(path), "-");

    if (!text) {
        return m2_err_set(err, M2_E_CONFIG, "a symmetric key has no %s",
                          with_private ? "PEM form" : "public half");
    }
    return m2mctl_write(pool, to_stdout ? NULL : path, text, with_private, o->force, err);
}

static int write_keys(m2mctl_t *ctl, const m2_jwk_t *jwk, const keygen_t *o, int pem)
{
    int secret = m2_slice_is(m2_slice_z(jwk->kty), "oct");
    m2_err_t err;

    m2_err_init(&err, ctl->pool);
    if (secret && (pem || o->public_out)) {
        return m2mctl_usage(ctl, "a symmetric key has no PEM form and no public half");
    }
    if (write_key(jwk, o, o->out, pem, 1, ctl->pool, &err)) {
        return m2mctl_fault(ctl, o->out ? o->out : "private key", &err);
    }
    if (o->public_out && write_key(jwk, o, o->public_out, pem, 0, ctl->pool, &err)) {
        return m2mctl_fault(ctl, o->public_out, &err);
    }
    return M2MCTL_ALLOW;
}

static void print_made(m2mctl_t *ctl, const m2_jwk_t *jwk, const keygen_t *o)
{
    m2_json_t *json = m2_json_make(ctl->pool);

    if (jwk->kid) {
        m2_json_set_string(json, "kid", jwk->kid);
    }
    m2_json_set_string(json, "kty", jwk->kty);
    m2_json_set_string(json, "alg", m2_jwk_alg_names(ctl->pool, jwk));
    m2_json_set_int(json, "bits", jwk->bits);
    m2_json_set_string(json, "private", o->out);
    if (o->public_out) {
        m2_json_set_string(json, "public", o->public_out);
    }
    m2mctl_print_json(ctl->pool, json);
}

/* a name for a key that has none; the thumbprint of a secret would be a hint at it
 * (RFC 7638 7), so that one gets a random name */
static const char *make_kid(apr_pool_t *pool, const m2_jwk_t *jwk)
{
    unsigned char bytes[16];

    if (!m2_slice_is(m2_slice_z(jwk->kty), "oct")) {
        return m2_jwk_thumbprint(pool, jwk);
    }
    apr_generate_random_bytes(bytes, sizeof(bytes));
    return m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)));
}

static m2_code_t make_key(m2_jwk_t **pjwk, apr_pool_t *pool, const keygen_t *o,
                          const m2_alg_t *alg, int bits, m2_err_t *err)
{
    const char *kid = o->kid && *o->kid ? o->kid : NULL;
    m2_code_t code = m2_jwk_generate(pjwk, pool, alg, bits, kid, err);

    if (!code && !kid && !o->no_kid) {
        (*pjwk)->kid = make_kid(pool, *pjwk);
    }
    return code;
}

static int run_keygen(m2mctl_t *ctl, void *options)
{
    const keygen_t *o = options;
    int bits = o->bits.set ? (int)o->bits.value : 0;
    const m2_alg_t *alg = alg_of(o->alg, &bits);
    m2_slice_t format = m2_slice_z(o->format ? o->format : "jwk");
    int pem = m2_slice_is_nocase(format, "pem"), bad;
    m2_jwk_t *jwk;
    m2_err_t err;

    if (!alg) {
        return m2mctl_usage(ctl, "--alg must be one of %s",
                            m2_alg_names(ctl->pool));
    }
    if (ctl->words->nelts || (!pem && !m2_slice_is_nocase(format, "jwk"))) {
        return m2mctl_usage(ctl, "--format is jwk or pem, and there are no arguments");
    }
    if (bits < 0 || bits > M2_MAX_RSA_BITS) {
        return m2mctl_usage(ctl, "--bits must be at most %d", M2_MAX_RSA_BITS);
    }
    if (ctl->json && !o->out) {
        return m2mctl_usage(ctl, "--json tells about files; it needs --out");
    }
    m2_err_init(&err, ctl->pool);
    if (make_key(&jwk, ctl->pool, o, alg, bits, &err)) {
        return m2mctl_fault(ctl, "keygen", &err);
    }
    bad = write_keys(ctl, jwk, o, pem);
    if (!bad && ctl->json) {
        print_made(ctl, jwk, o);
    }
    return bad;
}

const m2mctl_verb_t m2mctl_keygen = {
    "keygen",
    "",
    "make a key: RSA, EC, Ed25519, Ed448 or symmetric",
    "Writes the private key (for HS algorithms the secret) as a JWK or as PEM. Files "
    "are\n"
    "made with mode 0600 and not overwritten without --force. A PEM file has no room for "
    "a\n"
    "kid; `m2mctl jwks` names such keys by their thumbprint.\n",
    {{keygen_options, 0}},
    sizeof(keygen_t),
    run_keygen,
};

/* --- jwks --- */

typedef struct jwks_t {
    const char *out, *format;
    int force;
} jwks_t;

/* clang-format off */
static const m2mctl_option_t jwks_options[] = {
    { "out",   M2MCTL_TEXT, offsetof(jwks_t, out), "FILE", "default: standard output" },
    { "format", M2MCTL_TEXT, offsetof(jwks_t, format), "json|yaml", "default json; yaml: lines "
                                                                  "for a jwtAuth script" },
    { "force", M2MCTL_FLAG, offsetof(jwks_t, force), NULL, "overwrite the file" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

static m2_code_t append_public(m2_json_t *list, apr_pool_t *pool, const m2_jwk_t *jwk,
                               m2_err_t *err)
{
    m2_jwk_t named = *jwk;
    const m2_json_t *json;

    if (m2_slice_is(m2_slice_z(jwk->kty), "oct")) {
        return m2_err_set(err, M2_E_CONFIG, "a symmetric key is a secret, it cannot be "
                          "published");
    }
    if (!named.kid) {
        named.kid = m2_jwk_thumbprint(pool, jwk);
    }
    json = m2_jwk_to_json(pool, &named, 0);
    if (!json) {
        return m2_err_set(err, M2_E_CONFIG, "OpenSSL does not give the public key");
    }
    m2_json_append(list, json);
    return M2_OK;
}

/* a key that is there already, in its private and its public file say, counts once */
static m2_code_t add_new(m2_keyset_t *all, const m2_jwk_t *jwk, m2_err_t *err)
{
    int i;

    for (i = 0; i < all->keys->nelts; i++) {
        const m2_jwk_t *other = APR_ARRAY_IDX(all->keys, i, const m2_jwk_t *);

        if (m2_slice_is(m2_slice_z(m2_jwk_thumbprint(all->pool, other)),
                        m2_jwk_thumbprint(all->pool, jwk)) &&
            m2_slice_is(m2_slice_z(other->kid ? other->kid : ""),
                        jwk->kid ? jwk->kid : "")) {
            return M2_OK;
        }
    }
    return m2_keyset_add(all, jwk, err);
}

static m2_code_t read_one(m2_keyset_t *all, const char *path, m2_err_t *err)
{
    m2_keyset_t *set = m2_keyset_make(all->pool);
    m2_code_t code =
        m2mctl_read_keys(set, path, M2_JWK_PUBLIC | M2_JWK_PRIVATE | M2_JWK_OCT, err);
    int i;

    for (i = 0; !code && i < set->keys->nelts; i++) {
        code = add_new(all, APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *), err);
    }
    return code;
}

/* one set over all files, so that a kid that two keys have is found */
static int read_files(m2_keyset_t *all, m2mctl_t *ctl)
{
    m2_err_t err;
    int i;

    for (i = 0; i < ctl->words->nelts; i++) {
        const char *path = APR_ARRAY_IDX(ctl->words, i, const char *);

        m2_err_init(&err, ctl->pool);
        if (read_one(all, path, &err)) {
            return m2mctl_fault(ctl, path, &err);
        }
    }
    return M2MCTL_ALLOW;
}

/* As a jwtAuth script has it: a list under `jwks`. A JSON text is a YAML text in quotes. */
static const char *yaml_text(apr_pool_t *pool, const m2_json_t *keys)
{
    const char *text = "jwks:\n";
    const m2_member_t *it;
    apr_size_t i;

    for (i = 0; i < m2_json_length(keys); i++) {
        const char *mark = "  - ";

        for (it = m2_json_iter(m2_json_at(keys, i)); it; it = m2_json_iter_next(it)) {
            text = apr_pstrcat(pool, text, mark, m2_json_iter_name(it), ": ",
                               m2_json_dump(pool, m2_json_iter_value(it)), "\n", NULL);
            mark = "    ";
        }
    }
    return text;
}

static const char *set_text(apr_pool_t *pool, const m2_json_t *keys, int yaml)
{
    m2_json_t *set = m2_json_make(pool);

    if (yaml) {
        return yaml_text(pool, keys);
    }
    m2_json_set_json(set, "keys", keys);
    return apr_pstrcat(pool, m2_json_dump(pool, set), "\n", NULL);
}

static int run_jwks(m2mctl_t *ctl, void *options)
{
    const jwks_t *o = options;
    m2_keyset_t *all = m2_keyset_make(ctl->pool);
    m2_json_t *list = m2_json_make_array(ctl->pool);
    const m2_slice_t format = m2_slice_z(o->format ? o->format : "json");
    const int yaml = m2_slice_is_nocase(format, "yaml");
    m2_code_t code = M2_OK;
    m2_err_t err;
    int i, bad;

    if (!ctl->words->nelts) {
        return m2mctl_usage(ctl, "name the key files");
    }
    if (!yaml && !m2_slice_is_nocase(format, "json")) {
        return m2mctl_usage(ctl, "--format is json or yaml");
    }
    bad = read_files(all, ctl);
    if (bad) {
        return bad;
    }
    m2_err_init(&err, ctl->pool);
    for (i = 0; !code && i < all->keys->nelts; i++) {
        code = append_public(list, ctl->pool,
                             APR_ARRAY_IDX(all->keys, i, const m2_jwk_t *), &err);
    }
    code = code ? code : m2mctl_write(ctl->pool, o->out, set_text(ctl->pool, list, yaml), 0,
                                      o->force, &err);
    return code ? m2mctl_fault(ctl, o->out ? o->out : "jwks", &err) : M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_jwks = {
    "jwks",
    "FILE...",
    "the public JWK set of key files",
    "Files are JWKs, JWK sets or PEM, private or public; - is standard input. The set "
    "holds\n"
    "public members only. A key without a kid is named by its RFC 7638 thumbprint. With\n"
    "--format yaml the keys are a list under `jwks`, as a jwtAuth script takes them.\n",
    {{jwks_options, 0}},
    sizeof(jwks_t),
    run_jwks,
};
