/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A build without libcurl: nothing is fetched, and configuration that asks for it is told.
 */
#include "jwks/m2_fetch.h"

int m2_fetch_available(void)
{
    return 0;
}

int m2_fetch_init(void)
{
    return 1;
}

void m2_fetch_exit(void)
{
}

m2_fetch_t *m2_fetch_open(apr_pool_t *pool, const m2_fetch_tls_t *tls)
{
    (void)pool;
    (void)tls;
    return NULL;
}

int m2_fetch_start(m2_fetch_t *fetch, const char *url, const char *etag, int timeout,
                   apr_size_t max, m2_fetched_fn *fn, void *baton)
{
    (void)fetch;
    (void)url;
    (void)etag;
    (void)timeout;
    (void)max;
    (void)fn;
    (void)baton;
    return 0;
}

int m2_fetch_run(m2_fetch_t *fetch, apr_interval_time_t wait)
{
    (void)fetch;
    (void)wait;
    return 0;
}

void m2_fetch_close(m2_fetch_t *fetch)
{
    (void)fetch;
}
