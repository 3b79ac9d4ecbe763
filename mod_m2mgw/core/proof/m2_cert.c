/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Three spellings, told apart by how they begin; each is brought to the alphabet of base64url,
 * so that there is one strict decoder. A document that OpenSSL does not read to its last byte as
 * one certificate counts as none: a hash of anything else would not match any key.
 */
#include "proof/m2_cert.h"

#include "text/m2_b64.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static m2_slice_t trim(m2_slice_t text)
{
    while (text.n && is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n && is_blank(text.p[text.n - 1])) {
        text.n--;
    }
    return text;
}

static int starts_with(m2_slice_t text, const char *prefix)
{
    const apr_size_t n = strlen(prefix);

    return text.n >= n && m2_slice_is(m2_slice(text.p, n), prefix);
}

static int ends_with(m2_slice_t text, const char *suffix)
{
    const apr_size_t n = strlen(suffix);

    return text.n >= n && m2_slice_is(m2_slice(text.p + text.n - n, n), suffix);
}

/* base64 with its padding (RFC 4648 4), blanks left out where they may stand */
static m2_slice_t decode(apr_pool_t *pool, m2_slice_t text, int with_blanks)
{
    char *copy = apr_palloc(pool, text.n + 1);
    m2_slice_t bytes = m2_slice(NULL, 0);
    apr_size_t i, n = 0, padding = 0;

    for (i = 0; i < text.n; i++) {
        const char c = text.p[i];

        if (with_blanks && is_blank(c)) {
            continue;
        }
        if (c == '-' || c == '_' || (padding && c != '=')) { /* of another alphabet */
            return bytes;
        }
        padding += c == '=';
        copy[n++] = (char)(c == '+' ? '-' : c == '/' ? '_' : c);
    }
    if (n % 4 || padding > 2
        || m2_b64_decode(&bytes, pool, m2_slice(copy, n - padding)) != M2_OK) {
        return m2_slice(NULL, 0);
    }
    return bytes;
}

static m2_slice_t decode_pem(apr_pool_t *pool, m2_slice_t text)
{
    const apr_size_t begin = sizeof(BEGIN) - 1, end = sizeof(END) - 1;

    if (!starts_with(text, BEGIN) || !ends_with(text, END) || text.n < begin + end) {
        return m2_slice(NULL, 0);
    }
    return decode(pool, m2_slice(text.p + begin, text.n - begin - end), 1);
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, apr_tolower(c)) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* A `+` is a plus sign: base64 uses it, and no encoder of certificates writes blanks as `+`. */
static m2_slice_t decode_percent(apr_pool_t *pool, m2_slice_t text)
{
    char *copy = apr_palloc(pool, text.n + 1);
    apr_size_t i, n = 0;

    for (i = 0; i < text.n; i++, n++) {
        copy[n] = text.p[i];
        if (text.p[i] == '%') {
            const int high = i + 2 < text.n ? digit_of(text.p[i + 1]) : -1;
            const int low = high < 0 ? -1 : digit_of(text.p[i + 2]);

            if (low < 0) {
                return m2_slice(NULL, 0);
            }
            copy[n] = (char)(high << 4 | low);
            i += 2;
        }
    }
    return m2_slice(copy, n);
}

static int is_certificate(m2_slice_t der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *certificate = der.p ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    const int whole = certificate && p == (const unsigned char *)der.p + der.n;

    X509_free(certificate);
    ERR_clear_error();
    return whole;
}

m2_slice_t m2_cert_read(apr_pool_t *pool, m2_slice_t text)
{
    m2_slice_t der = m2_slice(NULL, 0);

    if (!text.p || text.n > M2_MAX_CERT) {
        return der;
    }
    text = trim(text);
    if (text.n > 2 && text.p[0] == ':' && text.p[text.n - 1] == ':') {
        der = decode(pool, m2_slice(text.p + 1, text.n - 2), 0);
    }
    else {
        if (text.n && memchr(text.p, '%', text.n)) {
            text = trim(decode_percent(pool, text));
        }
        der = decode_pem(pool, text);
    }
    return is_certificate(der) ? der : m2_slice(NULL, 0);
}

const char *m2_cert_thumbprint(apr_pool_t *pool, m2_slice_t der)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    if (!der.p || EVP_Digest(der.p, der.n, hash, &n, EVP_sha256(), NULL) != 1) {
        ERR_clear_error();
        return NULL;
    }
    return m2_b64_encode(pool, m2_slice((const char *)hash, n));
}
