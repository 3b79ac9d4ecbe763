/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Documents -> sets, as the world publishes them.
 */
#include "key/m2_keyset.h"

#include "base/m2_log.h"
#include "text/m2_gzip.h"

#include <apr_hash.h>

#define PEM_START "-----BEGIN "
#define MAX_URL_SHOWN 200 /* bytes of a URL that a message quotes */

/* a document on its way into a set */
typedef struct reader_t {
    m2_keyset_t *set;
    const char *origin;
    int flags;
    m2_keyset_mode_t mode;
    apr_array_header_t *keys; /* of m2_jwk_t *, good ones so far, in order */
    apr_hash_t *by_kid;       /* kid -> claim_t * */
    m2_err_t *err;
} reader_t;

/* the keys of a document that have one kid */
typedef struct claim_t {
    m2_jwk_t *keys[M2_MAX_SAME_KID];
    int n;
    int over; /* there are more than have room here */
    m2_alg_mask_t once, contested; /* what one of them can do, and what several can */
} claim_t;

/* --- faults and notices --- */

/* How messages name a key: by its kid, or by where it stands. */
static const char *name_of(const reader_t *r, m2_slice_t kid, apr_size_t i)
{
    return kid.n ? apr_pstrcat(r->set->pool, "key '", m2_slice_dup(r->set->pool, kid),
                               "'", NULL)
                 : apr_psprintf(r->set->pool, "key number %d", (int)i + 1);
}

static void say(const reader_t *r, m2_level_t level, const char *name, const char *text)
{
    if (!(r->flags & M2_JWK_QUIET)) {
        m2_log(level, "%s: %s%s", r->origin, name, text);
    }
}

/* A key that is left out; where all are, why the first is (m2_keyset_t). */
static void skip(const reader_t *r, m2_level_t level, const char *name, const char *why)
{
    say(r, level, name, apr_pstrcat(r->set->pool, " is skipped: ", why, NULL));
    if (!r->set->skipped) {
        r->set->skipped = apr_pstrcat(r->set->pool, name, ": ", why, NULL);
    }
}

/* A fault of one key: it ends a strict reading, and costs a lenient one only that key. */
static m2_code_t fault(reader_t *r, const char *name, const char *text)
{
    if (r->mode == M2_KEYSET_STRICT) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s: %s: %s", r->origin, name, text);
    }
    skip(r, M2_LOG_WARNING, name, text);
    return M2_OK;
}

/* --- keys of one kid --- */

/* The same key again, told apart by its alg, is one key with all of them. */
static int join(claim_t *claim, const m2_jwk_t *jwk)
{
    int i;

    for (i = 0; i < claim->n; i++) {
        if (m2_keyset_same_key(claim->keys[i], jwk)) {
            claim->keys[i]->algs |= jwk->algs;
            claim->keys[i]->alg =
                claim->keys[i]->algs == jwk->algs ? claim->keys[i]->alg : NULL;
            return 1;
        }
    }
    return 0;
}

/* Different keys of one kid are told apart by what they can do; for an algorithm that two
 * support it is unknown which is meant (RFC 7517 4.5 wants distinct kids). */
static m2_code_t keep_named(reader_t *r, m2_jwk_t *jwk, const char *name)
{
    claim_t *claim = apr_hash_get(r->by_kid, jwk->kid, APR_HASH_KEY_STRING);
    int i;

    if (!claim) {
        claim = apr_pcalloc(r->set->pool, sizeof(*claim));
        apr_hash_set(r->by_kid, jwk->kid, APR_HASH_KEY_STRING, claim);
    }
    if (join(claim, jwk)) {
        return M2_OK;
    }
    for (i = 0; r->mode == M2_KEYSET_STRICT && i < claim->n; i++) {
        if (claim->keys[i]->algs & jwk->algs) {
            return fault(r, name, "a different key has this kid and can do the same");
        }
    }
    if (claim->n == M2_MAX_SAME_KID) {
        claim->over = 1;
        return fault(r, name, "too many keys have this kid");
    }
    claim->keys[claim->n++] = jwk;
    APR_ARRAY_PUSH(r->keys, m2_jwk_t *) = jwk;
    return M2_OK;
}

