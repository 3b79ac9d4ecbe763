/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl explain: the decision on one request, step by step. The steps are taken with the
 * functions the gate takes them with and in its order; the verdict at the end is the
 * gate's own. Texts never hold the token.
 */
#include "ctl/m2mctl_verb.h"

#include "revocation/m2_revocations.h"
#include "token/m2_verify.h"

#include <stdio.h>

typedef struct explain_t {
    m2mctl_policy_t policy;
    m2mctl_request_t request;
    m2mctl_guard_t guard;
    const char *token_file, *access, *rules, *path;
} explain_t;

/* clang-format off */
#define SLOT(member) offsetof(explain_t, member)
static const m2mctl_option_t explain_options[] = {
    { "access-control", M2MCTL_TEXT, SLOT(access), "FILE", "an accessControl script" },
    { "rules",      M2MCTL_TEXT, SLOT(rules), "FILE", "M2MParameter, M2MRule ... lines" },
    { "path",       M2MCTL_TEXT, SLOT(path), "TEMPLATE", "M2MPath for a script" },
    { "section",    M2MCTL_LIST, SLOT(guard.sections), "PATH[=Off|Shadow]", "a <Location> with "
                                     "directives of the module or a Require, for M2MPathGuard" },
    { "path-guard", M2MCTL_TEXT, SLOT(guard.guard), "On|Off", "M2MPathGuard, default On" },
    { "nocanon",    M2MCTL_FLAG, SLOT(guard.nocanon), NULL, "the raw path goes to the backend" },
    { "token-file", M2MCTL_TEXT, SLOT(token_file), "FILE", "the token; default: the one in "
                                                           "the request" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* one explanation in the making */
typedef struct story_t {
    m2mctl_t *ctl;
    apr_pool_t *pool;
    const m2mctl_force_t *force;
    m2mctl_facts_t *request;
    m2_slice_t token;
    m2_verdict_t verdict;
    m2_code_t found;             /* what the search for the token came to */
    m2_err_t why;
    m2_json_t *steps;
} story_t;

/* --- telling --- */

/* a text as it may be shown: no control bytes, and valid UTF-8 */
static const char *shown(apr_pool_t *pool, m2_slice_t text)
{
    const char *plain = m2_slice_dup(pool, text);
    m2_json_t *probe = m2_json_make(pool);
    char *out = apr_palloc(pool, text.n * 4 + 1), *p = out;
    apr_size_t i;
    int valid;

    m2_json_set_string(probe, "v", plain);
    valid = m2_json_get(probe, "v") != NULL && strlen(plain) == text.n;
    for (i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !valid)) {
            p += apr_snprintf(p, 5, "\\x%02x", c);
        }
        else {
            *p++ = (char)c;
        }
    }
    *p = '\0';
    return out;
}

static const char *value_words(const story_t *s, m2_slice_t value)
{
    if (!value.p) {
        return "null";
    }
    return s->token.n && memmem(value.p, value.n, s->token.p, s->token.n)
               ? "[redacted]"
               : apr_pstrcat(s->pool, "\"", shown(s->pool, value), "\"", NULL);
}

static void tell(story_t *s, const char *step, int ok, const char *text)
{
    m2_json_t *json = m2_json_make(s->pool);

    if (!s->ctl->json) {
        printf("%-4s%-11s %s\n", ok ? "ok" : "NO", step,
               m2mctl_plain(s->pool, text));
        return;
    }
    m2_json_set_string(json, "step", step);
    m2_json_set_bool(json, "ok", ok);
    m2_json_set_string(json, "text", text);
    m2_json_append(s->steps, json);
}

/* --- the token, step by step --- */

static int failed(story_t *s, const char *step, m2_code_t code, const m2_err_t *err)
{
    if (code) {
        tell(s, step, 0, err->text ? err->text : m2_reason_of(code)->text);
    }
    return code != M2_OK;
}

static const char *time_words(const story_t *s, const char *name, int has, double seconds)
{
    double in = seconds - (double)apr_time_sec(s->force->now);

    return has ? apr_psprintf(s->pool, "%s %.0f (%.0f s %s) ", name, seconds,
                              in < 0 ? -in : in, in < 0 ? "ago" : "ahead")
               : "";
}

