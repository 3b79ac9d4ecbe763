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

#endif /* M2_DATASETS_H */
