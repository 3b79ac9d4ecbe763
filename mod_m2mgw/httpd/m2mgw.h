/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The module itself, and what every file of its httpd side includes of the server: the record
 * that httpd loads, and the log it writes to.
 *
 * The room httpd puts the core into httpd. Never judges.
 */
#ifndef M2MGW_H
#define M2MGW_H

#include "base/m2_err.h"

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

/* the one symbol the module exports */
extern module AP_MODULE_DECLARE_DATA m2mgw_module __attribute__((visibility("default")));

APLOG_USE_MODULE(m2mgw);

/** What httpd calls a level of the core's. */
static inline int m2mgw_level(m2_level_t level)
{
    static const int levels[] = { /* ORDER LEVEL */
        APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO, APLOG_DEBUG
    };

    _Static_assert(sizeof(levels) / sizeof(levels[0]) == M2_LOG_DEBUG + 1, "a row a level");
    return levels[level];
}

#endif /* M2MGW_H */