static void tell_times(story_t *s, const m2_times_t *t)
{
    const m2_claims_policy_t *claims = &s->force->policy.claims;
    const char *text = apr_pstrcat(s->pool, time_words(s, "exp", t->has_exp, t->exp),
                                   time_words(s, "nbf", t->has_nbf, t->nbf),
                                   time_words(s, "iat", t->has_iat, t->iat), NULL);

    tell(s, "times", 1,
         apr_psprintf(s->pool, "%sleeway %" APR_INT64_T_FMT " s%s", text, claims->leeway,
                      claims->ignore_expiration ? ", exp is ignored" : ""));
}

static void tell_claims(story_t *s)
{
    const m2_claims_policy_t *claims = &s->force->policy.claims;

    tell(s, "claims", 1,
         apr_psprintf(s->pool, "issuer %s, audience %s, %d required claims",
                      claims->issuers->nelts ? "fits" : "is not checked",
                      claims->audiences->nelts ? "fits" : "is not checked",
                      claims->requires->nelts));
}

static int tell_jti(story_t *s, int has)
{
    tell(s, "jti", has, has ? "is there; whether it was used before is known to the gateway only"
                            : "is not there");
    return has;
}

static void step_revocation(story_t *s, const m2_json_t *json, m2_slice_t kid, m2_err_t *err)
{
    const m2_keyring_t *ring = s->force->policy.revocation;

    if (ring
        && !failed(s, "revocation", m2_revocations_check(ring, s->pool, json, kid, err), err)) {
        tell(s, "revocation", 1, "no list names it");
    }
}

static void step_claims(story_t *s, const m2_json_t *json, m2_slice_t kid, m2_err_t *err)
{
    m2_claims_policy_t claims = s->force->policy.claims;
    int replay = s->force->policy.replay == M2_REPLAY_ON;
    m2_times_t times;

    claims.need_exp |= replay;
    if (failed(s, "times", m2_times_read(&times, json, &claims, err), err) ||
        failed(s, "claims", m2_claims_check(json, &claims, err), err)) {
        return;
    }
    tell_claims(s);
    if (replay && !tell_jti(s, m2_json_string(m2_json_get(json, "jti")).n > 0)) {
        return;
    }
    if (!failed(s, "times", m2_times_check(&times, &claims, s->force->now, err), err)) {
        tell_times(s, &times);
        step_revocation(s, json, kid, err);
    }
}

static void step_token(story_t *s)
{
    const m2_policy_t *policy = &s->force->policy;
    const m2_jwk_t *jwk;
    const m2_json_t *claims;
    m2_jws_t jws;
    m2_err_t err;
    int tries;

    memset(&jws, 0, sizeof(jws));
    m2_err_init(&err, s->pool);
    if (failed(s, "form", m2_jws_split(&jws, s->token, &err), &err) ||
        failed(s, "header", m2_jws_header(&jws, s->pool, policy->types, &err), &err)) {
        return;
    }
    tell(s, "header", 1, apr_psprintf(s->pool, "alg %s, kid %s, typ %s", jws.alg->name,
                                      value_words(s, jws.kid), value_words(s, jws.typ)));
    if (failed(s, "key and signature",
               m2_jws_verify_with(&jwk, &tries, &jws, s->pool, s->force->keys, policy->algs, &err),
               &err)) {
        return;
    }
    tell(s, "key", 1, apr_psprintf(s->pool, "%s, %d bits, kid %s, can do %s", jwk->kty,
                                   jwk->bits, value_words(s, m2_slice_z(jwk->kid)),
                                   m2_jwk_alg_names(s->pool, jwk)));
    tell(s, "signature", 1, tries == 1 ? "is right"
                                       : apr_psprintf(s->pool, "is right, after %d keys that "
                                                      "were tried as well", tries - 1));
    if (!failed(s, "payload", m2_jws_payload(&claims, &jws, s->pool, &err), &err)) {
        step_claims(s, claims, m2_slice_z(jwk->kid), &err);
    }
}

static void tell_published(story_t *s)
{
    static const char *const places[] = { "query", "header", "path", "form", "env" };
    const m2_verdict_t *v = &s->verdict;
    int i;

    if (v->verified) {
        tell(s, "user", 1, v->user ? shown(s->pool, m2_slice_z(v->user)) : "-");
    }
    for (i = 0; v->publish && i < v->publish->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(v->publish, i, m2_publish_t);

        tell(s, "publish", 1,
             apr_psprintf(s->pool, "%s:%s = %s", places[entry->place], entry->name,
                          entry->value ? value_words(s, m2_slice_z(entry->value))
                                       : "(taken out of the request)"));
    }
}

