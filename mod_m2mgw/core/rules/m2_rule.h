/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The condition language of parameter access control: text -> tree -> one of three words.
 * An error is never flipped by `not` and never absorbed by `or`; all operands are evaluated.
 */
#ifndef M2_RULE_H
#define M2_RULE_H

#include "rules/m2_param.h"

typedef struct m2_expr_t m2_expr_t; /* compiled, immutable, in the pool it was compiled in */

typedef enum m2_truth_t { M2_FALSE, M2_TRUE, M2_ERROR } m2_truth_t;

/** Compile a condition. Names must be declared in params (Ca... system names need not be).
 *  M2_E_CONFIG with err->column (1-based) on any fault that shows in the text. */
m2_code_t m2_expr_compile(const m2_expr_t **pexpr, apr_pool_t *pool, const char *text,
                          m2_params_t *params, m2_err_t *err);

/** Evaluate. On M2_ERROR err tells which part could not be evaluated (no values). */
m2_truth_t m2_expr_eval(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err);

/** Whether its value follows from the token alone: it reads claims and the user they name, and
 *  no time, chance or data set. */
int m2_expr_is_of_token(const m2_expr_t *expr, const m2_params_t *params);

#endif /* M2_RULE_H */
