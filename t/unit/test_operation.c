/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Operations: which template a path belongs to, which method counts, what a lenient reading
 * must agree with; and an independent matcher that tries every template one by one.
 */
#include "unit.h"

#include "operation/m2_operation.h"
#include "operation/m2_operation_path.h"

#include <unistd.h>

static m2_operations_t *table;
static apr_array_header_t *notices;

static int start(void **state)
{
    int code = setup(state);

    table = m2_operations_make(pool);
    notices = apr_array_make(pool, 2, sizeof(const char *));
    return code;
}

#define table_test(f) cmocka_unit_test_setup_teardown(f, start, teardown)

static m2_code_t add(const char *method, const char *path)
{
    m2_operation_t op = { NULL, method, path, NULL, NULL, 0, 0, NULL };

    clean();
    return m2_operations_add(table, "", 0, &op, &err);
}

static void has(const char *method, const char *path)
{
    if (add(method, path)) {
        fail_msg("%s: %s", path, err.text);
    }
}

static void lacks(const char *path, const char *why)
{
    assert_int_equal(add("GET", path), M2_E_CONFIG);
    if (!strstr(err.text, why)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", path, err.text, why);
    }
}

/* the template that a request belongs to; "-" for none, "405" for another method */
static const char *found(const char *method, const char *path)
{
    m2_operation_match_t match;
    m2_code_t code = m2_operations_find(&match, table, method, z(path));

    if (code == M2_E_METHOD_NOT_ALLOWED) {
        assert_non_null(match.place);
        return "405";
    }
    assert_int_equal(code == M2_OK, match.operation != NULL);
    return match.operation ? match.operation->path : "-";
}

static void finds(const char *path, const char *wanted)
{
    const char *got = found("GET", path);

    if (!m2_slice_is(z(got), wanted)) {
        fail_msg("%s: got %s, wanted %s", path, got, wanted);
    }
}

static void test_best_from_the_left(void **state)
{
    static const char *const templates[] = {
        "/users/{id}", "/users/me", "/users/{id}.json", "/users/{a}:{b}", "/users/{id}/*",
        "/users/{id}/items/{item}", "/users/me/items/last", "/", "/a%20b", "/files/*",
        "/files/{name}/raw", "/x/{v}/y", "/x/lit/z", "/users/v{n}.json"
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
        has("GET", templates[i]);
    }
    m2_operations_finish(table, notices);
    assert_int_equal(notices->nelts, 0);
    finds("/users/7", "/users/{id}");
    finds("/users/me", "/users/me");
    finds("/users/7.json", "/users/{id}.json");
    finds("/users/v7.json", "/users/v{n}.json");
    finds("/users/.json", "/users/{id}");
    finds("/users/1:2", "/users/{a}:{b}");
    finds("/users/7/items/3", "/users/{id}/items/{item}");
    finds("/users/me/items/last", "/users/me/items/last");
    finds("/users/me/items/first", "/users/{id}/items/{item}");
    finds("/users/me/", "/users/{id}/*");
    finds("/users/me/a/b/c", "/users/{id}/*");
    finds("/users/", "-");
    finds("/users", "-");
    finds("/Users/me", "-");
    finds("/", "/");
    finds("/a b", "/a%20b");
    finds("/files/", "/files/*");
    finds("/files", "-");
    finds("/files/x/raw", "/files/{name}/raw");
    finds("/files/x/raw/", "/files/*");
    finds("/x/lit/y", "/x/{v}/y");
    finds("/x/lit/z", "/x/lit/z");
    finds("/x//y", "-");
    finds("", "-");
    finds("x", "-");
}

static void test_values(void **state)
{
    m2_operation_match_t match;

    (void)state;
    has("GET", "/u/{user}/f/{name}.{ext}");
    m2_operations_finish(table, NULL);
    assert_int_equal(m2_operations_find(&match, table, "GET", z("/u/al/f/a.b.c")), M2_OK);
    assert_true(m2_slice_is(m2_operation_value(&match, "user"), "al"));
    assert_true(m2_slice_is(m2_operation_value(&match, "name"), "a"));
    assert_true(m2_slice_is(m2_operation_value(&match, "ext"), "b.c"));
    assert_null(m2_operation_value(&match, "other").p);
}

