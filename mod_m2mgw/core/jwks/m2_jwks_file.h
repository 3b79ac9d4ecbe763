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

/** Use the last good copy in place of the file, which cannot be used, and this is why. Without
 *  such a copy its keys are unavailable. */
void m2_keysource_keep(m2_keysource_t *source, const char *why);

/** Once memory is there: a copy that is kept is told of. */
void m2_keysource_show_kept(m2_keysource_t *source);

/** Look whether it changed, and read it when it can be believed (m2_file_watch). A look that
 *  comes too soon after the last one does nothing, unless at_once. */
void m2_keysource_look(m2_keysource_t *source, apr_time_t now, int at_once);

/** Take the last good copy, if it is another than the source has. */
void m2_keysource_recall(m2_keysource_t *source);

#endif /* M2_JWKS_FILE_H */
