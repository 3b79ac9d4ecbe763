/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A dump of `httpd -t -D DUMP_M2M_JSON` -> the policy of one of its sections. Conditions,
 * parameters and templates are compiled again from their texts. What is not understood is a
 * fault: leaving it out would explain another decision than the server's.
 */
#include "ctl/m2mctl_force.h"

#include "request/m2_path_guard.h"
#include "text/m2_nearest.h"

#include <apr_network_io.h>

#define DUMP_VERSION 1

typedef struct dump_t {
    m2mctl_t *ctl;
    apr_pool_t *pool;
    m2mctl_force_t *force;
    m2_keyset_t *keys;
    const m2_json_t *policy;
    m2_err_t err;
} dump_t;

/* --- members --- */

static const char *text_of(const m2_json_t *json, const char *name)
{
    return m2_json_string(m2_json_get(json, name)).p; /* with a NUL behind it */
}

static int flag_of(const m2_json_t *json, const char *name)
{
    int value = 0;

    return m2_json_bool(m2_json_get(json, name), &value) && value;
}

static apr_int64_t number_of(const m2_json_t *json, const char *name, apr_int64_t without)
{
    double value;

    return m2_json_time(m2_json_get(json, name), &value) == M2_OK ? (apr_int64_t)value : without;
}

static int word_of(const m2_json_t *json, const char *name, const char *const *words, int n)
{
    const m2_slice_t text = m2_json_string(m2_json_get(json, name));
    int i;

    for (i = 0; i < n; i++) {
        if (m2_slice_is(text, words[i])) {
            return i;
        }
    }
    return 0;
}

#define WORD(json, name, words) word_of(json, name, words, (int)(sizeof(words) / sizeof(words[0])))

static apr_array_header_t *texts_of(apr_pool_t *pool, const m2_json_t *array)
{
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(const char *));
    apr_size_t i;

    for (i = 0; i < m2_json_length(array); i++) {
        const char *text = m2_json_string(m2_json_at(array, i)).p;

        APR_ARRAY_PUSH(list, const char *) = text ? text : "";
    }
    return list;
}

static apr_array_header_t *list_of(const dump_t *d, const char *name)
{
    const m2_json_t *array = m2_json_get(d->policy, name);

    return array ? texts_of(d->pool, array) : NULL;
}

/* --- keys --- */

static m2_code_t read_key(dump_t *d, const m2_json_t *json)
{
    const m2_json_t *public = m2_json_get(json, "jwk");
    m2_jwk_t *jwk;
    m2_code_t code;

    if (!public) {
        d->force->unread = apr_psprintf(d->pool, "the secret with kid %s",
                                        text_of(json, "kid") ? text_of(json, "kid") : "-");
        return M2_OK;
    }
    code = m2_jwk_from_json(&jwk, d->pool, public, M2_JWK_PUBLIC, &d->err);
    if (!code) {
        jwk->issuer = text_of(json, "issuer");
        code = m2_keyset_add(d->keys, jwk, &d->err);
    }
    return code;
}

static m2_code_t read_keys(dump_t *d)
{
    const m2_json_t *keys = m2_json_get(d->policy, "keys");
    const m2_json_t *sources = m2_json_get(d->policy, "key_sources");
    m2_code_t code = M2_OK;
    apr_size_t i;

    if (!keys) {
        return M2_OK;
    }
    for (i = 0; !code && i < m2_json_length(keys); i++) {
        code = read_key(d, m2_json_at(keys, i));
    }
    for (i = 0; i < m2_json_length(sources); i++) {
        if (!flag_of(m2_json_at(sources, i), "read")) {
            d->force->unread = text_of(m2_json_at(sources, i), "source");
        }
    }
    d->force->keys = d->keys;
    d->force->policy.keys = m2_keyring_make(d->pool, d->keys);
    return code;
}

/* --- tokens and claims --- */

