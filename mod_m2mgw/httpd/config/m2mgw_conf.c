/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Configuration records: made, merged, resolved, and the table of directives. Merging
 * happens while requests are served, so it only picks pointers and numbers. Members stand in
 * the order of mod_m2mgw.h, directives in the order of docs/directives.md and
 * conf/m2mgw.conf.
 */
#include "httpd/config/m2mgw_section.h"

#define SECTION (RSRC_CONF | ACCESS_CONF)

#define DEFAULT_LEEWAY 60
#define DEFAULT_FORM_LIMIT 65536

/* --- create and merge --- */

void *m2mgw_config_dir_create(apr_pool_t *pool, char *path)
{
    m2mgw_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    (void)path;
    dir->engine = M2MGW_ENGINE_UNSET;
    dir->sources = NULL;
    dir->forward_token = M2_UNSET;
    dir->bypass_empty = M2_UNSET;
    dir->keys = NULL;
    dir->refresh = NULL;
    dir->jwks_wait = M2_UNSET;
    dir->algs = 0;
    dir->issuers = NULL;
    dir->audiences = NULL;
    dir->types = NULL;
    dir->requires = NULL;
    dir->leeway = M2_UNSET;
    dir->max_age = M2_UNSET;
    dir->ignore_expiration = M2_UNSET;
    dir->replay = M2_UNSET;
    dir->mapping = NULL;
    dir->rules = NULL;
    dir->duplicates = M2_UNSET;
    dir->user_claims = NULL;
    dir->form_limit = M2_UNSET;
    dir->realm = NULL;
    dir->profile = M2MGW_PROFILE_UNSET;
    dir->stage = NULL;
    dir->api_name = NULL;
    dir->section = NULL;
    return dir;
}

static int merge_int(int inner, int outer)
{
    return inner != M2_UNSET ? inner : outer;
}

#define merge_ptr(inner, outer) ((inner) ? (inner) : (outer))

void *m2mgw_config_dir_merge(apr_pool_t *pool, void *base, void *add)
{
    const m2mgw_dir_t *outer = base, *inner = add;
    m2mgw_dir_t *dir = apr_pcalloc(pool, sizeof(*dir));

    dir->engine = inner->engine != M2MGW_ENGINE_UNSET ? inner->engine : outer->engine;
    dir->sources = merge_ptr(inner->sources, outer->sources);
    dir->forward_token = merge_int(inner->forward_token, outer->forward_token);
    dir->bypass_empty = merge_int(inner->bypass_empty, outer->bypass_empty);
    dir->keys = merge_ptr(inner->keys, outer->keys);
    dir->refresh = merge_ptr(inner->refresh, outer->refresh);
    dir->jwks_wait = merge_int(inner->jwks_wait, outer->jwks_wait);
    dir->algs = inner->algs ? inner->algs : outer->algs;
    dir->issuers = merge_ptr(inner->issuers, outer->issuers);
    dir->audiences = merge_ptr(inner->audiences, outer->audiences);
    dir->types = merge_ptr(inner->types, outer->types);
    dir->requires = merge_ptr(inner->requires, outer->requires);
    dir->leeway = merge_int(inner->leeway, outer->leeway);
    dir->max_age = merge_int(inner->max_age, outer->max_age);
    dir->ignore_expiration = merge_int(inner->ignore_expiration, outer->ignore_expiration);
    dir->replay = merge_int(inner->replay, outer->replay);
    dir->mapping = merge_ptr(inner->mapping, outer->mapping);
    dir->rules = merge_ptr(inner->rules, outer->rules);
    dir->duplicates = merge_int(inner->duplicates, outer->duplicates);
    dir->user_claims = merge_ptr(inner->user_claims, outer->user_claims);
    dir->form_limit = inner->form_limit != M2_UNSET ? inner->form_limit : outer->form_limit;
    dir->realm = merge_ptr(inner->realm, outer->realm);
    dir->profile = inner->profile != M2MGW_PROFILE_UNSET ? inner->profile : outer->profile;
    dir->stage = merge_ptr(inner->stage, outer->stage);
    dir->api_name = merge_ptr(inner->api_name, outer->api_name);
    dir->section = merge_ptr(inner->section, outer->section);
    return dir;
}

/* What a virtual host needs is worked out from all sections once they have been read
 * (m2mgw_config_check); until then there is nothing to inherit. */
void *m2mgw_config_server_create(apr_pool_t *pool, server_rec *s)
{
    m2mgw_server_t *server = apr_pcalloc(pool, sizeof(*server));

    (void)s;
    server->query_names = apr_array_make(pool, 2, sizeof(const char *));
    return server;
}

