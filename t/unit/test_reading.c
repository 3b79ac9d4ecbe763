/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Names as backends read them. What each of them takes for client_id stands in
 * t/vectors/names.txt; what is told here is the configured side, and the edges of slices.
 */
#include "request/m2_reading.h"

#include "unit.h"

/* Calls check(kind, place, spelling) for every line of the table. */
static void each_spelling(void (*check)(const char *kind, const char *place, const char *raw))
{
    m2_slice_t file = source_file("t/vectors/names.txt");
    char *text = apr_pstrmemdup(pool, file.p, file.n), *line, *state, *column;
    int n = 0;

    for (line = apr_strtok(text, "\n", &state); line; line = apr_strtok(NULL, "\n", &state)) {
        const char *word[3] = { NULL, NULL, NULL };
        int i = 0;

        if (*line == '#') {
            continue;
        }
        for (column = line; i < 3; i++) {
            char *tab = strchr(column, '\t');

            assert_non_null(tab);
            *tab = '\0';
            word[i] = column;
            column = tab + 1;
        }
        check(word[0], word[1], word[2]);
        n++;
    }
    assert_in_range(n, 50, 500);
}

static void check_line(const char *kind, const char *place, const char *raw)
{
    static const struct { const char *word; m2_reading_t reading; } places[] = {
        { "form", M2_READ_FORM }, { "cookie", M2_READ_COOKIE },
    };
    const int alike = strcmp(kind, "alike") == 0;
    int i;

    assert_true(alike || strcmp(kind, "other") == 0);
    for (i = 0; i < 2; i++) {
        if ((strcmp(place, "both") == 0 || strcmp(place, places[i].word) == 0)
            && m2_name_like(m2_slice_z(raw), "client_id", places[i].reading) != alike) {
            fail_msg("%s is%s taken for client_id in a %s", raw, alike ? " not" : "",
                     places[i].word);
        }
    }
}

static void test_table(void **state)
{
    (void)state;
    each_spelling(check_line);
}

static int like(const char *raw, const char *name)
{
    return m2_name_like(m2_slice_z(raw), name, M2_READ_FORM);
}

/* A name that is configured is folded too, and nothing is cut from it. */
static void test_configured(void **state)
{
    (void)state;
    assert_true(like("user_name", "User.Name"));
    assert_true(like("User.Name", "User.Name"));
    assert_true(like("user.name[]", "User.Name"));
    assert_false(like("user", "User.Name"));
    assert_false(like("username", "User.Name"));
    assert_true(like("user[id]", "user[id]"));
    assert_true(like("user%5Bid%5D", "user[id]"));
    assert_true(like("USER[ID]", "user[id]"));
    assert_true(like("user[id][]", "user[id]"));
    assert_true(like("user[id]x", "user[id]"));
    assert_true(like("user[id]%00", "user[id]"));
    assert_false(like("user[name]", "user[id]"));
    assert_false(like("user", "user[id]"));
    assert_true(like("user[id]", "user"));
    assert_true(like("%C3%A4", "\xc3\xa4"));
    assert_false(like("%C3%84", "\xc3\xa4"));
}

/* What is in front of a name is dropped, or counts as '_', each on its own. */
static void test_leading(void **state)
{
    (void)state;
    assert_true(like(".method", "_method"));
    assert_true(like("[method", "_method"));
    assert_true(like("%20method", "_method"));
    assert_true(like("._method", "_method"));
    assert_true(like("_method", "_method"));
    assert_true(like("..method", "__method"));
    assert_true(like("...method", "__method"));
    assert_true(like("%C2%A0method", "_method"));
    assert_false(like("method", "_method"));
    assert_false(like(".method", "__method"));
    assert_false(like("%EF%BB%BFmethod", "_method")); /* a mark is not a character */
    assert_true(like("%EF%BB%BF_method", "_method"));
    assert_true(like(".", "_"));
    assert_false(like("", "_"));
    assert_true(like(".a", ".a"));
    assert_true(like("]a", "]a"));
}

/* An escape that the slice ends in the middle of is not completed from behind it. */
static void test_edges(void **state)
{
    char *long_name = apr_palloc(pool, 5001);

    (void)state;
    assert_false(m2_name_like(m2_slice("%u0061", 5), "a", M2_READ_FORM));
    assert_false(m2_name_like(m2_slice("%61", 2), "a", M2_READ_FORM));
    assert_true(m2_name_like(m2_slice("%61x", 3), "a", M2_READ_FORM));
    assert_false(m2_name_like(m2_slice(NULL, 0), "a", M2_READ_FORM));
    assert_false(m2_name_like(m2_slice("", 0), "a", M2_READ_FORM));
    memset(long_name, ' ', 5000);
    long_name[5000] = '\0';
    long_name[0] = 'a';
    assert_true(like(long_name, "a"));   /* blanks behind, more than there is room for */
    long_name[4999] = 'x';
    assert_false(like(long_name, "a"));
    long_name[1] = '[';
    assert_true(like(long_name, "a"));   /* cut long before */
    memset(long_name, '.', 4999);
    assert_true(like(long_name, "x"));
    assert_false(like("a", apr_pstrcat(pool, long_name, NULL)));
}

static void test_unfit(void **state)
{
    static const char *const unfit[] = { "", " ", ".", "[]", "[ ]", ".[.]" };
    static const char *const fit[] = { "a", "_", "-", "[a]", ".a", "%" };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
        assert_true(m2_name_is_unfit(unfit[i], M2_READ_FORM));
    }
    for (i = 0; i < sizeof(fit) / sizeof(fit[0]); i++) {
        assert_false(m2_name_is_unfit(fit[i], M2_READ_FORM));
    }
    assert_true(m2_name_is_unfit(apr_psprintf(pool, "%0256d", 1), M2_READ_FORM));
    assert_false(m2_name_is_unfit(apr_psprintf(pool, "%0255d", 1), M2_READ_FORM));
}

static void test_alike(void **state)
{
    (void)state;
    assert_true(m2_name_same("Client-Id", "client.id", M2_READ_FORM));
    assert_true(m2_name_same("a", "a[]", M2_READ_FORM));
    assert_true(m2_name_same("a[]", "a", M2_READ_FORM));
    assert_false(m2_name_same("client", "client_id", M2_READ_FORM));
    assert_true(m2_name_same("X-A", "x_a", M2_READ_HEADER));
    assert_false(m2_name_same("X-A", "X-A[]", M2_READ_HEADER));
}

static void test_header(void **state)
{
    (void)state;
    assert_true(m2_header_name_like("X-Client-Id", "x-client-id"));
    assert_true(m2_header_name_like("X_Client.Id", "x-client-id"));
    assert_true(m2_header_name_like("X!Client~Id", "X-Client-Id"));
    assert_false(m2_header_name_like("XClientId", "X-Client-Id"));
    assert_false(m2_header_name_like("X-Client-I", "X-Client-Id"));
    assert_false(m2_header_name_like("X-Client-Id", "X-Client-I"));
    assert_true(m2_header_name_like("", ""));
    assert_true(m2_name_like(m2_slice_z("x_client_id"), "X-Client-Id", M2_READ_HEADER));
    assert_false(m2_name_like(m2_slice_z("x_client_id_"), "X-Client-Id", M2_READ_HEADER));
    assert_false(m2_name_like(m2_slice_z("%58-Client-Id"), "X-Client-Id", M2_READ_HEADER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_table),      unit(test_configured),
        unit(test_leading),    unit(test_edges),
        unit(test_unfit),      unit(test_alike),
        unit(test_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
