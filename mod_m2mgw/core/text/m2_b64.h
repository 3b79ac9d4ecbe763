/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * base64url without padding, read strictly (RFC 7515 2, RFC 4648 5 and 3.5): no '=', no
 * white space, no other alphabet, no length of 4n+1, no non-zero bits behind the last byte.
 * So there is exactly one spelling of every byte string, and a token cannot be respelled.
 */
#ifndef M2_B64_H
#define M2_B64_H

#include "base/m2_slice.h"

/** Decode into pool. M2_OK, or M2_E_TOKEN_MALFORMED (nothing recorded; the caller knows
 *  what the text was). An empty text gives an empty, non-NULL slice. */
m2_code_t m2_b64_decode(m2_slice_t *pbytes, apr_pool_t *pool, m2_slice_t text);

/** Likewise for what providers publish as keys, which no signature depends on: also padded and
 *  in the standard alphabet; *podd then says which, else it is NULL. Never for a token. text.p
 *  has a NUL behind text.n bytes. */
m2_code_t m2_b64_decode_any(m2_slice_t *pbytes, const char **podd, apr_pool_t *pool,
                            m2_slice_t text);

/** Encode into pool, NUL-terminated. */
char *m2_b64_encode(apr_pool_t *pool, m2_slice_t bytes);

#endif /* M2_B64_H */
