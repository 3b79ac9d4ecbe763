/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The operations of a section: M2MOpenAPI and M2MOperation fill one table, which is finished
 * once the whole configuration has been read. Decides what may stand together; what a document
 * means is m2_openapi's business.
 */
#include "httpd/config/m2mgw_set.h"

#include "base/m2_pool.h"
#include "operation/m2_openapi.h"
#include "text/m2_once.h"

#define MAX_NOTICES 20 /* of one document, told one by one */

static const struct unknown_word_t {
    const char *word;
    m2mgw_unknown_t unknown;
} unknown_words[] = {
    { "Deny", M2MGW_UNKNOWN_DENY },
    { "NotFound", M2MGW_UNKNOWN_NOT_FOUND },
    { "Pass", M2MGW_UNKNOWN_PASS },
};

/* The operations group of a section, made by its first directive. */
static const char *enter_operations(m2mgw_section_t **psection, cmd_parms *cmd, void *dir)
{
    const char *bad = m2mgw_cfg_enter(psection, cmd, dir, M2MGW_NO_PLUGIN);
    m2mgw_section_t *section = *psection;

    if (!bad && !section->operations) {
        section->operations = apr_pcalloc(cmd->pool, sizeof(*section->operations));
        section->operations->table = m2_operations_make(cmd->pool);
        section->operations->unknown = M2MGW_UNKNOWN_UNSET;
        section->operations->section = section;
        section->operations_at = cmd->directive;
        section->dir->operations = section->operations;
    }
    return bad;
}

/* Words between commas; NULL if one of them is empty, which is probably a mistake. */
static apr_array_header_t *comma_words(apr_pool_t *pool, const char *text)
{
    apr_array_header_t *list = apr_array_make(pool, 2, sizeof(const char *));
    apr_size_t n;

    for (;; text += n + 1) {
        n = strcspn(text, ",");
        if (!n) {
            return NULL;
        }
        APR_ARRAY_PUSH(list, const char *) = apr_pstrmemdup(pool, text, n);
        if (!text[n]) {
            return list;
        }
    }
}

/* --- M2MOpenAPI --- */

typedef struct document_t {
    m2_openapi_options_t options;
    m2mgw_unknown_t unknown;
} document_t;

static const char *set_unknown(document_t *document, cmd_parms *cmd, const char *value)
{
    apr_size_t i;

    for (i = 0; i < sizeof(unknown_words) / sizeof(unknown_words[0]); i++) {
        if (ap_cstr_casecmp(value, unknown_words[i].word) == 0) {
            document->unknown = unknown_words[i].unknown;
            return NULL;
        }
    }
    return m2mgw_cfg_unknown(cmd, "unknown=", value, "Deny, NotFound or Pass");
}

static const char *set_base(document_t *document, cmd_parms *cmd, const char *value)
{
    if (*value != '/') {
        return m2mgw_cfg_error(cmd, "base=%s: a base begins with /; base=/ is the root", value);
    }
    document->options.base = value;
    return NULL;
}

static const char *set_schemes(document_t *document, cmd_parms *cmd, const char *value)
{
    const apr_array_header_t *list = comma_words(cmd->pool, value);

    if (!list) {
        return m2mgw_cfg_error(cmd, "scheme= names one or more security schemes of the "
                               "document, separated by commas");
    }
    document->options.schemes = list;
    return NULL;
}

static const struct option_t {
    const char *name;
    const char *(*set)(document_t *document, cmd_parms *cmd, const char *value);
} options[] = {
    { "base", set_base },
    { "scheme", set_schemes },
    { "unknown", set_unknown },
};

static const char *read_options(document_t *document, cmd_parms *cmd, const char *args)
{
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    const char *name, *value, *bad;
    apr_size_t i;

    for (;;) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            return bad;
        }
        for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
            if (ap_cstr_casecmp(name, options[i].name) == 0) {
                break;
            }
        }
        bad = i < sizeof(options) / sizeof(options[0])
                  ? options[i].set(document, cmd, value)
                  : m2mgw_cfg_no_option(cmd, name, "base=, scheme= and unknown=");
        if (bad) {
            return bad;
        }
    }
}

