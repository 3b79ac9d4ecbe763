/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `httpd -t -D DUMP_M2M`: the policy of every section with all defaults resolved, written
 * like directives, in the order of docs/directives.md. What is printed is what a request
 * gets that meets the section, those it is written in, every other <Location> that covers its
 * path, and the server's own values; sections of other kinds that match the same request are
 * merged by httpd when it comes.
 *
 * Never prints a key: only kid, type, size and algorithms.
 */
#include "httpd/config/m2mgw_dump.h"
#include "httpd/config/m2mgw_notices.h"
#include "httpd/config/m2mgw_words.h"

typedef struct out_t {
    apr_file_t *file;
    apr_pool_t *pool;
} out_t;

/* --- lines --- */

static void line(const out_t *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(const out_t *out, const char *fmt, ...)
{
    const char *text;
    va_list args;

    va_start(args, fmt);
    text = apr_pvsprintf(out->pool, fmt, args);
    va_end(args);
    apr_file_printf(out->file, "    %s\n", text);
}

static const char *on_off(int value)
{
    return value ? "On" : "Off";
}

/* a word as one would have to write it */
static const char *word(const out_t *out, const char *text)
{
    char *quoted, *p;

    if (*text && !strpbrk(text, " \t\"'\\")) {
        return text;
    }
    p = quoted = apr_palloc(out->pool, 2 * strlen(text) + 3);
    *p++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            *p++ = '\\';
        }
        *p++ = *text;
    }
    *p++ = '"';
    *p = '\0';
    return quoted;
}

static void list(const out_t *out, const char *directive, const apr_array_header_t *values)
{
    const char *text = directive;
    int i;

    for (i = 0; values && i < values->nelts; i++) {
        text = apr_pstrcat(out->pool, text, " ",
                           word(out, APR_ARRAY_IDX(values, i, const char *)), NULL);
    }
    if (values && values->nelts) {
        line(out, "%s", text);
    }
}

/* the issuers that are accepted: those that are listed, and those that keys are bound to */
static const apr_array_header_t *both_lists(apr_pool_t *pool, const apr_array_header_t *a,
                                            const apr_array_header_t *b)
{
    return a && b ? apr_array_append(pool, a, b) : a ? a : b;
}

/* --- list groups --- */

#define ROWS(table, last)                                                                  \
    _Static_assert(sizeof(table) / sizeof((table)[0]) == (last) + 1, "a row for each member")

static void print_sources(const out_t *out, const m2mgw_sources_t *sources)
{
    const char *text = "M2MToken";
    int i;

    for (i = 0; i < sources->list->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources->list, i, m2_token_source_t);
        text = apr_pstrcat(out->pool, text, " ", m2_token_place_word(source->place), ":",
                           source->name, NULL);
    }
    line(out, "%s", text);
}

static void print_key_sources(const out_t *out, const apr_array_header_t *sources)
{
    int i;

    for (i = 0; sources && i < sources->nelts; i++) {
        const m2_fed_t *fed = &APR_ARRAY_IDX(sources, i, m2_fed_t);

        const char *label = m2_keysource_label(fed->source);
        const int told = !fed->issuer || strcmp(fed->issuer, label) == 0; /* found by it */

        line(out, "keys from %s%s%s", label, told ? "" : " issuer=", told ? "" : fed->issuer);
    }
}

static void print_keys(const out_t *out, const m2_keyring_t *ring)
{
    const m2_keyset_t *set = ring ? m2_keyring_enter(ring) : NULL;
    int i;

    for (i = 0; set && i < set->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *);
        line(out, "key kid=%s kty=%s bits=%d algorithms=\"%s\"", jwk->kid ? jwk->kid : "-",
             jwk->kty, jwk->bits, m2_jwk_alg_names(out->pool, jwk));
    }
    if (!ring) {
        line(out, "no keys: no token is looked for");
        return;
    }
    m2_keyring_leave(ring);
    print_key_sources(out, m2_feed_sources(m2_keyring_feed(ring)));
}

