/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * When a child may ask a database of mod_dbd's.
 */
#ifndef M2MGW_DBD_H
#define M2MGW_DBD_H

#include "httpd/m2mgw.h"

/** Whether the database may be asked in this process: not before mod_dbd's child_init is over. */
int m2mgw_dbd_is_ready(void);

void m2mgw_dbd_register(void);

#endif /* M2MGW_DBD_H */