/* The path of a <Location PATH> without slashes at its end; empty in any other section. */
static m2_slice_t location_of(const m2mgw_section_t *section, apr_pool_t *pool)
{
    const ap_directive_t *where = section->where;
    const char *args, *path;
    apr_size_t n;

    if (!where || ap_cstr_casecmp(where->directive, "<Location") != 0) {
        return m2_slice("", 0);
    }
    args = where->args;
    path = ap_getword_conf(pool, &args);
    n = *path == '/' ? strlen(path) : 0;
    while (n && (path[n - 1] == '/' || path[n - 1] == '>')) {
        n--;
    }
    return m2_slice(path, n);
}

static int is_below(const char *path, m2_slice_t location)
{
    return strlen(path) >= location.n && m2_slice_eq(m2_slice(path, location.n), location)
           && (!path[location.n] || path[location.n] == '/' || location.n == 0);
}

/* A request outside the section never meets the table. */
static const char *check_base(const m2mgw_section_t *section, cmd_parms *cmd,
                              const char *base)
{
    const m2_slice_t location = location_of(section, cmd->temp_pool);

    return is_below(base, location) ? NULL
           : m2mgw_cfg_error(cmd, "the document lives at \"%s\", outside of <Location %.*s>; say "
                             "base=PATH", *base ? base : "/", (int)location.n, location.p);
}

/* The same of a template, as far as it is plain text. */
static void check_template(const m2mgw_section_t *section, cmd_parms *cmd, const char *template)
{
    const m2_slice_t location = location_of(section, cmd->temp_pool);
    const apr_size_t plain = strcspn(template, "{*%");
    const apr_size_t n = plain < location.n ? plain : location.n;

    if (template[plain] ? !m2_slice_eq(m2_slice(template, n), m2_slice(location.p, n))
                        : !is_below(template, location)) {
        m2mgw_cfg_notice(M2_LOG_WARNING, "M2MOperation in line %d of %s: %s is outside of "
                         "<Location %.*s>, so that no request finds it: a template is a whole "
                         "path", cmd->directive->line_num, cmd->directive->filename, template,
                         (int)location.n, location.p);
    }
}

static void tell_notices(const m2_openapi_t *api, const char *path)
{
    int i;

    for (i = 0; i < api->notices->nelts && i < MAX_NOTICES; i++) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "M2MOpenAPI: %s:%s", path,
                         APR_ARRAY_IDX(api->notices, i, const char *));
    }
    if (i < api->notices->nelts) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "M2MOpenAPI: %s: %d more of these; m2mctl "
                         "openapi lists them", path, api->notices->nelts - i);
    }
}

static const char *join_unknown(m2mgw_section_t *section, cmd_parms *cmd,
                                m2mgw_unknown_t unknown)
{
    if (unknown == M2MGW_UNKNOWN_UNSET) {
        return NULL;
    }
    if (section->operations->unknown != M2MGW_UNKNOWN_UNSET
        && section->operations->unknown != unknown) {
        return m2mgw_cfg_error(cmd, "unknown= differs from that of another M2MOpenAPI in its "
                               "section");
    }
    section->operations->unknown = unknown;
    return NULL;
}

/* The document and what it is taken apart into are gone with work; the table stays. */
static const char *read_document(m2mgw_section_t *section, cmd_parms *cmd, apr_pool_t *work,
                                 const char *file, const m2_openapi_options_t *wanted)
{
    const char *path;
    m2_openapi_t *api;
    m2_slice_t text;
    m2_err_t err;
    const char *bad = m2mgw_cfg_file_in(work, &text, &path, cmd, file, M2_MAX_OPENAPI_BYTES);

    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    m2_operations_source(section->operations->table, apr_pstrdup(cmd->pool, path));
    if (m2_openapi_read(&api, section->operations->table, cmd->pool, work, text, wanted, &err)
        != M2_OK) {
        return m2mgw_cfg_plugin_fault(cmd, path, &err);
    }
    tell_notices(api, path);
    return check_base(section, cmd, api->base);
}

