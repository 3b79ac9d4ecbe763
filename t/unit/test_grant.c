/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Grants: what lines mean, what a client gets for what it asks, and that nothing that was
 * not granted is ever given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oauth/m2_grant.h"

#define API "https://api.example.com"

static apr_pool_t *pool;
static m2_err_t err;

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    return apr_pool_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static m2_grants_t *table(const char *text)
{
    m2_grants_t *grants = m2_grants_make(pool);

    m2_err_init(&err, pool);
    assert_int_equal(m2_grants_parse(grants, m2_slice_z(text), &err), M2_OK);
    return grants;
}

/* the line a text is refused at, 0 when it is not */
static int bad_line(const char *text)
{
    m2_grants_t *grants = m2_grants_make(pool);
    m2_code_t rc;

    m2_err_init(&err, pool);
    rc = m2_grants_parse(grants, m2_slice_z(text), &err);
    if (rc == M2_OK) {
        return 0;
    }
    assert_int_equal(rc, M2_E_CONFIG);
    assert_non_null(err.text);
    return err.line;
}

/* permissions given, or "!" for a scope and "?" for a resource that is refused */
static const char *ask_at(const m2_grants_t *grants, const char *client, const char *wanted,
                          const char *resource)
{
    m2_scope_t scope;
    m2_code_t rc;

    m2_err_init(&err, pool);
    rc = m2_grants_resolve(&scope, pool, grants, client, m2_slice_z(wanted), resource, &err);
    if (rc != M2_OK) {
        assert_true(rc == M2_E_INSUFFICIENT_SCOPE || rc == M2_E_AUDIENCE_MISMATCH);
        assert_non_null(err.text);
        return rc == M2_E_INSUFFICIENT_SCOPE ? "!" : "?";
    }
    return scope.permissions;
}

static const char *ask(const m2_grants_t *grants, const char *client, const char *wanted)
{
    return ask_at(grants, client, wanted, NULL);
}

static const char *repeat(const char *word, int n, const char *between)
{
    apr_array_header_t *list = apr_array_make(pool, n, sizeof(const char *));

    while (n--) {
        APR_ARRAY_PUSH(list, const char *) = apr_psprintf(pool, "%s%d", word, n);
    }
    return apr_psprintf(pool, "%s%s", apr_array_pstrcat(pool, list, *between), "");
}

static const char *long_word(int n)
{
    char *word = apr_palloc(pool, (apr_size_t)n + 1);

    memset(word, 'x', (apr_size_t)n);
    word[n] = '\0';
    return word;
}

static void lines(void **state)
{
    m2_grants_t *grants = table("# who may what\n"
                                "\n"
                                "   \t \r\n"
                                API " app_a user:read:one user:read:two\r\n"
                                "\t" API "\tapp_b\tuser:read:one\n"
                                "  # more\n"
                                "api://other app_a x");

    (void)state;
    assert_int_equal(m2_grants_count(grants), 3);
    assert_string_equal(ask(grants, "app_a", API "|user:read:two"), "user:read:two");
    assert_string_equal(ask(grants, "app_b", API "|user:read:one"), "user:read:one");
    assert_string_equal(ask(grants, "app_a", "api://other|x"), "x");
    assert_int_equal(m2_grants_count(table("")), 0);
    assert_int_equal(m2_grants_count(table("# nothing")), 0);
}

