/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What one reading of the configuration collects: the sections that hold directives of ours, the
 * global values, the key sources, and notices about legal settings that deserve a second look.
 * Filled while configuration is read; read by checks, notices and the dump, and by what starts
 * with the server.
 */
#ifndef M2MGW_SECTION_H
#define M2MGW_SECTION_H

#include "httpd/config/m2mgw_conf.h"

#include "jwks/m2_jwks.h"

/* the kinds of gateway plugin file, and with each a set of native directives */
typedef enum m2mgw_plugin_t {
    M2MGW_PLUGIN_JWT,
    M2MGW_PLUGIN_ACCESS,
    M2MGW_PLUGIN_TRAFFIC,
    M2MGW_PLUGINS,
    M2MGW_NO_PLUGIN = M2MGW_PLUGINS /* a directive that no plugin file sets */
} m2mgw_plugin_t;

/* A section as far as it has been read. What its list groups hold grows until the check. */
typedef struct m2mgw_section_t {
    m2mgw_dir_t *dir;
    server_rec *server;
    const ap_directive_t *where;                 /* its opening line; NULL at server level */
    const char *location;                        /* PATH of a <Location PATH>, else NULL */
    int ordinal;                                 /* among all sections, as they were read */
    int by_method;                               /* it is, or lies in, an <If> or the <Else> of
                                                    one that names REQUEST_METHOD */
    const ap_directive_t *first;                 /* the first directive of ours in it */
    const ap_directive_t *plugin[M2MGW_PLUGINS]; /* the M2MPlugin of each kind, or NULL */
    const ap_directive_t *native[M2MGW_PLUGINS]; /* the first native directive of the same */
    const ap_directive_t *path_at;               /* the M2MPath that has been compiled */
    m2mgw_sources_t *sources;
    m2_keyset_t *keyset;                         /* every key known by now, for the checks */
    m2_keyset_t *fixed;                          /* those that stand in the configuration */
    apr_array_header_t *key_sources;             /* of m2_fed_t: files, URLs, issuers */
    apr_array_header_t *bound;                   /* of const char *: issuers of its keys */
    const ap_directive_t *keys_at;               /* first directive of the keys group */
    const ap_directive_t *check_at;              /* first one that says what tokens must be
                                                    like, in a section, not a server */
    m2mgw_revocation_t *revocation;
    int no_revocation;                           /* M2MRevocation none */
    m2_mapping_t *mapping;
    m2_rules_t *rules;                           /* with the parameters that limits name, too */
    const ap_directive_t *default_at;            /* M2MDefaultAction, which needs an M2MRule */
    m2_limits_t *limits;
    apr_array_header_t *limit_lines;             /* of const ap_directive_t *: their M2MLimit */
    int no_limits;                               /* M2MLimit none */
    m2mgw_operations_t *operations;
    const ap_directive_t *operations_at;         /* first directive of the operations group */
    const char *name;                            /* for display; m2mgw_counters.c, post_config */
    int row;                                     /* its counters, from 1; 0: none; likewise */
    apr_uint64_t key;                            /* what it is, over restarts; likewise */
} m2mgw_section_t;

typedef struct m2mgw_notice_t {
    m2_level_t level;
    const char *text;
} m2mgw_notice_t;

/** Forget all sections, notices, key sources and global values of an earlier reading. */
void m2mgw_cfg_reset(apr_pool_t *pconf);

/** The data sets that are named: of m2mgw_dataset_t *. */
apr_array_header_t *m2mgw_cfg_datasets(void);

/** The pool of the configuration. */
apr_pool_t *m2mgw_cfg_pool(void);

/** All sections that hold directives of ours, in order: of m2mgw_section_t *. */
const apr_array_header_t *m2mgw_cfg_sections(void);

/** The global values, to be filled. */
m2mgw_globals_t *m2mgw_cfg_globals(void);

/** The global directives with their defaults; valid from check_config on. */
const m2mgw_globals_t *m2mgw_globals(void);

/** The store of used proofs: M2MDPoPStore, or what follows from M2MReplayStore. */
const m2_replay_spec_t *m2mgw_cfg_dpop_spec(apr_pool_t *pool);

/** The key sources that sections name: files, URLs, issuers. */
m2_jwks_t *m2mgw_cfg_registry(void);

/** To be called first in every handler of a section directive: checks that it is allowed here and
 *  that its section does not contradict it. */
const char *m2mgw_cfg_enter(m2mgw_section_t **psection, cmd_parms *cmd, void *dir,
                            m2mgw_plugin_t plugin);

/** Something legal that deserves a second look; logged once when the server starts. */
void m2mgw_cfg_notice(m2_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** What was noticed while directives were read: of m2mgw_notice_t. */
const apr_array_header_t *m2mgw_cfg_notices(void);

/** The <Location> sections, of any server, whose path covers that of section, itself included, in
 *  order: of const m2mgw_section_t *. Empty where section is no <Location>. */
apr_array_header_t *m2mgw_cfg_covering(apr_pool_t *pool, const m2mgw_section_t *section);

/** The directive of that name that counts for section: the last one in it, else in the sections
 *  around it; else the first directive of this module in section. */
const ap_directive_t *m2mgw_cfg_stated_at(const m2mgw_section_t *section, const char *name);

/** `line N of FILE` of a directive. */
const char *m2mgw_cfg_place(apr_pool_t *pool, const ap_directive_t *directive);

/** Likewise, and every other <Location> that covers a request for its path: what httpd merges for
 *  it if no expression, file or condition applies. */
const m2mgw_dir_t *m2mgw_cfg_in_force(apr_pool_t *pool, const m2mgw_section_t *section);

/** Whether some request may meet both: sections of one virtual host, and those of the main
 *  server with those of every host. */
int m2mgw_cfg_may_meet(const m2mgw_section_t *a, const m2mgw_section_t *b);

/** Whether keys can be in force for it: some section or server that its requests may meet has
 *  them. */
int m2mgw_cfg_may_have_keys(const m2mgw_section_t *section);

/** The section that has the keys of dir; NULL where dir has none. */
const m2mgw_section_t *m2mgw_cfg_keys_of(const m2mgw_dir_t *dir);

/** Whether some key of dir that is known by now can do an algorithm that dir allows; 1 where
 *  dir has no keys or names no algorithms. */
int m2mgw_cfg_can_verify(const m2mgw_dir_t *dir);

/** Whether the user that the children run as can read a file, by the modes of it and of the
 *  directories above. */
int m2mgw_cfg_user_reads(const char *path);

/** Likewise whether it can create files in a directory; 0 if the directory is missing. */
int m2mgw_cfg_user_fills(const char *path);

/** The policy of a request that meets only this section and those around it. */
const m2mgw_dir_t *m2mgw_cfg_resolved(apr_pool_t *pool, const m2mgw_section_t *section);

#endif /* M2MGW_SECTION_H */
