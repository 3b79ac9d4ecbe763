/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON: what is read can be written, and what is written reads as the same text again.
 */
#include "fuzz.h"

#include "core/m2_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool = fuzz_pool();
    const m2_json_t *json, *again;
    const char *text;
    double seconds;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_json_parse(&json, pool, m2_slice((const char *)data, size), M2_E_CONFIG, &err)
        == M2_OK) {
        text = m2_json_dump(pool, json);
        PROMISE(m2_json_parse(&again, pool, m2_slice_z(text), M2_E_CONFIG, &err) == M2_OK);
        PROMISE(m2_slice_is(m2_slice_z(text), m2_json_dump(pool, again)));
        PROMISE(m2_json_text(pool, json) != NULL);
        m2_json_path(json, "a.b.c");
        m2_json_has(json, m2_slice_z("a"), 1);
        if (m2_json_time(json, &seconds) == M2_OK) {
            PROMISE(seconds >= 0 && seconds <= 9007199254740992.0);
        }
    }
    else {
        PROMISE(err.text != NULL && json == NULL);
    }
    apr_pool_destroy(pool);
    return 0;
}