static void print_mapping(const out_t *out, const m2_mapping_t *mapping)
{
    int i;

    for (i = 0; mapping && i < mapping->targets->nelts; i++) {
        const m2_target_t *target = &APR_ARRAY_IDX(mapping->targets, i, m2_target_t);
        line(out, "M2MClaim %s %s:%s%s", word(out, target->claim), m2_place_word(target->place),
             target->name, m2_target_options(out->pool, target));
    }
}

static void print_rule(const out_t *out, const m2_rule_t *rule)
{
    static const char *const actions[] = { "", "ALLOW", "DENY" };

    ROWS(actions, M2_ACTION_DENY);
    line(out, "M2MRule %s%s%s%s%s statusCode=%d%s%s%s", rule->name,
         rule->if_true ? " ifTrue=" : "", actions[rule->if_true],
         rule->if_false ? " ifFalse=" : "", actions[rule->if_false], rule->status,
         rule->message ? " errorMessage=..." : "", rule->body ? " responseBody=..." : "",
         rule->shadow ? " shadow" : "");
}

static void print_rules(const out_t *out, const m2_rules_t *rules)
{
    int i;

    if (!rules) {
        line(out, "no rules");
        return;
    }
    for (i = 0; i < rules->params->list->nelts; i++) {
        const m2_param_t *param = &APR_ARRAY_IDX(rules->params->list, i, m2_param_t);

        line(out, "M2MParameter %s %s", param->name, m2_param_text(out->pool, param));
    }
    for (i = 0; i < rules->rules->nelts; i++) {
        print_rule(out, APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *));
    }
    line(out, "M2MDefaultAction %s",
         rules->default_action == M2_ACTION_DENY ? "DENY" : "ALLOW");
}

/* what an operation needs, as M2MOperation says it; a bar stands between alternatives */
static const char *needs_text(const out_t *out, const m2_operation_t *op)
{
    const char *text = op->is_public ? " public" : "";
    int i, j;

    for (i = 0; !op->is_public && op->alternatives && i < op->alternatives->nelts; i++) {
        const apr_array_header_t *way = APR_ARRAY_IDX(op->alternatives, i,
                                                      const apr_array_header_t *);

        text = apr_pstrcat(out->pool, text, i ? " |" : "", NULL);
        for (j = 0; j < way->nelts; j++) {
            text = apr_pstrcat(out->pool, text, j ? " " : " scope=",
                               word(out, APR_ARRAY_IDX(way, j, const char *)), NULL);
        }
    }
    return text;
}

static void print_operations(const out_t *out, const m2mgw_effective_t *e)
{
    static const char *const unknowns[] = { "Deny", "NotFound", "Pass" };
    int i;

    ROWS(unknowns, M2MGW_UNKNOWN_PASS);
    if (!e->operations) {
        return;
    }
    for (i = 0; i < m2_operations_count(e->operations->table); i++) {
        const m2_operation_t *op = m2_operations_at(e->operations->table, i);

        line(out, "M2MOperation %s %s name=%s%s", op->method, word(out, op->written),
             word(out, op->name), needs_text(out, op));
    }
    for (i = 0; i < m2_operations_bare(e->operations->table)->nelts; i++) {
        line(out, "# %s takes no method",
             APR_ARRAY_IDX(m2_operations_bare(e->operations->table), i, const char *));
    }
    line(out, "M2MOperationUnknown %s", unknowns[e->operation_unknown]);
    line(out, "M2MPreflight %s", e->dir->preflight == 1 ? "Pass" : "Deny");
}

/* --- limits --- */

static const char *rate_text(const out_t *out, const m2_limit_rate_t *rate)
{
    return apr_psprintf(out->pool, "%u/%us", rate->count, rate->window);
}

