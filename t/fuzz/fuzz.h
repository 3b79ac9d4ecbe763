/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What fuzz targets share: a pool per input, and a promise that stops the run when broken.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <apr_general.h>

#include "base/m2_slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)                                                                          \
    do {                                                                                    \
        if (!(x)) {                                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #x);                 \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

static inline apr_pool_t *fuzz_pool(void)
{
    static int ready;
    apr_pool_t *pool;

    if (!ready) {
        PROMISE(apr_initialize() == APR_SUCCESS);
        ready = 1;
    }
    PROMISE(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    return pool;
}

#endif /* FUZZ_H */
