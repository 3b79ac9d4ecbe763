/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The keys of a section (M2MJwk, M2MJwks, M2MIssuerDiscovery). The first directive makes the
 * list; it grows until the section ends.
 *
 * Keys here are public, or `oct` where an administrator wrote them on this machine. A key
 * text never reaches an error or a log line.
 */
#include "httpd/config/m2mgw_kept.h"
#include "httpd/config/m2mgw_set.h"

#define LOCAL_KEYS (M2_JWK_PUBLIC | M2_JWK_OCT)

/* The ring of a section is empty until the whole configuration has been read; then the set
 * that grew here is put into it (m2mgw_config_check). */
static m2_keyset_t *keyset_of(m2mgw_section_t *section, cmd_parms *cmd)
{
    if (!section->keyset) {
        section->keyset = m2_keyset_make(cmd->pool);
        section->fixed = m2_keyset_make(cmd->pool);
        section->key_sources = apr_array_make(cmd->pool, 2, sizeof(m2_fed_t));
        section->dir->bound = section->bound = apr_array_make(cmd->pool, 1, sizeof(const char *));
        section->keys_at = cmd->directive;
        section->dir->keys = m2_keyring_make(cmd->pool, NULL);
    }
    return section->keyset;
}

/* Keys of the section are bound to issuer (RFC 8725 3.8), unless that is NULL. The list is in
 * force at once: virtual hosts inherit it before the check. */
static void note_bound(m2mgw_section_t *section, const char *issuer)
{
    int i;

    for (i = 0; issuer && i < section->bound->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(section->bound, i, const char *), issuer) == 0) {
            return;
        }
    }
    if (issuer) {
        APR_ARRAY_PUSH(section->bound, const char *) = issuer;
    }
}

/* code and err: what became of reading the key; file: where it was read, or NULL */
static const char *add_key(m2mgw_section_t *section, cmd_parms *cmd, m2_jwk_t *jwk,
                           const char *issuer, const char *file, m2_code_t code, m2_err_t *err)
{
    m2_keyset_t *set = keyset_of(section, cmd);

    if (code == M2_E_KEY_SKIPPED) {
        if (!set->skipped) {
            set->skipped = err->text;
        }
        m2mgw_cfg_notice(M2_LOG_NOTICE, "%s in %s: the key is left out: %s", cmd->cmd->name,
                         m2mgw_cfg_place(cmd->pool, cmd->directive), err->text);
        return NULL;
    }
    if (code != M2_OK) {
        return m2mgw_cfg_error(cmd, "the key%s%s cannot be used: %s", file ? " in " : "",
                               file ? file : "", err->text);
    }
    if (jwk->odd) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "%s in %s: the key: %s", cmd->cmd->name,
                         m2mgw_cfg_place(cmd->pool, cmd->directive), jwk->odd);
    }
    jwk->issuer = issuer;
    note_bound(section, issuer);
    return m2_keyset_add(set, jwk, err) == M2_OK
                   && m2_keyset_add(section->fixed, jwk, err) == M2_OK
               ? NULL
               : m2mgw_cfg_fault(cmd, err);
}

static const char *json_key(m2mgw_section_t *section, cmd_parms *cmd, const char *text)
{
    const m2_json_t *json;
    m2_jwk_t *jwk = NULL;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, cmd->pool);
    code = m2_json_parse(&json, cmd->pool, m2_slice_z(text), M2_E_CONFIG, &err);
    if (code == M2_OK) {
        code = m2_jwk_from_json(&jwk, cmd->pool, json, LOCAL_KEYS, &err);
    }
    return add_key(section, cmd, jwk, NULL, NULL, code, &err);
}

/* Remove the word issuer=ISS from the others. */
static const char *issuer_word(const char **pissuer, cmd_parms *cmd, apr_array_header_t *words)
{
    int i, kept = 0;

    *pissuer = NULL;
    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        if (ap_cstr_casecmpn(word, "issuer=", 7) != 0) {
            APR_ARRAY_IDX(words, kept++, const char *) = word;
            continue;
        }
        if (*pissuer || !word[7]) {
            return m2mgw_cfg_error(cmd, *pissuer ? "issuer= is given twice"
                                                 : "issuer= is empty; it takes an issuer");
        }
        *pissuer = word + 7;
    }
    words->nelts = kept;
    return NULL;
}

static const char *words_key(m2mgw_section_t *section, cmd_parms *cmd,
                             apr_array_header_t *words)
{
    const char *issuer, *bad = issuer_word(&issuer, cmd, words);
    m2_jwk_t *jwk = NULL;
    m2_err_t err;
    m2_code_t code;

    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    code = m2_jwk_from_words(&jwk, cmd->pool,
                             m2_slice_z(apr_array_pstrcat(cmd->pool, words, ' ')), LOCAL_KEYS,
                             &err);
    return add_key(section, cmd, jwk, issuer, NULL, code, &err);
}

