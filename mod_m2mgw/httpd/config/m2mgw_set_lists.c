/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Lists of revoked tokens (M2MRevocation) and data sets (M2MDataset). They are opened once all
 * of the configuration has been read: only then is it known whether an issuer of this server
 * writes one, which means that it may still be missing.
 */
#include "httpd/config/m2mgw_dbd.h"

#include "host/m2h_dbd.h"
#include "httpd/config/m2mgw_kept.h"
#include "httpd/config/m2mgw_set.h"

#include "jwks/m2_jwks_dataset.h"
#include "oauth/m2_view.h"
#include "revocation/m2_revocation.h"
#include "revocation/m2_revocation_redis.h"
#include "revocation/m2_revocations.h"
#include "rules/m2_dataset.h"
#include "wire/m2_dbd_list.h"

#define USAGE                                                                             \
    "file:PATH, https://URL or " M2_REDIS_WORDS ", [max-stale=SECONDS] [ttl=SECONDS], or none"
#define FETCH_TIMEOUT 5 /* seconds that one fetch may take */
#define MAX_STALE 86400
#define TTL 60
#define DBD_TTL 10
#define REDIS_TTL 1 /* seconds between two looks at what a process knows of a list in Redis */
#define MOST_SECONDS 31536000
#define MOST_TTL 86400

/* --- the directive --- */

static int has_prefix(const char *word, const char *prefix)
{
    return ap_cstr_casecmpn(word, prefix, strlen(prefix)) == 0;
}

/* An option of Redis; *ptaken says whether it is one. */
static const char *redis_option(int *ptaken, m2mgw_list_t *list, cmd_parms *cmd,
                                const char *name, const char *value)
{
    m2_code_t code = M2_E_NOT_FOUND;
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    if (list->redis) {
        code = m2_redis_spec_option(list->redis, cmd->pool, m2_slice_z(name), value, &err);
    }
    *ptaken = code != M2_E_NOT_FOUND;
    return *ptaken && code != M2_OK ? m2mgw_cfg_fault(cmd, &err) : NULL;
}

static const char *read_options(m2mgw_list_t *list, cmd_parms *cmd, const char *args,
                                const char *usage)
{
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    const char *name, *value, *bad;
    int *pseconds, most, taken = 0;

    for (;;) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        bad = bad || !name ? bad : redis_option(&taken, list, cmd, name, value);
        if (bad || !name) {
            return bad;
        }
        if (taken) {
            continue;
        }
        pseconds = ap_cstr_casecmp(name, "max-stale") == 0 ? &list->max_stale
                   : ap_cstr_casecmp(name, "ttl") == 0     ? &list->ttl
                                                           : NULL;
        most = pseconds == &list->ttl ? MOST_TTL : MOST_SECONDS;
        if (!pseconds) {
            return m2mgw_cfg_error(cmd, "\"%s=%s\" is not allowed; it takes %s", name, value,
                                   usage);
        }
        if (!m2mgw_cfg_number(pseconds, value, 1, most)) {
            return m2mgw_cfg_error(cmd, "\"%s=%s\" is not allowed; it takes seconds, from 1 to %d",
                                   name, value, most);
        }
    }
}

/* A list that has to be confirmed within max-stale is fetched twice in that time. */
static void set_defaults(m2mgw_list_t *list)
{
    if (list->ttl && (!list->is_url || list->redis)) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "%s in line %d of %s: ttl= has no effect on what is "
                         "watched", list->at->directive, list->at->line_num,
                         list->at->filename);
    }
    list->max_stale = list->max_stale ? list->max_stale : MAX_STALE;
    list->ttl = list->redis ? REDIS_TTL : list->ttl ? list->ttl : list->dbd ? DBD_TTL : TTL;
    if (list->ttl > (list->max_stale + 1) / 2) {
        list->ttl = (list->max_stale + 1) / 2;
    }
}

static const char *set_redis(m2mgw_list_t *list, cmd_parms *cmd, const char *word)
{
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    list->name = word;
    list->is_url = 1;
    return m2_redis_spec_start(&list->redis, cmd->pool, word, M2_REVOCATION_PREFIX, &err) == M2_OK
               ? NULL
               : m2mgw_cfg_fault(cmd, &err);
}

/* What is known once the options are: files as the server sees them, and a name that tells two
 * lists apart. */
