/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The limits of a section: which bucket a request takes from, and by which terms. Built by
 * M2MLimit or by a trafficControl script; compiled once. A request asks its parameters, gets
 * the list of what it takes (m2_limit_gather), and the store says whether it may.
 *
 * The room limit decides whether one more request of a key fits into its limit. Never
 * knows who sent it.
 */
#ifndef M2_LIMIT_H
#define M2_LIMIT_H

#include "limit/m2_gcra.h"
#include "rules/m2_rules.h"

#include <apr_hash.h>

#define M2_LIMIT_MAX_NAME 64    /* characters of M2MLimit NAME */
#define M2_LIMIT_MAX_PARTS 8    /* parts of a key */
#define M2_LIMIT_MAX_BURST 1000000000
#define M2_LIMIT_MAX_KEY 8192   /* bytes of all parts of a key: longer values are hashed on */

/* COUNT/WINDOW with its burst */
typedef struct m2_limit_rate_t {
    apr_uint32_t count;
    apr_uint32_t window; /* seconds */
    apr_uint32_t burst;
    m2_gcra_t terms;
} m2_limit_rate_t;

typedef struct m2_limit_t {
    const char *name;           /* for display: `Throttled by NAME` */
    const char *special_name;   /* of its special values; NULL: the same */
    const char *scope;          /* section of a script, so that its buckets are its own, or "" */
    int row, special_row;       /* in the store, set by the host when it is open */
    apr_array_header_t *key;    /* of int, indexes of parameters; empty: one bucket for all */
    const m2_limit_rate_t *rate; /* NULL: only special values are limited */
    apr_hash_t *specials;       /* value -> m2_limit_rate_t *; NULL: none */
    const m2_expr_t *when;      /* NULL: always */
    int null_denies;            /* a part that is null refuses; else it is not a limit */
    int shadow;
} m2_limit_t;

/* the limits list group of a section */
typedef struct m2_limits_t {
    const m2_rules_t *scope;    /* whose parameters and path keys and conditions name */
    apr_array_header_t *list;   /* of m2_limit_t *; empty: `none` */
} m2_limits_t;

/* What a request takes from one bucket. */
typedef struct m2_limit_use_t {
    const m2_limit_t *limit;
    const m2_limit_rate_t *rate;
    const char *name;           /* the limit's, or that of its special values */
    int row;
    m2_slice_t bucket;          /* bytes that make it one: scope, name and key */
    m2_gcra_answer_t answer;    /* filled by the store */
} m2_limit_use_t;

/** An empty list, in pool. scope has the parameters that keys and conditions name, and outlives it;
 *  never NULL. */
m2_limits_t *m2_limits_make(apr_pool_t *pool, const m2_rules_t *scope);

/** Start a limit: NAME, KEY (`*`, or names of scope's parameters joined by `,`), COUNT/WINDOW.
 *  Not in the list yet. M2_E_CONFIG with a sentence. */
m2_code_t m2_limit_make(m2_limit_t **plimit, m2_limits_t *limits, const char *name,
                        const char *key, const char *rate, m2_err_t *err);

/** One option: `burst`, `null`, `when`, `special`. The word `shadow` is the caller's. */
m2_code_t m2_limit_option(m2_limit_t *limit, m2_limits_t *limits, const char *name,
                          const char *value, m2_err_t *err);

/** Put a finished limit into the list; each name is in it once. */
m2_code_t m2_limits_add(m2_limits_t *limits, m2_limit_t *limit, m2_err_t *err);

/** COUNT/WINDOW, such as 100/1m; burst 0 means COUNT. */
m2_code_t m2_limit_rate_parse(m2_limit_rate_t *rate, const char *text, apr_uint32_t burst,
                              m2_err_t *err);

/** What differs in the terms of two limits of one name (COUNT, WINDOW, burst, special, the
 *  sources of KEY), or NULL when they share a bucket by right. */
const char *m2_limit_differs(const m2_limit_t *a, const m2_limits_t *of_a, const m2_limit_t *b,
                             const m2_limits_t *of_b);

/**
 * What a request takes: of m2_limit_use_t, in the order of the limits. M2_OK,
 * M2_E_LIMIT_NULL (a part is null and null=deny; *plimit is the limit), or M2_E_RULE_ERROR
 * (a part may not be used). A condition that cannot be evaluated counts as true.
 */
m2_code_t m2_limit_gather(apr_array_header_t **puses, const m2_limit_t **plimit,
                          const m2_limits_t *limits, m2_facts_t *facts, m2_err_t *err);

/** Seconds to wait for Retry-After, rounded up, 1 at least. */
apr_uint64_t m2_limit_retry(const m2_gcra_answer_t *answer);

/** `"NAME";q=COUNT;w=SECONDS` and `"NAME";r=LEFT;t=SECONDS` of the uses that are not shadows,
 *  joined by commas (draft-ietf-httpapi-ratelimit-headers-11); "" when there are none. */
void m2_limit_headers(const char **ppolicy, const char **plimit, apr_pool_t *pool,
                      const apr_array_header_t *uses);

#endif /* M2_LIMIT_H */
