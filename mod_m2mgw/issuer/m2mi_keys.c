/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Keys of the M2M server, of which the first signs and all are published (so that a next key
 * is known before it signs, and a retired one until its last token is gone). Read while
 * configuration is read, never later.
 */
#include "issuer/m2mi.h"

#include "issuer/m2mi_watch.h"

#include "oauth/m2_view.h"
#include "text/m2_copy.h"

#define MAX_KEY_FILE 65536 /* one key */

#define OTHERS 0066 /* who but the owner may read or write */

/* filled while configuration is read: of m2_ill_file_t, files that were bad then */
static apr_array_header_t *ill;

void m2mi_keys_reset(apr_pool_t *pconf)
{
    ill = apr_array_make(pconf, 1, sizeof(m2_ill_file_t));
}

void m2mi_keys_ill(apr_array_header_t *list)
{
    apr_array_cat(list, ill);
}

static const char *said(apr_pool_t *pool, const char *path, const m2_err_t *err)
{
    return apr_psprintf(pool, "%s: %s", path, err->text ? err->text : "not usable");
}

static int is_json(m2_slice_t text)
{
    while (text.n && apr_isspace(*text.p)) {
        text = m2_slice(text.p + 1, text.n - 1);
    }
    return text.n && *text.p == '{';
}

static m2_code_t key_parse(m2_jwk_t **pjwk, apr_pool_t *pool, m2_slice_t text,
                           const char *kid, const char *alg, int flags, m2_err_t *err)
{
    const m2_json_t *json;
    m2_code_t rc;

    if (!is_json(text)) {
        return m2_jwk_from_pem(pjwk, pool, text, kid, alg, flags, err);
    }
    rc = m2_json_parse(&json, pool, text, M2_E_CONFIG, err);
    return rc == M2_OK ? m2_jwk_from_json(pjwk, pool, json, flags, err) : rc;
}

/* the algorithm a key signs with unless told otherwise: what most verifiers expect of RSA,
 * and the only one the other kinds can do */
static const m2_alg_t *alg_default(const m2_jwk_t *jwk)
{
    const m2_alg_t *alg;
    int i;

    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (jwk->algs & alg->bit) {
            return alg;
        }
    }
    return NULL;
}

/* the algorithm of a directive's word, in any case */
static const m2_alg_t *alg_of_word(const char *name)
{
    const m2_alg_t *alg;
    int i;

    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (m2_slice_is_nocase(m2_slice_z(name), alg->name)) {
            return alg;
        }
    }
    return NULL;
}

static const char *alg_choose(m2mi_key_t *key, apr_pool_t *pool, const m2_jwk_t *jwk,
                              const char *path, const char *name)
{
    if (!name) {
        key->alg = jwk->alg ? m2_alg_find(m2_slice_z(jwk->alg)) : alg_default(jwk);
        return key->alg ? NULL : apr_psprintf(pool, "%s: the key can do no algorithm", path);
    }
    key->alg = alg_of_word(name);
    if (!key->alg) {
        return apr_psprintf(pool, "%s: unknown alg=%s", path, name);
    }
    if (!(jwk->algs & key->alg->bit)) {
        return apr_psprintf(pool, "%s: alg=%s is not what this key can do, which is %s",
                            path, name, m2_jwk_alg_names(pool, jwk));
    }
    return NULL;
}

/* the key as it is published and named in tokens */
static const m2_jwk_t *named(apr_pool_t *pool, const m2_jwk_t *jwk, const char *kid,
                             const m2_alg_t *alg)
{
    m2_jwk_t *copy = apr_pmemdup(pool, jwk, sizeof(*jwk));

    if (kid) {
        copy->kid = apr_pstrdup(pool, kid);
    }
    if (!copy->kid) {
        copy->kid = m2_jwk_thumbprint(pool, jwk);
    }
    copy->alg = alg->name;
    return copy;
}

/* RFC 9068 2.1 */
static const char *head_make(apr_pool_t *pool, const m2mi_key_t *key)
{
    m2_json_t *header = m2_json_make(pool);

    m2_json_set_string(header, "typ", "at+jwt");
    return m2_jws_head(pool, header, key->jwk, key->alg);
}

/* what a text of that mode says, in *key */
static const char *key_take(m2mi_key_t *key, apr_pool_t *pool, const m2mi_key_file_t *from,
                            m2_slice_t text, apr_uint32_t mode)
{
    m2_jwk_t *jwk = NULL;
    m2_err_t err;
    const char *wrong;

    m2_err_init(&err, pool);
    if (key_parse(&jwk, pool, text, from->kid, NULL, M2_JWK_PUBLIC | M2_JWK_PRIVATE, &err)
        != M2_OK) {
        return said(pool, from->path, &err);
    }
    if (jwk->is_private && (mode & OTHERS)) {
        return apr_psprintf(pool, "%s holds a private key and others than its owner can "
                            "read or write it: chmod 0600", from->path);
    }
    wrong = alg_choose(key, pool, jwk, from->path, from->alg);
    if (wrong) {
        return wrong;
    }
    key->jwk = named(pool, jwk, from->kid, key->alg);
    key->head = head_make(pool, key);
    key->origin = from->path;
    return NULL;
}

/* Nobody looks at the file between two restarts, so that the parent's own copy is the newest. */
static const char *stand_in(m2mi_key_t *key, apr_pool_t *pool, const m2mi_key_file_t *from,
                            const m2_copy_t *copy, const char *wrong)
{
    apr_uint64_t version = 0;
    m2_slice_t text;

    if (!m2mi_restarts()) {
        return wrong;
    }
    text = m2_copy_get(copy, &version, NULL, pool);
    if (!text.p || key_take(key, pool, from, text, 0)) {
        key->jwk = NULL;
    }
    APR_ARRAY_PUSH(ill, m2_ill_file_t) = (m2_ill_file_t){ from->path, "M2MSigningKey",
                                                          key->jwk != NULL };
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, NULL, "M2-728: M2MSigningKey %s; %s", wrong,
                 key->jwk ? "the key it held before stays in use"
                          : "there is none that was held before, so that it is missing");
    return NULL;
}

const char *m2mi_key_load(m2mi_key_t *key, apr_pool_t *process, apr_pool_t *pool,
                          const m2mi_key_file_t *from)
{
    m2_copy_t *copy = m2_copy_open(process, "M2MSigningKey", from->path, MAX_KEY_FILE);
    const char *wrong = NULL;
    apr_uint64_t version;
    m2_file_t file;
    m2_err_t err;

    m2_err_init(&err, pool);
    memset(key, 0, sizeof(*key));
    if (m2_file_read(&file, pool, from->path, MAX_KEY_FILE, M2_FILE_DECIDES, &err) != M2_OK) {
        wrong = err.text;
    }
    wrong = wrong ? wrong : key_take(key, pool, from, file.text, file.stamp.mode);
    if (wrong) {
        return stand_in(key, pool, from, copy, wrong);
    }
    m2_copy_put(copy, &version, file.text, &file.stamp, apr_time_now());
    return NULL;
}
