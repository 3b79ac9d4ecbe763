/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document: what is known of sections, rules, keys and machinery, of all child
 * processes together. Never a token, a key or a secret; of what clients sent only the detail of
 * recent refusals, which whoever shows it has to escape.
 */
#ifndef M2MGW_DOCUMENT_H
#define M2MGW_DOCUMENT_H

#include "httpd/config/m2mgw_section.h"

/** The whole document, in pool. */
m2_json_t *m2mgw_document(apr_pool_t *pool);

/** The recent refusal with that id as a document of its own, or NULL. */
m2_json_t *m2mgw_document_of(apr_pool_t *pool, const char *id);

/** Set a member to text that somebody else wrote; what is no UTF-8 in it is masked. */
void m2mgw_status_text(m2_json_t *json, apr_pool_t *pool, const char *name,
                       const char *text);

/** A whole number of the document; 0 when there is none. */
apr_int64_t m2mgw_status_int(const m2_json_t *json, const char *name);

/** The row of a reason by its name; NULL: no request can end with it. */
const m2_reason_t *m2mgw_status_reason(const char *name);

#endif /* M2MGW_DOCUMENT_H */
