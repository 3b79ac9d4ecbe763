/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sets of names: a look-up finds what comparing with each name would find, and text is left
 * without them, or masked, and otherwise as it was.
 */
#include "request/m2_nameset.h"

#include "unit.h"

static m2_nameset_t *set_of(m2_reading_t reading, const char *a, const char *b)
{
    m2_nameset_t *names = m2_nameset_make(pool, reading);

    m2_nameset_add(names, a);
    if (b) {
        m2_nameset_add(names, b);
    }
    return names;
}

static void test_find(void **state)
{
    const m2_nameset_t *names = set_of(M2_READ_FORM, "client_id", "_method");

    (void)state;
    assert_string_equal(m2_nameset_find(names, m2_slice_z("Client.Id[]")), "client_id");
    assert_string_equal(m2_nameset_find(names, m2_slice_z(".method")), "_method");
    assert_string_equal(m2_nameset_find(names, m2_slice_z("_METHOD")), "_method");
    assert_string_equal(m2_nameset_find(names, m2_slice_z("c%u006cient_id")), "client_id");
    assert_null(m2_nameset_find(names, m2_slice_z("method")));
    assert_null(m2_nameset_find(names, m2_slice_z("")));
    assert_null(m2_nameset_find(names, m2_slice(NULL, 0)));
    assert_null(m2_nameset_find(NULL, m2_slice_z("client_id")));
    assert_null(m2_nameset_find(m2_nameset_make(pool, M2_READ_FORM), m2_slice_z("a")));
    names = set_of(M2_READ_FORM, "_", "__");
    assert_string_equal(m2_nameset_find(names, m2_slice_z(".")), "_");
    assert_string_equal(m2_nameset_find(names, m2_slice_z("-_")), "__");
    assert_null(m2_nameset_find(names, m2_slice_z("")));
}

static void test_find_header(void **state)
{
    const m2_nameset_t *names = set_of(M2_READ_HEADER, "X-Client-Id", "_x");

    (void)state;
    assert_string_equal(m2_nameset_find(names, m2_slice_z("x_client_id")), "X-Client-Id");
    assert_string_equal(m2_nameset_find(names, m2_slice_z("X!CLIENT'ID")), "X-Client-Id");
    assert_string_equal(m2_nameset_find(names, m2_slice_z("~X")), "_x");
    assert_null(m2_nameset_find(names, m2_slice_z("X-Client-Idx")));
    assert_null(m2_nameset_find(names, m2_slice_z("Y-Client-Id")));
}

/* The set and the plain comparison agree, with many names and many spellings. */
static void test_find_agrees(void **state)
{
    static const char *const around[][2] = {
        { "", "" },   { ".", "" }, { "%20", "" }, { "", "[]" }, { "", ".x" },
        { "x", "" },  { "", "x" }, { "[", "]" },  { "_", "" },  { "", "%00y" },
    };
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);
    int i, k;

    (void)state;
    for (i = 0; i < 300; i += 2) {
        m2_nameset_add(names, apr_psprintf(pool, "%sname%d", i % 3 ? "" : "_", i));
    }
    for (i = 0; i < 300; i++) {
        const char *name = apr_psprintf(pool, "%sname%d", i % 3 ? "" : "_", i);

        for (k = 0; k < 10; k++) {
            const char *raw = apr_pstrcat(pool, around[k][0], name, around[k][1], NULL);
            const char *found;
            int j, like = 0;

            for (j = 0; j < 300 && !like; j += 2) {
                like = m2_name_like(m2_slice_z(raw),
                                    apr_psprintf(pool, "%sname%d", j % 3 ? "" : "_", j),
                                    M2_READ_FORM);
            }
            found = m2_nameset_find(names, m2_slice_z(raw));
            assert_int_equal(found != NULL, like);
        }
    }
}

static int pick(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

static void assert_removed(const char *text, const char *expected)
{
    assert_string_equal(
        m2_nameset_remove(pool, text, pick, set_of(M2_READ_FORM, "client_id", "scope")),
        expected);
}

static void test_remove(void **state)
{
    (void)state;
    assert_removed("client_id=x", "");
    assert_removed("client_id=x&a=1", "a=1");
    assert_removed("a=1&client_id=x", "a=1");
    assert_removed("a=1&client_id=x&b=2", "a=1&b=2");
    assert_removed("a=1;client_id=x;b=2", "a=1;b=2");
    assert_removed("a=1;Client-Id=x&b=2", "a=1&b=2");
    assert_removed("client_id&scope&a", "a");
    assert_removed("x=%26client_id%3dy&scope[]=1&SCOPE=2", "x=%26client_id%3dy");
    assert_removed("client_id=x&&a=1&", "a=1");
    assert_removed("&&client_id=x&&", "");
    assert_removed("&a=1&&client_id=x;;b", "&a=1;;b");
    assert_removed("a=%2b+&.scope=1", "a=%2b+");
}

static void test_remove_nothing(void **state)
{
    const char *text = "&a=1&&b=%zz;c;";

    (void)state;
    assert_ptr_equal(m2_nameset_remove(pool, text, pick, set_of(M2_READ_FORM, "x", "y")), text);
    assert_null(m2_nameset_remove(pool, NULL, pick, set_of(M2_READ_FORM, "x", NULL)));
}

static const char *masked(const char *text)
{
    return m2_nameset_mask(pool, text, set_of(M2_READ_FORM, "id_token", "t"), "[redacted]");
}

static const char *masked_url(const char *text, int tail)
{
    return m2_nameset_mask_url(pool, text, tail ? strrchr(text, ' ') : NULL,
                               set_of(M2_READ_FORM, "id_token", "t"), "[redacted]");
}

static void test_mask_url(void **state)
{
    const char *line = "GET /t=1&t=2 HTTP/1.1";

    (void)state;
    assert_null(masked_url(NULL, 0));
    assert_ptr_equal(masked_url(line, 1), line);
    assert_string_equal(masked_url("GET /x?a=1&t=2 HTTP/1.1", 1), "GET /x?a=1&t=[redacted] HTTP/1.1");
    assert_string_equal(masked_url("GET /x?t=2", 1), "GET /x?t=[redacted]");
    assert_string_equal(masked_url("http://h/x?%74=2#3", 0), "http://h/x?%74=[redacted]");
    assert_string_equal(masked_url("http://h/x#id-token=2", 0), "http://h/x#id-token=[redacted]");
}

static void test_mask(void **state)
{
    const char *text = "a=1&idtoken=x&id_token&id_token=";

    (void)state;
    assert_string_equal(masked("id_token=abc"), "id_token=[redacted]");
    assert_string_equal(masked("a=1&id_token=abc&b=2"), "a=1&id_token=[redacted]&b=2");
    assert_string_equal(masked("%69d_token=abc;t=x"), "%69d_token=[redacted];t=[redacted]");
    assert_string_equal(masked("ID.Token[]=abc"), "ID.Token[]=[redacted]");
    assert_string_equal(masked("id_token=a=b=c"), "id_token=[redacted]");
    assert_ptr_equal(masked(text), text);
    assert_null(masked(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_find),        unit(test_find_header),
        unit(test_find_agrees), unit(test_remove),
        unit(test_remove_nothing), unit(test_mask),
        unit(test_mask_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
