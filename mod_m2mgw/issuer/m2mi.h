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
 * Configuration is shared by all threads of a process; request code sees it const. What
 * changes while a server runs is behind m2mi_watch.h.
 *
 * The room issuer decides which client gets which token. Never knows the gateway.
 */
#ifndef M2MI_H
#define M2MI_H

#include "issuer/m2mi_module.h"
#include "issuer/m2mi_watch.h"
#include "key/m2_keyset.h"
#include "oauth/m2_assertion.h"
#include "oauth/m2_client_cert.h"
#include "oauth/m2_grant.h"
#include "oauth/m2_oauth.h"
#include "oauth/m2_view.h"
#include "proof/m2_proof.h"
#include "replay/m2_replay.h"
#include "text/m2_b64.h"
#include "token/m2_jws.h"

#include <apr_hash.h>

#define M2MI_HANDLER_TOKEN "m2m-token"
#define M2MI_HANDLER_JWKS "m2m-jwks"
#define M2MI_HANDLER_METADATA "m2m-metadata"
#define M2MI_HANDLER_INTROSPECT "m2m-introspect"
#define M2MI_HANDLER_REVOKE "m2m-revoke"

#define M2MI_WELL_KNOWN "/.well-known/oauth-authorization-server"
#define M2MI_WELL_KNOWN_OPENID "/.well-known/openid-configuration"

#define M2MI_LIFETIME 1200            /* seconds, M2MTokenLifetime */
#define M2MI_LIFETIME_MAX (30 * 86400) /* a token is not asked about while it lives */
#define M2MI_JWKS_AGE 300             /* seconds the key set and metadata may be cached */

/* what one M2MSigningKey says */
typedef struct m2mi_key_file_t {
    const char *path;
    const char *kid, *alg; /* or NULL */
} m2mi_key_file_t;

/* one M2MSigningKey */
typedef struct m2mi_key_t {
    const m2_jwk_t *jwk;  /* with a kid; private for the one that signs; NULL: the file was bad
                             at a restart, and there is nothing to go on with */
    const m2_alg_t *alg;
    const char *head;     /* of tokens it signs, base64url; NULL without jwk */
    const char *origin;   /* file, for messages */
} m2mi_key_t;

/* one M2MClientKeys: a watched file or a URL */
typedef struct m2mi_client_keys_t {
    const char *client;
    const char *source;          /* path or URL */
    int is_url;
    m2mi_watch_t *watch;         /* of the file, opened by the check */
    struct m2_keyring_t *ring;   /* of the URL */
} m2mi_client_keys_t;

/* the grants of a server: where any of these is said, all are replaced */
typedef struct m2mi_grants_t {
    m2_grants_t *fixed;   /* M2MGrant; never NULL */
    const char *file;     /* M2MGrantFile, or NULL */
    const char *query;    /* M2MGrantQuery, the label it is prepared under; or NULL */
    const struct m2_dbd_host_t *dbd; /* where it is asked */
    m2mi_watch_t *watch;  /* opened by the check, where there is a file */
} m2mi_grants_t;

typedef enum m2mi_dpop_mode_t {
    M2MI_DPOP_OFF,
    M2MI_DPOP_ON,      /* a proof binds the token */
    M2MI_DPOP_REQUIRED /* there must be one */
} m2mi_dpop_mode_t;

/* M2MIssuerDPoP */
typedef struct m2mi_dpop_t {
    m2mi_dpop_mode_t mode;
    apr_hash_t *clients; /* Required of these alone; NULL: of all */
} m2mi_dpop_t;

/* One server or virtual host. NULL or M2_UNSET: nothing was said. Members in the order of
 * the directives' docs; the last group is worked out once configuration is complete. */
typedef struct m2mi_server_t {
    const char *name;          /* M2MIssuerName */
    apr_array_header_t *keys;  /* M2MSigningKey, of m2mi_key_t; the first signs */
    apr_hash_t *client_keys;   /* M2MClientKeys, client -> m2mi_client_keys_t * */
    apr_hash_t *client_certs;  /* M2MClientCert, client -> array of m2_client_cert_t */
    m2mi_grants_t *grants;     /* M2MGrant, M2MGrantFile */
    m2mi_dpop_t *dpop;         /* M2MIssuerDPoP; NULL: On */
    int lifetime;              /* M2MTokenLifetime, seconds */
    int plain;                 /* M2MAllowPlainHTTP */
    const char *token_url;     /* M2MIssuerEndpoint token */
    const char *jwks_url;      /* M2MIssuerEndpoint jwks */
    const char *introspect_url; /* M2MIssuerEndpoint introspect */
    const char *revoke_url;    /* M2MIssuerEndpoint revoke */

    const char *path;          /* path of the issuer's URL, without a final slash */
    const char *jwks;          /* the published documents */
    const char *metadata;
    m2_alg_mask_t proof_algs;  /* what a proof for a token may be signed by */
    apr_array_header_t *audiences; /* names an assertion may be meant for, const char * */
    m2_keyset_t *own_keys;     /* of keys, to know our tokens by */
    apr_array_header_t *key_clients; /* of client_keys, m2mi_client_keys_t * */
} m2mi_server_t;

