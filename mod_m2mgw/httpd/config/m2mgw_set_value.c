/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Directives that hold one value: a word, a number, a text or a list. As usual in httpd the
 * last word or number written in a section counts; a list written twice is refused, because
 * half of the readers expect the second to add and the other half expect it to replace.
 */
#include "httpd/config/m2mgw_set.h"

#define MAX_FORM_LIMIT 1073741824 /* bytes; a form is buffered whole */
#define MAX_SECONDS 315360000     /* ten years */

/* "On, Off or Shadow" */
static const char *words_text(apr_pool_t *pool, const m2mgw_word_t *words)
{
    const char *text = words->word;

    for (words++; words->word; words++) {
        text = apr_pstrcat(pool, text, words[1].word ? ", " : " or ", words->word, NULL);
    }
    return text;
}

static const char *allowed_text(apr_pool_t *pool, const m2mgw_value_t *value)
{
    const char *number = value->unit ? apr_psprintf(pool, "a number of %s from %d to %d",
                                                    value->unit, value->min, value->max)
                                     : NULL;
    const char *words = value->words ? words_text(pool, value->words) : NULL;

    return number && words ? apr_pstrcat(pool, number, ", or ", words, NULL)
                           : number ? number : words;
}

const char *m2mgw_cfg_value(cmd_parms *cmd, void *dir, const char *arg)
{
    const m2mgw_value_t *value = cmd->info;
    const m2mgw_word_t *word;
    m2mgw_section_t *section;
    int *pslot = (int *)((char *)dir + value->offset);
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, value->plugin);

    if (bad) {
        return bad;
    }
    for (word = value->words; word && word->word; word++) {
        if (ap_cstr_casecmp(word->word, arg) == 0) {
            *pslot = word->value;
            return NULL;
        }
    }
    if (value->unit && m2mgw_cfg_number(pslot, arg, value->min, value->max)) {
        return NULL;
    }
    return m2mgw_cfg_unknown(cmd, "", arg, allowed_text(cmd->pool, value));
}

const char *m2mgw_cfg_form_limit(cmd_parms *cmd, void *dir, const char *arg)
{
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    int bytes;

    if (bad) {
        return bad;
    }
    if (!m2mgw_cfg_number(&bytes, arg, 1, MAX_FORM_LIMIT)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes a number of bytes from "
                               "1 to %d", arg, MAX_FORM_LIMIT);
    }
    section->dir->form_limit = bytes;
    return NULL;
}

const char *m2mgw_cfg_method_parameter(cmd_parms *cmd, void *dir, const char *args)
{
    m2_nameset_t *names = m2_nameset_make(cmd->pool, M2_READ_FORM);
    apr_array_header_t *words;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);
    int i;

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "NAME [NAME ...], or None");
    }
    for (i = 0; !bad && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        if (ap_cstr_casecmp(word, "None") == 0) {
            bad = words->nelts > 1 ? m2mgw_cfg_error(cmd, "None stands alone") : NULL;
        }
        else if (m2_name_is_unfit(word, M2_READ_FORM)) {
            bad = m2mgw_cfg_error(cmd, "\"%s\" is not a usable parameter name", word);
        }
        else {
            m2_nameset_add(names, word);
        }
    }
    section->dir->method_names = names;
    return bad;
}

static int has_control(const char *text)
{
    for (; *text; text++) {
        if (apr_iscntrl(*text)) {
            return 1;
        }
    }
    return 0;
}

/* info: the offset of a const char * in m2mgw_dir_t */
const char *m2mgw_cfg_text(cmd_parms *cmd, void *dir, const char *arg)
{
    const apr_size_t *poffset = cmd->info;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (bad) {
        return bad;
    }
    if (has_control(arg)) {
        return m2mgw_cfg_error(cmd, "control characters are not allowed");
    }
    *(const char **)((char *)dir + *poffset) = arg;
    return NULL;
}

static const char *fresh_list(cmd_parms *cmd, int given)
{
    return given ? m2mgw_cfg_error(cmd, "it was given in this section already; write all its "
                                  "values in one line")
                : NULL;
}

/* Values are separated by blanks; with commas the result would be one value that no token has. */
static void tell_commas(cmd_parms *cmd, const apr_array_header_t *words)
{
    int i;

    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        if (strchr(word, ',')) {
            m2mgw_cfg_notice(M2_LOG_NOTICE, "%s in %s: \"%s\" is one value with a comma in it; "
                             "blanks separate values", cmd->cmd->name,
                             m2mgw_cfg_place(cmd->pool, cmd->directive), word);
        }
    }
}

/* info: the offset of a const apr_array_header_t * in m2mgw_dir_t */
const char *m2mgw_cfg_list(cmd_parms *cmd, void *dir, const char *args)
{
    const apr_size_t *poffset = cmd->info;
    const apr_array_header_t **plist = (void *)((char *)dir + *poffset);
    apr_array_header_t *words;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (!bad) {
        bad = fresh_list(cmd, *plist != NULL);
    }
    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "one or more words");
    }
    if (!bad) {
        tell_commas(cmd, words);
        *plist = words;
    }
    return bad;
}

