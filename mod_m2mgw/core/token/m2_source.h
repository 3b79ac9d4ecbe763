/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Where in a request a token may be.
 */
#ifndef M2_SOURCE_H
#define M2_SOURCE_H

#include "base/m2_err.h"

typedef enum m2_token_place_t { /* ORDER TOKEN PLACE: words in m2_source.c */
    M2_TOKEN_HEADER,
    M2_TOKEN_QUERY,
    M2_TOKEN_COOKIE,
    M2_TOKEN_FORM
} m2_token_place_t;

typedef struct m2_token_source_t {
    m2_token_place_t place;
    const char *name;
} m2_token_source_t;

/** The word of a place, as in `header:NAME`. */
const char *m2_token_place_word(m2_token_place_t place);

/** Parse `header:NAME` etc. M2_E_CONFIG with a sentence. */
m2_code_t m2_token_source_parse(m2_token_source_t *source, apr_pool_t *pool,
                                const char *word, m2_err_t *err);

#endif /* M2_SOURCE_H */
