/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a token grants. Providers write scopes as a text of blank-separated words or as an
 * array, under `scope` (RFC 8693 4.2) or `scp`; the union of all that are there counts.
 */
#ifndef M2_SCOPE_H
#define M2_SCOPE_H

#include "text/m2_json.h"

/** Whether the claim of that path is a scope claim. paths are those of M2MScopeClaim (const
 *  char *); NULL: `scope` and `scp`. */
int m2_scope_is(const apr_array_header_t *paths, const char *path);

/** Whether a token with these claims (NULL: none) has any scope claim at all. */
int m2_scope_any(const apr_array_header_t *paths, const m2_json_t *claims);

/** Whether it grants scope. */
int m2_scope_has(const apr_array_header_t *paths, const m2_json_t *claims, m2_slice_t scope);

#endif /* M2_SCOPE_H */
