/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Options, NAME=VALUE or a word, that a line may have once. Of two values, neither is a guess
 * worth making.
 */
#ifndef M2_ONCE_H
#define M2_ONCE_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/** Remember the name of an option; M2_E_CONFIG when it is there already, in any case. *pseen
 *  begins as NULL, is allocated from pool, and keeps pointers into name. */
m2_code_t m2_once(apr_array_header_t **pseen, apr_pool_t *pool, m2_slice_t name,
                  m2_err_t *err);

/** Set a flag, which word (`shadow`, without a value) stands for; M2_E_CONFIG when it is set. */
m2_code_t m2_once_flag(int *pflag, const char *word, m2_err_t *err);

/** m2_once for all words (const char *) from number first on; those without `=` do not count. */
m2_code_t m2_once_words(const apr_array_header_t *words, int first, m2_err_t *err);

#endif /* M2_ONCE_H */
