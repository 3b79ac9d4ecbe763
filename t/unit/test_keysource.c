/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What all sources of keys have in common: a document is replaced by a good one only, and
 * what was fetched counts for as long as somebody confirmed it.
 */
#include "unit.h"

#include "jwks/m2_keysource_int.h"

#define ED(kid)                                                                             \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"," \
    "\"kid\":\"" kid "\"}"

static m2_slot_t slot;
static m2_keysource_t source;

static void make(m2_keysource_kind_t kind)
{
    memset(&slot, 0, sizeof(slot));
    memset(&source, 0, sizeof(source));
    source.pool = pool;
    source.document = &m2_document_keys;
    source.kind = kind;
    source.document = &m2_document_keys;
    source.name = source.label = "x";
    source.slot = &slot;
    source.refresh = (m2_refresh_t){ 600, 60, 5, 60 };
}

static m2_code_t take(const char *text)
{
    return m2_keysource_take(&source, z(text), M2_JWK_PUBLIC | M2_JWK_QUIET,
                             M2_KEYSET_LENIENT, &err);
}

static void test_take(void **state)
{
    const m2_keyset_t *before;

    (void)state;
    make(M2_KEYSOURCE_URL);
    assert_null(m2_keysource_keys(&source));
    assert_int_equal(take(ED("one")), M2_OK);
    before = m2_keysource_keys(&source);
    assert_int_equal(before->keys->nelts, 1);
    assert_int_equal(slot.keys, 1);
    assert_string_equal(APR_ARRAY_IDX(before->keys, 0, m2_jwk_t *)->origin, "x");
    assert_int_equal(take("{\"keys\":[]}"), M2_E_CONFIG);
    assert_ptr_equal(m2_keysource_keys(&source), before);
    assert_int_equal(take(ED("two")), M2_OK);
    m2_generation_drop(source.current);
}

static void test_held(void **state)
{
    apr_pool_t *holder;
    m2_generation_t *held;

    (void)state;
    make(M2_KEYSOURCE_URL);
    assert_int_equal(take(ED("one")), M2_OK);
    held = source.current;
    apr_pool_create_unmanaged(&holder);
    m2_generation_hold(holder, held);
    assert_int_equal(take(ED("two")), M2_OK);
    assert_int_equal(held->holders, 1); /* the source let go of it, holder did not */
    apr_pool_destroy(holder);
    m2_generation_drop(source.current);
}

static void test_judge(void **state)
{
    const apr_time_t t = apr_time_from_sec(1000000);

    (void)state;
    make(M2_KEYSOURCE_URL);
    assert_int_equal(apr_time_sec(m2_keysource_lifetime(&source)), 610); /* ttl + 2 timeouts */
    source.refresh.max_stale = 3600;
    assert_int_equal(apr_time_sec(m2_keysource_lifetime(&source)), 3600);
    assert_int_equal(take(ED("one")), M2_OK);
    m2_keysource_judge(&source, t);
    assert_false(source.usable || source.dirty); /* nobody confirmed it yet */
    m2_slot_set(&slot.checked, (apr_uint64_t)t);
    m2_keysource_judge(&source, t + apr_time_from_sec(3600));
    assert_true(source.usable && source.dirty);
    m2_keysource_judge(&source, t + apr_time_from_sec(3601));
    assert_false(source.usable);
    source.kind = M2_KEYSOURCE_FILE;
    m2_keysource_judge(&source, t + apr_time_from_sec(3601));
    assert_true(source.usable); /* a file keeps its last good set */
    m2_generation_drop(source.current);
}

static void test_note(void **state)
{
    (void)state;
    make(M2_KEYSOURCE_URL);
    assert_true(m2_keysource_note(&source, 7));
    assert_false(m2_keysource_note(&source, 7));
    assert_true(m2_keysource_note(&source, 8));
    m2_keysource_set_fault(&source, "short");
    assert_string_equal(slot.fault, "short");
    m2_keysource_set_fault(&source, apr_pstrcat(pool, apr_psprintf(pool, "%0900d", 1), NULL));
    assert_int_equal(strlen(slot.fault), M2_FAULT_BYTES - 1);
}

static void test_refresh(void **state)
{
    const m2_refresh_t one = { 600, 60, 5, 60 }, two = { 601, 60, 5, 60 };

    (void)state;
    make(M2_KEYSOURCE_URL);
    source.refresh.ttl = 0;
    assert_int_equal(m2_keysource_refresh(&source, &one, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(&source, &one, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(&source, &two, &err), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "two refresh policies"));
    source.kind = M2_KEYSOURCE_FILE;
    assert_int_equal(m2_keysource_refresh(&source, &two, NULL), M2_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_take), unit(test_held), unit(test_judge),
                                        unit(test_note), unit(test_refresh) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