/* Tokens that the gateway would not look at. */
static void unclear_tokens(story_t *s)
{
    m2_verdict_t *v = &s->verdict;

    m2_err_init(&v->err, s->pool);
    v->code = m2_err_set(&v->err, s->found, "%s", s->why.text ? s->why.text : "");
    tell(s, "token", 0, v->err.text);
}

static void explain_token(story_t *s, const char *where)
{
    const m2_policy_t *policy = &s->force->policy;
    int pass;

    if (s->found != M2_OK) {
        unclear_tokens(s);
        return;
    }
    m2_gate_token(&s->verdict, s->pool, policy, s->token, s->force->now, NULL);
    pass = s->verdict.code == M2_OK || s->verdict.code == M2_BYPASS;
    if (!policy->keys) {
        tell(s, "token", 1, "no keys are in force, so none is looked for");
    }
    else if (!s->token.n) {
        tell(s, "token", pass, pass ? "there is none, which is allowed (bypass)"
                                    : "there is none");
    }
    else {
        tell(s, "token", 1, where);
        step_token(s);
    }
    tell_published(s);
    if (s->verdict.code == M2_E_CLAIM_UNSAFE ||
        s->verdict.code == M2_E_CLAIM_MISSING_PATH) {
        tell(s, "publish", 0, s->verdict.err.text);
    }
}

/* --- what a backend could read otherwise --- */

static int passes(const story_t *s)
{
    return s->verdict.code == M2_OK || s->verdict.code == M2_BYPASS;
}

static void refuse(story_t *s, const char *step, m2_code_t code, const char *why)
{
    s->verdict.code = code;
    m2_err_init(&s->verdict.err, s->pool);
    m2_err_set(&s->verdict.err, code, "%s", why);
    tell(s, step, 0, why);
}

/* Before anything else: whose section the path is in. */
static int explain_path(story_t *s, const explain_t *o)
{
    const char *why;
    const int bad = m2mctl_path_judge(&why, s->ctl, &o->guard, m2mctl_request_path(s->request),
                                      m2mctl_request_raw_path(s->request));

    if (!bad && why) {
        refuse(s, "path", M2_E_PATH_UNSAFE, why);
    }
    else if (!bad && o->guard.sections) {
        tell(s, "path", 1, apr_pstrcat(s->pool, m2mctl_request_path(s->request), " is found in "
                                       "the same sections however it is read", NULL));
    }
    return bad;
}

/* Behind the token, in front of the rules. */
static void explain_readings(story_t *s, const explain_t *o)
{
    const m2_policy_t *policy = &s->force->policy;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, s->pool);
    code = m2mctl_judge_body(s->request, policy->mapping, &err);
    if (code == M2_OK) {
        m2mctl_publish(s->request, s->verdict.publish);
        m2mctl_publish(s->request, s->verdict.env);
        code = m2mctl_judge_method(s->request, policy->rules, &err);
    }
    if (code == M2_OK && m2_gate_reads_path(policy)
        && m2mctl_path_is_ambiguous(s->pool, &o->guard, m2mctl_request_path(s->request),
                                    m2mctl_request_raw_path(s->request))) {
        code = m2_err_set(&err, M2_E_PATH_UNSAFE, "the path could mean another path to the "
                          "backend");
    }
    if (code != M2_OK) {
        refuse(s, "readings", code, err.text);
    }
}

/* --- the rules --- */

static void tell_values(story_t *s, m2_facts_t *facts, const m2_rules_t *rules)
{
    m2_value_t value;
    int i;

    for (i = 0; i < rules->params->list->nelts; i++) {
        const m2_param_t *param = &APR_ARRAY_IDX(rules->params->list, i, m2_param_t);
        m2_code_t code;

        memset(&value, 0, sizeof(value));
        code = m2_facts_get(&value, facts, i);
        tell(s, "parameter", !code,
             apr_psprintf(s->pool, "%s = %s", param->name,
                          code ? "not to be used: not every backend would read the same"
                               : value_words(s, value.text)));
    }
}

/* what one rule says; 0 when the next one is asked */
static int tell_rule(story_t *s, m2_facts_t *facts, const m2_rule_t *rule)
{
    static const char *const truths[] = { "false", "true", "an error" };
    static const char *const actions[] = { "nothing, go on", "ALLOW", "DENY" };
    m2_truth_t truth;
    m2_action_t action;
    m2_err_t err;

    m2_err_init(&err, s->pool);
    truth = m2_expr_eval(rule->condition, facts, &err);
    action = truth == M2_TRUE ? rule->if_true : rule->if_false;
    if (truth == M2_ERROR) {
        tell(s, "rule", rule->shadow,
             apr_psprintf(s->pool, "%s%s: cannot be evaluated (%s) -> DENY", rule->name,
                          rule->shadow ? " (shadow, decides nothing)" : "",
                          err.text ? err.text : ""));
        return !rule->shadow;
    }
    tell(s, "rule", rule->shadow || action != M2_ACTION_DENY,
         apr_psprintf(s->pool, "%s%s: condition is %s -> %s", rule->name,
                      rule->shadow ? " (shadow, decides nothing)" : "", truths[truth],
                      actions[action]));
    return !rule->shadow && action != M2_ACTION_NONE;
}

