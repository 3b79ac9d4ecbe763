/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Directives of the whole server process. They are allowed in the server config only: there is
 * one replay store, one cache and one fetcher, whatever virtual host a request is for.
 */
#include "host/m2h_dbd.h"
#include "httpd/config/m2mgw_set.h"
#include "redis/m2_redis.h"
#include "replay/m2_replay_dbd.h"

#include <apr_file_info.h>

#define MAX_ENTRIES 100000000 /* of a cache */
#define MAX_RECENT 65536 /* refusals that are remembered */
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
    /* what stands before an @ may be a password */
    return m2mgw_cfg_error(cmd, "proxy=%s is not allowed; it takes a URL of http, https, "
                           "socks5 or socks5h", strchr(url, '@') ? "..." : url);
}

/* Host names without blanks, as libcurl takes them: exact, or with a leading dot also what lies
 * below. */
static const char *no_proxy_hosts(const char **pslot, cmd_parms *cmd, const char *hosts)
{
    const char *p;

    for (p = hosts; *p; p++) {
        if (!apr_isalnum(*p) && !strchr(".-_:[],", *p)) {
            break;
        }
    }
    if (*p || !*hosts || *hosts == ',' || strstr(hosts, ",,") || hosts[strlen(hosts) - 1] == ',') {
        return m2mgw_cfg_error(cmd, "no-proxy=%s is not allowed; it takes names or addresses "
                               "of hosts, joined by commas", hosts);
    }
    *pslot = hosts;
    return NULL;
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
    { "no-proxy", offsetof(m2mgw_jwks_tls_t, no_proxy), no_proxy_hosts },
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
    return m2mgw_cfg_no_option(cmd, name, "ca=, cert=, key=, proxy= and no-proxy=");
}

const char *m2mgw_cfg_jwks_tls(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_jwks_tls_t tls = { NULL, NULL, NULL, NULL, NULL };
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    const char *name = NULL, *value;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    int given = 0;

    (void)dir;
    while (!bad) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            break;
        }
        bad = tls_option(&tls, cmd, name, value);
        given++;
    }
    if (!bad && !given) {
        bad = m2mgw_cfg_error(cmd, "it takes one or more of ca=FILE, cert=FILE, key=FILE, "
                              "proxy=URL and no-proxy=HOST[,HOST...]");
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
        return m2mgw_cfg_error(cmd, "\"%s\" is not a directory; make one that the server's User "
                               "may write to", path ? path : arg);
    }
    m2mgw_cfg_globals()->state_dir = path;
    return NULL;
}

/* --- M2MFileModes --- */

/* It also applies to files named by directives above it: m2mgw_config_pre looks for it before
 * any of them is read. Here the word is checked. */
const char *m2mgw_cfg_file_modes(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    if (bad) {
        return bad;
    }
    m2mgw_cfg_globals()->file_modes = ap_cstr_casecmp(arg, "Ignore") != 0;
    return m2mgw_cfg_globals()->file_modes && ap_cstr_casecmp(arg, "Check") != 0
               ? m2mgw_cfg_unknown(cmd, "", arg, "Check or Ignore")
               : NULL;
}

/* --- M2MReplayStore --- */

/* Names of files as the server sees them; the parent opens them when it starts. */
static void make_absolute(const char **pfile, cmd_parms *cmd)
{
    const char *absolute = *pfile ? ap_server_root_relative(cmd->pool, *pfile) : NULL;

    *pfile = absolute ? absolute : *pfile;
}

/* A store in a database: what is in force for the main server, where directives are global. */
static const char *use_database(cmd_parms *cmd, m2_replay_spec_t *spec)
{
    const char *bad = m2mgw_cfg_needs_dbd(cmd), *label, *sql;
    int i;

    for (i = 0; !bad && m2_replay_dbd_statement(&label, &sql, cmd->pool, spec->table, i); i++) {
        m2h_dbd_prepare(cmd->server, label, sql);
    }
    spec->dbd = m2h_dbd_host(cmd->pool, cmd->server);
    return bad;
}

/* Where a file cannot be, the start would end, and so would a graceful restart. */
static const char *check_place(cmd_parms *cmd, const char *label, const char *path)
{
    apr_finfo_t info;
    const char *dir = ap_make_dirstr_parent(cmd->temp_pool, path);

    return apr_stat(&info, dir, APR_FINFO_TYPE, cmd->temp_pool) == APR_SUCCESS
               && info.filetype == APR_DIR
               ? NULL
               : m2mgw_cfg_error(cmd, "%s%s: there is no directory %s", label, path, dir);
}

static const char *check_table(cmd_parms *cmd, const char *path)
{
    apr_finfo_t info;
    const char *bad = check_place(cmd, "shm:", path);

    if (!bad && apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) == APR_SUCCESS
        && info.filetype != APR_REG) {
        bad = m2mgw_cfg_error(cmd, "shm:%s: it is not a regular file", path);
    }
    return bad;
}

