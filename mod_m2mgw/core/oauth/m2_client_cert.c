/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A name is compared with a name of its own kind alone, whole, and never with what stands
 * behind a NUL in it. Subjects are compared in the string form of RFC 4514, most specific
 * part first, as OpenSSL writes it with the flag for RFC 2253.
 */
#include "oauth/m2_client_cert.h"

#include "proof/m2_cert.h"
#include "text/m2_b64.h"

#include <arpa/inet.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define SHA256_BYTES 32
#define SUBJECT_MAX 4096

/* ORDER CERT NAME */
static const struct row_t {
    m2_cert_name_t name;
    const char *word;
    int type; /* of OpenSSL's GENERAL_NAME; -1: no alternative name */
} rows[] = {
    { M2_CERT_SUBJECT, "subject=", -1 },    { M2_CERT_DNS, "san-dns=", GEN_DNS },
    { M2_CERT_URI, "san-uri=", GEN_URI },   { M2_CERT_IP, "san-ip=", GEN_IPADD },
    { M2_CERT_EMAIL, "san-email=", GEN_EMAIL }, { M2_CERT_X5T, "x5t=", -1 },
};
_Static_assert(sizeof(rows) / sizeof(*rows) == M2_CERT_NAMES, "a row for each kind of name");

/* --- what is configured --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 64 hexadecimal digits, colons between bytes or not; NULL for anything else */
static const char *from_hex(apr_pool_t *pool, const char *text)
{
    unsigned char bytes[SHA256_BYTES];
    int n = 0, high, low;

    while (*text && n < SHA256_BYTES) {
        high = hex_digit(text[0]);
        low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) {
            return NULL;
        }
        bytes[n++] = (unsigned char)(high * 16 + low);
        text += 2;
        text += *text == ':' && text[1] ? 1 : 0;
    }
    return n == SHA256_BYTES && !*text
               ? m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)))
               : NULL;
}

static const char *thumbprint_read(apr_pool_t *pool, const char *text)
{
    m2_slice_t bytes;
    const char *hex = from_hex(pool, text);

    if (hex) {
        return hex;
    }
    return m2_b64_decode(&bytes, pool, m2_slice_z(text)) == M2_OK
                   && bytes.n == SHA256_BYTES
               ? text
               : NULL;
}

/* An address as the bytes of a certificate would be written */
static const char *address_read(apr_pool_t *pool, const char *text)
{
    unsigned char bytes[16];
    char shown[INET6_ADDRSTRLEN];
    int family = inet_pton(AF_INET, text, bytes) == 1    ? AF_INET
                 : inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6
                                                         : -1;

    return family >= 0 && inet_ntop(family, bytes, shown, sizeof(shown))
               ? apr_pstrdup(pool, shown)
               : NULL;
}

/* blanks at the end of what was written since begin, but for an escaped one */
static char *trim_end(char *begin, char *out)
{
    while (out > begin && out[-1] == ' ' && !(out - begin > 1 && out[-2] == '\\')) {
        out--;
    }
    return out;
}

/* Types in capitals; blanks around the separators of types and values do not count. */
static const char *subject_fold(apr_pool_t *pool, const char *text)
{
    char *folded = apr_palloc(pool, strlen(text) + 1), *out = folded, *begin = folded;
    int in_type = 1;

    for (; *text; text++) {
        if (*text == '\\' && text[1]) {
            *out++ = *text++;
            *out++ = *text;
        }
        else if (*text == ',' || *text == '+' || (*text == '=' && in_type)) {
            in_type = *text != '=';
            out = trim_end(begin, out);
            *out++ = *text;
            begin = out;
        }
        else if (*text != ' ' || out > begin) {
            *out++ = in_type ? (char)apr_toupper(*text) : *text;
        }
    }
    *trim_end(begin, out) = '\0';
    return folded;
}

static const char *value_read(apr_pool_t *pool, m2_cert_name_t name, const char *text)
{
    switch (name) {
    case M2_CERT_X5T:
        return thumbprint_read(pool, text);
    case M2_CERT_IP:
        return address_read(pool, text);
    case M2_CERT_SUBJECT:
        return strchr(text, '=') ? subject_fold(pool, text) : NULL;
    default:
        return text;
    }
}

m2_code_t m2_client_cert_read(m2_client_cert_t *cert, apr_pool_t *pool, const char *word,
                              m2_err_t *err)
{
    size_t i, n;

    for (i = 0; i < M2_CERT_NAMES; i++) {
        n = strlen(rows[i].word);
        if (strlen(word) > n && m2_slice_is_nocase(m2_slice(word, n), rows[i].word)) {
            cert->name = rows[i].name;
            cert->value = value_read(pool, cert->name, word + n);
            return cert->value ? M2_OK
                               : m2_err_set(err, M2_E_CONFIG, "\"%s\" is not a value of %s",
                                            word + n, rows[i].word);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "\"%s\" is not one of subject=DN, san-dns=NAME, "
                      "san-uri=URI, san-ip=ADDRESS, san-email=ADDRESS and x5t=THUMBPRINT",
                      word);
}

/* --- what a certificate says --- */

static int has_subject(apr_pool_t *pool, X509 *x509, const char *value)
{
    char text[SUBJECT_MAX];
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;

    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0,
                                  XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) > 0) {
        n = BIO_read(bio, text, sizeof(text) - 1);
    }
    BIO_free(bio);
    if (n <= 0 || n == (int)sizeof(text) - 1) {
        return 0;
    }
    text[n] = '\0';
    return strlen(text) == (size_t)n && strcmp(subject_fold(pool, text), value) == 0;
}

static int is_address(const ASN1_OCTET_STRING *bytes, const char *value)
{
    char shown[INET6_ADDRSTRLEN];
    const int n = ASN1_STRING_length(bytes);
    const int family = n == 4 ? AF_INET : n == 16 ? AF_INET6 : -1;

    return family >= 0
           && inet_ntop(family, ASN1_STRING_get0_data(bytes), shown, sizeof(shown))
           && strcmp(shown, value) == 0;
}

static int is_name(const GENERAL_NAME *name, const m2_client_cert_t *cert)
{
    int type;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(name, &type);
    m2_slice_t said;

    if (type != rows[cert->name].type) {
        return 0;
    }
    if (type == GEN_IPADD) {
        return is_address(text, cert->value);
    }
    said = m2_slice((const char *)ASN1_STRING_get0_data(text),
                    (apr_size_t)ASN1_STRING_length(text));
    return type == GEN_DNS ? m2_slice_is_nocase(said, cert->value)
                           : m2_slice_is(said, cert->value);
}

static int has_alternative(const m2_client_cert_t *cert, X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int i, found = 0;

    for (i = 0; !found && names && i < sk_GENERAL_NAME_num(names); i++) {
        found = is_name(sk_GENERAL_NAME_value(names, i), cert);
    }
    GENERAL_NAMES_free(names);
    return found;
}

int m2_client_cert_is(const m2_client_cert_t *cert, apr_pool_t *pool, m2_slice_t der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    const char *thumbprint;
    X509 *x509;
    int is;

    if (cert->name == M2_CERT_X5T) {
        thumbprint = m2_cert_thumbprint(pool, der);
        return thumbprint && strcmp(thumbprint, cert->value) == 0;
    }
    x509 = der.p ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    is = x509 && (cert->name == M2_CERT_SUBJECT ? has_subject(pool, x509, cert->value)
                                                : has_alternative(cert, x509));
    X509_free(x509);
    ERR_clear_error();
    return is;
}
