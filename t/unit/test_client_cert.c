/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Certificates that clients log in with: what M2MClientCert says, and that a certificate is
 * known by the very name that is meant and by nothing that looks like it.
 */
#include "unit.h"

#include "oauth/m2_client_cert.h"
#include "proof/m2_cert.h"

#include <openssl/ec.h>
#include <openssl/x509v3.h>

/* a certificate with that subject (one CN and O) and alternative names as OpenSSL's
 * configuration has them, NULL for none */
static m2_slice_t make(const char *cn, const char *san)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    X509_NAME *name = X509_get_subject_name(x509);
    unsigned char *der = NULL;
    X509_EXTENSION *extension;
    m2_slice_t out;
    int n;

    X509_set_version(x509, 2);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Acme, Inc",
                               -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    if (san) {
        extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
        assert_non_null(extension);
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    n = i2d_X509(x509, &der);
    out = m2_slice(apr_pmemdup(pool, der, (apr_size_t)n), (apr_size_t)n);
    OPENSSL_free(der);
    X509_free(x509);
    EVP_PKEY_free(key);
    return out;
}

static int is(const char *word, m2_slice_t der)
{
    m2_client_cert_t cert;

    clean();
    assert_int_equal(m2_client_cert_read(&cert, pool, word, &err), M2_OK);
    return m2_client_cert_is(&cert, pool, der);
}

static void subjects(void **state)
{
    m2_slice_t der = make("app one", "DNS:app one.test"), odd = make("a =b", NULL);

    (void)state;
    assert_int_equal(is("subject=CN=app one,O=Acme\\, Inc", der), 1);
    assert_int_equal(is("SUBJECT=cn = app one, o=Acme\\, Inc", der), 1);
    assert_int_equal(is("subject=O=Acme\\, Inc,CN=app one", der), 0);
    assert_int_equal(is("subject=CN=app one", der), 0);
    assert_int_equal(is("subject=CN=App One,O=Acme\\, Inc", der), 0);
    assert_int_equal(is("subject=CN=a =b,O=Acme\\, Inc", odd), 1);
    assert_int_equal(is("subject=CN=a=b,O=Acme\\, Inc", odd), 0);
    assert_int_equal(is("subject=CN=app one,O=Acme\\, Inc", m2_slice(NULL, 0)), 0);
    assert_int_equal(is("subject=CN=app one,O=Acme\\, Inc", z("no certificate")), 0);
}

static void alternatives(void **state)
{
    m2_slice_t der = make("dns.test", "DNS:app.test,DNS:b.test,URI:https://u/x,IP:192.0.2.7,"
                                      "IP:2001:db8::1,email:a@b.test");

    (void)state;
    assert_int_equal(is("san-dns=app.test", der), 1);
    assert_int_equal(is("san-dns=B.Test", der), 1);
    assert_int_equal(is("san-uri=https://u/x", der), 1);
    assert_int_equal(is("san-ip=192.0.2.7", der), 1);
    assert_int_equal(is("san-ip=2001:DB8:0::1", der), 1);
    assert_int_equal(is("san-email=a@b.test", der), 1);
    assert_int_equal(is("san-dns=dns.test", der), 0); /* the subject is not an alternative */
    assert_int_equal(is("san-dns=test", der), 0);
    assert_int_equal(is("san-dns=https://u/x", der), 0);
    assert_int_equal(is("san-uri=app.test", der), 0);
    assert_int_equal(is("san-uri=https://U/x", der), 0);
    assert_int_equal(is("san-ip=192.0.2.8", der), 0);
    assert_int_equal(is("san-email=app.test", der), 0);
    assert_int_equal(is("san-dns=app.test", make("app.test", NULL)), 0);
}

static void thumbprints(void **state)
{
    m2_slice_t der = make("a", NULL), other = make("a", NULL);
    const char *x5t = m2_cert_thumbprint(pool, der);
    unsigned char hash[32];
    char hex[100] = "", colons[100] = "";
    unsigned int n = 0;
    size_t i;

    (void)state;
    EVP_Digest(der.p, der.n, hash, &n, EVP_sha256(), NULL);
    for (i = 0; i < 32; i++) {
        apr_snprintf(hex + i * 2, 3, "%02x", hash[i]);
        apr_snprintf(colons + i * 3, 4, i < 31 ? "%02X:" : "%02X", hash[i]);
    }
    assert_int_equal(is(apr_pstrcat(pool, "x5t=", x5t, NULL), der), 1);
    assert_int_equal(is(apr_pstrcat(pool, "x5t=", hex, NULL), der), 1);
    assert_int_equal(is(apr_pstrcat(pool, "x5t=", colons, NULL), der), 1);
    assert_int_equal(is(apr_pstrcat(pool, "x5t=", x5t, NULL), other), 0);
    assert_int_equal(is(apr_pstrcat(pool, "x5t=", x5t, NULL), m2_slice(NULL, 0)), 0);
}

static void bad_words(void **state)
{
    static const char *const bad[] = { "", "subject=", "subject=app", "san-dns=", "san-ip=x",
                                       "san-ip=192.0.2", "x5t=abc", "x5t=", "cn=a",
                                       "x5t=000102030405060708090a0b0c0d0e0f1011121314151617" };
    m2_client_cert_t cert;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        clean();
        assert_int_equal(m2_client_cert_read(&cert, pool, bad[i], &err), M2_E_CONFIG);
        assert_non_null(err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(subjects), unit(alternatives), unit(thumbprints), unit(bad_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
