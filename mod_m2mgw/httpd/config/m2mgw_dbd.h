/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_dbd, as the core wants to see a database.
 */
#ifndef M2MGW_DBD_H
#define M2MGW_DBD_H

#include "httpd/m2mgw.h"

#include "wire/m2_dbd_desk.h"

/** The database of a server's DBD directives, in pool. */
const m2_dbd_host_t *m2mgw_dbd_host(apr_pool_t *pool, server_rec *s);

/** Have a statement prepared under label on every connection; before mod_dbd's post_config.
 *  0 when mod_dbd is not loaded. */
int m2mgw_dbd_prepare(server_rec *s, const char *label, const char *sql);

/** Whether the database may be asked in this process: not before mod_dbd's child_init is over. */
int m2mgw_dbd_is_ready(void);

/** Whether statements are prepared for PostgreSQL, and a DBDParams has no connect_timeout. */
int m2mgw_dbd_hangs(void);

void m2mgw_dbd_register(void);

#endif /* M2MGW_DBD_H */
