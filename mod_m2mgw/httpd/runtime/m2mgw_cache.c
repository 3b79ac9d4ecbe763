/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The verified-token cache of each child process: made before the process has threads, gone
 * with it.
 */
#include "httpd/runtime/m2mgw_cache.h"
#include "httpd/config/m2mgw_section.h"
#include "httpd/status/m2mgw_status.h"

#include "gate/m2_cache.h"

static m2_cache_t *cache;

m2_cache_t *m2mgw_cache(void)
{
    return cache;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    const int entries = m2mgw_globals()->verify_cache;

    cache = entries > 0 ? m2_cache_make(pchild, (apr_size_t)entries) : NULL;
    if (entries > 0 && !cache) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "M2-304: no memory for the verified-token cache; every token is "
                     "verified anew");
    }
}

/* Hits and misses of all processes, entries of the one that answers. */
static void add_status(m2_json_t *document, apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    m2_cache_stats_t stats;

    memset(&stats, 0, sizeof(stats));
    if (cache) {
        m2_cache_stats(&stats, cache);
    }
    m2mgw_status_cache_counts(json);
    m2_json_set_int(json, "slots_per_process", (apr_int64_t)stats.slots);
    m2_json_set_int(json, "entries_in_this_process", (apr_int64_t)stats.entries);
    m2_json_set_int(json, "bytes_in_this_process", (apr_int64_t)stats.bytes);
    m2_json_set_json(document, "cache", json);
}

void m2mgw_cache_register(void)
{
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    m2mgw_status_add(add_status);
}