static const char *key_text(const out_t *out, const m2_limits_t *limits,
                            const m2_limit_t *limit)
{
    const char *text = limit->key->nelts ? "" : "*";
    int i;

    for (i = 0; i < limit->key->nelts; i++) {
        text = apr_pstrcat(out->pool, text, i ? "," : "",
                           APR_ARRAY_IDX(limits->scope->params->list,
                                         APR_ARRAY_IDX(limit->key, i, int), m2_param_t).name,
                           NULL);
    }
    return text;
}

static void print_limit(const out_t *out, const m2_limits_t *limits, const m2_limit_t *limit)
{
    apr_hash_index_t *i;

    line(out, "M2MLimit %s %s %s%s%s%s", limit->name, key_text(out, limits, limit),
         limit->rate ? rate_text(out, limit->rate) : "(special values only)",
         limit->rate ? apr_psprintf(out->pool, " burst=%u", limit->rate->burst) : "",
         limit->null_denies ? " null=deny" : "", limit->shadow ? " shadow" : "");
    for (i = limit->specials ? apr_hash_first(out->pool, limit->specials) : NULL; i;
         i = apr_hash_next(i)) {
        line(out, "  special=%s:%s", word(out, apr_hash_this_key(i)),
             rate_text(out, apr_hash_this_val(i)));
    }
}

static void print_limits(const out_t *out, const m2mgw_effective_t *e)
{
    int i;

    for (i = 0; e->limits && i < e->limits->list->nelts; i++) {
        print_limit(out, e->limits, APR_ARRAY_IDX(e->limits->list, i, const m2_limit_t *));
    }
    line(out, "M2MLimitHeaders %s", on_off(e->dir->limit_headers != 0));
}

/* --- a policy --- */

static void print_claims_policy(const out_t *out, const m2_policy_t *policy)
{
    const m2_claims_policy_t *claims = &policy->claims;
    int i;

    line(out, "M2MAlgorithms %s", m2_alg_mask_names(out->pool, policy->algs));
    list(out, "M2MIssuer", both_lists(out->pool, claims->issuers, claims->bound));
    list(out, "M2MAudience", claims->audiences);
    list(out, "M2MTokenType", policy->types);
    for (i = 0; claims->requires && i < claims->requires->nelts; i++) {
        const m2_require_t *require = &APR_ARRAY_IDX(claims->requires, i, m2_require_t);
        line(out, "M2MRequireClaim %s", word(out, require->name));
        list(out, "  one of", require->values);
    }
    line(out, "M2MLeeway %" APR_INT64_T_FMT, claims->leeway);
    if (claims->max_lifetime) {
        line(out, "M2MMaxLifetime %" APR_INT64_T_FMT, claims->max_lifetime);
    }
    if (claims->scopes) {
        list(out, "M2MScopeClaim", claims->scopes);
    }
    line(out, claims->max_age < 0 ? "M2MMaxAge Off" : "M2MMaxAge %" APR_INT64_T_FMT,
         claims->max_age);
    line(out, "M2MIgnoreExpiration %s", on_off(claims->ignore_expiration));
}

static void print_method_names(const out_t *out, const m2_nameset_t *names)
{
    if (names) {
        list(out, "M2MMethodParameter", m2_nameset_list(out->pool, names));
    }
    else {
        line(out, "M2MMethodParameter _method");
    }
}

static void print_response(const out_t *out, const m2mgw_effective_t *e)
{
    static const char *const traces[] = { "Off", "Propagate", "Generate" };
    const m2mgw_dir_t *dir = e->dir;

    line(out, "M2MPathGuard %s", on_off(dir->path_guard != 0));
    line(out, "M2MDuplicateParameter %s", e->deny_duplicates ? "Deny" : "First");
    print_limits(out, e);
    list(out, "M2MUserClaim", e->policy.user_claims);
    line(out, "M2MFormLimit %" APR_OFF_T_FMT, e->form_limit);
    line(out, "M2MFormOtherBodies %s", dir->form_other == 1 ? "Allow" : "Deny");
    print_method_names(out, dir->method_names);
    line(out, "M2MRealm %s", dir->realm ? word(out, dir->realm) : "(the server's name)");
    line(out, "M2MErrorProfile %s", e->profile == M2MGW_PROFILE_GATEWAY ? "gateway"
                                                                       : "rfc6750");
    line(out, "M2MErrorDocuments %s", e->any_document ? "Any" : "Static");
    line(out, "M2MTraceParent %s", traces[dir->trace_parent == M2_UNSET ? M2MGW_TRACE_OFF
                                                                        : dir->trace_parent]);
    line(out, "M2MStage %s", dir->stage ? word(out, dir->stage) : "RELEASE");
    if (dir->api_name) {
        line(out, "M2MApiName %s", word(out, dir->api_name));
    }
}

