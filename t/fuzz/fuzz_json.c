/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON: what is read can be written, and what is written reads as the same text again. The
 * short reader and jansson agree: beside a fraction, which the short one leaves to jansson, a
 * document reads as it does alone.
 */
#include "fuzz.h"

#include "text/m2_json.h"

static void compare_readers(apr_pool_t *pool, m2_slice_t text, const m2_json_t *alone)
{
    const char *pair = apr_pstrcat(pool, "[", m2_slice_dup(pool, text), ",0.5]", NULL);
    const m2_json_t *both;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (memchr(text.p, '\0', text.n)) {
        return;
    }
    if (m2_json_parse(&both, pool, m2_slice_z(pair), M2_E_CONFIG, &err) != M2_OK) {
        PROMISE(!alone || strstr(err.text, "nested too deeply"));
    }
    else if (m2_json_length(both) == 2) {
        PROMISE(alone);
        PROMISE(m2_slice_is(m2_slice_z(m2_json_dump(pool, alone)),
                            m2_json_dump(pool, m2_json_at(both, 0))));
    }
}

static void copy(apr_pool_t *pool, const m2_json_t *json)
{
    apr_size_t size;
    m2_json_t *kept = m2_json_keep(json, &size);

    PROMISE(kept && size > 0);
    PROMISE(m2_slice_is(m2_slice_z(m2_json_dump(pool, json)), m2_json_dump(pool, kept)));
    m2_json_drop(kept);
}

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
        copy(pool, json);
        m2_json_path(json, "a.b.c");
        m2_json_path(json, "/a/0/~1");
        m2_json_has(json, m2_slice_z("a"), 1);
        if (m2_json_time(json, &seconds) == M2_OK) {
            PROMISE(seconds >= 0 && seconds <= 9007199254740992.0);
        }
    }
    else {
        PROMISE(err.text != NULL && json == NULL);
    }
    compare_readers(pool, m2_slice((const char *)data, size), json);
    apr_pool_destroy(pool);
    return 0;
}
