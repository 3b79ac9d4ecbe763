/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Rule directives as they stand in a section of a configuration, read from a file of
 * their own, with the words and quotes of the server. Anything else in such a file is a
 * fault: leaving it out in silence would explain another decision than the server's.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_once.h"

typedef struct rule_file_t {
    apr_pool_t *pool;
    m2_rules_t *rules;
    int line;      /* of the directive that is read */
    m2_err_t *err;
} rule_file_t;

typedef m2_code_t directive_fn(rule_file_t *f, const char *args);

static m2_code_t fault(rule_file_t *f, const char *text)
{
    return m2_err_at(f->err, M2_E_CONFIG, f->line, 0, "%s", text);
}

/* a fault of the core, with the line of the directive */
static m2_code_t fault_of(rule_file_t *f, const char *what, const m2_err_t *cause)
{
    return fault(f, cause->column ? apr_psprintf(f->pool, "%s: column %d: %s", what,
                                                 cause->column, cause->text)
                                  : apr_psprintf(f->pool, "%s: %s", what, cause->text));
}

/* --- words --- */

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r");
}

static m2_code_t quoted(const char **pword, rule_file_t *f, const char **pargs)
{
    const char *p = *pargs;
    char quote = *p++;
    char *out = apr_palloc(f->pool, strlen(p) + 1);

    *pword = out;
    for (; *p && *p != quote; p++) {
        if (*p == '\\' && (p[1] == '\\' || p[1] == quote)) {
            p++;
        }
        *out++ = *p;
    }
    *out = '\0';
    if (*p != quote) {
        return fault(f, "a quote is not closed");
    }
    *pargs = skip_blanks(p + 1);
    return M2_OK;
}

/* the next word, NULL at the end */
static m2_code_t next_word(const char **pword, rule_file_t *f, const char **pargs)
{
    const char *p = *pargs = skip_blanks(*pargs);
    apr_size_t n = strcspn(p, " \t\r");

    *pword = NULL;
    if (*p == '"' || *p == '\'') {
        return quoted(pword, f, pargs);
    }
    if (n) {
        *pword = apr_pstrmemdup(f->pool, p, n);
        *pargs = skip_blanks(p + n);
    }
    return M2_OK;
}

/* `name="a value"` and `"name=a value"`; the name is NULL at the end */
static m2_code_t next_pair(const char **pname, const char **pvalue, rule_file_t *f,
                           const char **pargs)
{
    const char *p = *pargs = skip_blanks(*pargs);
    apr_size_t n = strcspn(p, "= \t\"'");
    const char *word;
    m2_code_t code;

    *pname = NULL;
    if (n && p[n] == '=' && (p[n + 1] == '"' || p[n + 1] == '\'')) {
        *pname = apr_pstrmemdup(f->pool, p, n);
        *pargs = p + n + 1;
        return quoted(pvalue, f, pargs);
    }
    code = next_word(&word, f, pargs);
    if (code || !word) {
        return code;
    }
    return m2mctl_pair(pname, pvalue, f->pool, word, f->err);
}

static m2_code_t words(const char **w, int n, const char *usage, rule_file_t *f,
                       const char *args)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && i < n; i++) {
        code = next_word(&w[i], f, &args);
        if (!code && !w[i]) {
            code = fault(f, usage);
        }
    }
    return !code && *args ? fault(f, usage) : code;
}

/* --- directives --- */

static m2_code_t set_path(rule_file_t *f, const char *args)
{
    const char *text;
    m2_err_t cause;
    m2_code_t code = words(&text, 1, "M2MPath takes one template", f, args);

    m2_err_init(&cause, f->pool);
    if (!code && m2_path_compile(&f->rules->path, f->pool, text, &cause)) {
        code = fault_of(f, "M2MPath", &cause);
    }
    return code;
}

