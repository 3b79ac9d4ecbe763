/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `-D DUMP_M2M`: the policies as they are in force.
 */
#ifndef M2MGW_DUMP_H
#define M2MGW_DUMP_H

#include "httpd/m2mgw.h"

/** Print the effective policy of every section to standard output. */
void m2mgw_cfg_dump(apr_pool_t *pool, server_rec *s);

#endif /* M2MGW_DUMP_H */
