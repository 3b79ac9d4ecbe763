/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A request that exists only in options: what it carries, where its token is, and what
 * rules see of it once the token was taken out and claims were published. It follows what
 * the server does as far as that can be said without one: no body filters, no rewriting,
 * and X-Forwarded-For as it was given.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_form.h"

#include <apr_time.h>

struct m2mctl_facts_t {
    apr_pool_t *pool;
    apr_time_t now;
    const char *method, *path, *query, *body, *host, *scheme;
    const char *client_ip, *request_id, *stage, *api_name;
    apr_table_t *headers, *env;
    double random;
    const m2_rules_t *rules;      /* from here on while rules are asked */
    const m2_verdict_t *verdict;
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

/* percent-decoding of a path leaves '+' alone */
static const char *decode_path(apr_pool_t *pool, const char *path, apr_size_t n)
{
    char *copy = apr_palloc(pool, n * 3 + 1), *out = copy;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (path[i] == '+') {
            memcpy(out, "%2B", 3);
            out += 3;
        }
        else {
            *out++ = path[i];
        }
    }
    return m2_form_decode(pool, m2_slice(copy, (apr_size_t)(out - copy))).p;
}

static int read_url(m2mctl_facts_t *request, m2mctl_t *ctl, const char *url)
{
    const char *rest = strstr(url, "://"), *slash, *mark;

    request->scheme = "HTTP";
    if (rest && rest < url + strcspn(url, "/?")) {
        request->scheme = m2_slice_is_nocase(m2_slice(url, (apr_size_t)(rest - url)),
                                             "https") ? "HTTPS" : "HTTP";
        rest += 3;
        slash = rest + strcspn(rest, "/?");
        request->host = host_of(ctl->pool, rest, (apr_size_t)(slash - rest));
        url = *slash == '/' ? slash : apr_pstrcat(ctl->pool, "/", slash, NULL);
    }
    if (*url != '/') {
        return m2mctl_usage(ctl, "--url must begin with / or http://HOST");
    }
    mark = strchr(url, '?');
    request->query = mark ? mark + 1 : NULL;
    request->path = decode_path(ctl->pool, url, mark ? (apr_size_t)(mark - url)
                                                     : strlen(url));
    return 0;
}

int m2mctl_request(m2mctl_facts_t **prequest, m2mctl_t *ctl, const m2mctl_request_t *o,
                   apr_time_t now)
{
    m2mctl_facts_t *request = apr_pcalloc(ctl->pool, sizeof(*request));
    const char *host;
    int bad;

    request->pool = ctl->pool;
    request->now = now;
    request->method = o->method ? o->method : "GET";
    request->body = o->body;
    request->client_ip = o->client_ip ? o->client_ip : "127.0.0.1";
    request->request_id = o->request_id;
    request->stage = o->stage ? o->stage : "RELEASE";
    request->api_name = o->api_name;
    request->headers = apr_table_make(ctl->pool, 8);
    request->env = apr_table_make(ctl->pool, 8);
    request->random = o->random.set ? (double)o->random.value / 1e6 : 0.5;
    bad = read_url(request, ctl, o->url ? o->url : "/");
    bad = bad ? bad : read_headers(request, ctl, o->headers);
    bad = bad ? bad : read_env(request, ctl, o->env);
    host = apr_table_get(request->headers, "Host");
    if (!request->host && host) {
        request->host = host_of(ctl->pool, host, strlen(host));
    }
    *prequest = request;
    return bad;
}

/* --- pairs and cookies --- */

typedef int visit_fn(m2_slice_t value, void *baton); /* 0 goes on */

static void each_pair(m2mctl_facts_t *request, const char *text, const char *name,
                      visit_fn *visit, void *baton)
{
    m2_slice_t rest = m2_slice_z(text);
    m2_pair_t pair;

    while (rest.p && m2_form_next(&rest, &pair)) {
        if (m2_form_name_is(request->pool, pair.name, name) &&
            visit(pair.value.p ? m2_form_decode(request->pool, pair.value)
                               : m2_slice("", 0), baton)) {
            return;
        }
    }
}

static void each_cookie(m2mctl_facts_t *request, const char *name, visit_fn *visit,
                        void *baton)
{
    const char *line = apr_table_get(request->headers, "Cookie");
    char *last, *cookie = line ? apr_strtok(apr_pstrdup(request->pool, line), ";,", &last)
                               : NULL;

    for (; cookie; cookie = apr_strtok(NULL, ";,", &last)) {
        char *equals = strchr(cookie, '=');

        cookie += strspn(cookie, " \t");
        if (equals &&
            m2_slice_is(m2_slice(cookie, (apr_size_t)(equals - cookie)), name) &&
            visit(m2_slice_z(equals + 1), baton)) {
            return;
        }
    }
}

