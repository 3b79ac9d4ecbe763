/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MReplayStore. An option is a row that says which kinds of store take it;
 * whatever is left over is refused with the list of those that would be taken.
 */
#include "replay/m2_replay_spec.h"

#include "text/m2_once.h"

#define PREFIX "m2m:jti:"
#define MAX_TABLE 40 /* bytes of its name */
#define ON(kind) (1u << (kind))

/* clang-format off */
static const char *const kinds[] = { /* ORDER STORE */
    "shm", "memcache", "redis", "dbd"
};
/* clang-format on */

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == M2_REPLAY_KINDS, "ORDER STORE");

typedef m2_code_t set_fn(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                         m2_err_t *err);

static m2_code_t set_entries(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                             m2_err_t *err)
{
    int n = 0;
    m2_code_t code = m2_number_read(&n, "entries", value, 1, M2_REPLAY_MAX_ENTRIES, err);

    (void)pool;
    spec->entries = (apr_uint32_t)n;
    return code;
}

static m2_code_t set_wait(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                          m2_err_t *err)
{
    (void)pool;
    return m2_number_read(&spec->wait, "wait", value, 1, M2_REPLAY_MAX_WAIT, err);
}

static m2_code_t set_timeout(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                             m2_err_t *err)
{
    (void)pool;
    return m2_timeout_read(&spec->timeout, value, err);
}

static m2_code_t set_prefix(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                            m2_err_t *err)
{
    return m2_prefix_read(&spec->prefix, pool, value, err);
}

/* clang-format off */
static const struct option_t {
    const char *name;
    unsigned kinds; /* stores that have it */
    set_fn *set;
} options[] = {
    { "entries", ON(M2_REPLAY_SHM), set_entries },
    { "wait", ON(M2_REPLAY_REDIS), set_wait },
    { "prefix", ON(M2_REPLAY_MEMCACHE) | ON(M2_REPLAY_DBD), set_prefix },
    { "timeout", ON(M2_REPLAY_MEMCACHE), set_timeout },
    { NULL, 0, NULL }
};
/* clang-format on */

static const char *option_names(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *names = spec->redis ? m2_redis_spec_options(pool, spec->redis) : "";
    const struct option_t *o;

    for (o = options; o->name; o++) {
        if (o->kinds & ON(spec->kind)) {
            names = apr_pstrcat(pool, names, *names ? " " : "", o->name, "=", NULL);
        }
    }
    return names;
}

static m2_code_t set_option(m2_replay_spec_t *spec, apr_pool_t *pool, const char *word,
                            const char *equals, m2_err_t *err)
{
    const m2_slice_t name = m2_slice(word, (apr_size_t)(equals - word));
    const char *value = *equals && equals[1] ? equals + 1 : NULL;
    const struct option_t *o;
    m2_code_t code = M2_E_NOT_FOUND;

    for (o = options; o->name; o++) {
        if ((o->kinds & ON(spec->kind)) && m2_slice_is_nocase(name, o->name)) {
            return value ? o->set(spec, pool, value, err)
                         : m2_err_set(err, M2_E_CONFIG, "%s: a value is missing", word);
        }
    }
    if (spec->redis && value) {
        code = m2_redis_spec_option(spec->redis, pool, name, value, err);
    }
    return code != M2_E_NOT_FOUND
               ? code
               : m2_err_set(err, M2_E_CONFIG, "%s: the store %s has only the options %s", word,
                            kinds[spec->kind], option_names(pool, spec));
}

static m2_code_t set_redis(m2_replay_spec_t *spec, apr_pool_t *pool, const char *word,
                           m2_err_t *err)
{
    spec->kind = M2_REPLAY_REDIS;
    return m2_redis_spec_start(&spec->redis, pool, word, PREFIX, err);
}

/* Letters, digits and `_`, with its schema in front of a dot. */
static int is_table(const char *name)
{
    const char *p = name;
    int dots = 0;

    while (apr_isalnum(*p) || *p == '_' || (*p == '.' && p > name && p[1] && p[1] != '.')) {
        dots += *p++ == '.';
    }
    return *name && !*p && dots <= 1 && !apr_isdigit(*name) && p - name <= MAX_TABLE;
}

static m2_code_t set_table(m2_replay_spec_t *spec, apr_pool_t *pool, const char *table,
                           m2_err_t *err)
{
    if (!is_table(table)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "dbd:%s: must be dbd: or dbd:TABLE, letters, digits and _, with a "
                          "schema in front of a dot", table);
    }
    spec->table = apr_pstrdup(pool, table);
    spec->prefix = "";
    return M2_OK;
}

