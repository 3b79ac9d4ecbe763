/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl test: a policy against a table of requests, each with what is expected of it, as TAP.
 * Claims stand for a token that verifies: it is signed with a key made here, in place of those
 * of the policy, so that everything else about it is judged as ever.
 */
#include "ctl/m2mctl_cases.h"
#include "ctl/m2mctl_dpop.h"
#include "ctl/m2mctl_story_int.h"

#include "operation/m2_openapi.h"
#include "token/m2_jws.h"

#include <stdio.h>

typedef struct test_t {
    m2mctl_policy_t policy;
    m2mctl_shown_t shown;
    const char *path;
} test_t;

/* clang-format off */
static const m2mctl_option_t test_options[] = {
    { "path", M2MCTL_TEXT, offsetof(test_t, path), "TEMPLATE", "M2MPath for an accessControl "
                                                               "script" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

/* a key made here */
typedef struct signer_t {
    m2_jwk_t *key;
    const m2_alg_t *alg;
} signer_t;

typedef struct bench_t {
    m2mctl_t *ctl;
    const test_t *options;
    const char *dump;            /* NULL: files */
    m2mctl_force_t files;        /* what files and options come to */
    signer_t issuer, owner;      /* of claims, and of the proofs that go with them */
    apr_table_t *reached;        /* rules and operations that some case met */
    apr_table_t *known;          /* those of the sections that cases met */
    m2_json_t *results;          /* for --json */
    int missed;
    m2_err_t err;
} bench_t;

/* --- policies from files --- */

static m2_code_t take_openapi(bench_t *b, m2_slice_t text)
{
    m2_operations_t *table = m2_operations_make(b->ctl->pool);
    m2_openapi_options_t options = { NULL, NULL };
    m2_openapi_t *api;
    m2_code_t code = m2_openapi_read(&api, table, b->ctl->pool, b->ctl->pool, text, &options,
                                     &b->err);

    if (!code) {
        m2_operations_finish(table, NULL);
        b->files.operations = table;
    }
    return code;
}

static m2_code_t take_access(bench_t *b, m2_slice_t text)
{
    const m2_path_template_t *path = NULL;
    m2_rules_t *rules = NULL;
    m2_code_t code = b->options->path ? m2_path_compile(&path, b->ctl->pool, b->options->path,
                                                        &b->err) : M2_OK;

    code = code ? code : m2_plugin_access(&rules, b->ctl->pool, text, path, &b->err);
    b->files.policy.rules = rules;
    return code;
}

static m2_code_t take_rules(bench_t *b, m2_slice_t text)
{
    m2_rules_t *rules = NULL;
    m2_code_t code = m2mctl_read_rules(&rules, b->ctl->pool, text, &b->err);

    b->files.policy.rules = rules;
    return code;
}

/* A file that is not a dump, by its content. A jwtAuth script was an option. */
static m2_code_t take_file(bench_t *b, m2_slice_t text)
{
    m2_plugin_kind_t kind;
    m2_err_t not_a_script;

    if (m2mctl_are_rules(text)) {
        return take_rules(b, text);
    }
    m2_err_init(&not_a_script, b->ctl->pool);
    return m2_plugin_kind(&kind, b->ctl->pool, text, &not_a_script) == M2_OK
                   && kind == M2_PLUGIN_ACCESS
               ? take_access(b, text)
               : take_openapi(b, text);
}

static int is_jwt_script(apr_pool_t *pool, m2_slice_t text)
{
    m2_plugin_kind_t kind;
    m2_err_t err;

    m2_err_init(&err, pool);
    return !m2mctl_are_rules(text) && m2_plugin_kind(&kind, pool, text, &err) == M2_OK
           && kind == M2_PLUGIN_JWT;
}

/* What the words but the last are: a dump, or files of a policy. */
static int read_policy(bench_t *b)
{
    m2mctl_policy_t options = b->options->policy;
    const int n = b->ctl->words->nelts - 1;
    m2_slice_t *texts = apr_pcalloc(b->ctl->pool, ((apr_size_t)n + 1) * sizeof(*texts));
    int i, bad;

    b->dump = options.dump;
    for (i = 0; i < n; i++) {
        const char *path = APR_ARRAY_IDX(b->ctl->words, i, const char *);

        if (m2mctl_read(&texts[i], b->ctl->pool, path, &b->err)) {
            return m2mctl_fault(b->ctl, path, &b->err);
        }
        if (m2mctl_is_dump(texts[i])) {
            b->dump = path;
        }
        else if (is_jwt_script(b->ctl->pool, texts[i])) {
            options.plugin = path;
        }
    }
    if (b->dump) {
        return n > 1 ? m2mctl_usage(b->ctl, "a dump says all of the policy") : 0;
    }
    bad = m2mctl_policy_at(&b->files, b->ctl, &options, NULL);
    for (i = 0; !bad && i < n; i++) {
        const char *path = APR_ARRAY_IDX(b->ctl->words, i, const char *);

        if (path != options.plugin && take_file(b, texts[i])) {
            bad = m2mctl_fault(b->ctl, path, &b->err);
        }
    }
    bad = bad ? bad : m2mctl_datasets(&b->files, b->ctl, options.datasets);
    if (!bad && !n && !b->files.keys) {
        bad = m2mctl_usage(b->ctl, "there is no policy: name a dump, or files, or keys");
    }
    return bad;
}

/* the policy of one case: of the section that covers it, or the one there is */
static int policy_for(m2mctl_force_t *force, bench_t *b, const m2mctl_case_t *c)
{
    m2mctl_policy_t options = b->options->policy;
    int bad = 0;

    if (b->dump) {
        options.dump = b->dump;
        bad = m2mctl_policy_at(force, b->ctl, &options, c->request.url);
        bad = bad ? bad : m2mctl_datasets(force, b->ctl, options.datasets);
    }
    else {
        *force = b->files;
    }
    if (c->now.set) {
        force->now = apr_time_from_sec(c->now.value);
    }
    return bad;
}

/* --- claims as a token --- */

static int make_key(signer_t *signer, bench_t *b, m2_alg_mask_t algs)
{
    static const char *const names[] = { "ES256", "EdDSA", "ES384", "ES512", "RS256", "PS256",
                                         "HS256" };
    const m2_alg_t *alg = NULL;
    apr_size_t i;
    int k;

    for (i = 0; i < sizeof(names) / sizeof(names[0]) && !alg; i++) {
        const m2_alg_t *one = m2_alg_find(m2_slice_z(names[i]));

        alg = one && (one->bit & algs) == one->bit ? one : NULL;
    }
    for (k = 0; !alg && m2_alg_at(k); k++) {
        alg = m2_alg_at(k)->bit & algs ? m2_alg_at(k) : NULL;
    }
    if (signer->key && signer->alg == alg) {
        return 0;
    }
    signer->alg = alg;
    return !alg || m2_jwk_generate(&signer->key, b->ctl->pool, alg, 0, "m2mctl-test", &b->err)
                       != M2_OK;
}

/* The claims; unless they say otherwise (null means absent), issued now and good for five
 * minutes, as m2mctl sign has it. */
static m2_json_t *complete(apr_pool_t *pool, const m2_json_t *claims, apr_time_t now)
{
    m2_json_t *all = m2_json_make(pool);
    const m2_member_t *it;

    for (it = m2_json_iter(claims); it; it = m2_json_iter_next(it)) {
        m2_json_set_json(all, m2_json_iter_name(it), m2_json_iter_value(it));
    }
    if (!m2_json_get(claims, "iat")) {
        m2_json_set_int(all, "iat", apr_time_sec(now));
    }
    if (!m2_json_get(claims, "exp")) {
        m2_json_set_int(all, "exp", apr_time_sec(now) + 300);
    }
    return all;
}

/* --- what claims are bound to --- */

static int is_bound(const m2mctl_case_t *c, const char *word)
{
    return c->bound && (m2_slice_is(m2_slice_z(c->bound), word)
                        || m2_slice_is(m2_slice_z(c->bound), "both"));
}

/* `cnf` in claims: a key made here, a certificate that nobody needs to see. */
static int bind_claims(m2_json_t *claims, m2mctl_story_t *s, bench_t *b, const m2mctl_case_t *c)
{
    static const char x5t[] = "bTJtY3RsIHRlc3Q6IGEgY2VydGlmaWNhdGUgb2Ygbm8";
    m2_json_t *cnf = m2_json_make(s->pool);

    if (!c->bound) {
        return 0;
    }
    if (is_bound(c, "DPoP")) {
        if (make_key(&b->owner, b, s->force->policy.bound.proof.algs)) {
            return m2mctl_fault(b->ctl, "bound", &b->err);
        }
        b->owner.key->kid = NULL;
        m2_json_set_string(cnf, "jkt", m2_jwk_thumbprint(s->pool, b->owner.key));
    }
    if (is_bound(c, "mTLS")) {
        m2_json_set_string(cnf, "x5t#S256", x5t);
        s->shown.x5t = x5t;
    }
    m2_json_set_json(claims, "cnf", cnf);
    return 0;
}

/* The proof of a token that is bound to our key, as its owner would make it. */
static int prove(m2mctl_story_t *s, m2mctl_force_t *force, bench_t *b, const m2mctl_case_t *c)
{
    m2_proof_policy_t *policy = &force->policy.bound.proof;
    const char *url = m2mctl_target(&s->shown), *proof;
    m2mctl_made_t made = { s->shown.method, url ? url : "https://localhost/", s->token, NULL, NULL,
                           apr_time_sec(force->now) };

    if (!is_bound(c, "DPoP")) {
        return 0;
    }
    if (!url) {
        APR_ARRAY_PUSH(s->shown.targets, const char *) = made.url;
    }
    if (policy->nonce && s->shown.nonce_key.p) {
        made.nonce = m2_nonce_make(s->pool, s->shown.nonce_key, M2_NONCE_RESOURCE, policy->window,
                                   force->now);
    }
    policy->nonce = made.nonce != NULL;
    if (m2mctl_proof_make(&proof, s->pool, b->owner.key, b->owner.alg, &made, &b->err)) {
        return m2mctl_fault(b->ctl, "bound", &b->err);
    }
    s->shown.proof = m2_slice_z(proof);
    s->shown.presented.as_dpop = 1;
    return 0;
}

/* The token of claims, and the policy with the key that signed it. */
static int sign_claims(m2mctl_story_t *s, m2mctl_force_t *force, bench_t *b,
                       const m2mctl_case_t *c)
{
    apr_pool_t *pool = b->ctl->pool;
    m2_json_t *claims = complete(pool, c->claims, force->now);
    const apr_array_header_t *types = force->policy.types;
    m2_keyset_t *keys = m2_keyset_make(pool);
    m2_json_t *header = m2_json_make(pool);
    const char *token;

    if (!force->policy.keys) {
        return 0; /* no token is looked for */
    }
    m2_json_set_string(header, "typ", types && types->nelts ? APR_ARRAY_IDX(types, 0, const char *)
                                                            : "JWT");
    if (bind_claims(claims, s, b, c)) {
        return M2MCTL_USAGE;
    }
    if (make_key(&b->issuer, b, force->policy.algs)
        || m2_keyset_add(keys, b->issuer.key, &b->err)
        || m2_jws_sign(&token, pool, header, m2_slice_z(m2_json_dump(pool, claims)),
                       b->issuer.key, b->issuer.alg, &b->err)) {
        return m2mctl_fault(b->ctl, "claims", &b->err);
    }
    force->keys = keys;
    force->policy.keys = m2_keyring_make(pool, keys);
    s->token = m2_slice_z(token);
    s->where = "made of the claims";
    return prove(s, force, b, c);
}

/* --- what there is to reach --- */

static void note_known(bench_t *b, const m2mctl_force_t *force)
{
    apr_pool_t *pool = b->ctl->pool;
    int i;

    for (i = 0; force->policy.rules && i < force->policy.rules->rules->nelts; i++) {
        apr_table_setn(b->known, apr_pstrcat(pool, "rule ", APR_ARRAY_IDX(
                       force->policy.rules->rules, i, const m2_rule_t *)->name, NULL), "");
    }
    for (i = 0; force->operations && i < m2_operations_count(force->operations); i++) {
        apr_table_setn(b->known, apr_pstrcat(pool, "operation ",
                       m2_operations_at(force->operations, i)->name, NULL), "");
    }
}

static const apr_array_header_t *unreached(const bench_t *b)
{
    const apr_array_header_t *known = apr_table_elts(b->known);
    apr_array_header_t *list = apr_array_make(b->ctl->pool, 8, sizeof(const char *));
    int i;

    for (i = 0; i < known->nelts; i++) {
        const char *name = APR_ARRAY_IDX(known, i, apr_table_entry_t).key;

        if (!apr_table_get(b->reached, name)) {
            APR_ARRAY_PUSH(list, const char *) = name;
        }
    }
    return list;
}

/* --- one case --- */

static const char *differs(apr_pool_t *pool, const char *what, const char *expected,
                           const char *got)
{
    got = got ? got : "none";
    return expected && !m2_slice_is(m2_slice_z(expected), got)
               ? apr_psprintf(pool, "expected %s %s, got %s\n", what, expected, got)
               : "";
}

/* what is not as expected, a line each; "" */
static const char *misses(const m2mctl_story_t *s, const m2mctl_case_t *c)
{
    const m2_verdict_t *v = &s->verdict;
    const char *status = c->status.set ? apr_psprintf(s->pool, "%" APR_INT64_T_FMT,
                                                      c->status.value) : NULL;

    return apr_pstrcat(
        s->pool,
        differs(s->pool, "decision", c->decision, m2mctl_story_passes(s) ? "allow" : "deny"),
        differs(s->pool, "reason", c->reason, m2_reason_of(v->code)->reason),
        differs(s->pool, "rule", c->rule, v->rule ? v->rule->name : NULL),
        differs(s->pool, "status", status, apr_itoa(s->pool, m2mctl_story_status(s))), NULL);
}

static void tell(bench_t *b, const m2mctl_story_t *s, const m2mctl_case_t *c, int number,
                 const char *missed)
{
    m2_json_t *json = m2_json_make(b->ctl->pool);
    char *last, *line;

    m2_json_set_string(json, "name", c->name);
    m2_json_set_bool(json, "ok", !*missed);
    m2_json_set_string(json, "decision", m2mctl_story_passes(s) ? "allow" : "deny");
    m2_json_set_string(json, "reason", m2_reason_of(s->verdict.code)->reason);
    m2_json_set_int(json, "status", m2mctl_story_status(s));
    m2_json_append(b->results, json);
    b->missed += *missed != '\0';
    if (b->ctl->json) {
        return;
    }
    printf("%sok %d - %s\n", *missed ? "not " : "", number, m2mctl_plain(b->ctl->pool, c->name));
    line = apr_strtok(apr_pstrdup(b->ctl->pool, missed), "\n", &last);
    for (; line; line = apr_strtok(NULL, "\n", &last)) {
        printf("# %s\n", m2mctl_plain(b->ctl->pool, line));
    }
    if (*missed && s->verdict.err.text) {
        printf("# %s\n", m2mctl_plain(b->ctl->pool, s->verdict.err.text));
    }
}

static int find_token(m2mctl_story_t *s, m2mctl_force_t *force, bench_t *b,
                      const m2mctl_case_t *c)
{
    if (c->claims) {
        return sign_claims(s, force, b, c);
    }
    if (c->token) {
        m2mctl_scheme_t scheme;

        s->token = m2mctl_bare_token(&scheme, m2_slice_z(c->token));
        s->where = "of the case";
        m2mctl_present_as(&s->shown, &b->options->shown, scheme);
    }
    else {
        m2mctl_story_find(s);
    }
    return s->token.n && force->unread && !force->keys->keys->nelts
               ? m2mctl_usage(b->ctl, "%s: the keys of %s are not in the dump: give them with "
                              "--jwks FILE", c->name, force->unread)
               : 0;
}

static int take_shown(m2mctl_story_t *s, m2mctl_force_t *force, const bench_t *b,
                      const m2mctl_case_t *c)
{
    const m2mctl_shape_t shape = { s->request, c->request.method, c->request.url };
    m2mctl_shown_t shown = b->options->shown;

    shown.cert = c->certificate;
    return m2mctl_present(&s->shown, b->ctl, force, &shown, &shape);
}

static int run_case(bench_t *b, m2mctl_case_t *c, int number)
{
    m2mctl_force_t force;
    m2mctl_story_t s;
    int bad = policy_for(&force, b, c);

    memset(&s, 0, sizeof(s));
    s.ctl = b->ctl;
    s.pool = b->ctl->pool;
    s.force = &force;
    s.quiet = 1;
    s.guard = &force.guard;
    s.reached = b->reached;
    if (bad) {
        return bad;
    }
    c->request.stage = force.stage;
    c->request.api_name = force.api_name;
    bad = m2mctl_request(&s.request, b->ctl, &c->request, force.now);
    bad = bad ? bad : take_shown(&s, &force, b, c);
    bad = bad ? bad : find_token(&s, &force, b, c);
    if (bad) {
        return bad;
    }
    note_known(b, &force);
    m2mctl_story_decide(&s);
    tell(b, &s, c, number, misses(&s, c));
    return 0;
}

/* --- the verb --- */

static int end(bench_t *b)
{
    const apr_array_header_t *left = unreached(b);
    m2_json_t *json = m2_json_make(b->ctl->pool), *names = m2_json_make_array(b->ctl->pool);
    int i;

    for (i = 0; i < left->nelts; i++) {
        const char *name = APR_ARRAY_IDX(left, i, const char *);

        m2_json_append_string(names, name);
        if (!b->ctl->json) {
            printf("# never reached: %s\n", m2mctl_plain(b->ctl->pool, name));
        }
    }
    if (b->ctl->json) {
        m2_json_set_bool(json, "ok", !b->missed);
        m2_json_set_json(json, "cases", b->results);
        m2_json_set_json(json, "never_reached", names);
        m2mctl_print_json(b->ctl->pool, json);
    }
    return b->missed ? M2MCTL_DENY : M2MCTL_ALLOW;
}

static int run_test(m2mctl_t *ctl, void *options)
{
    bench_t b;
    apr_array_header_t *cases;
    const char *file;
    m2_slice_t text;
    int i, bad;

    memset(&b, 0, sizeof(b));
    b.ctl = ctl;
    b.options = options;
    b.reached = apr_table_make(ctl->pool, 32);
    b.known = apr_table_make(ctl->pool, 32);
    b.results = m2_json_make_array(ctl->pool);
    m2_err_init(&b.err, ctl->pool);
    if (!ctl->words->nelts) {
        return m2mctl_usage(ctl, "name a policy (a dump, or files) and a file of cases");
    }
    bad = read_policy(&b);
    if (bad) {
        return bad;
    }
    file = APR_ARRAY_IDX(ctl->words, ctl->words->nelts - 1, const char *);
    if (m2mctl_read(&text, ctl->pool, file, &b.err)
        || m2mctl_cases(&cases, ctl->pool, text, &b.err)) {
        return m2mctl_fault(ctl, file, &b.err);
    }
    if (!ctl->json) {
        printf("1..%d\n", cases->nelts);
    }
    for (i = 0; !bad && i < cases->nelts; i++) {
        bad = run_case(&b, &APR_ARRAY_IDX(cases, i, m2mctl_case_t), i + 1);
    }
    return bad ? bad : end(&b);
}

const m2mctl_verb_t m2mctl_test = {
    "test",
    "[POLICY...] CASES",
    "requests against a policy, and what is expected of each",
    "POLICY is a dump of `httpd -t -D DUMP_M2M_JSON`, of which the section counts that covers\n"
    "--location or the URL of a case; or files: a jwtAuth or accessControl script, rule\n"
    "directives, an OpenAPI document, beside the options of the policy. CASES is a YAML or\n"
    "JSON file: `cases`, a list of name, now, request (method, url, headers, body, address,\n"
    "certificate), claims or token, and expect (decision, reason, rule, status). Claims are\n"
    "those of a token that verifies; without exp and iat it is issued now; with `bound` (DPoP,\n"
    "mTLS or both) it is bound to its owner, and the request proves it. Prints TAP, and the\n"
    "rules and operations that no case reached. Exit status 1: a case was missed.\n",
    {{m2mctl_policy_options, offsetof(test_t, policy)},
     {test_options, 0},
     {m2mctl_bound_options, offsetof(test_t, shown)}},
    sizeof(test_t),
    run_test,
};
