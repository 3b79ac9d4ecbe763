/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A request that exists only in options: what it carries, where its token is, and what
 * rules see of it once the token was taken out and claims were published. It follows what
 * the server does as far as that can be said without one: no body filters, no rewriting,
 * and X-Forwarded-For as it was given.
 */
#include "ctl/m2mctl_verb.h"

#include "request/m2_body.h"
#include "request/m2_cookie.h"
#include "request/m2_find.h"
#include "request/m2_method.h"
#include "request/m2_nameset.h"
#include "rules/m2_answer.h"

#include <apr_time.h>

#include <arpa/inet.h>

#define FORM_TYPE "application/x-www-form-urlencoded"

struct m2mctl_facts_t {
    apr_pool_t *pool;
    apr_time_t now;
    const char *body;
    const char *raw_path;
    apr_table_t *headers, *env;
    double random;
    m2_answers_t answers;
};

/* clang-format off */
#define SLOT(member) offsetof(m2mctl_request_t, member)
const m2mctl_option_t m2mctl_request_options[] = {
    { "method",     M2MCTL_TEXT, SLOT(method), "NAME", "default GET" },
    { "url",        M2MCTL_TEXT, SLOT(url), "URL", "/path?query, or with http://host; "
                                                   "default /" },
    { "header",     M2MCTL_LIST, SLOT(headers), "NAME: VALUE", "request header" },
    { "body",       M2MCTL_TEXT, SLOT(body), "TEXT", "urlencoded form" },
    { "client-ip",  M2MCTL_TEXT, SLOT(client_ip), "ADDRESS", "default 127.0.0.1" },
    { "env",        M2MCTL_LIST, SLOT(env), "NAME=VALUE", "environment variable" },
    { "request-id", M2MCTL_TEXT, SLOT(request_id), "ID", "CaRequestId" },
    { "stage",      M2MCTL_TEXT, SLOT(stage), "NAME", "M2MStage, default RELEASE" },
    { "api-name",   M2MCTL_TEXT, SLOT(api_name), "NAME", "M2MApiName" },
    { "random",     M2MCTL_NUMBER, SLOT(random), "MILLIONTHS", "Random(), default 500000" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* --- reading the options --- */

static int read_headers(m2mctl_facts_t *request, m2mctl_t *ctl,
                        const apr_array_header_t *list)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const char *line = APR_ARRAY_IDX(list, i, const char *);
        const char *colon = strchr(line, ':'), *value;

        if (!colon || colon == line) {
            return m2mctl_usage(ctl, "--header must be NAME: VALUE");
        }
        for (value = colon + 1; *value == ' '; value++) {
        }
        apr_table_mergen(request->headers,
                         apr_pstrmemdup(ctl->pool, line, (apr_size_t)(colon - line)),
                         value);
    }
    return 0;
}

static int read_env(m2mctl_facts_t *request, m2mctl_t *ctl,
                    const apr_array_header_t *list)
{
    const char *name, *value;
    m2_err_t err;
    int i;

    m2_err_init(&err, ctl->pool);
    for (i = 0; list && i < list->nelts; i++) {
        if (m2mctl_pair(&name, &value, ctl->pool, APR_ARRAY_IDX(list, i, const char *),
                        &err)) {
            return m2mctl_usage(ctl, "--env: %s", err.text);
        }
        apr_table_set(request->env, name, value);
    }
    return 0;
}

/* lower case and without a port, as the server has it */
static const char *host_of(apr_pool_t *pool, const char *text, apr_size_t n)
{
    char *host = apr_pstrmemdup(pool, text, n), *p, *end = strrchr(host, ':');

    if (end && !strchr(end, ']')) {
        *end = '\0';
    }
    for (p = host; *p; p++) {
        *p = (char)apr_tolower(*p);
    }
    return host;
}

