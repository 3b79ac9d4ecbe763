/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Operations as sections of httpd.
 */
#ifndef M2MCTL_LOCATIONS_H
#define M2MCTL_LOCATIONS_H

#include "operation/m2_operation.h"

/** Print sections on standard output that let pass what a finished table lets pass. base is where
 *  the API lives; what is made lives in pool. */
void m2mctl_locations(apr_pool_t *pool, const m2_operations_t *table, const char *base);

#endif /* M2MCTL_LOCATIONS_H */
