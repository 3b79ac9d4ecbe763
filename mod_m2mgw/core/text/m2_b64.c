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

/* --- sixteen characters at once, in vectors that the compiler maps to what the machine has --- */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WIDE 16

typedef signed char chars_t __attribute__((vector_size(WIDE)));
typedef unsigned char values_t __attribute__((vector_size(WIDE)));
typedef apr_uint32_t fours_t __attribute__((vector_size(WIDE)));
typedef apr_uint64_t eights_t __attribute__((vector_size(WIDE)));

/* Twelve bytes of sixteen characters, and two more to be overwritten; *pgood loses what
 * stands for no value. A character is in a range of the alphabet when it is beyond an odd number
 * of ends; bytes beyond ASCII are negative, and beyond none. */
static inline void sixteen(unsigned char *out, const unsigned char *in, chars_t *pgood)
{
    chars_t c, digits, upper, lower, dash, line, away;
    apr_uint64_t first, second;
    eights_t bits;
    fours_t v;

    memcpy(&c, in, sizeof(c));
    digits = c > '0' - 1;
    upper = c > 'A' - 1;
    lower = c > 'a' - 1;
    dash = c == '-';
    line = c == '_';
    *pgood &= (digits ^ (c > '9') ^ upper ^ (c > 'Z') ^ lower ^ (c > 'z')) | dash | line;
    away = 52 - '0' + (upper & ('0' - 52 - 'A')) + (lower & ('A' + 26 - 'a'))
           + (dash & (62 - 52 + '0' - '-')) + (line & (63 + 'A' - '_'));
    /* of each four values in a word the first is lowest, and becomes highest */
    v = (fours_t)((values_t)c + (values_t)away);
    v = (v & 0x003f003f) << 6 | (v >> 8 & 0x003f003f);
    bits = (eights_t)(v << 12 | v >> 16);
    bits = bits << 40 | (bits >> 16 & 0xffffff0000);
    first = __builtin_bswap64(bits[0]);
    second = __builtin_bswap64(bits[1]);
    memcpy(out, &first, sizeof(first));
    memcpy(out + 6, &second, sizeof(second));
}

/* As many groups of four as make whole vectors; their number, and whether all were good. */
static apr_size_t decode_wide(unsigned char *out, const unsigned char *in, apr_size_t n,
                              int *pgood)
{
    const unsigned char *end = in + n / WIDE * WIDE;
    chars_t good = (chars_t){ 0 } == 0;
    eights_t all;

    for (; in < end; in += WIDE, out += WIDE / 4 * 3) {
        sixteen(out, in, &good);
    }
    all = (eights_t)good;
    *pgood = (all[0] & all[1]) == ~(apr_uint64_t)0;
    return n / WIDE * (WIDE / 4);
}
#else
static apr_size_t decode_wide(unsigned char *out, const unsigned char *in, apr_size_t n,
                              int *pgood)
{
    (void)out;
    (void)in;
    (void)n;
    *pgood = 1;
    return 0;
}
#endif

m2_code_t m2_b64_decode(m2_slice_t *pbytes, apr_pool_t *pool, m2_slice_t text)
{
    const unsigned char *in = (const unsigned char *)text.p;
    const apr_size_t groups = text.n / 4, rest = text.n % 4;
    unsigned char last[4] = { 'A', 'A', 'A', 'A' }, *out;
    unsigned seen = 0;
    apr_size_t i;
    int good;

    *pbytes = m2_slice(NULL, 0);
    if (!text.p || rest == 1) {
        return M2_E_TOKEN_MALFORMED;
    }
    out = apr_palloc(pool, groups * 3 + 4);
    for (i = decode_wide(out, in, text.n, &good); i < groups; i++) {
        seen |= four(out + 3 * i, in + 4 * i);
    }
    if (rest) {
        memcpy(last, in + 4 * groups, rest);
        seen |= four(out + 3 * groups, last);
    }
    if (!good || (seen & NO) || (rest && (value_of[last[rest - 1]] & spare[rest]))) {
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