static m2_code_t read_tokens(dump_t *d)
{
    const apr_array_header_t *words = list_of(d, "tokens");
    m2_code_t code = M2_OK;
    int i;

    d->force->tokens = apr_array_make(d->pool, 2, sizeof(m2_token_source_t));
    for (i = 0; !code && words && i < words->nelts; i++) {
        code = m2_token_source_parse(apr_array_push(d->force->tokens), d->pool,
                                     APR_ARRAY_IDX(words, i, const char *), &d->err);
    }
    return code;
}

static m2_code_t read_mask(m2_alg_mask_t *mask, dump_t *d, const char *names)
{
    m2_code_t code = M2_OK;
    char *last, *name = apr_strtok(apr_pstrdup(d->pool, names), " ", &last);

    for (; !code && name; name = apr_strtok(NULL, " ", &last)) {
        code = m2_alg_mask_add(mask, name, &d->err);
    }
    return code;
}

static m2_code_t read_algorithms(dump_t *d)
{
    const char *names = text_of(d->policy, "algorithms");

    d->force->policy.algs = names ? 0 : ~(m2_alg_mask_t)0;
    return names ? read_mask(&d->force->policy.algs, d, names) : M2_OK;
}

static void read_claims_policy(dump_t *d)
{
    static const char *const replays[] = { "Off", "On", "Observe" };
    m2_claims_policy_t *claims = &d->force->policy.claims;
    const m2_json_t *lines = m2_json_get(d->policy, "require_claims");
    apr_array_header_t *requires = apr_array_make(d->pool, 4, sizeof(m2_require_t));
    apr_size_t i;

    for (i = 0; i < m2_json_length(lines); i++) {
        m2_require_t *require = apr_array_push(requires);

        require->name = text_of(m2_json_at(lines, i), "claim");
        require->values = texts_of(d->pool, m2_json_get(m2_json_at(lines, i), "values"));
    }
    claims->requires = requires;
    claims->issuers = list_of(d, "issuers");
    claims->bound = list_of(d, "bound_issuers");
    claims->audiences = list_of(d, "audiences");
    claims->scopes = list_of(d, "scope_claims");
    claims->leeway = number_of(d->policy, "leeway", 60);
    claims->max_age = number_of(d->policy, "max_age", -1);
    claims->max_lifetime = number_of(d->policy, "max_lifetime", 0);
    claims->ignore_expiration = flag_of(d->policy, "ignore_expiration");
    d->force->policy.replay = (m2_replay_use_t)WORD(d->policy, "prevent_jti_replay", replays);
    claims->need_exp = d->force->policy.replay == M2_REPLAY_ON;
    d->force->policy.types = list_of(d, "token_types");
    d->force->policy.user_claims = list_of(d, "user_claims");
    d->force->policy.bypass_empty = flag_of(d->policy, "bypass_empty_token");
}

static m2_code_t read_mapping(dump_t *d)
{
    const m2_json_t *claims = m2_json_get(d->policy, "claims");
    m2_mapping_t *mapping = m2_mapping_make(d->pool);
    m2_code_t code = M2_OK;
    apr_size_t i;

    for (i = 0; !code && i < m2_json_length(claims); i++) {
        static const char *const names[] = { "claim", "target", "option" };
        apr_array_header_t *words = apr_array_make(d->pool, 3, sizeof(const char *));
        apr_size_t k;

        for (k = 0; k < 3 && text_of(m2_json_at(claims, i), names[k]); k++) {
            APR_ARRAY_PUSH(words, const char *) = text_of(m2_json_at(claims, i), names[k]);
        }
        code = m2_mapping_read(mapping, words, &d->err);
    }
    d->force->policy.mapping = mapping;
    return code;
}

/* --- rules --- */

static m2_template_mark_t mark_of(const m2_json_t *json)
{
    return m2_slice_is(m2_json_string(m2_json_get(json, "template_mark")), "$")
               ? M2_MARK_DOLLAR : M2_MARK_PERCENT;
}

