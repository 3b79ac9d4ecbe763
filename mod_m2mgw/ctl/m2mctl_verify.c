/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl verify: would the gateway take this token? The same code decides, with the same
 * reasons.
 */
#include "ctl/m2mctl_force.h"

#include <stdio.h>

typedef struct verify_t {
    m2mctl_policy_t policy;
    const char *token_file;
} verify_t;

/* clang-format off */
static const m2mctl_option_t verify_options[] = {
    { "token-file", M2MCTL_TEXT, offsetof(verify_t, token_file), "FILE",
      "the token; default: standard input" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

static void print_json(m2mctl_t *ctl, const m2_verdict_t *verdict)
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
    m2mctl_print_json(ctl->pool, json);
}

static void print_text(m2mctl_t *ctl, const m2_verdict_t *verdict)
{
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
    m2mctl_force_t force;
    m2_verdict_t verdict;
    m2_slice_t token;
    m2_err_t err;
    int bad = m2mctl_policy_at(&force, ctl, &o->policy, NULL);

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
    if (m2mctl_read_token(&token, ctl->pool, path, &err)) {
        return m2mctl_fault(ctl, path, &err);
    }
    memset(&verdict, 0, sizeof(verdict));
    force.policy.bypass_empty = 0; /* an empty input is a mistake here */
    m2_gate_token(&verdict, ctl->pool, &force.policy, token, force.now, NULL);
    m2_gate_scopes(&verdict, &force.policy);
    if (ctl->json) {
        print_json(ctl, &verdict);
    }
    else {
        print_text(ctl, &verdict);
    }
    return verdict.code == M2_OK ? M2MCTL_ALLOW : M2MCTL_DENY;
}

const m2mctl_verb_t m2mctl_verify = {
    "verify",
    "[-]",
    "check a token against keys and a policy",
    "Reads a token, with or without `Bearer`, from --token-file or standard input. "
    "Options\n"
    "of the policy are named after the directives (--M2MIssuer is understood as well).\n"
    "Prints the claims of a good token, and of a bad one the reason, which is what\n"
    "M2M_REASON would be. A jti is not remembered: use the gateway for that.\n",
    {{m2mctl_policy_options, offsetof(verify_t, policy)}, {verify_options, 0}},
    sizeof(verify_t),
    run_verify,
};
