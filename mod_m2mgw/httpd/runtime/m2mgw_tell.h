/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How often the log is told one and the same thing.
 */
#ifndef M2MGW_TELL_H
#define M2MGW_TELL_H

#include "base/m2_err.h"

/** Whether this process may tell the log of code in section (a pointer that stands for it) now:
 *  once in ten seconds. Where very many are told at once some wait longer, none comes more
 *  often. Any thread, no lock. */
int m2mgw_may_tell(const void *section, m2_code_t code);

#endif /* M2MGW_TELL_H */
