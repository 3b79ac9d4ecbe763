/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Finding the tokens of one source, in whatever spelling, and what else a backend might take
 * for one.
 */
#ifndef M2_FIND_H
#define M2_FIND_H

#include "request/m2_pairs.h"

/* tokens that were found, of m2_slice_t, borrowed from what was searched */
typedef apr_array_header_t m2_tokens_t;

/**
 * Add the tokens in the value of a header field. httpd joins repeated fields with commas, and
 * a token holds none, so every comma separates two candidates. Of Authorization only what
 * follows the scheme `Bearer` (RFC 6750 2.1) or `DPoP` (RFC 9449 7.1) is one.
 * M2_E_TOKEN_MULTIPLE for a token beside anything else; M2_E_TOKEN_MALFORMED for an
 * Authorization without a token in which a lenient backend may find one. value may be NULL.
 */
m2_code_t m2_find_in_header(m2_tokens_t *tokens, const char *name, const char *value,
                            m2_err_t *err);

/** Why a value of Authorization in which no token was found has none, as a sentence for the
 *  operator that quotes nothing of it; NULL when there is nothing to say. It may be NULL. */
const char *m2_find_why_none(const char *value);

/** Whether a header value with one token has it under the scheme `DPoP`; it may be NULL. */
int m2_find_is_dpop(const char *value);

/** Whether a header field that a client sent is name in another spelling than by case. */
int m2_find_is_twin(const char *sent, const char *name);

/** Add the tokens of that name among pairs; one in another spelling of the name is one more:
 *  M2_E_TOKEN_MULTIPLE. pairs may be NULL. */
m2_code_t m2_find_in_pairs(m2_tokens_t *tokens, const m2_pairs_t *pairs, const char *name,
                           m2_err_t *err);

#endif /* M2_FIND_H */
