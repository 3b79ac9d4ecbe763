/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl explain: the decision on one request, step by step. The steps are taken with the
 * functions the gate takes them with and in its order; the verdict at the end is the
 * gate's own. Texts never hold the token.
 */
#include "ctl/m2mctl_story_int.h"

#include <stdio.h>

typedef struct explain_t {
    m2mctl_policy_t policy;
    m2mctl_request_t request;
    m2mctl_guard_t guard;
    m2mctl_shown_t shown;
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

/* --- the end of the story --- */

static m2_json_t *refusal_json(const m2mctl_story_t *s)
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

static void end_json(m2mctl_story_t *s, int pass)
{
    const m2_verdict_t *v = &s->verdict;
    const m2_reason_t *reason = m2_reason_of(v->code);
    m2_json_t *json = m2_json_make(s->pool);

    m2_json_set_string(json, "decision", pass ? "allow" : "deny");
    m2_json_set_string(json, "reason", reason->reason);
    if (v->rule) {
        m2_json_set_string(json, "rule", v->rule->name);
    }
    if (m2mctl_story_operation(s)) {
        m2_json_set_string(json, "operation", m2mctl_story_operation(s));
    }
    if (!pass) {
        m2_json_set_string(json, "error_code", reason->ca_code);
        m2_json_set_string(json, "message", v->err.text);
        m2_json_set_int(json, "status", m2mctl_story_status(s));
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

static void end_text(m2mctl_story_t *s, int pass)
{
    const m2_verdict_t *v = &s->verdict;
    const m2_reason_t *reason = m2_reason_of(v->code);

    if (pass) {
        printf("allow: %s%s%s\n", reason->reason, v->rule ? ", by rule " : "",
               v->rule ? v->rule->name : "");
        return;
    }
    printf("deny: %s: %s (status %d, %s)\n", reason->reason,
           m2mctl_plain(s->pool, v->err.text), m2mctl_story_status(s), reason->ca_code);
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
    if (!o->access && !o->rules) {
        return 0;
    }
    if (force->section) {
        return m2mctl_usage(ctl, "--policy has the rules of its section");
    }
    m2_err_init(&err, ctl->pool);
    if (read_script(&rules, ctl->pool, o, &err)) {
        return m2mctl_fault(ctl, o->access ? o->access : o->rules, &err);
    }
    force->policy.rules = rules;
    return 0;
}

/* the token from a file, or where the policy says it is in the request */
static int read_token(m2mctl_story_t *s, const explain_t *o)
{
    const char *path = o->token_file ? o->token_file : s->ctl->words->nelts ? "-" : NULL;
    m2mctl_scheme_t scheme;
    m2_err_t err;

    if (!path) {
        m2mctl_story_find(s);
        return 0;
    }
    s->where = path;
    m2_err_init(&err, s->pool);
    if (m2mctl_read_token(&s->token, &scheme, s->pool, path, &err)) {
        return m2mctl_fault(s->ctl, path, &err);
    }
    m2mctl_present_as(&s->shown, &o->shown, scheme);
    return 0;
}

/* what a section says goes for what options do not */
static void take_section(m2mctl_request_t *request, const m2mctl_force_t *force)
{
    request->stage = request->stage ? request->stage : force->stage;
    request->api_name = request->api_name ? request->api_name : force->api_name;
}

/* The options on paths are checked before anything is printed. */
static int take_guard(m2mctl_story_t *s, explain_t *o, const m2mctl_force_t *force)
{
    const char *why;

    o->guard.sections = o->guard.sections ? o->guard.sections : force->guard.sections;
    o->guard.guard = o->guard.guard ? o->guard.guard : force->guard.guard;
    s->guard = &o->guard;
    return m2mctl_path_judge(&why, s->ctl, &o->guard, m2mctl_request_path(s->request),
                             m2mctl_request_raw_path(s->request));
}

/* A dump names a URL, and has not what was there. */
static int check_keys(const m2mctl_story_t *s)
{
    return s->force->unread && s->token.n && !s->force->keys->keys->nelts
               ? m2mctl_usage(s->ctl, "the keys of %s are not in the dump: give them with --jwks "
                              "FILE", s->force->unread)
               : 0;
}

static int read_force(m2mctl_force_t *force, m2mctl_t *ctl, const explain_t *o)
{
    int bad = m2mctl_policy_at(force, ctl, &o->policy, o->request.url);

    bad = bad ? bad : read_rules(force, ctl, o);
    bad = bad ? bad : m2mctl_datasets(force, ctl, o->policy.datasets);
    if (!bad && !force->section && !force->keys && !force->policy.rules) {
        bad = m2mctl_usage(ctl, "there are neither keys nor rules");
    }
    return bad;
}

/* What came with the token: of options, or of the request. */
static int take_shown(m2mctl_story_t *s, m2mctl_force_t *force, const explain_t *o)
{
    const m2mctl_shape_t shape = { s->request, o->request.method, o->request.url };

    return m2mctl_present(&s->shown, s->ctl, force, &o->shown, &shape);
}

static int run_explain(m2mctl_t *ctl, void *options)
{
    explain_t *o = options;
    m2mctl_force_t force;
    m2mctl_story_t s;
    int pass, bad = 0;

    memset(&s, 0, sizeof(s));
    s.ctl = ctl;
    s.pool = ctl->pool;
    s.force = &force;
    if (ctl->words->nelts > 1 ||
        (ctl->words->nelts &&
         !m2_slice_is(m2_slice_z(APR_ARRAY_IDX(ctl->words, 0, const char *)), "-"))) {
        return m2mctl_usage(ctl, "the only argument is - (a token on standard input)");
    }
    bad = read_force(&force, ctl, o);
    if (!bad) {
        take_section(&o->request, &force);
        bad = m2mctl_request(&s.request, ctl, &o->request, force.now);
        bad = bad ? bad : take_guard(&s, o, &force);
    }
    bad = bad ? bad : take_shown(&s, &force, o);
    bad = bad ? bad : read_token(&s, o);
    bad = bad ? bad : check_keys(&s);
    if (bad) {
        return bad;
    }
    m2mctl_story_decide(&s);
    pass = m2mctl_story_passes(&s);
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
    "Decides as the gateway would, and tells each step. The policy is that of a section of a\n"
    "server: `httpd -t -D DUMP_M2M_JSON >dump.json`, then --policy dump.json; the section is\n"
    "the one that covers --location or the path of --url. Without a server it comes from\n"
    "options named after directives or from --jwt-auth, the rules from --access-control or\n"
    "from a file of rule directives. The request comes from --url, --method, --header and so\n"
    "on. The token is looked for in that request, unless it comes from --token-file or,\n"
    "with -, from standard input. So are a proof of possession (the header DPoP, or --proof)\n"
    "and a certificate (--cert, or the header of M2MClientCertificate from a listed\n"
    "--client-ip).\n",
    {{m2mctl_policy_options, offsetof(explain_t, policy)},
     {explain_options, 0},
     {m2mctl_request_options, offsetof(explain_t, request)},
     {m2mctl_bound_options, offsetof(explain_t, shown)},
     {m2mctl_shown_options, offsetof(explain_t, shown)}},
    sizeof(explain_t),
    run_explain,
};
