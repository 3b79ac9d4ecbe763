/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What all readers of a document do: look a name up, note what an operator should know.
 */
#include "operation/m2_openapi_int.h"

#include <stdarg.h>

const m2_node_t *m2_apidoc_get(const m2_node_t *map, const char *name)
{
    int i;

    for (i = 0; map && map->type == M2_NODE_MAP && i < m2_node_count(map); i++) {
        if (m2_slice_is(m2_slice_z(m2_node_name_at(map, i)->text), name)) {
            return m2_node_value_at(map, i);
        }
    }
    return NULL;
}

void m2_apidoc_note(m2_apidoc_t *doc, const m2_node_t *node, const char *fmt, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, fmt);
    text = apr_pvsprintf(doc->pool, fmt, ap);
    va_end(ap);
    APR_ARRAY_PUSH(doc->api->notices, const char *) =
        apr_psprintf(doc->pool, "%d:%d: %s", node->line, node->column, text);
}