/* Which algorithms several keys of a kid can do, once all are known. */
static void find_contested(claim_t *claim)
{
    int i;

    claim->once = 0;
    claim->contested = claim->over ? ~(m2_alg_mask_t)0 : 0;
    for (i = 0; i < claim->n; i++) {
        claim->contested |= claim->once & claim->keys[i]->algs;
        claim->once |= claim->keys[i]->algs;
    }
}

/* 0 when nothing of the key is left. */
static int settle(reader_t *r, m2_jwk_t *jwk)
{
    claim_t *claim =
        jwk->kid ? apr_hash_get(r->by_kid, jwk->kid, APR_HASH_KEY_STRING) : NULL;

    if (claim && !claim->once) {
        find_contested(claim);
        if (claim->contested) {
            say(r, M2_LOG_WARNING, name_of(r, m2_slice_z(jwk->kid), 0),
                apr_psprintf(r->set->pool,
                             ": different keys have this kid, and none of them counts for %s",
                             m2_alg_mask_names(r->set->pool, claim->contested)));
        }
    }
    if (claim) {
        jwk->algs &= ~claim->contested;
    }
    return jwk->algs != 0;
}

/* --- one key --- */

/* code and why: what became of reading it */
static m2_code_t keep(reader_t *r, m2_jwk_t *jwk, const char *name, m2_code_t code,
                      const m2_err_t *why)
{
    if (code == M2_E_KEY_SKIPPED) {
        skip(r, M2_LOG_NOTICE, name, why->text);
        return M2_OK;
    }
    if (code != M2_OK) {
        return fault(r, name, why->text);
    }
    if (jwk->odd) {
        say(r, M2_LOG_NOTICE, name, apr_pstrcat(r->set->pool, ": ", jwk->odd, NULL));
    }
    if (jwk->kid) {
        return keep_named(r, jwk, name);
    }
    APR_ARRAY_PUSH(r->keys, m2_jwk_t *) = jwk;
    return M2_OK;
}

static m2_code_t read_key(reader_t *r, const m2_json_t *json, apr_size_t i)
{
    m2_jwk_t *jwk;
    m2_err_t why;
    m2_code_t code;

    m2_err_init(&why, r->set->pool);
    code = m2_jwk_from_json(&jwk, r->set->pool, json, r->flags, &why);
    return keep(r, jwk, name_of(r, m2_json_string(m2_json_get(json, "kid")), i), code, &why);
}

static m2_code_t too_many(reader_t *r)
{
    return m2_err_set(r->err, M2_E_CONFIG, "%s: more than %d keys", r->origin, M2_MAX_KEYS);
}

static m2_code_t read_keys(reader_t *r, const m2_json_t *keys)
{
    apr_size_t i, n = m2_json_length(keys);
    m2_code_t code = M2_OK;

    if (m2_json_type(keys) != M2_JSON_ARRAY) {
        return m2_err_set(r->err, M2_E_CONFIG, "%s: its member keys is not a list",
                          r->origin);
    }
    if (n > M2_MAX_KEYS) {
        return too_many(r);
    }
    for (i = 0; code == M2_OK && i < n; i++) {
        code = read_key(r, m2_json_at(keys, i), i);
    }
    return code;
}

/* --- a map of kid to PEM --- */

static int starts_with(m2_slice_t text, const char *start)
{
    const apr_size_t n = strlen(start);

    return text.n >= n && m2_slice_is(m2_slice(text.p, n), start);
}

static int is_pem_map(const m2_json_t *json)
{
    const m2_member_t *it = m2_json_iter(json);
    int any = it != NULL;

    for (; any && it; it = m2_json_iter_next(it)) {
        any = starts_with(m2_json_string(m2_json_iter_value(it)), PEM_START);
    }
    return any;
}

static m2_code_t read_pem_map(reader_t *r, const m2_json_t *json)
{
    const m2_member_t *it;
    m2_code_t code = M2_OK;

    for (it = m2_json_iter(json); code == M2_OK && it; it = m2_json_iter_next(it)) {
        const char *kid = m2_json_iter_name(it);
        m2_jwk_t *jwk;
        m2_err_t why;

        m2_err_init(&why, r->set->pool);
        code = m2_jwk_from_pem(&jwk, r->set->pool, m2_json_string(m2_json_iter_value(it)), kid,
                               NULL, r->flags, &why);
        code = keep(r, jwk, name_of(r, m2_slice_z(kid), 0), code, &why);
    }
    return code;
}

