/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Directives of the M2M server: parse, complain in sentences, keep. What needs the whole
 * configuration is in m2mi_check.c.
 */
#include "issuer/m2mi.h"

#include "text/m2_once.h"

#include <ap_provider.h>
#include <apr_shm.h>
#include <apr_uri.h>

/* --- create and merge --- */

void *m2mi_server_create(apr_pool_t *pool, server_rec *s)
{
    m2mi_server_t *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)s;
    conf->name = NULL;
    conf->keys = NULL;
    conf->client_keys = NULL;
    conf->client_certs = NULL;
    conf->grants = NULL;
    conf->dpop = NULL;
    conf->lifetime = M2_UNSET;
    conf->plain = M2_UNSET;
    conf->token_url = NULL;
    conf->jwks_url = NULL;
    conf->introspect_url = NULL;
    conf->revoke_url = NULL;
    return conf;
}

void *m2mi_server_merge(apr_pool_t *pool, void *base_, void *add_)
{
    const m2mi_server_t *base = base_, *add = add_;
    m2mi_server_t *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->name = add->name ? add->name : base->name;
    conf->keys = add->keys ? add->keys : base->keys;
    conf->client_keys = add->client_keys ? add->client_keys : base->client_keys;
    conf->client_certs = add->client_certs ? add->client_certs : base->client_certs;
    conf->grants = add->grants ? add->grants : base->grants;
    conf->dpop = add->dpop ? add->dpop : base->dpop;
    conf->lifetime = add->lifetime != M2_UNSET ? add->lifetime : base->lifetime;
    conf->plain = add->plain != M2_UNSET ? add->plain : base->plain;
    conf->token_url = add->token_url ? add->token_url : base->token_url;
    conf->jwks_url = add->jwks_url ? add->jwks_url : base->jwks_url;
    conf->introspect_url = add->introspect_url ? add->introspect_url : base->introspect_url;
    conf->revoke_url = add->revoke_url ? add->revoke_url : base->revoke_url;
    return conf;
}

void *m2mi_dir_create(apr_pool_t *pool, char *path)
{
    (void)path;
    return apr_pcalloc(pool, sizeof(m2mi_dir_t));
}

void *m2mi_dir_merge(apr_pool_t *pool, void *base_, void *add_)
{
    const m2mi_dir_t *base = base_, *add = add_;
    m2mi_dir_t *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->providers = add->providers ? add->providers : base->providers;
    return conf;
}

static m2mi_server_t *server_of(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &m2m_issuer_module);
}

/* every sentence begins with the directive it is about */
static const char *wrong(cmd_parms *cmd, const char *text)
{
    return text ? apr_pstrcat(cmd->pool, cmd->cmd->name, " ", text, NULL) : NULL;
}

/* --- directives --- */

/* an absolute http or https URL that is compared as text: no query, fragment or user */
static const char *url_check(cmd_parms *cmd, const char *url)
{
    apr_uri_t uri;

    if (apr_uri_parse(cmd->temp_pool, url, &uri) != APR_SUCCESS || !uri.scheme ||
        !uri.hostname || !*uri.hostname ||
        (strcmp(uri.scheme, "https") != 0 && strcmp(uri.scheme, "http") != 0)) {
        return wrong(cmd, "takes an absolute https:// URL");
    }
    if (strchr(url, '?') || strchr(url, '#') || uri.user || uri.password) {
        return wrong(cmd, "takes a URL without query, fragment and user (RFC 8414 2)");
    }
    return strpbrk(url, " \t\"\\|") ? wrong(cmd, "takes a URL without blanks, quotes and |")
                                    : NULL;
}

static const char *set_name(cmd_parms *cmd, void *dir, const char *url)
{
    const char *text = url_check(cmd, url);

    (void)dir;
    if (!text) {
        server_of(cmd)->name = url;
    }
    return text;
}

