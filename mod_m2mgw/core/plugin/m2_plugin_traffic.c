/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The fields of a trafficControl script: how many requests each API, user and application may
 * make in a unit of time, and which of them have terms of their own. It becomes limits of the
 * names BASENAME-api, -user, -app and, for special values, -special.
 */
#include "plugin/m2_plugin.h"
#include "plugin/m2_yaml.h"

#include <stddef.h>

#define MAX_BASENAME 55 /* bytes: 64 with the longest ending */
#define MAX_VALUE 1000000000
#define USER_PARAMETER "caTrafficUser"

typedef struct traffic_fields_t {
    const m2_node_t *unit, *api, *user, *app, *specials;
} traffic_fields_t;

#define BY_PARAMETER "limits by parameters are not supported; write M2MLimit lines"

/* clang-format off */
#define SLOT(member) offsetof(traffic_fields_t, member)
static const m2_field_t traffic_fields[] = {
    { "unit",        M2_WANT_STRING, SLOT(unit),     NULL },
    { "apiDefault",  M2_WANT_INT,    SLOT(api),      NULL },
    { "userDefault", M2_WANT_INT,    SLOT(user),     NULL },
    { "appDefault",  M2_WANT_INT,    SLOT(app),      NULL },
    { "specials",    M2_WANT_LIST,   SLOT(specials), NULL },
    { "scope",         0, 0, BY_PARAMETER },
    { "defaultLimit",  0, 0, BY_PARAMETER },
    { "defaultPeriod", 0, 0, BY_PARAMETER },
    { "defaultRetryAfterByPartition", 0, 0, BY_PARAMETER },
    { "parameters",    0, 0, BY_PARAMETER },
    { "rules",         0, 0, BY_PARAMETER },
    { "limits",        0, 0, BY_PARAMETER },
    { NULL, 0, 0, NULL },
};
#undef SLOT

typedef struct special_fields_t {
    const m2_node_t *type, *policies;
} special_fields_t;

#define SLOT(member) offsetof(special_fields_t, member)
static const m2_field_t special_fields[] = {
    { "type",     M2_WANT_STRING, SLOT(type),     NULL },
    { "policies", M2_WANT_LIST,   SLOT(policies), NULL },
    { NULL, 0, 0, NULL },
};
#undef SLOT

typedef struct policy_fields_t {
    const m2_node_t *key, *value;
} policy_fields_t;

#define SLOT(member) offsetof(policy_fields_t, member)
static const m2_field_t policy_fields[] = {
    { "key",   M2_WANT_NAME, SLOT(key),   NULL },
    { "value", M2_WANT_INT,  SLOT(value), NULL },
    { NULL, 0, 0, NULL },
};
#undef SLOT
/* clang-format on */

typedef struct building_t {
    m2_limits_t *limits;
    apr_pool_t *pool;
    const char *basename;
    const char *scope;
    const char *window; /* `1s` */
    m2_limit_t *app, *user;
    m2_err_t *err;
} building_t;

/* --- words --- */

static m2_code_t read_unit(building_t *b, const m2_node_t *root, const m2_node_t *node)
{
    static const char *const units[][2] = {
        { "SECOND", "1s" }, { "MINUTE", "1m" }, { "HOUR", "1h" }, { "DAY", "1d" },
    };
    apr_size_t i;

    for (i = 0; node && i < sizeof(units) / sizeof(units[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(node->text), units[i][0])) {
            b->window = units[i][1];
            return M2_OK;
        }
    }
    return node ? m2_node_fault(node, b->err, "unit: \"%s\" is not SECOND, MINUTE, HOUR or DAY",
                                node->text)
                : m2_node_fault(root, b->err, "unit is missing");
}

static m2_code_t read_rate(m2_limit_rate_t **prate, building_t *b, const char *what,
                           const m2_node_t *node)
{
    m2_limit_rate_t *rate = apr_pcalloc(b->pool, sizeof(*rate));
    m2_err_t cause;

    *prate = rate;
    m2_err_init(&cause, b->pool);
    if (m2_limit_rate_parse(rate, apr_pstrcat(b->pool, node->text, "/", b->window, NULL), 0,
                            &cause) != M2_OK) {
        return m2_node_fault(node, b->err, "%s: %s is not a number from 1 to %d", what,
                             node->text, MAX_VALUE);
    }
    return M2_OK;
}

/* --- limits --- */

/* A limit without terms yet; key is the name of a parameter, or NULL for one bucket. */
static m2_limit_t *add_limit(building_t *b, const char *suffix, const char *key)
{
    m2_limit_t *limit = apr_pcalloc(b->pool, sizeof(*limit));

    limit->name = apr_pstrcat(b->pool, b->basename, suffix, NULL);
    limit->scope = b->scope;
    limit->key = apr_array_make(b->pool, 1, sizeof(int));
    if (key) {
        APR_ARRAY_PUSH(limit->key, int) =
            m2_params_find(b->limits->scope->params, m2_slice_z(key));
    }
    APR_ARRAY_PUSH(b->limits->list, m2_limit_t *) = limit;
    return limit;
}

