/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * An option is a row that says which kinds have it, how it is read, and how it is written.
 */
#include "redis/m2_redis_spec.h"

#include <stddef.h>

#define MAX_DB 1000000
#define MAX_MASTER 128 /* bytes of a master's name */
#define ON(mode) (1u << (mode))
#define ALL (ON(M2_REDIS_ONE) | ON(M2_REDIS_SENTINEL) | ON(M2_REDIS_CLUSTER))
#define NO_CLUSTER (ON(M2_REDIS_ONE) | ON(M2_REDIS_SENTINEL))

/* clang-format off */
static const char *const words[] = { /* ORDER REDIS */
    "redis", "redis-sentinel", "redis-cluster"
};
/* clang-format on */

_Static_assert(sizeof(words) / sizeof(words[0]) == M2_REDIS_MODES, "ORDER REDIS");

typedef m2_code_t set_fn(m2_redis_spec_t *spec, apr_pool_t *pool, const char *value,
                         m2_err_t *err);

static m2_code_t set_db(m2_redis_spec_t *spec, apr_pool_t *pool, const char *value,
                        m2_err_t *err)
{
    (void)pool;
    return m2_number_read(&spec->db, "db", value, 0, MAX_DB, err);
}

static m2_code_t set_timeout(m2_redis_spec_t *spec, apr_pool_t *pool, const char *value,
                             m2_err_t *err)
{
    (void)pool;
    return m2_timeout_read(&spec->timeout, value, err);
}

static m2_code_t set_prefix(m2_redis_spec_t *spec, apr_pool_t *pool, const char *value,
                            m2_err_t *err)
{
    return m2_prefix_read(&spec->prefix, pool, value, err);
}

static m2_code_t set_tls(m2_redis_spec_t *spec, apr_pool_t *pool, const char *value,
                         m2_err_t *err)
{
    (void)pool;
    spec->tls = m2_slice_is_nocase(m2_slice_z(value), "on");
    if (!spec->tls && !m2_slice_is_nocase(m2_slice_z(value), "off")) {
        return m2_err_set(err, M2_E_CONFIG, "tls=%s: must be On or Off", value);
    }
    return M2_OK;
}

/* Options that are texts have their place in the spec; the others a function. */
#define AT(member) offsetof(m2_redis_spec_t, member), NULL

/* clang-format off */
static const struct option_t {
    const char *name;
    unsigned modes;    /* that have it */
    apr_size_t offset; /* of a text */
    set_fn *set;       /* or NULL */
    int is_file;
} options[] = {
    { "user", ALL, AT(user), 0 },
    { "password-file", ALL, AT(password_file), 1 },
    { "sentinel-user", ON(M2_REDIS_SENTINEL), AT(sentinel_user), 0 },
    { "sentinel-password-file", ON(M2_REDIS_SENTINEL), AT(sentinel_password_file), 1 },
    { "db", NO_CLUSTER, 0, set_db, 0 },
    { "tls", ALL, 0, set_tls, 0 },
    { "ca", ALL, AT(ca), 1 },
    { "cert", ALL, AT(cert), 1 },
    { "key", ALL, AT(key), 1 },
    { "prefix", ALL, 0, set_prefix, 0 },
    { "timeout", ALL, 0, set_timeout, 0 },
    { NULL, 0, 0, NULL, 0 }
};
/* clang-format on */

static const char **text_of(m2_redis_spec_t *spec, const struct option_t *o)
{
    return (const char **)(void *)((char *)spec + o->offset);
}

int m2_redis_built_in(void)
{
#if defined(M2_HAVE_HIREDIS)
    return 1;
#else
    return 0;
#endif
}

/* --- reading --- */

static int mode_of(const char **prest, const char *word)
{
    int mode = 0;

    while (mode < M2_REDIS_MODES && !m2_host_kind(prest, word, words[mode])) {
        mode++;
    }
    return mode;
}

int m2_redis_spec_is(const char *word)
{
    const char *rest;

    return mode_of(&rest, word) < M2_REDIS_MODES;
}

/* `MASTER@` in front of sentinels. */
static m2_code_t read_master(m2_redis_spec_t *spec, apr_pool_t *pool, const char **prest,
                             m2_err_t *err)
{
    const char *at = strchr(*prest, '@');
    const char *p = *prest;

    while (p != at && apr_isgraph(*p) && *p != ',') {
        p++;
    }
    if (!at || p != at || at == *prest || at - *prest > MAX_MASTER) {
        return m2_err_set(err, M2_E_CONFIG,
                          "redis-sentinel:%s: must be MASTER@HOST:PORT,HOST:PORT with the name "
                          "that sentinels have for the master", *prest);
    }
    spec->master = apr_pstrmemdup(pool, *prest, (apr_size_t)(at - *prest));
    *prest = at + 1;
    return M2_OK;
}

