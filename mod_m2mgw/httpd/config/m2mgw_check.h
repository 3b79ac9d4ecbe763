/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The hooks of configuration: before it is read, once it has been read, and when the server
 * starts with it.
 */
#ifndef M2MGW_CHECK_H
#define M2MGW_CHECK_H

#include "httpd/m2mgw.h"

/** pre_config hook: forget what an earlier reading of the configuration collected. */
int m2mgw_config_pre(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);

/** check_config hook: contradictions of whole sections, as errors that stop `httpd -t`;
 *  with -D DUMP_M2M prints the effective policy of every section. */
int m2mgw_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/** post_config hook: logs once the legal settings that deserve a second look, and sends what the
 *  core logs from now on to the server's log. */
int m2mgw_config_post(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

#endif /* M2MGW_CHECK_H */
