/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `httpd -t -D DUMP_M2M_JSON`: the policy of every section with all defaults resolved, as one
 * JSON document that m2mctl decides by and scripts read. What stands in it is what
 * m2mgw_dump.c prints, with the texts of conditions and templates. Public keys are in it whole,
 * of symmetric ones only their names.
 */
#include "httpd/config/m2mgw_dump.h"
#include "httpd/config/m2mgw_notices.h"
#include "httpd/config/m2mgw_section.h"

#include "key/m2_keyring.h"
#include "rules/m2_dataset.h"

#define DUMP_VERSION 1

/* --- texts, which need not be UTF-8 in httpd's files --- */

static const char *utf8(apr_pool_t *pool, const char *text)
{
    m2_json_t *probe = m2_json_make(pool);
    char *ascii, *p;

    m2_json_set_string(probe, "v", text);
    if (m2_json_get(probe, "v")) {
        return text;
    }
    ascii = apr_pstrdup(pool, text);
    for (p = ascii; *p; p++) {
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    }
    return ascii;
}

static void text(m2_json_t *json, apr_pool_t *pool, const char *name, const char *value)
{
    if (value) {
        m2_json_set_string(json, name, utf8(pool, value));
    }
}

/* an array of strings; nothing if absent */
static void list(m2_json_t *json, apr_pool_t *pool, const char *name,
                 const apr_array_header_t *values)
{
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; values && i < values->nelts; i++) {
        m2_json_append_string(array, utf8(pool, APR_ARRAY_IDX(values, i, const char *)));
    }
    if (values && values->nelts) {
        m2_json_set_json(json, name, array);
    }
}

/* --- keys --- */

static m2_json_t *key_json(apr_pool_t *pool, const m2_jwk_t *jwk)
{
    const int secret = m2_slice_is(m2_slice_z(jwk->kty), "oct");
    m2_json_t *json = m2_json_make(pool);
    const m2_json_t *public = secret ? NULL : m2_jwk_to_json(pool, jwk, 0);

    text(json, pool, "kid", jwk->kid);
    m2_json_set_string(json, "kty", jwk->kty);
    m2_json_set_string(json, "algorithms", m2_jwk_alg_names(pool, jwk));
    text(json, pool, "issuer", jwk->issuer);
    m2_json_set_bool(json, "secret", secret);
    if (public) {
        m2_json_set_json(json, "jwk", public);
    }
    return json;
}

static void add_keys(m2_json_t *policy, apr_pool_t *pool, const m2_keyring_t *ring)
{
    m2_json_t *keys = m2_json_make_array(pool), *sources = m2_json_make_array(pool);
    const apr_array_header_t *fed;
    const m2_keyset_t *set;
    int i;

    if (!ring) {
        return;
    }
    set = m2_keyring_enter(ring);
    for (i = 0; set && i < set->keys->nelts; i++) {
        m2_json_append(keys, key_json(pool, APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *)));
    }
    m2_keyring_leave(ring);
    fed = m2_feed_sources(m2_keyring_feed(ring));
    for (i = 0; fed && i < fed->nelts; i++) {
        const m2_fed_t *one = &APR_ARRAY_IDX(fed, i, m2_fed_t);
        m2_json_t *json = m2_json_make(pool);

        text(json, pool, "source", m2_keysource_label(one->source));
        text(json, pool, "issuer", one->issuer);
        m2_json_set_bool(json, "read", m2_keysource_keys(one->source) != NULL);
        m2_json_append(sources, json);
    }
    m2_json_set_json(policy, "keys", keys);
    m2_json_set_json(policy, "key_sources", sources);
}

/* --- tokens and claims --- */

static void add_sources(m2_json_t *policy, apr_pool_t *pool, const m2mgw_sources_t *sources)
{
    static const char *const places[] = { "header:", "query:", "cookie:", "form:" };
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);

        m2_json_append_string(array, apr_pstrcat(pool, places[source->place],
                                                 utf8(pool, source->name), NULL));
    }
    m2_json_set_json(policy, "tokens", array);
}

static void add_requires(m2_json_t *policy, apr_pool_t *pool, const apr_array_header_t *requires)
{
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; requires && i < requires->nelts; i++) {
        const m2_require_t *require = &APR_ARRAY_IDX(requires, i, m2_require_t);
        m2_json_t *json = m2_json_make(pool);

        text(json, pool, "claim", require->name);
        list(json, pool, "values", require->values);
        m2_json_append(array, json);
    }
    m2_json_set_json(policy, "require_claims", array);
}