static int read_url(m2mctl_facts_t *request, m2mctl_t *ctl, const char *url)
{
    m2_request_t *plain = &request->answers.request;
    const char *rest = strstr(url, "://"), *slash, *mark;

    plain->scheme = "HTTP";
    if (rest && rest < url + strcspn(url, "/?")) {
        plain->scheme = m2_slice_is_nocase(m2_slice(url, (apr_size_t)(rest - url)),
                                             "https") ? "HTTPS" : "HTTP";
        rest += 3;
        slash = rest + strcspn(rest, "/?");
        plain->host = host_of(ctl->pool, rest, (apr_size_t)(slash - rest));
        url = *slash == '/' ? slash : apr_pstrcat(ctl->pool, "/", slash, NULL);
    }
    if (*url != '/') {
        return m2mctl_usage(ctl, "--url must begin with / or http://HOST");
    }
    mark = strchr(url, '?');
    plain->query = mark ? mark + 1 : NULL;
    request->raw_path = apr_pstrmemdup(ctl->pool, url, strcspn(url, "?"));
    plain->path = m2mctl_path(ctl->pool, request->raw_path);
    return plain->path ? 0 : m2mctl_usage(ctl, "--url: httpd itself answers 400 or 404 to the "
                                          "path %s", request->raw_path);
}

/* An address as httpd knows those of clients; a zone may follow. */
static int check_address(m2mctl_t *ctl, const char *text)
{
    const char *address = apr_pstrmemdup(ctl->pool, text, strcspn(text, "%"));
    struct in6_addr bytes;

    return inet_pton(AF_INET, address, &bytes) == 1 || inet_pton(AF_INET6, address, &bytes) == 1
               ? 0
               : m2mctl_usage(ctl, "\"%s\" is not the address of a client",
                              m2mctl_plain(ctl->pool, text));
}

/* What is given by options of their own. */
static void take_options(m2mctl_facts_t *request, const m2mctl_request_t *o)
{
    m2_request_t *plain = &request->answers.request;

    request->body = o->body;
    request->random = o->random.set ? (double)o->random.value / 1e6 : 0.5;
    plain->method = o->method ? o->method : "GET";
    plain->ip = o->client_ip ? o->client_ip : "127.0.0.1";
    plain->id = o->request_id;
    plain->stage = o->stage ? o->stage : "RELEASE";
    plain->api = o->api_name;
}

int m2mctl_request(m2mctl_facts_t **prequest, m2mctl_t *ctl, const m2mctl_request_t *o,
                   apr_time_t now)
{
    m2mctl_facts_t *request = apr_pcalloc(ctl->pool, sizeof(*request));
    m2_request_t *plain = &request->answers.request;
    const char *host;
    int bad;

    request->pool = plain->pool = ctl->pool;
    request->now = plain->time = now;
    request->headers = apr_table_make(ctl->pool, 8);
    request->env = apr_table_make(ctl->pool, 8);
    plain->headers = request->headers;
    plain->env = request->env;
    take_options(request, o);
    bad = check_address(ctl, plain->ip);
    bad = bad ? bad : read_url(request, ctl, o->url ? o->url : "/");
    bad = bad ? bad : read_headers(request, ctl, o->headers);
    bad = bad ? bad : read_env(request, ctl, o->env);
    host = apr_table_get(request->headers, "Host");
    if (!plain->host && host) {
        plain->host = host_of(ctl->pool, host, strlen(host));
    }
    if (request->body && !apr_table_get(request->headers, "Content-Type")) {
        apr_table_setn(request->headers, "Content-Type", FORM_TYPE);
    }
    *prequest = request;
    return bad;
}

const char *m2mctl_method(const m2mctl_facts_t *request)
{
    return request->answers.request.method;
}

const char *m2mctl_request_path(const m2mctl_facts_t *request)
{
    return request->answers.request.path;
}

const char *m2mctl_request_raw_path(const m2mctl_facts_t *request)
{
    return request->raw_path;
}

static const char *content_type(const m2mctl_facts_t *request)
{
    return apr_table_get(request->headers, "Content-Type");
}

static m2_body_kind_t body_kind(const m2mctl_facts_t *request)
{
    return request->body ? m2_body_kind(content_type(request),
                                        apr_table_get(request->headers, "Content-Encoding"))
                         : M2_BODY_NONE;
}

