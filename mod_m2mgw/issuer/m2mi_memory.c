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

#include <openssl/evp.h>
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
static unsigned char key[32];

void m2mi_memory_child(apr_pool_t *pool, server_rec *s)
{
    doors = RAND_bytes(key, sizeof(key)) == 1 ? apr_pcalloc(pool, DOORS * sizeof(*doors))
                                              : NULL;
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
    unsigned char text[4096];
    const char *path = m2mi_watch_path(passwords);
    const size_t sizes[] = { strlen(path) + 1, strlen(client) + 1, strlen(secret) + 1 };
    size_t n = 0;
    int done;

    if (sizes[0] + sizes[1] + sizes[2] > sizeof(text)) {
        return 0;
    }
    memcpy(text, path, sizes[0]);
    memcpy(text + sizes[0], client, sizes[1]);
    memcpy(text + sizes[0] + sizes[1], secret, sizes[2]);
    done = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof(key), text,
                     sizes[0] + sizes[1] + sizes[2], (unsigned char *)tag,
                     TAG_WORDS * sizeof(*tag), &n) != NULL;
    OPENSSL_cleanse(text, sizes[0] + sizes[1] + sizes[2]);
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