static m2_code_t read_rule(dump_t *d, m2_rules_t *rules, const m2_json_t *json)
{
    static const char *const options[] = { "ifTrue", "ifFalse", "errorMessage", "responseBody" };
    const char *name = text_of(json, "name"), *condition = text_of(json, "condition");
    const m2_json_t *headers = m2_json_get(json, "headers");
    m2_rule_t *rule;
    m2_code_t code = m2_rule_make(&rule, rules, name ? name : "", condition ? condition : "",
                                  &d->err);
    apr_size_t i;

    for (i = 0; !code && i < sizeof(options) / sizeof(options[0]); i++) {
        if (text_of(json, options[i])) {
            code = m2_rule_option(rule, rules, options[i], text_of(json, options[i]),
                                  mark_of(json), &d->err);
        }
    }
    code = code ? code : m2_rule_option(rule, rules, "statusCode",
                                        apr_ltoa(d->pool, (long)number_of(json, "statusCode", 403)),
                                        mark_of(json), &d->err);
    for (i = 0; !code && i < m2_json_length(headers); i++) {
        const m2_json_t *header = m2_json_at(headers, i);
        const char *of = text_of(header, "name"), *value = text_of(header, "value");

        code = m2_rule_header(rule, rules, of ? of : "", value ? value : "", mark_of(header),
                              &d->err);
    }
    if (!code) {
        rule->shadow = flag_of(json, "shadow");
    }
    return code ? code : m2_rules_add(rules, rule, &d->err);
}

static m2_code_t read_parameters(dump_t *d, m2_rules_t *rules)
{
    const m2_json_t *params = m2_json_get(d->policy, "parameters");
    const char *path = text_of(d->policy, "path");
    m2_code_t code = path ? m2_path_compile(&rules->path, d->pool, path, &d->err) : M2_OK;
    apr_size_t i;

    for (i = 0; !code && i < m2_json_length(params); i++) {
        const char *name = text_of(m2_json_at(params, i), "name");
        const char *source = text_of(m2_json_at(params, i), "source");

        code = m2_params_declare(rules->params, name ? name : "", source ? source : "", &d->err);
    }
    return code;
}

/* Those in databases have no path. */
static void read_datasets(dump_t *d)
{
    const m2_json_t *list = m2_json_get(d->policy, "datasets");
    apr_size_t i;

    d->force->datasets = apr_array_make(d->pool, 2, sizeof(m2mctl_dataset_t));
    for (i = 0; i < m2_json_length(list); i++) {
        const char *name = text_of(m2_json_at(list, i), "name");
        const char *path = text_of(m2_json_at(list, i), "file");

        if (name && path) {
            m2mctl_dataset_add(d->force->datasets, name, path);
        }
    }
}

static m2_code_t read_rules(dump_t *d)
{
    static const char *const actions[] = { "ALLOW", "DENY" };
    static const char *const duplicates[] = { "First", "Deny" };
    const m2_json_t *list = m2_json_get(d->policy, "rules");
    m2_rules_t *rules = m2_rules_make(d->pool);
    m2_code_t code;
    apr_size_t i;

    if (!list) {
        return M2_OK;
    }
    code = read_parameters(d, rules);
    for (i = 0; !code && i < m2_json_length(list); i++) {
        code = read_rule(d, rules, m2_json_at(list, i));
    }
    rules->default_action = WORD(d->policy, "default_action", actions) ? M2_ACTION_DENY
                                                                       : M2_ACTION_ALLOW;
    rules->deny_duplicates = WORD(d->policy, "duplicate_parameter", duplicates);
    d->force->policy.rules = rules;
    read_datasets(d);
    return code;
}

/* --- operations --- */

