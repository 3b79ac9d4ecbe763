/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The directives of the module, for its record.
 */
#ifndef M2MGW_DIRECTIVES_H
#define M2MGW_DIRECTIVES_H

#include "httpd/m2mgw.h"

extern const command_rec m2mgw_config_commands[];

#endif /* M2MGW_DIRECTIVES_H */
