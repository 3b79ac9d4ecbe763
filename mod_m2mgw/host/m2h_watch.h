/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A thread of mod_watchdog's in every child, ten times a second.
 */
#ifndef M2H_WATCH_H
#define M2H_WATCH_H

#include "host/m2h.h"

/* What the thread does; static, for it may outlive every pool of a child. */
typedef struct m2h_watch_t {
    const char *name;             /* unique in httpd */
    void (*tick)(apr_time_t now); /* what it uses lives as long as the process */
    void (*end)(void);            /* when a child that began ends; NULL: nothing to do */
    int ticking;                  /* between begin and end; changes under busy */
    int busy;
} m2h_watch_t;

/** In post_config: APR_ENOTIMPL where mod_watchdog is not loaded. */
apr_status_t m2h_watch_join(m2h_watch_t *watch, apr_pool_t *pconf);

/** In child_init, when all is made that ticks use; it ends with pchild. */
void m2h_watch_begin(m2h_watch_t *watch, apr_pool_t *pchild);

#endif /* M2H_WATCH_H */
