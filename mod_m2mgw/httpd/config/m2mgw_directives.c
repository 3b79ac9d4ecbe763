/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of directives: the name, its handler, the contexts it is allowed in, one sentence
 * about it. In the order of docs/directives.md and conf/m2mgw.conf.
 */
#include "httpd/config/m2mgw_directives.h"
#include "httpd/config/m2mgw_set.h"

#define SECTION (RSRC_CONF | ACCESS_CONF)

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
static const m2mgw_word_t constraint_words[] = {
    { "Off", M2_CONSTRAINT_OFF },   { "Auto", M2_CONSTRAINT_AUTO },
    { "DPoP", M2_CONSTRAINT_DPOP }, { "mTLS", M2_CONSTRAINT_MTLS },
    { "Any", M2_CONSTRAINT_ANY },   { NULL, 0 },
};
static const m2mgw_word_t duplicate_words[] = { { "First", 0 }, { "Deny", 1 }, { NULL, 0 } };
static const m2mgw_word_t unknown_words[] = {
    { "Deny", M2MGW_UNKNOWN_DENY },
    { "NotFound", M2MGW_UNKNOWN_NOT_FOUND },
    { "Pass", M2MGW_UNKNOWN_PASS },
    { NULL, 0 },
};
static const m2mgw_word_t preflight_words[] = { { "Deny", 0 }, { "Pass", 1 }, { NULL, 0 } };
static const m2mgw_word_t profile_words[] = {
    { "rfc6750", M2MGW_PROFILE_RFC6750 },
    { "gateway", M2MGW_PROFILE_GATEWAY },
    { NULL, 0 },
};
static const m2mgw_word_t document_words[] = { { "Static", 0 }, { "Any", 1 }, { NULL, 0 } };
static const m2mgw_word_t other_words[] = { { "Allow", 1 }, { "Deny", 0 }, { NULL, 0 } };
static const m2mgw_word_t scrub_words[] = { { "Host", 1 }, { "Section", 0 }, { NULL, 0 } };
static const m2mgw_word_t trace_words[] = {
    { "Off", M2MGW_TRACE_OFF },
    { "Propagate", M2MGW_TRACE_PROPAGATE },
    { "Generate", M2MGW_TRACE_GENERATE },
    { NULL, 0 },
};
static const m2mgw_word_t age_words[] = { { "Off", M2MGW_MAX_AGE_OFF }, { NULL, 0 } };

/* the member of m2mgw_dir_t that a handler of m2mgw_set_value.c sets */
#define VALUE(member, plugin, words, min, max, unit)                                      \
    ((void *)&(const m2mgw_value_t){ offsetof(m2mgw_dir_t, member), plugin, words, min,    \
                                     max, unit })
#define WORD(member, words) VALUE(member, M2MGW_NO_PLUGIN, words, 0, 0, NULL)
#define JWT_WORD(member, words) VALUE(member, M2MGW_PLUGIN_JWT, words, 0, 0, NULL)
#define NUMBER(member, words, min, max, unit)                                             \
    VALUE(member, M2MGW_NO_PLUGIN, words, min, max, unit)
#define TEXT(member) ((void *)&(const apr_size_t){ offsetof(m2mgw_dir_t, member) })