static int may_be_form(const m2mctl_facts_t *request)
{
    return body_kind(request) == M2_BODY_FORM || body_kind(request) == M2_BODY_UNTYPED;
}

static m2_code_t refuse_odd_form(const m2mctl_facts_t *request, m2_err_t *err)
{
    return m2_body_is_odd_form(body_kind(request), content_type(request))
               ? m2_err_set(err, M2_E_BODY_UNSUPPORTED, "the body is a form to some backends "
                            "only, or in a character set that respells names")
               : M2_OK;
}

const char *m2mctl_header(const m2mctl_facts_t *request, const char *name)
{
    return apr_table_get(request->headers, name);
}

const char *m2mctl_client_ip(const m2mctl_facts_t *request)
{
    return request->answers.request.ip;
}

void m2mctl_remove_header(m2mctl_facts_t *request, const char *name, const char *exact)
{
    const apr_array_header_t *all = apr_table_elts(apr_table_copy(request->pool,
                                                                  request->headers));
    int i;

    for (i = 0; i < all->nelts; i++) {
        const char *sent = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (m2_header_name_like(sent, name)
            && !(exact && m2_slice_is_nocase(m2_slice_z(sent), exact))) {
            apr_table_unset(request->headers, sent);
        }
    }
}

void m2mctl_segments(m2mctl_facts_t *request, const char *name,
                     m2_slice_t (*segment)(void *baton, const char *name), void *baton)
{
    request->answers.segment = segment;
    request->answers.segment_baton = baton;
    if (!request->answers.request.api) {
        request->answers.request.api = name;
    }
}

/* --- finding the token --- */

typedef struct finding_t {
    m2mctl_facts_t *request;
    m2_tokens_t *tokens;
    m2_err_t *err;
} finding_t;

/* Whether any pair, in whatever spelling, is to go. */
static int is_name(const void *name, m2_slice_t raw)
{
    return m2_name_like(raw, name, M2_READ_FORM);
}

static m2_code_t find_in_text(finding_t *f, const char *text, m2_reading_t reading,
                              const char *name)
{
    return text ? m2_find_in_pairs(f->tokens, m2_pairs_make(f->request->pool, m2_slice_z(text),
                                                            reading), name, f->err)
                : M2_OK;
}

static m2_code_t find_in_header(finding_t *f, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(f->request->headers);
    m2_code_t code = m2_find_in_header(f->tokens, name,
                                       apr_table_get(f->request->headers, name), f->err);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (code == M2_OK && *field->val && m2_find_is_twin(field->key, name)) {
            code = m2_err_set(f->err, M2_E_TOKEN_MULTIPLE, "header %s stands there in another "
                              "spelling", name);
        }
    }
    return code;
}

static m2_code_t find_in_query(finding_t *f, const char *name)
{
    const char **pquery = &f->request->answers.request.query;
    m2_code_t code = find_in_text(f, *pquery, M2_READ_FORM, name);

    *pquery = m2_nameset_remove(f->request->pool, *pquery, is_name, name);
    return code;
}

static m2_code_t find_in_cookie(finding_t *f, const char *name)
{
    const char *cookies = apr_table_get(f->request->headers, "Cookie");
    m2_code_t code = find_in_text(f, cookies, M2_READ_COOKIE, name);

    if (cookies && (cookies = m2_cookie_without(f->request->pool, cookies, name)) != NULL) {
        apr_table_setn(f->request->headers, "Cookie", cookies);
    }
    else {
        apr_table_unset(f->request->headers, "Cookie");
    }
    return code;
}

static m2_code_t find_in_form(finding_t *f, const char *name)
{
    m2mctl_facts_t *request = f->request;
    const int before = f->tokens->nelts;
    m2_code_t code = refuse_odd_form(request, f->err);

    if (code != M2_OK || !may_be_form(request)) {
        return code;
    }
    code = find_in_text(f, request->body, M2_READ_FORM, name);
    request->body = m2_nameset_remove(request->pool, request->body, is_name, name);
    if (code == M2_OK && f->tokens->nelts > before && body_kind(request) == M2_BODY_UNTYPED) {
        return m2_err_set(f->err, M2_E_TOKEN_MULTIPLE, "the body has no type, so that only some "
                          "backends would find the token %s in it", name);
    }
    return code;
}