void *m2mgw_config_server_merge(apr_pool_t *pool, void *base, void *add)
{
    (void)base;
    (void)add;
    return m2mgw_config_server_create(pool, NULL);
}

/* --- what is in force --- */

#define LIST(elts) { NULL, sizeof((elts)[0]), sizeof(elts) / sizeof((elts)[0]), \
                     sizeof(elts) / sizeof((elts)[0]), (char *)(elts) }

static m2_token_source_t source_elts[] = { { M2_TOKEN_HEADER, "Authorization" } };
static apr_array_header_t source_list = LIST(source_elts);
static const m2mgw_sources_t default_sources = { &source_list };

static const char *user_elts[] = { "client_id", "azp", "sub" };
static const apr_array_header_t default_user_claims = LIST(user_elts);

static void resolve_claims(m2_claims_policy_t *claims, const m2mgw_dir_t *dir)
{
    claims->issuers = dir->issuers;
    claims->audiences = dir->audiences;
    claims->requires = dir->requires;
    claims->leeway = dir->leeway != M2_UNSET ? dir->leeway : DEFAULT_LEEWAY;
    claims->max_age = dir->max_age >= 0 ? dir->max_age : -1;
    claims->ignore_expiration = dir->ignore_expiration == 1;
    claims->need_exp = dir->replay == M2_REPLAY_ON;
}

/* In Shadow a token is only recorded as used, since a caller who is let through must not
 * be the one to spend it. */
static m2_replay_use_t resolve_replay(const m2mgw_dir_t *dir)
{
    if (dir->replay == M2_UNSET) {
        return M2_REPLAY_OFF;
    }
    return dir->replay == M2_REPLAY_ON && dir->engine == M2MGW_ENGINE_SHADOW
               ? M2_REPLAY_OBSERVE
               : (m2_replay_use_t)dir->replay;
}

static void resolve_policy(m2_policy_t *policy, const m2mgw_dir_t *dir)
{
    policy->keys = dir->keys;
    policy->algs = dir->algs ? dir->algs : ~(m2_alg_mask_t)0;
    policy->types = dir->types;
    resolve_claims(&policy->claims, dir);
    policy->user_claims = dir->user_claims ? dir->user_claims : &default_user_claims;
    policy->mapping = dir->mapping;
    policy->rules = dir->rules;
    policy->bypass_empty = dir->bypass_empty == 1;
    policy->replay = resolve_replay(dir);
}

int m2mgw_effective(m2mgw_effective_t *effective, const m2mgw_dir_t *dir)
{
    int protects = dir && (dir->keys || dir->rules);

    memset(effective, 0, sizeof(*effective));
    if (!dir || dir->engine == M2MGW_ENGINE_OFF
        || (dir->engine == M2MGW_ENGINE_UNSET && !protects)) {
        return 0;
    }
    effective->dir = dir;
    effective->engine = dir->engine == M2MGW_ENGINE_UNSET ? M2MGW_ENGINE_ON : dir->engine;
    resolve_policy(&effective->policy, dir);
    effective->orphan = !protects;
    effective->sources = dir->sources ? dir->sources : &default_sources;
    effective->deny_duplicates = dir->duplicates != M2_UNSET ? dir->duplicates
                                 : dir->rules ? dir->rules->deny_duplicates : 1;
    effective->form_limit = dir->form_limit != M2_UNSET ? dir->form_limit
                                                        : DEFAULT_FORM_LIMIT;
    effective->jwks_wait = dir->jwks_wait != M2_UNSET ? dir->jwks_wait : 0;
    effective->profile = dir->profile != M2MGW_PROFILE_UNSET ? dir->profile
                                                             : M2MGW_PROFILE_RFC6750;
    return 1;
}

/* --- directives --- */

static const m2mgw_word_t on_off[] = { { "On", 1 }, { "Off", 0 }, { NULL, 0 } };
static const m2mgw_word_t engine_words[] = {
    { "On", M2MGW_ENGINE_ON },
    { "Off", M2MGW_ENGINE_OFF },
    { "Shadow", M2MGW_ENGINE_SHADOW },
    { NULL, 0 },
};
static const m2mgw_word_t replay_words[] = {
    { "On", M2_REPLAY_ON },
    { "Off", M2_REPLAY_OFF },
    { "Observe", M2_REPLAY_OBSERVE },
    { NULL, 0 },
};
static const m2mgw_word_t duplicate_words[] = { { "First", 0 }, { "Deny", 1 }, { NULL, 0 } };
static const m2mgw_word_t profile_words[] = {
    { "rfc6750", M2MGW_PROFILE_RFC6750 },
    { "gateway", M2MGW_PROFILE_GATEWAY },
    { NULL, 0 },
};
static const m2mgw_word_t age_words[] = { { "Off", M2MGW_MAX_AGE_OFF }, { NULL, 0 } };

