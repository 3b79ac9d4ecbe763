/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The public keys that clients prove themselves with (private_key_jwt): files that are read
 * again when they change, and URLs that are fetched again, as the gateway does with its key
 * sources. A file may be a JWK set, a JWK or a PEM.
 */
#include "issuer/m2mi.h"

#include "jwks/m2_jwks.h"

#include <apr_file_io.h>
#include <apr_shm.h>
#include <http_main.h>
#include <unixd.h>

#include <errno.h>
#include <unistd.h>

/* written while configuration is read and by child_init */
static m2_jwks_t *registry;
static m2_fetch_tls_t tls; /* nothing is said about it: the system's CA certificates */
static int started;
static m2_keyring_t *bracket;     /* holds nothing: entering it keeps what all others hold */
static m2_keyset_t *unavailable; /* an unknown kid is then nobody's fault */

void m2mi_client_keys_reset(apr_pool_t *pconf)
{
    registry = m2_jwks_make(pconf);
    m2_jwks_keep_copies(registry, ap_pglobal);
    bracket = m2_keyring_make(pconf, NULL);
    unavailable = m2_keyset_make(pconf);
    unavailable->incomplete = 1;
    started = 0;
}

/* --- files --- */

static int is_json(m2_slice_t text)
{
    while (text.n && apr_isspace(*text.p)) {
        text = m2_slice(text.p + 1, text.n - 1);
    }
    return text.n && *text.p == '{';
}

static const char *keys_parse(const void **pobject, apr_pool_t *pool, const char *path,
                              m2_slice_t text, int first, void *baton)
{
    m2_keyset_t *set = m2_keyset_make(pool);
    m2_jwk_t *jwk = NULL;
    m2_err_t err;
    m2_code_t rc;

    (void)baton;
    m2_err_init(&err, pool);
    if (is_json(text)) {
        rc = m2_keyset_parse(set, text, path, M2_JWK_PUBLIC,
                             first ? M2_KEYSET_STRICT : M2_KEYSET_LENIENT, &err);
    }
    else {
        rc = m2_jwk_from_pem(&jwk, pool, text, NULL, NULL, M2_JWK_PUBLIC, &err);
        rc = rc == M2_OK ? m2_keyset_add(set, jwk, &err) : rc;
    }
    if (rc != M2_OK) {
        return apr_psprintf(pool, "%s: %s", path, err.text ? err.text : "not usable");
    }
    *pobject = set;
    return NULL;
}

static const m2mi_watch_kind_t key_file = { "M2MClientKeys", M2_MAX_KEYSET_BYTES, 0, 0,
                                            keys_parse, NULL };

/* --- URLs --- */

static const char *url_open(m2mi_client_keys_t *keys, apr_pool_t *pool)
{
    apr_array_header_t *sources = apr_array_make(pool, 1, sizeof(m2_fed_t));
    m2_keysource_t *source = NULL;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_jwks_url(&source, registry, M2_KEYSOURCE_URL, keys->source, 0, &err) != M2_OK) {
        return apr_pstrcat(pool, "M2MClientKeys ", err.text, NULL);
    }
    APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ source, NULL };
    keys->ring = m2_keyring_make(pool, NULL);
    m2_jwks_feed(registry, keys->ring, NULL, sources);
    return NULL;
}

const char *m2mi_client_keys_open(m2mi_server_t *conf, apr_pool_t *pool, server_rec *s)
{
    apr_hash_index_t *hi;
    const char *wrong = NULL;

    conf->key_clients = apr_array_make(pool, 4, sizeof(m2mi_client_keys_t *));
    for (hi = conf->client_keys ? apr_hash_first(pool, conf->client_keys) : NULL;
         hi && !wrong; hi = apr_hash_next(hi)) {
        m2mi_client_keys_t *keys = apr_hash_this_val(hi);

        if (keys->is_url) {
            wrong = keys->ring ? NULL : url_open(keys, pool);
        }
        else if (!keys->watch) {
            wrong = m2mi_watch_open(&keys->watch, pool, s, &key_file, keys->source, NULL);
        }
        APR_ARRAY_PUSH(conf->key_clients, m2mi_client_keys_t *) = keys;
    }
    return wrong;
}

/* The last good copies of what was fetched; without the directory each process fetches for
 * itself once it is started. */
static const char *state_directory(apr_pool_t *pconf, server_rec *s)
{
    const char *dir = ap_runtime_dir_relative(pconf, "m2m-issuer");
    apr_status_t status = apr_dir_make(
        dir, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, pconf);

    if (status == APR_SUCCESS && geteuid() == 0
        && chown(dir, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
        status = errno;
    }
    if (status != APR_SUCCESS && !APR_STATUS_IS_EEXIST(status)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, status, s,
                     "M2-721: M2MClientKeys: %s cannot be made: fetched keys are not kept "
                     "over restarts", dir);
    }
    return dir;
}