m2_code_t m2_redis_spec_start(m2_redis_spec_t **pspec, apr_pool_t *pool, const char *word,
                              const char *prefix, m2_err_t *err)
{
    m2_redis_spec_t *spec = apr_pcalloc(pool, sizeof(*spec));
    const char *rest = NULL;
    const int mode = mode_of(&rest, word);
    m2_code_t code = M2_OK;

    *pspec = NULL;
    if (mode == M2_REDIS_MODES) {
        return m2_err_set(err, M2_E_CONFIG, "%s: must be " M2_REDIS_WORDS, word);
    }
    spec->mode = (m2_redis_mode_t)mode;
    spec->prefix = prefix;
    spec->timeout = M2_REDIS_TIMEOUT;
    spec->hosts = apr_array_make(pool, 2, sizeof(m2_host_t));
    rest = rest ? rest : "";
    if (spec->mode == M2_REDIS_SENTINEL) {
        code = read_master(spec, pool, &rest, err);
    }
    if (code == M2_OK) {
        code = m2_hosts_read(spec->hosts, words[mode], rest,
                             spec->mode == M2_REDIS_ONE ? 1 : M2_REDIS_MAX_HOSTS, err);
    }
    *pspec = code == M2_OK ? spec : NULL;
    return code;
}

m2_code_t m2_redis_spec_option(m2_redis_spec_t *spec, apr_pool_t *pool, m2_slice_t name,
                               const char *value, m2_err_t *err)
{
    const struct option_t *o;

    for (o = options; o->name; o++) {
        if (!m2_slice_is_nocase(name, o->name)) {
            continue;
        }
        if (!(o->modes & ON(spec->mode))) {
            return o->set != set_db
                       ? M2_E_NOT_FOUND
                       : m2_err_set(err, M2_E_CONFIG, "db=%s: a cluster has only one", value);
        }
        if (o->set) {
            return o->set(spec, pool, value, err);
        }
        *text_of(spec, o) = apr_pstrdup(pool, value);
        return M2_OK;
    }
    return M2_E_NOT_FOUND;
}

const char *m2_redis_spec_options(apr_pool_t *pool, const m2_redis_spec_t *spec)
{
    const struct option_t *o;
    const char *names = "";

    for (o = options; o->name; o++) {
        if (o->modes & ON(spec->mode)) {
            names = apr_pstrcat(pool, names, *names ? " " : "", o->name, "=", NULL);
        }
    }
    return names;
}

static int has_socket(const m2_redis_spec_t *spec)
{
    int i, n = 0;

    for (i = 0; i < spec->hosts->nelts; i++) {
        n += APR_ARRAY_IDX(spec->hosts, i, m2_host_t).name[0] == '/';
    }
    return n;
}

m2_code_t m2_redis_spec_check(const m2_redis_spec_t *spec, m2_err_t *err)
{
    if (!spec->tls && (spec->ca || spec->cert || spec->key)) {
        return m2_err_set(err, M2_E_CONFIG, "ca=, cert= and key= need tls=On");
    }
    if (!spec->cert != !spec->key) {
        return m2_err_set(err, M2_E_CONFIG, "cert= and key= must be given together");
    }
    if (spec->user && !spec->password_file) {
        return m2_err_set(err, M2_E_CONFIG, "user= needs password-file=");
    }
    if (spec->sentinel_user && !spec->sentinel_password_file) {
        return m2_err_set(err, M2_E_CONFIG, "sentinel-user= needs sentinel-password-file=");
    }
    if (spec->tls && has_socket(spec)) {
        return m2_err_set(err, M2_E_CONFIG, "tls=On does not go with a unix socket");
    }
    if (spec->mode != M2_REDIS_ONE && has_socket(spec)) {
        return m2_err_set(err, M2_E_CONFIG, "%s takes HOST:PORT, no unix socket",
                          words[spec->mode]);
    }
    return M2_OK;
}

/* --- writing --- */

const char *m2_redis_spec_name(apr_pool_t *pool, const m2_redis_spec_t *spec)
{
    const char *name = apr_pstrcat(pool, words[spec->mode], ":",
                                   spec->master ? spec->master : "",
                                   spec->master ? "@" : "", NULL);
    int i;

    for (i = 0; i < spec->hosts->nelts; i++) {
        name = apr_pstrcat(pool, name, i ? "," : "",
                           m2_host_name(pool, &APR_ARRAY_IDX(spec->hosts, i, m2_host_t)),
                           NULL);
    }
    return name;
}

static const char *with(apr_pool_t *pool, const char *text, const char *option,
                        const char *value)
{
    return value ? apr_pstrcat(pool, text, " ", option, "=", value, NULL) : text;
}

const char *m2_redis_spec_describe(apr_pool_t *pool, const m2_redis_spec_t *spec)
{
    const char *text = m2_redis_spec_name(pool, spec);

    text = with(pool, text, "user", spec->user);
    text = with(pool, text, "password-file", spec->password_file);
    text = with(pool, text, "sentinel-user", spec->sentinel_user);
    text = with(pool, text, "sentinel-password-file", spec->sentinel_password_file);
    text = with(pool, text, "db", spec->db ? apr_itoa(pool, spec->db) : NULL);
    text = with(pool, text, "tls", spec->tls ? "On" : NULL);
    text = with(pool, text, "ca", spec->ca);
    text = with(pool, text, "cert", spec->cert);
    text = with(pool, text, "key", spec->key);
    text = with(pool, text, "prefix", spec->prefix);
    return apr_psprintf(pool, "%s timeout=%dms", text, spec->timeout);
}

const char **m2_redis_spec_file(m2_redis_spec_t *spec, int i)
{
    const struct option_t *o;

    for (o = options; o->name; o++) {
        if (o->is_file && i-- == 0) {
            return text_of(spec, o);
        }
    }
    return NULL;
}