static m2_code_t add_parameter(rule_file_t *f, const char *args)
{
    const char *w[2];
    const m2_param_t *param;
    m2_err_t cause;
    m2_code_t code = words(w, 2, "M2MParameter takes NAME SOURCE", f, args);

    m2_err_init(&cause, f->pool);
    if (code) {
        return code;
    }
    if (m2_params_declare(f->rules->params, w[0], w[1], &cause)) {
        return fault_of(f, "M2MParameter", &cause);
    }
    param = &APR_ARRAY_IDX(f->rules->params->list, f->rules->params->list->nelts - 1,
                           m2_param_t);
    if (param->source == M2_SRC_PATH_NAME &&
        !(f->rules->path && m2_path_has(f->rules->path, param->arg))) {
        return fault(f,
                     apr_psprintf(f->pool, "M2MParameter: %s needs an M2MPath with {%s}",
                                  w[1], param->arg));
    }
    return M2_OK;
}

static m2_code_t add_options(rule_file_t *f, m2_rule_t *rule, const char *args)
{
    apr_array_header_t *seen = NULL;
    const char *name, *value = NULL;
    m2_err_t cause;
    m2_code_t code;

    m2_err_init(&cause, f->pool);
    for (;;) {
        if (m2_rule_take_shadow(rule, &args, &cause)) {
            return fault_of(f, apr_pstrcat(f->pool, "M2MRule ", rule->name, NULL),
                            &cause);
        }
        code = next_pair(&name, &value, f, &args);
        if (code || !name) {
            return code;
        }
        if (m2_once(&seen, f->pool, m2_slice_z(name), &cause)
            || m2_rule_option(rule, f->rules, name, value, M2_MARK_PERCENT, &cause)) {
            return fault_of(f, apr_pstrcat(f->pool, "M2MRule ", rule->name, NULL),
                            &cause);
        }
    }
}

static m2_code_t add_rule(rule_file_t *f, const char *args)
{
    const char *name, *condition = NULL;
    m2_rule_t *rule;
    m2_err_t cause;
    m2_code_t code = next_word(&name, f, &args);

    code = code || !name ? code : next_word(&condition, f, &args);
    if (code || !condition) {
        return code ? code : fault(f, "M2MRule takes NAME CONDITION and options");
    }
    m2_err_init(&cause, f->pool);
    if (m2_rule_make(&rule, f->rules, name, condition, &cause)) {
        return fault_of(f, apr_pstrcat(f->pool, "M2MRule ", name, NULL), &cause);
    }
    code = add_options(f, rule, args);
    if (!code && m2_rules_add(f->rules, rule, &cause)) {
        code = fault_of(f, apr_pstrcat(f->pool, "M2MRule ", name, NULL), &cause);
    }
    return code;
}

static m2_code_t add_header(rule_file_t *f, const char *args)
{
    const char *w[3];
    m2_rule_t *rule;
    m2_err_t cause;
    m2_code_t code = words(w, 3, "M2MRuleHeader takes RULE NAME TEMPLATE", f, args);

    if (code) {
        return code;
    }
    rule = m2_rules_named(f->rules, w[0]);
    if (!rule) {
        return fault(f, apr_psprintf(f->pool, "there is no M2MRule %s above", w[0]));
    }
    m2_err_init(&cause, f->pool);
    return m2_rule_header(rule, f->rules, w[1], w[2], M2_MARK_PERCENT, &cause)
               ? fault_of(f, "M2MRuleHeader", &cause)
               : M2_OK;
}

/* one of two words, any case */
static m2_code_t choose(int *pfirst, const char *first, const char *second,
                        rule_file_t *f, const char *args)
{
    const char *word;
    const char *usage = apr_psprintf(f->pool, "the value is %s or %s", first, second);
    m2_code_t code = words(&word, 1, usage, f, args);

    if (code) {
        return code;
    }
    *pfirst = m2_slice_is_nocase(m2_slice_z(word), first);
    return *pfirst || m2_slice_is_nocase(m2_slice_z(word), second) ? M2_OK
                                                                   : fault(f, usage);
}

