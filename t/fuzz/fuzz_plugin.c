/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any bytes as either kind of gateway script. What is accepted is whole, what is refused
 * says why and where.
 */
#include "plugin/m2_plugin.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

static void check(m2_code_t code, const m2_err_t *err, const void *result)
{
    insist(code == M2_OK || code == M2_E_CONFIG);
    insist(!code == !!result);
    insist(!code == !err->text);
    insist(!code || (err->line > 0 && err->column > 0));
}

static void read_jwt(apr_pool_t *pool, m2_slice_t text)
{
    m2_plugin_jwt_t *plugin;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = m2_plugin_jwt(&plugin, pool, text, "fuzz", &err);
    check(code, &err, plugin);
    insist(code || (plugin->tokens->nelts == 1 && plugin->keys->keys->nelts > 0));
}

static void read_access(apr_pool_t *pool, m2_slice_t text)
{
    const m2_path_template_t *path;
    m2_rules_t *rules;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    insist(m2_path_compile(&path, pool, "/{userId}/*", &err) == M2_OK);
    code = m2_plugin_access(&rules, pool, text, path, &err);
    check(code, &err, rules);
    insist(code || rules->rules->nelts > 0);
}

static void read_traffic(apr_pool_t *pool, m2_slice_t text)
{
    m2_limits_t *limits;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = m2_plugin_traffic(&limits, pool, text, "fuzz", "", &err);
    check(code, &err, limits);
    insist(code || limits->list->nelts > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    m2_slice_t text = m2_slice((const char *)data, size);
    apr_pool_t *pool;

    if (size > M2_MAX_PLUGIN_BYTES) {
        return 0; /* refused as a whole, without a place */
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    read_jwt(pool, text);
    read_access(pool, text);
    read_traffic(pool, text);
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
