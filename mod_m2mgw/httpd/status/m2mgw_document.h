/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document: what is known of sections, rules, keys and machinery, of all child
 * processes together. Never a token, a key or a secret; of what clients sent only the detail of
 * recent refusals, which the code that shows it has to escape.
 *
 * The room status shows people and machines what the other rooms counted. Never changes
 * anything.
 */
#ifndef M2MGW_DOCUMENT_H
#define M2MGW_DOCUMENT_H

#include "httpd/config/m2mgw_section.h"

/** The whole document, in pool. */
m2_json_t *m2mgw_document(apr_pool_t *pool);

/** The recent refusal with that id as a document of its own, or NULL. */
m2_json_t *m2mgw_document_of(apr_pool_t *pool, const char *id);

#endif /* M2MGW_DOCUMENT_H */