static void add_claims_policy(m2_json_t *policy, apr_pool_t *pool, const m2_policy_t *p)
{
    static const char *const replays[] = { "Off", "On", "Observe" };
    const m2_claims_policy_t *claims = &p->claims;

    if (p->algs != ~(m2_alg_mask_t)0) {
        m2_json_set_string(policy, "algorithms", m2_alg_mask_names(pool, p->algs));
    }
    list(policy, pool, "issuers", claims->issuers);
    list(policy, pool, "bound_issuers", claims->bound);
    list(policy, pool, "audiences", claims->audiences);
    list(policy, pool, "token_types", p->types);
    add_requires(policy, pool, claims->requires);
    list(policy, pool, "scope_claims", claims->scopes);
    m2_json_set_int(policy, "leeway", claims->leeway);
    if (claims->max_age >= 0) {
        m2_json_set_int(policy, "max_age", claims->max_age);
    }
    if (claims->max_lifetime) {
        m2_json_set_int(policy, "max_lifetime", claims->max_lifetime);
    }
    m2_json_set_bool(policy, "ignore_expiration", claims->ignore_expiration);
    m2_json_set_string(policy, "prevent_jti_replay", replays[p->replay]);
    list(policy, pool, "user_claims", p->user_claims);
}

static void add_mapping(m2_json_t *policy, apr_pool_t *pool, const m2_mapping_t *mapping)
{
    static const char *const places[] = { "query:", "header:", "path:", "form:", "env:" };
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; mapping && i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);
        const char *options = m2_target_options(pool, target);
        m2_json_t *json = m2_json_make(pool);

        text(json, pool, "claim", target->claim);
        text(json, pool, "target", apr_pstrcat(pool, places[target->place], target->name, NULL));
        if (*options) {
            m2_json_set_string(json, "option", options + 1);
        }
        m2_json_append(array, json);
    }
    m2_json_set_json(policy, "claims", array);
}

/* Where a certificate comes from, if it is not mod_ssl's. */
static void add_certificate(m2_json_t *policy, apr_pool_t *pool,
                            const m2mgw_certificate_t *certificate)
{
    m2_json_t *json = m2_json_make(pool), *from = m2_json_make_array(pool);
    char *last, *one;

    if (!certificate || !certificate->header) {
        return;
    }
    text(json, pool, "header", certificate->header);
    for (one = apr_strtok(apr_pstrdup(pool, certificate->from_text), ",", &last); one;
         one = apr_strtok(NULL, ",", &last)) {
        m2_json_append_string(from, utf8(pool, one));
    }
    m2_json_set_json(json, "from", from);
    m2_json_set_bool(json, "verified", certificate->verified);
    m2_json_set_json(policy, "client_certificate", json);
}

static void add_bound(m2_json_t *policy, apr_pool_t *pool, const m2mgw_effective_t *e)
{
    static const char *const words[] = { "Off", "Auto", "DPoP", "mTLS", "Any" };
    const m2_bound_policy_t *bound = &e->policy.bound;
    m2_json_t *dpop = m2_json_make(pool);

    m2_json_set_string(policy, "sender_constraint", words[bound->constraint]);
    m2_json_set_string(dpop, "algorithms",
                       m2_alg_mask_names(pool, bound->proof.algs & m2_proof_algs()));
    m2_json_set_int(dpop, "window", bound->proof.window);
    m2_json_set_bool(dpop, "nonce", bound->proof.nonce);
    m2_json_set_json(policy, "dpop", dpop);
    list(policy, pool, "public_urls", e->dir->public_urls);
    add_certificate(policy, pool, e->dir->certificate);
}

/* --- rules --- */

static void add_template(m2_json_t *json, apr_pool_t *pool, const char *name,
                         const m2_template_t *template)
{
    m2_template_mark_t mark;

    if (template) {
        text(json, pool, name, m2_template_text(template, &mark));
        m2_json_set_string(json, "template_mark", mark == M2_MARK_DOLLAR ? "$" : "%");
    }
}

static m2_json_t *rule_json(apr_pool_t *pool, const m2_rule_t *rule)
{
    static const char *const actions[] = { NULL, "ALLOW", "DENY" };
    m2_json_t *json = m2_json_make(pool), *headers = m2_json_make_array(pool);
    int i;

    text(json, pool, "name", rule->name);
    text(json, pool, "condition", rule->text);
    text(json, pool, "ifTrue", actions[rule->if_true]);
    text(json, pool, "ifFalse", actions[rule->if_false]);
    m2_json_set_int(json, "statusCode", rule->status);
    m2_json_set_bool(json, "shadow", rule->shadow);
    add_template(json, pool, "errorMessage", rule->message);
    add_template(json, pool, "responseBody", rule->body);
    for (i = 0; rule->headers && i < rule->headers->nelts; i++) {
        const m2_rule_header_t *header = &APR_ARRAY_IDX(rule->headers, i, m2_rule_header_t);
        m2_json_t *one = m2_json_make(pool);

        text(one, pool, "name", header->name);
        add_template(one, pool, "value", header->value);
        m2_json_append(headers, one);
    }
    m2_json_set_json(json, "headers", headers);
    return json;
}

