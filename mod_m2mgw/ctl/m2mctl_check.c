/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl check: are these files good? What a file is shows in the file. A fault is said
 * as FILE:LINE:COLUMN, so that editors and build servers find the place.
 */
#include "ctl/m2mctl_verb.h"

#include "base/m2_log.h"
#include "oauth/m2_grant.h"
#include "operation/m2_openapi.h"
#include "revocation/m2_revocation.h"
#include "rules/m2_dataset.h"
#include "text/m2_lines.h"

#include <stdio.h>
#include <string.h>

typedef struct check_t {
    const char *type, *path, *base;
} check_t;

#define KINDS "jwtAuth, accessControl, trafficControl, jwks, rules, revocation, dataset, " \
              "grants or openapi"

/* clang-format off */
static const m2mctl_option_t check_options[] = {
    { "type", M2MCTL_TEXT, offsetof(check_t, type), "KIND", KINDS "; default: as it looks" },
    { "path", M2MCTL_TEXT, offsetof(check_t, path), "TEMPLATE", "M2MPath for accessControl" },
    { "base", M2MCTL_TEXT, offsetof(check_t, base), "PATH", "base= of an OpenAPI document" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
/* clang-format on */

/* one file under check */
typedef struct file_t {
    apr_pool_t *pool;
    const char *name;
    m2_slice_t text;
    const m2_path_template_t *path;
    const char *base;    /* of OpenAPI documents, or NULL */
    const char *summary; /* of a good file */
    m2_err_t *err;
} file_t;

typedef m2_code_t look_fn(file_t *f);

static m2_code_t look_at_jwt(file_t *f)
{
    static const char *const places[] = { "header", "query", "cookie", "form" };
    m2_plugin_jwt_t *script;
    const m2_token_source_t *source;
    m2_code_t code = m2_plugin_jwt(&script, f->pool, f->text, f->name, f->err);

    if (!code) {
        source = &APR_ARRAY_IDX(script->tokens, 0, m2_token_source_t);
        f->summary =
            apr_psprintf(f->pool,
                         "jwtAuth script: token in %s:%s, keys: %d, claims to "
                         "the backend: %d",
                         places[source->place], source->name, script->keys->keys->nelts,
                         script->mapping->targets->nelts);
    }
    return code;
}

static const char *rules_summary(file_t *f, const char *what, const m2_rules_t *rules)
{
    return apr_psprintf(f->pool, "%s: parameters: %d, rules: %d", what,
                        rules->params->list->nelts, rules->rules->nelts);
}

static m2_code_t look_at_access(file_t *f)
{
    m2_rules_t *rules;
    m2_code_t code = m2_plugin_access(&rules, f->pool, f->text, f->path, f->err);

    if (!code) {
        f->summary = rules_summary(f, "accessControl script", rules);
    }
    return code;
}

static m2_code_t look_at_rules(file_t *f)
{
    m2_rules_t *rules;
    m2_code_t code = m2mctl_read_rules(&rules, f->pool, f->text, f->err);

    if (!code) {
        f->summary = rules_summary(f, "rule directives", rules);
    }
    return code;
}

static m2_code_t look_at_keys(file_t *f)
{
    m2_keyset_t *set = m2_keyset_make(f->pool);
    m2_code_t code = m2mctl_parse_keys(set, f->text, f->name, M2_JWK_PUBLIC | M2_JWK_OCT,
                                       f->err);

    if (!code) {
        f->summary =
            apr_psprintf(f->pool, "key set: usable keys: %d, for %s", set->keys->nelts,
                         m2_alg_mask_names(f->pool, set->algs));
    }
    return code;
}

/* The longest lists are longer than other files may be. */
static m2_code_t look_at_revocation(file_t *f)
{
    m2_revocation_t *set = m2_revocation_make(f->pool);
    m2_code_t code = m2mctl_read_list(&f->text, f->pool, f->name, f->err);

    code = code ? code : m2_revocation_parse(set, f->text, f->err);
    if (!code) {
        f->summary = apr_psprintf(f->pool, "revocation list: entries: %u",
                                  m2_revocation_count(set));
        if (m2_revocation_hint(f->pool, set)) {
            m2_log(M2_LOG_WARNING, "%s: %s", f->name, m2_revocation_hint(f->pool, set));
        }
    }
    return code;
}

static m2_code_t look_at_dataset(file_t *f)
{
    m2_dataset_t *set = m2_dataset_make(f->pool);
    m2_code_t code = m2mctl_read_list(&f->text, f->pool, f->name, f->err);

    code = code ? code : m2_dataset_parse(set, f->text, f->err);
    if (!code) {
        f->summary = apr_psprintf(f->pool, "data set: values: %d", m2_dataset_count(set));
    }
    return code;
}

static m2_code_t look_at_traffic(file_t *f)
{
    m2_limits_t *limits;
    m2_code_t code = m2_plugin_traffic(&limits, f->pool, f->text, "x", "x", f->err);

    if (!code) {
        f->summary = apr_psprintf(f->pool, "trafficControl script: limits: %d",
                                  limits->list->nelts);
    }
    return code;
}

static m2_code_t look_at_grants(file_t *f)
{
    m2_grants_t *grants = m2_grants_make(f->pool);
    m2_code_t code = m2_grants_parse(grants, f->text, f->err);

    if (!code) {
        f->summary = apr_psprintf(f->pool, "grant file: grants: %u", m2_grants_count(grants));
    }
    return code;
}

static m2_code_t look_at_openapi(file_t *f)
{
    const m2_openapi_options_t options = { f->base, NULL };
    m2_operations_t *table = m2_operations_make(f->pool);
    m2_openapi_t *api;
    m2_code_t code = m2_openapi_read(&api, table, f->pool, f->pool, f->text, &options, f->err);

    if (!code) {
        f->summary = apr_psprintf(f->pool, "OpenAPI document: operations: %d, base: %s/",
                                  m2_operations_count(table), api->base);
    }
    return code;
}

static look_fn *const looks[] = { NULL, look_at_jwt, look_at_access, look_at_keys,
                                  look_at_traffic };
_Static_assert(sizeof(looks) / sizeof(looks[0]) == M2_PLUGIN_TRAFFIC + 1, "ORDER KIND");

static const struct type_t {
    const char *word;
    look_fn *look;
} types[] = {
    { "jwtAuth", look_at_jwt },
    { "accessControl", look_at_access },
    { "trafficControl", look_at_traffic },
    { "jwks", look_at_keys },
    { "rules", look_at_rules },
    { "revocation", look_at_revocation },
    { "dataset", look_at_dataset },
    { "grants", look_at_grants },
    { "grant", look_at_grants },
    { "openapi", look_at_openapi },
};

static look_fn *look_of(const char *word)
{
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(word), types[i].word)) {
            return types[i].look;
        }
    }
    return NULL;
}

