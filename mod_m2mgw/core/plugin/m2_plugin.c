/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which kind of document a file holds.
 */
#include "plugin/m2_plugin.h"

#include "plugin/m2_yaml.h"

m2_code_t m2_plugin_kind(m2_plugin_kind_t *pkind, apr_pool_t *pool, m2_slice_t text,
                         m2_err_t *err)
{
    static const struct {
        const char *name;
        m2_plugin_kind_t kind;
    } names[] = {
        { "kty", M2_PLUGIN_KEYS },      { "keys", M2_PLUGIN_KEYS },
        { "rules", M2_PLUGIN_ACCESS },  { "parameters", M2_PLUGIN_ACCESS },
        { "parameter", M2_PLUGIN_JWT }, { "jwk", M2_PLUGIN_JWT },
        { "jwks", M2_PLUGIN_JWT },      { "claimParameters", M2_PLUGIN_JWT },
        { "unit", M2_PLUGIN_TRAFFIC },  { "apiDefault", M2_PLUGIN_TRAFFIC },
    };
    const m2_node_t *root;
    m2_code_t code = m2_node_read(&root, pool, text, err);
    apr_size_t i;
    int j;

    *pkind = M2_PLUGIN_UNKNOWN;
    for (i = 0; !code && root->type == M2_NODE_MAP && i < sizeof(names) / sizeof(names[0]); i++) {
        for (j = 0; j < m2_node_count(root); j++) {
            if (m2_slice_is(m2_slice_z(m2_node_name_at(root, j)->text), names[i].name)) {
                *pkind = names[i].kind;
                return M2_OK;
            }
        }
    }
    return code;
}