static void bad_lines(void **state)
{
    (void)state;
    assert_int_equal(bad_line("a b c\n"), 0); /* control */
    assert_int_equal(bad_line("a b c\n#\n\na b\n"), 4);
    assert_int_equal(bad_line("a\n"), 1);
    assert_int_equal(bad_line("a b:c d\n"), 1);
    assert_int_equal(bad_line("a|b c d\n"), 1);
    assert_int_equal(bad_line("a b|c d\n"), 1);
    assert_int_equal(bad_line("a b c|d\n"), 1);
    assert_int_equal(bad_line("a b c\na b .all\n"), 2);
    assert_non_null(strstr(err.text, ".all"));
    assert_int_equal(bad_line("a b c\"\n"), 1);
    assert_int_equal(bad_line("a b c\\\n"), 1);
    assert_int_equal(bad_line("a b #c\n"), 1);
    assert_int_equal(bad_line("a b c\x7f\n"), 1);
    assert_int_equal(bad_line("a b \xc3\xa9\n"), 1);
    assert_int_equal(bad_line("a b c\rd\n"), 1);
    assert_int_equal(bad_line("\xef\xbb\xbf# mark\n"), 0); /* a byte order mark in front is none */
    assert_int_equal(bad_line("\xef\xbb\xbfx\n"), 1);
    assert_int_equal(bad_line("a b c\n\xef\xbb\xbf# mark\n"), 2);
    assert_int_equal(bad_line(apr_pstrcat(pool, "a b ", long_word(255), NULL)), 0);
    assert_int_equal(bad_line(apr_pstrcat(pool, "a b ", long_word(256), NULL)), 1);
    assert_int_equal(bad_line(apr_pstrcat(pool, "a b ", long_word(17000), NULL)), 1);
    assert_non_null(strstr(err.text, "16384"));
    assert_int_equal(bad_line(apr_pstrcat(pool, "a b ", repeat("p", 256, " "), NULL)), 0);
    assert_int_equal(bad_line(apr_pstrcat(pool, "a b ", repeat("p", 257, " "), NULL)), 1);
}

static void nul_in_file(void **state)
{
    static const char text[] = "a b c\na b d\0e\n";
    m2_grants_t *grants = m2_grants_make(pool);

    (void)state;
    m2_err_init(&err, pool);
    assert_int_equal(m2_grants_parse(grants, m2_slice(text, sizeof(text) - 1), &err),
                     M2_E_CONFIG);
    assert_int_equal(err.line, 2);
}

static void only_what_is_granted(void **state)
{
    m2_grants_t *grants = table(API " app_a user:read:one user:read:two\n"
                                API " app_b admin\n");

    (void)state;
    assert_string_equal(ask(grants, "app_a", API "|user:read:one"), "user:read:one");
    assert_string_equal(ask(grants, "app_a", API "|user:read:one2"), "!");
    assert_string_equal(ask(grants, "app_a", API "|user:read:on"), "!");
    assert_string_equal(ask(grants, "app_a", API "|User:read:one"), "!");
    assert_string_equal(ask(grants, "app_a", API "|admin"), "!");
    assert_string_equal(ask(grants, "app_a", API "|user:read:one " API "|admin"), "!");
    assert_string_equal(ask(grants, "app_b", API "|admin"), "admin");
    assert_string_equal(ask(grants, "app_c", API "|admin"), "!");
    assert_string_equal(ask(grants, "APP_A", API "|user:read:one"), "!");
    assert_string_equal(ask(grants, "", API "|admin"), "!");
    assert_string_equal(ask(grants, "app_a", API "/|user:read:one"), "!");
}

static void forms_of_scope(void **state)
{
    m2_grants_t *grants = table(API " app_a one two\napi://b app_a one\n");

    (void)state;
    assert_string_equal(ask(grants, "app_a", API "|two " API "|one"), "two one");
    assert_string_equal(ask(grants, "app_a", "  " API "|one   " API "|one "), "one");
    assert_string_equal(ask(grants, "app_a", "api://b|one"), "one"); /* control */
    assert_string_equal(ask(grants, "app_a", API "|one api://b|one"), "!");
    assert_string_equal(ask(grants, "app_a", "one"), "!");
    assert_string_equal(ask(grants, "app_a", API), "!");
    assert_string_equal(ask(grants, "app_a", API "|"), "!");
    assert_string_equal(ask(grants, "app_a", "|one"), "!");
    assert_string_equal(ask(grants, "app_a", API "|one|two"), "!");
    assert_string_equal(ask(grants, "app_a", "|"), "!");
    assert_string_equal(ask(grants, "app_a", ""), "!");
    assert_string_equal(ask(grants, "app_a", NULL), "!");
    assert_string_equal(ask(grants, "app_a", "   "), "!");
    assert_string_equal(ask(grants, "app_a", API "|one\n" API "|two"), "!");
    assert_string_equal(ask(grants, "app_a", API "|one\xc3\xa9"), "!");
    assert_string_equal(ask(grants, "app_a", API "|\"one"), "!");
}

