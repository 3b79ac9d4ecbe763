/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Everything a choice needs is counted while the set is filled, so that choosing is one
 * hash look-up or one array access, however many keys there are.
 */
#include "key/m2_keyset.h"

#include "base/m2_log.h"

#include <apr_hash.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

/* a document on its way into a set */
typedef struct reader_t {
    m2_keyset_t *set;
    const char *origin;
    int flags;
    m2_keyset_mode_t mode;
    apr_array_header_t *keys; /* of m2_jwk_t *, good ones so far, in order */
    apr_hash_t *by_kid;       /* kid -> m2_jwk_t *, or &twice when two keys claim it */
    m2_err_t *err;
} reader_t;

static const m2_jwk_t twice; /* a mark, never a key */

m2_keyset_t *m2_keyset_make(apr_pool_t *pool)
{
    static apr_uint64_t generations;
    m2_keyset_t *set = apr_pcalloc(pool, sizeof(*set));

    set->pool = pool;
    set->keys = apr_array_make(pool, 4, sizeof(const m2_jwk_t *));
    set->by_kid = apr_hash_make(pool);
    set->generation = __atomic_add_fetch(&generations, 1, __ATOMIC_RELAXED);
    return set;
}

m2_code_t m2_keyset_add(m2_keyset_t *set, const m2_jwk_t *jwk, m2_err_t *err)
{
    int i;

    if (set->keys->nelts >= M2_MAX_KEYS) {
        return m2_err_set(err, M2_E_CONFIG, "more than %d keys", M2_MAX_KEYS);
    }
    if (jwk->kid) {
        if (apr_hash_get(set->by_kid, jwk->kid, APR_HASH_KEY_STRING)) {
            return m2_err_set(err, M2_E_CONFIG, "two keys have the kid '%s'", jwk->kid);
        }
        apr_hash_set(set->by_kid, jwk->kid, APR_HASH_KEY_STRING, jwk);
    }
    else if (set->unnamed_count++ == 0) {
        set->unnamed = jwk;
    }
    APR_ARRAY_PUSH(set->keys, const m2_jwk_t *) = jwk;
    set->algs |= jwk->algs;
    for (i = 0; i < M2_ALGS; i++) {
        if ((jwk->algs & m2_alg_at(i)->bit) && set->by_alg[i].count++ == 0) {
            set->by_alg[i].first = jwk;
        }
    }
    return M2_OK;
}

m2_code_t m2_keyset_add_all(m2_keyset_t *set, const m2_keyset_t *other, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; code == M2_OK && i < other->keys->nelts; i++) {
        code = m2_keyset_add(set, APR_ARRAY_IDX(other->keys, i, const m2_jwk_t *), err);
    }
    return code;
}

int m2_keyset_same_key(const m2_jwk_t *a, const m2_jwk_t *b)
{
    if (a->algs != b->algs || !a->pkey != !b->pkey) {
        return 0;
    }
    if (a->pkey) {
        return EVP_PKEY_eq(a->pkey, b->pkey) == 1;
    }
    return a->secret.n == b->secret.n
           && CRYPTO_memcmp(a->secret.p, b->secret.p, a->secret.n) == 0;
}

/* --- reading a document --- */

/* How messages name a key: by its kid, or by where it stands. */
static const char *name_of(const reader_t *r, const m2_json_t *json, apr_size_t i)
{
    m2_slice_t kid = m2_json_string(m2_json_get(json, "kid"));

    return kid.n ? apr_pstrcat(r->set->pool, "key '", m2_slice_dup(r->set->pool, kid),
                               "'", NULL)
                 : apr_psprintf(r->set->pool, "key number %d", (int)i + 1);
}

static void say(const reader_t *r, m2_level_t level, const char *name, const char *text)
{
    if (!(r->flags & M2_JWK_QUIET)) {
        m2_log(level, "%s: %s is skipped: %s", r->origin, name, text);
    }
}

