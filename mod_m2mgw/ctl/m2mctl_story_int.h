/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The decision on one request, as `m2mctl explain` tells it and `m2mctl test` compares it.
 */
#ifndef M2MCTL_STORY_INT_H
#define M2MCTL_STORY_INT_H

#include "ctl/m2mctl_proof.h"

/* One decision in the making. Zeroed, then the first group is filled. */
typedef struct m2mctl_story_t {
    m2mctl_t *ctl;
    apr_pool_t *pool;
    const m2mctl_force_t *force;
    m2mctl_facts_t *request;
    m2_slice_t token;
    const char *where;           /* the token was, for display */
    m2_code_t found;             /* what the search for the token came to */
    m2_err_t why;
    const m2mctl_guard_t *guard; /* M2MPathGuard: sections and all */
    m2mctl_presented_t shown;    /* what came with the token */
    int quiet;                   /* nothing is told */
    apr_table_t *reached;        /* names of rules and operations, as they are met; or NULL */

    m2_policy_t policy;          /* of force, as the operation has it */
    m2_verdict_t verdict;
    m2_operation_match_t match;  /* where force has operations */
    m2_code_t operation;         /* what the look-up came to */
    m2_json_t *steps;            /* for --json */
} m2mctl_story_t;

/** Look for the token in the request, where the policy says it is; shown says under which
 *  scheme it came. */
void m2mctl_story_find(m2mctl_story_t *s);

/** Decide: fills verdict, tells each step. */
void m2mctl_story_decide(m2mctl_story_t *s);

/** Whether the verdict lets the request pass. */
int m2mctl_story_passes(const m2mctl_story_t *s);

/** The status of the answer, in the error profile of the policy; 200 for a request that
 *  passes, since the backend has the last word then. */
int m2mctl_story_status(const m2mctl_story_t *s);

/** The name of the operation that the request is, or NULL. */
const char *m2mctl_story_operation(const m2mctl_story_t *s);

/* --- how it is told (m2mctl_tell.c) --- */

/** A step: one line, or an object of `steps`. */
void m2mctl_story_tell(m2mctl_story_t *s, const char *step, int ok, const char *text);

/** The same, and the verdict is a refusal. */
void m2mctl_story_refuse(m2mctl_story_t *s, const char *step, m2_code_t code, const char *why);

/** A text without control bytes, in valid UTF-8; the same in quotes, `null` for none, and
 *  `[redacted]` for what holds the token. */
const char *m2mctl_story_shown(apr_pool_t *pool, m2_slice_t text);
const char *m2mctl_story_value(const m2mctl_story_t *s, m2_slice_t value);

/* --- operations (m2mctl_operation.c) --- */

/** What the request is; 1 for a preflight, which nothing else looks at. */
int m2mctl_story_find_operation(m2mctl_story_t *s);

/** Whether its token is enough for it. */
void m2mctl_story_judge_operation(m2mctl_story_t *s);

/** Whether a lenient backend would read the path as another operation. */
void m2mctl_story_check_reading(m2mctl_story_t *s);

#endif /* M2MCTL_STORY_INT_H */