static const char *set_endpoint(cmd_parms *cmd, void *dir, const char *what, const char *url)
{
    m2mi_server_t *conf = server_of(cmd);
    const struct {
        const char *word;
        const char **slot;
    } endpoints[] = { { "token", &conf->token_url },
                      { "jwks", &conf->jwks_url },
                      { "introspect", &conf->introspect_url },
                      { "revoke", &conf->revoke_url } };
    const char *text = url_check(cmd, url);
    size_t i;

    (void)dir;
    if (text) {
        return text;
    }
    for (i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++) {
        if (ap_cstr_casecmp(what, endpoints[i].word) == 0) {
            *endpoints[i].slot = url;
            return NULL;
        }
    }
    return wrong(cmd, "takes token, jwks, introspect or revoke, and a URL");
}

/* `kid=` and `alg=` behind the file of M2MSigningKey; names: those that were read */
static const char *key_option(cmd_parms *cmd, const char **pkid, const char **palg,
                              apr_array_header_t **pnames, const char *word)
{
    const char **target = NULL;
    const char *value = strchr(word, '=');
    m2_err_t err;

    if (value && ap_cstr_casecmpn(word, "kid=", 4) == 0) {
        target = pkid;
    }
    else if (value && ap_cstr_casecmpn(word, "alg=", 4) == 0) {
        target = palg;
    }
    if (!target || !value[1]) {
        return wrong(cmd, apr_psprintf(cmd->pool, "takes FILE [kid=NAME] [alg=NAME], not "
                                       "'%s'", word));
    }
    m2_err_init(&err, cmd->pool);
    if (m2_once(pnames, cmd->pool, m2_slice(word, (apr_size_t)(value - word)), &err) != M2_OK) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", err.text, NULL);
    }
    *target = value + 1;
    return NULL;
}

/* a key of the same name that was said before */
static const m2mi_key_t *key_named(const m2mi_server_t *conf, const char *kid)
{
    int i;

    for (i = 0; i < conf->keys->nelts; i++) {
        const m2mi_key_t *key = &APR_ARRAY_IDX(conf->keys, i, m2mi_key_t);

        if (key->jwk && strcmp(key->jwk->kid, kid) == 0) {
            return key;
        }
    }
    return NULL;
}

static const char *key_add(cmd_parms *cmd, m2mi_server_t *conf, const m2mi_key_file_t *from)
{
    const m2mi_key_t *other;
    m2mi_key_t key;
    const char *text = m2mi_key_load(&key, cmd->server->process->pool, cmd->pool, from);

    if (text) {
        return wrong(cmd, text);
    }
    if (!conf->keys) {
        conf->keys = apr_array_make(cmd->pool, 2, sizeof(m2mi_key_t));
        if (key.jwk && !key.jwk->is_private) {
            return wrong(cmd, apr_psprintf(cmd->pool, "%s holds no private key, and the "
                                           "first key is the one that signs", from->path));
        }
    }
    other = key.jwk ? key_named(conf, key.jwk->kid) : NULL;
    if (other) {
        return wrong(cmd, apr_psprintf(cmd->pool, "%s: kid %s is already that of %s",
                                       from->path, key.jwk->kid, other->origin));
    }
    APR_ARRAY_PUSH(conf->keys, m2mi_key_t) = key;
    return NULL;
}

static const char *set_key(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    m2mi_key_file_t from = { NULL, NULL, NULL };
    apr_array_header_t *names = NULL;
    const char *text = NULL;
    int i;

    (void)dir;
    if (argc < 1) {
        return wrong(cmd, "takes FILE [kid=NAME] [alg=NAME]");
    }
    for (i = 1; !text && i < argc; i++) {
        text = key_option(cmd, &from.kid, &from.alg, &names, argv[i]);
    }
    from.path = ap_server_root_relative(cmd->pool, argv[0]);
    if (!text && !from.path) {
        text = wrong(cmd, apr_psprintf(cmd->pool, "has the invalid path %s", argv[0]));
    }
    return text ? text : key_add(cmd, server_of(cmd), &from);
}

