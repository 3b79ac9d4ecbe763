/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What is verified is written here, byte by byte: by way of OpenSSL's numbers and their encoder
 * it takes eleven allocations. What was signed comes from OpenSSL and is read by it.
 */
#include "key/m2_ecdsa.h"

#include <openssl/bn.h>
#include <openssl/ec.h>

#define INTEGER 0x02
#define SEQUENCE 0x30
#define LONG_LENGTH 0x81 /* the length follows in one byte */
#define HEAD 3           /* most bytes of a sequence before its numbers */

/* X.690 8.3: as few bytes as there can be, and a zero in front of what would be negative. Behind
 * it, or NULL for zero. */
static unsigned char *put_integer(unsigned char *at, const unsigned char *number, apr_size_t n)
{
    apr_size_t sign;

    while (n && !*number) {
        number++;
        n--;
    }
    if (!n) {
        return NULL;
    }
    sign = *number >> 7;
    at[0] = INTEGER;
    at[1] = (unsigned char)(sign + n);
    at[2] = 0;
    memcpy(at + 2 + sign, number, n);
    return at + 2 + sign + n;
}

int m2_ecdsa_to_der(m2_slice_t *pder, unsigned char *room, m2_slice_t raw)
{
    const unsigned char *numbers = (const unsigned char *)raw.p;
    const apr_size_t half = raw.n / 2;
    unsigned char *start = room + HEAD, *end = put_integer(start, numbers, half);
    apr_size_t n;

    end = end ? put_integer(end, numbers + half, half) : NULL;
    if (!end) {
        return 0;
    }
    n = (apr_size_t)(end - start);
    *--start = (unsigned char)n;
    if (n > 127) { /* X.690 8.1.3.5 */
        *--start = LONG_LENGTH;
    }
    *--start = SEQUENCE;
    *pder = m2_slice((const char *)start, (apr_size_t)(end - start));
    return 1;
}

int m2_ecdsa_from_der(unsigned char *out, apr_size_t size, m2_slice_t der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    const int half = (int)size / 2;
    int ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half) == half
             && BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half) == half;

    ECDSA_SIG_free(pair);
    return ok;
}
