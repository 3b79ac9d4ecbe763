/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A list that is the answer to a query: a document of a source (m2_jwks_list_pulled). Each time
 * that it is due one process of all asks, in a thread of its own; no request asks, nor does the
 * thread that watches the sources wait.
 */
#ifndef M2_DBD_LIST_H
#define M2_DBD_LIST_H

#include "jwks/m2_fetch.h"
#include "wire/m2_dbd.h"

#define M2_DBD_LIST_WAIT 30 /* seconds until an answer comes too late */

typedef struct m2_dbd_list_t m2_dbd_list_t;

/**
 * In the parent. The text of the list is a row after the other: the second column, `-` where it
 * is null or missing, a tab, the first column, and a NUL.
 * @param pool as long as the configuration
 * @param host thread-safe, as long as pool
 * @param label what the query was prepared under, without arguments, of one or two columns
 * @param max bytes of the text; an answer that is larger is an error
 */
m2_dbd_list_t *m2_dbd_list_make(apr_pool_t *pool, const m2_dbd_host_t *host, const char *label,
                                apr_size_t max);

/** m2_puller_t: baton is the m2_dbd_list_t. A pull that finds no answer yet leaves its own
 *  empty, and has it asked for. */
m2_puller_fn m2_dbd_list_attach;
m2_pull_fn m2_dbd_list_pull;

#endif /* M2_DBD_LIST_H */
