/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The answers to rules about a request: one per source, the same in the gateway and in m2mctl. A
 * value that backends may read in different ways is an error, never one of them.
 */
#ifndef M2_ANSWER_H
#define M2_ANSWER_H

#include "request/m2_request.h"
#include "rules/m2_rules.h"

typedef struct m2_answers_t {
    m2_request_t request;
    const m2_path_template_t *path; /* M2MPath, or NULL */
    m2_slice_t (*segment)(void *baton, const char *name); /* of an operation's template, asked
                                                             before M2MPath; or NULL */
    void *segment_baton;
    const m2_json_t *claims;        /* of the verified token, or NULL */
    const char *user;               /* whom the verified token names, or NULL */
    int deny_duplicates;            /* M2MDuplicateParameter Deny */
} m2_answers_t;

/** An m2_param_fn whose baton is an m2_answers_t. */
m2_code_t m2_answer(m2_value_t *value, const m2_param_t *param, void *answers);

#endif /* M2_ANSWER_H */
