/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Parameters of rules: a declared name and where its value comes from. The host answers
 * look-ups through one callback; a rule never touches a request.
 */
#ifndef M2_PARAM_H
#define M2_PARAM_H

#include "text/m2_json.h"

#include <apr_hash.h>

typedef enum m2_source_t { /* ORDER SOURCE: words in m2_param.c */
    M2_SRC_METHOD,
    M2_SRC_PATH,       /* `Path` */
    M2_SRC_PATH_NAME,  /* `Path:NAME` */
    M2_SRC_QUERY,
    M2_SRC_HEADER,
    M2_SRC_FORM,
    M2_SRC_COOKIE,
    M2_SRC_HOST,
    M2_SRC_PARAMETER,  /* path, then query, then form */
    M2_SRC_TOKEN,
    M2_SRC_XFF,
    M2_SRC_ENV,
    M2_SRC_SYSTEM
} m2_source_t;

typedef enum m2_system_t { /* ORDER SYSTEM: names in m2_param.c */
    M2_SYS_CLIENT_IP,
    M2_SYS_DOMAIN,
    M2_SYS_REQUEST_ID,
    M2_SYS_HANDLE_TIME,
    M2_SYS_HTTP_SCHEME, /* CaHttpSchema and CaHttpScheme */
    M2_SYS_CLIENT_UA,
    M2_SYS_STAGE,
    M2_SYS_API_NAME,
    M2_SYS_APP_ID,
    M2_SYS_APP_KEY,
    M2_SYS_PROXY
} m2_system_t;

typedef struct m2_param_t {
    const char *name;   /* as rules write it, without '$' */
    m2_source_t source;
    const char *arg;    /* NAME of `Query:NAME`, NULL if absent */
    int index;          /* XFF index, m2_system_t, else 0 */
} m2_param_t;

/* the parameters of one section; index in the array is the identity of a parameter */
typedef struct m2_params_t {
    apr_pool_t *pool;
    apr_array_header_t *list; /* of m2_param_t */
    apr_hash_t *by_name;      /* name -> int *, the index */
    apr_array_header_t *datasets; /* of m2_dataset_ref_t *: those that conditions name */
    unsigned sources;         /* a bit for each m2_source_t that some parameter has */
} m2_params_t;

/** How many bytes at the start of text are a parameter name, [A-Za-z_][A-Za-z0-9_]*; the one
 *  reader of names for declarations, conditions and templates. */
apr_size_t m2_name_length(m2_slice_t text);

/** An empty list of declared parameters, in pool. */
m2_params_t *m2_params_make(apr_pool_t *pool);

/** Declare name with a source text such as `Token:client_id`. M2_E_CONFIG: bad name
 *  ([A-Za-z_][A-Za-z0-9_]*), unknown source word, name missing or superfluous, bad XFF
 *  index, unknown system name, declared twice. */
m2_code_t m2_params_declare(m2_params_t *params, const char *name, const char *source,
                            m2_err_t *err);

/** The source of a parameter as M2MParameter writes it, such as `Token:client_id`. */
const char *m2_param_text(apr_pool_t *pool, const m2_param_t *param);

/** Index of a name, or -1. `Ca...` system names are declared on first use, so this is for
 *  configuration time; requests know parameters by their index. */
int m2_params_find(m2_params_t *params, m2_slice_t name);

/** What to say behind `no parameter is named NAME`: the one that may be meant, or "". */
const char *m2_params_hint(apr_pool_t *pool, const m2_params_t *params, m2_slice_t name);

/** Whether any declared parameter has that source. */
int m2_params_use(const m2_params_t *params, m2_source_t source);

/* a parameter's value: null when text.p is NULL */
typedef struct m2_value_t {
    m2_slice_t text;
    const m2_json_t *json; /* the claim itself for Token: (so that `has` sees elements) */
} m2_value_t;

/**
 * Answer a look-up. value is null when it comes in. Returned slices live as long as the
 * request. For a claim only json need be set: its text follows, and JSON null is null.
 * M2_OK, or M2_E_RULE_ERROR for a value that must not be used (a name repeated with
 * differing values, an unreadable body).
 */
typedef m2_code_t m2_param_fn(m2_value_t *value, const m2_param_t *param, void *baton);

enum { M2_FACT_UNKNOWN, M2_FACT_KNOWN, M2_FACT_FAULTY };

/* What conditions and templates see while one request is decided. Zeroed, then filled by
 * the host; values are looked up once each. */
typedef struct m2_facts_t {
    apr_pool_t *pool;
    apr_time_t now;
    m2_param_fn *lookup;
    void *baton;
    const m2_params_t *params;
    m2_value_t *values;   /* by parameter index, made on first use */
    char *state;          /* by parameter index: M2_FACT_ */
    m2_slice_t secret;    /* the token: a value that contains it renders [redacted] */
    double random;        /* one draw per request, in [0,1) */
} m2_facts_t;

/** The value of parameter index, looked up at most once per request. */
m2_code_t m2_facts_get(m2_value_t *value, m2_facts_t *facts, int index);

/** The value of parameter index if it has been looked up and may be used, else NULL. */
static inline const m2_value_t *m2_facts_known(const m2_facts_t *facts, int index)
{
    return facts->state && facts->state[index] == M2_FACT_KNOWN ? &facts->values[index] : NULL;
}

#endif /* M2_PARAM_H */
