/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The end of a child in which a thread of ours hangs: on a disk, a pipe, a database.
 */
#ifndef M2H_END_H
#define M2H_END_H

#include "host/m2h.h"

/** In child_init, before all other hooks, so that what it registers runs behind all other
 *  cleanups of pchild. If a thread was given up by then (m2_hold_give_up), the process ends
 *  there: none of its memory is freed, and none of its exit handlers runs. */
void m2h_end_watch(apr_pool_t *pchild);

#endif /* M2H_END_H */
