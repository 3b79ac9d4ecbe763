/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of prefixes against a walk over all of them, and what its entries know.
 */
#include "unit.h"

#include "request/m2_path_table.h"

static m2_path_table_t *table_of(const char *const *prefixes, size_t n)
{
    m2_path_table_t *table = m2_path_table_make(pool);
    size_t i;

    for (i = 0; i < n; i++) {
        m2_path_table_add(table, prefixes[i]);
    }
    m2_path_table_seal(table);
    return table;
}

#define TABLE(list) table_of(list, sizeof(list) / sizeof((list)[0]))

static void assert_found(const m2_path_table_t *table, const char *path, const char *expected)
{
    const m2_path_entry_t *entry = m2_path_table_find(table, path);

    if (!expected) {
        assert_null(entry);
        return;
    }
    if (!entry || !m2_slice_is(m2_slice_z(entry->path), expected)) {
        fail_msg("%s lies in %s, not in %s", path, entry ? entry->path : "nothing", expected);
    }
}

static void test_found(void **state)
{
    static const char *const prefixes[] = { "/app", "/app/admin", "/app.old", "/app-x/y",
                                            "/b/c/d", "/app/admin/keys", "/b" };
    const m2_path_table_t *table = TABLE(prefixes);

    (void)state;
    assert_found(table, "/app", "/app");
    assert_found(table, "/app/", "/app");
    assert_found(table, "/app/x", "/app");
    assert_found(table, "/app/admin", "/app/admin");
    assert_found(table, "/app/admin/x/y", "/app/admin");
    assert_found(table, "/app/admin/keys/1", "/app/admin/keys");
    assert_found(table, "/app/administrator", "/app");
    assert_found(table, "/app/zzz", "/app");
    assert_found(table, "/app.old/x", "/app.old");
    assert_found(table, "/app.older", NULL);
    assert_found(table, "/app-x", NULL);
    assert_found(table, "/apple", NULL);
    assert_found(table, "/b/c", "/b");
    assert_found(table, "/b/c/d/e", "/b/c/d");
    assert_found(table, "", NULL);
    assert_found(table, "/zzz", NULL);
    assert_found(table, "/\xff", NULL);
}

static void test_root(void **state)
{
    static const char *const prefixes[] = { "/x", "/" };
    const m2_path_table_t *table = TABLE(prefixes);

    (void)state;
    assert_found(table, "", "");
    assert_found(table, "/y", "");
    assert_found(table, "/x/y", "/x");
    assert_string_equal(m2_path_table_find(table, "/x")->outer->path, "");
    assert_null(m2_path_table_find(table, "")->outer);
}

static void test_spellings(void **state)
{
    static const char *const prefixes[] = { "/App", "/app/", "/app", "/app/Admin", "/B/c" };
    const m2_path_table_t *table = TABLE(prefixes);
    const m2_path_entry_t *app = m2_path_table_find(table, "/app/x");
    const m2_path_entry_t *admin = m2_path_table_find(table, "/app/admin");
    const m2_path_entry_t *b = m2_path_table_find(table, "/b/c/d");

    (void)state;
    assert_int_equal(m2_path_table_all(table)->nelts, 3);
    assert_int_equal(app->spellings->nelts, 2);
    assert_true(app->is_folded);
    assert_false(admin->is_folded);
    assert_false(b->is_folded);
    assert_true(m2_path_entry_covers(app, "/App/x"));
    assert_true(m2_path_entry_covers(app, "/app"));
    assert_true(m2_path_entry_covers(app, "/app/"));
    assert_false(m2_path_entry_covers(app, "/APP/x"));
    assert_false(m2_path_entry_covers(app, "/apple"));
    assert_true(m2_path_entry_covers(admin, "/app/Admin/x"));
    assert_false(m2_path_entry_covers(admin, "/app/admin/x"));
    assert_true(m2_path_entry_holds(app, admin));
    assert_true(m2_path_entry_holds(app, app));
    assert_false(m2_path_entry_holds(admin, app));
    assert_false(m2_path_entry_holds(app, b));
    assert_false(m2_path_entry_holds(app, NULL));
}

static void test_takes(void **state)
{
    (void)state;
    assert_true(m2_path_table_takes("/"));
    assert_true(m2_path_table_takes("/App/x y/"));
    assert_true(m2_path_table_takes("/caf\xc3\xa9"));
    assert_false(m2_path_table_takes("/a;b"));
    assert_false(m2_path_table_takes("/a%2fb"));
    assert_false(m2_path_table_takes("/a\\b"));
    assert_false(m2_path_table_takes("/a//b"));
    assert_false(m2_path_table_takes("/a "));
    assert_false(m2_path_table_takes("a"));
    assert_false(m2_path_table_takes(""));
    assert_false(m2_path_table_takes("http://host/a"));
}

static void test_empty(void **state)
{
    (void)state;
    assert_found(table_of(NULL, 0), "/x", NULL);
}

/* the innermost by looking at every one of them */
static const char *innermost(const m2_path_table_t *table, const char *path)
{
    const apr_array_header_t *all = m2_path_table_all(table);
    const char *best = NULL;
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2_path_entry_t *entry = APR_ARRAY_IDX(all, i, const m2_path_entry_t *);

        if (m2_path_entry_covers(entry, path)
            && (!best || strlen(entry->path) > strlen(best))) {
            best = entry->path;
        }
    }
    return best;
}

static const char *draw(unsigned *seed, const char *letters, int most)
{
    char *text = apr_pcalloc(pool, (apr_size_t)most * 2 + 1);
    int i, n;

    *seed = *seed * 1664525u + 1013904223u;
    n = 1 + (int)((*seed >> 16) % (unsigned)most);
    for (i = 0; i < n; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        text[2 * i] = '/';
        text[2 * i + 1] = letters[(*seed >> 16) % strlen(letters)];
    }
    return text;
}

static void test_against_a_walk(void **state)
{
    m2_path_table_t *table = m2_path_table_make(pool);
    unsigned seed = 7;
    int i;

    (void)state;
    for (i = 0; i < 60; i++) {
        m2_path_table_add(table, draw(&seed, "ab.-z", 4));
    }
    m2_path_table_seal(table);
    for (i = 0; i < 2000; i++) {
        const char *path = draw(&seed, "ab.-z0", 6);

        assert_found(table, path, innermost(table, path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_found), unit(test_root),  unit(test_spellings),
        unit(test_takes), unit(test_empty), unit(test_against_a_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
