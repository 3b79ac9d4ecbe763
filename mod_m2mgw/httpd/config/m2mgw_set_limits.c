/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The limits of a section, native or from a trafficControl script, and where buckets are
 * kept. Limits and rules of a section share its parameters and its path; neither group
 * replaces the other.
 */
#include "httpd/config/m2mgw_set.h"
#include "httpd/config/m2mgw_words.h"

#include "limit/m2_limit_table.h"
#include "plugin/m2_plugin.h"
#include "redis/m2_redis.h"
#include "text/m2_once.h"

#define USAGE                                                                             \
    "NAME KEY COUNT/WINDOW [burst=N] [null=pass|deny] [when=\"CONDITION\"] "                \
    "[special=VALUE:COUNT/WINDOW ...] [shadow], or none"

/* --- M2MLimit --- */

static void make_limits(m2mgw_section_t *section, apr_pool_t *pool)
{
    section->dir->limits = section->limits = m2_limits_make(pool, m2mgw_cfg_scope(section, pool));
    section->limit_lines = apr_array_make(pool, 2, sizeof(const ap_directive_t *));
}

/* `M2MLimit NAME: what is wrong` */
static const char *limit_fault(cmd_parms *cmd, const char *name, const m2_err_t *err)
{
    return apr_pstrcat(cmd->pool, cmd->cmd->name, " ", name, ": ",
                       err->text ? err->text : "not understood", NULL);
}

static const char *limit_options(m2_limit_t *limit, m2_limits_t *limits, cmd_parms *cmd,
                                 const char *args)
{
    m2mgw_pairs_t pairs = { cmd, args, "special", NULL };
    const char *name, *value, *word, *rest, *bad;
    m2_err_t err;

    m2_err_init(&err, cmd->pool);
    for (;;) {
        rest = pairs.args;
        bad = m2mgw_cfg_word(&word, cmd, &rest);
        if (bad || !word) {
            return bad;
        }
        if (ap_cstr_casecmp(word, "shadow") == 0) {
            if (m2_once_flag(&limit->shadow, "shadow", &err) != M2_OK) {
                return limit_fault(cmd, limit->name, &err);
            }
            pairs.args = rest;
            continue;
        }
        bad = m2mgw_cfg_pair(&name, &value, &pairs);
        if (bad) {
            return bad;
        }
        if (m2_limit_option(limit, limits, name, value, &err) != M2_OK) {
            return limit_fault(cmd, limit->name, &err);
        }
    }
}

static const char *add_limit(m2mgw_section_t *section, cmd_parms *cmd, const char *const *words,
                             const char *args)
{
    m2_limit_t *limit;
    m2_err_t err;
    const char *bad;

    m2_err_init(&err, cmd->pool);
    if (m2_limit_make(&limit, section->limits, words[0], words[1], words[2], &err) != M2_OK) {
        return limit_fault(cmd, words[0], &err);
    }
    bad = limit_options(limit, section->limits, cmd, args);
    m2mgw_cfg_sign_datasets(section->limits->scope->params, cmd, words[0]);
    if (!bad && m2_limits_add(section->limits, limit, &err) != M2_OK) {
        bad = limit_fault(cmd, words[0], &err);
    }
    if (!bad && section->limits->list->nelts > M2_LIMIT_TAKES) {
        bad = m2mgw_cfg_error(cmd, "a section may have %d limits", M2_LIMIT_TAKES);
    }
    *(const ap_directive_t **)apr_array_push(section->limit_lines) = cmd->directive;
    return bad;
}

static const char *set_none(m2mgw_section_t *section, cmd_parms *cmd)
{
    if (section->limits) {
        return m2mgw_cfg_error(cmd, "none does not go with other limits of its section");
    }
    make_limits(section, cmd->pool);
    section->no_limits = 1;
    return NULL;
}

const char *m2mgw_cfg_limit(cmd_parms *cmd, void *dir, const char *args)
{
    const char *words[3] = { NULL, NULL, NULL };
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_PLUGIN_TRAFFIC);
    int i;

    for (i = 0; !bad && i < 3 && (i == 0 || words[i - 1]); i++) {
        bad = m2mgw_cfg_word(&words[i], cmd, &args);
    }
    if (bad) {
        return bad;
    }
    if (words[0] && !words[1] && ap_cstr_casecmp(words[0], "none") == 0) {
        return set_none(section, cmd);
    }
    if (!words[2]) {
        return m2mgw_cfg_error(cmd, "it takes " USAGE);
    }
    if (section->no_limits) {
        return m2mgw_cfg_error(cmd, "none does not go with other limits of its section");
    }
    if (!section->limits) {
        make_limits(section, cmd->pool);
    }
    return add_limit(section, cmd, words, args);
}

/* --- M2MLimitStore --- */

/* Names of files as the server sees them. */
static void make_absolute(cmd_parms *cmd, m2_redis_spec_t *redis)
{
    const char **pfile, *absolute;
    int i;

    for (i = 0; redis && (pfile = m2_redis_spec_file(redis, i)) != NULL; i++) {
        absolute = *pfile ? ap_server_root_relative(cmd->pool, *pfile) : NULL;
        *pfile = absolute ? absolute : *pfile;
    }
}

const char *m2mgw_cfg_limit_store(cmd_parms *cmd, void *dir, const char *args)
{
    m2_limit_spec_t *spec = &m2mgw_cfg_globals()->limit_store;
    apr_array_header_t *words;
    const char *bad = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    m2_err_t err;

    (void)dir;
    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, "shm [entries=N], or " M2_REDIS_WORDS
                              " with nodes=N [lease=50ms]");
    }
    if (bad) {
        return bad;
    }
    m2_err_init(&err, cmd->pool);
    if (m2_limit_spec_parse(spec, words, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    make_absolute(cmd, spec->redis);
    return spec->redis && m2_redis_try(cmd->temp_pool, spec->redis, &err) != M2_OK
               ? m2mgw_cfg_fault(cmd, &err)
               : NULL;
}