static void explain_rules(story_t *s)
{
    m2_verdict_t *v = &s->verdict;
    const m2_rules_t *rules = s->force->policy.rules;
    m2_facts_t facts;
    int i, ended = 0;

    if (!rules || !passes(s)) {
        return;
    }
    m2mctl_answer(&facts, s->request, rules, v, s->token);
    tell_values(s, &facts, rules);
    for (i = 0; !ended && i < rules->rules->nelts; i++) {
        ended = tell_rule(s, &facts, APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *));
    }
    if (!ended) {
        int allow = rules->default_action == M2_ACTION_ALLOW;

        tell(s, "default", allow, allow ? "no rule decided -> ALLOW"
                                        : "no rule decided -> DENY");
    }
    m2_gate_rules(v, &s->force->policy, &facts);
}

/* --- the end of the story --- */

static m2_json_t *refusal_json(const story_t *s)
{
    const m2_refusal_t *refusal = &s->verdict.refusal;
    m2_json_t *json = m2_json_make(s->pool), *headers = m2_json_make(s->pool);
    int i;

    m2_json_set_int(json, "status", refusal->status);
    m2_json_set_string(json, "message", refusal->message);
    if (refusal->body) {
        m2_json_set_string(headers, "Content-Type", refusal->content_type);
        m2_json_set_string(json, "body", refusal->body);
    }
    for (i = 0; refusal->headers && i < refusal->headers->nelts; i++) {
        const m2_publish_t *h = &APR_ARRAY_IDX(refusal->headers, i, m2_publish_t);

        m2_json_set_string(headers, h->name, h->value);
    }
    m2_json_set_json(json, "headers", headers);
    return json;
}

static void end_json(story_t *s, int pass)
{
    const m2_verdict_t *v = &s->verdict;
    const m2_reason_t *reason = m2_reason_of(v->code);
    m2_json_t *json = m2_json_make(s->pool);

    m2_json_set_string(json, "decision", pass ? "allow" : "deny");
    m2_json_set_string(json, "reason", reason->reason);
    if (v->rule) {
        m2_json_set_string(json, "rule", v->rule->name);
    }
    if (!pass) {
        m2_json_set_string(json, "error_code", reason->ca_code);
        m2_json_set_string(json, "message", v->err.text);
        m2_json_set_int(json, "status",
                        reason->status ? reason->status : v->refusal.status);
    }
    if (v->code == M2_E_RULE_DENIED) {
        m2_json_set_json(json, "response", refusal_json(s));
    }
    m2_json_set_json(json, "steps", s->steps);
    m2mctl_print_json(s->pool, json);
}

static void end_refusal(apr_pool_t *pool, const m2_refusal_t *refusal)
{
    int i;

    printf("X-Ca-Error-Message: %s\n", m2mctl_plain(pool, refusal->message));
    for (i = 0; refusal->headers && i < refusal->headers->nelts; i++) {
        const m2_publish_t *h = &APR_ARRAY_IDX(refusal->headers, i, m2_publish_t);

        printf("%s: %s\n", h->name, m2mctl_plain(pool, h->value));
    }
    if (refusal->body) {
        printf("Content-Type: %s\n\n%s\n", refusal->content_type,
               m2mctl_plain_lines(pool, refusal->body));
    }
}

static void end_text(story_t *s, int pass)
{
    const m2_verdict_t *v = &s->verdict;
    const m2_reason_t *reason = m2_reason_of(v->code);

    if (pass) {
        printf("allow: %s%s%s\n", reason->reason, v->rule ? ", by rule " : "",
               v->rule ? v->rule->name : "");
        return;
    }
    printf("deny: %s: %s (status %d, %s)\n", reason->reason,
           m2mctl_plain(s->pool, v->err.text),
           reason->status ? reason->status : v->refusal.status, reason->ca_code);
    if (v->code == M2_E_RULE_DENIED) {
        end_refusal(s->pool, &v->refusal);
    }
}

