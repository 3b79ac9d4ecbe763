/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between the files of m2mctl, the command line tool: the second host of the core, with
 * no web server in it. A verb is one row of the table in m2mctl.c: its options, a struct
 * its options fill, and one function. A new verb needs a file, a row, and nothing else.
 *
 * Exit codes are part of the public contract: 0 allow (or done), 1 deny, 2 usage or bad
 * input. Tokens and private keys are read from files and standard input, never from the
 * arguments, where other users of the machine could see them.
 *
 * The room ctl is the gateway on a command line: it explains and makes, with the same
 * core. Never talks to a running server but by HTTP and files.
 */
#ifndef M2MCTL_H
#define M2MCTL_H

#include "gate/m2_gate.h"
#include "plugin/m2_plugin.h"

#include <stddef.h>

#define M2MCTL_ALLOW 0
#define M2MCTL_DENY 1
#define M2MCTL_USAGE 2

#define M2MCTL_MAX_FILE (32 * 1024 * 1024) /* bytes of any input file */

typedef struct m2mctl_verb_t m2mctl_verb_t;

/* one run of the tool */
typedef struct m2mctl_t {
    apr_pool_t *pool;
    const m2mctl_verb_t *const *verbs; /* all of them, in the order of the help; NULL ends */
    const m2mctl_verb_t *verb;
    int json;                   /* --json: one JSON document on standard output */
    apr_array_header_t *words;  /* of const char *: what is not an option */
} m2mctl_t;

/* --- options --- */

typedef enum m2mctl_kind_t { /* ORDER OPTION: readers in m2mctl_options.c */
    M2MCTL_FLAG,   /* int; On, Off, true or false may follow a '=' */
    M2MCTL_TEXT,   /* const char * */
    M2MCTL_NUMBER, /* m2mctl_number_t */
    M2MCTL_LIST,   /* apr_array_header_t * of const char *, NULL if absent */
    M2MCTL_WORD,   /* const char *; --NAME alone is "", --NAME=WORD the word */
    M2MCTL_KINDS
} m2mctl_kind_t;

typedef struct m2mctl_number_t {
    int set;
    apr_int64_t value;
} m2mctl_number_t;

typedef struct m2mctl_option_t {
    const char *name;  /* without dashes; NULL ends a table */
    m2mctl_kind_t kind;
    apr_size_t slot;   /* offset in the struct of its group */
    const char *value; /* what the value is, for the help; NULL for a flag */
    const char *help;
} m2mctl_option_t;

/* options that several verbs share, and where their struct lies in the verb's own */
typedef struct m2mctl_group_t {
    const m2mctl_option_t *options;
    apr_size_t base;
} m2mctl_group_t;

#define M2MCTL_GROUPS 5

typedef int m2mctl_run_fn(m2mctl_t *ctl, void *options);

struct m2mctl_verb_t {
    const char *name;
    const char *arguments; /* behind the options, for the help */
    const char *summary;   /* one line */
    const char *text;      /* paragraphs of the verb's help */
    m2mctl_group_t groups[M2MCTL_GROUPS];
    apr_size_t size;       /* of the struct that is filled */
    m2mctl_run_fn *run;
};

/** Read arguments into a struct of the verb. Names are compared without dashes, in any
 *  case and without a leading M2M, so that an option may be written as the directive it is
 *  named after. 0, or M2MCTL_USAGE after saying why; *phelp is set where help was asked
 *  for. */
int m2mctl_options(void *options, m2mctl_t *ctl, int argc, const char *const *argv,
                   int *phelp);

/** Print the options of a verb. */
void m2mctl_options_help(const m2mctl_verb_t *verb);

/* --- what goes in and out (m2mctl_io.c) --- */

