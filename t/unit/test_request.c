/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A request in plain values: each text is read once, as long as it is the same.
 */
#include "request/m2_request.h"

#include "unit.h"

static m2_request_t *request_make(void)
{
    m2_request_t *request = apr_pcalloc(pool, sizeof(*request));
    apr_table_t *headers = apr_table_make(pool, 4);

    request->pool = pool;
    request->method = "GET";
    request->query = "a=1&b=2";
    apr_table_set(headers, "Cookie", "c=3; d=4");
    apr_table_set(headers, "X-E", "5");
    apr_table_set(headers, "X-Forwarded-For", "10.0.0.1, 10.0.0.2");
    apr_table_set(headers, "Content-Type", "text/x; charset=utf-7");
    request->headers = headers;
    request->env = apr_table_make(pool, 1);
    return request;
}

static void test_places(void **state)
{
    m2_request_t *r = request_make();
    const m2_pairs_t *before;
    m2_reply_t reply;

    (void)state;
    assert_true(m2_slice_is(m2_request_query(r, "b").value, "2"));
    assert_true(m2_slice_is(m2_request_cookie(r, "c").value, "3"));
    assert_true(m2_slice_is(m2_request_header(r, "x-e").value, "5"));
    assert_null(m2_request_header(r, "X-F").value.p);
    assert_int_equal(m2_request_form(&reply, r, "a"), M2_OK);
    assert_null(reply.value.p);
    before = r->query_pairs;
    m2_request_query(r, "a");
    assert_ptr_equal(r->query_pairs, before);
    r->query = "b=3";
    assert_true(m2_slice_is(m2_request_query(r, "b").value, "3"));
    assert_false(m2_request_charset_is_plain(r));
}

static m2_code_t bad_form(m2_slice_t *pform, void *baton)
{
    (void)baton;
    *pform = m2_slice(NULL, 0);
    return M2_E_BODY_TOO_LARGE;
}

static m2_code_t good_form(m2_slice_t *pform, void *baton)
{
    return m2_request_form_of(pform, m2_slice_z(baton), M2_BODY_FORM);
}

static void test_form(void **state)
{
    m2_request_t *r = request_make();
    m2_reply_t reply;
    m2_slice_t form;

    (void)state;
    r->form = bad_form;
    assert_int_equal(m2_request_form(&reply, r, "a"), M2_E_BODY_TOO_LARGE);
    assert_null(reply.value.p);
    r->form = good_form;
    r->form_baton = apr_pstrdup(pool, "a=x");
    assert_int_equal(m2_request_form(&reply, r, "a"), M2_OK);
    assert_true(m2_slice_is(reply.value, "x"));
    assert_int_equal(m2_request_form_of(&form, z("a=1"), M2_BODY_UNTYPED), M2_E_RULE_ERROR);
    assert_int_equal(m2_request_form_of(&form, z(""), M2_BODY_UNTYPED), M2_OK);
    assert_int_equal(m2_request_form_of(&form, z("?"), M2_BODY_NONE), M2_OK);
    assert_int_equal(m2_request_form_of(&form, z("{}"), M2_BODY_OTHER), M2_OK);
    assert_null(form.p);
    assert_int_equal(m2_request_form_of(&form, z("x"), M2_BODY_CODED), M2_E_RULE_ERROR);
    assert_int_equal(m2_request_form_of(&form, z("x"), M2_BODY_MULTIPART), M2_E_RULE_ERROR);
    assert_int_equal(m2_request_form_of(&form, z("x"), M2_BODY_PLAIN), M2_E_RULE_ERROR);
}

static void test_xff(void **state)
{
    m2_request_t *r = request_make();

    (void)state;
    assert_string_equal(m2_request_xff(r, 0), "10.0.0.1");
    assert_string_equal(m2_request_xff(r, -1), "10.0.0.2");
    assert_null(m2_request_xff(r, 2));
    assert_null(m2_request_xff(r, -3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_places),
        unit(test_form),
        unit(test_xff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
