/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_dbd, as the core wants to see a database.
 */
#ifndef M2H_DBD_H
#define M2H_DBD_H

#include "host/m2h.h"

#include "wire/m2_dbd_desk.h"

/** NULL, or what is missing for a directive: mod_dbd, or a DBDriver in its server or in the
 *  main one. */
const char *m2h_dbd_missing(cmd_parms *cmd);

/** The database of a server's DBD directives, in pool. */
const m2_dbd_host_t *m2h_dbd_host(apr_pool_t *pool, server_rec *s);

/** child_init: threads that ask for requests, where statements were prepared. */
void m2h_dbd_child(apr_pool_t *pchild);

/** Have a statement prepared under label on every connection; before mod_dbd's post_config.
 *  0 when mod_dbd is not loaded. */
int m2h_dbd_prepare(server_rec *s, const char *label, const char *sql);

/** What an operator should know where statements of this module are prepared for PostgreSQL, and
 *  a DBDParams has no connect_timeout; else NULL. */
const char *m2h_dbd_notice(void);

#endif /* M2H_DBD_H */