static m2_code_t set_store(m2_replay_spec_t *spec, apr_pool_t *pool, const char *word,
                           m2_err_t *err)
{
    const char *rest = NULL;
    apr_size_t i = 0;

    if (m2_redis_built_in() && m2_redis_spec_is(word)) {
        return set_redis(spec, pool, word, err);
    }
    while (i < M2_REPLAY_KINDS
           && (i == M2_REPLAY_REDIS || !m2_host_kind(&rest, word, kinds[i]))) {
        i++;
    }
    if (i == M2_REPLAY_KINDS) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s: must be shm[:PATH], memcache:HOST:PORT, dbd:[TABLE], "
                          M2_REDIS_WORDS "%s",
                          word, m2_redis_built_in() ? "" : " (redis is not built in here)");
    }
    spec->kind = (m2_replay_kind_t)i;
    if (spec->kind == M2_REPLAY_MEMCACHE) {
        return m2_hosts_read(spec->hosts, kinds[i], rest ? rest : "", M2_REPLAY_MAX_HOSTS,
                             err);
    }
    if (spec->kind == M2_REPLAY_DBD) {
        return set_table(spec, pool, rest && *rest ? rest : M2_REPLAY_TABLE, err);
    }
    if (rest && !*rest) {
        return m2_err_set(err, M2_E_CONFIG, "%s: a path is missing behind the colon", word);
    }
    spec->path = rest ? apr_pstrdup(pool, rest) : NULL;
    return M2_OK;
}

/* The options that redis and memcache share. */
static m2_code_t finish(m2_replay_spec_t *spec, m2_err_t *err)
{
    if (!spec->redis) {
        return M2_OK;
    }
    spec->prefix = spec->redis->prefix;
    spec->timeout = spec->redis->timeout;
    return m2_redis_spec_check(spec->redis, err);
}

m2_replay_spec_t *m2_replay_default(apr_pool_t *pool)
{
    m2_replay_spec_t *spec = apr_pcalloc(pool, sizeof(*spec));

    spec->kind = M2_REPLAY_SHM;
    spec->entries = M2_REPLAY_ENTRIES;
    spec->timeout = M2_REPLAY_TIMEOUT;
    spec->prefix = PREFIX;
    spec->hosts = apr_array_make(pool, 2, sizeof(m2_host_t));
    return spec;
}

m2_code_t m2_replay_parse(m2_replay_spec_t **pspec, apr_pool_t *pool,
                          const apr_array_header_t *words, m2_err_t *err)
{
    m2_replay_spec_t *spec = m2_replay_default(pool);
    m2_code_t code;
    int i;

    *pspec = NULL;
    code = set_store(spec, pool, words->nelts ? APR_ARRAY_IDX(words, 0, const char *) : "",
                     err);
    code = code ? code : m2_once_words(words, 1, err);
    for (i = 1; code == M2_OK && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        const char *equals = strchr(word, '='), *rest = NULL;

        if (!equals && spec->kind == M2_REPLAY_MEMCACHE) {
            code = m2_hosts_read(spec->hosts, "memcache",
                                 m2_host_kind(&rest, word, "memcache") && rest ? rest : word,
                                 M2_REPLAY_MAX_HOSTS, err);
        }
        else {
            code = set_option(spec, pool, word, equals ? equals : word + strlen(word), err);
        }
    }
    if (code == M2_OK && (code = finish(spec, err)) == M2_OK) {
        *pspec = spec;
    }
    return code;
}

const char *m2_replay_name(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *name = apr_pstrcat(pool, kinds[spec->kind],
                                   spec->path || spec->table ? ":" : NULL,
                                   spec->path ? spec->path : spec->table, NULL);
    int i;

    if (spec->redis) {
        return m2_redis_spec_name(pool, spec->redis);
    }
    for (i = 0; i < spec->hosts->nelts; i++) {
        name = apr_pstrcat(pool, name, i ? "," : ":",
                           m2_host_name(pool, &APR_ARRAY_IDX(spec->hosts, i, m2_host_t)),
                           NULL);
    }
    return name;
}

const char *m2_replay_describe(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *text = m2_replay_name(pool, spec);

    if (spec->kind == M2_REPLAY_SHM) {
        return apr_psprintf(pool, "%s entries=%u", text, spec->entries);
    }
    if (spec->kind == M2_REPLAY_DBD) {
        return *spec->prefix ? apr_pstrcat(pool, text, " prefix=", spec->prefix, NULL) : text;
    }
    if (spec->kind == M2_REPLAY_MEMCACHE) {
        return apr_psprintf(pool, "%s prefix=%s timeout=%dms", text, spec->prefix,
                            spec->timeout);
    }
    text = m2_redis_spec_describe(pool, spec->redis);
    return spec->wait ? apr_psprintf(pool, "%s wait=%d", text, spec->wait) : text;
}

const char **m2_replay_spec_file(m2_replay_spec_t *spec, int i)
{
    if (i == 0) {
        return &spec->path;
    }
    return spec->redis ? m2_redis_spec_file(spec->redis, i - 1) : NULL;
}
