/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Source texts -> parameters, and the values of one request, each asked for at most once.
 * What a source word means is one row of a table. Sources that the gateway knows and that
 * cannot be answered here are told apart from mistakes.
 */
#include "rules/m2_param.h"

#include "text/m2_json.h"
#include "text/m2_nearest.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NOT_SO (-1)          /* the word has no such form */
#define MAX_XFF_INDEX 9999   /* more hops than any header has room for */


/* reads what stands behind the colon into param->arg or param->index */
typedef m2_code_t read_fn(m2_param_t *param, apr_pool_t *pool, const char *arg,
                          m2_err_t *err);

typedef struct source_word_t {
    const char *word;
    int plain;     /* source without a colon, or NOT_SO */
    int named;     /* source with one, or NOT_SO */
    read_fn *read;
} source_word_t;

typedef struct system_name_t {
    const char *name;
    m2_system_t which;
} system_name_t;

static const system_name_t system_names[] = { /* ORDER SYSTEM */
    { "CaClientIp", M2_SYS_CLIENT_IP },
    { "CaDomain", M2_SYS_DOMAIN },
    { "CaRequestId", M2_SYS_REQUEST_ID },
    { "CaRequestHandleTime", M2_SYS_HANDLE_TIME },
    { "CaHttpSchema", M2_SYS_HTTP_SCHEME },
    { "CaHttpScheme", M2_SYS_HTTP_SCHEME },
    { "CaClientUa", M2_SYS_CLIENT_UA },
    { "CaStage", M2_SYS_STAGE },
    { "CaApiName", M2_SYS_API_NAME },
    { "CaAppId", M2_SYS_APP_ID },
    { "CaAppKey", M2_SYS_APP_KEY },
    { "CaProxy", M2_SYS_PROXY },
};

static const char *const system_elsewhere[] = { "CaCloudMarketInstanceId",
                                                "CaMarketExperiencePlan" };

/* sources of the gateway's response phase; rules see a request only */
static const char *const response_words[] = { "StatusCode", "ErrorCode", "BodyJsonField",
                                              "BodyJson" };

/* --- names, in ASCII whatever the locale --- */

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int all_of(const char *z, const char *extra)
{
    while (*z && (is_letter(*z) || is_digit(*z) || strchr(extra, *z))) {
        z++;
    }
    return *z == '\0';
}

apr_size_t m2_name_length(m2_slice_t text)
{
    apr_size_t n = 0;

    while (n < text.n
           && (is_letter(text.p[n]) || text.p[n] == '_' || (n && is_digit(text.p[n])))) {
        n++;
    }
    return n;
}

/* --- what stands behind the colon --- */

static m2_code_t read_name(m2_param_t *param, apr_pool_t *pool, const char *arg,
                           m2_err_t *err)
{
    const char *p;

    for (p = arg; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return m2_err_set(err, M2_E_CONFIG, "the name of a source holds a control byte");
        }
    }
    if (arg[0] == ' ' || p[-1] == ' ') {
        return m2_err_set(err, M2_E_CONFIG, "blanks around the name in source \"%s\"", arg);
    }
    param->arg = apr_pstrdup(pool, arg);
    return M2_OK;
}

/* names of header fields and cookies (RFC 9110 5.6.2, RFC 6265 4.1.1) */
static m2_code_t read_token(m2_param_t *param, apr_pool_t *pool, const char *arg,
                            m2_err_t *err)
{
    if (!all_of(arg, "!#$%&'*+-.^_`|~")) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" cannot be the name of a header field or "
                          "cookie", arg);
    }
    return read_name(param, pool, arg, err);
}

static m2_code_t read_claim(m2_param_t *param, apr_pool_t *pool, const char *arg, m2_err_t *err)
{
    const m2_code_t code = m2_json_path_check(arg, err);

    return code ? code : read_name(param, pool, arg, err);
}

/* placeholders of M2MPath */
static m2_code_t read_path_name(m2_param_t *param, apr_pool_t *pool, const char *arg,
                                m2_err_t *err)
{
    if (!all_of(arg, "_-")) {
        return m2_err_set(err, M2_E_CONFIG, "path name \"%s\" may hold letters, digits, '_' "
                          "and '-' only", arg);
    }
    return read_name(param, pool, arg, err);
}

static m2_code_t read_index(m2_param_t *param, apr_pool_t *pool, const char *arg,
                            m2_err_t *err)
{
    const char *digits = arg + (*arg == '-');
    const char *p;
    int index = 0;

    (void)pool;
    for (p = digits; is_digit(*p) && index <= MAX_XFF_INDEX; p++) {
        index = index * 10 + (*p - '0');
    }
    if (*p || p == digits || index > MAX_XFF_INDEX) {
        return m2_err_set(err, M2_E_CONFIG, "XFF index \"%s\" is not a whole number from "
                          "-%d to %d", arg, MAX_XFF_INDEX, MAX_XFF_INDEX);
    }
    param->index = digits == arg ? index : -index;
    return M2_OK;
}

