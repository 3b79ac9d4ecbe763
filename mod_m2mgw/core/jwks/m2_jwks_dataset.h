/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Data sets as documents of a source (m2_document.h): watched, kept and swapped as keys are.
 */
#ifndef M2_DATASETS_H
#define M2_DATASETS_H

#include "jwks/m2_document.h"

/** Data sets, for m2_jwks_list_file and its kin. */
extern const m2_document_t m2_document_datasets;

/** Those that a database gives (m2_dataset_parse_rows), for m2_jwks_list_pulled. */
extern const m2_document_t m2_document_dataset_rows;

#endif /* M2_DATASETS_H */