static const char *finish_redis(m2mgw_list_t *list, cmd_parms *cmd)
{
    const char **pfile, *absolute;
    m2_err_t err;
    int i;

    m2_err_init(&err, cmd->pool);
    for (i = 0; (pfile = m2_redis_spec_file(list->redis, i)) != NULL; i++) {
        absolute = *pfile ? ap_server_root_relative(cmd->pool, *pfile) : NULL;
        *pfile = absolute ? absolute : *pfile;
    }
    list->name = m2_redis_spec_describe(cmd->pool, list->redis);
    return m2_redis_spec_check(list->redis, &err) == M2_OK ? NULL : m2mgw_cfg_fault(cmd, &err);
}

static const char *set_place(m2mgw_list_t *list, cmd_parms *cmd, const char *word)
{
    if (has_prefix(word, "file:") && word[5]) {
        list->name = ap_server_root_relative(cmd->pool, word + 5);
        return list->name ? NULL
                          : m2mgw_cfg_error(cmd, "\"%s\" is not a file name", word + 5);
    }
    if (has_prefix(word, "https:") || has_prefix(word, "http:")) {
        if (m2_url_is_plain(cmd->pool, word)) {
            return m2mgw_cfg_error(cmd, "a list over http:// may come from a loopback address "
                                   "only: whoever can change it could let revoked tokens in");
        }
        list->name = word;
        list->is_url = 1;
        return NULL;
    }
    if (m2_redis_built_in() && m2_redis_spec_is(word)) {
        return set_redis(list, cmd, word);
    }
    return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes " USAGE, word);
}