/* one word of M2MClientProvider */
typedef struct m2mi_provider_t {
    const char *name;
    const authn_provider *provider;
} m2mi_provider_t;

/* the providers of a section, and what it costs to ask them */
typedef struct m2mi_providers_t {
    apr_array_header_t *list;    /* of m2mi_provider_t */
    m2mi_watch_t *passwords;     /* provider file alone: its AuthUserFile; or NULL */
    apr_uint32_t *usec;          /* shared by all processes: processor time of checking a
                                    client they know, a moving average; 0 before the first */
} m2mi_providers_t;

/* a section */
typedef struct m2mi_dir_t {
    m2mi_providers_t *providers; /* M2MClientProvider */
} m2mi_dir_t;

/* who a request comes from, as far as it is known by now */
typedef struct m2mi_who_t {
    const char *claimed;  /* the name it gave, or NULL */
    const char *client;   /* once it is proven */
    const char *why;      /* reason of a refusal, for the log; NULL: what the client is told */
    int is_known;         /* there is such a client, proven or not */
    m2_client_method_t method;
    m2_assertion_t assertion; /* method M2_CLIENT_ASSERTION */
    const char *x5t;      /* thumbprint of the certificate it logged in with, or NULL */
    int wait;             /* seconds of Retry-After, 0: the usual */
} m2mi_who_t;

/* a request of a client on its way through an endpoint */
typedef struct m2mi_call_t {
    request_rec *r;
    const m2mi_server_t *conf;
    m2_token_request_t request;
    m2mi_who_t who;
    char *body;
    apr_size_t body_n;
    apr_int64_t now;         /* seconds */
    const char *text;        /* why it ended, a constant sentence */
    const m2_json_t *answer; /* of a success; NULL: an empty body */
    m2_grants_t *queried;    /* what M2MGrantQuery gave for the client; NULL: not asked yet */
    m2_proof_t proof;        /* where jkt is set */
    const char *jkt;         /* key that the token is bound to, or NULL */
    apr_time_t proof_until;  /* how long the proof is remembered */
    int answered;            /* httpd itself has refused the body, as malformed HTTP */
} m2mi_call_t;

/* what an endpoint does for a client that has proven who it is */
typedef m2_oauth_error_t m2mi_act_fn(m2mi_call_t *call);

/* --- m2mi_config.c: directives --- */

void *m2mi_server_create(apr_pool_t *pool, server_rec *s);
void *m2mi_server_merge(apr_pool_t *pool, void *base, void *add);
void *m2mi_dir_create(apr_pool_t *pool, char *path);
void *m2mi_dir_merge(apr_pool_t *pool, void *base, void *add);
extern const command_rec m2mi_commands[];

/* --- m2mi_keys.c: M2MSigningKey --- */

/** pre_config: forget the files of the configuration before. */
void m2mi_keys_reset(apr_pool_t *pconf);

/** Add the key files that were bad at the last restart to list, of m2_ill_file_t. */
void m2mi_keys_ill(apr_array_header_t *list);

/** A signing key from a PEM or JWK file. At a restart by signal the last good text of the file
 *  stands in for a bad one; key->jwk is NULL if absent. process: the pool of the
 *  process. NULL, or a sentence. */
const char *m2mi_key_load(m2mi_key_t *key, apr_pool_t *process, apr_pool_t *pool,
                          const m2mi_key_file_t *from);

/* --- m2mi_client_keys.c: M2MClientKeys --- */

/** pre_config: forget the URLs of the configuration before. */
void m2mi_client_keys_reset(apr_pool_t *pconf);

/** Read and watch the files of a server, once. NULL, or a sentence. */
const char *m2mi_client_keys_open(m2mi_server_t *conf, apr_pool_t *pool, server_rec *s);

/** Whether keys are fetched from URLs; memory for that, before there are children; 0 or an
 *  HTTP status. */
int m2mi_client_keys_share(apr_pool_t *pconf, server_rec *s);
void m2mi_client_keys_child(apr_pool_t *pchild, server_rec *s);
void m2mi_client_keys_tick(apr_time_t now);
int m2mi_client_keys_fetched(void);

/** What of all algorithms the keys of clients can do, as far as they are known at the start;
 *  every one where a key is fetched. */