/* A fault of one key: it ends a strict reading, and costs a lenient one only that key. */
static m2_code_t fault(reader_t *r, const char *name, const char *text)
{
    if (r->mode == M2_KEYSET_STRICT) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s: %s: %s", r->origin, name, text);
    }
    say(r, M2_LOG_WARNING, name, text);
    return M2_OK;
}

/* Of two keys with one kid nobody knows which is meant (RFC 7517 4.5 wants distinct
 * ones). */
static m2_code_t keep(reader_t *r, m2_jwk_t *jwk, const char *name)
{
    const m2_jwk_t *other = NULL;

    if (jwk->kid) {
        other = apr_hash_get(r->by_kid, jwk->kid, APR_HASH_KEY_STRING);
    }
    if (other && r->mode == M2_KEYSET_LENIENT && other != &twice
        && m2_keyset_same_key(jwk, other)) {
        return M2_OK;
    }
    if (other) {
        apr_hash_set(r->by_kid, jwk->kid, APR_HASH_KEY_STRING, &twice);
        return fault(r, name, "another key has this kid");
    }
    if (jwk->kid) {
        apr_hash_set(r->by_kid, jwk->kid, APR_HASH_KEY_STRING, jwk);
    }
    APR_ARRAY_PUSH(r->keys, m2_jwk_t *) = jwk;
    return M2_OK;
}

static m2_code_t read_key(reader_t *r, const m2_json_t *json, apr_size_t i)
{
    const char *name = name_of(r, json, i);
    m2_jwk_t *jwk;
    m2_err_t why;
    m2_code_t code;

    m2_err_init(&why, r->set->pool);
    code = m2_jwk_from_json(&jwk, r->set->pool, json, r->flags, &why);
    if (code == M2_E_KEY_SKIPPED) {
        say(r, M2_LOG_NOTICE, name, why.text);
        return M2_OK;
    }
    return code == M2_OK ? keep(r, jwk, name) : fault(r, name, why.text);
}

static m2_code_t read_keys(reader_t *r, const m2_json_t *keys)
{
    apr_size_t i, n = m2_json_length(keys);
    m2_code_t code = M2_OK;

    if (m2_json_type(keys) != M2_JSON_ARRAY) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s: its member keys is no list",
                          r->origin);
    }
    if (n > M2_MAX_KEYS) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s: more than %d keys", r->origin,
                          M2_MAX_KEYS);
    }
    for (i = 0; code == M2_OK && i < n; i++) {
        code = read_key(r, m2_json_at(keys, i), i);
    }
    return code;
}

/* Move what was kept into the set, without the kids that two keys claim. */
static m2_code_t fill(reader_t *r)
{
    int i, before = r->set->keys->nelts;
    m2_code_t code = M2_OK;

    for (i = 0; code == M2_OK && i < r->keys->nelts; i++) {
        m2_jwk_t *jwk = APR_ARRAY_IDX(r->keys, i, m2_jwk_t *);
        m2_err_t why;

        if (jwk->kid
            && apr_hash_get(r->by_kid, jwk->kid, APR_HASH_KEY_STRING) == &twice) {
            say(r, M2_LOG_WARNING,
                apr_pstrcat(r->set->pool, "key '", jwk->kid, "'", NULL),
                "another key has this kid");
            continue;
        }
        m2_err_init(&why, r->set->pool);
        if (m2_keyset_add(r->set, jwk, &why) != M2_OK) {
            code = m2_err_set(r->err, M2_E_CONFIG, "%s: %s", r->origin, why.text);
        }
    }
    if (code == M2_OK && r->set->keys->nelts == before) {
        code = m2_err_set(r->err, M2_E_CONFIG, "%s: it holds no usable key", r->origin);
    }
    return code;
}

