/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the status document says of limits: a row for each name, wherever it is stated.
 */
#include "httpd/status/m2mgw_limits_list.h"

#include "httpd/config/m2mgw_section.h"
#include "httpd/runtime/m2mgw_limit_store.h"
#include "httpd/status/m2mgw_member.h"

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

/* How requests were answered where several servers share the buckets. */
static void add_remote(m2_json_t *document, apr_pool_t *pool, const m2_limit_store_t *store)
{
    m2_limit_remote_t remote;
    m2_json_t *json = m2_json_make(pool);

    if (!m2_limit_store_remote(&remote, store)) {
        return;
    }
    m2_json_set_string(json, "store", remote.name);
    m2_json_set_string(json, "state", remote.down ? "down" : "up");
    m2_json_set_int(json, "asked", (apr_int64_t)remote.asked);
    m2_json_set_int(json, "held", (apr_int64_t)remote.held);
    m2_json_set_int(json, "local", (apr_int64_t)remote.local);
    m2_json_set_int(json, "failed", (apr_int64_t)remote.failed);
    m2_json_set_json(document, "limit_store", json);
}

void m2mgw_limits_list(m2_json_t *document, apr_pool_t *pool)
{
    const m2_limit_store_t *store = m2mgw_limit_store();
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    listing_t listing = { m2_json_make_array(pool), pool, NULL, NULL };
    int i, k;

    if (store) {
        listing.stats = m2_limit_store_stats(pool, store);
        listing.seen = apr_pcalloc(pool, M2_LIMIT_ROWS);
        m2_json_set_int(document, "limit_slots_used",
                        (apr_int64_t)m2_limit_store_used(store));
        m2_json_set_int(document, "limit_slots", m2mgw_globals()->limit_store.entries);
        add_remote(document, pool, store);
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