m2_alg_mask_t m2mi_client_keys_algs(const m2mi_server_t *conf);

/** Bracket for the two below, in one thread, without waiting in between. */
void m2mi_client_keys_enter(const m2mi_server_t *conf);
void m2mi_client_keys_leave(const m2mi_server_t *conf);

/* m2_assertion.h; baton is the server's record */
m2_client_keys_fn m2mi_client_keys_of;
m2_client_decoy_fn m2mi_client_decoy_of;

/* --- m2mi_check.c: whole-configuration checks, and what follows from it --- */

/** check_config hook: contradictions stop `httpd -t`; fills the worked out members. */
int m2mi_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* --- m2mi_notices.c --- */

/** Something legal that deserves a second look: on standard error under `httpd -t`, else in the
 *  log. */
void m2mi_notice(server_rec *s, const char *text);

/** Likewise what is seen once the whole configuration has been read: files that the children
 *  cannot read, a database that may hang, handlers that nothing serves. */
void m2mi_notices(apr_pool_t *pool, server_rec *first);

/* --- m2mi_metadata.c --- */

/** The key set (RFC 7517 5); NULL when a key cannot be written. */
const char *m2mi_jwks_text(apr_pool_t *pool, const m2mi_server_t *conf);

/** The metadata (RFC 8414 2); secrets: clients may log in by one. */
const char *m2mi_metadata_text(apr_pool_t *pool, const m2mi_server_t *conf, int secrets);

/* --- m2mi_grants.c --- */

/** Read the file of grants and watch it, once. NULL, or a sentence. */
const char *m2mi_grants_open(m2mi_grants_t *grants, apr_pool_t *pool, server_rec *s);

/** One `%s` in a query, for the client. NULL, or a sentence. */
const char *m2mi_grants_query_set(m2mi_grants_t *grants, cmd_parms *cmd, const char *sql);

/** What M2MGrantQuery grants the client of a call, in call->queried; asked once a call. May wait
 *  for the database: never between enter and leave. M2_E_KEYS_UNAVAILABLE when it does not
 *  answer, which is logged. */
m2_code_t m2mi_grants_query(m2mi_call_t *call);

/** The table in force, NULL for none, until leave in the same thread; never wait between. */
const m2_grants_t *m2mi_grants_enter(const m2mi_server_t *conf);
void m2mi_grants_leave(const m2mi_server_t *conf);

/* --- m2mi_passwords.c: what password files tell about the cost of a check --- */

/** Watch the AuthUserFile of a section with provider file alone. NULL, or a sentence. */
const char *m2mi_passwords_open(m2mi_providers_t *providers, apr_pool_t *pool, server_rec *s,
                                const ap_conf_vector_t *section);

/** pre_config: forget the files of the configuration before. */
void m2mi_passwords_reset(void);

/** How many clients the files have, or more; asked before a child reads any. */
apr_size_t m2mi_passwords_clients(void);

/** The file that is in force for a request is the one that is watched. */
int m2mi_passwords_is(const m2mi_providers_t *providers, const ap_conf_vector_t *section);

/** Whether the file has the client. */
int m2mi_passwords_has(const m2mi_watch_t *passwords, const char *client);

/** After a refusal: spend what the dearest hash of the file costs more than the one that was
 *  checked (known), or all of it. */
void m2mi_passwords_equalise(const m2mi_watch_t *passwords, const char *client,
                             const char *secret, int known);

/** Learn what hashes cost on this machine, before there are children. */
void m2mi_cost_measure(void);

/** A bcrypt hash of about that many microseconds, of the cost of `htpasswd -B` for 0. */
void m2mi_cost_burn(apr_uint32_t usec, const char *secret);

/** Processor time of this thread, microseconds. */
apr_time_t m2mi_cost_now(void);

/* --- m2mi_memory.c: secrets that were right --- */

/** child_init: a fresh key, an empty memory with room for the clients of all password files. */
void m2mi_memory_child(apr_pool_t *pool, server_rec *s);

/** Whether the client gave that very secret in the last minute, and it was right, and the
 *  file has not changed since. changes is m2mi_watch_changes from before the check. */
int m2mi_memory_has(const m2mi_watch_t *passwords, const char *client, const char *secret);
void m2mi_memory_put(const m2mi_watch_t *passwords, const char *client, const char *secret,
                     apr_uint32_t changes);

/* --- m2mi_client.c: is it that client --- */

/** Check who a request comes from: M2_OAUTH_OK with who->client, else an error with *ptext.
 *  Uses nothing up: that is m2mi_client_spend, once everything else is right. */
m2_oauth_error_t m2mi_client_check(m2mi_who_t *who, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext);