/* The data sets that conditions name, each once. */
static m2_json_t *datasets_json(apr_pool_t *pool, const apr_array_header_t *refs)
{
    m2_json_t *array = m2_json_make_array(pool);
    int i, k;

    for (i = 0; i < m2mgw_cfg_datasets()->nelts; i++) {
        const m2mgw_dataset_t *set = APR_ARRAY_IDX(m2mgw_cfg_datasets(), i, m2mgw_dataset_t *);

        for (k = 0; refs && k < refs->nelts; k++) {
            if (APR_ARRAY_IDX(refs, k, const m2_dataset_ref_t *)->ring == set->ring) {
                m2_json_t *json = m2_json_make(pool);

                text(json, pool, "name", set->name);
                text(json, pool, set->list.is_url ? "source" : "file", set->list.name);
                m2_json_append(array, json);
                break;
            }
        }
    }
    return array;
}

static void add_rules(m2_json_t *policy, apr_pool_t *pool, const m2mgw_effective_t *e)
{
    const m2_rules_t *rules = e->policy.rules;
    m2_json_t *params = m2_json_make_array(pool), *array = m2_json_make_array(pool);
    int i;

    m2_json_set_string(policy, "duplicate_parameter", e->deny_duplicates ? "Deny" : "First");
    if (!rules) {
        return;
    }
    for (i = 0; i < rules->params->list->nelts; i++) {
        const m2_param_t *param = &APR_ARRAY_IDX(rules->params->list, i, m2_param_t);
        m2_json_t *json = m2_json_make(pool);

        text(json, pool, "name", param->name);
        text(json, pool, "source", m2_param_text(pool, param));
        m2_json_append(params, json);
    }
    for (i = 0; i < rules->rules->nelts; i++) {
        m2_json_append(array, rule_json(pool, APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *)));
    }
    text(policy, pool, "path", rules->path ? m2_path_text(rules->path) : NULL);
    m2_json_set_json(policy, "parameters", params);
    m2_json_set_json(policy, "rules", array);
    m2_json_set_json(policy, "datasets", datasets_json(pool, rules->params->datasets));
    m2_json_set_string(policy, "default_action",
                       rules->default_action == M2_ACTION_DENY ? "DENY" : "ALLOW");
}

/* --- operations and limits --- */

static m2_json_t *operation_json(apr_pool_t *pool, const m2_operation_t *operation)
{
    m2_json_t *json = m2_json_make(pool), *ways = m2_json_make_array(pool);
    int i, k;

    m2_json_set_string(json, "method", operation->method);
    text(json, pool, "path", operation->written);
    text(json, pool, "name", operation->name);
    m2_json_set_bool(json, "public", operation->is_public);
    for (i = 0; operation->alternatives && i < operation->alternatives->nelts; i++) {
        const apr_array_header_t *way = APR_ARRAY_IDX(operation->alternatives, i,
                                                      const apr_array_header_t *);
        m2_json_t *scopes = m2_json_make_array(pool);

        for (k = 0; k < way->nelts; k++) {
            m2_json_append_string(scopes, utf8(pool, APR_ARRAY_IDX(way, k, const char *)));
        }
        m2_json_append(ways, scopes);
    }
    m2_json_set_json(json, "scopes", ways);
    return json;
}

/* templates that take no method */
static m2_json_t *bare_json(apr_pool_t *pool, const apr_array_header_t *bare)
{
    m2_json_t *paths = m2_json_make_array(pool);
    int i;

    for (i = 0; i < bare->nelts; i++) {
        m2_json_append_string(paths, utf8(pool, APR_ARRAY_IDX(bare, i, const char *)));
    }
    return paths;
}

static void add_operations(m2_json_t *policy, apr_pool_t *pool, const m2mgw_effective_t *e)
{
    static const char *const unknowns[] = { "Deny", "NotFound", "Pass" };
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    if (!e->operations) {
        return;
    }
    for (i = 0; i < m2_operations_count(e->operations->table); i++) {
        m2_json_append(array, operation_json(pool, m2_operations_at(e->operations->table, i)));
    }
    m2_json_set_json(policy, "operations", array);
    m2_json_set_json(policy, "paths_without_method",
                     bare_json(pool, m2_operations_bare(e->operations->table)));
    m2_json_set_string(policy, "operation_unknown", unknowns[e->operation_unknown]);
    m2_json_set_string(policy, "preflight", e->dir->preflight == 1 ? "Pass" : "Deny");
}