const char *m2mgw_cfg_openapi(cmd_parms *cmd, void *dir, const char *args)
{
    document_t document = { { NULL, NULL }, M2MGW_UNKNOWN_UNSET };
    const char *file = NULL;
    m2mgw_section_t *section;
    const char *bad = enter_operations(&section, cmd, dir);

    bad = bad ? bad : m2mgw_cfg_word(&file, cmd, &args);
    if (!bad && !file) {
        bad = m2mgw_cfg_error(cmd, "it takes FILE [base=PATH] [scheme=NAME,...] "
                              "[unknown=Deny|NotFound|Pass]");
    }
    bad = bad ? bad : read_options(&document, cmd, args);
    bad = bad ? bad : join_unknown(section, cmd, document.unknown);
    if (!bad) {
        apr_pool_t *work = m2_pool_own(cmd->temp_pool);

        bad = read_document(section, cmd, work, file, &document.options);
        apr_pool_destroy(work);
    }
    return bad;
}

/* --- M2MOperation --- */

static int is_method(const char *word)
{
    const char *at;

    for (at = word; *at; at++) {
        if (!apr_isalnum(*at) && !strchr("!#$%&'*+-.^_`|~", *at)) {
            return 0;
        }
    }
    return at != word;
}

/* `get` is a different method from GET (RFC 9110 9.1), and probably not what was meant */
static const char *check_method(cmd_parms *cmd, const char *method)
{
    const char *upper;

    if (!is_method(method)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not a method", method);
    }
    upper = apr_pstrdup(cmd->temp_pool, method);
    ap_str_toupper((char *)upper);
    if (ap_method_number_of(method) == M_INVALID && ap_method_number_of(upper) != M_INVALID) {
        return m2mgw_cfg_error(cmd, "case counts in methods: \"%s\" is written %s", method,
                               upper);
    }
    return NULL;
}

static void add_scopes(apr_array_header_t *scopes, cmd_parms *cmd, const char *words)
{
    char *last, *scope = apr_strtok(apr_pstrdup(cmd->pool, words), " \t", &last);

    for (; scope; scope = apr_strtok(NULL, " \t", &last)) {
        APR_ARRAY_PUSH(scopes, const char *) = scope;
    }
}

/* one word behind the template: scope=S, a further scope, name=ID or public */
static const char *take_word(m2_operation_t *operation, apr_array_header_t *scopes,
                             int *pin_scopes, cmd_parms *cmd, const char *word)
{
    const char *equals = strchr(word, '=');
    m2_slice_t name = m2_slice(word, equals ? (apr_size_t)(equals - word) : 0);
    m2_err_t err;

    if (equals && !equals[1]) {
        return m2mgw_cfg_error(cmd, "\"%s\" says nothing: a value stands behind it without a "
                               "blank", word);
    }
    if (equals && m2_slice_is_nocase(name, "scope")) {
        *pin_scopes = 1;
        add_scopes(scopes, cmd, equals + 1);
    }
    else if (equals && m2_slice_is_nocase(name, "name")) {
        if (operation->name) {
            return m2mgw_cfg_error(cmd, "name= is given twice");
        }
        *pin_scopes = 0;
        operation->name = equals + 1;
    }
    else if (ap_cstr_casecmp(word, "public") == 0) {
        *pin_scopes = 0;
        m2_err_init(&err, cmd->pool);
        if (m2_once_flag(&operation->is_public, "public", &err) != M2_OK) {
            return m2mgw_cfg_fault(cmd, &err);
        }
    }
    else if (*pin_scopes) {
        add_scopes(scopes, cmd, word);
    }
    else {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed here; behind METHOD and TEMPLATE it "
                               "takes scope=S ..., name=ID and public", word);
    }
    return NULL;
}

static const char *take_words(m2_operation_t *operation, cmd_parms *cmd,
                              const apr_array_header_t *words)
{
    apr_array_header_t *scopes = apr_array_make(cmd->pool, 2, sizeof(const char *));
    apr_array_header_t *ways = apr_array_make(cmd->pool, 1, sizeof(apr_array_header_t *));
    int i, in_scopes = 0;
    const char *bad = NULL;

    for (i = 2; !bad && i < words->nelts; i++) {
        bad = take_word(operation, scopes, &in_scopes, cmd,
                        APR_ARRAY_IDX(words, i, const char *));
    }
    if (!bad && operation->is_public && scopes->nelts) {
        bad = m2mgw_cfg_error(cmd, "public needs no token, scope= needs one; say one of them");
    }
    if (scopes->nelts) {
        APR_ARRAY_PUSH(ways, apr_array_header_t *) = scopes;
        operation->alternatives = ways;
    }
    return bad;
}

