/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Reading the words, numbers and files of a directive. Never guesses: a quote that does not
 * close is an error, not a shorter argument.
 */
#include "httpd/config/m2mgw_words.h"

#include "host/m2h_dbd.h"

#include "text/m2_file.h"
#include "text/m2_nearest.h"
#include "text/m2_once.h"

/* --- errors and places --- */

const char *m2mgw_cfg_error(cmd_parms *cmd, const char *fmt, ...)
{
    const char *text;
    va_list args;

    va_start(args, fmt);
    text = apr_pvsprintf(cmd->pool, fmt, args);
    va_end(args);
    return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", text, NULL);
}

const char *m2mgw_cfg_fault(cmd_parms *cmd, const m2_err_t *err)
{
    return m2mgw_cfg_error(cmd, "%s", err->text ? err->text : "not understood");
}

const char *m2mgw_cfg_hint(cmd_parms *cmd, const char *word, const char *list)
{
    return m2_nearest_hint(cmd->pool, word, list);
}

const char *m2mgw_cfg_unknown(cmd_parms *cmd, const char *name, const char *word,
                              const char *list)
{
    const char *quote = *name ? "" : "\"";

    return m2mgw_cfg_error(cmd, "%s%s%s%s is not allowed; it takes %s%s", name, quote, word, quote,
                           list, m2_nearest_hint(cmd->pool, word, list));
}

const char *m2mgw_cfg_no_option(cmd_parms *cmd, const char *name, const char *list)
{
    return m2mgw_cfg_error(cmd, "there is no option \"%s\"; there are %s%s", name, list,
                           m2_nearest_hint(cmd->pool, name, list));
}

const char *m2mgw_cfg_plugin_fault(cmd_parms *cmd, const char *path, const m2_err_t *err)
{
    return err->line ? m2mgw_cfg_error(cmd, "%s: line %d, column %d: %s", path, err->line,
                                       err->column, err->text)
                     : m2mgw_cfg_error(cmd, "%s: %s", path, err->text);
}

const ap_directive_t *m2mgw_cfg_sibling(cmd_parms *cmd, const char *name)
{
    const ap_directive_t *parent = cmd->directive->parent;
    const ap_directive_t *d = parent ? parent->first_child : ap_conftree;

    while (d && ap_cstr_casecmp(d->directive, name) != 0) {
        d = d->next;
    }
    return d;
}

/* --- what is needed of other modules --- */

/* LoadModule is done while files are read, before any directive of ours. */
const char *m2mgw_cfg_needs(cmd_parms *cmd, const char *name)
{
    return ap_find_linked_module(name)
               ? NULL
               : m2mgw_cfg_error(cmd, "it needs %.*s, which is not loaded",
                                 (int)strlen(name) - 2, name);
}

const char *m2mgw_cfg_needs_dbd(cmd_parms *cmd)
{
    const char *missing = m2h_dbd_missing(cmd);

    return missing ? m2mgw_cfg_error(cmd, "it %s", missing) : NULL;
}

/* --- words --- */

static const char *skip_blanks(const char *p)
{
    while (apr_isspace(*p)) {
        p++;
    }
    return p;
}

/* httpd's rule: a backslash escapes a backslash and the quote in use. */
static const char *quoted(const char **pword, cmd_parms *cmd, const char **pargs)
{
    const char *p = *pargs;
    char quote = *p++;
    char *out = apr_palloc(cmd->pool, strlen(p) + 1);

    *pword = out;
    for (; *p && *p != quote; p++) {
        if (*p == '\\' && (p[1] == '\\' || p[1] == quote)) {
            p++;
        }
        *out++ = *p;
    }
    *out = '\0';
    if (*p != quote) {
        return m2mgw_cfg_error(cmd, "the quote %c is not closed", quote);
    }
    if (p[1] && !apr_isspace(p[1])) {
        return m2mgw_cfg_error(cmd, "there must be a blank behind the closing quote %c",
                               quote);
    }
    *pargs = skip_blanks(p + 1);
    return NULL;
}

static const char *bare(cmd_parms *cmd, const char **pargs)
{
    const char *p = *pargs;
    char *out = apr_palloc(cmd->pool, strlen(p) + 1);
    const char *word = out;

    for (; *p && !apr_isspace(*p); p++) {
        if (*p == '\\' && p[1] == '\\') {
            p++;
        }
        *out++ = *p;
    }
    *out = '\0';
    *pargs = skip_blanks(p);
    return word;
}

const char *m2mgw_cfg_word(const char **pword, cmd_parms *cmd, const char **pargs)
{
    *pargs = skip_blanks(*pargs);
    *pword = NULL;
    if (**pargs == '\0') {
        return NULL;
    }
    if (**pargs == '"' || **pargs == '\'') {
        return quoted(pword, cmd, pargs);
    }
    *pword = bare(cmd, pargs);
    return NULL;
}

