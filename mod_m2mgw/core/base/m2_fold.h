/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The step of the hashes of our tables in memory: two words are multiplied and the halves of the
 * product folded. It only spreads keys over a table; whoever looks one up compares it whole.
 * With a secret seed in each step nobody can choose keys that meet. No MAC, nothing to store.
 */
#ifndef M2_FOLD_H
#define M2_FOLD_H

#include "base/m2.h"

#include <string.h>

static inline apr_uint64_t m2_fold(apr_uint64_t a, apr_uint64_t b)
{
    __extension__ typedef unsigned __int128 wide_t;
    const wide_t product = (wide_t)a * b;

    return (apr_uint64_t)product ^ (apr_uint64_t)(product >> 64);
}

/** The eight bytes at p, aligned or not, in the order of the machine. */
static inline apr_uint64_t m2_word_at(const char *p)
{
    apr_uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

#endif /* M2_FOLD_H */