typedef m2_code_t find_fn(finding_t *f, const char *name);

static const struct place_t {
    const char *word;
    find_fn *find;
} places[] = { /* ORDER TOKEN PLACE */
    { "header", find_in_header },
    { "query", find_in_query },
    { "cookie", find_in_cookie },
    { "form", find_in_form },
};
_Static_assert(sizeof(places) / sizeof(places[0]) == M2_TOKEN_FORM + 1, "a row for each place");

/* The first that was found. */
static void keep_token(m2mctl_token_t *token, const finding_t *f, const m2_token_source_t *source)
{
    const m2mctl_facts_t *request = f->request;

    if (token->text.p || !f->tokens->nelts) {
        return;
    }
    token->text = APR_ARRAY_IDX(f->tokens, 0, m2_slice_t);
    token->where = apr_pstrcat(request->pool, places[source->place].word, ":", source->name,
                               NULL);
    token->as_dpop = source->place == M2_TOKEN_HEADER
                     && m2_find_is_dpop(apr_table_get(request->headers, source->name));
}

m2_code_t m2mctl_find_token(m2mctl_token_t *token, m2mctl_facts_t *request,
                            const apr_array_header_t *sources, m2_err_t *err)
{
    static const m2_token_source_t authorization = { M2_TOKEN_HEADER, "Authorization" };
    finding_t f = { request, apr_array_make(request->pool, 2, sizeof(m2_slice_t)), err };
    const m2_token_source_t *source = &authorization;
    m2_code_t worst = M2_OK, code;
    int i, n = sources ? sources->nelts : 1;

    memset(token, 0, sizeof(*token));
    for (i = 0; i < n; i++) {
        source = sources ? &APR_ARRAY_IDX(sources, i, m2_token_source_t) : source;
        code = places[source->place].find(&f, source->name);
        worst = worst != M2_OK ? worst : code;
        keep_token(token, &f, source);
    }
    if (worst == M2_OK && f.tokens->nelts > 1) {
        worst = m2_err_set(err, M2_E_TOKEN_MULTIPLE, "the request carries %d tokens",
                           f.tokens->nelts);
    }
    return worst;
}

/* --- publishing --- */

typedef struct scrub_t {
    const char *name;
    apr_table_t *table;
} scrub_t;

static int scrub_one(void *baton, const char *name, const char *value)
{
    scrub_t *scrub = baton;

    (void)value;
    if (m2_header_name_like(name, scrub->name)) {
        apr_table_unset(scrub->table, name);
    }
    return 1;
}

static void publish_table(apr_pool_t *pool, apr_table_t *table, const m2_publish_t *entry)
{
    scrub_t scrub = { entry->name, table };

    apr_table_do(scrub_one, &scrub, apr_table_copy(pool, table), NULL);
    if (entry->value) {
        apr_table_set(table, entry->name, entry->value);
    }
}

static int is_like_entry(const void *baton, m2_slice_t raw)
{
    const m2_publish_t *entry = baton;

    return m2_name_like(raw, entry->name, M2_READ_FORM);
}

/* The names of one place out, and the pairs that come in their stead, all in front. */
static const char *publish_pairs(apr_pool_t *pool, const char *text, m2_place_t place,
                                 const apr_array_header_t *publish)
{
    const char *pairs = "";
    int i;

    for (i = 0; publish && i < publish->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(publish, i, m2_publish_t);

        if (entry->place == place) {
            text = m2_nameset_remove(pool, text, is_like_entry, entry);
            pairs = entry->value ? m2_form_append(pool, pairs, entry->name,
                                                  m2_slice_z(entry->value))
                                 : pairs;
        }
    }
    return *pairs ? m2_form_insert(pool, text, pairs) : text;
}