/* --- finding the token --- */

typedef struct found_t {
    m2_slice_t token;
    const char *where, *source;
    int count;
} found_t;

static int found(m2_slice_t value, void *baton)
{
    found_t *f = baton;

    if (value.n) {
        f->token = f->count ? f->token : value;
        f->where = f->count ? f->where : f->source;
        f->count++;
    }
    return 0;
}

static m2_slice_t trim(m2_slice_t s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* `Bearer x` is x; Authorization without Bearer is no token, elsewhere it may be bare */
static void find_in_element(found_t *f, m2_slice_t element, int need_scheme)
{
    int bearer;

    element = trim(element);
    bearer = element.n >= 6 && m2_slice_is_nocase(m2_slice(element.p, 6), "Bearer") &&
             (element.n == 6 || element.p[6] == ' ' || element.p[6] == '\t');
    if (bearer) {
        element = trim(m2_slice(element.p + 6, element.n - 6));
    }
    if (bearer || !need_scheme) {
        found(element, f);
    }
}

/* repeated fields are joined by commas, which a token does not hold */
static void find_in_header(found_t *f, m2mctl_facts_t *request, const char *name)
{
    int need_scheme = m2_slice_is_nocase(m2_slice_z(name), "Authorization");
    const char *value = apr_table_get(request->headers, name), *comma;
    int before = f->count, elements = 1;

    for (; value && (comma = strchr(value, ',')) != NULL; value = comma + 1) {
        find_in_element(f, m2_slice(value, (apr_size_t)(comma - value)), need_scheme);
        elements++;
    }
    if (value) {
        find_in_element(f, m2_slice_z(value), need_scheme);
    }
    if (elements > 1 && f->count == before + 1) {
        f->count++; /* one token in a repeated field: the server takes it for two */
    }
}

static int found_cookie(m2_slice_t value, void *baton)
{
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"') {
        value = m2_slice(value.p + 1, value.n - 2);
    }
    return found(value, baton);
}

static const char *without(m2mctl_facts_t *request, const char *text, const char *name)
{
    apr_array_header_t *names = apr_array_make(request->pool, 1, sizeof(const char *));

    APR_ARRAY_PUSH(names, const char *) = name;
    return m2_form_remove(request->pool, text, names, NULL);
}

static void find_in(found_t *f, m2mctl_facts_t *request, const m2_token_source_t *source)
{
    static const char *const words[] = { "header", "query", "cookie", "form" }; /* ORDER
                                                                           TOKEN PLACE */

    f->source = apr_pstrcat(request->pool, words[source->place], ":", source->name, NULL);
    if (source->place == M2_TOKEN_HEADER) {
        find_in_header(f, request, source->name);
    }
    else if (source->place == M2_TOKEN_COOKIE) {
        each_cookie(request, source->name, found_cookie, f);
    }
    else if (source->place == M2_TOKEN_QUERY) {
        each_pair(request, request->query, source->name, found, f);
        request->query = without(request, request->query, source->name);
    }
    else {
        each_pair(request, request->body, source->name, found, f);
        request->body = without(request, request->body, source->name);
    }
}

