/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Four characters carry three bytes. A rest of two or three characters carries one or two,
 * and the bits left over must be zero: otherwise a signature would have several spellings.
 */
#include "m2_b64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#define NO 64 /* not a character of the alphabet */

/* clang-format off */
static const unsigned char value_of[256] = {
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,62,NO,NO,52,53,54,55,56,57,58,59,60,61,NO,NO,NO,NO,NO,NO,
    NO, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,NO,NO,NO,NO,63,
    NO,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,NO,NO,NO,NO,NO,
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,
    NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO,NO
};
/* clang-format on */

m2_code_t m2_b64_decode(m2_slice_t *pbytes, apr_pool_t *pool, m2_slice_t text)
{
    const unsigned char *in = (const unsigned char *)text.p;
    unsigned char *out;
    apr_size_t i, n = 0;
    apr_uint32_t bits = 0;
    unsigned held = 0; /* bits that wait for the rest of their byte: 0, 2, 4 or 6 */

    *pbytes = m2_slice(NULL, 0);
    if (!text.p || text.n % 4 == 1) {
        return M2_E_TOKEN_MALFORMED;
    }
    out = apr_palloc(pool, text.n / 4 * 3 + 3);
    for (i = 0; i < text.n; i++) {
        unsigned char v = value_of[in[i]];

        if (v == NO) {
            return M2_E_TOKEN_MALFORMED;
        }
        bits = (bits << 6 | v) & 0xfff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (unsigned char)(bits >> held & 0xff);
        }
    }
    if (bits & ((1u << held) - 1)) {
        return M2_E_TOKEN_MALFORMED;
    }
    *pbytes = m2_slice((const char *)out, n);
    return M2_OK;
}

int m2_b64_is(m2_slice_t text)
{
    static const unsigned char spare[] = { 0, 0, 0x0f, 0x03 }; /* bits of the last character */
    unsigned char v = 0;
    apr_size_t i;

    if (!text.p || text.n % 4 == 1) {
        return 0;
    }
    for (i = 0; i < text.n; i++) {
        v = value_of[(unsigned char)text.p[i]];
        if (v == NO) {
            return 0;
        }
    }
    return (v & spare[text.n % 4]) == 0;
}

char *m2_b64_encode(apr_pool_t *pool, m2_slice_t bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.p;
    char *text = apr_palloc(pool, bytes.n / 3 * 4 + 5);
    apr_uint32_t bits = 0;
    unsigned held = 0;
    apr_size_t i, n = 0;

    for (i = 0; i < bytes.n; i++) {
        bits = (bits << 8 | in[i]) & 0xffff;
        held += 8;
        while (held >= 6) {
            held -= 6;
            text[n++] = alphabet[bits >> held & 63];
        }
    }
    if (held) {
        text[n++] = alphabet[bits << (6 - held) & 63];
    }
    text[n] = '\0';
    return text;
}
