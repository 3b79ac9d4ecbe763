/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The configuration records: what directives say in a section, in the whole server, and what
 * is in force for a request once sections are merged and defaults filled in.
 *
 * Configuration is shared by all threads of a process; request code sees it const.
 *
 * The room config decides what directives mean and which contradict each other. Never
 * knows a request.
 */
#ifndef M2MGW_CONF_H
#define M2MGW_CONF_H

#include "httpd/m2mgw.h"

#include "gate/m2_gate.h"
#include "jwks/m2_keysource.h"
#include "operation/m2_operation.h"
#include "plugin/m2_plugin.h"
#include "limit/m2_limit_store.h"
#include "replay/m2_replay.h"

typedef enum m2mgw_engine_t {
    M2MGW_ENGINE_UNSET = M2_UNSET,
    M2MGW_ENGINE_OFF,
    M2MGW_ENGINE_ON,
    M2MGW_ENGINE_SHADOW
} m2mgw_engine_t;

typedef enum m2mgw_profile_t {
    M2MGW_PROFILE_UNSET = M2_UNSET,
    M2MGW_PROFILE_RFC6750,
    M2MGW_PROFILE_GATEWAY
} m2mgw_profile_t;

typedef enum m2mgw_trace_t {
    M2MGW_TRACE_OFF,
    M2MGW_TRACE_PROPAGATE,
    M2MGW_TRACE_GENERATE
} m2mgw_trace_t;

/* the sources list group of a section */
typedef struct m2mgw_sources_t {
    apr_array_header_t *list; /* of m2_token_source_t */
} m2mgw_sources_t;

/* M2MOperationUnknown: what happens to a request that no operation describes */
typedef enum m2mgw_unknown_t {
    M2MGW_UNKNOWN_UNSET = M2_UNSET,
    M2MGW_UNKNOWN_DENY,      /* 403 */
    M2MGW_UNKNOWN_NOT_FOUND, /* 404 */
    M2MGW_UNKNOWN_PASS       /* any valid token */
} m2mgw_unknown_t;

/* the operations list group of a section */
typedef struct m2mgw_operations_t {
    m2_operations_t *table;
    m2mgw_unknown_t unknown; /* as unknown= of its documents says, or unset */
    struct m2mgw_section_t *section; /* that states them */
    apr_uint32_t *rows;      /* by number of an operation: its counters, as far as this process
                                has met it; runtime/m2mgw_operation_counts.c */
} m2mgw_operations_t;

/* M2MJwksRefresh: how key sets at URLs are kept fresh, all in seconds */
typedef struct m2mgw_refresh_t {
    int ttl;       /* between two fetches, unless the answer says sooner */
    int max_stale; /* how long the last good set may be used without a successful fetch */
    int timeout;   /* of one fetch */
    int cooldown;  /* between two early fetches for an unknown kid */
} m2mgw_refresh_t;

#define M2MGW_REFRESH_DEFAULTS { 600, 86400, 5, 60 }

/* M2MJwksTLS; members NULL where nothing was said */
typedef struct m2mgw_jwks_tls_t {
    const char *ca;
    const char *cert;
    const char *key;
    const char *proxy;
    const char *no_proxy; /* as curl takes it: hosts joined by commas */
} m2mgw_jwks_tls_t;

/* one M2MRevocation */
typedef struct m2mgw_list_t {
    const char *name;       /* absolute path, or URL, or the words of Redis */
    int is_url;             /* it is fetched: a URL, Redis or a database */
    m2_redis_spec_t *redis; /* or NULL */
    struct m2_dbd_list_t *dbd; /* what a database is asked for; or NULL */
    int max_stale, ttl;     /* seconds */
    m2_keysource_t *source; /* once all of the configuration has been read */
    const ap_directive_t *at;
} m2mgw_list_t;

/* the revocation list group of a section */
typedef struct m2mgw_revocation_t {
    apr_array_header_t *lists; /* of m2mgw_list_t *; empty for none */
    m2_keyring_t *ring;        /* of their sets; NULL for none */
} m2mgw_revocation_t;

/* M2MDataset */
typedef struct m2mgw_dataset_t {
    const char *name;
    server_rec *server; /* of which it is, and of its virtual hosts if that is the main one */
    m2mgw_list_t list;
    m2_keyring_t *ring;
} m2mgw_dataset_t;

/* M2MClientCertificate */
typedef struct m2mgw_certificate_t {
    const char *header;       /* NULL: mod_ssl's */
    apr_array_header_t *from; /* of apr_ipsubnet_t *: whose header counts */
    const char *from_text;    /* the same as written */
    int verified;             /* these peers verify certificates */
    const ap_directive_t *at;
} m2mgw_certificate_t;

/* The certificate headers of the sections around a request, the innermost first: what one of
 * them calls a certificate no other peer may send, whatever else is in force inside it. */
typedef struct m2mgw_believed_t {
    const m2mgw_certificate_t *certificate; /* by header */
    const struct m2mgw_believed_t *outer;
} m2mgw_believed_t;

