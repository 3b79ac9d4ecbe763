/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words of M2MToken.
 */
#include "unit.h"

#include "token/m2_source.h"

static void test_token_source(void **state)
{
    static const char *const bad[] = { "", "header", "header:", "head:x", "query:",
                                       "query:a b", "cookie:a=b", "cookie:", "form:\n",
                                       "path:x", ":x", "header:a b", NULL };
    m2_token_source_t s;
    int i;

    (void)state;
    assert_int_equal(m2_token_source_parse(&s, pool, "Header:Authorization", NULL),
                     M2_OK);
    assert_int_equal(s.place, M2_TOKEN_HEADER);
    assert_string_equal(s.name, "Authorization");
    assert_int_equal(m2_token_source_parse(&s, pool, "query:id_token", NULL), M2_OK);
    assert_int_equal(m2_token_source_parse(&s, pool, "cookie:sid", NULL), M2_OK);
    assert_int_equal(m2_token_source_parse(&s, pool, "FORM:a", NULL), M2_OK);
    assert_int_equal(s.place, M2_TOKEN_FORM);
    for (i = 0; bad[i]; i++) {
        clean();
        if (m2_token_source_parse(&s, pool, bad[i], &err) != M2_E_CONFIG || !err.text) {
            fail_msg("source %s was not refused", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_token_source) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
