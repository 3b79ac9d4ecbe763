/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * base64url: what decodes has exactly the spelling that encoding gives it.
 */
#include "fuzz.h"

#include "text/m2_b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    m2_slice_t text = m2_slice((const char *)data, size), bytes;

    if (m2_b64_decode(&bytes, pool, text) == M2_OK) {
        PROMISE(m2_slice_is(text, m2_b64_encode(pool, bytes)));
    }
    PROMISE(m2_b64_decode(&bytes, pool, m2_slice_z(m2_b64_encode(pool, text))) == M2_OK);
    PROMISE(m2_slice_eq(bytes, text));
    apr_pool_destroy(pool);
    return 0;
}
