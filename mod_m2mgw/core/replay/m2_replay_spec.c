/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MReplayStore. An option is a row that says which kinds of store take it;
 * whatever is left over is refused with the list of those that would be taken.
 */
#include "replay/m2_replay_spec.h"

#define MAX_TIMEOUT 60000
#define MAX_DB 1000000
#define ON(kind) (1u << (kind))

/* clang-format off */
static const char *const kinds[] = { /* ORDER STORE */
    "shm", "memcache", "redis"
};
/* clang-format on */

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == M2_REPLAY_KINDS, "ORDER STORE");

const char *m2_replay_word(m2_replay_kind_t kind)
{
    return kinds[kind];
}

int m2_replay_has(m2_replay_kind_t kind)
{
#if defined(M2_HAVE_HIREDIS)
    return kind < M2_REPLAY_KINDS;
#else
    return kind < M2_REPLAY_REDIS;
#endif
}

typedef m2_code_t set_fn(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                         m2_err_t *err);

static m2_code_t read_number(apr_int64_t *pnumber, const char *option, const char *value,
                             apr_int64_t least, apr_int64_t most, m2_err_t *err)
{
    char *end = NULL;

    *pnumber = apr_strtoi64(value, &end, 10);
    if (!apr_isdigit(*value) || *end || *pnumber < least || *pnumber > most) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s=%s: must be a number from %" APR_INT64_T_FMT
                          " to %" APR_INT64_T_FMT, option, value, least, most);
    }
    return M2_OK;
}

static m2_code_t set_entries(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                             m2_err_t *err)
{
    apr_int64_t n;
    m2_code_t code = read_number(&n, "entries", value, 1, M2_REPLAY_MAX_ENTRIES, err);

    (void)pool;
    spec->entries = (apr_uint32_t)n;
    return code;
}

static m2_code_t set_db(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                        m2_err_t *err)
{
    apr_int64_t n;
    m2_code_t code = read_number(&n, "db", value, 0, MAX_DB, err);

    (void)pool;
    spec->db = (int)n;
    return code;
}

/* `2`, `2s` or `500ms` */
static m2_code_t set_timeout(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                             m2_err_t *err)
{
    apr_int64_t n;
    char *end = NULL;
    int unit = 1000;

    (void)pool;
    n = apr_strtoi64(value, &end, 10);
    if (apr_isdigit(*value) && m2_slice_is_nocase(m2_slice_z(end), "ms")) {
        unit = 1;
    }
    else if (!apr_isdigit(*value) || (*end && !m2_slice_is_nocase(m2_slice_z(end), "s"))) {
        n = 0;
    }
    if (n < 1 || n > MAX_TIMEOUT / unit) {
        return m2_err_set(err, M2_E_CONFIG,
                          "timeout=%s: must be a time such as 2, 2s or 500ms, up to 60s",
                          value);
    }
    spec->timeout = (int)n * unit;
    return M2_OK;
}

static m2_code_t set_tls(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                         m2_err_t *err)
{
    (void)pool;
    spec->tls = m2_slice_is_nocase(m2_slice_z(value), "on");
    if (!spec->tls && !m2_slice_is_nocase(m2_slice_z(value), "off")) {
        return m2_err_set(err, M2_E_CONFIG, "tls=%s: must be On or Off", value);
    }
    return M2_OK;
}

static m2_code_t set_prefix(m2_replay_spec_t *spec, apr_pool_t *pool, const char *value,
                            m2_err_t *err)
{
    const char *p;

    for (p = value; *p; p++) { /* memcached keys hold no blanks and no control bytes */
        if (!apr_isgraph(*p)) {
            break;
        }
    }
    if (*p || p - value > M2_REPLAY_MAX_PREFIX) {
        return m2_err_set(err, M2_E_CONFIG,
                          "prefix=%s: must be at most %d printable characters, no blank",
                          value, M2_REPLAY_MAX_PREFIX);
    }
    spec->prefix = apr_pstrdup(pool, value);
    return M2_OK;
}

#define SET_TEXT(member)                                                                  \
    static m2_code_t set_##member(m2_replay_spec_t *spec, apr_pool_t *pool,               \
                                  const char *value, m2_err_t *err)                       \
    {                                                                                     \
        (void)err;                                                                        \
        spec->member = apr_pstrdup(pool, value);                                          \
        return M2_OK;                                                                     \
    }
