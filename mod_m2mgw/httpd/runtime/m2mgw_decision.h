/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is known of a decision when its request is over: what counters, the list of recent
 * refusals and the decision log are made of. Texts live as long as the request; NULL: not
 * known. What a client sent is not escaped here.
 */
#ifndef M2MGW_DECISION_H
#define M2MGW_DECISION_H

#include "httpd/config/m2mgw_section.h"

typedef struct m2mgw_decision_t {
    apr_time_t time;                /* when the request came */
    apr_interval_time_t duration;   /* from then to its log */
    m2_code_t code;                 /* M2_OK, M2_BYPASS, or why it is a refusal */
    int shadow;                     /* a refusal that M2MEngine Shadow let pass */
    int status;                     /* the HTTP status of the answer */
    const m2mgw_section_t *section; /* whose policy it was */
    const m2_rule_t *rule;          /* that decided */
    const apr_array_header_t *shadowed; /* of m2_shadowed_t: what rules in shadow would have
                                           done; NULL: nothing */
    const char *request_id;
    const char *trace_id;
    const char *vhost;
    const char *operation;
    const m2mgw_operations_t *operations; /* that it is one of; NULL: it is none */
    int operation_number;                 /* of it, in their table */
    const char *detail;             /* the sentence of the error log */
    const char *kid, *alg, *iss, *client; /* of a verified token only */
    const char *address;
    const char *line;               /* the client's request line, tokens masked */
} m2mgw_decision_t;

static inline int m2mgw_decision_passes(const m2mgw_decision_t *decision)
{
    return decision->code == M2_OK || decision->code == M2_BYPASS;
}

#endif /* M2MGW_DECISION_H */