/* M2MResource (RFC 9728) */
typedef struct m2mgw_resource_t {
    const char *url;          /* as written */
    const char *metadata;     /* URL of its document */
    const char *path;         /* decoded path of the same */
    const ap_directive_t *at;
} m2mgw_resource_t;

/* Directives of the whole server process; defaults are filled in. */
typedef struct m2mgw_globals_t {
    m2mgw_jwks_tls_t jwks_tls; /* M2MJwksTLS */
    const char *state_dir;     /* M2MStateDir, absolute; NULL: below the runtime directory */
    int file_modes;            /* M2MFileModes: it is checked who may write to files that decide */
    const m2_replay_spec_t *replay_store; /* M2MReplayStore, files absolute; never NULL */
    int replay_max_lifetime;   /* M2MReplayMaxLifetime, seconds */
    int verify_cache;          /* M2MVerifyCache: entries per child process, 0: off */
    m2_slice_t nonce_key;      /* M2MDPoPNonceKey; absent: a random one */
    const char *nonce_key_file;
    const m2_replay_spec_t *dpop_store; /* M2MDPoPStore; NULL: as M2MReplayStore */
    int recent_refusals;       /* M2MRecentRefusals, 0: off */
    m2_limit_spec_t limit_store; /* M2MLimitStore */
} m2mgw_globals_t;

#define M2MGW_MAX_AGE_OFF (-2) /* set, unlike M2_UNSET: removes an outer limit */

/* One section as written, or several merged. List groups are pointers that merging picks;
 * NULL or M2_UNSET: nothing was said. Members in the order of the directives' docs.
 * t/guards/merge.sh holds create and merge against this list. */
typedef struct m2mgw_dir_t {
    m2mgw_engine_t engine;                 /* M2MEngine */
    const m2mgw_sources_t *sources;        /* M2MToken */
    int forward_token;                     /* M2MForwardToken */
    int bypass_empty;                      /* M2MBypassEmptyToken */
    m2_keyring_t *keys;                    /* M2MJwk, M2MJwks, M2MIssuerDiscovery */
    const apr_array_header_t *bound;       /* issuers that keys are bound to, of const char *;
                                              goes with keys */
    const m2mgw_refresh_t *refresh;        /* M2MJwksRefresh */
    int jwks_wait;                         /* M2MJwksWait, milliseconds */
    m2_alg_mask_t algs;                    /* M2MAlgorithms; 0: unset */
    const apr_array_header_t *issuers;     /* M2MIssuer, of const char * */
    int issuers_narrow;                    /* it was said in a narrower place than keys, and is
                                              the whole list */
    const apr_array_header_t *audiences;   /* M2MAudience, of const char * */
    const apr_array_header_t *types;       /* M2MTokenType, of const char * */
    const apr_array_header_t *requires;    /* M2MRequireClaim, of m2_require_t */
    const apr_array_header_t *scopes;      /* M2MScopeClaim, of const char * */
    int leeway;                            /* M2MLeeway, seconds */
    int max_age;                           /* M2MMaxAge, seconds, or M2MGW_MAX_AGE_OFF */
    int max_lifetime;                      /* M2MMaxLifetime, likewise */
    int ignore_expiration;                 /* M2MIgnoreExpiration */
    int replay;                            /* M2MPreventJtiReplay, m2_replay_use_t */
    const m2mgw_revocation_t *revocation;  /* M2MRevocation */
    int constraint;                        /* M2MSenderConstraint, m2_constraint_t */
    const m2_proof_policy_t *dpop;         /* M2MDPoP */
    const apr_array_header_t *public_urls; /* M2MPublicURL, of const char *, normalised */
    const m2mgw_certificate_t *certificate; /* M2MClientCertificate */
    const m2mgw_believed_t *believed;      /* those of all sections around it that name a header */
    const m2mgw_resource_t *resource;      /* M2MResource */
    const m2_mapping_t *mapping;           /* M2MClaim */
    const m2_scrub_t *scrub;               /* the claim lists of all sections around it */
    int scrub_where;                       /* M2MScrub: 0 Section, 1 Host */
    const m2_rules_t *rules;               /* M2MParameter, M2MRule, M2MRuleHeader,
                                              M2MDefaultAction, M2MPath */
    int path_guard;                        /* M2MPathGuard */
    const m2mgw_operations_t *operations;  /* M2MOpenAPI, M2MOperation */
    int operation_unknown;                 /* M2MOperationUnknown, m2mgw_unknown_t */
    int preflight;                         /* M2MPreflight: 0 Deny, 1 Pass */
    int duplicates;                        /* M2MDuplicateParameter: 0 First, 1 Deny */
    const m2_limits_t *limits;             /* M2MLimit; empty for none */
    int limit_headers;                     /* M2MLimitHeaders */
    const apr_array_header_t *user_claims; /* M2MUserClaim, of const char * */
    apr_off_t form_limit;                  /* M2MFormLimit, bytes */
    int form_other;                        /* M2MFormOtherBodies: 0 Deny, 1 Allow */
    const m2_nameset_t *method_names;      /* M2MMethodParameter; an empty set: None */
    const char *realm;                     /* M2MRealm */
    m2mgw_profile_t profile;               /* M2MErrorProfile */
    int any_document;                      /* M2MErrorDocuments: 0 Static, 1 Any */
    int trace_parent;                      /* M2MTraceParent, m2mgw_trace_t */
    const char *stage;                     /* M2MStage */
    const char *api_name;                  /* M2MApiName */
    int checks;                            /* a section, and no server, states a check of
                                              tokens: without keys it is closed */
    struct m2mgw_section_t *section;       /* where it was written; of the innermost section
                                              that says anything of ours, after a merge */
    const struct m2mgw_effective_t *settled; /* what is in force by this record, resolved ahead;
                                              NULL: not yet, or by a merge */
} m2mgw_dir_t;