SET_TEXT(user)
SET_TEXT(password_file)
SET_TEXT(ca)
SET_TEXT(cert)
SET_TEXT(key)

/* clang-format off */
static const struct option_t {
    const char *name;
    unsigned kinds; /* stores that have it */
    set_fn *set;
} options[] = {
    { "entries", ON(M2_REPLAY_SHM), set_entries },
    { "user", ON(M2_REPLAY_REDIS), set_user },
    { "password-file", ON(M2_REPLAY_REDIS), set_password_file },
    { "db", ON(M2_REPLAY_REDIS), set_db },
    { "tls", ON(M2_REPLAY_REDIS), set_tls },
    { "ca", ON(M2_REPLAY_REDIS), set_ca },
    { "cert", ON(M2_REPLAY_REDIS), set_cert },
    { "key", ON(M2_REPLAY_REDIS), set_key },
    { "prefix", ON(M2_REPLAY_MEMCACHE) | ON(M2_REPLAY_REDIS), set_prefix },
    { "timeout", ON(M2_REPLAY_MEMCACHE) | ON(M2_REPLAY_REDIS), set_timeout },
    { NULL, 0, NULL }
};
/* clang-format on */

static const char *option_names(apr_pool_t *pool, m2_replay_kind_t kind)
{
    const struct option_t *o;
    const char *names = "";

    for (o = options; o->name; o++) {
        if (o->kinds & ON(kind)) {
            names = apr_pstrcat(pool, names, *names ? " " : "", o->name, "=", NULL);
        }
    }
    return names;
}

static m2_code_t set_option(m2_replay_spec_t *spec, apr_pool_t *pool, const char *word,
                            const char *equals, m2_err_t *err)
{
    m2_slice_t name = m2_slice(word, (apr_size_t)(equals - word));
    const struct option_t *o;

    for (o = options; o->name; o++) {
        if ((o->kinds & ON(spec->kind)) && m2_slice_is_nocase(name, o->name)) {
            return *equals && equals[1]
                       ? o->set(spec, pool, equals + 1, err)
                       : m2_err_set(err, M2_E_CONFIG, "%s: a value is missing", word);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "%s: the store %s has only the options %s", word,
                      kinds[spec->kind], option_names(pool, spec->kind));
}

/* A name, an IPv4 address, or, out of brackets, an IPv6 address. */
static int is_host(const char *name, int bracketed)
{
    return *name
           && strspn(name, bracketed ? "0123456789abcdefABCDEF:."
                                     : "0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") == strlen(name);
}

static m2_code_t add_host(m2_replay_spec_t *spec, apr_pool_t *pool, const char *text,
                          m2_err_t *err)
{
    m2_replay_host_t host = { NULL, 0 };
    char *name = NULL, *scope = NULL;

    if (*text == '/') {
        host.name = apr_pstrdup(pool, text);
    }
    else if (apr_parse_addr_port(&name, &scope, &host.port, text, pool) != APR_SUCCESS
             || !name || scope || !host.port || !is_host(name, *text == '[')) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s:%s: must be HOST:PORT or the absolute path of a socket",
                          kinds[spec->kind], text);
    }
    else {
        host.name = name;
    }
    if (spec->hosts->nelts >= (spec->kind == M2_REPLAY_REDIS ? 1 : M2_REPLAY_MAX_HOSTS)) {
        return m2_err_set(err, M2_E_CONFIG, "%s: too many hosts", text);
    }
    APR_ARRAY_PUSH(spec->hosts, m2_replay_host_t) = host;
    return M2_OK;
}

/* `a:1,b:2` */
static m2_code_t add_hosts(m2_replay_spec_t *spec, apr_pool_t *pool, const char *text,
                           m2_err_t *err)
{
    char *last = NULL, *rest = apr_pstrdup(pool, text), *one;
    int before = spec->hosts->nelts;
    m2_code_t code;

    while ((one = apr_strtok(rest, ",", &last)) != NULL) {
        rest = NULL;
        if ((code = add_host(spec, pool, one, err)) != M2_OK) {
            return code;
        }
    }
    return spec->hosts->nelts > before
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "%s: must be followed by HOST:PORT",
                            kinds[spec->kind]);
}

/* `WORD` or `WORD:rest`; rest is NULL without a colon */
static int starts_with(const char **prest, const char *text, const char *word)
{
    apr_size_t n = strlen(word);

    if (strlen(text) < n || !m2_slice_is_nocase(m2_slice(text, n), word)
        || (text[n] && text[n] != ':')) {
        return 0;
    }
    *prest = text[n] ? text + n + 1 : NULL;
    return 1;
}

