/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What directives say about Redis: one server, the master that sentinels name, or a cluster.
 * The same words wherever Redis may stand. Read while configuration is read; nothing is opened
 * here.
 */
#ifndef M2_REDIS_SPEC_H
#define M2_REDIS_SPEC_H

#include "wire/m2_host.h"

#define M2_REDIS_MAX_HOSTS 16
#define M2_REDIS_TIMEOUT 1000 /* default, milliseconds */
#define M2_REDIS_WORDS "redis:HOST:PORT, redis-sentinel:MASTER@HOST:PORT or redis-cluster:HOST:PORT"

typedef enum m2_redis_mode_t { /* ORDER REDIS: words in m2_redis_spec.c */
    M2_REDIS_ONE,
    M2_REDIS_SENTINEL,
    M2_REDIS_CLUSTER,
    M2_REDIS_MODES
} m2_redis_mode_t;

/* File names are as written; the host makes them absolute (m2_redis_spec_file). */
typedef struct m2_redis_spec_t {
    m2_redis_mode_t mode;
    const char *master;        /* sentinel: what it calls the master */
    apr_array_header_t *hosts; /* of m2_host_t: the server, sentinels, nodes to start from */
    const char *user;          /* ACL user, or NULL */
    const char *password_file; /* first line is the password, or NULL */
    const char *sentinel_user; /* the same for sentinels */
    const char *sentinel_password_file;
    int db;                    /* SELECT, 0 is the default */
    int tls;                   /* 1: with TLS, to sentinels as well */
    const char *ca;            /* CA file, NULL: the system's */
    const char *cert;          /* client certificate file, or NULL */
    const char *key;           /* its key file */
    const char *prefix;        /* in front of keys */
    int timeout;               /* milliseconds for one command, whatever it takes */
} m2_redis_spec_t;

/** Whether a word is one of M2_REDIS_WORDS by what is in front of its colon. */
int m2_redis_spec_is(const char *word);

/** The first word -> spec with all else at its default. M2_E_CONFIG with a sentence. */
m2_code_t m2_redis_spec_start(m2_redis_spec_t **pspec, apr_pool_t *pool, const char *word,
                              const char *prefix, m2_err_t *err);

/** `name=value`. M2_E_NOT_FOUND, with err untouched, when this kind has no such option;
 *  M2_E_CONFIG with a sentence. */
m2_code_t m2_redis_spec_option(m2_redis_spec_t *spec, apr_pool_t *pool, m2_slice_t name,
                               const char *value, m2_err_t *err);

/** The options there are, for a sentence: `user= password-file= ...`. */
const char *m2_redis_spec_options(apr_pool_t *pool, const m2_redis_spec_t *spec);

/** Whether the options go together. M2_E_CONFIG with a sentence. */
m2_code_t m2_redis_spec_check(const m2_redis_spec_t *spec, m2_err_t *err);

/** The first word again. */
const char *m2_redis_spec_name(apr_pool_t *pool, const m2_redis_spec_t *spec);

/** All words again; options at their default left out, but for prefix and timeout. */
const char *m2_redis_spec_describe(apr_pool_t *pool, const m2_redis_spec_t *spec);

/** Where the i-th name of a file stands (it may be NULL), from 0; NULL behind the last. */
const char **m2_redis_spec_file(m2_redis_spec_t *spec, int i);

/** Whether this build has a client. */
int m2_redis_built_in(void);

#endif /* M2_REDIS_SPEC_H */