static void add_limits(m2_json_t *policy, apr_pool_t *pool, const m2_limits_t *limits)
{
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; limits && i < limits->list->nelts; i++) {
        const m2_limit_t *limit = APR_ARRAY_IDX(limits->list, i, const m2_limit_t *);
        m2_json_t *json = m2_json_make(pool);

        text(json, pool, "name", limit->name);
        if (limit->rate) {
            m2_json_set_int(json, "count", limit->rate->count);
            m2_json_set_int(json, "window", limit->rate->window);
            m2_json_set_int(json, "burst", limit->rate->burst);
        }
        m2_json_set_bool(json, "shadow", limit->shadow);
        m2_json_append(array, json);
    }
    m2_json_set_json(policy, "limits", array);
}

/* --- a section --- */

static m2_json_t *policy_json(apr_pool_t *pool, const m2mgw_effective_t *e)
{
    static const char *const engines[] = { "Off", "On", "Shadow" };
    m2_json_t *json = m2_json_make(pool);

    m2_json_set_string(json, "engine", engines[e->engine]);
    text(json, pool, "closed", e->closed);
    add_sources(json, pool, e->sources);
    m2_json_set_bool(json, "bypass_empty_token", e->policy.bypass_empty);
    add_keys(json, pool, e->policy.keys);
    add_claims_policy(json, pool, &e->policy);
    add_bound(json, pool, e);
    add_mapping(json, pool, e->policy.mapping);
    add_rules(json, pool, e);
    add_operations(json, pool, e);
    add_limits(json, pool, e->limits);
    m2_json_set_bool(json, "path_guard", e->dir->path_guard != 0);
    m2_json_set_string(json, "error_profile",
                       e->profile == M2MGW_PROFILE_GATEWAY ? "gateway" : "rfc6750");
    text(json, pool, "stage", e->dir->stage ? e->dir->stage : "RELEASE");
    text(json, pool, "api_name", e->dir->api_name);
    return json;
}

static m2_json_t *section_json(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->where ? section->where : section->first;
    const server_rec *s = section->server;
    const m2mgw_dir_t *dir = m2mgw_cfg_in_force(pool, section);
    m2_json_t *json = m2_json_make(pool);
    m2mgw_effective_t effective;

    text(json, pool, "section", m2mgw_cfg_title(pool, section));
    text(json, pool, "vhost", s->server_hostname ? s->server_hostname : "");
    if (s->is_virtual && s->addrs && s->addrs->host_port) {
        m2_json_set_int(json, "port", s->addrs->host_port);
    }
    if (s->port) {
        m2_json_set_int(json, "server_port", s->port);
    }
    text(json, pool, "place", at ? m2mgw_cfg_place(pool, at) : "");
    text(json, pool, "location", section->location);
    if (m2mgw_effective(&effective, dir)) {
        m2_json_set_json(json, "policy", policy_json(pool, &effective));
    }
    else if (dir->engine == M2MGW_ENGINE_OFF) {
        m2_json_set_string(json, "engine", "Off");
    }
    return json;
}

void m2mgw_cfg_dump_json(apr_pool_t *pool, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    const apr_array_header_t *notices = m2mgw_cfg_all_notices(pool);
    m2_json_t *json = m2_json_make(pool), *list_of = m2_json_make_array(pool);
    m2_json_t *told = m2_json_make_array(pool);
    apr_file_t *out;
    int i;

    (void)s;
    if (apr_file_open_stdout(&out, pool) != APR_SUCCESS) {
        return;
    }
    m2_json_set_int(json, "version", DUMP_VERSION);
    m2_json_set_string(json, "module", "mod_m2mgw " M2MGW_VERSION);
    for (i = 0; i < sections->nelts; i++) {
        m2_json_append(list_of,
                       section_json(pool, APR_ARRAY_IDX(sections, i, m2mgw_section_t *)));
    }
    m2_json_set_json(json, "sections", list_of);
    for (i = 0; i < notices->nelts; i++) {
        m2_json_append_string(told, utf8(pool, APR_ARRAY_IDX(notices, i, m2mgw_notice_t).text));
    }
    m2_json_set_json(json, "notices", told);
    apr_file_puts(m2_json_dump(pool, json), out);
    apr_file_puts("\n", out);
}
