/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Answers what rules ask about a request: one small function per source, looked up in a
 * table. Values are what the backend will see: after httpd's own decoding, after the token
 * was taken out and claims were published.
 */
#include "httpd/request/m2mgw_facts.h"

#include "httpd/request/m2mgw_operation.h"

#include "httpd/request/m2mgw_body.h"
#include "httpd/request/m2mgw_token.h"

#include "text/m2_form.h"

#include <apr_date.h>

typedef struct asked_t {
    m2_value_t *value;
    const m2_param_t *param;
    m2mgw_ctx_t *ctx;
    request_rec *r;
} asked_t;

typedef m2_code_t answer_fn(asked_t *a);

static m2_code_t answer(asked_t *a, const char *text)
{
    a->value->text = m2_slice_z(text);
    return M2_OK;
}

/* The first value counts; a differing second one is an error where duplicates are denied. */
static m2_code_t answer_again(asked_t *a, m2_slice_t text)
{
    if (!a->value->text.p) {
        a->value->text = text;
        return M2_OK;
    }
    if (a->ctx->effective.deny_duplicates && !m2_slice_eq(a->value->text, text)) {
        return M2_E_RULE_ERROR;
    }
    return M2_OK;
}

static m2_code_t answer_pairs(asked_t *a, m2_slice_t text)
{
    m2_code_t code = M2_OK;
    m2_pair_t pair;

    while (code == M2_OK && m2_form_next(&text, &pair)) {
        if (m2_form_name_is(a->r->pool, pair.name, a->param->arg)) {
            m2_slice_t value = pair.value.p ? m2_form_decode(a->r->pool, pair.value)
                                            : m2_slice("", 0);

            code = answer_again(a, value);
        }
    }
    return code;
}

static m2_code_t ask_method(asked_t *a)
{
    return answer(a, a->r->method);
}

static m2_code_t ask_path(asked_t *a)
{
    return answer(a, a->r->uri);
}

static m2_code_t ask_path_name(asked_t *a)
{
    const m2_path_template_t *path = a->ctx->effective.policy.rules->path;

    a->value->text = m2mgw_operation_value(a->ctx, a->param->arg);
    if (a->value->text.p || !path) {
        return M2_OK;
    }
    return m2_path_value(&a->value->text, path, a->r->uri, a->param->arg);
}

static m2_code_t ask_query(asked_t *a)
{
    return a->r->args ? answer_pairs(a, m2_slice_z(a->r->args)) : M2_OK;
}

/* httpd has joined repeated fields into one list value by now; the backend gets the same. */
static m2_code_t ask_header(asked_t *a)
{
    return answer(a, apr_table_get(a->r->headers_in, a->param->arg));
}

/* The sentence about a body that cannot be used is the rule's, which names the parameter. */
static m2_code_t ask_form(asked_t *a)
{
    m2_slice_t form;
    m2_code_t code = m2mgw_body_form(&form, a->ctx, a->r, NULL);

    if (code != M2_OK) {
        return code;
    }
    return form.p ? answer_pairs(a, form) : M2_OK;
}

static m2_code_t ask_cookie(asked_t *a)
{
    const char *rest = apr_table_get(a->r->headers_in, "Cookie");
    m2_slice_t raw, name, value;
    m2_code_t code = M2_OK;

    while (code == M2_OK && rest && m2mgw_cookie_next(&rest, &raw, &name, &value)) {
        if (value.p && m2_slice_is(name, a->param->arg)) {
            code = answer_again(a, value);
        }
    }
    return code;
}

/* The Host without its port, lower case: httpd has parsed r->hostname that way. */
static m2_code_t ask_host(asked_t *a)
{
    if (a->r->hostname) {
        char *host = apr_pstrdup(a->r->pool, a->r->hostname);

        ap_str_tolower(host);
        return answer(a, host);
    }
    return M2_OK;
}

static m2_code_t ask_parameter(asked_t *a)
{
    static answer_fn *const order[] = { ask_path_name, ask_query, ask_form };
    m2_code_t code = M2_OK;
    apr_size_t i;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        code = order[i](a);
        if (code != M2_OK || a->value->text.p) {
            break;
        }
    }
    return code;
}

