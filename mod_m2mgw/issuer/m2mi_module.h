/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The record of the module, by which each of its files finds its configuration and its log, and
 * the headers of httpd.
 */
#ifndef M2MI_MODULE_H
#define M2MI_MODULE_H

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_auth.h>

extern module AP_MODULE_DECLARE_DATA m2m_issuer_module
    __attribute__((visibility("default")));

APLOG_USE_MODULE(m2m_issuer);

#endif /* M2MI_MODULE_H */
