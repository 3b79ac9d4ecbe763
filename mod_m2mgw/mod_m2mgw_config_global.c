/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Directives of the whole server process. They stand in the server config only: there is
 * one replay store, one cache and one fetcher, whatever virtual host a request is for.
 */
#include "mod_m2mgw_config.h"

#include <apr_file_info.h>

#define MIN_ENTRIES 64        /* fewer would refuse requests by accident */
#define MAX_ENTRIES 100000000 /* of a shared table; 64 bytes each */
#define MAX_SECONDS 315360000 /* ten years */

static int has_prefix(const char *word, const char *prefix)
{
    return ap_cstr_casecmpn(word, prefix, strlen(prefix)) == 0;
}

/* --- M2MJwksTLS --- */

static const char *readable(const char **pslot, cmd_parms *cmd, const char *path)
{
    m2_slice_t text;

    return m2mgw_cfg_file(&text, pslot, cmd, path, M2_MAX_KEYSET_BYTES);
}

static const char *proxy_url(const char **pslot, cmd_parms *cmd, const char *url)
{
    static const char *const schemes[] = { "http://", "https://", "socks5://", "socks5h://" };
    apr_size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (has_prefix(url, schemes[i]) && url[strlen(schemes[i])]) {
            *pslot = url;
            return NULL;
        }
    }
    return m2mgw_cfg_error(cmd, "proxy=%s is not allowed; it takes a URL of http, https, "
                           "socks5 or socks5h", url);
}

typedef struct tls_option_t {
    const char *name;
    apr_size_t offset;
    const char *(*set)(const char **pslot, cmd_parms *cmd, const char *value);
} tls_option_t;

static const tls_option_t tls_options[] = {
    { "ca", offsetof(m2mgw_jwks_tls_t, ca), readable },
    { "cert", offsetof(m2mgw_jwks_tls_t, cert), readable },
    { "key", offsetof(m2mgw_jwks_tls_t, key), readable },
    { "proxy", offsetof(m2mgw_jwks_tls_t, proxy), proxy_url },
};

static const char *tls_option(m2mgw_jwks_tls_t *tls, cmd_parms *cmd, const char *name,
                              const char *value)
{
    apr_size_t i;

    for (i = 0; i < sizeof(tls_options) / sizeof(tls_options[0]); i++) {
        if (ap_cstr_casecmp(tls_options[i].name, name) == 0) {
            return tls_options[i].set((const char **)((char *)tls + tls_options[i].offset),
                                      cmd, value);
        }
    }
    return m2mgw_cfg_error(cmd, "there is no option \"%s\"; there are ca=, cert=, key= and "
                           "proxy=", name);
}

const char *m2mgw_cfg_jwks_tls(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_jwks_tls_t tls = { NULL, NULL, NULL, NULL };
    const char *name = NULL, *value;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    int given = 0;

    (void)dir;
    while (!bad) {
        bad = m2mgw_cfg_pair(&name, &value, cmd, &args);
        if (bad || !name) {
            break;
        }
        bad = tls_option(&tls, cmd, name, value);
        given++;
    }
    if (!bad && !given) {
        bad = m2mgw_cfg_error(cmd, "it takes one or more of ca=FILE, cert=FILE, key=FILE and "
                              "proxy=URL");
    }
    if (!bad && !tls.cert != !tls.key) {
        bad = m2mgw_cfg_error(cmd, "cert= and key= belong together; only %s= is given",
                              tls.cert ? "cert" : "key");
    }
    if (!bad) {
        m2mgw_cfg_globals()->jwks_tls = tls;
    }
    return bad;
}

/* --- M2MStateDir --- */

const char *m2mgw_cfg_state_dir(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *path = ap_server_root_relative(cmd->pool, arg);
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_finfo_t info;

    (void)dir;
    if (bad) {
        return bad;
    }
    if (!path || apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS
        || info.filetype != APR_DIR) {
        return m2mgw_cfg_error(cmd, "\"%s\" is no directory; make one that the server's User "
                               "may write to", path ? path : arg);
    }
    m2mgw_cfg_globals()->state_dir = path;
    return NULL;
}

/* --- M2MReplayStore --- */

