/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key documents: read strictly and leniently, as words and as PEM. What strict reading takes,
 * lenient takes as well; every key can do something and can be written and read again.
 */
#include "fuzz.h"

#include <openssl/err.h>

#include "key/m2_keyset.h"

#define FLAGS (M2_JWK_PUBLIC | M2_JWK_OCT)

static void check_keys(apr_pool_t *pool, const m2_keyset_t *set, m2_err_t *err)
{
    int i;

    for (i = 0; i < set->keys->nelts && i < 8; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *);
        m2_jwk_t *again;

        PROMISE(jwk->algs != 0);
        PROMISE(m2_jwk_from_json(&again, pool, m2_jwk_to_json(pool, jwk, jwk->pkey == NULL),
                                 FLAGS, err)
                == M2_OK);
        PROMISE(m2_keyset_same_key(jwk, again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    m2_slice_t text = m2_slice((const char *)data, size);
    m2_keyset_t *strict = m2_keyset_make(pool), *lenient = m2_keyset_make(pool);
    m2_jwk_t *jwk;
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = m2_keyset_parse(strict, text, "fuzz", FLAGS, M2_KEYSET_STRICT, &err);
    PROMISE((code == M2_OK) == (strict->keys->nelts > 0));
    if (code == M2_OK) {
        check_keys(pool, strict, &err);
        PROMISE(m2_keyset_parse(lenient, text, "fuzz", FLAGS, M2_KEYSET_LENIENT, &err) == M2_OK);
        PROMISE(lenient->keys->nelts == strict->keys->nelts);
    }
    else if (m2_keyset_parse(lenient, text, "fuzz", FLAGS, M2_KEYSET_LENIENT, &err) == M2_OK) {
        check_keys(pool, lenient, &err);
    }
    m2_jwk_from_words(&jwk, pool, text, FLAGS, &err);
    m2_jwk_from_pem(&jwk, pool, text, "k", NULL, FLAGS | M2_JWK_PRIVATE, &err);
    PROMISE(ERR_peek_error() == 0);
    apr_pool_destroy(pool);
    return 0;
}
