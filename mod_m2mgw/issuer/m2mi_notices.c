/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is legal and deserves a second look.
 */
#include "issuer/m2mi.h"

#include "host/m2h_dbd.h"
#include "host/m2h_handlers.h"

#include <stdio.h>

/* Whoever asks `httpd -t` has no log to look into, and its LogLevel is of no use yet. */
void m2mi_notice(server_rec *s, const char *text)
{
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        fprintf(stderr, "M2-701: %s\n", text);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE | APLOG_STARTUP, 0, s, "M2-701: %s", text);
    }
}

void m2mi_notices(apr_pool_t *pool, server_rec *first)
{
    apr_array_header_t *texts = apr_array_make(pool, 2, sizeof(const char *));
    int i;

    m2mi_watch_unreadable(texts, pool);
    if (m2h_dbd_notice()) {
        APR_ARRAY_PUSH(texts, const char *) = m2h_dbd_notice();
    }
    if (!ap_find_linked_module("mod_m2mgw.c")) { /* else that says it */
        m2h_handlers_unserved(texts);
    }
    for (i = 0; i < texts->nelts; i++) {
        m2mi_notice(first, APR_ARRAY_IDX(texts, i, const char *));
    }
}