/* --- documents --- */

/* What a text is that is not JSON; NULL when nothing better can be said than where it ends to
 * be JSON. */
static const char *kind_of_text(m2_slice_t text)
{
    while (text.n && apr_isspace(text.p[0])) {
        text = m2_slice(text.p + 1, text.n - 1);
    }
    if (starts_with(text, PEM_START)) {
        return "it is a PEM and no key set; M2MJwk pem:PATH takes one";
    }
    return starts_with(text, "<") ? "it is HTML or XML and no key set" : NULL;
}

/* What a JSON document is that is not a key set. */
static const char *kind_of_json(apr_pool_t *pool, const m2_json_t *json)
{
    m2_slice_t uri = m2_json_string(m2_json_get(json, "jwks_uri"));

    if (uri.p) {
        return apr_psprintf(pool, "it is the metadata of an issuer and no key set; its keys are "
                            "at \"%.*s\", or use M2MIssuerDiscovery",
                            (int)(uri.n < MAX_URL_SHOWN ? uri.n : MAX_URL_SHOWN), uri.p);
    }
    if (m2_json_type(json) == M2_JSON_OBJECT && !m2_json_length(json)) {
        return "it is an empty object and no key set";
    }
    return "neither a key set nor a key";
}

static m2_code_t read_json(reader_t *r, const m2_json_t *json)
{
    const m2_json_t *keys = m2_json_get(json, "keys");

    if (keys && m2_json_type(keys) != M2_JSON_NULL) {
        return read_keys(r, keys);
    }
    if (m2_json_get(json, "kty")) {
        return read_key(r, json, 0);
    }
    if (is_pem_map(json)) {
        return read_pem_map(r, json);
    }
    return m2_err_set(r->err, M2_E_CONFIG, "%s: %s", r->origin,
                      kind_of_json(r->set->pool, json));
}

/* Move what was kept into the set, without what two keys of one kid can do. */
static m2_code_t fill(reader_t *r)
{
    int i, usable = 0;
    m2_code_t code = M2_OK;

    for (i = 0; code == M2_OK && i < r->keys->nelts; i++) {
        m2_jwk_t *jwk = APR_ARRAY_IDX(r->keys, i, m2_jwk_t *);
        m2_err_t why;

        m2_err_init(&why, r->set->pool);
        if (!settle(r, jwk)) {
            continue;
        }
        usable++; /* also when the set has it from elsewhere */
        if (m2_keyset_add(r->set, jwk, &why) != M2_OK) {
            code = m2_err_set(r->err, M2_E_CONFIG, "%s: %s", r->origin, why.text);
        }
    }
    if (code == M2_OK && !usable) {
        code = m2_err_set(r->err, M2_E_CONFIG, "%s: it holds no usable key%s%s", r->origin,
                          r->set->skipped ? ": " : "", r->set->skipped ? r->set->skipped : "");
    }
    return code;
}

m2_code_t m2_keyset_parse(m2_keyset_t *set, m2_slice_t text, const char *origin,
                          int flags, m2_keyset_mode_t mode, m2_err_t *err)
{
    reader_t r = { set, origin, flags, mode, NULL, NULL, err };
    const char *wrong = m2_gzip_plain(&text, set->pool, M2_MAX_KEYSET_BYTES);
    const m2_json_t *json;
    m2_err_t why;
    m2_code_t code;

    r.keys = apr_array_make(set->pool, 4, sizeof(m2_jwk_t *));
    r.by_kid = apr_hash_make(set->pool);
    m2_err_init(&why, set->pool);
    if (wrong) {
        return m2_err_set(err, M2_E_CONFIG, "%s: %s", origin, wrong);
    }
    if (m2_json_parse(&json, set->pool, text, M2_E_CONFIG, &why) != M2_OK) {
        wrong = kind_of_text(text);
        return m2_err_at(err, M2_E_CONFIG, why.line, why.column, "%s: %s", origin,
                         wrong ? wrong : why.text);
    }
    code = read_json(&r, json);
    return code == M2_OK ? fill(&r) : code;
}
