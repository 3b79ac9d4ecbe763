/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Eight bytes of time and sixteen of HMAC-SHA256, in base64url. The MAC is compared in
 * constant time, before the time is looked at.
 */
#include "proof/m2_nonce.h"

#include "text/m2_b64.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TIME 8
#define MAC 16

static const char label[] = "m2m nonce 1 ";

static int add_mac(unsigned char *nonce, apr_pool_t *pool, m2_slice_t key, const char *role)
{
    const apr_size_t head = sizeof(label) - 1, n = strlen(role) + 1; /* its NUL parts it */
    unsigned char *text = apr_palloc(pool, head + n + TIME), mac[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    memcpy(text, label, head);
    memcpy(text + head, role, n);
    memcpy(text + head + n, nonce, TIME);
    if (!HMAC(EVP_sha256(), key.p, (int)key.n, text, head + n + TIME, mac, &size)
        || size < MAC) {
        ERR_clear_error();
        return 0;
    }
    memcpy(nonce + TIME, mac, MAC);
    return 1;
}

const char *m2_nonce_make(apr_pool_t *pool, m2_slice_t key, const char *role, int window,
                          apr_time_t now)
{
    apr_uint64_t seconds = (apr_uint64_t)(apr_time_sec(now) / window * window);
    unsigned char nonce[TIME + MAC];
    int i;

    for (i = TIME - 1; i >= 0; i--) {
        nonce[i] = (unsigned char)seconds;
        seconds >>= 8;
    }
    return add_mac(nonce, pool, key, role)
               ? m2_b64_encode(pool, m2_slice((const char *)nonce, sizeof(nonce)))
               : NULL;
}

/* A machine whose clock is ahead hands out nonces of a window that has not begun here. */
static int is_recent(const unsigned char *time, int window, apr_time_t now)
{
    const apr_int64_t seconds = apr_time_sec(now);
    apr_uint64_t made = 0;
    int i;

    for (i = 0; i < TIME; i++) {
        made = made << 8 | time[i];
    }
    return (apr_int64_t)made <= seconds + window && (apr_int64_t)made > seconds - 2 * window;
}

int m2_nonce_is_good(apr_pool_t *pool, m2_slice_t key, const char *role, int window,
                     m2_slice_t nonce, apr_time_t now)
{
    unsigned char own[TIME + MAC];
    m2_slice_t bytes;

    if (!nonce.p || m2_b64_decode(&bytes, pool, nonce) != M2_OK || bytes.n != sizeof(own)) {
        return 0;
    }
    memcpy(own, bytes.p, TIME);
    return add_mac(own, pool, key, role) && CRYPTO_memcmp(own, bytes.p, sizeof(own)) == 0
           && is_recent(own, window, now);
}