static m2_code_t read_system(m2_param_t *param, apr_pool_t *pool, const char *arg,
                             m2_err_t *err)
{
    apr_size_t i;

    (void)pool;
    for (i = 0; i < COUNT(system_names); i++) {
        if (m2_slice_is_nocase(m2_slice_z(arg), system_names[i].name)) {
            param->arg = system_names[i].name;
            param->index = (int)system_names[i].which;
            return M2_OK;
        }
    }
    for (i = 0; i < COUNT(system_elsewhere); i++) {
        if (m2_slice_is_nocase(m2_slice_z(arg), system_elsewhere[i])) {
            return m2_err_set(err, M2_E_CONFIG, "system parameter %s is known and not "
                              "supported", system_elsewhere[i]);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "no system parameter is named \"%s\"", arg);
}

static const source_word_t source_words[] = { /* ORDER SOURCE */
    { "Method", M2_SRC_METHOD, NOT_SO, NULL },
    { "Path", M2_SRC_PATH, M2_SRC_PATH_NAME, read_path_name },
    { "Query", NOT_SO, M2_SRC_QUERY, read_name },
    { "Header", NOT_SO, M2_SRC_HEADER, read_token },
    { "Form", NOT_SO, M2_SRC_FORM, read_name },
    { "Cookie", NOT_SO, M2_SRC_COOKIE, read_token },
    { "Host", M2_SRC_HOST, NOT_SO, NULL },
    { "Parameter", NOT_SO, M2_SRC_PARAMETER, read_name },
    { "Token", NOT_SO, M2_SRC_TOKEN, read_claim },
    { "XFF", M2_SRC_XFF, M2_SRC_XFF, read_index },
    { "Env", NOT_SO, M2_SRC_ENV, read_name },
    { "System", NOT_SO, M2_SRC_SYSTEM, read_system },
};

const char *m2_param_text(apr_pool_t *pool, const m2_param_t *param)
{
    const char *arg = param->source == M2_SRC_XFF ? apr_itoa(pool, param->index) : param->arg;
    apr_size_t i = 0;

    while (i + 1 < COUNT(source_words) && source_words[i].named != (int)param->source
           && source_words[i].plain != (int)param->source) {
        i++;
    }
    return apr_pstrcat(pool, source_words[i].word,
                       source_words[i].plain == (int)param->source
                               && param->source != M2_SRC_XFF ? NULL : ":",
                       arg ? arg : "", NULL);
}

/* --- declaring --- */

#define SOURCES                                                                            \
    "Method, Path, Path:NAME, Query:NAME, Header:NAME, Form:NAME, Cookie:NAME, Host, "      \
    "Parameter:NAME, Token:NAME, XFF:INDEX, Env:NAME and System:NAME"

static m2_code_t unknown_word(m2_slice_t word, m2_err_t *err)
{
    apr_size_t i;

    for (i = 0; i < COUNT(response_words); i++) {
        if (m2_slice_is_nocase(word, response_words[i])) {
            return m2_err_set(err, M2_E_CONFIG, "source %s reads the response; it is known "
                              "and not supported, rules see the request", response_words[i]);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "unknown source \"%.*s\"; there are " SOURCES "%s",
                      (int)word.n, word.p,
                      err ? m2_nearest_hint(err->pool, m2_slice_dup(err->pool, word),
                                            "Method Path Query Header Form Cookie Host Parameter "
                                            "Token XFF Env System") : "");
}

static m2_code_t wrong_form(const source_word_t *word, m2_err_t *err)
{
    if (word->plain == M2_SRC_HOST) {
        return m2_err_set(err, M2_E_CONFIG, "Host:NAME, a part of a wildcard domain, is known "
                          "and not supported; Host alone is the whole host");
    }
    if (word->named == NOT_SO) {
        return m2_err_set(err, M2_E_CONFIG, "source %s takes no name", word->word);
    }
    return m2_err_set(err, M2_E_CONFIG, "source %s needs a name: %s:NAME", word->word,
                      word->word);
}

static m2_code_t read_source(m2_param_t *param, apr_pool_t *pool, const char *source,
                             m2_err_t *err)
{
    const char *colon = strchr(source, ':');
    m2_slice_t word = m2_slice(source, colon ? (apr_size_t)(colon - source)
                                             : strlen(source));
    int which;
    apr_size_t i;

    for (i = 0; i < COUNT(source_words); i++) {
        if (!m2_slice_is_nocase(word, source_words[i].word)) {
            continue;
        }
        which = colon ? source_words[i].named : source_words[i].plain;
        if (which == NOT_SO || (colon && !colon[1])) {
            return wrong_form(&source_words[i], err);
        }
        param->source = (m2_source_t)which;
        return colon ? source_words[i].read(param, pool, colon + 1, err) : M2_OK;
    }
    return unknown_word(word, err);
}

static int known_index(const m2_params_t *params, m2_slice_t name)
{
    int *index = apr_hash_get(params->by_name, name.p, (apr_ssize_t)name.n);

    return index ? *index : -1;
}

static int add_param(m2_params_t *params, const m2_param_t *param)
{
    int *index = apr_palloc(params->pool, sizeof(*index));

    *index = params->list->nelts;
    APR_ARRAY_PUSH(params->list, m2_param_t) = *param;
    params->sources |= 1u << param->source;
    apr_hash_set(params->by_name, param->name, APR_HASH_KEY_STRING, index);
    return *index;
}

m2_params_t *m2_params_make(apr_pool_t *pool)
{
    m2_params_t *params = apr_pcalloc(pool, sizeof(*params));

    params->pool = pool;
    params->list = apr_array_make(pool, 8, sizeof(m2_param_t));
    params->by_name = apr_hash_make(pool);
    params->datasets = apr_array_make(pool, 1, sizeof(struct m2_dataset_ref_t *));
    return params;
}

/* A system name that a rule used undeclared (its name and arg are one pointer then) may be
 * declared afterwards as what it is. */
static m2_code_t declare_again(m2_params_t *params, const m2_param_t *param, int index,
                               m2_err_t *err)
{
    m2_param_t *old = &APR_ARRAY_IDX(params->list, index, m2_param_t);

    if (old->source == M2_SRC_SYSTEM && old->name == old->arg
        && param->source == M2_SRC_SYSTEM && param->index == old->index) {
        old->name = param->name;
        return M2_OK;
    }
    return m2_err_set(err, M2_E_CONFIG, "parameter %s is declared twice", param->name);
}

m2_code_t m2_params_declare(m2_params_t *params, const char *name, const char *source,
                            m2_err_t *err)
{
    m2_param_t param = { NULL, M2_SRC_METHOD, NULL, 0 };
    int index = known_index(params, m2_slice_z(name));
    m2_code_t code;

    if (!*name || m2_name_length(m2_slice_z(name)) != strlen(name)) {
        return m2_err_set(err, M2_E_CONFIG, "parameter name \"%s\" must be letters, digits "
                          "and '_', not beginning with a digit", name);
    }
    param.name = apr_pstrdup(params->pool, name);
    code = read_source(&param, params->pool, source, err);
    if (code) {
        return code;
    }
    if (index >= 0) {
        return declare_again(params, &param, index, err);
    }
    add_param(params, &param);
    return M2_OK;
}

int m2_params_find(m2_params_t *params, m2_slice_t name)
{
    int index = known_index(params, name);
    apr_size_t i;

    for (i = 0; index < 0 && i < COUNT(system_names); i++) {
        if (m2_slice_is(name, system_names[i].name)) {
            m2_param_t param = { system_names[i].name, M2_SRC_SYSTEM, system_names[i].name,
                                 (int)system_names[i].which };

            index = add_param(params, &param);
        }
    }
    return index;
}

const char *m2_params_hint(apr_pool_t *pool, const m2_params_t *params, m2_slice_t name)
{
    const char *names = "";
    int i;

    for (i = 0; i < params->list->nelts; i++) {
        names = apr_pstrcat(pool, names, " ", APR_ARRAY_IDX(params->list, i, m2_param_t).name,
                            NULL);
    }
    return m2_nearest_hint(pool, m2_slice_dup(pool, name), names);
}

int m2_params_use(const m2_params_t *params, m2_source_t source)
{
    return (params->sources >> source & 1u) != 0;
}

/* --- the values of a request --- */

static void facts_open(m2_facts_t *facts)
{
    apr_size_t n = (apr_size_t)facts->params->list->nelts;

    facts->values = apr_pcalloc(facts->pool, n * sizeof(*facts->values));
    facts->state = apr_pcalloc(facts->pool, n);
}

static void facts_ask(m2_facts_t *facts, int index)
{
    const m2_param_t *param = &APR_ARRAY_IDX(facts->params->list, index, m2_param_t);
    m2_value_t *value = &facts->values[index];

    if (facts->lookup(value, param, facts->baton)) {
        memset(value, 0, sizeof(*value));
        facts->state[index] = M2_FACT_FAULTY;
        return;
    }
    if (m2_json_type(value->json) == M2_JSON_NULL) {
        memset(value, 0, sizeof(*value));
    }
    else if (value->json && !value->text.p) {
        value->text = m2_slice_z(m2_json_text(facts->pool, value->json));
    }
    facts->state[index] = M2_FACT_KNOWN;
}

m2_code_t m2_facts_get(m2_value_t *value, m2_facts_t *facts, int index)
{
    if (!facts->state) {
        facts_open(facts);
    }
    if (facts->state[index] == M2_FACT_UNKNOWN) {
        facts_ask(facts, index);
    }
    *value = facts->values[index];
    return facts->state[index] == M2_FACT_KNOWN ? M2_OK : M2_E_RULE_ERROR;
}
