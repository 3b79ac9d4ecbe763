/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * gzip undone: whole, cut, damaged, and more than it may hold.
 */
#include "unit.h"

#include "text/m2_gzip.h"

#include <zlib.h>

static m2_slice_t pack(m2_slice_t text)
{
    z_stream s;
    char *out = apr_palloc(pool, text.n + 1000);

    memset(&s, 0, sizeof(s));
    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (Bytef *)(apr_uintptr_t)text.p;
    s.avail_in = (uInt)text.n;
    s.next_out = (Bytef *)out;
    s.avail_out = (uInt)(text.n + 1000);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return m2_slice(out, s.total_out);
}

static void test_undo(void **state)
{
    char *big = apr_palloc(pool, 100000);
    m2_slice_t packed, out;

    (void)state;
    memset(big, 'x', 100000);
    packed = pack(m2_slice(big, 100000));
    assert_true(m2_gzip_is(packed));
    assert_null(m2_gzip_undo(&out, pool, packed, 100000));
    assert_int_equal(out.n, 100000);
    assert_memory_equal(out.p, big, 100000);
    assert_string_equal(m2_gzip_undo(&out, pool, packed, 99999), "the gzip holds too much");
    assert_string_equal(m2_gzip_undo(&out, pool, m2_slice(packed.p, packed.n - 9), 100000),
                        "the gzip is broken");
    assert_null(m2_gzip_undo(&out, pool, pack(z("")), 10));
    assert_int_equal(out.n, 0);
}

static void test_not_gzip(void **state)
{
    m2_slice_t out;

    (void)state;
    assert_false(m2_gzip_is(z("{}")) || m2_gzip_is(z("\x1f\x8b")) || m2_gzip_is(z(NULL)));
    assert_string_equal(m2_gzip_undo(&out, pool, z("\x1f\x8b\x08 nonsense"), 100),
                        "the gzip is broken");
}

static void test_plain(void **state)
{
    m2_slice_t text = z("\xef\xbb\xbf{}");

    (void)state;
    assert_null(m2_gzip_plain(&text, pool, 5));
    assert_true(m2_slice_is(text, "{}"));
    assert_null(m2_gzip_plain(&text, pool, 2));
    assert_true(m2_slice_is(text, "{}"));
    assert_string_equal(m2_gzip_plain(&text, pool, 1), "it is larger than 1 bytes");
    text = pack(z("\xef\xbb\xbf[1]"));
    assert_null(m2_gzip_plain(&text, pool, 6));
    assert_true(m2_slice_is(text, "[1]"));
    text = pack(z("123456"));
    assert_string_equal(m2_gzip_plain(&text, pool, 5), "the gzip holds too much");
    text = z("\xef\xbb"); /* half a mark is none */
    assert_null(m2_gzip_plain(&text, pool, 5));
    assert_int_equal(text.n, 2);
    text = z(NULL);
    assert_null(m2_gzip_plain(&text, pool, 5));
    assert_int_equal(text.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_undo), unit(test_not_gzip), unit(test_plain) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
