/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl verify: would the gateway take this token? The same code decides, with the same
 * reasons.
 */
#include "ctl/m2mctl_proof.h"

#include <stdio.h>

typedef struct verify_t {
    m2mctl_policy_t policy;
    m2mctl_shown_t shown;
    const char *token_file, *method, *url;
} verify_t;

/* clang-format off */
static const m2mctl_option_t verify_options[] = {
    { "token-file", M2MCTL_TEXT, offsetof(verify_t, token_file), "FILE",
      "the token; default: standard input" },
    { "method", M2MCTL_TEXT, offsetof(verify_t, method), "NAME",
      "of the request that a proof is for, default GET" },
    { "url", M2MCTL_TEXT, offsetof(verify_t, url), "URL", "likewise" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

/* The checks that were made, the one that failed among them; none where the token fails first. */
static int checks_of(const m2_verdict_t *verdict)
{
    const int n = (int)verdict->proof.step;

    return !verdict->proof.judged ? 0 : n < M2_PROOF_STEPS ? n + 1 : n;
}

static m2_json_t *checks_json(apr_pool_t *pool, const m2_verdict_t *verdict,
                              const m2mctl_presented_t *shown)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < checks_of(verdict); i++) {
        m2_json_t *json = m2_json_make(pool);

        m2_json_set_string(json, "check", m2mctl_step_text(shown, (m2_proof_step_t)i));
        m2_json_set_bool(json, "ok", i < (int)verdict->proof.step);
        m2_json_append(list, json);
    }
    return list;
}

static void print_checks(const m2_verdict_t *verdict, const m2mctl_presented_t *shown)
{
    int i;

    for (i = 0; i < checks_of(verdict); i++) {
        printf("%-4sproof       %s\n", i < (int)verdict->proof.step ? "ok" : "NO",
               m2mctl_step_text(shown, (m2_proof_step_t)i));
    }
    if (!verdict->proof.judged) {
        printf("--  proof       not looked at\n");
    }
}

static void print_json(m2mctl_t *ctl, const m2_verdict_t *verdict,
                       const m2mctl_presented_t *shown)
{
    const m2_reason_t *reason = m2_reason_of(verdict->code);
    m2_json_t *json = m2_json_make(ctl->pool);
    int pass = verdict->code == M2_OK;

    m2_json_set_string(json, "decision", pass ? "allow" : "deny");
    m2_json_set_string(json, "reason", reason->reason);
    if (!pass) {
        m2_json_set_string(json, "error_code", reason->ca_code);
        m2_json_set_string(json, "message", verdict->err.text);
    }
    if (verdict->verified) {
        m2_json_set_string(json, "alg", verdict->alg);
        m2_json_set_json(json, "claims", verdict->claims);
    }
    if (verdict->kid) {
        m2_json_set_string(json, "kid", verdict->kid);
    }
    if (verdict->user) {
        m2_json_set_string(json, "user", verdict->user);
    }
    if (shown->proof.p) {
        m2_json_set_json(json, "proof", checks_json(ctl->pool, verdict, shown));
    }
    m2mctl_print_json(ctl->pool, json);
}

static void print_text(m2mctl_t *ctl, const m2_verdict_t *verdict,
                       const m2mctl_presented_t *shown)
{
    if (shown->proof.p) {
        print_checks(verdict, shown);
    }
    if (verdict->code != M2_OK) {
        printf("deny: %s: %s\n", m2_reason_of(verdict->code)->reason,
               m2mctl_plain(ctl->pool, verdict->err.text));
        return;
    }
    printf("allow: %s, kid %s, user %s\n", verdict->alg,
           verdict->kid ? m2mctl_plain(ctl->pool, verdict->kid) : "-",
           verdict->user ? m2mctl_plain(ctl->pool, verdict->user) : "-");
    m2mctl_print_json(ctl->pool, verdict->claims);
}

static int run_verify(m2mctl_t *ctl, void *options)
{
    verify_t *o = options;
    const char *path = o->token_file ? o->token_file : "-";
    const m2mctl_shape_t shape = { NULL, o->method, o->url };
    m2mctl_presented_t shown;
    m2mctl_scheme_t scheme;
    m2_services_t services;
    m2mctl_force_t force;
    m2_verdict_t verdict;
    m2_slice_t token;
    m2_err_t err;
    int bad = m2mctl_policy_at(&force, ctl, &o->policy, NULL);

    bad = bad ? bad : m2mctl_present(&shown, ctl, &force, &o->shown, &shape);
    if (bad) {
        return bad;
    }
    if (ctl->words->nelts > 1 ||
        (ctl->words->nelts &&
         (o->token_file ||
          !m2_slice_is(m2_slice_z(APR_ARRAY_IDX(ctl->words, 0, const char *)), "-")))) {
        return m2mctl_usage(ctl, "a token is read from standard input or --token-file, "
                            "not from the arguments");
    }
    if (!force.keys) {
        return m2mctl_usage(ctl, "there are no keys; give --jwks, --jwk, --jwt-auth or --policy");
    }
    m2_err_init(&err, ctl->pool);
    if (m2mctl_read_token(&token, &scheme, ctl->pool, path, &err)) {
        return m2mctl_fault(ctl, path, &err);
    }
    m2mctl_present_as(&shown, &o->shown, scheme);
    memset(&verdict, 0, sizeof(verdict));
    force.policy.bypass_empty = 0; /* an empty input is a mistake here */
    memset(&services, 0, sizeof(services));
    services.presented = &shown.presented;
    m2_gate_token(&verdict, ctl->pool, &force.policy, token, force.now, &services);
    m2_gate_scopes(&verdict, &force.policy);
    if (ctl->json) {
        print_json(ctl, &verdict, &shown);
    }
    else {
        print_text(ctl, &verdict, &shown);
    }
    return verdict.code == M2_OK ? M2MCTL_ALLOW : M2MCTL_DENY;
}

const m2mctl_verb_t m2mctl_verify = {
    "verify",
    "[-]",
    "check a token against keys and a policy",
    "Reads a token, with or without `Bearer` or `DPoP`, from --token-file or standard input. "
    "Options\n"
    "of the policy are named after the directives (--M2MIssuer is understood as well).\n"
    "Prints the claims of a good token, and of a bad one the reason, which is what\n"
    "M2M_REASON would be. With --proof, --method and --url each check of a proof of\n"
    "possession is told (RFC 9449 4.3). Neither jti is remembered: use the gateway for that.\n",
    {{m2mctl_policy_options, offsetof(verify_t, policy)},
     {verify_options, 0},
     {m2mctl_bound_options, offsetof(verify_t, shown)},
     {m2mctl_shown_options, offsetof(verify_t, shown)}},
    sizeof(verify_t),
    run_verify,
};
