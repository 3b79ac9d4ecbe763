/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the status document says of the token server, from the counters of the other module.
 */
#include "httpd/status/m2mgw_figures_list.h"

#include "httpd/status/m2mgw_member.h"

#include "oauth/m2_figures.h"

#include <http_main.h>

static void put(m2_json_t *json, const char *name, apr_uint64_t value)
{
    m2_json_set_int(json, name, (apr_int64_t)value);
}

/* several codes may share a reason */
static void put_more(m2_json_t *json, const char *name, apr_uint64_t value)
{
    put(json, name, value + (apr_uint64_t)m2mgw_status_int(json, name));
}

static m2_json_t *keys(apr_pool_t *pool)
{
    APR_OPTIONAL_FN_TYPE(m2m_issuer_key) *ask = APR_RETRIEVE_OPTIONAL_FN(m2m_issuer_key);
    m2_json_t *list = m2_json_make_array(pool);
    const char *kid, *alg, *origin;
    int i, signs;

    for (i = 0; ask && ask(ap_server_conf, i, &kid, &alg, &origin, &signs); i++) {
        m2_json_t *json = m2_json_make(pool);

        m2mgw_status_text(json, pool, "kid", kid ? kid : "");
        m2_json_set_string(json, "alg", alg);
        m2mgw_status_text(json, pool, "source", origin ? origin : "");
        m2_json_set_bool(json, "signs", signs);
        m2_json_set_string(json, "state", kid ? "ok" : "unavailable");
        m2_json_append(list, json);
    }
    return list;
}

void m2mgw_issuer_figures(m2_json_t *document, apr_pool_t *pool)
{
    APR_OPTIONAL_FN_TYPE(m2m_issuer_count) *ask = APR_RETRIEVE_OPTIONAL_FN(m2m_issuer_count);
    m2_json_t *json = m2_json_make(pool), *refused = m2_json_make(pool);
    const m2_json_t *list = keys(pool);
    apr_uint64_t count, sum = 0;
    const char *name;
    int i;

    for (i = 0; ask && ask(i, &name, &count); i++) {
        sum += count;
        if (name) {
            put_more(refused, name, count);
        }
        else {
            put(json, "tokens", count);
        }
    }
    if (!sum && !m2_json_length(list)) {
        return;
    }
    m2_json_set_json(json, "refused", refused);
    m2_json_set_json(json, "keys", list);
    m2_json_set_json(document, "issuer", json);
}