static const char *shm_store(m2mgw_store_t *store, cmd_parms *cmd, const char *word,
                             const apr_array_header_t *more)
{
    const char *entries = more->nelts ? APR_ARRAY_IDX(more, 0, const char *) : NULL;

    store->kind = M2MGW_STORE_SHM;
    if (word[3] == ':') {
        store->path = ap_server_root_relative(cmd->pool, word + 4);
        if (!word[4] || !store->path) {
            return m2mgw_cfg_error(cmd, "\"%s\" names no file", word);
        }
    }
    if (more->nelts > 1 || (entries && !has_prefix(entries, "entries="))) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; behind shm it takes entries=N",
                               APR_ARRAY_IDX(more, more->nelts - 1, const char *));
    }
    if (entries && !m2mgw_cfg_number(&store->entries, entries + 8, MIN_ENTRIES, MAX_ENTRIES)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes a number of entries from "
                               "%d to %d", entries, MIN_ENTRIES, MAX_ENTRIES);
    }
    return NULL;
}

static const char *add_server(apr_array_header_t *servers, cmd_parms *cmd, const char *word)
{
    m2mgw_host_t *server = apr_array_push(servers);
    char *host, *scope;
    apr_port_t port;

    if (apr_parse_addr_port(&host, &scope, &port, word, cmd->pool) != APR_SUCCESS || !host
        || !*host || !port || scope) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not of the form HOST:PORT", word);
    }
    server->host = host;
    server->port = port;
    return NULL;
}

static const char *server_store(m2mgw_store_t *store, cmd_parms *cmd, const char *first,
                                const apr_array_header_t *more)
{
    apr_array_header_t *servers = apr_array_make(cmd->pool, 2, sizeof(m2mgw_host_t));
    const char *bad = add_server(servers, cmd, strchr(first, ':') + 1);
    int i;

    if (!bad && store->kind == M2MGW_STORE_REDIS && more->nelts) {
        bad = m2mgw_cfg_error(cmd, "\"%s\" is not allowed; redis takes one HOST:PORT",
                              APR_ARRAY_IDX(more, 0, const char *));
    }
    for (i = 0; !bad && i < more->nelts; i++) {
        bad = add_server(servers, cmd, APR_ARRAY_IDX(more, i, const char *));
    }
    store->servers = servers;
    return bad;
}

static const char *parse_store(m2mgw_store_t *store, cmd_parms *cmd, apr_array_header_t *words)
{
    const char *first = *(const char **)words->elts;
    apr_array_header_t more = *words;

    more.elts += more.elt_size;
    more.nelts--;
    if (ap_cstr_casecmp(first, "shm") == 0 || has_prefix(first, "shm:")) {
        return shm_store(store, cmd, first, &more);
    }
    if (has_prefix(first, "memcache:")) {
        store->kind = M2MGW_STORE_MEMCACHE;
        return server_store(store, cmd, first, &more);
    }
    if (has_prefix(first, "redis:")) {
        store->kind = M2MGW_STORE_REDIS;
        return server_store(store, cmd, first, &more);
    }
    return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes shm[:PATH] [entries=N], "
                           "memcache:HOST:PORT [HOST:PORT ...] or redis:HOST:PORT", first);
}

const char *m2mgw_cfg_replay_store(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_store_t store = { M2MGW_STORE_SHM, NULL, 65536, NULL };
    apr_array_header_t *words;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "shm[:PATH] [entries=N], "
                              "memcache:HOST:PORT [HOST:PORT ...] or redis:HOST:PORT");
    }
    if (!bad) {
        bad = parse_store(&store, cmd, words);
    }
    if (!bad) {
        m2mgw_cfg_globals()->replay_store = store;
    }
    return bad;
}

/* --- numbers --- */

const char *m2mgw_cfg_replay_lifetime(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    if (bad) {
        return bad;
    }
    if (!m2mgw_cfg_number(&m2mgw_cfg_globals()->replay_max_lifetime, arg, 1, MAX_SECONDS)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes a number of seconds from "
                               "1 to %d", arg, MAX_SECONDS);
    }
    return NULL;
}

const char *m2mgw_cfg_verify_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    int *pentries = &m2mgw_cfg_globals()->verify_cache;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    if (bad) {
        return bad;
    }
    if (ap_cstr_casecmp(arg, "Off") == 0) {
        *pentries = 0;
        return NULL;
    }
    if (!has_prefix(arg, "entries=")
        || !m2mgw_cfg_number(pentries, arg + 8, 1, MAX_ENTRIES)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes entries=N with N from 1 "
                               "to %d, or Off", arg, MAX_ENTRIES);
    }
    return NULL;
}
