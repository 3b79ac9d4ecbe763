/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the status document says of operations: those that were met and are told apart, in the
 * order of their documents, and one row for all others.
 */
#include "httpd/status/m2mgw_operations_list.h"

#include "httpd/config/m2mgw_section.h"
#include "httpd/runtime/m2mgw_operation_counts.h"
#include "httpd/status/m2mgw_member.h"

#include "operation/m2_operation.h"

#define OTHERS "(other)"

static void add_row(m2_json_t *list, apr_pool_t *pool, const char *name, const char *section,
                    const m2mgw_reasons_t *counts)
{
    m2_json_t *json = m2_json_make(pool), *reasons;
    apr_uint64_t all, shadow;

    reasons = m2mgw_status_by_reason(&all, pool, counts->all, M2_E_TOKEN_MISSING, 0);
    m2mgw_status_by_reason(&shadow, pool, counts->shadow, M2_E_TOKEN_MISSING, 0);
    m2mgw_status_text(json, pool, "operation", name);
    m2mgw_status_text(json, pool, "section", section);
    m2_json_set_int(json, "passed",
                    (apr_int64_t)(counts->all[M2_OK] + counts->all[M2_BYPASS]));
    m2_json_set_int(json, "refused", all > shadow ? (apr_int64_t)(all - shadow) : 0);
    m2_json_set_int(json, "shadow_denials", (apr_int64_t)shadow);
    m2_json_set_json(json, "reasons", reasons);
    if (counts->last_refusal) {
        m2_json_set_int(json, "last_refusal", apr_time_sec(counts->last_refusal));
    }
    m2_json_append(list, json);
}

static int is_empty(const m2mgw_reasons_t *counts)
{
    int i;

    for (i = 0; i < M2_CODES; i++) {
        if (counts->all[i]) {
            return 0;
        }
    }
    return 1;
}

static void add_section(m2_json_t *list, apr_pool_t *pool, const m2mgw_section_t *section)
{
    const m2mgw_operations_t *operations = section->operations;
    m2mgw_reasons_t counts;
    int i;

    for (i = 0; operations && i < m2_operations_count(operations->table); i++) {
        if (m2mgw_counted_operation(&counts, operations, i)) {
            add_row(list, pool, m2_operations_at(operations->table, i)->name,
                    section->name ? section->name : "", &counts);
        }
    }
}

void m2mgw_operations_list(m2_json_t *document, apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2_json_t *list = m2_json_make_array(pool);
    m2mgw_reasons_t others;
    int i;

    for (i = 0; i < sections->nelts; i++) {
        add_section(list, pool, APR_ARRAY_IDX(sections, i, m2mgw_section_t *));
    }
    m2mgw_counted_other_operations(&others);
    if (!is_empty(&others)) {
        add_row(list, pool, OTHERS, "", &others);
    }
    m2_json_set_json(document, "operations", list);
}
