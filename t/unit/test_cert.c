/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One certificate in the three spellings of a header, and everything beside it that makes it
 * none. The certificate is made here; its hash is taken of the DER that OpenSSL wrote.
 */
#include "unit.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "proof/m2_cert.h"
#include "text/m2_b64.h"

static m2_slice_t der;

static void make_certificate(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *x = X509_new();
    unsigned char *out = NULL;
    int n;

    assert_true(key && x && X509_set_version(x, 2) && X509_set_pubkey(x, key));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
    assert_int_not_equal(X509_sign(x, key, EVP_sha256()), 0);
    n = i2d_X509(x, &out);
    assert_true(n > 0);
    der = m2_slice(apr_pstrmemdup(pool, (char *)out, (apr_size_t)n), (apr_size_t)n);
    OPENSSL_free(out);
    X509_free(x);
    EVP_PKEY_free(key);
}

static char *base64(m2_slice_t bytes)
{
    char *text = apr_palloc(pool, bytes.n * 2 + 8);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.p, (int)bytes.n);
    return text;
}

/* PEM with that between its lines */
static char *pem(const char *gap)
{
    const char *text = base64(der);
    char *out = apr_pstrcat(pool, "-----BEGIN CERTIFICATE-----", gap, NULL);

    for (; strlen(text) > 64; text += 64) {
        out = apr_pstrcat(pool, out, apr_pstrmemdup(pool, text, 64), gap, NULL);
    }
    return apr_pstrcat(pool, out, text, gap, "-----END CERTIFICATE-----", NULL);
}

static char *percent(const char *text, const char *unsafe)
{
    char *out = "";

    for (; *text; text++) {
        out = apr_psprintf(pool, strchr(unsafe, *text) ? "%s%%%02X" : "%s%c", out,
                           (unsigned char)*text);
    }
    return out;
}

static int reads(const char *text)
{
    const m2_slice_t got = m2_cert_read(pool, z(text));

    assert_int_equal(ERR_peek_error(), 0);
    assert_true(!got.p || m2_slice_eq(got, der));
    return got.p != NULL;
}

static void test_spellings(void **state)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    (void)state;
    make_certificate();
    assert_true(reads(apr_pstrcat(pool, ":", base64(der), ":", NULL)));
    assert_true(reads(apr_pstrcat(pool, "  :", base64(der), ": ", NULL)));
    assert_true(reads(pem("\n")));
    assert_true(reads(apr_pstrcat(pool, pem("\r\n"), "\r\n", NULL)));
    assert_true(reads(pem(" "))); /* folded lines, as nginx's $ssl_client_cert */
    assert_true(reads(percent(pem("\n"), "\n +/=")));
    assert_true(reads(percent(pem("\n"), "\n"))); /* a + stays one */
    assert_true(EVP_Digest(der.p, der.n, hash, &n, EVP_sha256(), NULL));
    assert_string_equal(m2_cert_thumbprint(pool, der),
                        m2_b64_encode(pool, m2_slice((char *)hash, n)));
    assert_null(m2_cert_thumbprint(pool, m2_slice(NULL, 0)));
}

static void test_refused(void **state)
{
    char *one, *item;

    (void)state;
    make_certificate();
    one = base64(der);
    item = apr_pstrcat(pool, ":", one, ":", NULL);
    assert_true(reads(item));
    assert_false(reads(""));
    assert_false(reads("::"));
    assert_false(reads(one));
    assert_false(reads(apr_pstrcat(pool, item, ", ", item, NULL)));
    assert_false(reads(apr_pstrcat(pool, item, ";a=1", NULL)));
    assert_false(reads(apr_pstrcat(pool, ": ", one, ":", NULL)));
    assert_false(reads(apr_pstrcat(pool, ":", base64(m2_slice(der.p, der.n - 1)), ":", NULL)));
    assert_false(reads(apr_pstrcat(
        pool, ":", base64(m2_slice(apr_pstrcat(pool, "x", NULL), 1)), ":", NULL)));
    assert_false(reads(apr_pstrcat(pool, pem("\n"), "\n", pem("\n"), NULL)));
    assert_false(reads(apr_pstrcat(pool, pem("\n"), "\nx", NULL)));
    assert_false(reads(apr_pstrcat(pool, "x", pem("\n"), NULL)));
    assert_false(reads("-----BEGIN CERTIFICATE-----END CERTIFICATE-----"));
    assert_false(reads(percent(percent(pem("\n"), "\n"), "%")));
    assert_false(reads(apr_pstrcat(pool, percent(pem("\n"), "\n"), "%0", NULL)));
    assert_false(reads(apr_pstrcat(pool, percent(pem("\n"), "\n"), "%zz", NULL)));
}

/* bytes behind the certificate, inside its armour */
static void test_bytes_behind(void **state)
{
    char *more;

    (void)state;
    make_certificate();
    more = apr_palloc(pool, der.n + 3);
    memcpy(more, der.p, der.n);
    memcpy(more + der.n, "abc", 3);
    assert_false(reads(apr_pstrcat(pool, ":", base64(m2_slice(more, der.n + 3)), ":", NULL)));
    assert_true(reads(apr_pstrcat(pool, ":", base64(m2_slice(more, der.n)), ":", NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_spellings),
        unit(test_refused),
        unit(test_bytes_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
