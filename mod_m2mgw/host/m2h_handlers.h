/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * SetHandler m2m-... in the configuration.
 */
#ifndef M2H_HANDLERS_H
#define M2H_HANDLERS_H

#include "host/m2h.h"

/** Append to texts (of const char *, in its pool) a sentence for each SetHandler m2m-... that no
 *  loaded module serves: a name that there is not, or one of the other module. httpd takes any
 *  name, and whatever comes next answers. Once the whole configuration has been read. */
void m2h_handlers_unserved(apr_array_header_t *texts);

#endif /* M2H_HANDLERS_H */
