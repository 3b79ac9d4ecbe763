/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A path template, taken apart. Decides what a template may look like and whether a segment
 * of a path matches one of a template. Never knows operations or tables.
 */
#ifndef M2_OPERATION_PATH_H
#define M2_OPERATION_PATH_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#include <apr_tables.h>

typedef enum m2_segment_kind_t { /* in order of preference */
    M2_SEGMENT_LITERAL,
    M2_SEGMENT_MIXED,
    M2_SEGMENT_VARIABLE,
    M2_SEGMENT_REST
} m2_segment_kind_t;

typedef struct m2_segment_t {
    m2_segment_kind_t kind;
    m2_slice_t shape;      /* decoded, names of variables left out: what makes two equal */
    m2_slice_t *literals;  /* MIXED: what stands before, between and behind the variables */
    int variables;
    apr_size_t weight;     /* MIXED: literal bytes */
} m2_segment_t;

typedef struct m2_operation_path_t {
    apr_array_header_t *segments; /* of m2_segment_t, one at least */
    apr_array_header_t *names;    /* of const char *: the variables */
} m2_operation_path_t;

/**
 * Take a template apart; results live in pool. Literals are percent-decoded once. fold: ASCII
 * letters become small and a slash at the end does not count. M2_E_CONFIG with a sentence.
 */
m2_code_t m2_operation_path_read(m2_operation_path_t *path, apr_pool_t *pool,
                                 const char *text, int fold, m2_err_t *err);

/** Whether text matches a mixed segment; its variables go to values. Linear in text. */
int m2_segment_match(m2_slice_t *values, const m2_segment_t *segment, m2_slice_t text);

#endif /* M2_OPERATION_PATH_H */
