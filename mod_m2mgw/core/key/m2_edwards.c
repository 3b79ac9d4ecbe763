/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A key is the y of its point, little-endian, and in the highest bit the sign of x.
 *
 *   Ed25519   p = 2^255 - 19               x^2 = (y^2 - 1) / (d y^2 + 1),  d = -121665/121666
 *   Ed448     p = 2^448 - 2^224 - 1        x^2 = (y^2 - 1) / (d y^2 - 1),  d = -39081
 */
#include "key/m2_edwards.h"

#include <openssl/bn.h>

#include <string.h>

#define BYTES_25519 32
#define BYTES_448 57

/* one key, and the field that its curve is over */
typedef struct point_t {
    BN_CTX *ctx;
    BIGNUM *p, *y; /* y below p */
    int is_448;
    int is_canonical; /* y was below p as it came */
} point_t;

static int field_prime(point_t *point)
{
    BIGNUM *p = point->p, *half = BN_CTX_get(point->ctx);

    if (!half) {
        return 0;
    }
    BN_zero(p);
    BN_zero(half);
    if (!point->is_448) {
        return BN_set_bit(p, 255) && BN_sub_word(p, 19);
    }
    return BN_set_bit(p, 448) && BN_set_bit(half, 224) && BN_sub(p, p, half)
           && BN_sub_word(p, 1);
}

static int point_read(point_t *point, const unsigned char *key, apr_size_t n)
{
    unsigned char bytes[BYTES_448];

    point->is_448 = n == BYTES_448;
    point->p = BN_CTX_get(point->ctx);
    point->y = BN_CTX_get(point->ctx);
    memcpy(bytes, key, n);
    bytes[n - 1] &= 0x7f; /* the sign of x */
    if (!point->y || !field_prime(point) || !BN_lebin2bn(bytes, (int)n, point->y)) {
        return 0;
    }
    point->is_canonical = BN_cmp(point->y, point->p) < 0;
    return BN_nnmod(point->y, point->y, point->p, point->ctx);
}

/* Whether y is that of a point of order 8 on Ed25519: its double has the y 0, which comes to
 * 121666 (2 y^2 - 1) = 121665 y^4. */
static int is_order_8(const point_t *point)
{
    BN_CTX *ctx = point->ctx;
    BIGNUM *left = BN_CTX_get(ctx), *right = BN_CTX_get(ctx);

    return right && BN_mod_sqr(left, point->y, point->p, ctx)
           && BN_mod_sqr(right, left, point->p, ctx)
           && BN_mod_lshift1(left, left, point->p, ctx) && BN_sub_word(left, 1)
           && BN_mul_word(left, 121666) && BN_mul_word(right, 121665)
           && BN_mod_sub(left, left, right, point->p, ctx) && BN_is_zero(left);
}

/* RFC 8032 5.1.7 and 5.2.7 multiply the key by the challenge. Of a key of small order that is
 * one of a few points, so that one signature (R = 1, S = 0) fits many texts. Its y is 0, 1 or
 * -1, or that of a point of order 8. */
static int has_small_order(const point_t *point)
{
    BIGNUM *next = BN_CTX_get(point->ctx);

    return !next || !BN_copy(next, point->y) || !BN_add_word(next, 1)
           || BN_cmp(next, point->p) == 0 || BN_is_zero(point->y) || BN_is_one(point->y)
           || (!point->is_448 && is_order_8(point));
}

/* RFC 8032 5.1.3 and 5.2.3: numerator and denominator of x^2, each times the same factor. */
static int fraction(BIGNUM *u, BIGNUM *v, const point_t *point)
{
    const BN_ULONG a = point->is_448 ? 1 : 121666, d = point->is_448 ? 39081 : 121665;
    BIGNUM *square = BN_CTX_get(point->ctx);

    if (!square || !BN_mod_sqr(square, point->y, point->p, point->ctx)
        || !BN_copy(u, square) || !BN_sub_word(u, 1) || !BN_mul_word(u, a)
        || !BN_copy(v, square) || !BN_mul_word(v, d)) {
        return 0;
    }
    BN_set_negative(v, 1);
    return point->is_448 ? BN_sub_word(v, 1) : BN_add_word(v, a);
}

/* Whether there is an x: u / v is a square where u v is. v is never 0 on these curves. */
static int is_on_curve(const point_t *point)
{
    BIGNUM *u = BN_CTX_get(point->ctx), *v = BN_CTX_get(point->ctx);

    return v && fraction(u, v, point) && BN_mod_mul(u, u, v, point->p, point->ctx)
           && BN_kronecker(u, point->p, point->ctx) >= 0;
}

static const char *fault_of(const point_t *point)
{
    if (has_small_order(point)) {
        return "has a small order, so that anybody can sign for it";
    }
    if (!is_on_curve(point)) {
        return point->is_448 ? "is not on curve Ed448" : "is not on curve Ed25519";
    }
    return point->is_canonical ? NULL : "is encoded by a number that is too large for its curve";
}

const char *m2_edwards_fault(const unsigned char *key, apr_size_t n)
{
    point_t point = { BN_CTX_new(), NULL, NULL, 0, 0 };
    const char *fault = "cannot be read";

    if (point.ctx && (n == BYTES_25519 || n == BYTES_448)) {
        BN_CTX_start(point.ctx);
        fault = point_read(&point, key, n) ? fault_of(&point) : fault;
        BN_CTX_end(point.ctx);
    }
    BN_CTX_free(point.ctx);
    return fault;
}
