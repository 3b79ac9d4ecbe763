/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What M2MReplayStore says: the kind of store, where it is, how it is reached. Read once while
 * configuration is read; nothing is opened here.
 */
#ifndef M2_REPLAY_SPEC_H
#define M2_REPLAY_SPEC_H

#include "redis/m2_redis_spec.h"

#define M2_REPLAY_MAX_ENTRIES 100000000 /* 5.1 GB of table */
#define M2_REPLAY_ENTRIES 65536         /* default */
#define M2_REPLAY_MAX_LIFETIME 86400    /* default of M2MReplayMaxLifetime, seconds */
#define M2_REPLAY_TIMEOUT 1000          /* default, milliseconds */
#define M2_REPLAY_MAX_HOSTS 16
#define M2_REPLAY_TABLE "m2m_replay"    /* default of dbd */
#define M2_REPLAY_MAX_WAIT 100          /* replicas */

typedef enum m2_replay_kind_t { /* ORDER STORE: words in m2_replay_spec.c, table in m2_replay.c */
    M2_REPLAY_SHM,
    M2_REPLAY_MEMCACHE,
    M2_REPLAY_REDIS,
    M2_REPLAY_DBD,
    M2_REPLAY_KINDS
} m2_replay_kind_t;

/* What a directive said about the store. File names are as written; the host may replace
 * them by absolute ones before it opens the store. */
typedef struct m2_replay_spec_t {
    m2_replay_kind_t kind;
    const char *path;          /* shm: mapped file, or NULL */
    apr_uint32_t entries;      /* shm: live marks it holds */
    m2_redis_spec_t *redis;    /* redis: all about the server, else NULL */
    int wait;                  /* redis: replicas that must have a mark, 0: none */
    const char *table;         /* dbd */
    const struct m2_dbd_host_t *dbd; /* host: dbd: its database (m2_dbd.h) */
    apr_array_header_t *hosts; /* of m2_host_t: memcache */
    const char *prefix;        /* all but shm: before the key, default "m2m:jti:" */
    int timeout;               /* memcache, redis: milliseconds for a whole mark */
    apr_uint32_t owner_uid;    /* host: who owns the mapped file; set when owner_set */
    apr_uint32_t owner_gid;
    int owner_set;
    int leeway;                /* host: seconds behind its end that a token may pass, of all
                                  sections the largest; expires_at of a mark includes it */
    int lifetime;              /* host: seconds that a token may live at most */
} m2_replay_spec_t;

/** Words of M2MReplayStore (const char *) -> spec. The first is `shm[:PATH]`,
 *  `memcache:HOST:PORT`, `dbd:[TABLE]` or one of Redis; the rest are options, or more memcache
 *  hosts.
 *  M2_E_CONFIG with a sentence that names the word. */
m2_code_t m2_replay_parse(m2_replay_spec_t **pspec, apr_pool_t *pool,
                          const apr_array_header_t *words, m2_err_t *err);

/** What is in force when nothing is said: `shm`. */
m2_replay_spec_t *m2_replay_default(apr_pool_t *pool);

/** The words again, as M2MReplayStore would have them; options at their default left out. */
const char *m2_replay_describe(apr_pool_t *pool, const m2_replay_spec_t *spec);

/** The store for display: `shm`, `shm:PATH`, `redis:HOST:PORT`; no options. */
const char *m2_replay_name(apr_pool_t *pool, const m2_replay_spec_t *spec);

/** Where the i-th name of a file stands (it may be NULL), from 0; NULL behind the last. */
const char **m2_replay_spec_file(m2_replay_spec_t *spec, int i);

#endif /* M2_REPLAY_SPEC_H */