static m2_code_t ask_token(asked_t *a)
{
    const m2_json_t *claim = m2_json_path(a->ctx->verdict.claims, a->param->arg);

    if (claim && m2_json_type(claim) != M2_JSON_NULL) {
        a->value->json = claim;
        a->value->text = m2_json_string(claim); /* lives as long as the request */
        return a->value->text.p ? M2_OK : answer(a, m2_json_text(a->r->pool, claim));
    }
    return M2_OK;
}

/* The index-th address of X-Forwarded-For; negative indices count from the end. */
static m2_code_t ask_xff(asked_t *a)
{
    const char *list = apr_table_get(a->r->headers_in, "X-Forwarded-For");
    apr_array_header_t *all;
    char *state;
    char *one;
    int i;

    if (!list) {
        return M2_OK;
    }
    all = apr_array_make(a->r->pool, 4, sizeof(char *));
    one = apr_strtok(apr_pstrdup(a->r->pool, list), ", \t", &state);
    for (; one; one = apr_strtok(NULL, ", \t", &state)) {
        APR_ARRAY_PUSH(all, char *) = one;
    }
    i = a->param->index < 0 ? all->nelts + a->param->index : a->param->index;
    return i >= 0 && i < all->nelts ? answer(a, APR_ARRAY_IDX(all, i, char *)) : M2_OK;
}

static m2_code_t ask_env(asked_t *a)
{
    return answer(a, apr_table_get(a->r->subprocess_env, a->param->arg));
}

static m2_code_t ask_client_ip(asked_t *a)
{
    return answer(a, a->r->useragent_ip);
}

static m2_code_t ask_request_id(asked_t *a)
{
    return answer(a, a->ctx->root->request_id);
}

static m2_code_t ask_handle_time(asked_t *a)
{
    char *date = apr_palloc(a->r->pool, APR_RFC822_DATE_LEN);

    apr_rfc822_date(date, a->r->request_time);
    return answer(a, date);
}

static m2_code_t ask_scheme(asked_t *a)
{
    const char *scheme = ap_http_scheme(a->r);

    return answer(a, scheme && m2_slice_is(m2_slice_z(scheme), "https") ? "HTTPS" : "HTTP");
}

static m2_code_t ask_client_ua(asked_t *a)
{
    return answer(a, apr_table_get(a->r->headers_in, "User-Agent"));
}

static m2_code_t ask_stage(asked_t *a)
{
    const char *stage = a->ctx->effective.dir->stage;

    return answer(a, stage ? stage : "RELEASE");
}

static m2_code_t ask_api_name(asked_t *a)
{
    const char *name = a->ctx->effective.dir->api_name;

    return answer(a, name ? name : m2mgw_operation_name(a->ctx));
}

static m2_code_t ask_app(asked_t *a)
{
    return answer(a, a->ctx->verdict.verified ? a->r->user : NULL);
}

static m2_code_t ask_proxy(asked_t *a)
{
    return answer(a, "AliCloudApiGateway"); /* the constant that migrated rules compare with */
}

/* ORDER SYSTEM */
static answer_fn *const system_answers[] = {
    ask_client_ip, ask_host,  ask_request_id, ask_handle_time, ask_scheme, ask_client_ua,
    ask_stage,     ask_api_name, ask_app,     ask_app,         ask_proxy,
};

static m2_code_t ask_system(asked_t *a)
{
    return system_answers[a->param->index](a);
}

/* ORDER SOURCE */
static answer_fn *const answers[] = {
    ask_method, ask_path,      ask_path_name, ask_query, ask_header, ask_form,   ask_cookie,
    ask_host,   ask_parameter, ask_token,     ask_xff,   ask_env,    ask_system,
};

static m2_code_t lookup(m2_value_t *value, const m2_param_t *param, void *baton)
{
    m2mgw_ctx_t *ctx = baton;
    asked_t asked = { value, param, ctx, NULL };

    asked.r = ctx->r;
    return answers[param->source](&asked);
}

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

void m2mgw_facts_init(m2_facts_t *facts, m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    memset(facts, 0, sizeof(*facts));
    facts->pool = r->pool;
    facts->now = now;
    facts->lookup = lookup;
    facts->baton = ctx;
    facts->params = ctx->effective.policy.rules ? ctx->effective.policy.rules->params : NULL;
    facts->secret = ctx->token;
    facts->random = draw(r, now);
}
