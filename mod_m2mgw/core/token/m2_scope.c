/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Scope claims. An empty text or array grants nothing, and is there.
 */
#include "token/m2_scope.h"

static const char *const usual[] = { "scope", "scp" };

static int count_of(const apr_array_header_t *paths)
{
    return paths ? paths->nelts : (int)(sizeof(usual) / sizeof(usual[0]));
}

static const char *path_at(const apr_array_header_t *paths, int i)
{
    return paths ? APR_ARRAY_IDX(paths, i, const char *) : usual[i];
}

int m2_scope_is(const apr_array_header_t *paths, const char *path)
{
    int i;

    for (i = 0; i < count_of(paths); i++) {
        if (m2_slice_is(m2_slice_z(path), path_at(paths, i))) {
            return 1;
        }
    }
    return 0;
}

int m2_scope_any(const apr_array_header_t *paths, const m2_json_t *claims)
{
    int i;

    for (i = 0; claims && i < count_of(paths); i++) {
        if (m2_json_path(claims, path_at(paths, i))) {
            return 1;
        }
    }
    return 0;
}

int m2_scope_has(const apr_array_header_t *paths, const m2_json_t *claims, m2_slice_t scope)
{
    int i;

    for (i = 0; claims && i < count_of(paths); i++) {
        if (m2_json_has(m2_json_path(claims, path_at(paths, i)), scope, 1)) {
            return 1;
        }
    }
    return 0;
}
