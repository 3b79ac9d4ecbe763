/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Copies of key files as the parent last read them, kept over restarts. A restart by signal must
 * not end a running server because a key file is half written at that moment: it goes on with
 * what it had. `httpd -t` and a start have no copies and refuse.
 */
#ifndef M2MGW_KEPT_H
#define M2MGW_KEPT_H

#include "httpd/m2mgw.h"

#include "base/m2_slice.h"

/** Whether a running server reads its configuration anew, because of a signal. */
int m2mgw_kept_restarts(void);

/** Keep a copy of a file that was read and found good. */
void m2mgw_kept_put(const char *path, m2_slice_t text);

/** The copy, which lives as long as nothing else is put for path, and when it was put; a slice
 *  without bytes when there is none. */
m2_slice_t m2mgw_kept_get(apr_time_t *psince, const char *path);

#endif /* M2MGW_KEPT_H */