static void everything(void **state)
{
    m2_grants_t *grants = table(API " app_a one two\n" API " app_a three one\n");

    (void)state;
    assert_string_equal(ask(grants, "app_a", API "|.all"), "one two three");
    assert_string_equal(ask(grants, "app_a", API "|three " API "|.all"), "three one two");
    assert_string_equal(ask(grants, "app_a", API "|.all " API "|bogus"), "!");
    assert_string_equal(ask(grants, "app_b", API "|.all"), "!");
    assert_string_equal(ask(grants, "app_a", "api://b|.all"), "!");
    assert_string_equal(ask(grants, "app_a", API "|.ALL"), "!");
    assert_string_equal(ask(grants, "app_a", ".all"), "!");
}

static void answer_in_both_forms(void **state)
{
    m2_grants_t *grants = table(API " app_a one two\n");
    m2_scope_t scope;

    (void)state;
    m2_err_init(&err, pool);
    assert_int_equal(m2_grants_resolve(&scope, pool, grants, "app_a",
                                       m2_slice_z(API "|.all"), NULL, &err),
                     M2_OK);
    assert_string_equal(scope.audience, API);
    assert_string_equal(scope.permissions, "one two");
    assert_string_equal(scope.scope, API "|one " API "|two");
}

/* RFC 8707: resource names the audience */
static void resources(void **state)
{
    m2_grants_t *grants = table(API " a one two\napi://b a three\nplain a four\n");
    static const char *const bad[] = { "", "plain", "api.example.com/x", "https:", ":x",
                                       API "#f", API "#", "1a:b", "a b:c", "https://x y" };
    size_t i;

    (void)state;
    assert_string_equal(ask_at(grants, "a", NULL, API), "one two");
    assert_string_equal(ask_at(grants, "a", "two", API), "two");
    assert_string_equal(ask_at(grants, "a", ".all", API), "one two");
    assert_string_equal(ask_at(grants, "a", API "|one two", API), "one two");
    assert_string_equal(ask_at(grants, "a", "three", "api://b"), "three");
    assert_string_equal(ask_at(grants, "a", "three", API), "!");
    assert_string_equal(ask_at(grants, "a", "api://b|three", API), "?");
    assert_string_equal(ask_at(grants, "a", "one api://b|three", API), "?");
    assert_string_equal(ask_at(grants, "a", NULL, API "/"), "?");
    assert_string_equal(ask_at(grants, "b", NULL, API), "?");
    assert_string_equal(ask_at(grants, "a", "one|", API), "!");
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_string_equal(ask_at(grants, "a", "one", bad[i]), "?");
    }
}

static void introspection(void **state)
{
    m2_grants_t *grants = table(API " a .introspect one\napi://b b .introspect\n");

    (void)state;
    assert_int_equal(m2_grants_introspects(grants, pool, "a", API), 1);
    assert_int_equal(m2_grants_introspects(grants, pool, "a", "api://b"), 0);
    assert_int_equal(m2_grants_introspects(grants, pool, "c", API), 0);
    assert_int_equal(m2_grants_introspects(grants, pool, "a", NULL), 1);
    assert_int_equal(m2_grants_introspects(grants, pool, "c", NULL), 0);
    assert_string_equal(ask(grants, "a", API "|.all"), "one");
    assert_string_equal(ask(grants, "a", API "|.introspect"), "!");
    assert_string_equal(ask(grants, "b", "api://b|.all"), "!");
    assert_string_equal(ask_at(grants, "b", NULL, "api://b"), "!");
    assert_int_equal(m2_grants_knows(grants, "a"), 1);
    assert_int_equal(m2_grants_knows(grants, "c"), 0);
}

