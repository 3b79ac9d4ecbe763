/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Opened once the configuration is complete, so that every limit has its row before a child
 * is forked. What the status page says of limits is put together here.
 */
#include "httpd/runtime/m2mgw_limit_store.h"

#include "httpd/config/m2mgw_section.h"
#include "httpd/status/m2mgw_status.h"

static m2_limit_store_t *store; /* NULL: no section has limits; set before children start */

const m2_limit_use_t *m2mgw_limit_store_take(apr_array_header_t *uses)
{
    return m2_limit_store_take(store, uses);
}

/* --- the status page --- */

typedef struct listing_t {
    m2_json_t *list;
    apr_pool_t *pool;
    const m2_lt_stats_t *stats;
    char *seen; /* by row */
} listing_t;

static void add_row(listing_t *listing, const m2_limit_t *limit, const char *name, int row)
{
    const m2_lt_stats_t *stats = &listing->stats[row];
    m2_json_t *json;

    if (listing->seen[row]) {
        return; /* one name, one bucket, wherever it is stated */
    }
    listing->seen[row] = 1;
    json = m2_json_make(listing->pool);
    m2_json_set_string(json, "name", name);
    if (*limit->scope) {
        m2mgw_status_text(json, listing->pool, "section", limit->scope);
    }
    m2_json_set_int(json, "passed", (apr_int64_t)stats->passed);
    m2_json_set_int(json, "refused", (apr_int64_t)stats->refused);
    m2_json_set_int(json, "keys", (apr_int64_t)stats->keys);
    m2_json_set_int(json, "overflow", (apr_int64_t)stats->overflow);
    m2_json_append(listing->list, json);
}

static void add_status(m2_json_t *document, apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    listing_t listing = { m2_json_make_array(pool), pool, NULL, NULL };
    int i, k;

    if (store) {
        listing.stats = m2_limit_store_stats(pool, store);
        listing.seen = apr_pcalloc(pool, M2_LIMIT_ROWS);
        m2_json_set_int(document, "limit_slots_used",
                        (apr_int64_t)m2_limit_store_used(store));
        m2_json_set_int(document, "limit_slots", m2mgw_globals()->limit_store.entries);
    }
    for (i = 0; store && i < sections->nelts; i++) {
        const m2_limits_t *limits = APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->limits;

        for (k = 0; limits && k < limits->list->nelts; k++) {
            const m2_limit_t *limit = APR_ARRAY_IDX(limits->list, k, m2_limit_t *);

            add_row(&listing, limit, limit->name, limit->row);
            if (limit->special_name) {
                add_row(&listing, limit, limit->special_name, limit->special_row);
            }
        }
    }
    m2_json_set_json(document, "limits", listing.list);
}

/* --- hooks --- */

static int has_limits(const apr_array_header_t *sections)
{
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (section->limits && section->limits->list->nelts) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t open_store(apr_pool_t *pconf, server_rec *s, m2_err_t *err)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2_code_t code = m2_limit_store_open(&store, pconf, s->process->pool,
                                         &m2mgw_globals()->limit_store, err);
    int i;

    for (i = 0; code == M2_OK && i < sections->nelts; i++) {
        const m2_limits_t *limits = APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->limits;

        code = limits ? m2_limit_store_rows(store, limits, err) : M2_OK;
    }
    return code;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    m2_err_t err;

    (void)plog;
    store = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !has_limits(m2mgw_cfg_sections())) {
        return OK;
    }
    m2_err_init(&err, ptemp);
    if (open_store(pconf, s, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-305: M2MLimitStore: %s",
                     err.text ? err.text : "cannot be opened");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

void m2mgw_limit_store_register(void)
{
    m2mgw_status_add(add_status);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
