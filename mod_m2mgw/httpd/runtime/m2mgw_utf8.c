/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "httpd/runtime/m2mgw_utf8.h"

apr_size_t m2mgw_utf8_character(const char *text, apr_size_t n)
{
    /* of each first byte of more than one: which second bytes may follow */
    static const struct { unsigned char low, high, second_low, second_high; } leads[] = {
        { 0xc2, 0xdf, 0x80, 0xbf }, { 0xe0, 0xe0, 0xa0, 0xbf }, { 0xe1, 0xec, 0x80, 0xbf },
        { 0xed, 0xed, 0x80, 0x9f }, { 0xee, 0xef, 0x80, 0xbf }, { 0xf0, 0xf0, 0x90, 0xbf },
        { 0xf1, 0xf3, 0x80, 0xbf }, { 0xf4, 0xf4, 0x80, 0x8f },
    };
    const unsigned char *t = (const unsigned char *)text;
    const apr_size_t length = *t < 0x80 ? 1 : *t < 0xe0 ? 2 : *t < 0xf0 ? 3 : 4;
    apr_size_t i;

    if (length == 1 || length > n) {
        return length == 1;
    }
    for (i = 2; i < length; i++) {
        if ((t[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    for (i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (*t >= leads[i].low && *t <= leads[i].high && t[1] >= leads[i].second_low
            && t[1] <= leads[i].second_high) {
            return length;
        }
    }
    return 0;
}

const char *m2mgw_utf8(apr_pool_t *pool, const char *text)
{
    const apr_size_t all = strlen(text);
    apr_size_t left = all;
    char *copy, *to;

    while (left > 0 && m2mgw_utf8_character(text + all - left, left)) {
        left -= m2mgw_utf8_character(text + all - left, left);
    }
    if (left == 0) {
        return text;
    }
    copy = apr_palloc(pool, 3 * all + 1);
    memcpy(copy, text, all - left);
    to = copy + (all - left);
    for (text += all - left; left > 0;) {
        const apr_size_t length = m2mgw_utf8_character(text, left);

        memcpy(to, length ? text : "\xef\xbf\xbd", length ? length : 3);
        to += length ? length : 3;
        text += length ? length : 1;
        left -= length ? length : 1;
    }
    *to = '\0';
    return copy;
}

apr_size_t m2mgw_utf8_cut(const char *text, apr_size_t most)
{
    apr_size_t n = strnlen(text, most + 1);

    if (n <= most) {
        return n;
    }
    for (n = most; n > 0 && most - n < 3 && ((unsigned char)text[n] & 0xc0) == 0x80; n--) {
    }
    return n;
}

void m2mgw_utf8_copy(char *to, apr_size_t size, const char *text)
{
    const apr_size_t n = text ? m2mgw_utf8_cut(text, size - 1) : 0;

    if (n > 0) {
        memcpy(to, text, n);
    }
    to[n] = '\0';
}
