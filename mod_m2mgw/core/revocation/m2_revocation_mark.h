/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The version of a list in a store that may lose data. It says more than "another one", so that a
 * reader knows a list that went on from one that lost lines:
 *
 *     C1764460800000000-0123456789abcdef : 17 : 89abcdef01234567 : 12
 *     epoch                                count  of this write    lines of the list
 *
 * The epoch is made by the first write (`C`), or by an operator who says that the list counts as
 * it is, whatever there was before (`R`); its number is a time in microseconds. The store keeps
 * what each of the last M2_MARK_HISTORY writes was called, by its count: a list whose history
 * lacks the write that a reader knows has lost it.
 */
#ifndef M2_REVOCATION_MARK_H
#define M2_REVOCATION_MARK_H

#include "base/m2_slice.h"

#define M2_MARK 128           /* bytes of a version as text, with its NUL */
#define M2_MARK_HISTORY 10000 /* writes whose names a store keeps */

typedef struct m2_mark_t {
    m2_slice_t epoch;   /* slices lead into the text that was read */
    int by_hand;        /* its epoch is an operator's */
    apr_int64_t since;  /* when the epoch began */
    apr_int64_t count;  /* of writes */
    m2_slice_t write;   /* what the last write was called */
    apr_int64_t lines;
} m2_mark_t;

/** 1 for a version; text must stay as long as *mark. */
int m2_mark_read(m2_mark_t *mark, const char *text);

/* what became of a list between two looks */
typedef enum m2_mark_step_t {
    M2_MARK_GOES_ON,  /* nothing, or writes, or an operator's word */
    M2_MARK_ASK,      /* it goes on if its history has the write that was the last one then */
    M2_MARK_BEHIND,   /* it is older than what was seen before */
    M2_MARK_FOREIGN   /* it is another list */
} m2_mark_step_t;

/** What became of a list since its version was before. Both are versions that were read. */
m2_mark_step_t m2_mark_step(const m2_mark_t *before, const m2_mark_t *now);

#endif /* M2_REVOCATION_MARK_H */