/** Use up the assertion of a client that has one. */
m2_oauth_error_t m2mi_client_spend(m2mi_who_t *who, request_rec *r, const char **ptext);

/* --- m2mi_secret.c --- */

m2_oauth_error_t m2mi_secret_check(m2mi_who_t *who, request_rec *r,
                                   const m2_token_request_t *request, const char **ptext);

/* --- m2mi_cert.c: logging in with a certificate --- */

/** What mod_m2mgw says of a section, defaults without it; r is NULL while configuration is
 *  read. */
void m2mi_view(m2_view_t *view, const ap_conf_vector_t *section, request_rec *r);

/** Whether mod_ssl is there. */
int m2mi_cert_has_tls(void);

/** Whether the certificate of the connection is one of certs (m2_client_cert_t): who->client
 *  and who->x5t are set then. */
m2_oauth_error_t m2mi_cert_check(m2mi_who_t *who, request_rec *r,
                                 const apr_array_header_t *certs, const char **ptext);

/* --- m2mi_proof.c: tokens that are bound to a key --- */

/** Judge the request's proof, if it has one: sets call->jkt. */
m2_oauth_error_t m2mi_proof_check(m2mi_call_t *call);

/** Use the proof up. */
m2_oauth_error_t m2mi_proof_spend(m2mi_call_t *call);

/** DPoP-Nonce on the answer, where the location gives nonces out. */
void m2mi_proof_nonce(request_rec *r);

/* --- m2mi_replay.c: each assertion once --- */

/** M2MAssertionStore; NULL or a sentence. */
const char *m2mi_replay_set(cmd_parms *cmd, int argc, char *const argv[]);
void m2mi_replay_reset(void);

/** post_config hook: room for used assertions, where any client has keys. */
int m2mi_replay_open(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

void m2mi_replay_child(apr_pool_t *pool, server_rec *s);

/** Use up (owner, jti) until that time, at the expense of client. M2_OK; M2_E_JTI_REPLAYED;
 *  M2_E_REPLAY_UNAVAILABLE, with *pwait seconds after which the client may have room again
 *  where it has used up its share, else 0. */
m2_code_t m2mi_replay_mark(request_rec *r, const char *client, const char *owner,
                           const char *jti, apr_time_t until, int *pwait, m2_err_t *err);

/* --- m2mi_manage.c: tokens that are out --- */

/** The file that a section writes revoked tokens to. */
void m2mi_list_open(const char *path);

/** register_hooks: mod_m2mgw may ask which lists are written here. */
void m2mi_lists_register(void);

/** pre_config: forget the lists of the configuration before. */
void m2mi_lists_reset(apr_pool_t *pconf);

/** post_config: an empty list if it does not exist yet, writable by User. NULL, or a sentence. */
const char *m2mi_lists_make(apr_pool_t *pool, server_rec *s);

/* --- m2mi_log.c: why a call ends, and what of it may stand in a log --- */

/** Record why a call ends; returns error. text is a constant. */
m2_oauth_error_t m2mi_stop(m2mi_call_t *call, m2_oauth_error_t error, const char *text);

/** The name a client gave, in pool: whole if it is known, else cut behind eight characters,
 *  since it may be a secret in the wrong place. NULL is "-". */
const char *m2mi_log_name(apr_pool_t *pool, const char *name, int is_known);

/** The line about a refusal, at the level that belongs to it. */
/** The level of a line that a client can cause again and again: level once in ten seconds for
 *  each child and place, of which *ptold is the memory, and info else. Thread-safe. */
int m2mi_log_level(int level, apr_time_t *ptold);

void m2mi_log_refusal(const m2mi_call_t *call, m2_oauth_error_t error);

/** When the module is loaded: the names that are masked. */
void m2mi_mask_make(apr_pool_t *pool);

/** post_read_request: secrets in URLs are masked before anybody sees them. */
int m2mi_mask_query(request_rec *r);

/** insert_error_filter: so they are of a request that could not be read, which meets no other
 *  hook before it is logged. */
void m2mi_mask_unread(request_rec *r);

/* --- m2mi_endpoint.c: what all endpoints for clients have in common --- */

/** Read the request, check the client, let act decide, answer. */
int m2mi_endpoint(request_rec *r, m2_oauth_kind_t kind, m2mi_act_fn *act);

/** When the module is loaded: what keeps its answers out of caches. */
void m2mi_endpoint_register(void);

/* --- handlers --- */

int m2mi_token_handler(request_rec *r);
int m2mi_introspect_handler(request_rec *r);
int m2mi_revoke_handler(request_rec *r);
int m2mi_jwks_handler(request_rec *r);
int m2mi_metadata_handler(request_rec *r);

#endif /* M2MI_H */