/* --- options behind what names the keys --- */

typedef struct options_t {
    const char *issuer, *kid, *alg, *plain; /* NULL: not given */
} options_t;

#define MAY_NAME 1  /* kid= and alg= */
#define MAY_BIND 2  /* issuer= */
#define MAY_PLAIN 4 /* plain-http=Allow */

static const struct option_t {
    const char *name;
    int kind;
    apr_size_t offset;
} option_rows[] = {
    { "kid", MAY_NAME, offsetof(options_t, kid) },
    { "alg", MAY_NAME, offsetof(options_t, alg) },
    { "issuer", MAY_BIND, offsetof(options_t, issuer) },
    { "plain-http", MAY_PLAIN, offsetof(options_t, plain) },
};

static const char **option_slot(options_t *options, const char *name, int kinds)
{
    apr_size_t i;

    for (i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        if (ap_cstr_casecmp(name, option_rows[i].name) == 0 && (kinds & option_rows[i].kind)) {
            return (const char **)(void *)((char *)options + option_rows[i].offset);
        }
    }
    return NULL;
}

/* Read args. usage names those of kinds. */
static const char *read_options(options_t *options, cmd_parms *cmd, const char *args, int kinds,
                                const char *usage)
{
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    const char *name, *value, *bad, **pslot;

    memset(options, 0, sizeof(*options));
    for (;;) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            return bad;
        }
        pslot = option_slot(options, name, kinds);
        if (!pslot || !*value) {
            return m2mgw_cfg_error(cmd, "\"%s=%s\" is not allowed; %s", name, value, usage);
        }
        *pslot = value;
        if (options->plain && ap_cstr_casecmp(options->plain, "Allow") != 0) {
            return m2mgw_cfg_error(cmd, "plain-http=%s is not allowed; it takes plain-http=Allow",
                                   options->plain);
        }
    }
}

static const char *pem_text(m2mgw_section_t *section, cmd_parms *cmd,
                            const m2mgw_kept_t *file, const options_t *o)
{
    m2_jwk_t *jwk = NULL;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, cmd->pool);
    code = m2_jwk_from_pem(&jwk, cmd->pool, file->text, o->kid, o->alg, M2_JWK_PUBLIC, &err);
    return add_key(section, cmd, jwk, o->issuer, file->path, code, &err);
}

/* If the file is bad at a restart by signal, the server goes on with its earlier key. */
static const char *pem_key(m2mgw_section_t *section, cmd_parms *cmd, const char *path,
                           const char *args)
{
    options_t o;
    m2mgw_kept_t file;
    const char *bad = read_options(&o, cmd, args, MAY_NAME | MAY_BIND,
                                   "pem:PATH takes kid=KID, alg=ALGORITHM and issuer=ISS");

    if (bad) {
        return bad;
    }
    bad = m2mgw_kept_read(&file, cmd, path, M2_MAX_KEYSET_BYTES);
    bad = bad ? bad : pem_text(section, cmd, &file, &o);
    if (!bad) {
        m2mgw_kept_put(&file);
        return NULL;
    }
    if (!m2mgw_kept_stand_in(&file, bad, "what needs its key is answered 503 until a restart "
                                         "finds it good")) {
        return bad;
    }
    if (file.text.p) {
        return pem_text(section, cmd, &file, &o);
    }
    keyset_of(section, cmd)->incomplete = 1;
    section->fixed->incomplete = 1;
    note_bound(section, o.issuer);
    return NULL;
}

static int has_prefix(const char *word, const char *prefix)
{
    return ap_cstr_casecmpn(word, prefix, strlen(prefix)) == 0;
}

/* The bytes of the JSON object that p begins with: up to the brace that closes it. */
static apr_size_t object_length(const char *p)
{
    apr_size_t i;
    int depth = 0, quoted = 0;

    for (i = 0; p[i]; i++) {
        if (quoted) {
            i += p[i] == '\\' && p[i + 1];
            quoted = p[i] != '"';
            continue;
        }
        quoted = p[i] == '"';
        depth += (p[i] == '{') - (p[i] == '}');
        if (!depth) {
            return i + 1;
        }
    }
    return i;
}

/* JSON needs no quotes: text that starts with a brace is taken literally, up to the closing
 * brace. *pjson stays NULL when the line is something else, *prest is what follows. */
