/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The fields of a jwtAuth script. Keys are read by the same code as M2MJwk, so a script
 * cannot bring a key that a directive could not.
 */
#include "plugin/m2_plugin.h"

#include "plugin/m2_yaml.h"

#include "base/m2_log.h"

#include <stddef.h>

typedef struct jwt_fields_t {
    const m2_node_t *parameter, *location, *bypass, *ignore_exp, *jti, *claims, *jwk,
        *jwks;
} jwt_fields_t;

/* clang-format off */
#define SLOT(member) offsetof(jwt_fields_t, member)
static const m2_field_t jwt_fields[] = {
    { "parameter",             M2_WANT_STRING, SLOT(parameter),  NULL },
    { "parameterLocation",     M2_WANT_STRING, SLOT(location),   NULL },
    { "bypassEmptyToken",      M2_WANT_BOOL,   SLOT(bypass),     NULL },
    { "ignoreExpirationCheck", M2_WANT_BOOL,   SLOT(ignore_exp), NULL },
    { "preventJtiReplay",      M2_WANT_BOOL,   SLOT(jti),        NULL },
    { "claimParameters",       M2_WANT_LIST,   SLOT(claims),     NULL },
    { "jwk",                   M2_WANT_MAP,    SLOT(jwk),        NULL },
    { "jwks",       M2_WANT_LIST | M2_WANT_MAP, SLOT(jwks),      NULL },
    { "orAppAuth",   0, 0, "leave it out" },
    { "remoteJwks",  0, 0, "use the directives M2MJwks https://... and M2MToken instead" },
    { "remote_jwks", 0, 0, "use the directives M2MJwks https://... and M2MToken instead" },
    { "jwksUri",     0, 0, "use the directives M2MJwks https://... and M2MToken instead" },
    { "jwks_uri",    0, 0, "use the directives M2MJwks https://... and M2MToken instead" },
    { "jwksUrl",     0, 0, "use the directives M2MJwks https://... and M2MToken instead" },
    { NULL, 0, 0, "for a list of blocked tokens write M2MRevocation" },
};
#undef SLOT

typedef struct claim_fields_t {
    const m2_node_t *claim, *name, *location;
} claim_fields_t;

#define SLOT(member) offsetof(claim_fields_t, member)
static const m2_field_t claim_fields[] = {
    { "claimName",     M2_WANT_STRING, SLOT(claim),    NULL },
    { "parameterName", M2_WANT_STRING, SLOT(name),     NULL },
    { "location",      M2_WANT_STRING, SLOT(location), NULL },
    { NULL, 0, 0, NULL },
};
#undef SLOT

/* the gateway's words for places, and those of our directives */
typedef struct place_t {
    const char *gateway;
    const char *ours;
} place_t;

static const place_t token_places[] = {
    { "header", "header" }, { "query", "query" },   { "cookie", "cookie" },
    { "formData", "form" }, { NULL, NULL },
};
static const place_t claim_places[] = {
    { "query", "query" },   { "header", "header" }, { "path", "path" },
    { "formData", "form" }, { NULL, NULL },
};
/* clang-format on */

/* --- where a token is --- */

/* `formData` and `x` as `form:x` */
static m2_code_t place_word(const char **pword, apr_pool_t *pool, const place_t *places,
                            const m2_node_t *location, const char *name, m2_err_t *err)
{
    const char *known = NULL;

    for (; places->gateway; places++) {
        if (m2_slice_is_nocase(m2_slice_z(location->text), places->gateway)) {
            *pword = apr_pstrcat(pool, places->ours, ":", name, NULL);
            return M2_OK;
        }
        known = apr_pstrcat(pool, known ? known : "", known ? ", " : "", places->gateway,
                            NULL);
    }
    return m2_node_fault(location, err, "unknown location \"%s\"; there are: %s",
                         location->text, known);
}

static m2_code_t read_token(m2_plugin_jwt_t *plugin, apr_pool_t *pool,
                            const m2_node_t *root, const jwt_fields_t *fields,
                            m2_err_t *err)
{
    const m2_node_t *parameter = fields->parameter;
    const char *word = "header:Authorization";
    m2_code_t code = M2_OK;
    m2_err_t cause;

    if (!parameter) {
        return m2_node_fault(root, err,
                             "parameter is missing: the name of what holds the "
                             "token");
    }
    if (fields->location) {
        code =
            place_word(&word, pool, token_places, fields->location, parameter->text, err);
    }
    else if (!m2_slice_is_nocase(m2_slice_z(parameter->text), "Authorization")) {
        return m2_node_fault(
            parameter, err,
            "parameterLocation is missing: say where \"%s\""
            " is (header, query, cookie or formData); only Authorization "
            "can do without",
            parameter->text);
    }
    m2_err_init(&cause, pool);
    if (!code &&
        m2_token_source_parse(apr_array_push(plugin->tokens), pool, word, &cause)) {
        code = m2_node_fault_of(parameter, "parameter", &cause, err);
    }
    return code;
}