static int is_named(const m2mgw_revocation_t *revocation, const char *name)
{
    int i;

    for (i = 0; i < revocation->lists->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(revocation->lists, i, m2mgw_list_t *)->name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

static m2mgw_revocation_t *revocation_of(m2mgw_section_t *section, apr_pool_t *pool)
{
    if (!section->revocation) {
        section->revocation = apr_pcalloc(pool, sizeof(*section->revocation));
        section->revocation->lists = apr_array_make(pool, 2, sizeof(m2mgw_list_t *));
        section->dir->revocation = section->revocation;
    }
    return section->revocation;
}

static const char *add_list(m2mgw_section_t *section, cmd_parms *cmd, const char *word,
                            const char *args)
{
    m2mgw_revocation_t *revocation = revocation_of(section, cmd->pool);
    m2mgw_list_t *list = apr_pcalloc(cmd->pool, sizeof(*list));
    const char *bad = set_place(list, cmd, word);

    list->at = cmd->directive;
    bad = bad ? bad : read_options(list, cmd, args, USAGE);
    bad = bad || !list->redis ? bad : finish_redis(list, cmd);
    if (!bad && is_named(revocation, list->name)) {
        bad = m2mgw_cfg_error(cmd, "%s is named twice in this section", word);
    }
    set_defaults(list);
    APR_ARRAY_PUSH(revocation->lists, m2mgw_list_t *) = list;
    return bad;
}

const char *m2mgw_cfg_revocation(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_section_t *section;
    const char *word = NULL;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    int none;

    if (!bad) {
        bad = m2mgw_cfg_word(&word, cmd, &args);
    }
    if (!bad && (!word || !*word)) {
        bad = m2mgw_cfg_error(cmd, "it takes " USAGE);
    }
    if (bad) {
        return bad;
    }
    none = ap_cstr_casecmp(word, "none") == 0;
    if ((none && (section->revocation || *args)) || section->no_revocation) {
        return m2mgw_cfg_error(cmd, "none stands alone, and does not go with other lists of its "
                               "section");
    }
    if (none) {
        section->no_revocation = 1;
        revocation_of(section, cmd->pool);
        return NULL;
    }
    bad = m2mgw_cfg_needs(cmd, "mod_watchdog.c");
    return bad ? bad : add_list(section, cmd, word, args);
}

/* --- opening --- */

static int is_written_here(const char *path)
{
    APR_OPTIONAL_FN_TYPE(m2m_issuer_writes) *writes =
        APR_RETRIEVE_OPTIONAL_FN(m2m_issuer_writes);

    return writes && writes(path);
}

/* A running server that is restarted goes on with the earlier content of the list; a removed
 * file is not an empty list. */
static const char *stand_in(m2mgw_list_t *list, const m2_document_t *document,
                            const char *wrong)
{
    m2_keysource_t *source = m2_jwks_list_kept(m2mgw_cfg_registry(), document, list->name,
                                               wrong);

    m2mgw_cfg_notice(M2_LOG_ERR, "%s: %s; %s", list->at->directive, wrong,
                     m2_keysource_entries(source) >= 0
                         ? "what it held before stays in use"
                         : "what needs it is refused until it is good");
    list->source = source;
    return NULL;
}

static const char *open_file(m2mgw_list_t *list, const m2_document_t *document, m2_err_t *err)
{
    const m2_code_t code = m2_jwks_list_file(&list->source, m2mgw_cfg_registry(), document,
                                             list->name, is_written_here(list->name), err);

    if (code == M2_OK) {
        return NULL;
    }
    return m2mgw_kept_restarts() ? stand_in(list, document, err->text) : err->text;
}

static const char *open_redis(m2mgw_list_t *list, apr_pool_t *pool, m2_err_t *err)
{
    m2_puller_t puller = { m2_revocation_redis_pull, m2_revocation_redis_attach,
                           m2_revocation_redis_note, "redis", NULL };
    m2_revocation_redis_t *redis;

    if (m2_revocation_redis_open(&redis, pool, list->redis, err) != M2_OK) {
        return err->text;
    }
    puller.baton = redis;
    list->source = m2_jwks_list_pulled(m2mgw_cfg_registry(), &m2_document_revocations,
                                       list->name, &puller);
    return NULL;
}

/* mod_dbd hands out connections once it has begun; until then there is no answer. */
static void pull_rows(m2_answer_t *answer, apr_pool_t *pool, const char *etag, void *baton)
{
    if (m2mgw_dbd_is_ready()) {
        m2_dbd_list_pull(answer, pool, etag, baton);
    }
}

static void open_dbd(m2mgw_list_t *list)
{
    const m2_puller_t puller = { pull_rows, m2_dbd_list_attach, NULL, "dbd", list->dbd };

    list->source = m2_jwks_list_pulled(m2mgw_cfg_registry(), &m2_document_dataset_rows,
                                       list->name, &puller);
}

static const char *open_list(m2mgw_list_t *list, const m2_document_t *document,
                             apr_pool_t *pool, m2_err_t *err)
{
    const m2_refresh_t refresh = { list->ttl, list->max_stale,
                                   list->dbd ? M2_DBD_LIST_WAIT : FETCH_TIMEOUT,
                                   list->ttl < FETCH_TIMEOUT ? list->ttl : FETCH_TIMEOUT };
    const char *bad = NULL;

    if (list->redis) {
        bad = open_redis(list, pool, err);
    }
    else if (list->dbd) {
        open_dbd(list);
    }
    else if (!list->is_url) {
        bad = open_file(list, document, err);
    }
    else if (m2_jwks_list_url(&list->source, m2mgw_cfg_registry(), document, list->name, err)
             != M2_OK) {
        bad = err->text;
    }
    if (!bad && m2_keysource_refresh(list->source, &refresh, err) != M2_OK) {
        bad = err->text;
    }
    return bad;
}

/* Those that have been read by now. */
static void say_stars(const m2mgw_revocation_t *revocation, apr_pool_t *pool)
{
    const void *held = m2_keyring_enter(revocation->ring);
    const m2_parts_t *parts = held;
    int i;

    for (i = 0; parts && i < parts->n; i++) {
        const char *hint = m2_revocation_hint(pool, parts->part[i]);

        if (hint) {
            m2mgw_cfg_notice(M2_LOG_WARNING, "a list of M2MRevocation in %s: %s",
                             m2mgw_cfg_place(pool, APR_ARRAY_IDX(revocation->lists, 0,
                                                                 m2mgw_list_t *)->at), hint);
        }
    }
    m2_keyring_leave(revocation->ring);
}

const char *m2mgw_cfg_open_lists(const ap_directive_t **pat, apr_pool_t *pool,
                                 const m2mgw_section_t *section)
{
    m2mgw_revocation_t *revocation = section->revocation;
    apr_array_header_t *sources;
    const char *bad;
    m2_err_t err;
    int i;

    if (!revocation || !revocation->lists->nelts) {
        return NULL;
    }
    sources = apr_array_make(pool, revocation->lists->nelts, sizeof(m2_fed_t));
    for (i = 0; i < revocation->lists->nelts; i++) {
        m2mgw_list_t *list = APR_ARRAY_IDX(revocation->lists, i, m2mgw_list_t *);

        *pat = list->at;
        m2_err_init(&err, pool);
        bad = open_list(list, &m2_document_revocations, pool, &err);
        if (bad) {
            return apr_pstrcat(pool, "M2MRevocation: ", bad, NULL);
        }
        APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ list->source, NULL };
    }
    revocation->ring = m2_keyring_make(pool, NULL);
    m2_jwks_feed_lists(m2mgw_cfg_registry(), revocation->ring, sources);
    say_stars(revocation, pool);
    return NULL;
}

/* --- data sets --- */

#define DATASET_USAGE                                                                     \
    "NAME file:PATH or dbd:\"SQL\", [max-stale=SECONDS], with dbd: [ttl=SECONDS]"

static m2mgw_dataset_t *dataset_named(const char *name, const server_rec *s)
{
    const apr_array_header_t *all = m2mgw_cfg_datasets();
    int i;

    for (i = 0; i < all->nelts; i++) {
        m2mgw_dataset_t *set = APR_ARRAY_IDX(all, i, m2mgw_dataset_t *);

        if (set->server == s && strcmp(set->name, name) == 0) {
            return set;
        }
    }
    return NULL;
}

/* A statement without arguments; mod_dbd reads `%` as the beginning of one. */
static int has_places(const char *sql)
{
    for (; (sql = strchr(sql, '%')) != NULL; sql += 2) {
        if (sql[1] != '%') {
            return 1;
        }
    }
    return 0;
}

/* Two servers may say the same of different databases, in one line of a file that both include:
 * the number tells them apart. */
static const char *set_query(m2mgw_dataset_t *set, cmd_parms *cmd, const char *sql)
{
    const server_rec *s = cmd->server;
    const int number = m2mgw_cfg_datasets()->nelts;
    const char *bad = m2mgw_cfg_needs_dbd(cmd), *label;

    if (bad) {
        return bad;
    }
    if (!sql || !*sql || has_places(sql)) {
        return m2mgw_cfg_error(cmd, "dbd: takes a query without arguments in quotes, in which "
                               "%% is written %%%%");
    }
    label = apr_psprintf(cmd->pool, "m2m_dataset_%d", number);
    m2h_dbd_prepare(cmd->server, label, sql);
    set->list.name = apr_psprintf(cmd->pool, "dbd:%s (%s of %s:%u, %d)", sql, set->name,
                                  s->defn_name ? s->defn_name : "the main server",
                                  s->defn_line_number, number);
    set->list.is_url = 1;
    set->list.dbd = m2_dbd_list_make(cmd->pool, m2h_dbd_host(cmd->pool, cmd->server), label,
                                     M2_MAX_DATASET_BYTES);
    return NULL;
}

/* `dbd:"SQL"`, whose quote stands within the word, or `"dbd:SQL"`. */
static const char *dataset_place(m2mgw_dataset_t *set, cmd_parms *cmd, const char **pargs)
{
    const char *word, *bad;

    if (has_prefix(*pargs, "dbd:") && ((*pargs)[4] == '"' || (*pargs)[4] == '\'')) {
        *pargs += 4;
        bad = m2mgw_cfg_word(&word, cmd, pargs);
        return bad ? bad : set_query(set, cmd, word);
    }
    bad = m2mgw_cfg_word(&word, cmd, pargs);
    if (!bad && word && has_prefix(word, "dbd:")) {
        return set_query(set, cmd, word + 4);
    }
    if (!bad && (!word || !has_prefix(word, "file:") || !word[5])) {
        bad = m2mgw_cfg_error(cmd, "it takes " DATASET_USAGE);
    }
    return bad ? bad : set_place(&set->list, cmd, word);
}

static const char *add_dataset(m2mgw_dataset_t *set, cmd_parms *cmd, const char *args)
{
    const char *bad = dataset_place(set, cmd, &args);

    bad = bad ? bad : read_options(&set->list, cmd, args, DATASET_USAGE);
    if (!bad) {
        set_defaults(&set->list);
        APR_ARRAY_PUSH(m2mgw_cfg_datasets(), m2mgw_dataset_t *) = set;
    }
    return bad;
}

const char *m2mgw_cfg_dataset(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_dataset_t *set = apr_pcalloc(cmd->pool, sizeof(*set));
    const char *bad = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT | NOT_IN_HTACCESS);

    (void)dir;
    bad = bad ? bad : m2mgw_cfg_word(&set->name, cmd, &args);
    bad = bad ? bad : m2mgw_cfg_needs(cmd, "mod_watchdog.c");
    if (bad) {
        return bad;
    }
    if (!set->name || !*set->name
        || m2_dataset_name_length(m2_slice_z(set->name)) != strlen(set->name)) {
        return m2mgw_cfg_error(cmd, "it takes " DATASET_USAGE ", the name being letters, digits, "
                               "., _ and -");
    }
    if (dataset_named(set->name, cmd->server)) {
        return m2mgw_cfg_error(cmd, "%s is named twice", set->name);
    }
    set->server = cmd->server;
    set->list.at = cmd->directive;
    return add_dataset(set, cmd, args);
}

