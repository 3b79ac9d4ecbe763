/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A file or program that lines are written to: at once, or, with mod_log_config's `BufferedLogs
 * On`, collected in each child for less than a second. A line is torn by a full disk only.
 */
#ifndef M2MGW_SINK_H
#define M2MGW_SINK_H

#include "httpd/m2mgw.h"

typedef struct m2mgw_sink_t m2mgw_sink_t;

/** Open a file name (relative to ServerRoot) or `|PROGRAM` as CustomLog does. NULL when that fails,
 *  which is logged with the name of the directive. Once for each target, in the parent, while
 *  logs are opened; children inherit it. */
m2mgw_sink_t *m2mgw_sink_open(apr_pool_t *pconf, server_rec *s, const char *directive,
                              const char *target);

/** Write a line, which ends with a newline. One write, or, where lines are buffered, a copy
 *  under a lock that is never held while anything is written. A line that cannot be written
 *  is lost; if a part of it was written, the next one, of whatever child, begins on a line of its
 *  own. Thread-safe. */
void m2mgw_sink_write(m2mgw_sink_t *sink, const char *line, apr_size_t n);

/** The longest line in bytes that a sink writes in one piece whatever other processes write. */
apr_size_t m2mgw_sink_most(const m2mgw_sink_t *sink);

void m2mgw_sink_register(void);

#endif /* M2MGW_SINK_H */