m2_code_t m2_keyset_parse(m2_keyset_t *set, m2_slice_t text, const char *origin,
                          int flags, m2_keyset_mode_t mode, m2_err_t *err)
{
    reader_t r = { set, origin, flags, mode, NULL, NULL, err };
    const m2_json_t *json;
    m2_err_t why;
    m2_code_t code;

    r.keys = apr_array_make(set->pool, 4, sizeof(m2_jwk_t *));
    r.by_kid = apr_hash_make(set->pool);
    m2_err_init(&why, set->pool);
    if (text.n > M2_MAX_KEYSET_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "%s: it is larger than %d bytes", origin,
                          M2_MAX_KEYSET_BYTES);
    }
    if (m2_json_parse(&json, set->pool, text, M2_E_CONFIG, &why) != M2_OK) {
        return m2_err_at(err, M2_E_CONFIG, why.line, why.column, "%s: %s", origin,
                         why.text);
    }
    if (m2_json_get(json, "keys")) {
        code = read_keys(&r, m2_json_get(json, "keys"));
    }
    else if (m2_json_get(json, "kty")) {
        code = read_key(&r, json, 0);
    }
    else {
        code = m2_err_set(err, M2_E_CONFIG, "%s: neither a key set nor a key", origin);
    }
    return code == M2_OK ? fill(&r) : code;
}

/* --- choosing --- */

/* What to say when there is no key: a source that is down is our fault, not the token's.
 * */
static m2_code_t none(const m2_keyset_t *set, m2_code_t code, m2_err_t *err,
                      const char *text)
{
    if (set->incomplete || set->keys->nelts == 0) {
        return m2_err_set(err, M2_E_KEYS_UNAVAILABLE,
                          "a source of keys is not available");
    }
    return m2_err_set(err, code, "%s", text);
}

/* A token that names its key: that very one, or the only one that has no name. */
static m2_code_t choose_named(const m2_jwk_t **pjwk, const m2_keyset_t *set,
                              m2_slice_t kid, m2_err_t *err)
{
    *pjwk = apr_hash_get(set->by_kid, kid.p, (apr_ssize_t)kid.n);
    if (!*pjwk && set->unnamed_count == 1) {
        *pjwk = set->unnamed;
    }
    return *pjwk ? M2_OK
                 : none(set, M2_E_KID_UNKNOWN, err,
                        "the token's kid is not in the key set");
}

/* A token that names none: the only key there is, or the only one that can do it. */
static m2_code_t choose_unnamed(const m2_jwk_t **pjwk, const m2_keyset_t *set,
                                const m2_alg_t *alg, m2_err_t *err)
{
    int i = m2_alg_index(alg);

    if (set->keys->nelts == 1) {
        *pjwk = APR_ARRAY_IDX(set->keys, 0, const m2_jwk_t *);
    }
    else if (set->by_alg[i].count == 1) {
        *pjwk = set->by_alg[i].first;
    }
    else if (set->by_alg[i].count > 1) {
        return m2_err_set(err, M2_E_KID_UNKNOWN,
                          "the token has no kid, and several keys can do %s", alg->name);
    }
    return *pjwk ? M2_OK
                 : none(set, M2_E_ALG_NOT_ALLOWED, err,
                        "no key can do the token's algorithm");
}

m2_code_t m2_keyset_choose(const m2_jwk_t **pjwk, const m2_keyset_t *set, m2_slice_t kid,
                           const m2_alg_t *alg, m2_alg_mask_t allowed, m2_err_t *err)
{
    const m2_jwk_t *jwk = NULL;
    m2_code_t code;

    *pjwk = NULL;
    if (!(alg->bit & allowed)) {
        return m2_err_set(err, M2_E_ALG_NOT_ALLOWED, "%s is not allowed here", alg->name);
    }
    code =
        kid.p ? choose_named(&jwk, set, kid, err) : choose_unnamed(&jwk, set, alg, err);
    if (code == M2_OK && !(alg->bit & jwk->algs)) {
        code = m2_err_set(err, M2_E_ALG_NOT_ALLOWED, "the key cannot do %s", alg->name);
    }
    if (code == M2_OK) {
        *pjwk = jwk;
    }
    return code;
}