const char *m2mgw_cfg_open_datasets(const ap_directive_t **pat, apr_pool_t *pool)
{
    const apr_array_header_t *all = m2mgw_cfg_datasets();
    m2_err_t err;
    int i;

    for (i = 0; i < all->nelts; i++) {
        m2mgw_dataset_t *set = APR_ARRAY_IDX(all, i, m2mgw_dataset_t *);
        apr_array_header_t *sources = apr_array_make(pool, 1, sizeof(m2_fed_t));
        const char *bad;

        m2_err_init(&err, pool);
        *pat = set->list.at;
        bad = open_list(&set->list, &m2_document_datasets, pool, &err);
        if (bad) {
            return apr_pstrcat(pool, "M2MDataset ", set->name, ": ", bad, NULL);
        }
        APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ set->list.source, NULL };
        set->ring = m2_keyring_make(pool, NULL);
        m2_jwks_feed_lists(m2mgw_cfg_registry(), set->ring, sources);
    }
    return NULL;
}

/* That of the virtual host, else that of the main server. */
static const m2mgw_dataset_t *dataset_for(const char *name, const server_rec *s)
{
    const apr_array_header_t *all = m2mgw_cfg_datasets();
    const m2mgw_dataset_t *found = dataset_named(name, s);
    int i;

    for (i = 0; !found && i < all->nelts; i++) {
        m2mgw_dataset_t *set = APR_ARRAY_IDX(all, i, m2mgw_dataset_t *);

        if (!set->server->is_virtual && strcmp(set->name, name) == 0) {
            found = set;
        }
    }
    return found;
}