const char *m2mgw_cfg_store(m2_replay_spec_t **pspec, apr_array_header_t **pwords,
                            cmd_parms *cmd, const char *args)
{
    m2_replay_spec_t *spec;
    apr_array_header_t *words = NULL;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    m2_err_t err;
    int i;

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "shm[:PATH] [entries=N], "
                              "memcache:HOST:PORT [HOST:PORT ...], dbd:[TABLE], " M2_REDIS_WORDS);
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_replay_parse(&spec, cmd->pool, words, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    for (i = 0; m2_replay_spec_file(spec, i); i++) {
        make_absolute(m2_replay_spec_file(spec, i), cmd);
    }
    if (spec->redis && m2_redis_try(cmd->temp_pool, spec->redis, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    bad = spec->kind == M2_REPLAY_SHM && spec->path ? check_table(cmd, spec->path) : NULL;
    if (bad) {
        return bad;
    }
    *pspec = spec;
    if (pwords) {
        *pwords = words;
    }
    return spec->kind == M2_REPLAY_DBD ? use_database(cmd, spec) : NULL;
}

const char *m2mgw_cfg_replay_store(cmd_parms *cmd, void *dir, const char *args)
{
    m2_replay_spec_t *spec;
    const char *bad = m2mgw_cfg_store(&spec, NULL, cmd, args);

    (void)dir;
    if (!bad) {
        m2mgw_cfg_globals()->replay_store = spec;
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

/* `before` stands in front of the number, what says what it takes */
static const char *number_or_off(int *pnumber, cmd_parms *cmd, const char *arg,
                                 const char *before, int most, const char *what)
{
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (bad) {
        return bad;
    }
    if (ap_cstr_casecmp(arg, "Off") == 0) {
        *pnumber = 0;
        return NULL;
    }
    return has_prefix(arg, before)
                   && m2mgw_cfg_number(pnumber, arg + strlen(before), 1, most)
               ? NULL
               : m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes %s from 1 to %d, or Off",
                                 arg, what, most);
}

const char *m2mgw_cfg_verify_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    (void)dir;
    return number_or_off(&m2mgw_cfg_globals()->verify_cache, cmd, arg, "entries=", MAX_ENTRIES,
                         "entries=N with N");
}

const char *m2mgw_cfg_recent_refusals(cmd_parms *cmd, void *dir, const char *arg)
{
    (void)dir;
    return number_or_off(&m2mgw_cfg_globals()->recent_refusals, cmd, arg, "", MAX_RECENT,
                         "a number");
}

/* --- the decision log, of a server or virtual host --- */

/* One of the options; 0 when word is not an option. */
static int take_log_option(m2mgw_decision_log_t *log, const char *word)
{
    static const struct {
        const char *word;
        apr_size_t at;
        int value;
    } options[] = {
        { "what=refused", offsetof(m2mgw_decision_log_t, all), 0 },
        { "what=all", offsetof(m2mgw_decision_log_t, all), 1 },
        { "format=json", offsetof(m2mgw_decision_log_t, text), 0 },
        { "format=text", offsetof(m2mgw_decision_log_t, text), 1 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (ap_cstr_casecmp(word, options[i].word) == 0) {
            *(int *)(void *)((char *)log + options[i].at) = options[i].value;
            return 1;
        }
    }
    return 0;
}

static const char *check_log(cmd_parms *cmd, const char *target)
{
    const char *path = target[0] == '|' ? NULL : ap_server_root_relative(cmd->temp_pool, target);

    return path ? check_place(cmd, "", path) : NULL;
}

const char *m2mgw_cfg_decision_log(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_server_t *server = ap_get_module_config(cmd->server->module_config, &m2mgw_module);
    m2mgw_decision_log_t *log = apr_pcalloc(cmd->pool, sizeof(*log));
    apr_array_header_t *words;
    const char *fault = m2mgw_cfg_words(&words, cmd, args, 1, 0, "FILE or \"|PROGRAM\", "
                                        "[what=refused|all] [format=json|text]; or Off");
    int i;

    (void)dir;
    fault = fault ? fault : m2mgw_cfg_once(cmd, words, 1);
    if (fault) {
        return fault;
    }
    for (i = 1; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        if (!take_log_option(log, word)) {
            return m2mgw_cfg_unknown(cmd, "", word, "what=refused, what=all, format=json or "
                                     "format=text");
        }
    }
    log->target = APR_ARRAY_IDX(words, 0, const char *);
    if (ap_cstr_casecmp(log->target, "Off") == 0) {
        if (words->nelts > 1) {
            return m2mgw_cfg_error(cmd, "Off takes no options");
        }
        log->target = NULL;
    }
    if (log->target && m2_slice_is(m2_slice_z(log->target), "|")) {
        return m2mgw_cfg_error(cmd, "\"|\" names no program");
    }
    server->decision_log = log;
    return log->target ? check_log(cmd, log->target) : NULL;
}
