/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The documents for strangers, written once and served as they are: the key set (RFC 7517 5)
 * and the metadata (RFC 8414 2).
 */
#include "issuer/m2mi.h"

#include "text/m2_lines.h"

const char *m2mi_jwks_text(apr_pool_t *pool, const m2mi_server_t *conf)
{
    m2_json_t *set = m2_json_make(pool);
    m2_json_t *keys = m2_json_make_array(pool);
    int i;

    for (i = 0; i < conf->keys->nelts; i++) {
        const m2_jwk_t *key = APR_ARRAY_IDX(conf->keys, i, m2mi_key_t).jwk;
        m2_json_t *jwk = key ? m2_jwk_to_json(pool, key, 0) : NULL;

        if (key && !jwk) {
            return NULL;
        }
        if (jwk) {
            m2_json_append(keys, jwk);
        }
    }
    m2_json_set_json(set, "keys", keys);
    return m2_json_dump(pool, set);
}

/* blank-separated words as an array of strings */
static m2_json_t *words_array(apr_pool_t *pool, const char *words)
{
    m2_json_t *array = m2_json_make_array(pool);
    m2_slice_t rest = m2_slice_z(words), word;

    while (m2_word_next(&rest, &word)) {
        m2_json_append_string(array, m2_slice_dup(pool, word));
    }
    return array;
}

/* how clients may log in */
static const char *methods_of(apr_pool_t *pool, const m2mi_server_t *conf, int secrets)
{
    const char *methods = secrets ? "client_secret_basic client_secret_post" : "";
    apr_hash_index_t *hi;
    int i, ca = 0, hashed = 0;

    if (conf->client_keys) {
        methods = apr_pstrcat(pool, methods, " private_key_jwt", NULL);
    }
    for (hi = conf->client_certs ? apr_hash_first(pool, conf->client_certs) : NULL; hi;
         hi = apr_hash_next(hi)) {
        const apr_array_header_t *certs = apr_hash_this_val(hi);

        for (i = 0; i < certs->nelts; i++) {
            int is_hash = APR_ARRAY_IDX(certs, i, m2_client_cert_t).name == M2_CERT_X5T;

            hashed |= is_hash;
            ca |= !is_hash;
        }
    }
    return apr_pstrcat(pool, methods, ca ? " tls_client_auth" : "",
                       hashed ? " self_signed_tls_client_auth" : "", NULL);
}

/* an endpoint for clients, and how they log in to it; url NULL: it is not there */
static void add_endpoint(m2_json_t *doc, apr_pool_t *pool, const m2mi_server_t *conf,
                         const char *name, const char *url, const char *methods)
{
    if (!url) {
        return;
    }
    m2_json_set_string(doc, apr_pstrcat(pool, name, "_endpoint", NULL), url);
    m2_json_set_json(doc, apr_pstrcat(pool, name, "_endpoint_auth_methods_supported", NULL),
                     words_array(pool, methods));
    if (conf->client_keys) {
        m2_json_set_json(
            doc, apr_pstrcat(pool, name, "_endpoint_auth_signing_alg_values_supported", NULL),
            words_array(pool, m2_alg_spellings(pool, m2mi_client_keys_algs(conf))));
    }
}

const char *m2mi_metadata_text(apr_pool_t *pool, const m2mi_server_t *conf, int secrets)
{
    m2_json_t *doc = m2_json_make(pool);
    const char *methods = methods_of(pool, conf, secrets);

    m2_json_set_string(doc, "issuer", conf->name);
    m2_json_set_string(doc, "jwks_uri", conf->jwks_url);
    m2_json_set_json(doc, "response_types_supported", m2_json_make_array(pool));
    m2_json_set_json(doc, "grant_types_supported",
                     words_array(pool, M2_GRANT_CLIENT_CREDENTIALS));
    add_endpoint(doc, pool, conf, "token", conf->token_url, methods);
    add_endpoint(doc, pool, conf, "introspection", conf->introspect_url, methods);
    add_endpoint(doc, pool, conf, "revocation", conf->revoke_url, methods);
    if (!conf->dpop || conf->dpop->mode != M2MI_DPOP_OFF) { /* RFC 9449 5.1 */
        m2_json_set_json(doc, "dpop_signing_alg_values_supported",
                         words_array(pool, m2_alg_spellings(pool, conf->proof_algs)));
    }
    if (conf->client_certs) { /* RFC 8705 3.3 */
        m2_json_set_bool(doc, "tls_client_certificate_bound_access_tokens", 1);
    }
    return m2_json_dump(pool, doc);
}