void m2mgw_cfg_sign_datasets(const m2_params_t *params, const cmd_parms *cmd, const char *name)
{
    const apr_array_header_t *refs = params->datasets;
    int i;

    for (i = 0; i < refs->nelts; i++) {
        m2_dataset_ref_t *ref = APR_ARRAY_IDX(refs, i, m2_dataset_ref_t *);

        if (!ref->at) {
            ref->at = cmd->directive;
            ref->rule = ref->rule ? ref->rule : name;
        }
    }
}

/* What is no network covers nothing, and the condition would not say so. */
static void say_odd(apr_pool_t *pool, const m2_dataset_ref_t *ref, const m2mgw_dataset_t *set)
{
    const void *held = m2_keyring_enter(set->ring);
    const m2_parts_t *parts = held;
    const char *first = NULL;
    const int odd = parts && parts->n ? m2_dataset_odd(&first, parts->part[0]) : 0;

    if (odd) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "a condition looks for networks in the data set %s, and %d "
                         "of its entries %s none: \"%.80s\"%s", ref->name, odd,
                         odd == 1 ? "is" : "are", ap_escape_logitem(pool, first),
                         odd == 1 ? "" : " ...");
    }
    m2_keyring_leave(set->ring);
}

const char *m2mgw_cfg_resolve_datasets(const ap_directive_t **pat, apr_pool_t *pool,
                                       const m2mgw_section_t *section)
{
    const apr_array_header_t *refs = section->rules ? section->rules->params->datasets : NULL;
    int i;

    for (i = 0; refs && i < refs->nelts; i++) {
        m2_dataset_ref_t *ref = APR_ARRAY_IDX(refs, i, m2_dataset_ref_t *);
        const m2mgw_dataset_t *set = dataset_for(ref->name, section->server);

        if (!set) {
            const int plugin = ref->at && ref->at == section->plugin[M2MGW_PLUGIN_ACCESS];

            *pat = ref->at ? ref->at : section->first;
            return apr_psprintf(pool, "%s%s %s: %sno data set is named %s (M2MDataset)",
                                (*pat)->directive, plugin ? ": rule" : "",
                                ref->rule ? ref->rule : "",
                                plugin ? "" : apr_psprintf(pool, "column %d: ", ref->column),
                                ref->name);
        }
        ref->ring = set->ring;
        if (ref->networks) {
            say_odd(pool, ref, set);
        }
    }
    return NULL;
}
