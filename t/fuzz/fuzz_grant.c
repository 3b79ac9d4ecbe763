/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Grant files and wanted scopes. Input: a wanted scope up to the first newline, then a grant
 * file, asked for client "a". What is given names one audience and fits a token.
 */
#include "oauth/m2_grant.h"
#include "text/m2_lines.h"

#include <apr_general.h>

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    m2_slice_t file = m2_slice(size ? (const char *)data : "", size), wanted;
    m2_grants_t *grants;
    m2_scope_t scope;
    apr_pool_t *pool;
    m2_err_t err;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    grants = m2_grants_make(pool);
    if (m2_line_next(&file, &wanted)) {
        if (m2_grants_parse(grants, file, &err) != M2_OK && (!err.text || err.line < 1)) {
            abort();
        }
        if (m2_grants_resolve(&scope, pool, grants, "a", wanted, NULL, NULL) == M2_OK &&
            (!*scope.permissions || !m2_scope_word_ok(m2_slice_z(scope.audience)) ||
             strlen(scope.permissions) > M2_MAX_SCOPE_TEXT)) {
            abort();
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