const command_rec m2mgw_config_commands[] = {
    /* clang-format off */
    AP_INIT_TAKE1("M2MEngine", m2mgw_cfg_value, WORD(engine, engine_words), SECTION,
        "On, Off or Shadow: whether requests here are decided, and whether the decision holds."),
    AP_INIT_RAW_ARGS("M2MToken", m2mgw_cfg_token, NULL, SECTION,
        "Where the token is: one or more of header:NAME, query:NAME, cookie:NAME, form:NAME."),
    AP_INIT_TAKE1("M2MForwardToken", m2mgw_cfg_value, WORD(forward_token, on_off), SECTION,
        "On or Off: whether the backend sees the token."),
    AP_INIT_TAKE1("M2MBypassEmptyToken", m2mgw_cfg_value, JWT_WORD(bypass_empty, on_off), SECTION,
        "On or Off: whether a request without a token goes on unauthenticated."),
    AP_INIT_RAW_ARGS("M2MJwk", m2mgw_cfg_jwk, NULL, SECTION,
        "A key: a JWK as JSON or as NAME=VALUE words, or pem:PATH [kid=KID] [alg=ALGORITHM]; "
        "the latter two take issuer=ISS."),
    AP_INIT_RAW_ARGS("M2MJwks", m2mgw_cfg_jwks, NULL, SECTION,
        "A set of keys: file:PATH, https://URL, or a JSON set, and [issuer=ISS] "
        "[plain-http=Allow]."),
    AP_INIT_RAW_ARGS("M2MIssuerDiscovery", m2mgw_cfg_discovery, NULL, SECTION,
        "URL of the issuer whose metadata names the key set, and [plain-http=Allow]."),
    AP_INIT_RAW_ARGS("M2MJwksRefresh", m2mgw_cfg_refresh, NULL, SECTION,
        "ttl=, max-stale=, timeout=, cooldown= in seconds, for key sets at URLs."),
    AP_INIT_TAKE1("M2MJwksWait", m2mgw_cfg_value,
        NUMBER(jwks_wait, NULL, 0, 3000, "milliseconds"), SECTION,
        "Milliseconds from 0 to 3000 that a request with an unknown kid waits for new keys."),
    AP_INIT_RAW_ARGS("M2MJwksTLS", m2mgw_cfg_jwks_tls, NULL, RSRC_CONF,
        "ca=FILE, cert=FILE, key=FILE, proxy=URL, no-proxy=HOST[,HOST...] for fetching key "
        "sets."),
    AP_INIT_TAKE1("M2MStateDir", m2mgw_cfg_state_dir, NULL, RSRC_CONF,
        "Directory for the last good key sets."),
    AP_INIT_TAKE1("M2MFileModes", m2mgw_cfg_file_modes, NULL, RSRC_CONF,
        "Check or Ignore: whether files that decide are refused when everybody may write them."),
    AP_INIT_RAW_ARGS("M2MAlgorithms", m2mgw_cfg_algorithms, NULL, SECTION,
        "The algorithms tokens may use, of those their key can do."),
    AP_INIT_RAW_ARGS("M2MIssuer", m2mgw_cfg_list, TEXT(issuers), SECTION,
        "One or more values of which claim iss must be one."),
    AP_INIT_RAW_ARGS("M2MAudience", m2mgw_cfg_list, TEXT(audiences), SECTION,
        "One or more values of which claim aud must hold one."),
    AP_INIT_RAW_ARGS("M2MTokenType", m2mgw_cfg_list, TEXT(types), SECTION,
        "One or more values of which header typ must be one."),
    AP_INIT_RAW_ARGS("M2MRequireClaim", m2mgw_cfg_require_claim, NULL, SECTION,
        "A claim that must exist and, where values follow, hold one of them."),
    AP_INIT_RAW_ARGS("M2MScopeClaim", m2mgw_cfg_claim_list, TEXT(scopes), SECTION,
        "The claims that scopes stand in; scope and scp by default."),
    AP_INIT_TAKE1("M2MLeeway", m2mgw_cfg_value,
        NUMBER(leeway, NULL, 0, 86400, "seconds"), SECTION,
        "Seconds of clock difference allowed for exp, nbf and iat."),
    AP_INIT_TAKE1("M2MMaxAge", m2mgw_cfg_value,
        NUMBER(max_age, age_words, 1, 315360000, "seconds"), SECTION,
        "Seconds since iat that a token may be old, or Off."),
    AP_INIT_TAKE1("M2MMaxLifetime", m2mgw_cfg_value,
        NUMBER(max_lifetime, age_words, 1, 315360000, "seconds"), SECTION,
        "Seconds from iat to exp that a token may live, or Off."),
    AP_INIT_TAKE1("M2MIgnoreExpiration", m2mgw_cfg_value,
        JWT_WORD(ignore_expiration, on_off), SECTION,
        "On or Off: whether exp is neither required nor checked."),
    AP_INIT_TAKE1("M2MPreventJtiReplay", m2mgw_cfg_value, JWT_WORD(replay, replay_words), SECTION,
        "On, Off or Observe: whether each jti is accepted once."),
    AP_INIT_RAW_ARGS("M2MReplayStore", m2mgw_cfg_replay_store, NULL, RSRC_CONF,
        "Where used tokens are remembered: shm[:PATH] [entries=N], memcache:HOST:PORT ..., "
        "redis:HOST:PORT."),
    AP_INIT_TAKE1("M2MReplayMaxLifetime", m2mgw_cfg_replay_lifetime, NULL, RSRC_CONF,
        "Seconds a token may live where replay is checked."),
    AP_INIT_RAW_ARGS("M2MRevocation", m2mgw_cfg_revocation, NULL, SECTION,
        "A list of revoked tokens: file:PATH or https://URL, [max-stale=] [ttl=], or none."),
    AP_INIT_TAKE1("M2MSenderConstraint", m2mgw_cfg_value,
        WORD(constraint, constraint_words), SECTION,
        "Off, Auto, DPoP, mTLS or Any: what a token must be bound to, and its sender prove."),
    AP_INIT_RAW_ARGS("M2MDPoP", m2mgw_cfg_dpop, NULL, SECTION,
        "algs=LIST, window=SECONDS, nonce=On|Off: which proofs of possession are accepted."),
    AP_INIT_RAW_ARGS("M2MPublicURL", m2mgw_cfg_public_url, NULL, SECTION,
        "One or more URLs below which clients see this server; proofs are made for them."),
    AP_INIT_TAKE1("M2MDPoPNonceKey", m2mgw_cfg_nonce_key, NULL, RSRC_CONF,
        "File of 32 bytes or more that nonces are made with, the same on all machines."),
    AP_INIT_RAW_ARGS("M2MDPoPStore", m2mgw_cfg_dpop_store, NULL, RSRC_CONF,
        "Where used proofs are remembered: values of M2MReplayStore."),
    AP_INIT_RAW_ARGS("M2MClientCertificate", m2mgw_cfg_certificate, NULL, SECTION,
        "ssl, or header:NAME from=CIDR[,CIDR...] [verified]: where client certificates are."),
    AP_INIT_TAKE1("M2MResource", m2mgw_cfg_resource, NULL, SECTION,
        "URL that names this resource in its metadata (RFC 9728)."),
    AP_INIT_RAW_ARGS("M2MClaim", m2mgw_cfg_claim, NULL, SECTION,
        "A claim and where it goes: query:N, header:N, path:N, form:N, env:N."),
    AP_INIT_TAKE1("M2MScrub", m2mgw_cfg_value, WORD(scrub_where, scrub_words), RSRC_CONF,
        "Host or Section: where headers that claims are mapped to are taken from clients."),
    AP_INIT_RAW_ARGS("M2MParameter", m2mgw_cfg_parameter, NULL, SECTION,
        "A name for rules and the source of its value, such as Token:client_id."),
    AP_INIT_RAW_ARGS("M2MDataset", m2mgw_cfg_dataset, NULL, RSRC_CONF,
        "NAME file:PATH or dbd:\"SQL\" [ttl=] [max-stale=]: values that conditions look into."),
    AP_INIT_RAW_ARGS("M2MRule", m2mgw_cfg_rule, NULL, SECTION,
        "NAME CONDITION [ifTrue=] [ifFalse=] [statusCode=] [errorMessage=] [responseBody=]."),
    AP_INIT_RAW_ARGS("M2MRuleHeader", m2mgw_cfg_rule_header, NULL, SECTION,
        "RULE NAME TEMPLATE: a header of the rule's refusal."),
    AP_INIT_TAKE1("M2MDefaultAction", m2mgw_cfg_default_action, NULL, SECTION,
        "ALLOW or DENY: what happens to a request that no rule decided."),
    AP_INIT_TAKE1("M2MPath", m2mgw_cfg_path, NULL, SECTION,
        "Template of the paths here, such as /users/{userId}/*, for Path:NAME."),
    AP_INIT_TAKE1("M2MPathGuard", m2mgw_cfg_value, WORD(path_guard, on_off), SECTION,
        "On or Off: whether paths that a backend could read as another section's are refused."),
    AP_INIT_RAW_ARGS("M2MOpenAPI", m2mgw_cfg_openapi, NULL, SECTION,
        "An OpenAPI document: FILE [base=PATH] [scheme=NAME,...] [unknown=Deny|NotFound|Pass]."),
    AP_INIT_RAW_ARGS("M2MOperation", m2mgw_cfg_operation, NULL, SECTION,
        "An operation: METHOD[,METHOD...] TEMPLATE [scope=S ...] [name=ID] [public]."),
    AP_INIT_TAKE1("M2MOperationUnknown", m2mgw_cfg_value,
        WORD(operation_unknown, unknown_words), SECTION,
        "Deny, NotFound or Pass: what becomes of a request that no operation describes."),
    AP_INIT_TAKE1("M2MPreflight", m2mgw_cfg_value, WORD(preflight, preflight_words), SECTION,
        "Deny or Pass: whether a CORS preflight of a described operation needs no token."),
    AP_INIT_TAKE1("M2MDuplicateParameter", m2mgw_cfg_value,
        WORD(duplicates, duplicate_words), SECTION,
        "First or Deny: what a name with several differing values means to rules."),
    AP_INIT_RAW_ARGS("M2MLimit", m2mgw_cfg_limit, NULL, SECTION,
        "NAME KEY COUNT/WINDOW [burst=] [null=] [when=] [special=] [shadow], or none: how many "
        "requests of one key pass."),
    AP_INIT_TAKE1("M2MLimitHeaders", m2mgw_cfg_value, WORD(limit_headers, on_off), SECTION,
        "On or Off: whether answers tell what is left of limits."),
    AP_INIT_RAW_ARGS("M2MLimitStore", m2mgw_cfg_limit_store, NULL, RSRC_CONF,
        "Where the buckets of limits are kept: shm [entries=N], or Redis with nodes=N [lease=]."),
    AP_INIT_RAW_ARGS("M2MUserClaim", m2mgw_cfg_list, TEXT(user_claims), SECTION,
        "Claims of which the first present one becomes the user."),
    AP_INIT_TAKE1("M2MVerifyCache", m2mgw_cfg_verify_cache, NULL, RSRC_CONF,
        "entries=N per child process, or Off: how many verified tokens are remembered."),
    AP_INIT_TAKE1("M2MRecentRefusals", m2mgw_cfg_recent_refusals, NULL, RSRC_CONF,
        "How many refusals the status page remembers, or Off."),
    AP_INIT_RAW_ARGS("M2MDecisionLog", m2mgw_cfg_decision_log, NULL, RSRC_CONF,
        "FILE or \"|PROGRAM\" [what=refused|all] [format=json|text], or Off."),
    AP_INIT_TAKE1("M2MFormLimit", m2mgw_cfg_form_limit, NULL, SECTION,
        "Bytes of a form that may be read for a token or a parameter."),
    AP_INIT_TAKE1("M2MFormOtherBodies", m2mgw_cfg_value, WORD(form_other, other_words), SECTION,
        "Deny or Allow: bodies of other types where claims go into a form."),
    AP_INIT_RAW_ARGS("M2MMethodParameter", m2mgw_cfg_method_parameter, NULL, SECTION,
        "Parameters by which frameworks take another method than the request's, or None."),
    AP_INIT_TAKE1("M2MRealm", m2mgw_cfg_text, TEXT(realm), SECTION,
        "Realm of the WWW-Authenticate challenge."),
    AP_INIT_TAKE1("M2MErrorProfile", m2mgw_cfg_value, WORD(profile, profile_words), SECTION,
        "rfc6750 or gateway: statuses and bodies of refusals."),
    AP_INIT_TAKE1("M2MErrorDocuments", m2mgw_cfg_value,
        WORD(any_document, document_words), SECTION,
        "Static or Any: whether an ErrorDocument for a refusal may be more than a file."),
    AP_INIT_TAKE1("M2MTraceParent", m2mgw_cfg_value, WORD(trace_parent, trace_words), SECTION,
        "Off, Propagate or Generate: what becomes of the request header traceparent."),
    AP_INIT_TAKE1("M2MStage", m2mgw_cfg_text, TEXT(stage), SECTION,
        "Value of $CaStage in rules."),
    AP_INIT_TAKE1("M2MApiName", m2mgw_cfg_text, TEXT(api_name), SECTION,
        "Value of $CaApiName in rules."),
    AP_INIT_TAKE2("M2MPlugin", m2mgw_cfg_plugin, NULL, SECTION,
        "jwtAuth, accessControl or trafficControl, and a gateway plugin file of that kind."),
    { NULL, { NULL }, NULL, 0, RAW_ARGS, NULL }
    /* clang-format on */
};
