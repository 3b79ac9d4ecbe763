/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Path templates of M2MPath: `/users/{userId}/` + `*`, where `{x}` is one segment and a
 * final `*` the rest. Compiled while configuration is read, const afterwards.
 */
#ifndef M2_PATH_H
#define M2_PATH_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef struct m2_path_template_t m2_path_template_t;

/** Compile a template into pool. M2_E_CONFIG with a sentence: what is wrong with it. */
m2_code_t m2_path_compile(const m2_path_template_t **ppath, apr_pool_t *pool,
                          const char *text, m2_err_t *err);

/** The segment of uri_path (decoded, may be NULL) that {name} stands for, as a slice of it;
 *  absent on a mismatch. M2_E_RULE_ERROR for a path that would fit but for a slash at
 *  the end, of it or of the template: backends that do not count it see the value which rules
 *  would not. */
m2_code_t m2_path_value(m2_slice_t *pvalue, const m2_path_template_t *path,
                        const char *uri_path, const char *name);

/** Whether a path that fits the template can be prefix, which begins with a slash, or lie below
 *  it, as httpd reckons for a <Location>. */
int m2_path_may_lie_below(const m2_path_template_t *path, const char *prefix);

/** The template as written. */
const char *m2_path_text(const m2_path_template_t *path);

/** Whether the template has a placeholder {name}. */
int m2_path_has(const m2_path_template_t *path, const char *name);

#endif /* M2_PATH_H */