/* --- claims --- */

static m2_code_t read_claim(m2_mapping_t *mapping, apr_pool_t *pool,
                            const m2_node_t *node, m2_err_t *err)
{
    claim_fields_t fields;
    m2_target_t target;
    const char *word;
    m2_err_t cause;
    m2_code_t code;

    memset(&fields, 0, sizeof(fields));
    code =
        m2_node_fields(&fields, node, "an entry of claimParameters", claim_fields, err);
    if (!code && !(fields.claim && fields.name && fields.location)) {
        code = m2_node_fault(node, err, "an entry of claimParameters needs claimName, "
                             "parameterName and location");
    }
    code = code ? code : place_word(&word, pool, claim_places, fields.location,
                                    fields.name->text, err);
    if (code) {
        return code;
    }
    m2_err_init(&cause, pool);
    if (m2_target_parse(&target, pool, fields.claim->text, word, &cause) ||
        m2_mapping_add(mapping, &target, &cause)) {
        return m2_node_fault_of(fields.name, "claimParameters", &cause, err);
    }
    return M2_OK;
}

static m2_code_t read_claims(m2_mapping_t *mapping, apr_pool_t *pool,
                             const m2_node_t *list, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && list && i < m2_node_count(list); i++) {
        code = read_claim(mapping, pool, m2_node_at(list, i), err);
    }
    return code;
}

/* --- keys --- */

static m2_json_t *list_json(apr_pool_t *pool, const m2_node_t *list)
{
    m2_json_t *json = m2_json_make_array(pool);
    int i;

    for (i = 0; i < m2_node_count(list); i++) {
        if (m2_node_at(list, i)->type == M2_NODE_STRING) {
            m2_json_append_string(json, m2_node_at(list, i)->text);
        }
        else {
            m2_json_append(json, m2_json_make(pool));
        }
    }
    return json;
}

/* One member of a JWK: what YAML reads as a number or a string is a string in RFC 7517, null is
 * no member. Of what is nested, which no key has that can be used, only the kind is kept. */
static m2_code_t member_json(m2_json_t *jwk, apr_pool_t *pool, const m2_node_t *name,
                             const m2_node_t *value, m2_err_t *err)
{
    if (value->type == M2_NODE_BOOL) {
        m2_json_set_bool(jwk, name->text, value->truth);
    }
    else if (value->type == M2_NODE_LIST) {
        m2_json_set_json(jwk, name->text, list_json(pool, value));
    }
    else if (value->type == M2_NODE_MAP) {
        m2_json_set_json(jwk, name->text, m2_json_make(pool));
        return m2_jwk_is_word(name->text) ? m2_node_want(value, M2_WANT_TEXT, name->text, err)
                                          : M2_OK;
    }
    else if (value->type != M2_NODE_NULL) {
        m2_json_set_string(jwk, name->text, value->text);
    }
    return M2_OK;
}

static const char *key_name(apr_pool_t *pool, const m2_json_t *json, int number)
{
    const char *kid = m2_slice_dup(pool, m2_json_string(m2_json_get(json, "kid")));

    return kid && *kid ? apr_psprintf(pool, "key \"%s\"", kid)
                       : apr_psprintf(pool, "key number %d", number);
}

