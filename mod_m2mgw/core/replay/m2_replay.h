/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which one-time tokens were spent. One verb, m2_replay_mark, is an atomic insert-if-absent:
 * of any number of simultaneous marks of one token exactly one is told M2_OK. There is no
 * way to ask without marking, because a look-up followed by an insert is a race.
 *
 * Everything that keeps a mark from being made is an answer of its own and refuses the
 * request; no store here forgets a live mark to make room. What outlives what is told in
 * docs/replay.md. A token is known here by the SHA-256 of (issuer, jti), nowhere by its text.
 */
#ifndef M2_REPLAY_H
#define M2_REPLAY_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#include <apr_network_io.h>

#define M2_REPLAY_MAX_ENTRIES 100000000 /* 5.1 GB of table */
#define M2_REPLAY_ENTRIES 65536         /* default */
#define M2_REPLAY_MAX_LIFETIME 86400    /* default of M2MReplayMaxLifetime, seconds */
#define M2_REPLAY_TIMEOUT 1000          /* default, milliseconds */
#define M2_REPLAY_MAX_HOSTS 16

typedef enum m2_replay_kind_t { /* ORDER STORE: table of stores in m2_replay.c */
    M2_REPLAY_SHM,
    M2_REPLAY_MEMCACHE,
    M2_REPLAY_REDIS
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
} m2_replay_spec_t;

/* Sums over all processes that share the store object (a parent and its children). */
typedef struct m2_replay_stats_t {
    m2_replay_kind_t kind;
    const char *name;        /* for people: "shm", "shm:PATH", "redis:HOST:PORT" */
    apr_uint64_t marked;     /* accepted */
    apr_uint64_t replayed;   /* refused as used before */
    apr_uint64_t full;       /* refused because there was no room */
    apr_uint64_t errors;     /* refused because the store did not answer */
    apr_uint64_t entries;    /* shm: what it holds at most; else 0 */
    apr_uint64_t live;       /* shm: marks alive at the last mark; else 0 */
    apr_uint64_t bytes;      /* shm: size of the table; else 0 */
} m2_replay_stats_t;

typedef struct m2_replay_t m2_replay_t;

/** Words of M2MReplayStore (const char *) -> spec. The first is `shm[:PATH]`,
 *  `memcache:HOST:PORT` or `redis:HOST:PORT`; the rest are options, or more memcache hosts.
 *  M2_E_CONFIG with a sentence that names the word. */
m2_code_t m2_replay_parse(m2_replay_spec_t **pspec, apr_pool_t *pool,
                          const apr_array_header_t *words, m2_err_t *err);

/** What is in force when nothing is said: `shm`. */
m2_replay_spec_t *m2_replay_default(apr_pool_t *pool);

/** The words again, as M2MReplayStore would have them; options at their default left out. */
const char *m2_replay_describe(apr_pool_t *pool, const m2_replay_spec_t *spec);

/**
 * Open the store, in the parent, before children are forked and while it may still create
 * files. pool lives as long as the configuration. process lives as long as the parent
 * process does: a table in memory is kept there, so that a restart which asks for the same
 * or another table takes over every live mark. M2_E_CONFIG with a sentence when a table
 * cannot be made or its file is damaged; that a remote store does not answer is no error.
 */
m2_code_t m2_replay_open(m2_replay_t **pstore, apr_pool_t *pool, apr_pool_t *process,
                         const m2_replay_spec_t *spec, m2_err_t *err);

/** In each child, before its threads start. pool lives as long as the child. */
m2_code_t m2_replay_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err);

/**
 * Mark (issuer, jti) as spent until expires_at. issuer may be "there is none".
 * M2_OK: it was not marked before, and is now. M2_E_JTI_REPLAYED: it was. M2_E_EXPIRED:
 * expires_at is not after now, nothing marked. M2_E_REPLAY_UNAVAILABLE: no room, or no
 * answer; whether it is marked now is then unknown, so a retry may be refused.
 */
m2_code_t m2_replay_mark(m2_replay_t *store, m2_slice_t issuer, m2_slice_t jti,
                         apr_time_t expires_at, apr_time_t now, m2_err_t *err);

void m2_replay_stats(m2_replay_stats_t *stats, const m2_replay_t *store);

#endif /* M2_REPLAY_H */
