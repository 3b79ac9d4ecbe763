/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A document holds UTF-8 and whole numbers; names of sections, rules and clients may be
 * anything.
 */
#include "httpd/status/m2mgw_member.h"

#include <apr_strings.h>

void m2mgw_status_text(m2_json_t *json, apr_pool_t *pool, const char *name,
                       const char *text)
{
    char *ascii, *p;

    m2_json_set_string(json, name, text);
    if (!m2_json_get(json, name)) { /* no UTF-8 */
        ascii = apr_pstrdup(pool, text);
        for (p = ascii; *p; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
        m2_json_set_string(json, name, ascii);
    }
}

apr_int64_t m2mgw_status_int(const m2_json_t *json, const char *name)
{
    double value = 0;

    return m2_json_time(m2_json_get(json, name), &value) == M2_OK ? (apr_int64_t)value
                                                                  : 0;
}

const m2_reason_t *m2mgw_status_reason(const char *name)
{
    int i;

    for (i = 0; i < M2_CODES; i++) {
        if (m2_slice_is(m2_slice_z(name), m2_reason_of((m2_code_t)i)->reason)) {
            return m2_reason_of((m2_code_t)i);
        }
    }
    return NULL;
}

m2_json_t *m2mgw_status_by_reason(apr_uint64_t *ptotal, apr_pool_t *pool,
                                  const apr_uint64_t *counts, m2_code_t first, int zeros)
{
    m2_json_t *json = m2_json_make(pool);
    int i;

    *ptotal = 0;
    for (i = (int)first; i < M2_CODES; i++) {
        const char *reason = m2_reason_of((m2_code_t)i)->reason;

        *ptotal += counts[i];
        if (zeros || counts[i]) {
            m2_json_set_int(json, reason,
                            (apr_int64_t)counts[i] + m2mgw_status_int(json, reason));
        }
    }
    return json;
}
