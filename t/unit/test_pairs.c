/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Values found by name, and what makes them unclear: each table row is a text, and what is to
 * be known about the name tenant in it.
 */
#include "request/m2_pairs.h"

#include "unit.h"

enum { ALIKE = M2_UNCLEAR_ALIKE, DIFFERS = M2_UNCLEAR_DIFFERS, CUT = M2_UNCLEAR_CUT,
       EDGE = M2_UNCLEAR_EDGE, COOKIE = M2_UNCLEAR_COOKIE };

typedef struct row_t {
    const char *text, *value; /* NULL: there is none */
    unsigned unclear;
} row_t;

static m2_reply_t get(const char *text, m2_reading_t reading, const char *name)
{
    return m2_pairs_get(m2_pairs_make(pool, m2_slice_z(text), reading), name);
}

static void check(const row_t *rows, apr_size_t n, m2_reading_t reading)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        const m2_reply_t reply = get(rows[i].text, reading, "tenant");
        const char *value = reply.value.p ? m2_slice_dup(pool, reply.value) : NULL;

        if (reply.unclear != rows[i].unclear || !value != !rows[i].value
            || (value && strcmp(value, rows[i].value) != 0)) {
            fail_msg("%s: value %s, unclear %u", rows[i].text, value ? value : "(none)",
                     reply.unclear);
        }
    }
}

static void test_form(void **state)
{
    static const row_t rows[] = {
        { "tenant=mine", "mine", 0 },
        { "a=1&tenant=mine&b=2", "mine", 0 },
        { "%74enant=mi+n%65", "mi ne", 0 },
        { "tenant=mine&tenant=mine", "mine", 0 },
        { "tenant", "", 0 },
        { "tenant=", "", 0 },
        { "tenants=x&a=1", NULL, 0 },
        { "", NULL, 0 },
        { "a;b=1&tenant=mine", "mine", 0 },            /* a ';' elsewhere is nobody's business */
        { "tenant=%3Bx", ";x", 0 },
        { "tenant=mine&tenant=theirs", "mine", DIFFERS },
        { "tenant=mine&tenant", "mine", DIFFERS },
        { "tenant=mine&+tenant=theirs", "mine", ALIKE },
        { "tenant=mine&Tenant=mine", "mine", ALIKE },
        { "tenant[]=theirs", NULL, ALIKE },
        { "tenant%00=theirs", NULL, ALIKE },
        { ".tenant=theirs&tenant=mine", "mine", ALIKE },
        { "a=1;tenant=theirs&tenant=mine", "mine", ALIKE },
        { "a=1;tenant=theirs", NULL, ALIKE },
        { "tenant;x=1", NULL, ALIKE },
        { "tenant=1;DROP+TABLE", "1;DROP TABLE", CUT },
        { "tenant=1;&a=1", "1;", CUT },
        { "tenant=1;tenant=1", "1;tenant=1", CUT | ALIKE },
        { "tenant=+mine", " mine", EDGE },
        { "tenant=mine%0A", "mine\n", EDGE },
        { "tenant=mine%C2%A0", "mine\xc2\xa0", EDGE },
        { "tenant=%C2%85mine", "\xc2\x85mine", EDGE },
        { "tenant=mine%A0", "mine\xa0", EDGE },
        { "tenant=%85", "\x85", EDGE },
        { "tenant=voil%C3%A0", "voil\xc3\xa0", 0 },    /* a letter that ends with that byte */
        { "tenant=%D1%85", "\xd1\x85", 0 },
        { "tenant=a+b", "a b", 0 },
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]), M2_READ_FORM);
}

