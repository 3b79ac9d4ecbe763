/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is taken out of a client's request before anything reads it.
 */
#ifndef M2MGW_CLIENT_H
#define M2MGW_CLIENT_H

#include "httpd/request/m2mgw_ctx.h"

/** post_read_request, before mod_headers: removes header fields that no client may send, and the
 *  options of Connection that would remove other fields. What the configuration sets comes later
 *  and stays. */
void m2mgw_client_clean(request_rec *r);

#endif /* M2MGW_CLIENT_H */
