/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What M2MReplayStore says: the kind of store, where it is, how it is reached. Read once while
 * configuration is read; nothing is opened here.
 */
#ifndef M2_REPLAY_SPEC_H
#define M2_REPLAY_SPEC_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#include <apr_network_io.h>

#define M2_REPLAY_MAX_ENTRIES 100000000 /* 5.1 GB of table */
#define M2_REPLAY_ENTRIES 65536         /* default */
#define M2_REPLAY_MAX_LIFETIME 86400    /* default of M2MReplayMaxLifetime, seconds */
#define M2_REPLAY_TIMEOUT 1000          /* default, milliseconds */
#define M2_REPLAY_MAX_HOSTS 16
#define M2_REPLAY_MAX_PREFIX 64         /* bytes in front of a key */

typedef enum m2_replay_kind_t { /* ORDER STORE: words in m2_replay_spec.c, table in m2_replay.c */
    M2_REPLAY_SHM,
    M2_REPLAY_MEMCACHE,
    M2_REPLAY_REDIS,
    M2_REPLAY_KINDS
} m2_replay_kind_t;

typedef struct m2_replay_host_t {
    const char *name; /* host name or address, or, from '/', a unix socket */
    apr_port_t port;
} m2_replay_host_t;

/* What a directive said about the store. File names are as written; the host may replace
 * them by absolute ones before it opens the store. */
typedef struct m2_replay_spec_t {
    m2_replay_kind_t kind;
    const char *path;          /* shm: mapped file, or NULL */
    apr_uint32_t entries;      /* shm: live marks it holds */
    apr_array_header_t *hosts; /* of m2_replay_host_t: memcache, redis (one) */
    const char *user;          /* redis: ACL user, or NULL */
    const char *password_file; /* redis: first line is the password, or NULL */
    int db;                    /* redis: SELECT, 0 is the default */
    int tls;                   /* redis: 1 with TLS */
    const char *ca;            /* TLS: CA file, NULL: the system's */
    const char *cert;          /* TLS: client certificate file, or NULL */
    const char *key;           /* TLS: its key file */
    const char *prefix;        /* memcache, redis: before the key, default "m2m:jti:" */
    int timeout;               /* memcache, redis: milliseconds for a whole mark */
    apr_uint32_t owner_uid;    /* host: who owns the mapped file; set when owner_set */
    apr_uint32_t owner_gid;
    int owner_set;
    int leeway;                /* host: seconds behind its end that a token may pass, of all
                                  sections the largest; expires_at of a mark includes it */
    int lifetime;              /* host: seconds that a token may live at most */
} m2_replay_spec_t;

/** Words of M2MReplayStore (const char *) -> spec. The first is `shm[:PATH]`,
 *  `memcache:HOST:PORT` or `redis:HOST:PORT`; the rest are options, or more memcache hosts.
 *  M2_E_CONFIG with a sentence that names the word. */
m2_code_t m2_replay_parse(m2_replay_spec_t **pspec, apr_pool_t *pool,
                          const apr_array_header_t *words, m2_err_t *err);

/** What is in force when nothing is said: `shm`. */
m2_replay_spec_t *m2_replay_default(apr_pool_t *pool);

/** The words again, as M2MReplayStore would have them; options at their default left out. */
const char *m2_replay_describe(apr_pool_t *pool, const m2_replay_spec_t *spec);

/** The store for display: `shm`, `shm:PATH`, `redis:HOST:PORT`; no options. */
const char *m2_replay_name(apr_pool_t *pool, const m2_replay_spec_t *spec);

/** The word of a kind of store: `shm`, `memcache`, `redis`. */
const char *m2_replay_word(m2_replay_kind_t kind);

/** Whether this build has that kind of store. */
int m2_replay_has(m2_replay_kind_t kind);

#endif /* M2_REPLAY_SPEC_H */