static void test_cookies(void **state)
{
    static const row_t rows[] = {
        { "tenant=mine", "mine", 0 },
        { "a=1; tenant=mine; b=2", "mine", 0 },
        { "a=1;\ttenant=mine ;b=2", "mine", 0 },
        { "tenant=mine; tenant=mine", "mine", 0 },
        { "tenant=a=b", "a=b", 0 },
        { "tenant=", "", 0 },
        { "tenant", "", COOKIE }, /* a name alone is an empty cookie to PHP */
        { "tenant; tenant=mine", "", COOKIE | DIFFERS },
        { "a; tenant=mine; b", "mine", 0 },
        { "prefs={\"a\":1}; tenant=mine", "mine", 0 },
        { "a=\"x\"; tenant=mine", "mine", 0 },
        { "a=x\"; tenant=mine", "mine", 0 },
        { "tenant.0=x; tenant.1=y", NULL, 0 },
        { "tenant.sig=x; tenant=mine", "mine", 0 },
        { "tenant=mine; tenant=theirs", "mine", DIFFERS },
        { "a=b tenant=theirs", NULL, ALIKE },
        { "a=b\ttenant=theirs; tenant=mine", "mine", ALIKE },
        { "a=b,tenant=theirs", NULL, ALIKE },
        { "a=1, tenant=mine", "mine", COOKIE },
        { "tenant=mine, a=1", "mine", COOKIE },
        { "a=\"x; tenant=mine; y=\"", "mine", COOKIE },
        { "a=\"x\\\"; tenant=mine", "mine", COOKIE },
        { "a=\"; tenant=mine", "mine", COOKIE },
        { "tenant=\"mine\"", "\"mine\"", COOKIE },
        { "tenant=%6Dine", "%6Dine", COOKIE },
        { "tenant=mi+ne", "mi+ne", COOKIE },
        { "tenant=mi ne", "mi ne", COOKIE },
        { "tenant=mi,ne", "mi,ne", COOKIE },
        { "tenant=mi\\ne", "mi\\ne", COOKIE },
        { "tenant =mine", "mine", COOKIE },
        { "tenant= mine", "mine", COOKIE },
        { "Tenant=theirs", NULL, ALIKE },
        { "tenant[]=theirs", NULL, ALIKE },
        { "%74enant=theirs", NULL, ALIKE },
        { "ten.ant=theirs; a=1", NULL, 0 },
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]), M2_READ_COOKIE);
    assert_int_equal(get("client.id=F", M2_READ_COOKIE, "client_id").unclear, ALIKE);
}

static void test_headers(void **state)
{
    m2_pairs_t *pairs = m2_pairs_make(pool, m2_slice(NULL, 0), M2_READ_HEADER);
    m2_reply_t reply;

    (void)state;
    m2_pairs_add(pairs, "x-tenant", "mine");
    m2_pairs_add(pairs, "X-Other", "o");
    reply = m2_pairs_get(pairs, "X-Tenant");
    assert_true(m2_slice_is(reply.value, "mine"));
    assert_int_equal(reply.unclear, 0);
    m2_pairs_add(pairs, "X_Tenant", "theirs");
    assert_int_equal(m2_pairs_get(pairs, "X-Tenant").unclear, ALIKE);
    assert_int_equal(m2_pairs_get(pairs, "X-Other").unclear, 0);
    assert_null(m2_pairs_get(pairs, "X-None").value.p);
    m2_pairs_add(pairs, "X-Edge", "voil\xa0");
    assert_int_equal(m2_pairs_get(pairs, "X-Edge").unclear, EDGE);
}

/* what the search for tokens counts */
static void test_counts(void **state)
{
    m2_reply_t reply = get("t=&t=x&t=x&T=y&T=&a=1;t=z", M2_READ_FORM, "t");

    (void)state;
    assert_int_equal(reply.count, 2);
    assert_int_equal(reply.alike, 2);
    assert_true(m2_slice_is(reply.first, "x"));
    assert_true(m2_slice_is(reply.value, ""));
    reply = get("t=x", M2_READ_COOKIE, "u");
    assert_int_equal(reply.count + reply.alike, 0);
}

/* Many pairs: each is found where it is, in order, through every growth of the index. */
static void test_many(void **state)
{
    char *text = apr_pstrdup(pool, "");
    const m2_pairs_t *pairs;
    int i;

    (void)state;
    for (i = 0; i < 500; i++) {
        text = apr_psprintf(pool, "%s&n%d=%d", text, i, i);
    }
    text = apr_pstrcat(pool, text, "&n7=again", NULL);
    pairs = m2_pairs_make(pool, m2_slice_z(text), M2_READ_FORM);
    for (i = 0; i < 500; i++) {
        const m2_reply_t reply = m2_pairs_get(pairs, apr_psprintf(pool, "n%d", i));

        assert_true(m2_slice_is(reply.value, apr_itoa(pool, i)));
        assert_int_equal(reply.unclear, i == 7 ? DIFFERS : 0);
    }
    assert_true(m2_pairs_are_of(pairs, m2_slice_z(text)));
    assert_false(m2_pairs_are_of(pairs, m2_slice_z("n1=1")));
    assert_null(m2_pairs_get(NULL, "a").value.p);
    assert_null(m2_pairs_get(m2_pairs_make(pool, m2_slice(NULL, 0), M2_READ_FORM), "a").value.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_form),    unit(test_cookies),
        unit(test_headers), unit(test_counts),
        unit(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
