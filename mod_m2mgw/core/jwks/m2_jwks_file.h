/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the room: sources that are files.
 */
#ifndef M2_JWKS_FILE_H
#define M2_JWKS_FILE_H

#include "jwks/m2_keysource_int.h"

/** Read a file for the first time, strictly. M2_E_CONFIG with the fault. */
m2_code_t m2_keysource_read(m2_keysource_t *source, m2_err_t *err);

/** Read it again if it changed: when two looks in a row find it the same, or at_once. A look
 *  that comes too soon after the last one does nothing. */
void m2_keysource_look(m2_keysource_t *source, apr_time_t now, int at_once);

/** Take the last good copy of the state directory, if it is newer than what the source has. */
void m2_keysource_recall(m2_keysource_t *source);

#endif /* M2_JWKS_FILE_H */