#define AT(member) offsetof(m2mgw_dir_t, member)

static const m2mgw_value_t engine = { AT(engine), M2MGW_NO_PLUGIN, engine_words, 0, 0, NULL };
static const m2mgw_value_t forward = { AT(forward_token), M2MGW_NO_PLUGIN, on_off, 0, 0, NULL };
static const m2mgw_value_t bypass = { AT(bypass_empty), M2MGW_PLUGIN_JWT, on_off, 0, 0, NULL };
static const m2mgw_value_t jwks_wait = { AT(jwks_wait), M2MGW_NO_PLUGIN, NULL, 0, 3000,
                                         "milliseconds" };
static const m2mgw_value_t leeway = { AT(leeway), M2MGW_NO_PLUGIN, NULL, 0, 86400, "seconds" };
static const m2mgw_value_t max_age = { AT(max_age), M2MGW_NO_PLUGIN, age_words, 1, 315360000,
                                       "seconds" };
static const m2mgw_value_t ignore = { AT(ignore_expiration), M2MGW_PLUGIN_JWT, on_off, 0, 0,
                                      NULL };
static const m2mgw_value_t replay = { AT(replay), M2MGW_PLUGIN_JWT, replay_words, 0, 0, NULL };
static const m2mgw_value_t duplicate = { AT(duplicates), M2MGW_NO_PLUGIN, duplicate_words, 0,
                                         0, NULL };
static const m2mgw_value_t profile = { AT(profile), M2MGW_NO_PLUGIN, profile_words, 0, 0,
                                       NULL };

static const apr_size_t issuers = AT(issuers), audiences = AT(audiences), types = AT(types),
                        user_claims = AT(user_claims), realm = AT(realm), stage = AT(stage),
                        api_name = AT(api_name);

#define INFO(value) ((void *)&(value))

