/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the M2M server, a module of its own beside the gateway: clients prove who they
 * are and get tokens that say what they were granted (RFC 6749 4.4). It shares the core with
 * the gateway and nothing else; either module works without the other.
 *
 * What it trusts: its configuration, its grant file, and the authn providers of httpd for
 * whether a secret is right. What it never does: keep a secret, log one, or answer in a way
 * that tells an unknown client from a wrong secret.
 *
 * Configuration is shared by all threads of a process; request code sees it const, except
 * for the watched grant table, which has its own lock.
 */
#ifndef MOD_M2M_ISSUER_H
#define MOD_M2M_ISSUER_H

#include "oauth/m2_assertion.h"
#include "text/m2_b64.h"
#include "oauth/m2_grant.h"
#include "token/m2_jws.h"
#include "key/m2_keyset.h"
#include "oauth/m2_oauth.h"

#include <apr_hash.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>

extern module AP_MODULE_DECLARE_DATA m2m_issuer_module
    __attribute__((visibility("default")));

APLOG_USE_MODULE(m2m_issuer);

#define M2MI_HANDLER_TOKEN "m2m-token"
#define M2MI_HANDLER_JWKS "m2m-jwks"
#define M2MI_HANDLER_METADATA "m2m-metadata"

#define M2MI_WELL_KNOWN "/.well-known/oauth-authorization-server"
#define M2MI_WELL_KNOWN_OPENID "/.well-known/openid-configuration"

#define M2MI_LIFETIME 1200            /* seconds, M2MTokenLifetime */
#define M2MI_LIFETIME_MAX (30 * 86400) /* a token cannot be taken back while it lives */
#define M2MI_JWKS_AGE 300             /* seconds the key set and metadata may be cached */

/* one M2MSigningKey */
typedef struct m2mi_key_t {
    const m2_jwk_t *jwk;  /* with a kid; private for the one that signs */
    const m2_alg_t *alg;
    const char *origin;   /* file, for messages */
} m2mi_key_t;

typedef struct m2mi_watch_t m2mi_watch_t;

/* the grants of a server: where any of these is said, all are replaced */
typedef struct m2mi_grants_t {
    m2_grants_t *fixed;   /* M2MGrant; never NULL */
    const char *file;     /* M2MGrantFile, or NULL */
    m2mi_watch_t *watch;  /* opened by the check, where there is a file */
} m2mi_grants_t;

/* One server or virtual host. NULL or M2_UNSET: nothing was said. Members in the order of
 * the directives' docs; the last group is worked out once configuration is complete. */
typedef struct m2mi_server_t {
    const char *name;          /* M2MIssuerName */
    apr_array_header_t *keys;  /* M2MSigningKey, of m2mi_key_t; the first signs */
    apr_hash_t *client_keys;   /* M2MClientKeys, client -> m2_keyset_t * */
    m2mi_grants_t *grants;     /* M2MGrant, M2MGrantFile */
    int lifetime;              /* M2MTokenLifetime, seconds */
    int plain;                 /* M2MAllowPlainHTTP */
    const char *token_url;     /* M2MIssuerEndpoint token */
    const char *jwks_url;      /* M2MIssuerEndpoint jwks */

    const char *path;          /* path of the issuer's URL, without a final slash */
    const char *jwks;          /* the published documents */
    const char *metadata;
    apr_array_header_t *audiences; /* names an assertion may be meant for, const char * */
} m2mi_server_t;

/* one word of M2MClientProvider */
typedef struct m2mi_provider_t {
    const char *name;
    const authn_provider *provider;
} m2mi_provider_t;

/* the providers of a section, and what it costs to ask them */
typedef struct m2mi_providers_t {
    apr_array_header_t *list;      /* of m2mi_provider_t */
    volatile apr_uint32_t usec;    /* this process: processor time of checking a client they
                                      know, a moving average; 0 before the first */
} m2mi_providers_t;

/* a section */
typedef struct m2mi_dir_t {
    m2mi_providers_t *providers; /* M2MClientProvider */
} m2mi_dir_t;

/* --- mod_m2m_issuer_config.c: directives --- */

void *m2mi_server_create(apr_pool_t *pool, server_rec *s);
void *m2mi_server_merge(apr_pool_t *pool, void *base, void *add);
void *m2mi_dir_create(apr_pool_t *pool, char *path);
void *m2mi_dir_merge(apr_pool_t *pool, void *base, void *add);
extern const command_rec m2mi_commands[];

/* --- mod_m2m_issuer_file.c: files an administrator names --- */

/** A whole regular file of at most max bytes. NULL, or a sentence about what is wrong. */
const char *m2mi_file_read(m2_slice_t *ptext, apr_finfo_t *finfo, apr_pool_t *pool,
                           const char *path, apr_size_t max);

/* --- mod_m2m_issuer_keys.c: M2MSigningKey, M2MClientKeys --- */

/** A signing key from a PEM or JWK file; kid and alg may be NULL. NULL, or a sentence. */
const char *m2mi_key_load(m2mi_key_t *key, apr_pool_t *pool, apr_pool_t *temp,
                          const char *path, const char *kid, const char *alg);

/** The public keys of a client from a PEM, JWK or JWK set file. NULL, or a sentence. */
const char *m2mi_client_keys_load(m2_keyset_t **pset, apr_pool_t *pool, apr_pool_t *temp,
                                  const char *path);

/* --- mod_m2m_issuer_check.c: whole-configuration checks, and what follows from it --- */

/** check_config hook: contradictions stop `httpd -t`; fills the worked out members. */
int m2mi_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* --- mod_m2m_issuer_grants.c: the watched grant file --- */

/** Read the file of grants and start to watch it. NULL, or a sentence. */
const char *m2mi_watch_open(m2mi_grants_t *grants, apr_pool_t *pool);

/** child_init: say now if this process will not be able to read the file later. */
void m2mi_watch_child(const m2mi_grants_t *grants, server_rec *s);

/** The table in force, as of the file's state now. Stays valid as long as r. */
const m2_grants_t *m2mi_grants_now(const m2mi_grants_t *grants, request_rec *r);

/* --- mod_m2m_issuer_client.c: is it that client --- */

/** Check what request claims. M2_OAUTH_OK with *pclient, else an error with *ptext. */
m2_oauth_error_t m2mi_client_check(const char **pclient, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext);

/** child_init: learn what a password check costs on this machine. */
void m2mi_client_child(void);

/* --- mod_m2m_issuer_replay.c: each assertion once --- */

/** post_config hook: room for used assertions, where any client has keys. */
int m2mi_replay_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

void m2mi_replay_child(apr_pool_t *pool, server_rec *s);

/** Use up an assertion that passed every check. M2_OK, M2_E_JTI_REPLAYED, or
 *  M2_E_REPLAY_UNAVAILABLE. */
m2_code_t m2mi_replay_mark(request_rec *r, const m2_assertion_t *assertion, m2_err_t *err);

/* --- mod_m2m_issuer_token.c, mod_m2m_issuer_docs.c: handlers --- */

int m2mi_token_handler(request_rec *r);
int m2mi_jwks_handler(request_rec *r);
int m2mi_metadata_handler(request_rec *r);

#endif /* MOD_M2M_ISSUER_H */