static m2_code_t set_default(rule_file_t *f, const char *args)
{
    int allow;
    m2_code_t code = choose(&allow, "ALLOW", "DENY", f, args);

    if (!code) {
        f->rules->default_action = allow ? M2_ACTION_ALLOW : M2_ACTION_DENY;
    }
    return code;
}

static m2_code_t set_duplicates(rule_file_t *f, const char *args)
{
    return choose(&f->rules->deny_duplicates, "Deny", "First", f, args);
}

static const struct directive_t {
    const char *name;
    directive_fn *read;
} directives[] = {
    { "M2MPath", set_path },
    { "M2MParameter", add_parameter },
    { "M2MRule", add_rule },
    { "M2MRuleHeader", add_header },
    { "M2MDefaultAction", set_default },
    { "M2MDuplicateParameter", set_duplicates },
};

static directive_fn *find_directive(const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(name), directives[i].name)) {
            return directives[i].read;
        }
    }
    return NULL;
}

/* --- lines --- */

/* the next directive as one line, NULL at the end: `\` at the end goes on, # is a
 * comment */
static char *next_line(rule_file_t *f, const char **prest, int *pnext)
{
    const char *p = *prest;
    char *line = NULL;

    f->line = *pnext;
    while (*p) {
        apr_size_t n = strcspn(p, "\n"), bare = n;
        int more;

        while (bare && p[bare - 1] == '\r') {
            bare--;
        }
        more = bare && p[bare - 1] == '\\';
        line = apr_pstrcat(f->pool, line ? line : "",
                           apr_pstrmemdup(f->pool, p, more ? bare - 1 : bare), NULL);
        p += n + (p[n] == '\n');
        ++*pnext;
        if (!more) {
            break;
        }
    }
    *prest = p;
    return line;
}

/* M2MPath may stand below what needs it, so it is read in a pass of its own */
static m2_code_t read_lines(rule_file_t *f, const char *text, int paths)
{
    m2_code_t code = M2_OK;
    int next = 1;
    char *line;

    while (!code && (line = next_line(f, &text, &next)) != NULL) {
        const char *args = skip_blanks(line), *name = NULL;
        directive_fn *read;

        if (!*args || *args == '#') {
            continue;
        }
        code = next_word(&name, f, &args);
        read = code ? NULL : find_directive(name);
        if (!code && !read) {
            return fault(f, apr_psprintf(f->pool, "%s is not a directive of rules", name));
        }
        if (!code && (read == set_path) == paths) {
            code = read(f, args);
        }
    }
    return code;
}

m2_code_t m2mctl_read_rules(m2_rules_t **prules, apr_pool_t *pool, m2_slice_t text,
                            m2_err_t *err)
{
    rule_file_t f = { pool, m2_rules_make(pool), 1, err };
    const char *copy = apr_pstrmemdup(pool, text.p, text.n);
    m2_code_t code;

    if (strlen(copy) != text.n) {
        return fault(&f, "the file holds a NUL byte");
    }
    code = read_lines(&f, copy, 1);
    code = code ? code : read_lines(&f, copy, 0);
    if (!code && !f.rules->rules->nelts) {
        code = fault(&f, "there is no M2MRule");
    }
    *prules = code ? NULL : f.rules;
    return code;
}

int m2mctl_are_rules(m2_slice_t text)
{
    apr_size_t i = 0;

    while (i + 3 <= text.n) {
        while (i < text.n && apr_isspace(text.p[i])) {
            i++;
        }
        if (i + 3 <= text.n && text.p[i] != '#') {
            return m2_slice_is_nocase(m2_slice(text.p + i, 3), "M2M");
        }
        while (i < text.n && text.p[i] != '\n') {
            i++;
        }
    }
    return 0;
}