static void print_revocation(const out_t *out, const m2mgw_revocation_t *revocation)
{
    int i;

    for (i = 0; revocation && i < revocation->lists->nelts; i++) {
        const m2mgw_list_t *list = APR_ARRAY_IDX(revocation->lists, i, const m2mgw_list_t *);

        if (list->is_url) {
            line(out, "M2MRevocation %s max-stale=%d ttl=%d", m2_url_label(out->pool, list->name),
                 list->max_stale, list->ttl);
        }
        else {
            line(out, "M2MRevocation %s max-stale=%d",
                 word(out, apr_pstrcat(out->pool, "file:", list->name, NULL)), list->max_stale);
        }
    }
}

static void print_certificate(const out_t *out, const m2mgw_certificate_t *certificate)
{
    if (!certificate || !certificate->header) {
        line(out, "M2MClientCertificate ssl");
        return;
    }
    line(out, "M2MClientCertificate header:%s from=%s%s", certificate->header,
         certificate->from_text, certificate->verified ? " verified" : "");
}

static void print_bound(const out_t *out, const m2mgw_effective_t *e)
{
    static const char *const words[] = { "Off", "Auto", "DPoP", "mTLS", "Any" };
    const m2_bound_policy_t *bound = &e->policy.bound;

    ROWS(words, M2_CONSTRAINT_ANY); /* ORDER CONSTRAINT */
    line(out, "M2MSenderConstraint %s", words[bound->constraint]);
    line(out, "M2MDPoP algs=\"%s\" window=%d nonce=%s",
         m2_alg_mask_names(out->pool, bound->proof.algs & m2_proof_algs()),
         bound->proof.window, on_off(bound->proof.nonce));
    list(out, "M2MPublicURL", e->dir->public_urls);
    print_certificate(out, e->dir->certificate);
    if (e->dir->resource) {
        line(out, "M2MResource %s", word(out, e->dir->resource->url));
    }
}

static void print_policy(const out_t *out, const m2mgw_effective_t *e)
{
    static const char *const engines[] = { "Off", "On", "Shadow" };
    static const char *const replays[] = { "Off", "On", "Observe" };
    const m2mgw_dir_t *dir = e->dir;

    ROWS(engines, M2MGW_ENGINE_SHADOW);
    ROWS(replays, M2_REPLAY_OBSERVE);
    line(out, "M2MEngine %s%s", engines[e->engine],
         !e->closed ? "" : dir->checks ? " (without keys: 503)"
                                        : " (without keys, rules or limits: 503)");
    print_sources(out, e->sources);
    line(out, "M2MForwardToken %s", dir->forward_token == M2_UNSET
                                        ? "(from a header only)"
                                        : on_off(dir->forward_token));
    line(out, "M2MBypassEmptyToken %s", on_off(e->policy.bypass_empty));
    print_keys(out, e->policy.keys);
    if (dir->refresh) {
        line(out, "M2MJwksRefresh ttl=%d max-stale=%d timeout=%d cooldown=%d",
             dir->refresh->ttl, dir->refresh->max_stale, dir->refresh->timeout,
             dir->refresh->cooldown);
    }
    line(out, "M2MJwksWait %d", e->jwks_wait);
    print_claims_policy(out, &e->policy);
    line(out, "M2MPreventJtiReplay %s", replays[e->policy.replay]);
    print_revocation(out, dir->revocation);
    print_bound(out, e);
    print_mapping(out, e->policy.mapping);
    print_rules(out, e->policy.rules);
    print_operations(out, e);
    print_response(out, e);
}

