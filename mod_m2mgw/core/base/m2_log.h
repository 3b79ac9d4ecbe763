/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Logging without a server inside: the host of the core sets one callback. Used only where a
 * core function has to report something that is not its caller's error (a skipped key, a source
 * that stays down). Never called with a token or key text.
 */
#ifndef M2_LOG_H
#define M2_LOG_H

#include "base/m2_err.h"

typedef void m2_log_fn(m2_level_t level, const char *text, void *baton);

/** Set the callback of this process; silent until set. Call once, before threads start. */
void m2_log_set(m2_log_fn *fn, void *baton);

void m2_log(m2_level_t level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* M2_LOG_H */