/* --- inputs --- */

static m2_code_t read_script(m2_rules_t **prules, apr_pool_t *pool, const explain_t *o,
                             m2_err_t *err)
{
    const m2_path_template_t *path = NULL;
    m2_slice_t text;
    m2_code_t code = m2mctl_read(&text, pool, o->access ? o->access : o->rules, err);

    if (!code && o->path) {
        code = m2_path_compile(&path, pool, o->path, err);
    }
    if (code) {
        return code;
    }
    return o->access ? m2_plugin_access(prules, pool, text, path, err)
                     : m2mctl_read_rules(prules, pool, text, err);
}

static int read_rules(m2mctl_force_t *force, m2mctl_t *ctl, const explain_t *o)
{
    m2_rules_t *rules = NULL;
    m2_err_t err;

    if (o->access && o->rules) {
        return m2mctl_usage(ctl, "--access-control and --rules exclude each other");
    }
    if (o->path && !o->access) {
        return m2mctl_usage(ctl,
                            "--path goes with --access-control; a file of rules has its "
                            "own M2MPath");
    }
    m2_err_init(&err, ctl->pool);
    if ((o->access || o->rules) && read_script(&rules, ctl->pool, o, &err)) {
        return m2mctl_fault(ctl, o->access ? o->access : o->rules, &err);
    }
    force->policy.rules = rules;
    return 0;
}

/* the token from a file, or where the policy says it is in the request */
static int read_token(story_t *s, const explain_t *o, const char **pwhere)
{
    const char *path = o->token_file ? o->token_file : s->ctl->words->nelts ? "-" : NULL;
    m2_err_t err;

    *pwhere = path;
    m2_err_init(&s->why, s->pool);
    if (!path) {
        s->found = s->force->policy.keys ? m2mctl_find_token(&s->token, pwhere, s->request,
                                                             s->force->tokens, &s->why)
                                         : M2_OK;
        return 0;
    }
    m2_err_init(&err, s->pool);
    return m2mctl_read_token(&s->token, s->pool, path, &err)
               ? m2mctl_fault(s->ctl, path, &err) : 0;
}

static int run_explain(m2mctl_t *ctl, void *options)
{
    explain_t *o = options;
    m2mctl_force_t force;
    story_t s;
    const char *where;
    int pass, bad = m2mctl_policy(&force, ctl, &o->policy);

    memset(&s, 0, sizeof(s));
    s.ctl = ctl;
    s.pool = ctl->pool;
    s.force = &force;
    s.steps = m2_json_make_array(ctl->pool);
    if (!bad && (ctl->words->nelts > 1 ||
                 (ctl->words->nelts &&
                  !m2_slice_is(m2_slice_z(APR_ARRAY_IDX(ctl->words, 0, const char *)),
                               "-")))) {
        bad = m2mctl_usage(ctl, "the only argument is - (a token on standard input)");
    }
    bad = bad ? bad : read_rules(&force, ctl, o);
    if (!bad && !force.keys && !force.policy.rules) {
        bad = m2mctl_usage(ctl, "there are neither keys nor rules");
    }
    bad = bad ? bad : m2mctl_request(&s.request, ctl, &o->request, force.now);
    bad = bad ? bad : explain_path(&s, o);
    bad = bad || !passes(&s) ? bad : read_token(&s, o, &where);
    if (bad) {
        return bad;
    }
    if (passes(&s)) {
        explain_token(&s, where);
    }
    if (passes(&s)) {
        explain_readings(&s, o);
        m2_gate_scopes(&s.verdict, &force.policy);
    }
    explain_rules(&s);
    pass = passes(&s);
    if (ctl->json) {
        end_json(&s, pass);
    }
    else {
        end_text(&s, pass);
    }
    return pass ? M2MCTL_ALLOW : M2MCTL_DENY;
}

const m2mctl_verb_t m2mctl_explain = {
    "explain",
    "[-]",
    "why a request is allowed or denied, step by step",
    "Decides as the gateway would, and tells each step. The policy comes from options named\n"
    "after directives or from --jwt-auth; the rules from --access-control or from a file of\n"
    "rule directives; the request from --url, --method, --header and so on. The token is\n"
    "looked for in that request, unless it comes from --token-file or, with -, from standard\n"
    "input.\n",
    {{m2mctl_policy_options, offsetof(explain_t, policy)},
     {explain_options, 0},
     {m2mctl_request_options, offsetof(explain_t, request)}},
    sizeof(explain_t),
    run_explain,
};