/* whether a line begins with the word of an entry and goes on */
static int begins_entry(m2_slice_t line)
{
    static const char *const words[] = { "jti ", "client ", "sub ", "kid ", "claim " };
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const apr_size_t n = strlen(words[i]);

        if (line.n > n && m2_slice_is(m2_slice(line.p, n), words[i])) {
            return 1;
        }
    }
    return 0;
}

/* the first entry says so */
static int is_revocation(const file_t *f)
{
    m2_slice_t rest = f->text, line;
    m2_revoked_t entry;

    while (m2_line_next(&rest, &line)) {
        const m2_code_t code = m2_revoked_read(&entry, f->pool, line, NULL);

        if (code != M2_E_NOT_FOUND) {
            return code == M2_OK || begins_entry(line);
        }
    }
    return 0;
}

static int is_pem(const file_t *f)
{
    static const char pem[] = "-----BEGIN ";

    return f->text.n >= sizeof(pem) - 1 &&
           m2_slice_is(m2_slice(f->text.p, sizeof(pem) - 1), pem);
}

/* whether a line, which is no comment, has three words */
static int has_three_words(m2_slice_t line)
{
    apr_size_t i;
    int words = 0, within = 0;

    for (i = 0; i < line.n; i++) {
        const int is_word = !strchr(" \t\r", line.p[i] ? line.p[i] : ' ');

        words += is_word && !within;
        within = is_word;
    }
    return words > 2;
}

/* Lines of three words and more are grants, others values that may have an end; of a text that
 * is no YAML either, only good ones. */
static look_fn *look_of_lines(const file_t *f, int is_yaml)
{
    m2_dataset_t *set = m2_dataset_make(f->pool);
    m2_slice_t rest = f->text, line;
    m2_grant_t grant;
    m2_err_t err;

    m2_err_init(&err, f->pool);
    while (rest.n && strchr(" \t\r\n", *rest.p)) {
        rest = m2_slice(rest.p + 1, rest.n - 1);
    }
    if (rest.n && strchr("{[", *rest.p)) {
        return NULL; /* a document that says nothing at its top */
    }
    while (m2_line_next(&rest, &line)) {
        const m2_code_t code = m2_grant_read(&grant, f->pool, line, NULL);

        if (!code || (is_yaml && code != M2_E_NOT_FOUND && has_three_words(line))) {
            return look_at_grants;
        }
    }
    return m2_dataset_parse(set, f->text, &err) || !m2_dataset_count(set) ? NULL : look_at_dataset;
}

