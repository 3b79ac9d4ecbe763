/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The sections of a virtual host that M2MPathGuard watches over: those of <Location> and
 * <LocationMatch> with directives of ours or any `Require`, and those of <Proxy> with
 * directives of ours. Made once when configuration has been read, const afterwards.
 *
 * What is a section and what it matches is asked of httpd (its list for the location walk),
 * so macros, includes and the merge of the main server need no second understanding. Only
 * `Require` is private to mod_authz_core: for that the tree of directives is searched for
 * sections of the same server and argument. Sections made while a request runs do not exist.
 */
#ifndef M2MGW_GUARDED_H
#define M2MGW_GUARDED_H

#include "httpd/config/m2mgw_conf.h"

#include "request/m2_path_table.h"

typedef struct m2mgw_expression_t m2mgw_expression_t;

/* One section, or several that differ only in case or by a slash at the end. */
typedef struct m2mgw_guarded_t {
    const char *written;    /* its argument, as the last of them has it */
    m2mgw_engine_t engine;  /* what it says or inherits; On for a `Require` alone */
    const m2mgw_dir_t *dir; /* what it says of ours; NULL: nothing */
    m2mgw_engine_t said;    /* what M2MEngine says in it */
    int order;              /* the place of that section: a later one wins */
    const apr_array_header_t *twins; /* stricter sections that begin with the same path but for
                                        case, of m2mgw_twin_t; NULL: none */
} m2mgw_guarded_t;

/* A section whose argument is an expression. */
struct m2mgw_expression_t {
    m2mgw_guarded_t section;
    const ap_regex_t *regex; /* as httpd tries it; NULL: wildcards, in section.written */
    const ap_regex_t *blind; /* the same without case */
    const char *start;       /* the common prefix of everything it matches, in lower case */
};

/* One that stands for another section where httpd finds it; one of the two is set. */
typedef struct m2mgw_twin_t {
    const m2_path_entry_t *prefix;
    const m2mgw_expression_t *expression;
} m2mgw_twin_t;

/* A <Proxy> section: its argument is a prefix, wildcards or a regular expression. */
typedef struct m2mgw_proxied_t {
    m2mgw_guarded_t section;
    const ap_regex_t *regex; /* NULL: prefix or wildcards, in section.written */
    const ap_regex_t *blind;
    const char *folded;      /* a prefix, in lower case without a slash at the end */
    int has_wildcards;
} m2mgw_proxied_t;

struct m2mgw_guard_t {
    const m2_path_table_t *prefixes;         /* what is m2mgw_guarded_t */
    const apr_array_header_t *expressions;   /* of m2mgw_expression_t */
    const apr_array_header_t *proxied;       /* of m2mgw_proxied_t */
    const m2mgw_dir_t *dir;                  /* the virtual host's own directives */
    int strict;                              /* some policy of the virtual host is On */
    int host_is_on;                          /* ... and it is the virtual host's own */
    int merges_slashes;                      /* MergeSlashes */
};

/** What the guard needs to know of server s; NULL where it has no section of ours. Notices
 *  are collected on the way, about sections of s itself. */
const m2mgw_guard_t *m2mgw_guarded(apr_pool_t *pool, server_rec *main_server, server_rec *s);

#endif /* M2MGW_GUARDED_H */