static const char *set_client_keys(cmd_parms *cmd, void *dir, const char *client,
                                   const char *source)
{
    m2mi_server_t *conf = server_of(cmd);
    m2mi_client_keys_t *keys = apr_pcalloc(cmd->pool, sizeof(*keys));

    (void)dir;
    if (!m2_client_id_ok(m2_slice_z(client))) {
        return wrong(cmd, "takes a client id of visible ASCII characters without \" \\ | :");
    }
    keys->client = client;
    keys->is_url = ap_cstr_casecmpn(source, "https://", 8) == 0
                   || ap_cstr_casecmpn(source, "http://", 7) == 0;
    if (!keys->is_url && (ap_cstr_casecmpn(source, "file:", 5) != 0 || !source[5])) {
        return wrong(cmd, "takes CLIENT file:PATH or CLIENT https://URL");
    }
    keys->source = keys->is_url ? source : ap_server_root_relative(cmd->pool, source + 5);
    if (!keys->source) {
        return wrong(cmd, "has an invalid path");
    }
    if (!conf->client_keys) {
        conf->client_keys = apr_hash_make(cmd->pool);
    }
    if (apr_hash_get(conf->client_keys, client, APR_HASH_KEY_STRING)) {
        return wrong(cmd, apr_psprintf(cmd->pool, "names %s twice: put its keys into one "
                                       "JWK set", client));
    }
    apr_hash_set(conf->client_keys, client, APR_HASH_KEY_STRING, keys);
    return NULL;
}

static const char *set_client_cert(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    m2mi_server_t *conf = server_of(cmd);
    apr_array_header_t *certs;
    m2_client_cert_t cert;
    m2_err_t err;

    (void)dir;
    if (argc != 2 || !m2_client_id_ok(m2_slice_z(argv[0]))) {
        return wrong(cmd, "takes CLIENT and one of subject=DN, san-dns=NAME, san-uri=URI, "
                          "san-ip=ADDRESS, san-email=ADDRESS, x5t=THUMBPRINT");
    }
    m2_err_init(&err, cmd->pool);
    if (m2_client_cert_read(&cert, cmd->pool, argv[1], &err) != M2_OK) {
        return wrong(cmd, apr_pstrcat(cmd->pool, argv[0], ": ", err.text, NULL));
    }
    if (!conf->client_certs) {
        conf->client_certs = apr_hash_make(cmd->pool);
    }
    certs = apr_hash_get(conf->client_certs, argv[0], APR_HASH_KEY_STRING);
    if (!certs) {
        certs = apr_array_make(cmd->pool, 1, sizeof(cert));
        apr_hash_set(conf->client_certs, argv[0], APR_HASH_KEY_STRING, certs);
    }
    APR_ARRAY_PUSH(certs, m2_client_cert_t) = cert;
    return NULL;
}

static const char *set_dpop(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    static const char *const words[] = { "Off", "On", "Required" }; /* m2mi_dpop_mode_t */
    m2mi_dpop_t *dpop = apr_pcalloc(cmd->pool, sizeof(*dpop));
    int mode = 0, i;

    (void)dir;
    while (argc && mode <= M2MI_DPOP_REQUIRED && ap_cstr_casecmp(argv[0], words[mode]) != 0) {
        mode++;
    }
    if (!argc || mode > M2MI_DPOP_REQUIRED || (argc > 1 && mode != M2MI_DPOP_REQUIRED)) {
        return wrong(cmd, "takes Off, On or Required [CLIENT...]");
    }
    dpop->mode = (m2mi_dpop_mode_t)mode;
    dpop->clients = argc > 1 ? apr_hash_make(cmd->pool) : NULL;
    for (i = 1; i < argc; i++) {
        if (!m2_client_id_ok(m2_slice_z(argv[i]))) {
            return wrong(cmd, apr_psprintf(cmd->pool, "'%s' cannot be a client", argv[i]));
        }
        apr_hash_set(dpop->clients, argv[i], APR_HASH_KEY_STRING, argv[i]);
    }
    server_of(cmd)->dpop = dpop;
    return NULL;
}

static m2mi_grants_t *grants_of(cmd_parms *cmd)
{
    m2mi_server_t *conf = server_of(cmd);

    if (!conf->grants) {
        conf->grants = apr_pcalloc(cmd->pool, sizeof(*conf->grants));
        conf->grants->fixed = m2_grants_make(cmd->pool);
    }
    return conf->grants;
}

/* a word in quotes that a grant file would read as two */
static int holds_blank(int argc, char *const argv[])
{
    int i;

    for (i = 0; i < argc; i++) {
        if (strpbrk(argv[i], " \t\r\n")) {
            return 1;
        }
    }
    return 0;
}