/* of a YAML or JSON document, NULL where it is none or says nothing at its top */
static look_fn *look_of_document(const file_t *f, m2_err_t *err)
{
    m2_plugin_kind_t kind;

    if (m2_openapi_is(f->pool, f->text)) {
        return look_at_openapi;
    }
    return m2_plugin_kind(&kind, f->pool, f->text, err) ? NULL : looks[kind];
}

static m2_code_t guess(look_fn **plook, file_t *f)
{
    m2_err_t no_document;

    m2_err_init(&no_document, f->pool);
    *plook = is_pem(f)                 ? look_at_keys
             : is_revocation(f)        ? look_at_revocation
             : m2mctl_are_rules(f->text) ? look_at_rules
                                       : look_of_document(f, &no_document);
    if (!*plook) {
        *plook = look_of_lines(f, !no_document.line);
    }
    if (*plook) {
        return M2_OK;
    }
    if (no_document.line) {
        *f->err = no_document;
        return M2_E_CONFIG;
    }
    return m2_err_set(f->err, M2_E_CONFIG, "this is neither a script, a key set, an OpenAPI "
                      "document nor a list or file of directives; --type says what it should be");
}

static m2_code_t check_file(file_t *f, look_fn *look)
{
    m2_code_t code = look == look_at_revocation || look == look_at_dataset
                         ? M2_OK
                         : m2mctl_read(&f->text, f->pool, f->name, f->err);

    if (!code && !look) {
        code = guess(&look, f);
    }
    return code ? code : look(f);
}

static void print_one(m2mctl_t *ctl, m2_json_t *list, const file_t *f, int good)
{
    const char *where = m2mctl_place(ctl->pool, f->name, f->err);
    const char *text = good ? f->summary : m2_err_behind(f->err, f->name);
    m2_json_t *json = m2_json_make(ctl->pool);

    if (!ctl->json) {
        fprintf(good ? stdout : stderr, "%s: %s\n", m2mctl_plain(ctl->pool, good ? f->name : where),
                m2mctl_plain(ctl->pool, text));
        return;
    }
    m2_json_set_string(json, "file", f->name);
    m2_json_set_bool(json, "ok", good);
    m2_json_set_string(json, "text", text);
    if (f->err->line) {
        m2_json_set_int(json, "line", f->err->line);
        m2_json_set_int(json, "column", f->err->column);
    }
    m2_json_append(list, json);
}

static int check_all(m2mctl_t *ctl, m2_json_t *list, look_fn *look,
                     const m2_path_template_t *path, const char *base)
{
    int i, bad = 0;

    for (i = 0; i < ctl->words->nelts; i++) {
        m2_err_t err;
        file_t f = {ctl->pool, APR_ARRAY_IDX(ctl->words, i, const char *),
                    {NULL, 0}, path, base,
                    NULL,      &err};
        int good;

        m2_err_init(&err, ctl->pool);
        good = !check_file(&f, look);
        print_one(ctl, list, &f, good);
        bad |= !good;
    }
    return bad;
}

static int run_check(m2mctl_t *ctl, void *options)
{
    const check_t *o = options;
    look_fn *look = o->type ? look_of(o->type) : NULL;
    m2_json_t *json = m2_json_make(ctl->pool), *list = m2_json_make_array(ctl->pool);
    const m2_path_template_t *path = NULL;
    m2_err_t err;
    int bad;

    if (!ctl->words->nelts) {
        return m2mctl_usage(ctl, "name the files to check");
    }
    if (o->type && !look) {
        return m2mctl_usage(ctl, "--type is " KINDS);
    }
    m2_err_init(&err, ctl->pool);
    if (o->path && m2_path_compile(&path, ctl->pool, o->path, &err)) {
        return m2mctl_usage(ctl, "--path: %s", err.text);
    }
    bad = check_all(ctl, list, look, path, o->base);
    if (ctl->json) {
        m2_json_set_bool(json, "ok", !bad);
        m2_json_set_json(json, "files", list);
        m2mctl_print_json(ctl->pool, json);
    }
    return bad ? M2MCTL_USAGE : M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_check = {
    "check",
    "FILE...",
    "check scripts, key sets, OpenAPI documents, grant files and lists",
    "Reads gateway plugin scripts (jwtAuth, accessControl, trafficControl), JWK sets, JWKs, PEM\n"
    "keys, OpenAPI documents, files of rule directives, grant files, revocation lists and data\n"
    "sets, as the server would at start. What a file is shows in the file, or --type says it. A\n"
    "fault is printed as FILE:LINE:COLUMN: text, and the exit status is 2.\n",
    {{check_options, 0}},
    sizeof(check_t),
    run_check,
};