void m2mctl_publish(m2mctl_facts_t *request, const apr_array_header_t *publish)
{
    m2_request_t *plain = &request->answers.request;
    int i;

    for (i = 0; publish && i < publish->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(publish, i, m2_publish_t);

        if (entry->place == M2_PLACE_HEADER) {
            publish_table(request->pool, request->headers, entry);
        }
        else if (entry->place == M2_PLACE_ENV) {
            publish_table(request->pool, request->env, entry);
        }
    }
    plain->query = publish_pairs(request->pool, plain->query, M2_PLACE_QUERY, publish);
    if (request->body && body_kind(request) == M2_BODY_FORM) {
        request->body = publish_pairs(request->pool, request->body, M2_PLACE_FORM, publish);
    }
}

/* --- what a backend could read otherwise --- */

m2_code_t m2mctl_judge_body(m2mctl_facts_t *request, const m2_mapping_t *mapping,
                            m2_err_t *err)
{
    const m2_scrub_t scrub = { mapping, NULL };
    m2_code_t code = mapping ? m2_publish_takes(&scrub, mapping, 0, body_kind(request),
                                                content_type(request), err)
                             : M2_OK;

    return code == M2_OK && mapping && mapping->names[M2_PLACE_FORM]
               ? refuse_odd_form(request, err) : code;
}

static int is_one_of(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

static int take_methods(m2mctl_facts_t *request)
{
    const char *method = request->answers.request.method;
    const apr_table_t *copy = apr_table_copy(request->pool, request->headers);
    const apr_array_header_t *all = apr_table_elts(copy);
    int i, differs = 0;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (m2_method_is_override(field->key)) {
            differs |= m2_method_differs(m2_slice_z(field->val), method);
            apr_table_unset(request->headers, field->key);
        }
    }
    return differs;
}

static int take_methods_in(const char **ptext, const m2mctl_facts_t *request)
{
    m2_nameset_t *names = m2_nameset_make(request->pool, M2_READ_FORM);
    int differs;

    m2_nameset_add(names, "_method"); /* M2MMethodParameter's default */
    differs = m2_method_differs_in(request->pool, *ptext, names,
                                   request->answers.request.method);
    *ptext = m2_nameset_remove(request->pool, *ptext, is_one_of, names);
    return differs;
}

m2_code_t m2mctl_judge_method(m2mctl_facts_t *request, const m2_rules_t *rules, int operations,
                              m2_err_t *err)
{
    m2_request_t *plain = &request->answers.request;
    int differs;

    if (!operations && !(rules && m2_params_use(rules->params, M2_SRC_METHOD))) {
        return M2_OK;
    }
    differs = take_methods(request);
    differs |= take_methods_in(&plain->query, request);
    if (may_be_form(request) && strcmp(plain->method, "POST") == 0) {
        differs |= take_methods_in(&request->body, request);
    }
    return differs ? m2_err_set(err, M2_E_RULE_ERROR, "a header or parameter names another "
                                "method than the request's")
                   : M2_OK;
}

/* --- answering --- */

static m2_code_t read_form(m2_slice_t *pform, void *baton)
{
    const m2mctl_facts_t *request = baton;

    return m2_request_form_of(pform, m2_slice_z(request->body), body_kind(request));
}

void m2mctl_answer(m2_facts_t *facts, m2mctl_facts_t *request, const m2_rules_t *rules,
                   const m2_verdict_t *verdict, m2_slice_t token)
{
    m2_answers_t *answers = &request->answers;

    answers->path = rules->path;
    answers->claims = verdict->claims;
    answers->user = verdict->verified ? verdict->user : NULL;
    answers->deny_duplicates = rules->deny_duplicates;
    answers->request.form = read_form;
    answers->request.form_baton = request;
    memset(facts, 0, sizeof(*facts));
    facts->pool = request->pool;
    facts->now = request->now;
    facts->lookup = m2_answer;
    facts->baton = answers;
    facts->params = rules->params;
    facts->secret = token;
    facts->random = request->random;
}