const char *m2mgw_cfg_operation(cmd_parms *cmd, void *dir, const char *args)
{
    m2_operation_t operation = { NULL, NULL, NULL, NULL, NULL, 0, 0, NULL };
    const apr_array_header_t *methods;
    apr_array_header_t *words;
    m2mgw_section_t *section;
    m2_err_t err;
    int i;
    const char *bad = enter_operations(&section, cmd, dir);

    bad = bad ? bad : m2mgw_cfg_words(&words, cmd, args, 2, 0,
                                      "METHOD[,METHOD...] TEMPLATE [scope=S ...] [name=ID] "
                                      "[public]");
    bad = bad ? bad : take_words(&operation, cmd, words);
    if (bad) {
        return bad;
    }
    operation.path = APR_ARRAY_IDX(words, 1, const char *);
    m2_err_init(&err, cmd->pool);
    methods = comma_words(cmd->pool, APR_ARRAY_IDX(words, 0, const char *));
    if (!methods) {
        return m2mgw_cfg_error(cmd, "\"%s\" holds an empty method",
                               APR_ARRAY_IDX(words, 0, const char *));
    }
    check_template(section, cmd, operation.path);
    m2_operations_source(section->operations->table, cmd->directive->filename);
    for (i = 0; !bad && i < methods->nelts; i++) {
        operation.method = APR_ARRAY_IDX(methods, i, const char *);
        bad = check_method(cmd, operation.method);
        if (!bad && m2_operations_add(section->operations->table, "",
                                      cmd->directive->line_num, &operation, &err) != M2_OK) {
            bad = m2mgw_cfg_fault(cmd, &err);
        }
    }
    return bad;
}

/* --- once everything has been read --- */

static int needs_token(const m2_operations_t *table)
{
    int i;

    for (i = 0; i < m2_operations_count(table); i++) {
        if (!m2_operations_at(table, i)->is_public) {
            return 1;
        }
    }
    return 0;
}

const char *m2mgw_cfg_check_operations(const ap_directive_t **pat, apr_pool_t *pool,
                                       const m2mgw_section_t *section)
{
    const m2mgw_operations_t *operations = section->operations;
    const int said = section->dir->operation_unknown;

    if (!operations) {
        return NULL;
    }
    *pat = section->operations_at;
    if (operations->unknown != M2MGW_UNKNOWN_UNSET && said != M2_UNSET
        && said != (int)operations->unknown) {
        return apr_psprintf(pool, "%s: its unknown= and the M2MOperationUnknown of its section "
                            "say two things", (*pat)->directive);
    }
    if (section->dir->engine != M2MGW_ENGINE_OFF && needs_token(operations->table)
        && !m2mgw_cfg_may_have_keys(section)) {
        return apr_psprintf(pool, "%s: operations that need a token stand where no keys can be "
                            "in force; name a key source, or make them public",
                            (*pat)->directive);
    }
    return NULL;
}

int m2mgw_cfg_lacks_operations(const m2mgw_section_t *section)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    int i;

    if (section->dir->operation_unknown == M2_UNSET && section->dir->preflight == M2_UNSET) {
        return 0;
    }
    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(sections, i, const m2mgw_section_t *);

        if (other->operations && m2mgw_cfg_may_meet(other, section)) {
            return 0;
        }
    }
    return 1;
}

void m2mgw_cfg_finish_operations(apr_pool_t *pool, const m2mgw_section_t *section)
{
    apr_array_header_t *notices = apr_array_make(pool, 2, sizeof(const char *));
    int i;

    if (!section->operations) {
        return;
    }
    m2_operations_finish(section->operations->table, notices);
    for (i = 0; i < notices->nelts; i++) {
        m2mgw_cfg_notice(M2_LOG_NOTICE, "%s in %s: %s",
                         section->operations_at->directive,
                         m2mgw_cfg_place(pool, section->operations_at),
                         APR_ARRAY_IDX(notices, i, const char *));
    }
}