typedef struct m2mgw_guard_t m2mgw_guard_t; /* m2mgw_guarded.h */
/* M2MDecisionLog: what one directive says, and the file behind it once logs are opened. */
typedef struct m2mgw_decision_log_t {
    const char *target; /* a file, or a program behind a '|'; NULL: Off */
    int all;            /* what=all; else refusals only */
    int text;           /* format=text; else JSON */
    struct m2mgw_sink_t *sink; /* NULL until open_logs */
} m2mgw_decision_log_t;

/* per server: found while configuration is read, const while serving */
typedef struct m2mgw_server_t {
    m2_nameset_t *query_names;         /* every query: token name of the virtual host, masked in
                                        its request lines; NULL: none */
    apr_array_header_t *elsewhere;     /* of m2_token_source_t: every place but Authorization in
                                        which the virtual host finds tokens; NULL: none */
    int reads_authorization;           /* some section finds tokens there */
    m2_nameset_t *header_names;        /* headers that no client may send: those that claims are
                                        mapped to, and what servers take for a path */
    int scrubs_host;                 /* M2MScrub Host */
    apr_array_header_t *certificates; /* of const m2mgw_certificate_t *: headers of certificates,
                                        which nobody else may send; NULL: none, or M2MScrub
                                        Section */
    int has_policy;                  /* some section of it protects something */
    int policy_outside_location;     /* ... and that section is no <Location> */
    const m2mgw_guard_t *guard;  /* what M2MPathGuard watches over, or NULL */
    m2mgw_decision_log_t *decision_log; /* M2MDecisionLog; NULL: nothing was said */
} m2mgw_server_t;

/* What is in force for a request, defaults resolved. */
typedef struct m2mgw_effective_t {
    const m2mgw_dir_t *dir;
    m2mgw_engine_t engine;   /* never unset */
    const m2mgw_sources_t *sources; /* never NULL */
    int deny_duplicates;     /* M2MDuplicateParameter, resolved for the rules in force */
    m2mgw_profile_t profile; /* never unset */
    int any_document;        /* M2MErrorDocuments Any; 0 also where nothing is in force */
    apr_off_t form_limit;    /* bytes; set also where nothing is in force */
    m2_policy_t policy;      /* comparable by its bytes */
    const char *closed;      /* why every request is refused with 503; NULL: open */
    int orphan;              /* explicit On or Shadow without keys, rules or limits: 503 */
    const m2_limits_t *limits; /* NULL: none */
    int limit_headers;       /* RateLimit fields; 0 in Shadow */
    int jwks_wait;           /* milliseconds */
    const m2mgw_operations_t *operations; /* NULL: none */
    m2mgw_unknown_t operation_unknown;    /* never unset */
} m2mgw_effective_t;

/* for the module record */
void *m2mgw_config_dir_create(apr_pool_t *pool, char *path);
void *m2mgw_config_dir_merge(apr_pool_t *pool, void *base, void *add);
void *m2mgw_config_server_create(apr_pool_t *pool, server_rec *s);
void *m2mgw_config_server_merge(apr_pool_t *pool, void *base, void *add);

/** Resolve what is in force. Returns 0 when no policy is in force: engine off, or neither keys
 *  nor rules nor an explicit On, and no check that a section states. *effective is zeroed then,
 *  but for form_limit. */
int m2mgw_effective(m2mgw_effective_t *effective, const m2mgw_dir_t *dir);

/** Resolve ahead what is in force by dir, in pool, which lives as long as dir: most requests meet
 *  one section, and their record is then that of the section. Once everything that dir points to
 *  is complete, before there are threads. */
void m2mgw_settle(m2mgw_dir_t *dir, apr_pool_t *pool);

/** Whether a token may come under the scheme DPoP: in a header, of whatever name. */
int m2mgw_takes_dpop(const m2mgw_effective_t *effective);

/** The profile that dir says, or the default. */
m2mgw_profile_t m2mgw_profile_of(const m2mgw_dir_t *dir);

#endif /* M2MGW_CONF_H */
