/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any words behind M2MReplayStore. What is understood is written down again in words that
 * mean the same; what is not comes with a sentence.
 */
#include "replay/m2_replay.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

static apr_array_header_t *words_of(apr_pool_t *pool, const char *text)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *last = NULL, *rest = apr_pstrdup(pool, text), *word;

    while ((word = apr_strtok(rest, " \n", &last)) != NULL) {
        rest = NULL;
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    return words;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *before, *after;
    m2_replay_spec_t *spec = NULL;
    apr_pool_t *pool;
    m2_err_t err;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    if (m2_replay_parse(&spec, pool,
                        words_of(pool, apr_pstrmemdup(pool, (const char *)data, size)), &err)
        == M2_OK) {
        before = m2_replay_describe(pool, spec);
        insist(m2_replay_parse(&spec, pool, words_of(pool, before), &err) == M2_OK);
        after = m2_replay_describe(pool, spec);
        insist(m2_slice_is(m2_slice_z(before), after));
    }
    else {
        insist(!spec && err.code == M2_E_CONFIG && err.text);
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