/* a grant file's line, as the words of a directive */
static m2_slice_t grant_line(apr_pool_t *pool, int argc, char *const argv[])
{
    apr_array_header_t *words = apr_array_make(pool, argc, sizeof(char *));
    int i;

    for (i = 0; i < argc; i++) {
        APR_ARRAY_PUSH(words, const char *) = argv[i];
    }
    return m2_slice_z(apr_array_pstrcat(pool, words, ' '));
}

static const char *set_grant(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    m2mi_grants_t *grants = grants_of(cmd);
    m2_grant_t grant;
    m2_err_t err;
    m2_code_t rc;

    (void)dir;
    if (holds_blank(argc, argv)) {
        return wrong(cmd, "takes words without blanks, also in quotes");
    }
    m2_err_init(&err, cmd->pool);
    rc = m2_grant_read(&grant, cmd->temp_pool, grant_line(cmd->temp_pool, argc, argv), &err);
    rc = rc == M2_OK ? m2_grants_add(grants->fixed, &grant, &err) : rc;
    if (rc == M2_E_NOT_FOUND) {
        return wrong(cmd, "takes AUDIENCE CLIENT PERMISSION...");
    }
    return rc == M2_OK ? NULL : wrong(cmd, apr_pstrcat(cmd->pool, "AUDIENCE CLIENT "
                                                       "PERMISSION...: ", err.text, NULL));
}

static const char *set_grant_file(cmd_parms *cmd, void *dir, const char *path)
{
    m2mi_grants_t *grants = grants_of(cmd);

    (void)dir;
    if (grants->file) {
        return wrong(cmd, "is given twice");
    }
    grants->file = ap_server_root_relative(cmd->pool, path);
    return grants->file ? NULL : wrong(cmd, "has an invalid path");
}

static const char *set_grant_query(cmd_parms *cmd, void *dir, const char *sql)
{
    m2mi_grants_t *grants = grants_of(cmd);

    (void)dir;
    return grants->query ? wrong(cmd, "is given twice")
                         : wrong(cmd, m2mi_grants_query_set(grants, cmd, sql));
}

static const char *set_lifetime(cmd_parms *cmd, void *dir, const char *word)
{
    char *end;
    apr_int64_t seconds = apr_strtoi64(word, &end, 10);

    (void)dir;
    if (!apr_isdigit(*word) || *end || seconds < 1 || seconds > M2MI_LIFETIME_MAX) {
        return wrong(cmd, apr_psprintf(cmd->pool, "takes seconds from 1 to %d, not '%s'",
                                       M2MI_LIFETIME_MAX, word));
    }
    server_of(cmd)->lifetime = (int)seconds;
    return NULL;
}

static const char *set_plain(cmd_parms *cmd, void *dir, int on)
{
    (void)dir;
    server_of(cmd)->plain = on;
    return NULL;
}

static const char *set_store(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    return bad ? bad : wrong(cmd, m2mi_replay_set(cmd, argc, argv));
}

/* the providers of a section; what they cost is known to all processes */
static m2mi_providers_t *providers_make(apr_pool_t *pool)
{
    m2mi_providers_t *providers = apr_pcalloc(pool, sizeof(*providers));
    apr_shm_t *shm;

    providers->list = apr_array_make(pool, 1, sizeof(m2mi_provider_t));
    providers->usec =
        apr_shm_create(&shm, sizeof(*providers->usec), NULL, pool) == APR_SUCCESS
            ? apr_shm_baseaddr_get(shm) /* anonymous, so it comes zeroed */
            : apr_pcalloc(pool, sizeof(*providers->usec));
    return providers;
}

static const char *set_provider(cmd_parms *cmd, void *dir_, const char *name)
{
    m2mi_dir_t *dir = dir_;
    m2mi_provider_t word = { name, NULL };

    word.provider = ap_lookup_provider(AUTHN_PROVIDER_GROUP, name, AUTHN_PROVIDER_VERSION);
    if (!word.provider) {
        return wrong(cmd, apr_psprintf(cmd->pool, "names the unknown authn provider '%s': "
                                       "is its module loaded?", name));
    }
    if (!word.provider->check_password) {
        return wrong(cmd, apr_psprintf(cmd->pool, "names '%s', which cannot check passwords",
                                       name));
    }
    if (!dir->providers) {
        dir->providers = providers_make(cmd->pool);
    }
    APR_ARRAY_PUSH(dir->providers->list, m2mi_provider_t) = word;
    return NULL;
}

