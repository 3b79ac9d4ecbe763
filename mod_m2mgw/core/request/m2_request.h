/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One request in plain values, filled in by the host: the gateway, or a command line. Queries,
 * forms, cookies and headers are read when they are first asked for.
 *
 * The room request decides what a request says and how it may be read, names, values,
 * bodies and paths alike. Never knows whether it may pass, nor which host it came from.
 */
#ifndef M2_REQUEST_H
#define M2_REQUEST_H

#include "request/m2_body.h"
#include "request/m2_pairs.h"

/** The urlencoded body, absent without one. M2_E_RULE_ERROR, or a body fault, where
 *  it is not known what a backend would find in it. */
typedef m2_code_t m2_request_form_fn(m2_slice_t *pform, void *baton);

/** What rules see of a body of that kind: the form, nothing where it holds none, or
 *  M2_E_RULE_ERROR where it is not empty and some backend may take it for a form. */
m2_code_t m2_request_form_of(m2_slice_t *pform, m2_slice_t body, m2_body_kind_t kind);

/* Zeroed, then filled. What is not known is NULL. */
typedef struct m2_request_t {
    apr_pool_t *pool;           /* of the request */
    apr_time_t time;            /* when it began */
    const char *method;
    const char *path;           /* decoded and normalised */
    const char *query;          /* raw */
    const char *host;           /* lower case, without port */
    const char *scheme;         /* HTTP or HTTPS */
    const char *ip, *id, *stage, *api;
    const apr_table_t *headers; /* repeated fields joined, as httpd does it */
    const apr_table_t *env;
    m2_request_form_fn *form;
    void *form_baton;

    /* made when something asks for it */
    m2_pairs_t *query_pairs, *form_pairs, *cookie_pairs, *header_pairs;
    int charset;                /* 0: not looked at, 1: plain, 2: not */
} m2_request_t;

/** What stands under a name in the query, in the body, in the Cookie header, and among the
 *  header fields. */
m2_reply_t m2_request_query(m2_request_t *request, const char *name);
m2_code_t m2_request_form(m2_reply_t *preply, m2_request_t *request, const char *name);
m2_reply_t m2_request_cookie(m2_request_t *request, const char *name);
m2_reply_t m2_request_header(m2_request_t *request, const char *name);

/** Whether names in query and body mean what their bytes say (m2_body_charset_is_plain). */
int m2_request_charset_is_plain(m2_request_t *request);

/** The index-th address of X-Forwarded-For, from the end where index is negative; NULL: there
 *  is none. */
const char *m2_request_xff(const m2_request_t *request, int index);

#endif /* M2_REQUEST_H */
