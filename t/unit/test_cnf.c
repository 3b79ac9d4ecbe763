/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The claim cnf: what binds, what is nothing, and what is a fault.
 */
#include "unit.h"

#include "proof/m2_cnf.h"

#define JKT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" /* RFC 9449 6.1 */
#define X5T "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" /* RFC 8705 3.1 */

static m2_code_t read_cnf(m2_cnf_t *cnf, const char *claims)
{
    const m2_json_t *json;
    m2_code_t code;

    clean();
    assert_int_equal(m2_json_parse(&json, pool, z(claims), M2_E_CONFIG, &err), M2_OK);
    code = m2_cnf_read(cnf, json, &err);
    assert_true(code == M2_OK || err.text);
    return code;
}

static void test_good(void **state)
{
    m2_cnf_t cnf;

    (void)state;
    assert_int_equal(read_cnf(&cnf, "{}"), M2_OK);
    assert_false(cnf.present || cnf.jkt.p || cnf.x5t.p);
    assert_int_equal(read_cnf(&cnf, "{\"cnf\":null}"), M2_OK);
    assert_false(cnf.present);
    assert_int_equal(read_cnf(&cnf, "{\"cnf\":{}}"), M2_OK);
    assert_true(cnf.present && !cnf.jkt.p && !cnf.x5t.p);
    assert_int_equal(read_cnf(&cnf, "{\"cnf\":{\"kid\":\"a\",\"jwk\":{}}}"), M2_OK);
    assert_true(cnf.present && !cnf.jkt.p && !cnf.x5t.p);
    assert_int_equal(read_cnf(&cnf, "{\"cnf\":{\"jkt\":\"" JKT "\",\"kid\":1}}"), M2_OK);
    assert_true(cnf.present && m2_slice_is(cnf.jkt, JKT) && !cnf.x5t.p);
    assert_int_equal(read_cnf(&cnf, "{\"cnf\":{\"x5t#S256\":\"" X5T "\",\"jkt\":\"" JKT "\"}}"),
                     M2_OK);
    assert_true(m2_slice_is(cnf.jkt, JKT) && m2_slice_is(cnf.x5t, X5T));
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "{\"cnf\":\"" JKT "\"}", "{\"cnf\":[]}", "{\"cnf\":1}", "{\"cnf\":true}",
        "{\"cnf\":{\"jkt\":null}}", "{\"cnf\":{\"jkt\":1}}", "{\"cnf\":{\"jkt\":\"\"}}",
        "{\"cnf\":{\"jkt\":[\"" JKT "\"]}}", "{\"cnf\":{\"jkt\":\"" JKT "A\"}}",
        "{\"cnf\":{\"jkt\":\"0ZcOCORZNYy+DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"}}",
        "{\"cnf\":{\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4\"}}",
        "{\"cnf\":{\"jkt\":\"" JKT "\",\"x5t#S256\":\"short\"}}",
    };
    m2_cnf_t cnf;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_cnf(&cnf, bad[i]), M2_E_CLAIM_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_good), unit(test_bad) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