static m2_limit_t *user_limit(building_t *b)
{
    if (!b->user) {
        m2_params_declare(b->limits->scope->params, USER_PARAMETER, "Token:sub", NULL);
        b->user = add_limit(b, "-user", USER_PARAMETER);
    }
    return b->user;
}

static m2_limit_t *app_limit(building_t *b)
{
    b->app = b->app ? b->app : add_limit(b, "-app", "CaAppId");
    return b->app;
}

static m2_code_t read_defaults(building_t *b, const traffic_fields_t *fields)
{
    m2_limit_rate_t *rate;
    m2_code_t code = M2_OK;

    if (fields->api && !(code = read_rate(&rate, b, "apiDefault", fields->api))) {
        add_limit(b, "-api", NULL)->rate = rate;
    }
    if (!code && fields->user
        && !(code = read_rate(&rate, b, "userDefault", fields->user))) {
        user_limit(b)->rate = rate;
    }
    if (!code && fields->app && !(code = read_rate(&rate, b, "appDefault", fields->app))) {
        app_limit(b)->rate = rate;
    }
    return code;
}

/* --- special values --- */

static m2_code_t read_policy(building_t *b, m2_limit_t *limit, const m2_node_t *node)
{
    policy_fields_t fields;
    m2_limit_rate_t *rate;
    m2_code_t code;

    memset(&fields, 0, sizeof(fields));
    code = m2_node_fields(&fields, node, "a policy", policy_fields, b->err);
    if (!code && (!fields.key || !fields.value)) {
        code = m2_node_fault(node, b->err, "%s is missing in a policy",
                             fields.key ? "value" : "key");
    }
    code = code ? code : read_rate(&rate, b, "value", fields.value);
    if (!code && apr_hash_get(limit->specials, fields.key->text, APR_HASH_KEY_STRING)) {
        code = m2_node_fault(fields.key, b->err, "the key %s has terms already",
                             fields.key->text);
    }
    if (!code) {
        apr_hash_set(limit->specials, fields.key->text, APR_HASH_KEY_STRING, rate);
    }
    return code;
}

static m2_code_t read_special(building_t *b, const m2_node_t *node)
{
    special_fields_t fields;
    m2_limit_t *limit;
    m2_code_t code;
    int i, app;

    memset(&fields, 0, sizeof(fields));
    code = m2_node_fields(&fields, node, "a special", special_fields, b->err);
    if (!code && (!fields.type || !fields.policies)) {
        code = m2_node_fault(node, b->err, "%s is missing in a special",
                             fields.type ? "policies" : "type");
    }
    if (code) {
        return code;
    }
    app = m2_slice_is_nocase(m2_slice_z(fields.type->text), "APP");
    if (!app && !m2_slice_is_nocase(m2_slice_z(fields.type->text), "USER")) {
        return m2_node_fault(fields.type, b->err, "type: \"%s\" is not APP or USER",
                             fields.type->text);
    }
    limit = app ? app_limit(b) : user_limit(b);
    limit->special_name = apr_pstrcat(b->pool, b->basename, "-special", NULL);
    limit->specials = limit->specials ? limit->specials : apr_hash_make(b->pool);
    for (i = 0; !code && i < m2_node_count(fields.policies); i++) {
        code = read_policy(b, limit, m2_node_at(fields.policies, i));
    }
    return code;
}

static m2_code_t read_specials(building_t *b, const m2_node_t *list)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && list && i < m2_node_count(list); i++) {
        code = read_special(b, m2_node_at(list, i));
    }
    return code;
}

/* The name of a bucket goes into header fields: what a name in M2MLimit may hold, and no more. */
static const char *bucket_name(apr_pool_t *pool, const char *basename)
{
    char *name = apr_pstrndup(pool, basename, (apr_size_t)MAX_BASENAME), *p;

    for (p = name; *p; p++) {
        *p = apr_isalnum(*p) || *p == '.' || *p == '_' || *p == '-' ? *p : '_';
    }
    return name;
}

m2_code_t m2_plugin_traffic(m2_limits_t **plimits, apr_pool_t *pool, m2_slice_t text,
                            const char *basename, const char *scope, m2_err_t *err)
{
    m2_rules_t *rules = m2_rules_make(pool);
    building_t b = { NULL, pool, bucket_name(pool, basename), scope, NULL, NULL, NULL, err };
    traffic_fields_t fields;
    const m2_node_t *root;
    m2_code_t code;

    memset(&fields, 0, sizeof(fields));
    rules->deny_duplicates = 0;
    b.limits = m2_limits_make(pool, rules);
    code = m2_node_read(&root, pool, text, err);
    code = code ? code : m2_node_fields(&fields, root, "a trafficControl script",
                                        traffic_fields, err);
    code = code ? code : read_unit(&b, root, fields.unit);
    code = code ? code : read_defaults(&b, &fields);
    code = code ? code : read_specials(&b, fields.specials);
    if (!code && !b.limits->list->nelts) {
        code = m2_node_fault(root, err, "there are no limits: apiDefault, userDefault, "
                             "appDefault and specials are all missing");
    }
    *plimits = code ? NULL : b.limits;
    return code;
}