static const char *json_argument(const char **pjson, const char **prest, cmd_parms *cmd,
                                 const char *args)
{
    const char *word, *bad;
    apr_size_t n;

    *pjson = NULL;
    *prest = args;
    if (*args == '{') {
        n = object_length(args);
        *pjson = apr_pstrmemdup(cmd->pool, args, n);
        *prest = args + n;
        return NULL;
    }
    bad = m2mgw_cfg_word(&word, cmd, prest);
    if (!bad && word && *word == '{') {
        *pjson = word;
    }
    return bad;
}

const char *m2mgw_cfg_jwk(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    const char *json, *first, *rest;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_JWT);

    if (!bad) {
        bad = json_argument(&json, &rest, cmd, args);
    }
    if (!bad && json && rest[strspn(rest, " \t")]) {
        bad = m2mgw_cfg_error(cmd, "nothing may stand behind the JSON text");
    }
    if (bad || json) {
        return bad ? bad : json_key(section, cmd, json);
    }
    bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "one JWK, as JSON or as NAME=VALUE words, "
                          "or pem:PATH");
    if (bad) {
        return bad;
    }
    first = APR_ARRAY_IDX(words, 0, const char *);
    if (has_prefix(first, "pem:")) {
        m2mgw_cfg_word(&first, cmd, &args);
        return pem_key(section, cmd, first + 4, args);
    }
    return words_key(section, cmd, words);
}

