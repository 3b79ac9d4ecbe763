/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What marks in a table of a database are made by. The host prepares it, and the store runs
 * it.
 */
#ifndef M2_REPLAY_DBD_H
#define M2_REPLAY_DBD_H

#include "wire/m2_dbd.h"

/** A statement that the host has to prepare under label for a store in that table, from 0;
 *  0 behind the last. */
int m2_replay_dbd_statement(const char **plabel, const char **psql, apr_pool_t *pool,
                            const char *table, int i);

#endif /* M2_REPLAY_DBD_H */
