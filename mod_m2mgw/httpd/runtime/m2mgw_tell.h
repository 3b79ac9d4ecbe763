/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How often the same message is logged.
 */
#ifndef M2MGW_TELL_H
#define M2MGW_TELL_H

#include "base/m2_err.h"

/** Whether this process may log code for section (a pointer that identifies it) now: once in ten
 *  seconds. If very many are logged at once some wait longer, but none comes more often. Any
 *  thread, no lock. */
int m2mgw_may_tell(const void *section, m2_code_t code);

#endif /* M2MGW_TELL_H */
