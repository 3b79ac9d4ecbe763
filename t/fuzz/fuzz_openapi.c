/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any bytes as an OpenAPI document. What is refused says why and where; of what is accepted
 * every template is found again by a path that is made from it.
 */
#include "operation/m2_openapi.h"

#include <apr_general.h>
#include <apr_strings.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 262144 /* of an input: larger ones only take longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

/* a path of the template: variables and the rest are x; NULL where literals are encoded */
static const char *path_of(apr_pool_t *pool, const char *base, const char *template)
{
    char *path = apr_pstrcat(pool, base, template, NULL), *to = path;
    const char *from = path;

    for (; *from; from++) {
        if (*from == '%') {
            return NULL;
        }
        *to++ = *from;
        if (*from == '{') {
            to[-1] = 'x';
            from = strchr(from, '}');
            insist(from != NULL);
        }
        else if (*from == '*' && !from[1]) {
            to[-1] = 'x';
        }
    }
    *to = '\0';
    return path;
}

static void look_up(const m2_operations_t *table, const m2_openapi_t *api, apr_pool_t *pool)
{
    m2_operation_match_t match;
    int i;

    for (i = 0; i < m2_operations_count(table); i++) {
        const m2_operation_t *operation = m2_operations_at(table, i);
        const char *path = path_of(pool, api->base, operation->path);

        insist(operation->number == i && operation->name && operation->method);
        if (path) {
            const m2_slice_t text = { path, strlen(path) };

            insist(m2_operations_find(&match, table, operation->method, text)
                   != M2_E_OPERATION_UNKNOWN);
            insist(match.place != NULL && match.n <= M2_MAX_OPERATION_VARIABLES);
            m2_operations_allow(pool, &match);
        }
    }
}

static void read_document(apr_pool_t *pool, m2_slice_t text)
{
    static const m2_openapi_options_t options = { NULL, NULL };
    m2_operations_t *table = m2_operations_make(pool);
    m2_openapi_t *api = NULL;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = m2_openapi_read(&api, table, pool, pool, text, &options, &err);
    insist(code == M2_OK || code == M2_E_CONFIG);
    insist(!code == !err.text);
    if (code == M2_OK) {
        m2_operations_finish(table, api->notices);
        look_up(table, api, pool);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool;

    if (size > MAX_BYTES) {
        return 0;
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    read_document(pool, m2_slice((const char *)data, size));
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
