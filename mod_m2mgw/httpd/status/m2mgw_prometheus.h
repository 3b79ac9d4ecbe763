/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document for Prometheus.
 */
#ifndef M2MGW_PROMETHEUS_H
#define M2MGW_PROMETHEUS_H

#include "httpd/config/m2mgw_conf.h"

/** Send the whole document, or one recent refusal (or the error in its place). */
void m2mgw_status_prometheus(request_rec *r, const m2_json_t *document);
void m2mgw_status_prometheus_one(request_rec *r, const m2_json_t *refusal);

#endif /* M2MGW_PROMETHEUS_H */
