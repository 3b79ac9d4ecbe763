/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Data sets: values, each perhaps until a time, that conditions look into (`$x in dataset
 * NAME`). The text of one has a value a line and perhaps an RFC 3339 time behind it; `#` begins
 * a comment. Of a value that is repeated the latest time counts, none being the latest.
 *
 * A set is filled by one thread and immutable afterwards. What a condition holds is a
 * reference: a name, and once the configuration is complete the ring that its sets are swapped
 * into.
 */
#ifndef M2_DATASET_H
#define M2_DATASET_H

#include "key/m2_keyring.h"
#include "rules/m2_rule.h"

#define M2_MAX_DATASET_BYTES (64 * 1024 * 1024)
#define M2_MAX_DATASET_LINE 4096

typedef struct m2_dataset_t m2_dataset_t;

/* a data set that a condition names */
typedef struct m2_dataset_ref_t {
    const char *name;
    const m2_keyring_t *ring; /* of m2_parts_t; NULL: none of that name, which is an error */
    int column;               /* in the condition */
    const char *rule;         /* whose condition it is: of a rule, or of a limit */
    const void *at;           /* the host's: where that stands */
    int networks;             /* it is asked for those that cover an address */
} m2_dataset_ref_t;

/** How many bytes at the start of text are the name of a data set: letters, digits, `.`, `_`
 *  and `-`. */
apr_size_t m2_dataset_name_length(m2_slice_t text);

/** An empty set, in pool, for one m2_dataset_parse or m2_dataset_parse_rows. */
m2_dataset_t *m2_dataset_make(apr_pool_t *pool);

/** Add every line of a text. M2_E_CONFIG with err->line at the first bad one; the set is then
 *  of no use. */
m2_code_t m2_dataset_parse(m2_dataset_t *set, m2_slice_t text, m2_err_t *err);

/** Likewise each row of the answer of a database: Unix seconds, or `-`, a tab, the value and a
 *  NUL. err->line is the number of the row. */
m2_code_t m2_dataset_parse_rows(m2_dataset_t *set, m2_slice_t text, m2_err_t *err);

/** Number of different values. */
int m2_dataset_count(const m2_dataset_t *set);

/** How many values are no networks; *pfirst is one of them. */
int m2_dataset_odd(const char **pfirst, const m2_dataset_t *set);

/** Whether the set has value now. No lock. */
int m2_dataset_has(const m2_dataset_t *set, m2_slice_t value, apr_time_t now);

/** Whether a network of the set has the address now; a value that is not a network has no
 *  addresses. M2_ERROR when address is invalid. One look-up for each different length of prefix. */
m2_truth_t m2_dataset_covers(const m2_dataset_t *set, apr_pool_t *pool, m2_slice_t address,
                             apr_time_t now);

#endif /* M2_DATASET_H */
