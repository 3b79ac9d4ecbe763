/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Kept contexts: the same answers as a fresh one, after a refusal, with another algorithm of
 * the key in between, and from many threads at once.
 */
#include "unit.h"

#include "token/m2_jws.h"
#include "key/m2_kept.h"

#include "text/m2_b64.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>

static const m2_jwk_t *rsa, *ec, *ed;
static const char *tokens[4]; /* RS256, PS384, ES256, EdDSA */

static const m2_jwk_t *key(const char *alg)
{
    m2_jwk_t *jwk;

    assert_int_equal(m2_jwk_generate(&jwk, pool, m2_alg_find(z(alg)), 0, NULL, &err), M2_OK);
    return jwk;
}

static const char *token_in(apr_pool_t *p, const m2_jwk_t *jwk, const char *alg)
{
    const char *text = "";

    return m2_jws_sign(&text, p, NULL, z("{}"), jwk, m2_alg_find(z(alg)), NULL) == M2_OK ? text
                                                                                         : "";
}

static const char *token(const m2_jwk_t *jwk, const char *alg)
{
    return token_in(pool, jwk, alg);
}

static void make(void)
{
    m2_jwk_t *any;

    rsa = key("RS256");
    any = apr_pmemdup(pool, rsa, sizeof(*rsa));
    any->algs = m2_alg_mask_of(M2_FAMILY_RSA) | m2_alg_mask_of(M2_FAMILY_RSA_PSS);
    rsa = any;
    ec = key("ES256");
    ed = key("EdDSA");
    tokens[0] = token(rsa, "RS256");
    tokens[1] = token(rsa, "PS384");
    tokens[2] = token(ec, "ES256");
    tokens[3] = token(ed, "EdDSA");
}

static m2_code_t verify(apr_pool_t *p, const char *text, const m2_jwk_t *jwk)
{
    m2_jws_t jws;
    m2_code_t code = m2_jws_split(&jws, z(text), NULL);

    code = code ? code : m2_jws_header(&jws, p, NULL, NULL);
    return code ? code : m2_jws_verify(&jws, p, jwk, NULL);
}

/* The same token with one byte of its signature changed, still base64url. */
static const char *spoil(apr_pool_t *p, const char *text)
{
    char *copy = apr_pstrdup(p, text);
    char *c = strrchr(copy, '.') + 3;

    *c = *c == 'A' ? 'B' : 'A';
    return copy;
}

static void test_again_and_again(void **state)
{
    int i;

    (void)state;
    make();
    for (i = 0; i < 20; i++) {
        assert_int_equal(verify(pool, tokens[0], rsa), M2_OK);
        assert_int_equal(verify(pool, spoil(pool, tokens[0]), rsa), M2_E_SIGNATURE_INVALID);
        assert_int_equal(verify(pool, tokens[1], rsa), M2_OK);
        assert_int_equal(verify(pool, spoil(pool, tokens[1]), rsa), M2_E_SIGNATURE_INVALID);
        assert_int_equal(verify(pool, tokens[2], ec), M2_OK);
        assert_int_equal(verify(pool, spoil(pool, tokens[2]), ec), M2_E_SIGNATURE_INVALID);
        assert_int_equal(verify(pool, tokens[3], ed), M2_OK);
        assert_int_equal(verify(pool, spoil(pool, tokens[3]), ed), M2_E_SIGNATURE_INVALID);
    }
}

static const char *const algs[] = { "RS256", "PS384", "ES256", "EdDSA" };

static const m2_jwk_t *key_of(int n)
{
    return n == 3 ? ed : n == 2 ? ec : rsa;
}

/* What a kept context signs, one that was set up for it alone verifies. */
static void test_signs(void **state)
{
    static const char *const named[] = { "SHA256", "SHA384", "SHA256", NULL };
    m2_jws_t jws;
    int i;

    (void)state;
    make();
    for (i = 0; i < 40; i++) {
        const m2_jwk_t *jwk = key_of(i % 4);
        const char *text = token(jwk, algs[i % 4]);
        EVP_PKEY_CTX *params = NULL;
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        m2_slice_t bytes;

        assert_int_equal(verify(pool, text, jwk), M2_OK);
        assert_int_equal(verify(pool, spoil(pool, text), jwk), M2_E_SIGNATURE_INVALID);
        assert_int_equal(m2_jws_split(&jws, z(text), NULL), M2_OK);
        assert_int_equal(m2_b64_decode(&bytes, pool, jws.signature64), M2_OK);
        assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &params, named[i % 4], NULL, NULL,
                                                 jwk->pkey, NULL), 1);
        if (i % 4 == 1) {
            EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING);
            EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST);
        }
        if (i % 4 != 2) { /* ECDSA is in DER there */
            assert_int_equal(EVP_DigestVerify(ctx, (const unsigned char *)bytes.p, bytes.n,
                                              (const unsigned char *)jws.signed_part.p,
                                              jws.signed_part.n), 1);
        }
        EVP_MD_CTX_free(ctx);
    }
}

static void test_not_its_algorithm(void **state)
{
    unsigned char out[512];
    apr_size_t n;

    (void)state;
    make();
    assert_int_equal(m2_kept_verify(ec->kept, m2_alg_find(z("EdDSA")), z("x"), z("y")), 0);
    assert_int_equal(m2_kept_verify(ec->kept, m2_alg_find(z("HS256")), z("x"), z("y")), 0);
    assert_int_equal(m2_kept_verify(ed->kept, m2_alg_find(z("RS256")), z("x"), z("y")), 0);
    n = sizeof(out);
    assert_int_equal(m2_kept_sign(out, &n, ec->kept, m2_alg_find(z("RS256")), z("y")), 0);
    assert_int_equal(verify(pool, tokens[2], ec), M2_OK);
    assert_int_equal(verify(pool, tokens[3], ed), M2_OK);
    ERR_clear_error();
}

static void *many(void *data)
{
    apr_allocator_t *allocator;
    apr_uintptr_t wrong = 0;
    apr_pool_t *mine;
    int i;

    (void)data;
    apr_allocator_create(&allocator);
    apr_pool_create_ex(&mine, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, mine);
    for (i = 0; i < 150; i++) {
        const int n = i % 4;
        const m2_jwk_t *jwk = key_of(n);

        wrong += verify(mine, tokens[n], jwk) != M2_OK;
        wrong += verify(mine, spoil(mine, tokens[n]), jwk) != M2_E_SIGNATURE_INVALID;
        wrong += i % 16 < 4 && verify(mine, token_in(mine, jwk, algs[n]), jwk) != M2_OK;
        apr_pool_clear(mine);
    }
    apr_pool_destroy(mine);
    return (void *)wrong;
}

static void test_threads(void **state)
{
    pthread_t threads[12];
    void *wrong;
    int i;

    (void)state;
    make();
    for (i = 0; i < 12; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, many, NULL), 0);
    }
    for (i = 0; i < 12; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_again_and_again),
        unit(test_signs),
        unit(test_not_its_algorithm),
        unit(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
