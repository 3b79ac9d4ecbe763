/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * When a client's request is over: which of its decisions stands for the whole, and reporting it
 * to the counters, the list of recent refusals and the decision log.
 */
#ifndef M2MGW_RECORD_H
#define M2MGW_RECORD_H

#include "httpd/request/m2mgw_ctx.h"

/** Record the decision on a client's request, once. r is the initial request; redirects are
 *  followed. The request line must be the client's own, with tokens masked. */
void m2mgw_record(request_rec *r);

#endif /* M2MGW_RECORD_H */