static apr_status_t end_fetching(void *data)
{
    (void)data;
    m2_fetch_exit();
    return APR_SUCCESS;
}

int m2mi_client_keys_share(apr_pool_t *pconf, server_rec *s)
{
    const apr_size_t size = m2_jwks_shared_size(registry);
    apr_shm_t *shm;

    if (!m2_jwks_fetched(registry)) {
        return OK;
    }
    if (apr_shm_create(&shm, size, NULL, pconf) != APR_SUCCESS || !m2_fetch_init()) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s,
                     "M2-722: M2MClientKeys: keys cannot be fetched: no shared memory, or "
                     "libcurl does not start");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_pool_cleanup_register(pconf, NULL, end_fetching, apr_pool_cleanup_null);
    memset(apr_shm_baseaddr_get(shm), 0, size);
    m2_jwks_share(registry, apr_shm_baseaddr_get(shm));
    m2_jwks_open(registry, state_directory(pconf, s), apr_time_now());
    return OK;
}

void m2mi_client_keys_child(apr_pool_t *pchild, server_rec *s)
{
    apr_pool_t *pool; /* as long as the process */

    (void)pchild;
    if (!m2_jwks_fetched(registry)) {
        return;
    }
    m2_jwks_catch_up(registry, apr_time_now());
    started = apr_pool_create_unmanaged(&pool) == APR_SUCCESS
              && m2_jwks_start(registry, &tls, pool);
    if (!started) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     "M2-722: M2MClientKeys: keys are not fetched in this process: out of "
                     "memory");
    }
}

int m2mi_client_keys_fetched(void)
{
    return m2_jwks_fetched(registry);
}

void m2mi_client_keys_tick(apr_time_t now)
{
    if (started) {
        m2_jwks_tick(registry, now);
    }
}

/* --- requests --- */

/* One bracket covers all files and rings: what was in force when a thread entered stays
 * until it leaves. */
void m2mi_client_keys_enter(const m2mi_server_t *conf)
{
    (void)conf;
    m2_keyring_enter(bracket);
}

void m2mi_client_keys_leave(const m2mi_server_t *conf)
{
    (void)conf;
    m2_keyring_leave(bracket);
}

static const m2_keyset_t *set_now(const m2mi_client_keys_t *keys)
{
    const m2_keyset_t *set;

    if (keys->ring) {
        set = m2_keyring_enter(keys->ring);
        m2_keyring_leave(keys->ring);
        return set ? set : unavailable;
    }
    set = m2mi_watch_enter(keys->watch);
    m2mi_watch_leave(keys->watch);
    return set ? set : unavailable; /* bad at a restart that had no copy */
}

const m2_keyset_t *m2mi_client_keys_of(const char *client, void *baton)
{
    const m2mi_server_t *conf = baton;
    const m2mi_client_keys_t *keys =
        conf->client_keys ? apr_hash_get(conf->client_keys, client, APR_HASH_KEY_STRING)
                          : NULL;

    return keys ? set_now(keys) : NULL;
}

/* Another client's key, chosen by the name: so the times of names that nobody has are spread
 * as those of clients are, and each name keeps its own. */
const m2_jwk_t *m2mi_client_decoy_of(const char *client, const m2_alg_t *alg, void *baton)
{
    const m2mi_server_t *conf = baton;
    const int n = conf->key_clients ? conf->key_clients->nelts : 0;
    apr_ssize_t length = APR_HASH_KEY_STRING;
    const unsigned int start = apr_hashfunc_default(client, &length);
    int i, k;

    for (i = 0; i < n; i++) {
        const m2_keyset_t *set = set_now(APR_ARRAY_IDX(
            conf->key_clients, (int)((start + (unsigned int)i) % (unsigned int)n),
            m2mi_client_keys_t *));

        for (k = 0; set && (set->algs & alg->bit) && k < set->keys->nelts; k++) {
            const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, k, const m2_jwk_t *);

            if (jwk->algs & alg->bit) {
                return jwk;
            }
        }
    }
    return NULL;
}

/* what a fetched set may come to hold */
static m2_alg_mask_t asymmetric(void)
{
    return m2_alg_mask_of(M2_FAMILY_RSA) | m2_alg_mask_of(M2_FAMILY_RSA_PSS)
           | m2_alg_mask_of(M2_FAMILY_ECDSA) | m2_alg_mask_of(M2_FAMILY_EDDSA);
}

m2_alg_mask_t m2mi_client_keys_algs(const m2mi_server_t *conf)
{
    m2_alg_mask_t algs = 0;
    int i;

    for (i = 0; i < conf->key_clients->nelts; i++) {
        const m2mi_client_keys_t *keys =
            APR_ARRAY_IDX(conf->key_clients, i, m2mi_client_keys_t *);
        const m2_keyset_t *set = keys->is_url ? NULL : set_now(keys);

        algs |= set ? set->algs : asymmetric();
    }
    return algs;
}
