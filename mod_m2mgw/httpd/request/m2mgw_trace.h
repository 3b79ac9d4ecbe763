/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MTraceParent: the id of a trace, to the backend and to logs (W3C Trace Context).
 */
#ifndef M2MGW_TRACE_H
#define M2MGW_TRACE_H

#include "httpd/config/m2mgw_conf.h"

void m2mgw_trace_register(void);

#endif /* M2MGW_TRACE_H */
