/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Lines and words of files with one entry a line.
 */
#include "unit.h"

#include "text/m2_lines.h"

static void test_lines(void **state)
{
    m2_slice_t rest = z("a b\r\n\n\rc\r\r\nlast");
    static const char *const lines[] = { "a b", "", "\rc\r", "last" };
    m2_slice_t line;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(m2_line_next(&rest, &line));
        assert_true(m2_slice_is(line, lines[i]));
    }
    assert_false(m2_line_next(&rest, &line));
    rest = z("one\n");
    assert_true(m2_line_next(&rest, &line));
    assert_false(m2_line_next(&rest, &line));
}

static void test_words(void **state)
{
    m2_slice_t rest = z(" \tone  two\tthree ");
    static const char *const words[] = { "one", "two", "three" };
    m2_slice_t word;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_true(m2_word_next(&rest, &word));
        assert_true(m2_slice_is(word, words[i]));
    }
    assert_false(m2_word_next(&rest, &word));
    assert_false(m2_word_next(&rest, &word));
}

/* Counts lines; "bad" is one that fails, "" has nothing in it. */
static m2_code_t count(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *error)
{
    assert_non_null(temp);
    if (m2_slice_is(line, "")) {
        return M2_E_NOT_FOUND;
    }
    if (m2_slice_is(line, "bad")) {
        return m2_err_set(error, M2_E_CONFIG, "it is bad");
    }
    ++*(int *)data;
    return M2_OK;
}

static m2_code_t read_all(int *pn, const char *text, apr_size_t longest)
{
    *pn = 0;
    clean();
    return m2_lines_read(pn, pool, count, z(text), longest, &err);
}

static void test_read(void **state)
{
    int n;

    (void)state;
    assert_int_equal(read_all(&n, "", 4), M2_OK);
    assert_int_equal(n, 0);
    assert_int_equal(read_all(&n, "1\n\n2\n34", 4), M2_OK);
    assert_int_equal(n, 3);
    assert_int_equal(read_all(&n, "1\n\nbad\n2", 4), M2_E_CONFIG);
    assert_int_equal(n, 1);
    assert_int_equal(err.line, 3);
    assert_string_equal(err.text, "it is bad");
}

static void test_length(void **state)
{
    int n;

    (void)state;
    assert_int_equal(read_all(&n, "1234\r\n", 4), M2_OK);
    assert_int_equal(read_all(&n, "1\n12345", 4), M2_E_CONFIG);
    assert_int_equal(err.line, 2);
    assert_string_equal(err.text, "the line is longer than 4 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_lines),
        unit(test_words),
        unit(test_read),
        unit(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