static const char *json_set(m2mgw_section_t *section, cmd_parms *cmd, m2_slice_t text,
                            const char *issuer)
{
    m2_keyset_t *given = m2_keyset_make(cmd->pool);
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    if (m2_keyset_parse(given, text, "the set", LOCAL_KEYS, M2_KEYSET_STRICT, &err) != M2_OK
        || m2_keyset_add_all(keyset_of(section, cmd), given, issuer, &err) != M2_OK
        || m2_keyset_add_all(section->fixed, given, issuer, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    note_bound(section, issuer);
    return NULL;
}

static int same_issuer(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The same keys may count for several issuers, each once. */
static const char *add_source(m2mgw_section_t *section, cmd_parms *cmd, m2_keysource_t *source,
                              const char *issuer)
{
    m2_fed_t *fed;
    int i;

    keyset_of(section, cmd);
    for (i = 0; i < section->key_sources->nelts; i++) {
        fed = &APR_ARRAY_IDX(section->key_sources, i, m2_fed_t);
        if (fed->source == source && same_issuer(fed->issuer, issuer)) {
            return m2mgw_cfg_error(cmd, "%s is named twice in this section",
                                   m2_keysource_label(source));
        }
    }
    fed = apr_array_push(section->key_sources);
    fed->source = source;
    fed->issuer = issuer;
    note_bound(section, issuer);
    return NULL;
}

/* The source of a file, which is read now, or NULL and why. */
static const char *read_source(m2_keysource_t **psource, cmd_parms *cmd, const char *full)
{
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    return m2_jwks_file(psource, m2mgw_cfg_registry(), full, &err) == M2_OK
               ? NULL
               : m2mgw_cfg_error(cmd, "%s", err.text);
}

/* A running server that is restarted goes on with the earlier content of the file. */
static m2_keysource_t *kept_source(const char *full, const char *bad)
{
    m2_keysource_t *source = m2_jwks_file_kept(m2mgw_cfg_registry(), full, bad);

    m2mgw_cfg_notice(M2_LOG_ERR, "%s; %s", bad,
                     m2_keysource_keys(source)
                         ? "the keys it held before stay in use"
                         : "what needs its keys is answered 503 until it is good");
    return source;
}

static const char *add_file(m2mgw_section_t *section, cmd_parms *cmd, const char *path,
                            const char *issuer)
{
    m2_keysource_t *source;
    const m2_keyset_t *keys;
    const char *full = *path ? ap_server_root_relative(cmd->pool, path) : NULL;
    m2_err_t err;
    const char *bad = m2mgw_cfg_needs(cmd, "mod_watchdog.c");
    int kept;

    if (!bad && !full) {
        bad = m2mgw_cfg_error(cmd, "\"%s\" is not a file name", path);
    }
    if (bad) {
        return bad;
    }
    bad = read_source(&source, cmd, full);
    kept = bad && m2mgw_kept_restarts();
    if (kept) {
        source = kept_source(full, bad);
    }
    else if (bad) {
        return bad;
    }
    bad = add_source(section, cmd, source, issuer);
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    keys = m2_keysource_keys(source);
    if (keys && m2_keyset_add_all(section->keyset, keys, issuer, &err) != M2_OK && !kept) {
        return m2mgw_cfg_error(cmd, "%s: %s", full, err.text);
    }
    return NULL;
}

static const char *add_url(m2mgw_section_t *section, cmd_parms *cmd, m2_keysource_kind_t kind,
                           const char *url, const options_t *o)
{
    m2_keysource_t *source;
    m2_err_t err;
    const char *bad = m2mgw_cfg_needs(cmd, "mod_watchdog.c");

    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_jwks_url(&source, m2mgw_cfg_registry(), kind, url, o->plain != NULL, &err) != M2_OK) {
        /* what stands before an @ may be a password */
        return strchr(url, '@') ? m2mgw_cfg_fault(cmd, &err)
                                : m2mgw_cfg_error(cmd, "\"%s\" is not allowed: %s",
                                                  m2_url_label(cmd->pool, url), err.text);
    }
    if (o->plain && m2_url_is_plain(cmd->pool, url)) {
        m2mgw_cfg_notice(M2_LOG_WARNING, "%s in %s: keys are fetched without TLS: whoever can "
                         "change what is sent can make tokens", cmd->cmd->name,
                         m2mgw_cfg_place(cmd->pool, cmd->directive));
    }
    return add_source(section, cmd, source, o->issuer);
}

const char *m2mgw_cfg_jwks(cmd_parms *cmd, void *dir, const char *args)
{
    static const char usage[] = "file:PATH, https://URL, or a JSON set";
    static const char options[] = "it takes issuer=ISS and, for a URL, plain-http=Allow";
    m2mgw_section_t *section;
    const char *json, *rest, *word;
    options_t o;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_JWT);

    if (!bad) {
        bad = json_argument(&json, &rest, cmd, args);
    }
    if (!bad && json) {
        bad = read_options(&o, cmd, rest, MAY_BIND, options);
        return bad ? bad : json_set(section, cmd, m2_slice_z(json), o.issuer);
    }
    if (!bad) {
        bad = m2mgw_cfg_word(&word, cmd, &args);
    }
    if (!bad && (!word || !*word)) {
        bad = m2mgw_cfg_error(cmd, "it takes %s", usage);
    }
    if (!bad && has_prefix(word, "file:")) {
        bad = read_options(&o, cmd, args, MAY_BIND, options);
        return bad ? bad : add_file(section, cmd, word + 5, o.issuer);
    }
    if (!bad && (has_prefix(word, "https:") || has_prefix(word, "http:"))) {
        bad = read_options(&o, cmd, args, MAY_BIND | MAY_PLAIN, options);
        return bad ? bad : add_url(section, cmd, M2_KEYSOURCE_URL, word, &o);
    }
    /* show only enough to identify the word: it might be part of a key */
    return bad ? bad
               : m2mgw_cfg_error(cmd, "\"%.12s...\" is not allowed; it takes %s", word, usage);
}

/* The URL of an issuer's metadata is not the name of the issuer. Returns that name, or NULL (RFC
 * 8414 3.1 puts the well-known name in front of its path, OpenID discovery behind it). */
static const char *issuer_of_metadata(apr_pool_t *pool, const char *url)
{
    static const char *const names[] = { "/.well-known/openid-configuration",
                                         "/.well-known/oauth-authorization-server" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *found = strstr(url, names[i]);

        if (found) {
            return apr_pstrcat(pool, apr_pstrmemdup(pool, url, (apr_size_t)(found - url)),
                               found + strlen(names[i]), NULL);
        }
    }
    return NULL;
}

const char *m2mgw_cfg_discovery(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_section_t *section;
    const char *word = NULL, *issuer;
    options_t o;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_JWT);

    if (!bad) {
        bad = m2mgw_cfg_word(&word, cmd, &args);
    }
    if (!bad && (!word || !*word)) {
        bad = m2mgw_cfg_error(cmd, "it takes the URL of the issuer");
    }
    if (!bad) {
        bad = read_options(&o, cmd, args, MAY_PLAIN, "it takes plain-http=Allow");
    }
    if (bad) {
        return bad;
    }
    issuer = issuer_of_metadata(cmd->pool, word);
    if (issuer) {
        return m2mgw_cfg_error(cmd, "\"%s\" is the URL of metadata; it takes the issuer, which "
                               "its tokens name in iss: \"%s\"", word, issuer);
    }
    if (strstr(word, "/.well-known/")) {
        return m2mgw_cfg_error(cmd, "\"%s\" is the URL of a document; it takes the issuer, which "
                               "its tokens name in iss, and M2MJwks takes the URL of a key set",
                               m2_url_label(cmd->pool, word));
    }
    if (strchr(word, '?')) {
        return m2mgw_cfg_error(cmd, "\"%s\" has a query, which no issuer has (RFC 8414 2)",
                               m2_url_label(cmd->pool, word));
    }
    o.issuer = word;
    return add_url(section, cmd, M2_KEYSOURCE_ISSUER, word, &o);
}
