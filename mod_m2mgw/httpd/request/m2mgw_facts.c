/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What rules may ask about a request, passed to them as plain values. The values are what the
 * backend will see: after httpd's own decoding, after the token was taken out and claims were
 * published.
 */
#include "httpd/request/m2mgw_facts.h"

#include "httpd/request/m2mgw_body.h"
#include "httpd/request/m2mgw_operation.h"

#include "rules/m2_answer.h"

/* A draw in [0,1) for Random(): the splitmix64 finalizer over what differs between requests.
 * It spreads load, it keeps no secret, and unlike httpd's generator it takes no lock. */
static double draw(const request_rec *r, apr_time_t now)
{
    apr_uint64_t z = (apr_uint64_t)now + (apr_uint64_t)(apr_uintptr_t)r * 0x9E3779B97F4A7C15u
                     + (apr_uint64_t)r->connection->id;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) / 9007199254740992.0;
}

/* The Host without its port, lower case: httpd has parsed r->hostname that way. */
static const char *host_of(const request_rec *r)
{
    char *host = r->hostname ? apr_pstrdup(r->pool, r->hostname) : NULL;

    if (host) {
        ap_str_tolower(host);
    }
    return host;
}

/* The sentence about an unusable body is written by the rule, which names the parameter. */
static m2_code_t read_form(m2_slice_t *pform, void *baton)
{
    m2mgw_ctx_t *ctx = baton;
    const m2_body_kind_t kind = m2mgw_body_kind(ctx, ctx->r);

    if (kind == M2_BODY_FORM) {
        return m2mgw_body_form(pform, ctx, ctx->r, NULL);
    }
    return m2_request_form_of(pform, m2_slice("?", 1), kind); /* there is some byte of it */
}

static m2_slice_t segment(void *ctx, const char *name)
{
    return m2mgw_operation_value(ctx, name);
}

static void fill_request(m2_request_t *request, m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2mgw_dir_t *dir = ctx->effective.dir;
    const char *scheme = ap_http_scheme(r);

    request->pool = r->pool;
    request->time = r->request_time;
    request->method = r->method;
    request->path = r->uri;
    request->query = r->args;
    request->host = host_of(r);
    request->scheme = scheme && m2_slice_is(m2_slice_z(scheme), "https") ? "HTTPS" : "HTTP";
    request->ip = r->useragent_ip;
    request->id = ctx->root->request_id;
    request->stage = dir->stage ? dir->stage : "RELEASE";
    request->api = dir->api_name ? dir->api_name : m2mgw_operation_name(ctx);
    request->headers = r->headers_in;
    request->env = r->subprocess_env;
    request->form = read_form;
    request->form_baton = ctx;
}

void m2mgw_facts_for(m2_facts_t *facts, m2mgw_ctx_t *ctx, const m2_rules_t *scope,
                     request_rec *r, apr_time_t now)
{
    const int said = ctx->effective.dir->duplicates;
    m2_answers_t *answers;

    memset(facts, 0, sizeof(*facts));
    if (!scope) { /* it will not be used */
        return;
    }
    answers = apr_pcalloc(r->pool, sizeof(*answers));
    fill_request(&answers->request, ctx, r);
    answers->path = scope->path;
    answers->segment = segment;
    answers->segment_baton = ctx;
    answers->claims = ctx->verdict.claims;
    answers->user = ctx->verdict.verified ? ctx->verdict.user : NULL;
    answers->deny_duplicates = said != M2_UNSET ? said : scope->deny_duplicates;
    facts->pool = r->pool;
    facts->now = now;
    facts->lookup = m2_answer;
    facts->baton = answers;
    facts->params = scope->params;
    facts->secret = ctx->token;
    facts->random = draw(r, now);
}

void m2mgw_facts_init(m2_facts_t *facts, m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    m2mgw_facts_for(facts, ctx, ctx->effective.policy.rules, r, now);
}