const char *m2mgw_cfg_title(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *d = section->where;
    const char *text = NULL;

    for (; d && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0; d = d->parent) {
        text = apr_pstrcat(pool, d->directive, " ", d->args, text ? " " : "", text ? text : "",
                           NULL);
    }
    return text ? text : section->server->is_virtual ? "virtual host" : "server";
}

static void print_section(const out_t *out, const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->where ? section->where : section->first;
    const m2mgw_dir_t *dir = m2mgw_cfg_in_force(out->pool, section);
    m2mgw_effective_t effective;
    const char *host = section->server->server_hostname;

    apr_file_printf(out->file, "%s (%s, %s)\n", m2mgw_cfg_title(out->pool, section),
                    host ? host : "-",
                    m2mgw_cfg_place(out->pool, at));
    if (m2mgw_effective(&effective, dir)) {
        print_policy(out, &effective);
    }
    else {
        line(out, dir->engine == M2MGW_ENGINE_OFF
                      ? "M2MEngine Off"
                      : "not in force by itself: neither keys nor rules, unless a section of "
                        "another kind that matches as well has some");
    }
}

/* --- global directives --- */

static void print_globals(const out_t *out)
{
    const m2mgw_globals_t *globals = m2mgw_globals();
    const m2mgw_jwks_tls_t *tls = &globals->jwks_tls;

    apr_file_printf(out->file, "M2M, whole server\n");
    if (tls->ca || tls->cert || tls->proxy) { /* a proxy's URL may hold a password */
        line(out, "M2MJwksTLS%s%s%s%s%s%s%s", tls->ca ? " ca=" : "", tls->ca ? tls->ca : "",
             tls->cert ? " cert=" : "", tls->cert ? tls->cert : "", tls->key ? " key=" : "",
             tls->key ? tls->key : "", tls->proxy ? " proxy=..." : "");
    }
    line(out, "M2MStateDir %s", globals->state_dir ? word(out, globals->state_dir)
                                                   : "(below the runtime directory)");
    line(out, "M2MFileModes %s", globals->file_modes ? "Check" : "Ignore");
    line(out, "M2MReplayStore %s", m2_replay_describe(out->pool, globals->replay_store));
    line(out, "M2MReplayMaxLifetime %d", globals->replay_max_lifetime);
    line(out, "M2MDPoPNonceKey %s", globals->nonce_key_file
                                        ? word(out, globals->nonce_key_file)
                                        : "(random)");
    line(out, "M2MDPoPStore %s", m2_replay_describe(out->pool,
                                                    m2mgw_cfg_dpop_spec(out->pool)));
    line(out, "M2MLimitStore %s", m2_limit_spec_describe(out->pool, &globals->limit_store));
    line(out, globals->verify_cache ? "M2MVerifyCache entries=%d" : "M2MVerifyCache Off",
         globals->verify_cache);
}

static void print_notices(const out_t *out)
{
    const apr_array_header_t *all = m2mgw_cfg_all_notices(out->pool);
    int i;

    if (all->nelts) {
        apr_file_printf(out->file, "M2M, notices\n");
    }
    for (i = 0; i < all->nelts; i++) {
        line(out, "%s", APR_ARRAY_IDX(all, i, m2mgw_notice_t).text);
    }
}

void m2mgw_cfg_dump(apr_pool_t *pool, server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    out_t out = { NULL, pool };
    int i;

    (void)s;
    if (apr_file_open_stdout(&out.file, pool) != APR_SUCCESS) {
        return;
    }
    print_globals(&out);
    for (i = 0; i < sections->nelts; i++) {
        print_section(&out, APR_ARRAY_IDX(sections, i, m2mgw_section_t *));
    }
    print_notices(&out);
}