static m2_code_t set_store(m2_replay_spec_t *spec, apr_pool_t *pool, const char *word,
                           m2_err_t *err)
{
    const char *rest = NULL;
    apr_size_t i = 0;

    while (i < M2_REPLAY_KINDS
           && !(m2_replay_has((m2_replay_kind_t)i) && starts_with(&rest, word, kinds[i]))) {
        i++;
    }
    if (i == M2_REPLAY_KINDS) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s: must be shm[:PATH], memcache:HOST:PORT or redis:HOST:PORT%s",
                          word, m2_replay_has(M2_REPLAY_REDIS) ? ""
                                                         : " (redis is not built in here)");
    }
    spec->kind = (m2_replay_kind_t)i;
    if (spec->kind != M2_REPLAY_SHM) {
        return add_hosts(spec, pool, rest ? rest : "", err);
    }
    if (rest && !*rest) {
        return m2_err_set(err, M2_E_CONFIG, "%s: a path is missing behind the colon", word);
    }
    spec->path = rest ? apr_pstrdup(pool, rest) : NULL;
    return M2_OK;
}

static m2_code_t check_whole(const m2_replay_spec_t *spec, m2_err_t *err)
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
    if (spec->tls && APR_ARRAY_IDX(spec->hosts, 0, m2_replay_host_t).name[0] == '/') {
        return m2_err_set(err, M2_E_CONFIG, "tls=On does not go with a unix socket");
    }
    return M2_OK;
}

m2_replay_spec_t *m2_replay_default(apr_pool_t *pool)
{
    m2_replay_spec_t *spec = apr_pcalloc(pool, sizeof(*spec));

    spec->kind = M2_REPLAY_SHM;
    spec->entries = M2_REPLAY_ENTRIES;
    spec->timeout = M2_REPLAY_TIMEOUT;
    spec->prefix = "m2m:jti:";
    spec->hosts = apr_array_make(pool, 2, sizeof(m2_replay_host_t));
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
    for (i = 1; code == M2_OK && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        const char *equals = strchr(word, '='), *rest = NULL;

        if (!equals && spec->kind == M2_REPLAY_MEMCACHE) {
            code = add_hosts(spec, pool,
                             starts_with(&rest, word, "memcache") && rest ? rest : word, err);
        }
        else {
            code = set_option(spec, pool, word, equals ? equals : word + strlen(word), err);
        }
    }
    if (code == M2_OK && (code = check_whole(spec, err)) == M2_OK) {
        *pspec = spec;
    }
    return code;
}

static const char *host_name(apr_pool_t *pool, const m2_replay_host_t *host)
{
    if (!host->port) {
        return host->name; /* a socket */
    }
    return apr_psprintf(pool, strchr(host->name, ':') ? "[%s]:%u" : "%s:%u", host->name,
                        (unsigned)host->port);
}

const char *m2_replay_name(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *name = apr_pstrcat(pool, kinds[spec->kind],
                                   spec->path ? ":" : NULL, spec->path, NULL);
    int i;

    for (i = 0; i < spec->hosts->nelts; i++) {
        m2_replay_host_t *host = &APR_ARRAY_IDX(spec->hosts, i, m2_replay_host_t);

        name = apr_pstrcat(pool, name, i ? "," : ":", host_name(pool, host), NULL);
    }
    return name;
}

static const char *with(apr_pool_t *pool, const char *text, const char *option,
                        const char *value)
{
    return value ? apr_pstrcat(pool, text, " ", option, "=", value, NULL) : text;
}

const char *m2_replay_describe(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *text = m2_replay_name(pool, spec);

    if (spec->kind == M2_REPLAY_SHM) {
        return apr_psprintf(pool, "%s entries=%u", text, spec->entries);
    }
    text = with(pool, text, "user", spec->user);
    text = with(pool, text, "password-file", spec->password_file);
    text = with(pool, text, "db", spec->db ? apr_itoa(pool, spec->db) : NULL);
    text = with(pool, text, "tls", spec->tls ? "On" : NULL);
    text = with(pool, text, "ca", spec->ca);
    text = with(pool, text, "cert", spec->cert);
    text = with(pool, text, "key", spec->key);
    text = with(pool, text, "prefix", spec->prefix);
    return apr_psprintf(pool, "%s timeout=%dms", text, spec->timeout);
}