/* number 0 is the only key there is */
static m2_code_t read_key(m2_keyset_t *keys, apr_pool_t *pool, const m2_node_t *node,
                          int number, const char *origin, m2_err_t *err)
{
    m2_json_t *json = m2_json_make(pool);
    const char *name;
    m2_jwk_t *jwk;
    m2_err_t cause;
    m2_code_t code = m2_node_want(node, M2_WANT_MAP, "a key", err);
    int i;

    for (i = 0; !code && i < m2_node_count(node); i++) {
        code = member_json(json, pool, m2_node_name_at(node, i),
                           m2_node_value_at(node, i), err);
    }
    if (code) {
        return code;
    }
    name = key_name(pool, json, number);
    m2_err_init(&cause, pool);
    code = m2_jwk_from_json(&jwk, pool, json, M2_JWK_PUBLIC | M2_JWK_OCT, &cause);
    if (code == M2_E_KEY_SKIPPED) {
        m2_log(M2_LOG_NOTICE, "%s:%d: %s is skipped: %s", origin, node->line, name,
               cause.text ? cause.text : "not usable");
        if (!keys->skipped) {
            keys->skipped = apr_pstrcat(pool, name, ": ", cause.text, NULL);
        }
        return M2_OK;
    }
    code = code ? code : m2_keyset_add(keys, jwk, &cause);
    return code ? m2_node_fault_of(node, name, &cause, err) : M2_OK;
}

/* the list of keys in `jwks`, which may be a set as it is published */
static m2_code_t key_list(const m2_node_t **plist, const m2_node_t *jwks, m2_err_t *err)
{
    int i;

    *plist = jwks;
    if (jwks->type == M2_NODE_LIST) {
        return M2_OK;
    }
    for (i = 0; i < m2_node_count(jwks); i++) {
        if (m2_slice_is(m2_slice_z(m2_node_name_at(jwks, i)->text), "keys")) {
            *plist = m2_node_value_at(jwks, i);
            return m2_node_want(*plist, M2_WANT_LIST, "keys", err);
        }
    }
    return m2_node_fault(jwks, err,
                         "jwks must be a list of keys, or a set with the member "
                         "\"keys\"");
}

static m2_code_t read_key_list(m2_keyset_t *keys, apr_pool_t *pool, const m2_node_t *jwks,
                               const char *origin, m2_err_t *err)
{
    const m2_node_t *list;
    m2_code_t code = key_list(&list, jwks, err);
    int i;

    if (!code && m2_node_count(list) > M2_MAX_KEYS) {
        return m2_node_fault(list, err, "more than %d keys", M2_MAX_KEYS);
    }
    for (i = 0; !code && i < m2_node_count(list); i++) {
        code = read_key(keys, pool, m2_node_at(list, i), i + 1, origin, err);
    }
    return code;
}

static m2_code_t read_keys(m2_keyset_t *keys, apr_pool_t *pool, const m2_node_t *root,
                           const jwt_fields_t *fields, const char *origin, m2_err_t *err)
{
    const m2_node_t *where = fields->jwk ? fields->jwk : fields->jwks;
    m2_code_t code;

    if (!where) {
        return m2_node_fault(root, err,
                             "jwk is missing: a script needs a key, as jwk or as "
                             "jwks");
    }
    if (fields->jwk && fields->jwks) {
        return m2_node_fault(fields->jwks, err, "jwk and jwks cannot both be there");
    }
    code = fields->jwk ? read_key(keys, pool, where, 1, origin, err)
                       : read_key_list(keys, pool, where, origin, err);
    if (!code && !keys->keys->nelts) {
        code = m2_node_fault(where, err, "there is no usable key%s%s",
                             keys->skipped ? ": " : "", keys->skipped ? keys->skipped : "");
    }
    return code;
}

m2_code_t m2_plugin_jwt(m2_plugin_jwt_t **pplugin, apr_pool_t *pool, m2_slice_t text,
                        const char *origin, m2_err_t *err)
{
    m2_plugin_jwt_t *plugin = apr_pcalloc(pool, sizeof(*plugin));
    const m2_node_t *root;
    jwt_fields_t fields;
    m2_code_t code;

    memset(&fields, 0, sizeof(fields));
    plugin->tokens = apr_array_make(pool, 1, sizeof(m2_token_source_t));
    plugin->mapping = m2_mapping_make(pool);
    plugin->keys = m2_keyset_make(pool);
    code = m2_node_read(&root, pool, text, err);
    code =
        code ? code : m2_node_fields(&fields, root, "a jwtAuth script", jwt_fields, err);
    code = code ? code : read_token(plugin, pool, root, &fields, err);
    code = code ? code : read_claims(plugin->mapping, pool, fields.claims, err);
    code = code ? code : read_keys(plugin->keys, pool, root, &fields, origin, err);
    plugin->bypass_empty = fields.bypass && fields.bypass->truth;
    plugin->ignore_expiration = fields.ignore_exp && fields.ignore_exp->truth;
    plugin->prevent_replay = fields.jti && fields.jti->truth;
    *pplugin = code ? NULL : plugin;
    return code;
}
