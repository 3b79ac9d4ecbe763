/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Secrets that were right a moment ago, so that a client which asks again and again costs a
 * signature and no password hash. Kept as a keyed hash in this process alone, for a minute
 * at most, and only where a change of the file they were checked against is noticed.
 *
 * A door is written by whoever gets it and read by anybody, without a lock: its number is
 * odd while it is written, and a reader that sees it odd or changed has read nothing.
 */
#include "issuer/m2mi.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <time.h>

#define DOORS 2048
#define KEEP 60 /* seconds */
#define TAG_WORDS 4

typedef struct door_t {
    apr_uint32_t number;
    apr_uint32_t changes;         /* of the file, before the check */
    apr_int64_t until;            /* seconds of a clock that is never set */
    apr_uint64_t tag[TAG_WORDS];
} door_t;

static door_t *doors; /* NULL: nothing is remembered */
static EVP_MAC_CTX *keyed; /* set up with a random key, and only copied since */

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
    doors = keyed ? apr_pcalloc(pool, DOORS * sizeof(*doors)) : NULL;
    if (!doors) {
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
    size_t i, n = 0;

    for (i = 0; done && i < sizeof(texts) / sizeof(texts[0]); i++) {
        done = EVP_MAC_update(ctx, (const unsigned char *)texts[i], strlen(texts[i]) + 1) == 1;
    }
    done = done && EVP_MAC_final(ctx, (unsigned char *)tag, &n, TAG_WORDS * sizeof(*tag)) == 1;
    EVP_MAC_CTX_free(ctx);
    return done && n == TAG_WORDS * sizeof(*tag);
}

int m2mi_memory_has(const m2mi_watch_t *passwords, const char *client, const char *secret)
{
    apr_uint64_t tag[TAG_WORDS], differs = 0;
    apr_uint32_t number, changes;
    apr_int64_t until;
    door_t *door;
    int i;

    if (!doors || !tag_make(tag, passwords, client, secret)) {
        return 0;
    }
    door = &doors[tag[0] % DOORS];
    number = __atomic_load_n(&door->number, __ATOMIC_ACQUIRE);
    changes = __atomic_load_n(&door->changes, __ATOMIC_RELAXED);
    until = __atomic_load_n(&door->until, __ATOMIC_RELAXED);
    for (i = 0; i < TAG_WORDS; i++) {
        differs |= tag[i] ^ __atomic_load_n(&door->tag[i], __ATOMIC_RELAXED);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(number & 1) && __atomic_load_n(&door->number, __ATOMIC_RELAXED) == number
           && !differs && changes == m2mi_watch_changes(passwords)
           && seconds_now() < until;
}

void m2mi_memory_put(const m2mi_watch_t *passwords, const char *client, const char *secret,
                     apr_uint32_t changes)
{
    apr_uint64_t tag[TAG_WORDS];
    apr_uint32_t number;
    door_t *door;
    int i;

    if (!doors || !tag_make(tag, passwords, client, secret)) {
        return;
    }
    door = &doors[tag[0] % DOORS];
    number = __atomic_load_n(&door->number, __ATOMIC_RELAXED);
    if ((number & 1)
        || !__atomic_compare_exchange_n(&door->number, &number, number + 1, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return; /* somebody else is at it; the next check may remember */
    }
    __atomic_store_n(&door->changes, changes, __ATOMIC_RELAXED);
    __atomic_store_n(&door->until, seconds_now() + KEEP, __ATOMIC_RELAXED);
    for (i = 0; i < TAG_WORDS; i++) {
        __atomic_store_n(&door->tag[i], tag[i], __ATOMIC_RELAXED);
    }
    __atomic_store_n(&door->number, number + 2, __ATOMIC_RELEASE);
}