static m2_code_t read_operation(dump_t *d, m2_operations_t *table, const m2_json_t *json)
{
    const m2_json_t *ways = m2_json_get(json, "scopes");
    apr_array_header_t *alternatives = apr_array_make(d->pool, 1, sizeof(apr_array_header_t *));
    m2_operation_t operation;
    apr_size_t i;

    memset(&operation, 0, sizeof(operation));
    operation.name = text_of(json, "name");
    operation.method = text_of(json, "method") ? text_of(json, "method") : "";
    operation.path = text_of(json, "path") ? text_of(json, "path") : "";
    operation.is_public = flag_of(json, "public");
    for (i = 0; i < m2_json_length(ways); i++) {
        APR_ARRAY_PUSH(alternatives, apr_array_header_t *) = texts_of(d->pool,
                                                                      m2_json_at(ways, i));
    }
    operation.alternatives = alternatives;
    return m2_operations_add(table, "", 0, &operation, &d->err);
}

static m2_code_t read_bare(dump_t *d, m2_operations_t *table)
{
    const m2_json_t *list = m2_json_get(d->policy, "paths_without_method");
    const apr_array_header_t *paths = list ? texts_of(d->pool, list) : NULL;
    m2_operation_t none;
    m2_code_t code = M2_OK;
    int i;

    memset(&none, 0, sizeof(none));
    for (i = 0; !code && paths && i < paths->nelts; i++) {
        none.path = APR_ARRAY_IDX(paths, i, const char *);
        code = m2_operations_add(table, "", 0, &none, &d->err);
    }
    return code;
}

static m2_code_t read_operations(dump_t *d)
{
    static const char *const unknowns[] = { "Deny", "NotFound", "Pass" };
    static const char *const preflights[] = { "Deny", "Pass" };
    const m2_json_t *list = m2_json_get(d->policy, "operations");
    m2_operations_t *table;
    m2_code_t code = M2_OK;
    apr_size_t i;

    if (!list) {
        return M2_OK;
    }
    table = m2_operations_make(d->pool);
    for (i = 0; !code && i < m2_json_length(list); i++) {
        code = read_operation(d, table, m2_json_at(list, i));
    }
    code = code ? code : read_bare(d, table);
    m2_operations_finish(table, NULL);
    d->force->operations = table;
    d->force->unknown = (m2mctl_unknown_t)WORD(d->policy, "operation_unknown", unknowns);
    d->force->preflight = WORD(d->policy, "preflight", preflights);
    return code;
}

/* --- what tokens are bound to --- */

static m2_code_t read_networks(dump_t *d, const m2_json_t *json)
{
    const apr_array_header_t *words = texts_of(d->pool, m2_json_get(json, "from"));
    apr_array_header_t *from = apr_array_make(d->pool, 2, sizeof(apr_ipsubnet_t *));
    int i;

    for (i = 0; i < words->nelts; i++) {
        char *address = apr_pstrdup(d->pool, APR_ARRAY_IDX(words, i, const char *));
        char *mask = strchr(address, '/');

        if (mask) {
            *mask++ = '\0';
        }
        if (apr_ipsubnet_create(apr_array_push(from), address, mask, d->pool) != APR_SUCCESS) {
            return m2_err_set(&d->err, M2_E_CONFIG, "from of client_certificate: %s is not a "
                              "network", address);
        }
    }
    d->force->cert_header = text_of(json, "header");
    d->force->cert_from = from;
    return M2_OK;
}

static m2_code_t read_bound(dump_t *d)
{
    static const char *const constraints[] = { "Off", "Auto", "DPoP", "mTLS", "Any" };
    const m2_json_t *dpop = m2_json_get(d->policy, "dpop");
    m2_bound_policy_t *bound = &d->force->policy.bound;
    m2_code_t code = M2_OK;
    const char *names = text_of(dpop, "algorithms");

    bound->constraint = (m2_constraint_t)WORD(d->policy, "sender_constraint", constraints);
    bound->proof.window = (int)number_of(dpop, "window", M2_PROOF_WINDOW);
    bound->proof.nonce = flag_of(dpop, "nonce");
    bound->proof.algs = names ? 0 : m2_proof_algs();
    code = names ? read_mask(&bound->proof.algs, d, names) : code;
    d->force->public_urls = list_of(d, "public_urls");
    return code ? code : read_networks(d, m2_json_get(d->policy, "client_certificate"));
}

