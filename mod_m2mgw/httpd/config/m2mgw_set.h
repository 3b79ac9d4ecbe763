/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The handlers of directives, by file. A handler of a section directive enters its section first
 * (m2mgw_cfg_enter), then reads its words (m2mgw_words.h).
 */
#ifndef M2MGW_SET_H
#define M2MGW_SET_H

#include "httpd/config/m2mgw_section.h"
#include "httpd/config/m2mgw_words.h"

#include <stddef.h>

/* --- m2mgw_set_value.c: one value each --- */

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
const char *m2mgw_cfg_claim_list(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_algorithms(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_require_claim(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_form_limit(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_method_parameter(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_refresh(cmd_parms *cmd, void *dir, const char *args);

/* --- m2mgw_set_global.c: directives of the whole server --- */

const char *m2mgw_cfg_jwks_tls(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_state_dir(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_file_modes(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_replay_store(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_replay_lifetime(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_verify_cache(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_recent_refusals(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_decision_log(cmd_parms *cmd, void *dir, const char *args);

/** The value of M2MReplayStore and similar directives, with absolute file names. pwords, unless
 *  NULL, gets the words. */
const char *m2mgw_cfg_store(m2_replay_spec_t **pspec, apr_array_header_t **pwords,
                            cmd_parms *cmd, const char *args);

/* --- m2mgw_set_proof.c: tokens that only their owner can use --- */

const char *m2mgw_cfg_dpop(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_public_url(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_nonce_key(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_dpop_store(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_certificate(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_resource(cmd_parms *cmd, void *dir, const char *arg);

/** Note a header of certificates for the virtual host; NULL and mod_ssl's are none. */
void m2mgw_cfg_add_certificate(m2mgw_server_t *server, apr_pool_t *pool,
                               const m2mgw_certificate_t *certificate);

/** Checks of a whole section, for m2mgw_check.c. */
const char *m2mgw_cfg_check_proof(const ap_directive_t **pat, apr_pool_t *pool,
                                  const m2mgw_section_t *section);
const char *m2mgw_cfg_check_resource(const ap_directive_t **pat, apr_pool_t *pool,
                                     const m2mgw_section_t *section);

/* --- m2mgw_set_token.c: sources and claims --- */

const char *m2mgw_cfg_token(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_claim(cmd_parms *cmd, void *dir, const char *args);

/** Sources of tokens in pool; list is of m2_token_source_t and kept, NULL is an empty one. */
m2mgw_sources_t *m2mgw_cfg_sources(apr_pool_t *pool, apr_array_header_t *list);

/** Make mapping the claim list of a section, and with it what is scrubbed in the section and
 *  in those it holds. */
void m2mgw_cfg_mapping(m2mgw_section_t *section, apr_pool_t *pool, m2_mapping_t *mapping);

/* --- m2mgw_set_keys.c --- */

const char *m2mgw_cfg_jwk(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_jwks(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_discovery(cmd_parms *cmd, void *dir, const char *args);

/* --- m2mgw_set_rules.c: rules --- */

const char *m2mgw_cfg_parameter(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_rule(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_rule_header(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_default_action(cmd_parms *cmd, void *dir, const char *arg);
const char *m2mgw_cfg_path(cmd_parms *cmd, void *dir, const char *arg);
/** The parameters and the path of a section, made if needed. They are not rules: only an M2MRule
 *  replaces those of an outer section. */
m2_rules_t *m2mgw_cfg_scope(m2mgw_section_t *section, apr_pool_t *pool);

/** The path of the section, wherever in the section it stands; NULL without one. Returns what
 *  is wrong with it. */
const char *m2mgw_cfg_section_path(const m2_path_template_t **ppath, m2mgw_section_t *section,
                                   cmd_parms *cmd);

/* --- m2mgw_set_operations.c: operations --- */

const char *m2mgw_cfg_openapi(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_operation(cmd_parms *cmd, void *dir, const char *args);

/** What contradicts in a section's operations, once everything has been read; *pat is where. */
const char *m2mgw_cfg_check_operations(const ap_directive_t **pat, apr_pool_t *pool,
                                       const m2mgw_section_t *section);

/** Make the operations of a section ready for requests. */
void m2mgw_cfg_finish_operations(apr_pool_t *pool, const m2mgw_section_t *section);

/** Whether section says what happens to unknown operations or preflights, and no request that
 * meets it can meet operations. At configuration only. */
int m2mgw_cfg_lacks_operations(const m2mgw_section_t *section);

/* --- m2mgw_set_lists.c: lists of revoked tokens, data sets --- */

const char *m2mgw_cfg_revocation(cmd_parms *cmd, void *dir, const char *args);

const char *m2mgw_cfg_dataset(cmd_parms *cmd, void *dir, const char *args);

/** Open the data sets, and bind the conditions of a section to them. */
const char *m2mgw_cfg_open_datasets(const ap_directive_t **pat, apr_pool_t *pool);
/** Remember in which directive those data sets are named that none has been remembered for, and
 *  what it is the condition of, unless it is a rule. */
void m2mgw_cfg_sign_datasets(const m2_params_t *params, const cmd_parms *cmd, const char *name);

const char *m2mgw_cfg_resolve_datasets(const ap_directive_t **pat, apr_pool_t *pool,
                                       const m2mgw_section_t *section);

/** Open the lists that a section names, once everything has been read; *pat is the directive of
 *  the list that cannot be opened. pool is the configuration's. */
const char *m2mgw_cfg_open_lists(const ap_directive_t **pat, apr_pool_t *pool,
                                 const m2mgw_section_t *section);

/* --- m2mgw_set_limits.c --- */

const char *m2mgw_cfg_limit(cmd_parms *cmd, void *dir, const char *args);
const char *m2mgw_cfg_limit_store(cmd_parms *cmd, void *dir, const char *args);

/* --- m2mgw_set_plugin.c --- */

const char *m2mgw_cfg_plugin(cmd_parms *cmd, void *dir, const char *kind, const char *file);

#endif /* M2MGW_SET_H */
