/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_dbd makes its connections in child_init, and so the hook runs behind its own.
 */
#include "httpd/config/m2mgw_dbd.h"

#include "host/m2h_dbd.h"

static int ready; /* of this process */

static apr_status_t end(void *baton)
{
    (void)baton;
    __atomic_store_n(&ready, 0, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    (void)s;
    m2h_dbd_child(pchild);
    apr_pool_pre_cleanup_register(pchild, NULL, end);
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
}

int m2mgw_dbd_is_ready(void)
{
    return __atomic_load_n(&ready, __ATOMIC_ACQUIRE);
}

void m2mgw_dbd_register(void)
{
    static const char *const after[] = { "mod_dbd.c", NULL };

    ap_hook_child_init(hook_child_init, after, NULL, APR_HOOK_REALLY_LAST);
}