/* --- a policy --- */

static m2_code_t read_policy(dump_t *d)
{
    static const char *const engines[] = { "On", "Shadow" };
    static const char *const profiles[] = { "rfc6750", "gateway" };
    m2mctl_force_t *force = d->force;
    m2_code_t code = read_tokens(d);

    read_claims_policy(d);
    code = code ? code : read_algorithms(d);
    code = code ? code : read_keys(d);
    code = code ? code : read_mapping(d);
    code = code ? code : read_rules(d);
    code = code ? code : read_operations(d);
    code = code ? code : read_bound(d);
    force->closed = text_of(d->policy, "closed");
    force->shadow = WORD(d->policy, "engine", engines);
    force->gateway = WORD(d->policy, "error_profile", profiles);
    force->path_guard_off = !flag_of(d->policy, "path_guard");
    force->limits = (int)m2_json_length(m2_json_get(d->policy, "limits"));
    force->stage = text_of(d->policy, "stage");
    force->api_name = text_of(d->policy, "api_name");
    return code;
}

/* --- the section --- */

/* how much of location a section's path covers, as httpd has it; -1: it does not */
static int covers(const m2_json_t *section, const char *location)
{
    const m2_slice_t path = m2_json_string(m2_json_get(section, "location"));
    const m2_slice_t title = m2_json_string(m2_json_get(section, "section"));
    apr_size_t n = path.n;

    if (m2_slice_is(title, location)) {
        return 1 << 20;
    }
    if (!path.p) { /* defaults of a server protect all of it, where they are a policy */
        return m2_json_get(section, "policy")
                       && (m2_slice_is(title, "server") || m2_slice_is(title, "virtual host"))
                   ? 0 : -1;
    }
    if (strlen(location) < n || !m2_slice_eq(m2_slice(location, n), path)) {
        return -1;
    }
    return !location[n] || location[n] == '/' || (n && path.p[n - 1] == '/') ? (int)n + 1 : -1;
}

static const char *host_of(apr_pool_t *pool, const m2_json_t *section)
{
    const char *name = text_of(section, "vhost");
    const apr_int64_t port = number_of(section, "port", 0);

    return port ? apr_psprintf(pool, "%s:%d", name, (int)port) : name ? name : "";
}

static int is_host(const dump_t *d, const m2_json_t *section, const char *vhost)
{
    return !vhost || m2_slice_is_nocase(m2_slice_z(vhost), host_of(d->pool, section))
           || m2_slice_is_nocase(m2_json_string(m2_json_get(section, "vhost")), vhost);
}

static int none_covers(const dump_t *d, const m2_json_t *sections, const char *location,
                       const char *vhost)
{
    const char *names = "";
    apr_size_t i;

    for (i = 0; i < m2_json_length(sections); i++) {
        const char *path = text_of(m2_json_at(sections, i), "location");

        names = path ? apr_pstrcat(d->pool, names, " ", path, NULL) : names;
    }
    return m2mctl_usage(d->ctl, "no section of the dump covers %s%s%s%s; there are%s", location,
                        vhost ? " in virtual host " : "", vhost ? vhost : "",
                        vhost ? "" : m2_nearest_hint(d->pool, location, names), names);
}

