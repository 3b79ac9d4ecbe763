/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Nonces: how long one is good, and that nobody without the key can make one.
 */
#include "unit.h"

#include "proof/m2_nonce.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define NOW apr_time_from_sec(1700000000) /* 20 s into a minute */
#define ROLE M2_NONCE_RESOURCE

static int good(const char *nonce, apr_time_t now)
{
    return m2_nonce_is_good(pool, z(KEY), ROLE, 60, z(nonce), now);
}

static void test_lifetime(void **state)
{
    const char *nonce = m2_nonce_make(pool, z(KEY), ROLE, 60, NOW);
    const apr_time_t begin = NOW - apr_time_from_sec(20);

    (void)state;
    assert_string_equal(nonce, m2_nonce_make(pool, z(KEY), ROLE, 60, begin));
    assert_string_equal(nonce,
                        m2_nonce_make(pool, z(KEY), ROLE, 60, begin + apr_time_from_sec(59)));
    assert_string_not_equal(
        nonce, m2_nonce_make(pool, z(KEY), ROLE, 60, begin + apr_time_from_sec(60)));
    assert_true(good(nonce, begin));
    assert_true(good(nonce, begin + apr_time_from_sec(119)));
    assert_false(good(nonce, begin + apr_time_from_sec(120)));
    assert_true(good(nonce, begin - apr_time_from_sec(60))); /* another machine's clock */
    assert_false(good(nonce, begin - apr_time_from_sec(61)));
}

static void test_others(void **state)
{
    const char *nonce = m2_nonce_make(pool, z(KEY), ROLE, 60, NOW);
    const char *other = m2_nonce_make(pool, z("another key of thirty-two bytes!"), ROLE, 60, NOW);
    const char *issuer = m2_nonce_make(pool, z(KEY), M2_NONCE_ISSUER, 60, NOW);

    (void)state;
    assert_true(good(nonce, NOW));
    assert_false(good(other, NOW));
    assert_false(good(issuer, NOW));
    assert_true(m2_nonce_is_good(pool, z(KEY), M2_NONCE_ISSUER, 60, z(issuer), NOW));
}

static void test_spoilt(void **state)
{
    char *nonce = apr_pstrdup(pool, m2_nonce_make(pool, z(KEY), ROLE, 60, NOW));
    size_t i;

    (void)state;
    for (i = 0; nonce[i]; i++) {
        const char was = nonce[i];

        nonce[i] = was == 'A' ? 'B' : 'A';
        assert_false(good(nonce, NOW));
        nonce[i] = was;
    }
    assert_true(good(nonce, NOW));
    assert_false(good("", NOW));
    assert_false(good("AAAA", NOW));
    assert_false(good(apr_pstrcat(pool, nonce, "AAAA", NULL), NOW));
    assert_false(m2_nonce_is_good(pool, z(KEY), ROLE, 60, m2_slice(NULL, 0), NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_lifetime),
        unit(test_others),
        unit(test_spoilt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