static void limits(void **state)
{
    const char *many = apr_pstrcat(pool, "a b ", repeat("p", 256, " "), "\n", NULL);
    const char *fat = apr_pstrcat(pool, "a b ", NULL);
    m2_grants_t *grants = table(many);
    int i;

    (void)state;
    assert_string_not_equal(ask(grants, "b", "a|.all"), "!");
    assert_int_equal(bad_line(apr_pstrcat(pool, many, "a b one\n", NULL)), 2);
    assert_string_equal(ask(grants, "b", apr_pstrcat(pool, repeat("a|p", 256, " "), " a|p1",
                                                     NULL)), "!");
    for (i = 0; i < 40; i++) { /* 40 * 251 bytes is more than a token may carry */
        fat = apr_psprintf(pool, "%s %s%d", fat, long_word(249), i + 10);
    }
    assert_string_equal(ask(table(fat), "b", "a|.all"), "!");
}

static void tables_add_up(void **state)
{
    m2_grants_t *fixed = table("a b one\n");
    m2_grants_t *all = m2_grants_make(pool);

    (void)state;
    m2_err_init(&err, pool);
    assert_int_equal(m2_grants_add_all(all, fixed, &err), M2_OK);
    assert_int_equal(m2_grants_parse(all, m2_slice_z("a b two\na c one\n"), &err), M2_OK);
    assert_string_equal(ask(all, "b", "a|.all"), "one two");
    assert_string_equal(ask(all, "c", "a|.all"), "one");
    assert_string_equal(ask(fixed, "b", "a|.all"), "one"); /* untouched */
}

/* What a database gave beside what a file says, without a copy of the file. */
static void tables_join(void **state)
{
    m2_grants_t *file = table("a b one\na b .introspect\nx b far\n");
    m2_grants_t *own = table("a b two\na b one\n");

    (void)state;
    m2_grants_join(own, file);
    assert_string_equal(ask(own, "b", "a|.all"), "two one");
    assert_string_equal(ask(own, "b", "x|.all"), "far");
    assert_string_equal(ask(own, "c", "a|one"), "!");
    m2_grants_join(own, NULL);
    assert_string_equal(ask(own, "b", "x|far"), "!");
    assert_string_equal(ask(file, "b", "a|.all"), "one"); /* untouched */
}

static void ids(void **state)
{
    (void)state;
    assert_true(m2_client_id_ok(m2_slice_z("app_m7hfgn66xkyyxlhpkiw5kjenhy")));
    assert_true(m2_client_id_ok(m2_slice_z("a@b.c/d-e")));
    assert_false(m2_client_id_ok(m2_slice_z("")));
    assert_false(m2_client_id_ok(m2_slice_z(NULL)));
    assert_false(m2_client_id_ok(m2_slice_z("a:b")));
    assert_false(m2_client_id_ok(m2_slice_z("a b")));
    assert_false(m2_client_id_ok(m2_slice_z("a\nb")));
    assert_false(m2_client_id_ok(m2_slice_z("a|b")));
    assert_false(m2_client_id_ok(m2_slice_z("#a")));
    assert_false(m2_client_id_ok(m2_slice_z("caf\xc3\xa9")));
    assert_false(m2_client_id_ok(m2_slice("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(nul_in_file),
        cmocka_unit_test(only_what_is_granted),
        cmocka_unit_test(forms_of_scope),
        cmocka_unit_test(everything),
        cmocka_unit_test(answer_in_both_forms),
        cmocka_unit_test(resources),
        cmocka_unit_test(introspection),
        cmocka_unit_test(limits),
        cmocka_unit_test(tables_add_up),
        cmocka_unit_test(tables_join),
        cmocka_unit_test(ids),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