const command_rec m2mgw_config_commands[] = {
    /* clang-format off */
    AP_INIT_TAKE1("M2MEngine", m2mgw_cfg_value, INFO(engine), SECTION,
        "On, Off or Shadow: whether requests here are decided, and whether the decision holds."),
    AP_INIT_RAW_ARGS("M2MToken", m2mgw_cfg_token, NULL, SECTION,
        "Where the token is: one or more of header:NAME, query:NAME, cookie:NAME, form:NAME."),
    AP_INIT_TAKE1("M2MForwardToken", m2mgw_cfg_value, INFO(forward), SECTION,
        "On or Off: whether the backend sees the token."),
    AP_INIT_TAKE1("M2MBypassEmptyToken", m2mgw_cfg_value, INFO(bypass), SECTION,
        "On or Off: whether a request without a token goes on unauthenticated."),
    AP_INIT_RAW_ARGS("M2MJwk", m2mgw_cfg_jwk, NULL, SECTION,
        "A key: a JWK as JSON or as NAME=VALUE words, or pem:PATH [kid=KID] [alg=ALGORITHM]."),
    AP_INIT_RAW_ARGS("M2MJwks", m2mgw_cfg_jwks, NULL, SECTION,
        "A set of keys: file:PATH, https://URL, or a JSON set."),
    AP_INIT_TAKE1("M2MIssuerDiscovery", m2mgw_cfg_discovery, NULL, SECTION,
        "URL of the issuer whose metadata names the key set."),
    AP_INIT_RAW_ARGS("M2MJwksRefresh", m2mgw_cfg_refresh, NULL, SECTION,
        "ttl=, max-stale=, timeout=, cooldown= in seconds, for key sets at URLs."),
    AP_INIT_TAKE1("M2MJwksWait", m2mgw_cfg_value, INFO(jwks_wait), SECTION,
        "Milliseconds from 0 to 3000 that a request with an unknown kid waits for new keys."),
    AP_INIT_RAW_ARGS("M2MJwksTLS", m2mgw_cfg_jwks_tls, NULL, RSRC_CONF,
        "ca=FILE, cert=FILE, key=FILE, proxy=URL for fetching key sets."),
    AP_INIT_TAKE1("M2MStateDir", m2mgw_cfg_state_dir, NULL, RSRC_CONF,
        "Directory for the last good key sets."),
    AP_INIT_RAW_ARGS("M2MAlgorithms", m2mgw_cfg_algorithms, NULL, SECTION,
        "The algorithms tokens may use, of those their key can do."),
    AP_INIT_RAW_ARGS("M2MIssuer", m2mgw_cfg_list, INFO(issuers), SECTION,
        "One or more values of which claim iss must be one."),
    AP_INIT_RAW_ARGS("M2MAudience", m2mgw_cfg_list, INFO(audiences), SECTION,
        "One or more values of which claim aud must hold one."),
    AP_INIT_RAW_ARGS("M2MTokenType", m2mgw_cfg_list, INFO(types), SECTION,
        "One or more values of which header typ must be one."),
    AP_INIT_RAW_ARGS("M2MRequireClaim", m2mgw_cfg_require_claim, NULL, SECTION,
        "A claim that must exist and, where values follow, hold one of them."),
    AP_INIT_TAKE1("M2MLeeway", m2mgw_cfg_value, INFO(leeway), SECTION,
        "Seconds of clock difference allowed for exp, nbf and iat."),
    AP_INIT_TAKE1("M2MMaxAge", m2mgw_cfg_value, INFO(max_age), SECTION,
        "Seconds since iat that a token may be old, or Off."),
    AP_INIT_TAKE1("M2MIgnoreExpiration", m2mgw_cfg_value, INFO(ignore), SECTION,
        "On or Off: whether exp is neither required nor checked."),
    AP_INIT_TAKE1("M2MPreventJtiReplay", m2mgw_cfg_value, INFO(replay), SECTION,
        "On, Off or Observe: whether each jti is accepted once."),
    AP_INIT_RAW_ARGS("M2MReplayStore", m2mgw_cfg_replay_store, NULL, RSRC_CONF,
        "Where used tokens are remembered: shm[:PATH] [entries=N], memcache:HOST:PORT ..., "
        "redis:HOST:PORT."),
    AP_INIT_TAKE1("M2MReplayMaxLifetime", m2mgw_cfg_replay_lifetime, NULL, RSRC_CONF,
        "Seconds a token may live where replay is checked."),
    AP_INIT_RAW_ARGS("M2MClaim", m2mgw_cfg_claim, NULL, SECTION,
        "A claim and where it goes: query:N, header:N, path:N, form:N, env:N."),
    AP_INIT_RAW_ARGS("M2MParameter", m2mgw_cfg_parameter, NULL, SECTION,
        "A name for rules and the source of its value, such as Token:client_id."),
    AP_INIT_RAW_ARGS("M2MRule", m2mgw_cfg_rule, NULL, SECTION,
        "NAME CONDITION [ifTrue=] [ifFalse=] [statusCode=] [errorMessage=] [responseBody=]."),
    AP_INIT_RAW_ARGS("M2MRuleHeader", m2mgw_cfg_rule_header, NULL, SECTION,
        "RULE NAME TEMPLATE: a header of the rule's refusal."),
    AP_INIT_TAKE1("M2MDefaultAction", m2mgw_cfg_default_action, NULL, SECTION,
        "ALLOW or DENY: what happens to a request that no rule decided."),
    AP_INIT_TAKE1("M2MPath", m2mgw_cfg_path, NULL, SECTION,
        "Template of the paths here, such as /users/{userId}/*, for Path:NAME."),
    AP_INIT_TAKE1("M2MDuplicateParameter", m2mgw_cfg_value, INFO(duplicate), SECTION,
        "First or Deny: what a name with several differing values means to rules."),
    AP_INIT_RAW_ARGS("M2MUserClaim", m2mgw_cfg_list, INFO(user_claims), SECTION,
        "Claims of which the first present one becomes the user."),
    AP_INIT_TAKE1("M2MVerifyCache", m2mgw_cfg_verify_cache, NULL, RSRC_CONF,
        "entries=N per child process, or Off: how many verified tokens are remembered."),
    AP_INIT_TAKE1("M2MFormLimit", m2mgw_cfg_form_limit, NULL, SECTION,
        "Bytes of a form that may be read for a token or a parameter."),
    AP_INIT_TAKE1("M2MRealm", m2mgw_cfg_text, INFO(realm), SECTION,
        "Realm of the WWW-Authenticate challenge."),
    AP_INIT_TAKE1("M2MErrorProfile", m2mgw_cfg_value, INFO(profile), SECTION,
        "rfc6750 or gateway: statuses and bodies of refusals."),
    AP_INIT_TAKE1("M2MStage", m2mgw_cfg_text, INFO(stage), SECTION,
        "Value of $CaStage in rules."),
    AP_INIT_TAKE1("M2MApiName", m2mgw_cfg_text, INFO(api_name), SECTION,
        "Value of $CaApiName in rules."),
    AP_INIT_TAKE2("M2MPlugin", m2mgw_cfg_plugin, NULL, SECTION,
        "jwtAuth or accessControl, and a gateway plugin file of that kind."),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
    /* clang-format on */
};

int m2mgw_config_pre(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)plog;
    (void)ptemp;
    m2mgw_cfg_reset(pconf);
    return OK;
}
