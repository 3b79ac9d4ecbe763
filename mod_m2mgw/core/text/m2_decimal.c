/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Digits are compared where they stand. Zeros that say nothing are cut off while reading,
 * so that the longer whole part is the larger one and equal numbers have equal bytes.
 */
#include "text/m2_decimal.h"

static m2_slice_t take_digits(m2_slice_t *rest)
{
    m2_slice_t digits = m2_slice(rest->p, 0);

    while (digits.n < rest->n && rest->p[digits.n] >= '0' && rest->p[digits.n] <= '9') {
        digits.n++;
    }
    *rest = m2_slice(rest->p + digits.n, rest->n - digits.n);
    return digits;
}

int m2_decimal_read(m2_decimal_t *decimal, m2_slice_t text)
{
    m2_slice_t rest = text;
    int negative = text.n > 0 && text.p[0] == '-';

    rest = m2_slice(rest.p + negative, rest.n - (apr_size_t)negative);
    decimal->whole = take_digits(&rest);
    decimal->part = m2_slice(rest.p, 0);
    if (!decimal->whole.n) {
        return 0;
    }
    if (rest.n && rest.p[0] == '.') {
        rest = m2_slice(rest.p + 1, rest.n - 1);
        decimal->part = take_digits(&rest);
        if (!decimal->part.n) {
            return 0;
        }
    }
    while (decimal->whole.n && decimal->whole.p[0] == '0') {
        decimal->whole = m2_slice(decimal->whole.p + 1, decimal->whole.n - 1);
    }
    while (decimal->part.n && decimal->part.p[decimal->part.n - 1] == '0') {
        decimal->part.n--;
    }
    decimal->negative = negative && (decimal->whole.n || decimal->part.n);
    return rest.n == 0;
}

static int cmp_bytes(m2_slice_t a, m2_slice_t b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int cmp_size(const m2_decimal_t *a, const m2_decimal_t *b)
{
    int order = (a->whole.n > b->whole.n) - (a->whole.n < b->whole.n);

    if (!order) {
        order = cmp_bytes(a->whole, b->whole);
    }
    return order ? order : cmp_bytes(a->part, b->part);
}

int m2_decimal_cmp(const m2_decimal_t *a, const m2_decimal_t *b)
{
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    return a->negative ? cmp_size(b, a) : cmp_size(a, b);
}
