/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Secrets that were right a moment ago, so that a client which asks again and again costs a
 * signature and no password hash. Kept as a keyed hash in this process alone, for a minute
 * at most, and only where a change of the file they were checked against is noticed.
 */
#include "issuer/m2mi.h"

#include "oauth/m2_recall.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <time.h>

#define KEEP 60 /* seconds of a clock that is never set */

static m2_recall_t *memory; /* NULL: nothing is remembered */
static EVP_MAC_CTX *keyed;  /* set up with a random key, and only copied since */

static EVP_MAC_CTX *keyed_make(void)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(apr_uintptr_t)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    unsigned char key[32];
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

    if (ctx && (RAND_bytes(key, sizeof(key)) != 1
                || EVP_MAC_init(ctx, key, sizeof(key), params) != 1)) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    OPENSSL_cleanse(key, sizeof(key));
    EVP_MAC_free(mac);
    return ctx;
}

void m2mi_memory_child(apr_pool_t *pool, server_rec *s)
{
    keyed = keyed_make();
    memory = keyed ? m2_recall_make(pool, m2mi_passwords_clients()) : NULL;
    if (!memory) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "M2-719: no randomness: right secrets are not remembered");
    }
}

static apr_int64_t seconds_now(void)
{
    struct timespec now = { 0, 0 };

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* HMAC over the file, the client and the secret, none of which holds a NUL */
static int tag_make(apr_uint64_t *tag, const m2mi_watch_t *passwords, const char *client,
                    const char *secret)
{
    const char *const texts[] = { m2mi_watch_path(passwords), client, secret };
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(keyed);
    int done = ctx != NULL;
    const size_t size = M2_RECALL_WORDS * sizeof(*tag);
    size_t i, n = 0;

    for (i = 0; done && i < sizeof(texts) / sizeof(texts[0]); i++) {
        done = EVP_MAC_update(ctx, (const unsigned char *)texts[i], strlen(texts[i]) + 1) == 1;
    }
    done = done && EVP_MAC_final(ctx, (unsigned char *)tag, &n, size) == 1;
    EVP_MAC_CTX_free(ctx);
    return done && n == size;
}

int m2mi_memory_has(const m2mi_watch_t *passwords, const char *client, const char *secret)
{
    apr_uint64_t tag[M2_RECALL_WORDS];

    return memory && tag_make(tag, passwords, client, secret)
           && m2_recall_has(memory, tag, m2mi_watch_changes(passwords), seconds_now());
}

void m2mi_memory_put(const m2mi_watch_t *passwords, const char *client, const char *secret,
                     apr_uint32_t changes)
{
    apr_uint64_t tag[M2_RECALL_WORDS];

    if (memory && tag_make(tag, passwords, client, secret)) {
        m2_recall_put(memory, tag, changes, seconds_now() + KEEP);
    }
}