/* two mixed segments with as many literal bytes: the segments behind them decide */
static void test_ties(void **state)
{
    m2_operation_match_t match;

    (void)state;
    has("GET", "/a{x}/*");
    has("PUT", "/{x}-{y}/admin");
    has("GET", "/{x}:{y}/{z}/b");
    has("GET", "/{x}.{y}/b/{z}");
    has("GET", "/{x}~{y}/{z}-{z2}");
    has("GET", "/z{y}/{z}--{z2}");
    m2_operations_finish(table, notices);
    assert_string_equal(found("PUT", "/a-1/admin"), "/{x}-{y}/admin");
    assert_string_equal(found("GET", "/a-1/admin"), "405");
    finds("/a-1/other", "/a{x}/*");
    finds("/1:2.3/b/b", "/{x}.{y}/b/{z}");
    finds("/1:2.3/c/b", "/{x}:{y}/{z}/b");
    finds("/z~1/a--b", "/z{y}/{z}--{z2}");
    finds("/z~1/a-b", "/{x}~{y}/{z}-{z2}");
    assert_int_equal(m2_operations_find(&match, table, "PUT", z("/a-1/admin")), M2_OK);
    assert_int_equal(match.n, 2);
    assert_true(m2_slice_is(m2_operation_value(&match, "y"), "1"));
    assert_int_equal(m2_operations_find(&match, table, "GET", z("/z~1/a--b")), M2_OK);
    assert_int_equal(match.n, 3);
    assert_true(m2_slice_is(m2_operation_value(&match, "y"), "~1"));
    assert_true(m2_slice_is(m2_operation_value(&match, "z2"), "b"));
}

static void test_methods(void **state)
{
    m2_operation_match_t match;

    (void)state;
    has("GET", "/a");
    has("POST", "/a");
    has("PUT", "/{any}");
    has(M2_ANY_METHOD, "/b");
    has("DELETE", "/b");
    m2_operations_finish(table, NULL);
    assert_string_equal(found("GET", "/a"), "/a");
    assert_string_equal(found("HEAD", "/a"), "/a");
    assert_string_equal(found("get", "/a"), "405");
    assert_string_equal(found("PUT", "/a"), "405"); /* never the wider template */
    assert_string_equal(found("PUT", "/c"), "/{any}");
    assert_string_equal(found("OPTIONS", "/a"), "405");
    assert_string_equal(found("TRACE", "/a"), "405");
    assert_string_equal(found("PROPFIND", "/b"), "/b");
    m2_operations_find(&match, table, "DELETE", z("/b"));
    assert_string_equal(match.operation->method, "DELETE");
    m2_operations_find(&match, table, "PUT", z("/a"));
    assert_string_equal(m2_operations_allow(pool, &match), "GET, HEAD, POST");
    assert_string_equal(m2_operations_at(table, 2)->name, "PUT /{any}");
}

static void test_refused_templates(void **state)
{
    (void)state;
    lacks("users", "begins with /");
    lacks("/a?b", "no ?, #");
    lacks("/a#b", "no ?, #");
    lacks("/a;b", "no ?, #");
    lacks("/a\\b", "no ?, #");
    lacks("/a%2Fb", "%2F");
    lacks("/a%5cb", "%2F");
    lacks("/a%00", "%2F");
    lacks("/a%zz", "bare %");
    lacks("/a/../b", "\"..\"");
    lacks("/a/%2e%2e/b", "dots");
    lacks("/a//b", "\"//\"");
    lacks("/{a}{b}", "nothing separates");
    lacks("/{a", "without its }");
    lacks("/a}", "without its {");
    lacks("/{}", "{NAME}");
    lacks("/{a}/{a}", "twice");
    lacks("/a*", "stands alone");
    lacks("/*/a", "stands alone");
    has("GET", "/p/{a}");
    lacks("/p/{b}", "but for names");
    lacks("/p/{a}", "there already");
    has("POST", "/p/{a}");
}

static void agrees(const char *path, const char *reading, int wanted)
{
    m2_operation_match_t match;

    m2_operations_find(&match, table, "GET", z(path));
    if (m2_operations_agree(table, &match, z(reading)) != wanted) {
        fail_msg("%s read as %s: wanted %d", path, reading, wanted);
    }
}

static void test_lenient_readings(void **state)
{
    (void)state;
    has("GET", "/Open");
    has("GET", "/admin/users");
    has("GET", "/admin/{id}");
    has("GET", "/rest/*");
    has("GET", "/twin");
    has("GET", "/Twin/");
    m2_operations_finish(table, notices);
    assert_int_equal(notices->nelts, 1);
    agrees("/Open", "/open", 1);
    agrees("/Open/", "/open/", 0); /* none as written, one when read leniently */
    agrees("/admin/users", "/admin/users", 1);
    agrees("/admin/USERS", "/admin/users", 0);
    agrees("/admin/7", "/admin/7", 1);
    agrees("/admin/7;x", "/admin/7", 1);
    agrees("/admin/users;x", "/admin/users", 0);
    agrees("/rest/", "/rest/", 1);
    agrees("/rest/a", "/rest/a", 1);
    agrees("/twin", "/twin", 1);
    agrees("/Twin/", "/twin/", 1);
    agrees("/none", "/none", 1);
}

