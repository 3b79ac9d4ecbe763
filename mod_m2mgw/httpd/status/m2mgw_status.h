/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * SetHandler m2m-status: the status document for people, as JSON, for Prometheus.
 */
#ifndef M2MGW_STATUS_H
#define M2MGW_STATUS_H

void m2mgw_status_register(void);

#endif /* M2MGW_STATUS_H */
