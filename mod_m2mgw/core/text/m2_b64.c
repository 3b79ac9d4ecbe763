/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Four characters carry three bytes. A rest of two or three characters carries one or two,
 * and the bits left over must be zero: otherwise a signature would have several spellings.
 */
#include "text/m2_b64.h"

#include <arpa/inet.h>

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

/* The bits of a last group of 2 or 3 characters that carry nothing and must be zero. */
static const unsigned char spare[] = { 0, 0, 0x0f, 0x03 };

/* Three bytes of four characters, and a fourth one to be overwritten. NO has a bit no value
 * has: it shows in the result. */
static inline unsigned four(unsigned char *out, const unsigned char *in)
{
    const unsigned a = value_of[in[0]], b = value_of[in[1]], c = value_of[in[2]],
                   d = value_of[in[3]];
    const apr_uint32_t bytes = htonl(a << 26 | b << 20 | c << 14 | d << 8);

    memcpy(out, &bytes, sizeof(bytes));
    return a | b | c | d;
}

m2_code_t m2_b64_decode(m2_slice_t *pbytes, apr_pool_t *pool, m2_slice_t text)
{
    const unsigned char *in = (const unsigned char *)text.p;
    const apr_size_t groups = text.n / 4, rest = text.n % 4;
    unsigned char last[4] = { 'A', 'A', 'A', 'A' }, *out;
    unsigned seen = 0;
    apr_size_t i;

    *pbytes = m2_slice(NULL, 0);
    if (!text.p || rest == 1) {
        return M2_E_TOKEN_MALFORMED;
    }
    out = apr_palloc(pool, groups * 3 + 4);
    for (i = 0; i < groups; i++) {
        seen |= four(out + 3 * i, in + 4 * i);
    }
    if (rest) {
        memcpy(last, in + 4 * groups, rest);
        seen |= four(out + 3 * groups, last);
    }
    if ((seen & NO) || (rest && (value_of[last[rest - 1]] & spare[rest]))) {
        return M2_E_TOKEN_MALFORMED;
    }
    *pbytes = m2_slice((const char *)out, groups * 3 + (rest ? rest - 1 : 0));
    return M2_OK;
}

m2_code_t m2_b64_decode_any(m2_slice_t *pbytes, const char **podd, apr_pool_t *pool,
                            m2_slice_t text)
{
    char *plain = text.p ? apr_pmemdup(pool, text.p, text.n + 1) : NULL;
    apr_size_t i;

    *podd = NULL;
    for (i = 0; i < 2 && text.n && text.n % 4 == (i ? 3 : 0) && text.p[text.n - 1] == '='; i++) {
        text.n--;
        *podd = "padded";
    }
    for (i = 0; i < text.n; i++) {
        if (plain[i] == '+' || plain[i] == '/') {
            plain[i] = (char)(plain[i] == '+' ? '-' : '_');
            *podd = "in the standard alphabet";
        }
    }
    return m2_b64_decode(pbytes, pool, m2_slice(plain, text.n));
}

/* Four characters of three bytes. */
static inline void put_four(char *out, unsigned a, unsigned b, unsigned c)
{
    const unsigned bits = a << 16 | b << 8 | c;

    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = alphabet[bits >> 6 & 63];
    out[3] = alphabet[bits & 63];
}

char *m2_b64_encode(apr_pool_t *pool, m2_slice_t bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.p;
    const apr_size_t rest = bytes.n % 3;
    char *text = apr_palloc(pool, bytes.n / 3 * 4 + 5), *out = text;
    apr_size_t i;

    for (i = 0; i + 3 <= bytes.n; i += 3, out += 4) {
        put_four(out, in[i], in[i + 1], in[i + 2]);
    }
    if (rest) {
        put_four(out, in[i], rest == 2 ? in[i + 1] : 0, 0);
        out += rest + 1;
    }
    *out = '\0';
    return text;
}
