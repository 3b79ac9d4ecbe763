/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The only static state of the lower floors: who listens. Lines are bounded, so that a long
 * key id or file name cannot turn a log line into a page.
 */
#include "base/m2_log.h"

#include <apr_strings.h>

#include <stdarg.h>

#define MAX_LINE 1024 /* bytes of one message */

static struct {
    m2_log_fn *fn;
    void *baton;
} host;

void m2_log_set(m2_log_fn *fn, void *baton)
{
    host.fn = fn;
    host.baton = baton;
}

void m2_log(m2_level_t level, const char *fmt, ...)
{
    char line[MAX_LINE];
    va_list args;

    if (!host.fn) {
        return;
    }
    va_start(args, fmt);
    apr_vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    host.fn(level, line, host.baton);
}