/** Say what is wrong with how the tool was called. Returns M2MCTL_USAGE. */
int m2mctl_usage(m2mctl_t *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Say what is wrong with an input: ORIGIN:LINE:COLUMN: text. Returns M2MCTL_USAGE. */
int m2mctl_fault(m2mctl_t *ctl, const char *origin, const m2_err_t *err);

/** ORIGIN:LINE:COLUMN, as far as known. */
const char *m2mctl_place(apr_pool_t *pool, const char *origin, const m2_err_t *err);

/** The bytes of a file; "-" is standard input. */
m2_code_t m2mctl_read(m2_slice_t *ptext, apr_pool_t *pool, const char *path,
                      m2_err_t *err);

/** Write a file that must not exist yet, unless force; secret files are for the user only
 *  (0600). path NULL is standard output. */
m2_code_t m2mctl_write(apr_pool_t *pool, const char *path, const char *text, int secret,
                       int force, m2_err_t *err);

/* the word in front of a token */
typedef enum m2mctl_scheme_t {
    M2MCTL_SCHEME_NONE,
    M2MCTL_SCHEME_BEARER,
    M2MCTL_SCHEME_DPOP
} m2mctl_scheme_t;

/** A text without white space around it and without `Bearer` or `DPoP` in front, which
 *  *pscheme (or NULL) is. */
m2_slice_t m2mctl_bare_token(m2mctl_scheme_t *pscheme, m2_slice_t text);

/** The same of a file or standard input. */
m2_code_t m2mctl_read_token(m2_slice_t *ptoken, m2mctl_scheme_t *pscheme, apr_pool_t *pool,
                            const char *path, m2_err_t *err);

/** Add the keys of a JWK, JWK set or PEM text to a set. Private keys are read as such
 *  with M2_JWK_PRIVATE in flags. */
m2_code_t m2mctl_parse_keys(m2_keyset_t *set, m2_slice_t text, const char *origin,
                            int flags, m2_err_t *err);

/** The same, of a file. */
m2_code_t m2mctl_read_keys(m2_keyset_t *set, const char *path, int flags, m2_err_t *err);

/** The whole of a list, a regular file of at most M2_MAX_REVOCATION_BYTES. */
m2_code_t m2mctl_read_list(m2_slice_t *ptext, apr_pool_t *pool, const char *path,
                           m2_err_t *err);

/** NAME=VALUE split; M2_E_CONFIG without a name. */
m2_code_t m2mctl_pair(const char **pname, const char **pvalue, apr_pool_t *pool,
                      const char *word, m2_err_t *err);

/** What came from others, for display: without control and formatting characters (line ends
 *  and tabs too), which terminals act upon or show out of order; bytes that are not UTF-8 become
 *  `?`. In pool; "" for NULL. */
const char *m2mctl_plain(apr_pool_t *pool, const char *text);

/** The same of a text of several lines, whose ends stay. */
const char *m2mctl_plain_lines(apr_pool_t *pool, const char *text);

/** Print a token: with a line end for people, without one where standard output is a file or a
 *  pipe, since curl's @file would send it. */
void m2mctl_print_token(const char *token);

/** Print a JSON document and a newline; such characters are escaped. */
void m2mctl_print_json(apr_pool_t *pool, const m2_json_t *json);

/* --- policy options (m2mctl_policy.c) --- */

typedef struct m2mctl_policy_t {
    apr_array_header_t *jwks, *jwk;
    const char *plugin;
    apr_array_header_t *algorithms, *issuers, *audiences, *types, *requires, *users,
        *claims;
    const char *dump, *location, *vhost; /* --policy and what of it */
    m2mctl_number_t leeway, max_age, now;
    int ignore_expiration, prevent_replay, bypass_empty;
    apr_array_header_t *revocation, *datasets;
} m2mctl_policy_t;

extern const m2mctl_option_t m2mctl_policy_options[];

typedef struct m2mctl_force_t m2mctl_force_t; /* m2mctl_force.h */

/** Build a policy from options, or take that of a section of a dump, where options name one: the
 *  one that covers --location, else the path of url. 0, or M2MCTL_USAGE after saying why. */
int m2mctl_policy_at(m2mctl_force_t *force, m2mctl_t *ctl, const m2mctl_policy_t *options,
                     const char *url);

/* --- a request as options describe it (m2mctl_request.c) --- */

typedef struct m2mctl_request_t {
    const char *method, *url, *body, *client_ip, *request_id, *stage, *api_name;
    apr_array_header_t *headers, *env;
    m2mctl_number_t random; /* millionths */
} m2mctl_request_t;

extern const m2mctl_option_t m2mctl_request_options[];

typedef struct m2mctl_facts_t m2mctl_facts_t;

/** Read what the options say about a request. 0, or M2MCTL_USAGE after saying why. */
int m2mctl_request(m2mctl_facts_t **pfacts, m2mctl_t *ctl,
                   const m2mctl_request_t *options, apr_time_t now);

/** Its path as sections and rules see it, and as the client wrote it. */
const char *m2mctl_request_path(const m2mctl_facts_t *request);
const char *m2mctl_request_raw_path(const m2mctl_facts_t *request);

/** What the gateway finds in query, headers and body that a backend could take for other names
 *  or another method, once claims are known: M2_E_BODY_UNSUPPORTED or M2_E_RULE_ERROR. The
 *  names that frameworks take a method from go out where rules or operations read it. */
m2_code_t m2mctl_judge_body(m2mctl_facts_t *request, const m2_mapping_t *mapping,
                            m2_err_t *err);
m2_code_t m2mctl_judge_method(m2mctl_facts_t *request, const m2_rules_t *rules, int operations,
                              m2_err_t *err);

/** Of a request: method, a header field (NULL if absent). */
const char *m2mctl_method(const m2mctl_facts_t *request);
const char *m2mctl_header(const m2mctl_facts_t *request, const char *name);

/** The address that it comes from. */
const char *m2mctl_client_ip(const m2mctl_facts_t *request);

/** Take a header out, in every spelling but for exact (NULL: in every one). */
void m2mctl_remove_header(m2mctl_facts_t *request, const char *name, const char *exact);

/** Whose operation it is: its name, and who knows the variables of its template. */
void m2mctl_segments(m2mctl_facts_t *request, const char *name,
                     m2_slice_t (*segment)(void *baton, const char *name), void *baton);

/* the token of a request */
typedef struct m2mctl_token_t {
    m2_slice_t text;   /* absent without one */
    const char *where; /* header:NAME and so on; NULL without one */
    int as_dpop;       /* it came under the scheme DPoP in a header */
} m2mctl_token_t;

/** Find the token of a request, as the gateway does. It is taken out of query and body, as in
 *  the gateway; cookies stay. M2_E_TOKEN_MULTIPLE or M2_E_TOKEN_MALFORMED as the gateway's. */
m2_code_t m2mctl_find_token(m2mctl_token_t *token, m2mctl_facts_t *request,
                            const apr_array_header_t *sources, m2_err_t *err);

/** Scrub and set what the gate publishes, as rules and the backend will see it. */
void m2mctl_publish(m2mctl_facts_t *request, const apr_array_header_t *publish);

/** Facts for the gate, over that request and what was decided about its token. */
void m2mctl_answer(m2_facts_t *facts, m2mctl_facts_t *request, const m2_rules_t *rules,
                   const m2_verdict_t *verdict, m2_slice_t token);

/* --- its path (m2mctl_path.c) --- */

typedef struct m2mctl_guard_t {
    apr_array_header_t *sections; /* of const char *: PATH, or PATH=On|Off|Shadow */
    const char *guard;            /* On or Off; NULL: On */
    int nocanon;                  /* the raw path goes to the backend */
} m2mctl_guard_t;

/** A raw path as httpd hands it to sections, in pool; NULL: it answers by itself. */
const char *m2mctl_path(apr_pool_t *pool, const char *raw);

/** Whether M2MPathGuard refuses a path: *pwhy is a sentence, or NULL. 0, or M2MCTL_USAGE after
 *  saying why. */
int m2mctl_path_judge(const char **pwhy, m2mctl_t *ctl, const m2mctl_guard_t *options,
                      const char *path, const char *raw);

/** Whether it could be another path to the backend than it is to rules. deep: escapes count as
 *  what they stand for, too. */
int m2mctl_path_is_ambiguous(apr_pool_t *pool, const m2mctl_guard_t *options, const char *path,
                             const char *raw, int deep);

/* --- files of rule directives (m2mctl_rules.c) --- */

/** Read M2MParameter, M2MRule, M2MRuleHeader, M2MDefaultAction, M2MPath and
 *  M2MDuplicateParameter lines as they stand in a section. */
m2_code_t m2mctl_read_rules(m2_rules_t **prules, apr_pool_t *pool, m2_slice_t text,
                            m2_err_t *err);

/** Whether a text looks like such lines. */
int m2mctl_are_rules(m2_slice_t text);

/* --- the verbs --- */

extern const m2mctl_verb_t m2mctl_keygen;
extern const m2mctl_verb_t m2mctl_jwks;
extern const m2mctl_verb_t m2mctl_sign;
extern const m2mctl_verb_t m2mctl_verify;
extern const m2mctl_verb_t m2mctl_explain;
extern const m2mctl_verb_t m2mctl_check;
extern const m2mctl_verb_t m2mctl_client;
extern const m2mctl_verb_t m2mctl_token;
extern const m2mctl_verb_t m2mctl_dpop;
extern const m2mctl_verb_t m2mctl_revoke;
extern const m2mctl_verb_t m2mctl_openapi;
extern const m2mctl_verb_t m2mctl_test;
extern const m2mctl_verb_t m2mctl_completion;

#endif /* M2MCTL_H */
