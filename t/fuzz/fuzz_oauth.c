/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Token requests. Input: the Authorization value up to the first newline (an empty one is
 * none), then the form body. Whatever is accepted uses exactly one method and is complete.
 */
#include "oauth/m2_oauth.h"

#include <apr_general.h>

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
    if (!truth) {
        abort();
    }
}

static void read_one(apr_pool_t *pool, const char *authorization, const char *body, size_t n)
{
    m2_token_request_t request;
    const char *text = NULL;
    char *copy = malloc(n + 1);
    m2_oauth_error_t rc;

    memcpy(copy, body, n);
    rc = m2_oauth_request(&request, pool, M2_OAUTH_FOR_TOKEN, copy, n, authorization, &text);
    must((rc == M2_OAUTH_OK) == (text == NULL));
    if (rc == M2_OAUTH_OK) {
        must(request.method != M2_CLIENT_NONE);
        must((request.method == M2_CLIENT_ASSERTION) == (request.assertion != NULL));
        must((request.method == M2_CLIENT_ASSERTION || request.method == M2_CLIENT_NAMED ||
              request.secret != NULL));
        must(request.assertion || *request.client_id);
        must((request.method == M2_CLIENT_BASIC) == (authorization != NULL));
    }
    m2_oauth_forget(&request);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    apr_pool_t *pool;
    size_t n = end ? (size_t)(end - text) : 0;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    read_one(pool, n ? apr_pstrmemdup(pool, text, n) : NULL, end ? end + 1 : text,
             end ? size - n - 1 : size);
    (void)m2_oauth_in_query(apr_pstrmemdup(pool, text ? text : "", size));
    apr_pool_destroy(pool);
    return 0;
}
