/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MFileModes, which counts for files that are named in front of it, too.
 */
#ifndef M2H_MODES_H
#define M2H_MODES_H

/** Have files judged, or not, as the server config says; in pre_config. */
void m2h_modes_look_ahead(void);

#endif /* M2H_MODES_H */
