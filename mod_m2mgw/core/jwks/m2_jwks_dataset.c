/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a data set means is for rules/m2_dataset.c to say.
 */
#include "jwks/m2_jwks_dataset.h"

#include "rules/m2_dataset.h"
#include "text/m2_file.h"

#define LOOK (APR_USEC_PER_SEC / 4) /* the fifth one is over within two seconds */

static m2_code_t parse(const void **pobject, apr_pool_t *pool, m2_slice_t text,
                       const char *label, const char *name, int flags, int mode, m2_err_t *err)
{
    m2_dataset_t *set = m2_dataset_make(pool);
    m2_err_t why;

    (void)name;
    (void)flags;
    (void)mode;
    m2_err_init(&why, pool);
    *pobject = set;
    return m2_dataset_parse(set, text, &why) == M2_OK
               ? M2_OK
               : m2_err_at(err, M2_E_CONFIG, why.line, 0, "%s: line %d: %s", label, why.line,
                           why.text);
}

static m2_code_t parse_rows(const void **pobject, apr_pool_t *pool, m2_slice_t text,
                            const char *label, const char *name, int flags, int mode,
                            m2_err_t *err)
{
    m2_dataset_t *set = m2_dataset_make(pool);
    m2_err_t why;

    (void)name;
    (void)flags;
    (void)mode;
    m2_err_init(&why, pool);
    *pobject = set;
    return m2_dataset_parse_rows(set, text, &why) == M2_OK
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "%s: row %d: %s", label, why.line, why.text);
}

static int count(const void *object)
{
    return m2_dataset_count(object);
}

const m2_document_t m2_document_datasets = {
    "values", ".data", M2_MAX_DATASET_BYTES, M2_FILE_DECIDES | M2_FILE_LINES | M2_FILE_SHARED,
    LOOK, 1, parse, count,
};

const m2_document_t m2_document_dataset_rows = {
    "values", ".rows", M2_MAX_DATASET_BYTES, M2_FILE_DECIDES, LOOK, 1, parse_rows, count,
};
