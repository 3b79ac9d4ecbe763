/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The verified-token cache of each child process: made before the process has threads, gone
 * with it.
 */
#include "httpd/runtime/m2mgw_cache.h"
#include "httpd/config/m2mgw_section.h"
#include "httpd/config/m2mgw_section.h"

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

void m2mgw_cache_register(void)
{
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
