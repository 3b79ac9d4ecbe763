/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What unit tests of the core share: cmocka in its right order, a pool per test, an error
 * record, files of the source tree, and the last line that was logged.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/m2_log.h"
#include "base/m2_slice.h"

#define UNUSED __attribute__((unused))

static UNUSED apr_pool_t *pool;
static UNUSED m2_err_t err;
static char last_log[2048];
static m2_level_t last_level;
static int logged;

static void note_log(m2_level_t level, const char *text, void *baton)
{
    (void)baton;
    apr_cpystrn(last_log, text, sizeof(last_log));
    last_level = level;
    logged++;
}

/* forget what an earlier call recorded */
static UNUSED void clean(void)
{
    m2_err_init(&err, pool);
    last_log[0] = '\0';
    last_level = M2_LOG_DEBUG;
    logged = 0;
}

static UNUSED int setup(void **state)
{
    (void)state;
    apr_initialize();
    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 1;
    }
    m2_log_set(note_log, NULL);
    clean();
    return 0;
}

/* every test ends with OpenSSL's error queue as it must be */
static UNUSED int teardown(void **state)
{
    int left = ERR_peek_error() != 0;

    (void)state;
    m2_log_set(NULL, NULL);
    apr_pool_destroy(pool);
    apr_terminate();
    return left;
}

/* Whether there is time for cases that wait: ./run test says M2_SLOW=1. */
static UNUSED int may_wait(void)
{
    const char *word = getenv("M2_SLOW");

    return word && m2_slice_is(m2_slice_z(word), "1");
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static UNUSED m2_slice_t z(const char *text)
{
    return m2_slice_z(text);
}

/* A file of the source tree, whole. */
static UNUSED m2_slice_t source_file(const char *name)
{
    const char *dir = getenv("srcdir");
    const char *path = apr_pstrcat(pool, dir ? dir : ".", "/", name, NULL);
    FILE *file = fopen(path, "rb");
    char *text = apr_palloc(pool, 1024 * 1024);
    size_t n;

    if (!file) {
        print_error("cannot open %s\n", path);
        fail();
    }
    n = fread(text, 1, 1024 * 1024 - 1, file);
    fclose(file);
    text[n] = '\0';
    return m2_slice(text, n);
}

#endif /* UNIT_H */
