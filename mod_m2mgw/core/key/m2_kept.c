/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A slot holds a context or nothing. Taking is an exchange with nothing, putting back an
 * exchange that must find nothing; so a context is in one pair of hands at any time. Where a
 * thread begins to look depends on its stack, so that threads do not meet.
 */
#include "key/m2_kept.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#define SLOTS 8

typedef struct context_t {
    const m2_alg_t *alg;
    int signs;         /* else it verifies */
    EVP_MD *digest;
    EVP_MD_CTX *hash;
    EVP_PKEY_CTX *work;
    EVP_MD_CTX *whole; /* of EdDSA, which takes the text and not its digest */
} context_t;

struct m2_kept_t {
    EVP_PKEY *pkey;
    context_t *slots[SLOTS];
};

static void context_free(context_t *c)
{
    if (c) {
        EVP_PKEY_CTX_free(c->work);
        EVP_MD_CTX_free(c->whole);
        EVP_MD_CTX_free(c->hash);
        EVP_MD_free(c->digest);
        OPENSSL_free(c);
    }
}

static int set_up_whole(context_t *c, EVP_PKEY *pkey)
{
    c->whole = EVP_MD_CTX_new();
    if (!c->hash || !c->whole
        || !(EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448"))) {
        return 0;
    }
    return c->signs ? EVP_DigestSignInit_ex(c->whole, NULL, NULL, NULL, NULL, pkey, NULL) == 1
                    : EVP_DigestVerifyInit_ex(c->whole, NULL, NULL, NULL, NULL, pkey, NULL) == 1;
}

static int set_up(context_t *c, EVP_PKEY *pkey, const m2_alg_t *alg)
{
    c->alg = alg;
    c->hash = EVP_MD_CTX_new();
    if (alg->family == M2_FAMILY_EDDSA) {
        return set_up_whole(c, pkey);
    }
    c->digest = EVP_MD_fetch(NULL, alg->digest, NULL);
    c->work = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!c->digest || !c->hash || !c->work
        || (c->signs ? EVP_PKEY_sign_init(c->work) : EVP_PKEY_verify_init(c->work)) != 1
        || EVP_PKEY_CTX_set_signature_md(c->work, c->digest) != 1) {
        return 0;
    }
    if (alg->family == M2_FAMILY_RSA) { /* RFC 7518 3.3 */
        return EVP_PKEY_CTX_set_rsa_padding(c->work, RSA_PKCS1_PADDING) == 1;
    }
    if (alg->family == M2_FAMILY_RSA_PSS) { /* RFC 7518 3.5 */
        return EVP_PKEY_CTX_set_rsa_padding(c->work, RSA_PKCS1_PSS_PADDING) == 1
               && EVP_PKEY_CTX_set_rsa_mgf1_md(c->work, c->digest) == 1
               && EVP_PKEY_CTX_set_rsa_pss_saltlen(c->work, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    return alg->family == M2_FAMILY_ECDSA;
}

static context_t *context_make(EVP_PKEY *pkey, const m2_alg_t *alg, int signs)
{
    context_t *c = OPENSSL_zalloc(sizeof(*c));

    if (c) {
        c->signs = signs;
    }
    if (c && !set_up(c, pkey, alg)) {
        context_free(c);
        return NULL;
    }
    return c;
}

static unsigned first_slot(void)
{
    char here;

    return (unsigned)((apr_uintptr_t)&here >> 16) % SLOTS;
}

static void put_back(m2_kept_t *kept, context_t *c)
{
    const unsigned start = first_slot();
    unsigned i;

    for (i = 0; i < SLOTS; i++) {
        context_t *nothing = NULL;

        if (__atomic_compare_exchange_n(&kept->slots[(start + i) % SLOTS], &nothing, c, 0,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            return;
        }
    }
    context_free(c);
}

static context_t *take(m2_kept_t *kept, const m2_alg_t *alg, int signs)
{
    const unsigned start = first_slot();
    unsigned i;

    for (i = 0; i < SLOTS; i++) {
        context_t **slot = &kept->slots[(start + i) % SLOTS];
        context_t *c = NULL;

        if (__atomic_load_n(slot, __ATOMIC_RELAXED)) {
            c = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQUIRE);
        }
        if (c && c->alg == alg && c->signs == signs) {
            return c;
        }
        if (c) { /* of another algorithm of the same key, or for the other thing */
            put_back(kept, c);
        }
    }
    return context_make(kept->pkey, alg, signs);
}

static apr_status_t kept_free(void *data)
{
    m2_kept_t *kept = data;
    int i;

    for (i = 0; i < SLOTS; i++) {
        context_free(__atomic_exchange_n(&kept->slots[i], NULL, __ATOMIC_ACQUIRE));
    }
    return APR_SUCCESS;
}

m2_kept_t *m2_kept_make(apr_pool_t *pool, EVP_PKEY *pkey)
{
    m2_kept_t *kept = apr_pcalloc(pool, sizeof(*kept));

    kept->pkey = pkey;
    apr_pool_cleanup_register(pool, kept, kept_free, apr_pool_cleanup_null);
    return kept;
}

static int digest_of(unsigned char *digest, unsigned int *pn, context_t *c, m2_slice_t text)
{
    return EVP_DigestInit_ex2(c->hash, c->digest, NULL) == 1
           && EVP_DigestUpdate(c->hash, text.p, text.n) == 1
           && EVP_DigestFinal_ex(c->hash, digest, pn) == 1;
}

static int verify_digest(context_t *c, m2_slice_t signature, m2_slice_t text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    return digest_of(digest, &n, c, text)
           && EVP_PKEY_verify(c->work, (const unsigned char *)signature.p, signature.n, digest, n)
                  == 1;
}

/* A context that was used is used up: each time a copy of the one that was set up. */
static int verify_whole(context_t *c, m2_slice_t signature, m2_slice_t text)
{
    return EVP_MD_CTX_copy_ex(c->hash, c->whole) == 1
           && EVP_DigestVerify(c->hash, (const unsigned char *)signature.p, signature.n,
                               (const unsigned char *)text.p, text.n)
                  == 1;
}

int m2_kept_verify(m2_kept_t *kept, const m2_alg_t *alg, m2_slice_t signature,
                   m2_slice_t text)
{
    context_t *c = take(kept, alg, 0);
    int valid;

    if (!c) {
        return 0;
    }
    valid = c->whole ? verify_whole(c, signature, text) : verify_digest(c, signature, text);
    put_back(kept, c);
    return valid;
}

static int sign_digest(unsigned char *signature, size_t *pn, context_t *c, m2_slice_t text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    return digest_of(digest, &n, c, text) && EVP_PKEY_sign(c->work, signature, pn, digest, n) == 1;
}

static int sign_whole(unsigned char *signature, size_t *pn, context_t *c, m2_slice_t text)
{
    return EVP_MD_CTX_copy_ex(c->hash, c->whole) == 1
           && EVP_DigestSign(c->hash, signature, pn, (const unsigned char *)text.p, text.n) == 1;
}

int m2_kept_sign(unsigned char *signature, apr_size_t *pn, m2_kept_t *kept, const m2_alg_t *alg,
                 m2_slice_t text)
{
    context_t *c = take(kept, alg, 1);
    size_t n = *pn;
    int done;

    if (!c) {
        return 0;
    }
    done = c->whole ? sign_whole(signature, &n, c, text) : sign_digest(signature, &n, c, text);
    put_back(kept, c);
    *pn = n;
    return done;
}