int m2mctl_find_token(m2_slice_t *ptoken, const char **pwhere, m2mctl_facts_t *request,
                      const apr_array_header_t *sources)
{
    static const m2_token_source_t authorization = { M2_TOKEN_HEADER, "Authorization" };
    found_t f;
    int i;

    memset(&f, 0, sizeof(f));
    for (i = 0; sources && i < sources->nelts; i++) {
        find_in(&f, request, &APR_ARRAY_IDX(sources, i, m2_token_source_t));
    }
    if (!sources) {
        find_in(&f, request, &authorization);
    }
    *ptoken = f.token;
    *pwhere = f.where;
    return f.count;
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

static void publish_pairs(apr_pool_t *pool, const char **ptext, const m2_publish_t *entry)
{
    apr_array_header_t *names = apr_array_make(pool, 1, sizeof(const char *));

    APR_ARRAY_PUSH(names, const char *) = entry->name;
    *ptext = m2_form_remove(pool, *ptext, NULL, names);
    if (entry->value) {
        *ptext = m2_form_append(pool, *ptext, entry->name, m2_slice_z(entry->value));
    }
}

void m2mctl_publish(m2mctl_facts_t *request, const apr_array_header_t *publish)
{
    int i;

    for (i = 0; publish && i < publish->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(publish, i, m2_publish_t);

        if (entry->place == M2_PLACE_HEADER) {
            publish_table(request->pool, request->headers, entry);
        }
        else if (entry->place == M2_PLACE_ENV) {
            publish_table(request->pool, request->env, entry);
        }
        else if (entry->place == M2_PLACE_QUERY) {
            publish_pairs(request->pool, &request->query, entry);
        }
        else if (entry->place == M2_PLACE_FORM) {
            publish_pairs(request->pool, &request->body, entry);
        }
    }
}

/* --- answering --- */

typedef struct asked_t {
    m2_value_t *value;
    const m2_param_t *param;
    m2mctl_facts_t *request;
    m2_code_t code;
} asked_t;

static void answer(asked_t *a, const char *text)
{
    a->value->text = m2_slice_z(text);
}

static int answer_again(m2_slice_t value, void *baton)
{
    asked_t *a = baton;

    if (!a->value->text.p) {
        a->value->text = value;
    }
    else if (a->request->rules->deny_duplicates && !m2_slice_eq(a->value->text, value)) {
        a->code = M2_E_RULE_ERROR;
    }
    return a->code != M2_OK;
}

static void ask_method(asked_t *a)
{
    answer(a, a->request->method);
}

static void ask_path(asked_t *a)
{
    answer(a, a->request->path);
}

static void ask_path_name(asked_t *a)
{
    const m2_path_template_t *path = a->request->rules->path;

    if (path && m2_path_value(&a->value->text, path, a->request->path, a->param->arg)) {
        a->code = M2_E_RULE_ERROR;
    }
}

static void ask_query(asked_t *a)
{
    each_pair(a->request, a->request->query, a->param->arg, answer_again, a);
}

static void ask_header(asked_t *a)
{
    answer(a, apr_table_get(a->request->headers, a->param->arg));
}

static void ask_form(asked_t *a)
{
    each_pair(a->request, a->request->body, a->param->arg, answer_again, a);
}

static void ask_cookie(asked_t *a)
{
    each_cookie(a->request, a->param->arg, answer_again, a);
}

static void ask_host(asked_t *a)
{
    answer(a, a->request->host);
}

static void ask_parameter(asked_t *a)
{
    ask_path_name(a);
    if (!a->value->text.p) {
        ask_query(a);
    }
    if (!a->value->text.p) {
        ask_form(a);
    }
}

static void ask_token(asked_t *a)
{
    const m2_json_t *claim = m2_json_path(a->request->verdict->claims, a->param->arg);

    if (claim && m2_json_type(claim) != M2_JSON_NULL) {
        a->value->json = claim;
        answer(a, m2_json_text(a->request->pool, claim));
    }
}

static void ask_xff(asked_t *a)
{
    const char *list = apr_table_get(a->request->headers, "X-Forwarded-For");
    apr_array_header_t *all = apr_array_make(a->request->pool, 4, sizeof(char *));
    char *last,
        *one =
            list ? apr_strtok(apr_pstrdup(a->request->pool, list), ", \t", &last) : NULL;
    int i;

    for (; one; one = apr_strtok(NULL, ", \t", &last)) {
        APR_ARRAY_PUSH(all, char *) = one;
    }
    i = a->param->index < 0 ? all->nelts + a->param->index : a->param->index;
    if (i >= 0 && i < all->nelts) {
        answer(a, APR_ARRAY_IDX(all, i, char *));
    }
}

static void ask_env(asked_t *a)
{
    answer(a, apr_table_get(a->request->env, a->param->arg));
}

static void ask_system(asked_t *a)
{
    m2mctl_facts_t *r = a->request;
    char *date = apr_palloc(r->pool, APR_RFC822_DATE_LEN);
    const char *user = r->verdict->verified ? r->verdict->user : NULL;
    const char *const answers[] = { /* ORDER SYSTEM */
        r->client_ip, r->host,  r->request_id, date, r->scheme,
        apr_table_get(r->headers, "User-Agent"),
        r->stage,     r->api_name, user,       user, "AliCloudApiGateway",
    };

    apr_rfc822_date(date, r->now);
    answer(a, answers[a->param->index]);
}

typedef void ask_fn(asked_t *a);

static ask_fn *const asks[] = {
    /* ORDER SOURCE */
    ask_method, ask_path,   ask_path_name, ask_query,     ask_header,
    ask_form,   ask_cookie, ask_host,      ask_parameter, ask_token,
    ask_xff,    ask_env,    ask_system,
};

static m2_code_t look_up(m2_value_t *value, const m2_param_t *param, void *baton)
{
    asked_t asked = { value, param, baton, M2_OK };

    asks[param->source](&asked);
    return asked.code;
}

void m2mctl_answer(m2_facts_t *facts, m2mctl_facts_t *request, const m2_rules_t *rules,
                   const m2_verdict_t *verdict, m2_slice_t token)
{
    request->rules = rules;
    request->verdict = verdict;
    memset(facts, 0, sizeof(*facts));
    facts->pool = request->pool;
    facts->now = request->now;
    facts->lookup = look_up;
    facts->baton = request;
    facts->params = rules->params;
    facts->secret = token;
    facts->random = request->random;
}
