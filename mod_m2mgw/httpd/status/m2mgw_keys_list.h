/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key sources and the keys in use, as parts of the status document.
 */
#ifndef M2MGW_KEYS_LIST_H
#define M2MGW_KEYS_LIST_H

#include "httpd/config/m2mgw_section.h"

/** Add `sources` and `keys` to the document. Only what is public: the name of a key, never a
 *  part of it, and no query of a URL. */
void m2mgw_keys_list(m2_json_t *document, apr_pool_t *pool);

#endif /* M2MGW_KEYS_LIST_H */
