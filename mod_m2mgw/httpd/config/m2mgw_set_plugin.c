/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MPlugin: a section's tokens and keys, its rules or its limits from a script of the cloud
 * gateway, in place of the equivalent directives.
 */
#include "httpd/config/m2mgw_set.h"

#include "plugin/m2_plugin.h"

#define PLUGINS "jwtAuth, accessControl or trafficControl"

static const char *plugin_jwt(m2mgw_section_t *section, cmd_parms *cmd, const char *file)
{
    m2mgw_dir_t *dir = section->dir;
    m2_plugin_jwt_t *plugin;
    m2_slice_t text;
    const char *path;
    m2_err_t err;
    const char *bad = m2mgw_cfg_file(&text, &path, cmd, file, M2_MAX_PLUGIN_BYTES);

    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_plugin_jwt(&plugin, cmd->pool, text, path, &err) != M2_OK) {
        return m2mgw_cfg_plugin_fault(cmd, path, &err);
    }
    dir->sources = section->sources = m2mgw_cfg_sources(cmd->pool, plugin->tokens);
    dir->bypass_empty = plugin->bypass_empty;
    dir->ignore_expiration = plugin->ignore_expiration;
    dir->replay = plugin->prevent_replay ? M2_REPLAY_ON : M2_REPLAY_OFF;
    m2mgw_cfg_mapping(section, cmd->pool, plugin->mapping);
    section->keyset = section->fixed = plugin->keys;
    dir->bound = NULL;
    section->keys_at = cmd->directive;
    dir->keys = m2_keyring_make(cmd->pool, NULL);
    return NULL;
}

static const char *plugin_access(m2mgw_section_t *section, cmd_parms *cmd, const char *file)
{
    const m2_path_template_t *template;
    m2_rules_t *rules;
    m2_slice_t text;
    const char *path;
    m2_err_t err;
    const char *bad = m2mgw_cfg_section_path(&template, section, cmd);

    if (!bad) {
        bad = m2mgw_cfg_file(&text, &path, cmd, file, M2_MAX_PLUGIN_BYTES);
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_plugin_access(&rules, cmd->pool, text, template, &err) != M2_OK) {
        return m2mgw_cfg_plugin_fault(cmd, path, &err);
    }
    m2mgw_cfg_sign_datasets(rules->params, cmd, NULL);
    rules->path = template;
    section->dir->rules = section->rules = rules;
    return NULL;
}

/* How a section is identified over restarts: its virtual host and its opening line. */
static const char *section_name(const m2mgw_section_t *section, apr_pool_t *pool)
{
    const server_rec *s = section->server;

    return apr_psprintf(pool, "%s%s%u %s%s%s", s->server_hostname ? s->server_hostname : "",
                        ":", (unsigned)s->port,
                        section->where ? section->where->directive : "server",
                        section->where ? " " : "",
                        section->where ? section->where->args : "");
}

static const char *plugin_traffic(m2mgw_section_t *section, cmd_parms *cmd, const char *file)
{
    const char *path, *slash, *bad;
    m2_limits_t *limits;
    m2_slice_t text;
    m2_err_t err;

    bad = m2mgw_cfg_file(&text, &path, cmd, file, M2_MAX_PLUGIN_BYTES);
    if (bad) {
        return bad;
    }
    slash = strrchr(path, '/');
    m2_err_init(&err, cmd->pool);
    if (m2_plugin_traffic(&limits, cmd->pool, text, slash ? slash + 1 : path,
                          section_name(section, cmd->pool), &err) != M2_OK) {
        return m2mgw_cfg_plugin_fault(cmd, path, &err);
    }
    section->dir->limits = section->limits = limits;
    return NULL;
}

typedef struct plugin_kind_t {
    const char *word;
    m2mgw_plugin_t plugin;
    const char *(*load)(m2mgw_section_t *section, cmd_parms *cmd, const char *file);
} plugin_kind_t;

static const plugin_kind_t plugin_kinds[] = {
    { "jwtAuth", M2MGW_PLUGIN_JWT, plugin_jwt },
    { "accessControl", M2MGW_PLUGIN_ACCESS, plugin_access },
    { "trafficControl", M2MGW_PLUGIN_TRAFFIC, plugin_traffic },
};

static const char *load_plugin(m2mgw_section_t *section, cmd_parms *cmd,
                               const plugin_kind_t *kind, const char *file)
{
    const ap_directive_t *native = section->native[kind->plugin];
    const ap_directive_t *plugin = section->plugin[kind->plugin];

    if (plugin) {
        return m2mgw_cfg_error(cmd, "%s was given in %s already; a section takes one file of "
                               "a kind", kind->word, m2mgw_cfg_place(cmd->pool, plugin));
    }
    if (native) {
        return m2mgw_cfg_error(cmd, "%s sets what %s in %s sets; move one of the two to a "
                               "section of its own", kind->word, native->directive,
                               m2mgw_cfg_place(cmd->pool, native));
    }
    section->plugin[kind->plugin] = cmd->directive;
    return kind->load(section, cmd, file);
}

/* The gateway's other kinds of plugin, and what to use here instead. */
static const struct {
    const char *word, *instead;
} other_kinds[] = {
    { "ipControl", "write Require ip, or M2MRule with in_cidr" },
    { "backendSignature", "give the backend a client certificate "
                          "(SSLProxyMachineCertificateFile)" },
    { "cors", "set the fields with Header, and let preflights pass with M2MPreflight" },
    { "caching", "use CacheEnable; what a token protects is never cached" },
    { "basicAuth", "use AuthType Basic in a section of its own" },
    { "routing", "use ProxyPass, or RewriteRule with [P]" },
    { "errorMapping", "use ErrorDocument, and ProxyErrorOverride for the backend's errors" },
    { "circuitBreaker", "give BalancerMember its retry= and failonstatus=" },
    { "remoteAuth", "tokens are verified here: name the keys with M2MJwks or M2MIssuerDiscovery" },
};

static const char *no_such_kind(cmd_parms *cmd, const char *kind)
{
    apr_size_t i;

    for (i = 0; i < sizeof(other_kinds) / sizeof(other_kinds[0]); i++) {
        if (ap_cstr_casecmp(kind, other_kinds[i].word) == 0) {
            return m2mgw_cfg_error(cmd, "scripts of kind %s are not read here, only " PLUGINS
                                   "; %s", other_kinds[i].word, other_kinds[i].instead);
        }
    }
    return m2mgw_cfg_error(cmd, "unknown kind of plugin file \"%s\"; it takes " PLUGINS "%s", kind,
                           m2mgw_cfg_hint(cmd, kind, PLUGINS));
}

const char *m2mgw_cfg_plugin(cmd_parms *cmd, void *dir, const char *kind, const char *file)
{
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    apr_size_t i;

    if (bad) {
        return bad;
    }
    for (i = 0; i < sizeof(plugin_kinds) / sizeof(plugin_kinds[0]); i++) {
        if (ap_cstr_casecmp(kind, plugin_kinds[i].word) == 0) {
            return load_plugin(section, cmd, &plugin_kinds[i], file);
        }
    }
    return no_such_kind(cmd, kind);
}
