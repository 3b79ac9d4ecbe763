/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the mod_m2mgw_config*.c files share while configuration is read; nobody else includes
 * this. A handler enters its section first (m2mgw_cfg_enter), then reads its words with the
 * readers below, which are stricter than httpd's: a missing or misplaced quote and an empty
 * word are errors, never a shorter list. Every error is a sentence that begins with the
 * directive; httpd adds file and line.
 */
#ifndef MOD_M2MGW_CONFIG_H
#define MOD_M2MGW_CONFIG_H

#include "httpd/config/m2mgw_conf.h"

#include <stddef.h>

/* the two kinds of gateway plugin file, and with them two sets of native directives */
typedef enum m2mgw_plugin_t {
    M2MGW_PLUGIN_JWT,
    M2MGW_PLUGIN_ACCESS,
    M2MGW_PLUGINS,
    M2MGW_NO_PLUGIN = M2MGW_PLUGINS /* a directive that no plugin file sets */
} m2mgw_plugin_t;

/* A section as far as it has been read. What its list groups hold grows until the check. */
struct m2mgw_section_t {
    m2mgw_dir_t *dir;
    server_rec *server;
    const ap_directive_t *where;                 /* its opening line; NULL at server level */
    const ap_directive_t *first;                 /* the first directive of ours in it */
    const ap_directive_t *plugin[M2MGW_PLUGINS]; /* the M2MPlugin of each kind, or NULL */
    const ap_directive_t *native[M2MGW_PLUGINS]; /* the first native directive of the same */
    const ap_directive_t *path_at;               /* the M2MPath that has been compiled */
    m2mgw_sources_t *sources;
    m2_keyset_t *keyset;                         /* every key known by now, for the checks */
    m2_keyset_t *fixed;                          /* those that stand in the configuration */
    apr_array_header_t *key_sources;             /* of m2_keysource_t *: files, URLs, issuers */
    apr_array_header_t *found_issuers;           /* of const char *: M2MIssuerDiscovery */
    const ap_directive_t *keys_at;               /* first directive of the keys group */
    m2_mapping_t *mapping;
    m2_rules_t *rules;
};

/* --- mod_m2mgw_config_read.c: sections, words, numbers, files --- */

/** Forget all sections, notices and global values of an earlier reading. */
void m2mgw_cfg_reset(apr_pool_t *pconf);

/** All sections that hold directives of ours, in order: of m2mgw_section_t *. */
const apr_array_header_t *m2mgw_cfg_sections(void);

/** The global values, to be filled. */
m2mgw_globals_t *m2mgw_cfg_globals(void);

/** First thing in every handler of a section directive: where it may not stand, and what
 *  else in its section contradicts it. */
const char *m2mgw_cfg_enter(m2mgw_section_t **psection, cmd_parms *cmd, void *dir,
                            m2mgw_plugin_t plugin);

/** `DIRECTIVE: text` of a printf text, or of what a core function said. */
const char *m2mgw_cfg_error(cmd_parms *cmd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *m2mgw_cfg_fault(cmd_parms *cmd, const m2_err_t *err);

/** Likewise for a fault inside a file, with its line and column. */
const char *m2mgw_cfg_plugin_fault(cmd_parms *cmd, const char *path, const m2_err_t *err);

/** Something legal that deserves a second look; logged once when the server starts. */
void m2mgw_cfg_notice(m2_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const apr_array_header_t *m2mgw_cfg_notices(void);

typedef struct m2mgw_notice_t {
    m2_level_t level;
    const char *text;
} m2mgw_notice_t;

/** The next word of *pargs, quotes taken off as httpd does; *pword NULL at the end. */
const char *m2mgw_cfg_word(const char **pword, cmd_parms *cmd, const char **pargs);

/** The next NAME=VALUE of *pargs, as `NAME="a b"` or `"NAME=a b"`; *pname NULL at the end. */
const char *m2mgw_cfg_pair(const char **pname, const char **pvalue, cmd_parms *cmd,
                           const char **pargs);

/** All words (of const char *), from min to max of them (max 0: any number), none empty.
 *  usage names them for the error. */
const char *m2mgw_cfg_words(apr_array_header_t **pwords, cmd_parms *cmd, const char *args,
                            int min, int max, const char *usage);

/** Digits only, in min..max; 0 when text is anything else. */
int m2mgw_cfg_number(int *pvalue, const char *text, int min, int max);

/** The whole of a regular file of at most max bytes; *ppath is absolute. */
const char *m2mgw_cfg_file(m2_slice_t *ptext, const char **ppath, cmd_parms *cmd,
                           const char *path, apr_size_t max);

/** `line N of FILE` of a directive. */
const char *m2mgw_cfg_place(apr_pool_t *pool, const ap_directive_t *directive);

/** The sibling of cmd's directive with that name, before or behind it; NULL: there is none. */
const ap_directive_t *m2mgw_cfg_sibling(cmd_parms *cmd, const char *name);

/* --- mod_m2mgw_config_value.c: one value each --- */

/* One word of several, or a number in a range, stored as an int in m2mgw_dir_t. The info of
 * a command record. */
typedef struct m2mgw_word_t {
    const char *word;
    int value;
} m2mgw_word_t;

typedef struct m2mgw_value_t {
    apr_size_t offset;
    m2mgw_plugin_t plugin;     /* the kind of plugin file that sets it, too */
    const m2mgw_word_t *words; /* the words allowed, ended by NULL; or none */
    int min, max;              /* numbers allowed where unit is not NULL */
    const char *unit;
} m2mgw_value_t;

const char *m2mgw_cfg_value(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_text(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_list(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_algorithms(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_require_claim(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_form_limit(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_refresh(cmd_parms *cmd, void *dir, const char *args);

/* --- mod_m2mgw_config_global.c: directives of the whole server --- */

const char *m2mgw_cfg_jwks_tls(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_state_dir(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_replay_store(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_replay_lifetime(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_verify_cache(cmd_parms *cmd, void *dir, const char *arg);

/* --- mod_m2mgw_config_keys.c: sources, keys and claims --- */

const char *m2mgw_cfg_token(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_jwk(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_jwks(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_discovery(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_claim(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_plugin_jwt(m2mgw_section_t *section, cmd_parms *cmd, const char *file);

/* --- mod_m2mgw_config_rules.c: rules, and M2MPlugin --- */

const char *m2mgw_cfg_parameter(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_rule(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_rule_header(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_default_action(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_path(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_plugin(cmd_parms *cmd, void *dir, const char *kind, const char *file);

/* --- mod_m2mgw_config_check.c --- */

/** What deserves a second look, about directives and about whole sections: of
 *  m2mgw_notice_t. */
apr_array_header_t *m2mgw_cfg_all_notices(apr_pool_t *pool);

/* --- mod_m2mgw_config_dump.c --- */

/** Print the effective policy of every section to standard output. */
void m2mgw_cfg_dump(apr_pool_t *pool, server_rec *s);

/** The policy of a request that meets this section and those it lies in, and no other. */
const m2mgw_dir_t *m2mgw_cfg_resolved(apr_pool_t *pool, const m2mgw_section_t *section);

#endif /* MOD_M2MGW_CONFIG_H */
