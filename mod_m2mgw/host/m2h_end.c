/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * When a child ends, httpd destroys its pool and calls exit(), which runs the handlers of
 * libraries. It ends no thread of a module, those of mod_watchdog included. Our threads are
 * waited for in cleanups that come before all others. Behind all of them, when logs are
 * flushed and connections closed, and before memory goes, is the last place where a process
 * with a thread that hangs can end well.
 */
#include "host/m2h_end.h"

#include "base/m2_hold.h"
#include "base/m2_log.h"

#include <unistd.h>

static apr_status_t end(void *data)
{
    (void)data;
    if (m2_hold_given_up()) {
        m2_log(M2_LOG_NOTICE, "a thread hangs: this process ends without it");
        _exit(0);
    }
    return APR_SUCCESS;
}

void m2h_end_watch(apr_pool_t *pchild)
{
    apr_pool_cleanup_register(pchild, NULL, end, apr_pool_cleanup_null);
}