/* The innermost section that covers location; those of one virtual host alone compete. */
static int find_section(const m2_json_t **psection, dump_t *d, const m2_json_t *sections,
                        const char *location, const char *vhost)
{
    const char *host = NULL;
    int best = -1;
    apr_size_t i;

    *psection = NULL;
    for (i = 0; i < m2_json_length(sections); i++) {
        const m2_json_t *section = m2_json_at(sections, i);
        const int n = is_host(d, section, vhost) ? covers(section, location) : -1;

        if (n > 0 && host && !m2_slice_is(m2_slice_z(host), host_of(d->pool, section))) {
            return m2mctl_usage(d->ctl, "virtual hosts %s and %s have a section for %s: name one "
                                "with --vhost", host, host_of(d->pool, section), location);
        }
        host = n > 0 ? host_of(d->pool, section) : host;
        if (n >= best && n >= 0) {
            best = n;
            *psection = section;
        }
    }
    return *psection ? 0 : none_covers(d, sections, location, vhost);
}

int m2mctl_is_dump(m2_slice_t text)
{
    static const char head[] = "{\"version\":";

    while (text.n && apr_isspace(*text.p)) {
        text = m2_slice(text.p + 1, text.n - 1);
    }
    return text.n > sizeof(head) && m2_slice_is(m2_slice(text.p, sizeof(head) - 1), head);
}

/* What M2MPathGuard compares: the <Location> sections of the virtual host and the main server,
 * as --section has them. */
static apr_array_header_t *neighbours(const dump_t *d, const m2_json_t *sections,
                                      const char *host)
{
    apr_array_header_t *list = apr_array_make(d->pool, 16, sizeof(const char *));
    apr_size_t i;

    for (i = 0; i < m2_json_length(sections); i++) {
        const m2_json_t *one = m2_json_at(sections, i);
        const char *path = text_of(one, "location");
        const char *engine = text_of(m2_json_get(one, "policy"), "engine");

        if (path && m2_path_table_takes(path)
            && (m2_slice_is(m2_slice_z(host), host_of(d->pool, one))
                || !number_of(one, "port", 0))) {
            APR_ARRAY_PUSH(list, const char *) =
                apr_pstrcat(d->pool, path, "=", engine ? engine : "Off", NULL);
        }
    }
    return list->nelts ? list : NULL;
}

static int take_section(dump_t *d, const char *file, const m2_json_t *sections,
                        const m2_json_t *section)
{
    d->force->section = apr_pstrcat(d->pool, text_of(section, "section"), " (",
                                    host_of(d->pool, section), ", ", text_of(section, "place"),
                                    ")", NULL);
    d->policy = m2_json_get(section, "policy");
    d->force->server_name = text_of(section, "vhost");
    d->force->server_port = (int)number_of(section, "server_port", 0);
    d->force->off = !d->policy;
    d->force->guard.sections = neighbours(d, sections, host_of(d->pool, section));
    d->force->guard.guard = d->policy && !flag_of(d->policy, "path_guard") ? "Off" : NULL;
    return d->policy && read_policy(d) ? m2mctl_fault(d->ctl, file, &d->err) : 0;
}

int m2mctl_dump(m2mctl_force_t *force, m2mctl_t *ctl, const char *file, const char *location,
                const char *vhost, m2_keyset_t *keys)
{
    dump_t d = { ctl, ctl->pool, force, keys, NULL, { 0 } };
    const m2_json_t *json, *sections, *section;
    m2_slice_t text;
    int bad;

    memset(force, 0, sizeof(*force));
    m2_err_init(&d.err, ctl->pool);
    if (m2mctl_read(&text, ctl->pool, file, &d.err)
        || m2_json_parse(&json, ctl->pool, text, M2_E_CONFIG, &d.err)) {
        return m2mctl_fault(ctl, file, &d.err);
    }
    sections = m2_json_get(json, "sections");
    if (number_of(json, "version", 0) != DUMP_VERSION
        || m2_json_type(sections) != M2_JSON_ARRAY) {
        m2_err_set(&d.err, M2_E_CONFIG, "is not a dump of httpd -t -D DUMP_M2M_JSON, or of another "
                   "version");
        return m2mctl_fault(ctl, file, &d.err);
    }
    bad = find_section(&section, &d, sections, location, vhost);
    return bad ? bad : take_section(&d, file, sections, section);
}
