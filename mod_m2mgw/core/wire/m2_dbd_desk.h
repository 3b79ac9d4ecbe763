/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A database that requests ask. mod_dbd and its drivers have no deadline: a database that is
 * stopped, or a network that swallows what is sent, would hold whoever asks for ever. So others
 * ask: a few threads of the process, made when they are needed. A request hands over what it wants
 * to know and waits until its deadline; what comes later is dropped.
 */
#ifndef M2_DBD_DESK_H
#define M2_DBD_DESK_H

#include "wire/m2_dbd.h"

#define M2_DBD_WAIT 5000   /* milliseconds that a request waits at most; 1000 while others hang */
#define M2_DBD_THREADS 16  /* of a process that ask at the same time */
#define M2_DBD_ARGS 4      /* arguments of a statement at most */

/** In each process of its own, before requests come; pool is that of the process. Until then
 *  callers ask by themselves. Thread-safe from then on. */
void m2_dbd_desk_open(apr_pool_t *pool);

/** As m2_dbd_change, within M2_DBD_WAIT. A change that was not answered in time may be made
 *  nevertheless. */
int m2_dbd_desk_change(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                       char *why);

/** As m2_dbd_read, within msec; row is called in the thread of the caller. */
int m2_dbd_desk_read(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                     int columns, int optional, m2_dbd_row_fn *row, void *baton, int msec,
                     char *why);

#endif /* M2_DBD_DESK_H */