/* --- an independent matcher --- */

/* kind of what a template's segment is to a path's, the better the smaller; -1: no match */
static int rank(const char *t, apr_size_t tn, const char *p, apr_size_t pn)
{
    if (tn == 3 && t[0] == '{') {
        return pn ? 2 : -1;
    }
    if (tn > 3 && t[0] == '{') { /* {x}SUFFIX */
        return pn > tn - 3 && memcmp(p + pn - (tn - 3), t + 3, tn - 3) == 0 ? 1 : -1;
    }
    return tn == pn && memcmp(t, p, tn) == 0 ? 0 : -1;
}

/* ranks of all segments as text, so that the smallest text is the best; NULL: no match */
static const char *ranks(const char *t, const char *p)
{
    const char *text = "";

    while (*t == '/' && *p == '/') {
        apr_size_t tn = strcspn(++t, "/"), pn = strcspn(++p, "/");
        int r;

        if (tn == 1 && *t == '*') {
            return apr_pstrcat(pool, text, "3", NULL);
        }
        r = rank(t, tn, p, pn);
        if (r < 0) {
            return NULL;
        }
        text = apr_psprintf(pool, "%s%d", text, r);
        t += tn;
        p += pn;
    }
    return *t || *p ? NULL : text;
}

static const char *random_path(unsigned *seed, const char *const *words, unsigned n)
{
    const char *path = "";
    unsigned i, length;

    *seed = *seed * 1103515245u + 12345u;
    length = 1 + (*seed >> 16) % 4;
    for (i = 0; i < length; i++) {
        *seed = *seed * 1103515245u + 12345u;
        path = apr_pstrcat(pool, path, "/", words[(*seed >> 16) % n], NULL);
    }
    return path;
}

static void test_against_one_by_one(void **state)
{
    static const char *const in_templates[] = { "a", "b", "aa", "{x}", "{y}", "{x}.j", "{y}.j" };
    static const char *const in_paths[] = { "a", "b", "aa", "a.j", ".j", "c", "", "b.j" };
    unsigned seed = 7, round;
    int i;

    (void)state;
    for (i = 0; i < 400; i++) {
        const char *path = random_path(&seed, in_templates, 7);

        (void)add("GET", i % 9 ? path : apr_pstrcat(pool, path, "/*", NULL));
    }
    assert_true(m2_operations_count(table) > 80);
    m2_operations_finish(table, NULL);
    for (round = 0; round < 20000; round++) {
        const char *path = random_path(&seed, in_paths, 8), *best = NULL, *which = "-", *got;

        for (i = 0; i < m2_operations_count(table); i++) {
            const char *r = ranks(m2_operations_at(table, i)->path, path);

            if (r && (!best || strcmp(r, best) < 0)) {
                best = r;
                which = m2_operations_at(table, i)->path;
            }
        }
        got = found("GET", path);
        if (!m2_slice_is(z(got), which)) {
            fail_msg("%s: got %s, one by one %s", path, got, which);
        }
    }
}

/* A template without a method is known, and stands in front of wider ones. */
static void test_bare(void **state)
{
    m2_operation_match_t match;

    (void)state;
    has("GET", "/users/{id}");
    has(NULL, "/users/None");
    has(NULL, "/files/*");
    has(NULL, "/later");
    has("GET", "/later");
    has(NULL, "/later");
    lacks("/users/{other}", "but for names of variables");
    assert_int_equal(add(NULL, "/a//b"), M2_E_CONFIG);
    has("GET", "/any");
    has("*", "/any");
    has("HEAD", "/heads");
    has("*", "/heads");
    m2_operations_finish(table, notices);
    assert_int_equal(m2_operations_count(table), 6);
    m2_operations_find(&match, table, "get", z("/any"));
    assert_true(m2_operations_is_respelled(&match, "get"));
    assert_true(m2_operations_is_respelled(&match, "head"));
    assert_false(m2_operations_is_respelled(&match, "put"));
    m2_operations_find(&match, table, "GET", z("/any"));
    assert_false(m2_operations_is_respelled(&match, "GET"));
    m2_operations_find(&match, table, "HEAD", z("/any"));
    assert_false(m2_operations_is_respelled(&match, "HEAD"));
    m2_operations_find(&match, table, "Head", z("/heads"));
    assert_true(m2_operations_is_respelled(&match, "Head"));
    assert_false(m2_operations_is_respelled(&match, "get"));
    assert_int_equal(m2_operations_bare(table)->nelts, 2);
    assert_string_equal(APR_ARRAY_IDX(m2_operations_bare(table), 0, const char *), "/users/None");
    finds("/users/None", "405");
    finds("/users/none", "/users/{id}");
    finds("/files/a/b", "405");
    finds("/later", "/later");
    assert_int_equal(m2_operations_find(&match, table, "GET", z("/users/None")),
                     M2_E_METHOD_NOT_ALLOWED);
    assert_string_equal(m2_operations_allow(pool, &match), "");
    assert_false(m2_operations_place_is_public(&match));
    assert_true(m2_operations_agree(table, &match, z("/users/none")));
    m2_operations_find(&match, table, "GET", z("/users/none"));
    assert_false(m2_operations_agree(table, &match, z("/users/none")));
}