/* A directive of mod_m2mgw, which need not be loaded. What it says is looked for before any file
 * is read (pre_config); here the word is checked. */
static const char *set_file_modes(cmd_parms *cmd, void *dir, const char *word)
{
    const char *text = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    (void)dir;
    if (text || ap_cstr_casecmp(word, "Check") == 0) {
        return text;
    }
    if (ap_cstr_casecmp(word, "Ignore") != 0) {
        return apr_psprintf(cmd->pool, "M2MFileModes: \"%s\" is not allowed; it takes Check or "
                            "Ignore", word);
    }
    if (!ap_find_linked_module("mod_m2mgw.c")) {
        m2mi_notice(cmd->server, "M2MFileModes Ignore: keys, grants and other files that "
                                 "everybody may write are taken as they are");
    }
    return NULL;
}

/* clang-format off */
const command_rec m2mi_commands[] = {
    AP_INIT_TAKE1("M2MIssuerName", set_name, NULL, RSRC_CONF,
        "The URL that names this M2M server, as it stands in iss."),
    AP_INIT_TAKE_ARGV("M2MSigningKey", set_key, NULL, RSRC_CONF,
        "FILE [kid=NAME] [alg=NAME]: a PEM or JWK file. The first key signs, all are "
        "published."),
    AP_INIT_TAKE2("M2MClientKeys", set_client_keys, NULL, RSRC_CONF,
        "CLIENT file:PATH|https://URL: the public keys (JWK set; in files also JWK or PEM) a "
        "client proves itself with by private_key_jwt."),
    AP_INIT_TAKE_ARGV("M2MAssertionStore", set_store, NULL, RSRC_CONF,
        "Where used assertions are remembered: what M2MReplayStore takes, default shm."),
    AP_INIT_TAKE_ARGV("M2MClientCert", set_client_cert, NULL, RSRC_CONF,
        "CLIENT subject=DN|san-dns=N|san-uri=U|san-ip=A|san-email=E|x5t=THUMBPRINT: the "
        "certificate a client logs in with, and in no other way; repeatable."),
    AP_INIT_TAKE_ARGV("M2MIssuerDPoP", set_dpop, NULL, RSRC_CONF,
        "Off, On or Required [CLIENT...]: tokens that are bound to a key. Default On."),
    AP_INIT_TAKE_ARGV("M2MGrant", set_grant, NULL, RSRC_CONF,
        "AUDIENCE CLIENT PERMISSION...: what a client may ask for."),
    AP_INIT_TAKE1("M2MGrantFile", set_grant_file, NULL, RSRC_CONF,
        "A file of such lines, read again when it changes."),
    AP_INIT_TAKE1("M2MGrantQuery", set_grant_query, NULL, RSRC_CONF,
        "SQL with one %s, the client: rows of audience and permission, asked for each token."),
    AP_INIT_TAKE1("M2MTokenLifetime", set_lifetime, NULL, RSRC_CONF,
        "Seconds a token lives, default 1200."),
    AP_INIT_TAKE1("M2MFileModes", set_file_modes, NULL, RSRC_CONF,
        "Check (default) or Ignore: whether files that everybody may write are refused."),
    AP_INIT_FLAG("M2MAllowPlainHTTP", set_plain, NULL, RSRC_CONF,
        "On: tokens are also given over plain HTTP from other machines. Default Off."),
    AP_INIT_TAKE2("M2MIssuerEndpoint", set_endpoint, NULL, RSRC_CONF,
        "token|jwks|introspect|revoke URL: the public URL of an endpoint, where it does not "
        "follow from M2MIssuerName and the <Location> of the handler."),
    AP_INIT_ITERATE("M2MClientProvider", set_provider, NULL, ACCESS_CONF,
        "Authn providers that know the clients' secrets, asked in order."),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
};
/* clang-format on */
