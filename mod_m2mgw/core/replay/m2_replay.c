/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The front of the replay stores: the words of the directive, the id of a token, the
 * counters, and the rate-limited line about a store in trouble. What a mark answers to the
 * gate is decided here once, for all stores.
 */
#include "replay/m2_replay_int.h"
#include "base/m2_log.h"

#include <apr_network_io.h>
#include <apr_shm.h>

#include <openssl/evp.h>

#include <pthread.h>

#define LOG_EVERY 10 /* seconds between two lines about one store's trouble */
#define MAX_TIMEOUT 60000
#define MAX_DB 1000000

/* clang-format off */
static const m2_replay_impl_t *const stores[] = { /* ORDER STORE */
    &m2_replay_shm, &m2_replay_memcache,
#if defined(M2_HAVE_HIREDIS)
    &m2_replay_redis
#endif
};
/* clang-format on */

#define STORES (sizeof(stores) / sizeof(stores[0]))
#define ON(kind) (1u << (kind))

/**************************************************************************************/
/* the words of the directive */

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
                      stores[spec->kind]->word, option_names(pool, spec->kind));
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
                          stores[spec->kind]->word, text);
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
                            stores[spec->kind]->word);
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

    while (i < STORES && !starts_with(&rest, word, stores[i]->word)) {
        i++;
    }
    if (i == STORES) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s: must be shm[:PATH], memcache:HOST:PORT or redis:HOST:PORT%s",
                          word, STORES > M2_REPLAY_REDIS ? ""
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

static const char *name_of(apr_pool_t *pool, const m2_replay_spec_t *spec)
{
    const char *name = apr_pstrcat(pool, stores[spec->kind]->word,
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
    const char *text = name_of(pool, spec);

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

/**************************************************************************************/
/* ids, keys, times */

/* Fetched once per process and never given back: a fetch per mark costs more than the hash,
 * and OpenSSL may be gone by the time the last pool is. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int hash_part(EVP_MD_CTX *ctx, m2_slice_t part)
{
    unsigned char head[9];
    int i;

    head[0] = part.p != NULL; /* "no issuer" is not the empty issuer */
    for (i = 0; i < 8; i++) {
        head[1 + i] = (unsigned char)((apr_uint64_t)part.n >> (8 * (7 - i)));
    }
    return EVP_DigestUpdate(ctx, head, sizeof(head)) == 1
           && EVP_DigestUpdate(ctx, part.n ? part.p : "", part.n) == 1;
}

/* Lengths go in front of the parts, so that ("a", "bc") and ("ab", "c") differ. */
static int make_id(unsigned char *id, m2_slice_t issuer, m2_slice_t jti)
{
    static const char tag[] = "m2m jti 1";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok;

    pthread_once(&sha256_once, fetch_sha256);
    ok = ctx && sha256 && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1
         && EVP_DigestUpdate(ctx, tag, sizeof(tag)) == 1 && hash_part(ctx, issuer)
         && hash_part(ctx, jti) && EVP_DigestFinal_ex(ctx, id, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

void m2_replay_key(char *key, const m2_replay_t *store, const unsigned char *id)
{
    static const char hex[] = "0123456789abcdef";
    apr_size_t n = strlen(store->spec->prefix);
    int i;

    memcpy(key, store->spec->prefix, n);
    for (i = 0; i < M2_REPLAY_ID; i++) {
        key[n++] = hex[id[i] >> 4];
        key[n++] = hex[id[i] & 15];
    }
    key[n] = '\0';
}

apr_uint64_t m2_replay_ttl(apr_time_t expires_at, apr_time_t now)
{
    return (apr_uint64_t)((expires_at - now + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC) + 2;
}

/**************************************************************************************/
/* a store and its answers */

static void count(apr_uint64_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* One process of all gets to write the line; the others only count. */
static void log_trouble(const m2_replay_t *store, apr_time_t now, const char *why)
{
    apr_uint64_t *last = &store->counters->last_log;
    apr_uint64_t then = __atomic_load_n(last, __ATOMIC_RELAXED);
    apr_uint64_t sec = (apr_uint64_t)apr_time_sec(now);

    count(&store->counters->unlogged);
    if ((then && sec < then + LOG_EVERY && sec >= then)
        || !__atomic_compare_exchange_n(last, &then, sec, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        return;
    }
    m2_log(M2_LOG_ERR, "replay store %s: %s (%" APR_UINT64_T_FMT " refused since last told)",
           store->name, why, __atomic_exchange_n(&store->counters->unlogged, 0,
                                                 __ATOMIC_RELAXED));
}

m2_code_t m2_replay_open(m2_replay_t **pstore, apr_pool_t *pool, apr_pool_t *process,
                         const m2_replay_spec_t *spec, m2_err_t *err)
{
    m2_replay_t *store = apr_pcalloc(pool, sizeof(*store));
    apr_shm_t *shm;
    m2_code_t code;

    *pstore = NULL;
    if (apr_shm_create(&shm, sizeof(*store->counters), NULL, pool) != APR_SUCCESS) {
        return m2_err_set(err, M2_E_CONFIG, "cannot get shared memory for replay counters");
    }
    store->counters = apr_shm_baseaddr_get(shm);
    memset(store->counters, 0, sizeof(*store->counters));
    store->impl = stores[spec->kind];
    store->spec = spec;
    store->name = name_of(pool, spec);
    if ((code = store->impl->open(store, pool, process, err)) == M2_OK) {
        *pstore = store;
    }
    return code;
}

m2_code_t m2_replay_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    return store->impl->attach(store, pool, err);
}

m2_code_t m2_replay_mark(m2_replay_t *store, m2_slice_t issuer, m2_slice_t jti,
                         apr_time_t expires_at, apr_time_t now, m2_err_t *err)
{
    unsigned char id[M2_REPLAY_ID];
    char why[M2_REPLAY_WHY] = "";
    m2_code_t code;
    int full = 0;

    if (expires_at <= now) {
        return m2_err_set(err, M2_E_EXPIRED, "token expired before it could be spent");
    }
    if (!make_id(id, issuer, jti)) {
        return m2_err_set(err, M2_E_INTERNAL, "cannot hash a jti");
    }
    code = store->impl->mark(store, id, expires_at, now, &full, why);
    if (code == M2_OK) {
        count(&store->counters->marked);
        return M2_OK;
    }
    if (code == M2_E_JTI_REPLAYED) {
        count(&store->counters->replayed);
        return m2_err_set(err, code, "token with jti hash %02x%02x%02x%02x was used before",
                          id[0], id[1], id[2], id[3]);
    }
    count(full ? &store->counters->full : &store->counters->errors);
    log_trouble(store, now, why);
    return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "replay store %s",
                      full ? "is full" : "does not answer");
}

void m2_replay_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    memset(stats, 0, sizeof(*stats));
    stats->kind = store->spec->kind;
    stats->name = store->name;
    stats->marked = __atomic_load_n(&store->counters->marked, __ATOMIC_RELAXED);
    stats->replayed = __atomic_load_n(&store->counters->replayed, __ATOMIC_RELAXED);
    stats->full = __atomic_load_n(&store->counters->full, __ATOMIC_RELAXED);
    stats->errors = __atomic_load_n(&store->counters->errors, __ATOMIC_RELAXED);
    store->impl->stats(stats, store);
}