/* Likewise of claim paths. */
const char *m2mgw_cfg_claim_list(cmd_parms *cmd, void *dir, const char *args)
{
    const apr_size_t *poffset = cmd->info;
    const char *bad = m2mgw_cfg_list(cmd, dir, args);
    const apr_array_header_t *list;
    m2_err_t err;
    int i;

    m2_err_init(&err, cmd->pool);
    list = bad ? NULL : *(const apr_array_header_t **)(void *)((char *)dir + *poffset);
    for (i = 0; list && i < list->nelts; i++) {
        if (m2_json_path_check(APR_ARRAY_IDX(list, i, const char *), &err) != M2_OK) {
            return m2mgw_cfg_fault(cmd, &err);
        }
    }
    return bad;
}

const char *m2mgw_cfg_algorithms(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words;
    m2mgw_section_t *section;
    m2_alg_mask_t mask = 0;
    m2_err_t err;
    int i;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (!bad) {
        bad = fresh_list(cmd, section->dir->algs != 0);
    }
    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "one or more names of algorithms");
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    for (i = 0; i < words->nelts; i++) {
        if (m2_alg_mask_add(&mask, APR_ARRAY_IDX(words, i, const char *), &err) != M2_OK) {
            return m2mgw_cfg_fault(cmd, &err);
        }
    }
    section->dir->algs = mask;
    return NULL;
}

const char *m2mgw_cfg_require_claim(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words, *requires;
    m2mgw_section_t *section;
    m2_require_t *require;
    m2_err_t err;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "NAME [VALUE ...]");
    }
    if (bad) {
        return bad;
    }
    if (!section->dir->requires) {
        section->dir->requires = apr_array_make(cmd->pool, 2, sizeof(m2_require_t));
    }
    requires = (apr_array_header_t *)section->dir->requires;
    require = apr_array_push(requires);
    require->name = APR_ARRAY_IDX(words, 0, const char *);
    m2_err_init(&err, cmd->pool);
    if (m2_json_path_check(require->name, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    tell_commas(cmd, words);
    memmove(words->elts, words->elts + words->elt_size,
            (apr_size_t)(words->nelts - 1) * (apr_size_t)words->elt_size);
    words->nelts--;
    require->values = words;
    return NULL;
}

/* --- M2MJwksRefresh --- */

typedef struct refresh_option_t {
    const char *name;
    apr_size_t offset;
    int min, max;
} refresh_option_t;

static const refresh_option_t refresh_options[] = {
    { "ttl", offsetof(m2mgw_refresh_t, ttl), 1, MAX_SECONDS },
    { "max-stale", offsetof(m2mgw_refresh_t, max_stale), 0, MAX_SECONDS },
    { "timeout", offsetof(m2mgw_refresh_t, timeout), 1, 300 },
    { "cooldown", offsetof(m2mgw_refresh_t, cooldown), 1, 86400 },
};

static const char *refresh_option(m2mgw_refresh_t *refresh, cmd_parms *cmd, const char *name,
                                  const char *value)
{
    const refresh_option_t *o = refresh_options;
    const refresh_option_t *end = o + sizeof(refresh_options) / sizeof(*o);

    while (o < end && ap_cstr_casecmp(o->name, name) != 0) {
        o++;
    }
    if (o == end) {
        return m2mgw_cfg_no_option(cmd, name, "ttl=, max-stale=, timeout= and cooldown=");
    }
    if (!m2mgw_cfg_number((int *)((char *)refresh + o->offset), value, o->min, o->max)) {
        return m2mgw_cfg_error(cmd, "%s=%s is not allowed; it takes a number of seconds from "
                               "%d to %d", o->name, value, o->min, o->max);
    }
    return NULL;
}

const char *m2mgw_cfg_refresh(cmd_parms *cmd, void *dir, const char *args)
{
    static const m2mgw_refresh_t defaults = M2MGW_REFRESH_DEFAULTS;
    m2mgw_refresh_t *refresh = apr_pmemdup(cmd->pool, &defaults, sizeof(defaults));
    m2mgw_pairs_t pairs = { cmd, args, NULL, NULL };
    m2mgw_section_t *section;
    const char *name = NULL, *value;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    while (!bad) {
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad || !name) {
            break;
        }
        bad = refresh_option(refresh, cmd, name, value);
    }
    if (!bad && !pairs.seen) {
        bad = m2mgw_cfg_error(cmd, "it takes one or more of ttl=, max-stale=, timeout= and "
                              "cooldown=, in seconds");
    }
    if (!bad) {
        section->dir->refresh = refresh;
    }
    return bad;
}