static int is_read(const char *scope, const void *baton)
{
    return m2_slice_is(z(scope), baton);
}

static void test_scopes(void **state)
{
    apr_array_header_t *ways = apr_array_make(pool, 2, sizeof(apr_array_header_t *));
    apr_array_header_t *both = apr_array_make(pool, 2, sizeof(const char *));
    apr_array_header_t *one = apr_array_make(pool, 2, sizeof(const char *));
    m2_operation_t op = { "x", "GET", "/", NULL, NULL, 0, 0, NULL };

    (void)state;
    assert_true(m2_operation_allows(&op, is_read, "nothing"));
    APR_ARRAY_PUSH(both, const char *) = "read";
    APR_ARRAY_PUSH(both, const char *) = "write";
    APR_ARRAY_PUSH(ways, apr_array_header_t *) = both;
    op.alternatives = ways;
    assert_false(m2_operation_allows(&op, is_read, "read"));
    APR_ARRAY_PUSH(one, const char *) = "read";
    APR_ARRAY_PUSH(ways, apr_array_header_t *) = one;
    assert_true(m2_operation_allows(&op, is_read, "read"));
    assert_false(m2_operation_allows(&op, is_read, "other"));
}

/* Templates that folding does not change share one tree with their folded selves. */
static void test_one_tree(void **state)
{
    m2_operation_match_t match;

    (void)state;
    has("GET", "/users/{id}");
    has("GET", "/files/*");
    m2_operations_finish(table, notices);
    m2_operations_find(&match, table, "GET", z("/users/7"));
    assert_true(m2_operations_agree(table, &match, z("/users/7/")));
    assert_false(m2_operations_agree(table, &match, z("/users/7/x")));
    assert_false(m2_operations_agree(table, &match, z("/files")));
    m2_operations_find(&match, table, "GET", z("/files/x"));
    assert_true(m2_operations_agree(table, &match, z("/files")));
    m2_operations_find(&match, table, "GET", z("/Users/7"));
    assert_false(m2_operations_agree(table, &match, z("/users/7")));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BYTES_EACH 1000000 /* theirs */
#else
#define BYTES_EACH 300
#endif

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file) {
        assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

/* what is kept of each, with three operations a path */
static void test_memory(void **state)
{
    static const char *const methods[] = { "GET", "PUT", "DELETE" };
    const int paths = 20000;
    apr_pool_t *scratch;
    long before;
    int i, k;

    (void)state;
    apr_pool_create(&scratch, pool);
    before = resident();
    for (i = 0; i < paths; i++) {
        apr_pool_clear(scratch);
        for (k = 0; k < 3; k++) {
            has(methods[k], apr_psprintf(scratch, "/area%d/thing%d/{id}", i % 100, i));
        }
    }
    m2_operations_finish(table, NULL);
    assert_int_equal(m2_operations_count(table), 3 * paths);
    assert_true((resident() - before) / (3 * paths) < BYTES_EACH);
    finds("/area7/thing7/x", "/area7/thing7/{id}");
    assert_string_equal(m2_operations_at(table, 22)->written, "/area7/thing7/{id}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        table_test(test_best_from_the_left), table_test(test_values),
        table_test(test_ties),
        table_test(test_methods),            table_test(test_refused_templates),
        table_test(test_lenient_readings),   table_test(test_against_one_by_one),
        table_test(test_scopes),             table_test(test_one_tree),
        table_test(test_bare),
        table_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
