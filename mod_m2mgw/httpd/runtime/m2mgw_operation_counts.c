/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Rows are taken by the first request that meets an operation, and found again by what it is:
 * its section and its name. A process remembers which row it was. The row in front is that of
 * the operations that have none.
 */
#include "httpd/runtime/m2mgw_operation_counts.h"

#include "httpd/runtime/m2mgw_shared.h"

#include "operation/m2_operation.h"

#include <http_log.h>

#define KEY "m2mgw-operations"
#define SLOTS (2 * M2MGW_OPERATION_ROWS) /* half of them stay free, so that looking is short */

typedef struct row_t {
    apr_uint64_t key; /* 0: free */
    m2mgw_reasons_t reasons;
} row_t;

typedef struct board_t {
    apr_uint32_t used;
    row_t others;
    row_t rows[SLOTS];
} board_t;

static board_t *board; /* NULL: no operations are described */

/* --- rows --- */

static apr_uint64_t key_for(const m2mgw_operations_t *operations, int number)
{
    const m2_operation_t *operation = m2_operations_at(operations->table, number);

    return m2mgw_key_of(operations->section->key, operation->name);
}

/* The slot of key, or the free one where it would be. */
static row_t *slot_of(apr_uint64_t key)
{
    apr_uint64_t i;

    for (i = 0; i < SLOTS; i++) {
        row_t *row = &board->rows[(key + i) % SLOTS];
        const apr_uint64_t there = __atomic_load_n(&row->key, __ATOMIC_RELAXED);

        if (there == key || there == 0) {
            return row;
        }
    }
    return &board->others; /* never: half of the slots are free */
}

static row_t *take_row(apr_uint64_t key)
{
    for (;;) {
        row_t *row = slot_of(key);
        apr_uint64_t nobody = 0;

        if (__atomic_load_n(&row->key, __ATOMIC_RELAXED) == key) {
            return row;
        }
        if (row == &board->others
            || __atomic_fetch_add(&board->used, 1, __ATOMIC_RELAXED) >= M2MGW_OPERATION_ROWS) {
            __atomic_store_n(&board->used, M2MGW_OPERATION_ROWS, __ATOMIC_RELAXED);
            return &board->others;
        }
        if (__atomic_compare_exchange_n(&row->key, &nobody, key, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return row;
        }
        __atomic_fetch_sub(&board->used, 1, __ATOMIC_RELAXED); /* another one was faster */
    }
}

/* --- counting and reading --- */

void m2mgw_count_operation(const m2mgw_decision_t *decision)
{
    const m2mgw_operations_t *operations = decision->operations;
    apr_uint32_t *pindex, index;
    row_t *row;

    if (!board || !operations || !operations->rows) {
        return;
    }
    pindex = &operations->rows[decision->operation_number];
    index = __atomic_load_n(pindex, __ATOMIC_RELAXED); /* 0: not known, 1: others */
    if (!index) {
        row = take_row(key_for(operations, decision->operation_number));
        index = row == &board->others ? 1 : (apr_uint32_t)(row - board->rows) + 2;
        __atomic_store_n(pindex, index, __ATOMIC_RELAXED);
    }
    row = index == 1 ? &board->others : &board->rows[index - 2];
    m2mgw_reasons_count(&row->reasons, decision);
}

int m2mgw_counted_operation(m2mgw_reasons_t *sums, const m2mgw_operations_t *operations,
                            int number)
{
    const apr_uint64_t key = board ? key_for(operations, number) : 0;
    const row_t *row = board ? slot_of(key) : NULL;

    memset(sums, 0, sizeof(*sums));
    if (!row || __atomic_load_n(&row->key, __ATOMIC_RELAXED) != key) {
        return 0;
    }
    m2mgw_reasons_add(sums, &row->reasons);
    return 1;
}

void m2mgw_counted_other_operations(m2mgw_reasons_t *sums)
{
    memset(sums, 0, sizeof(*sums));
    if (board) {
        m2mgw_reasons_add(sums, &board->others.reasons);
    }
}

/* --- the segment --- */

/* Gives every list of operations its memory of rows; returns how many operations there are. */
static int make_memories(apr_pool_t *pconf)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    int i, n = 0;

    for (i = 0; i < sections->nelts; i++) {
        m2mgw_operations_t *operations =
            APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->operations;

        if (operations) {
            const int count = m2_operations_count(operations->table);

            operations->rows = apr_pcalloc(pconf, (apr_size_t)count * sizeof(apr_uint32_t));
            n += count;
        }
    }
    return n;
}

/* Only what is described still; the rest makes room. */
static void carry_over(const board_t *old)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    board_t *made = board;
    int i, k;

    made->others = old->others;
    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_operations_t *operations =
            APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->operations;

        for (k = 0; operations && k < m2_operations_count(operations->table); k++) {
            m2mgw_reasons_t counted;

            board = (board_t *)(apr_uintptr_t)old;
            if (m2mgw_counted_operation(&counted, operations, k)) {
                board = made;
                take_row(key_for(operations, k))->reasons = counted;
            }
            board = made;
        }
    }
}

static apr_uint64_t layout(void)
{
    return (apr_uint64_t)sizeof(board_t) << 16 | M2_CODES;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    m2mgw_shared_t *kept = m2mgw_shared_kept(s, KEY), *made;

    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !make_memories(pconf)) {
        return OK;
    }
    kept = kept && kept->layout == layout() ? kept : NULL;
    if (kept && ((const board_t *)kept->base)->used < M2MGW_OPERATION_ROWS / 2) {
        board = kept->base;
        return OK;
    }
    made = m2mgw_shared_make(s, sizeof(board_t), layout());
    if (!made) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "M2-401: no shared memory for counters");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    board = made->base;
    if (kept) {
        carry_over(kept->base);
    }
    m2mgw_shared_keep(s, KEY, made);
    return OK;
}

static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    board = NULL;
    return OK;
}

void m2mgw_operation_counts_register(void)
{
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE + 1); /* keys are known */
}
