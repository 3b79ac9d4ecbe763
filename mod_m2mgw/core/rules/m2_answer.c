/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One small function per source, looked up in a table. What makes a value unclear is said by
 * m2_pairs; which of it is an error, here.
 */
#include "rules/m2_answer.h"

#include "request/m2_method.h"

#include <apr_date.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

typedef struct asked_t {
    m2_value_t *value;
    const m2_param_t *param;
    m2_answers_t *answers;
} asked_t;

typedef m2_code_t answer_fn(asked_t *a);

static m2_code_t answer(asked_t *a, const char *text)
{
    a->value->text = m2_slice_z(text);
    return M2_OK;
}

/* Another spelling is always an error, and so is a cookie that some backends do not find; the
 * other flags are errors only where a single clear value is required. */
static int is_unclear(const asked_t *a, unsigned unclear)
{
    const unsigned always = M2_UNCLEAR_ALIKE | M2_UNCLEAR_COOKIE;

    return (unclear & (a->answers->deny_duplicates ? ~0u : always)) != 0;
}

/* One more place in which the name may stand: the first value counts, and a differing second
 * one is like two in one place. */
static m2_code_t answer_reply(asked_t *a, m2_reply_t reply)
{
    m2_slice_t *text = &a->value->text;

    if (text->p && reply.value.p && !m2_slice_eq(*text, reply.value)) {
        reply.unclear |= M2_UNCLEAR_DIFFERS;
    }
    if (is_unclear(a, reply.unclear)) {
        return M2_E_RULE_ERROR;
    }
    if (!text->p) {
        *text = reply.value;
    }
    return M2_OK;
}

static m2_code_t ask_method(asked_t *a)
{
    const char *method = a->answers->request.method;

    return method && m2_method_is_respelled(method) ? M2_E_RULE_ERROR : answer(a, method);
}

static m2_code_t ask_path(asked_t *a)
{
    return answer(a, a->answers->request.path);
}

static m2_code_t ask_path_name(asked_t *a)
{
    const m2_answers_t *answers = a->answers;
    const char *name = a->param->arg;
    m2_reply_t reply = { { NULL, 0 }, 0, { NULL, 0 }, 0, 0 };
    m2_code_t code = M2_OK;

    if (answers->segment) {
        reply.value = answers->segment(answers->segment_baton, name);
    }
    if (answers->path && !reply.value.p) {
        code = m2_path_value(&reply.value, answers->path, answers->request.path, name);
    }
    if (code != M2_OK) {
        return M2_E_RULE_ERROR;
    }
    reply.unclear = reply.value.p && m2_value_has_edge(reply.value) ? M2_UNCLEAR_EDGE : 0;
    return answer_reply(a, reply);
}

static m2_code_t ask_query(asked_t *a)
{
    m2_request_t *request = &a->answers->request;

    if (!m2_request_charset_is_plain(request)) {
        return M2_E_RULE_ERROR;
    }
    return request->query ? answer_reply(a, m2_request_query(request, a->param->arg)) : M2_OK;
}

static m2_code_t ask_form(asked_t *a)
{
    m2_request_t *request = &a->answers->request;
    m2_reply_t reply;
    m2_code_t code;

    if (!m2_request_charset_is_plain(request)) {
        return M2_E_RULE_ERROR;
    }
    code = m2_request_form(&reply, request, a->param->arg);
    return code != M2_OK ? code : answer_reply(a, reply);
}

/* httpd has joined repeated fields into one list value by now; the backend gets the same. */
static m2_code_t ask_header(asked_t *a)
{
    return answer_reply(a, m2_request_header(&a->answers->request, a->param->arg));
}

static m2_code_t ask_cookie(asked_t *a)
{
    return answer_reply(a, m2_request_cookie(&a->answers->request, a->param->arg));
}

static m2_code_t ask_host(asked_t *a)
{
    return answer(a, a->answers->request.host);
}

/* Where differing values are denied, all places are looked at. */
static m2_code_t ask_parameter(asked_t *a)
{
    static answer_fn *const order[] = { ask_path_name, ask_query, ask_form };
    m2_code_t code = M2_OK;
    apr_size_t i;

    for (i = 0; i < COUNT(order) && code == M2_OK; i++) {
        if (!a->value->text.p || a->answers->deny_duplicates) {
            code = order[i](a);
        }
    }
    return code;
}

static m2_code_t ask_token(asked_t *a)
{
    const m2_json_t *claim = m2_json_path(a->answers->claims, a->param->arg);

    if (claim && m2_json_type(claim) != M2_JSON_NULL) {
        a->value->json = claim;
        a->value->text = m2_json_string(claim); /* lives as long as the request */
        return a->value->text.p ? M2_OK
                                : answer(a, m2_json_text(a->answers->request.pool, claim));
    }
    return M2_OK;
}

static m2_code_t ask_xff(asked_t *a)
{
    return answer(a, m2_request_xff(&a->answers->request, a->param->index));
}

static m2_code_t ask_env(asked_t *a)
{
    return answer(a, apr_table_get(a->answers->request.env, a->param->arg));
}

static m2_code_t ask_ip(asked_t *a)
{
    return answer(a, a->answers->request.ip);
}

static m2_code_t ask_id(asked_t *a)
{
    return answer(a, a->answers->request.id);
}

static m2_code_t ask_time(asked_t *a)
{
    char *date = apr_palloc(a->answers->request.pool, APR_RFC822_DATE_LEN);

    apr_rfc822_date(date, a->answers->request.time);
    return answer(a, date);
}

static m2_code_t ask_scheme(asked_t *a)
{
    return answer(a, a->answers->request.scheme);
}

static m2_code_t ask_agent(asked_t *a)
{
    return answer(a, apr_table_get(a->answers->request.headers, "User-Agent"));
}

static m2_code_t ask_stage(asked_t *a)
{
    return answer(a, a->answers->request.stage);
}

static m2_code_t ask_api(asked_t *a)
{
    return answer(a, a->answers->request.api);
}

static m2_code_t ask_user(asked_t *a)
{
    return answer(a, a->answers->user);
}

static m2_code_t ask_proxy(asked_t *a)
{
    return answer(a, "AliCloudApiGateway"); /* the constant that migrated rules compare with */
}

static answer_fn *const system_answers[] = { /* ORDER SYSTEM */
    ask_ip,    ask_host, ask_id,   ask_time, ask_scheme, ask_agent,
    ask_stage, ask_api,  ask_user, ask_user, ask_proxy,
};
_Static_assert(COUNT(system_answers) == M2_SYS_PROXY + 1, "one answer for each system name");

static m2_code_t ask_system(asked_t *a)
{
    return system_answers[a->param->index](a);
}

static answer_fn *const answers_of[] = { /* ORDER SOURCE */
    ask_method, ask_path,      ask_path_name, ask_query, ask_header, ask_form,   ask_cookie,
    ask_host,   ask_parameter, ask_token,     ask_xff,   ask_env,    ask_system,
};
_Static_assert(COUNT(answers_of) == M2_SRC_SYSTEM + 1, "one answer for each source");

m2_code_t m2_answer(m2_value_t *value, const m2_param_t *param, void *answers)
{
    asked_t asked = { value, param, answers };

    return answers_of[param->source](&asked);
}