/* the length of `NAME=` at p when a quote stands right behind it, else 0 */
static apr_size_t name_before_quote(const char *p)
{
    apr_size_t n = strcspn(p, "= \t\"'");

    return n && p[n] == '=' && (p[n + 1] == '"' || p[n + 1] == '\'') ? n : 0;
}

static const char *read_pair(const char **pname, const char **pvalue, cmd_parms *cmd,
                             const char **pargs)
{
    const char *p = *pargs = skip_blanks(*pargs);
    apr_size_t n = name_before_quote(p);
    const char *word, *equals, *bad;

    *pname = *pvalue = NULL;
    if (n) {
        *pname = apr_pstrmemdup(cmd->pool, p, n);
        *pargs = p + n + 1;
        return quoted(pvalue, cmd, pargs);
    }
    bad = m2mgw_cfg_word(&word, cmd, pargs);
    if (bad || !word) {
        return bad;
    }
    equals = strchr(word, '=');
    if (!equals || equals == word) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not of the form NAME=VALUE", word);
    }
    *pname = apr_pstrmemdup(cmd->pool, word, (apr_size_t)(equals - word));
    *pvalue = equals + 1;
    return NULL;
}

const char *m2mgw_cfg_pair(const char **pname, const char **pvalue, m2mgw_pairs_t *pairs)
{
    const char *bad = read_pair(pname, pvalue, pairs->cmd, &pairs->args);
    m2_err_t err;

    if (bad || !*pname
        || (pairs->repeated && ap_cstr_casecmp(*pname, pairs->repeated) == 0)) {
        return bad;
    }
    m2_err_init(&err, pairs->cmd->pool);
    return m2_once(&pairs->seen, pairs->cmd->pool, m2_slice_z(*pname), &err) == M2_OK
               ? NULL
               : m2mgw_cfg_fault(pairs->cmd, &err);
}

const char *m2mgw_cfg_once(cmd_parms *cmd, const apr_array_header_t *words, int first)
{
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    return m2_once_words(words, first, &err) == M2_OK ? NULL : m2mgw_cfg_fault(cmd, &err);
}

const char *m2mgw_cfg_words(apr_array_header_t **pwords, cmd_parms *cmd, const char *args,
                            int min, int max, const char *usage)
{
    apr_array_header_t *words = apr_array_make(cmd->pool, 4, sizeof(const char *));
    const char *word, *bad;

    for (;;) {
        bad = m2mgw_cfg_word(&word, cmd, &args);
        if (bad || !word) {
            break;
        }
        if (*word == '\0') {
            return m2mgw_cfg_error(cmd, "an empty word is not allowed; it takes %s", usage);
        }
        *(const char **)apr_array_push(words) = word;
    }
    if (!bad && (words->nelts < min || (max && words->nelts > max))) {
        bad = m2mgw_cfg_error(cmd, "%d word%s given; it takes %s", words->nelts,
                              words->nelts == 1 ? " is" : "s are", usage);
    }
    *pwords = words;
    return bad;
}

/* --- numbers and files --- */

int m2mgw_cfg_number(int *pvalue, const char *text, int min, int max)
{
    apr_int64_t value = 0;
    const char *p;

    for (p = text; apr_isdigit(*p) && value <= max; p++) {
        value = value * 10 + (*p - '0');
    }
    if (p == text || *p || value < min || value > max) {
        return 0;
    }
    *pvalue = (int)value;
    return 1;
}

const char *m2mgw_cfg_file_in(apr_pool_t *pool, m2_slice_t *ptext, const char **ppath,
                              cmd_parms *cmd, const char *path, apr_size_t max)
{
    m2_file_t file;
    m2_err_t err;

    *ppath = ap_server_root_relative(cmd->pool, path);
    if (!*path || !*ppath) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not a file name", path);
    }
    m2_err_init(&err, cmd->pool);
    if (m2_file_read(&file, pool, *ppath, max, M2_FILE_DECIDES, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    *ptext = file.text;
    return NULL;
}

const char *m2mgw_cfg_file(m2_slice_t *ptext, const char **ppath, cmd_parms *cmd,
                           const char *path, apr_size_t max)
{
    return m2mgw_cfg_file_in(cmd->pool, ptext, ppath, cmd, path, max);
}

static int stands_in(const ap_directive_t *directive, const char *name)
{
    for (; directive; directive = directive->next) {
        if (ap_cstr_casecmp(directive->directive, name) == 0
            || stands_in(directive->first_child, name)) {
            return 1;
        }
    }
    return 0;
}

/* Where the tree has it last, in the order in which httpd reads it. */
static const char *last_in(const ap_directive_t *directive, const char *name,
                           const char *found)
{
    for (; directive; directive = directive->next) {
        if (ap_cstr_casecmp(directive->directive, name) == 0) {
            found = directive->args;
        }
        found = last_in(directive->first_child, name, found);
    }
    return found;
}

const char *m2mgw_cfg_last(const char *name)
{
    return last_in(ap_conftree, name, NULL);
}

int m2mgw_cfg_is_used(const char *name)
{
    return stands_in(ap_conftree, name);
}
