/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Claims to the backend: which targets can be configured, which values may go where, and
 * whose claim gets a variable when two want it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/m2_publish.h"

#include "text/m2_b64.h"

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

static m2_code_t target(m2_target_t *t, const char *claim, const char *word)
{
    m2_err_init(&err, pool);
    return m2_target_parse(t, pool, claim, word, &err);
}

static m2_mapping_t *mapping_of(const char *first, ...)
{
    m2_mapping_t *mapping = m2_mapping_make(pool);
    const char *claim;
    m2_target_t t;
    va_list ap;

    va_start(ap, first);
    for (claim = first; claim; claim = va_arg(ap, const char *)) {
        const char *word = va_arg(ap, const char *);

        assert_int_equal(target(&t, claim, word), M2_OK);
        assert_int_equal(m2_mapping_add(mapping, &t, &err), M2_OK);
    }
    va_end(ap);
    return mapping;
}

static const m2_json_t *json(const char *text)
{
    const m2_json_t *value = NULL;

    m2_err_init(&err, pool);
    if (m2_json_parse(&value, pool, m2_slice_z(text), M2_E_CONFIG, &err)) {
        fail_msg("%s: %s", text, err.text);
    }
    return value;
}

static const m2_publish_t *entry(const apr_array_header_t *list, int i)
{
    return &APR_ARRAY_IDX(list, i, m2_publish_t);
}

/* the code of publishing one claim, whose value is written as JSON, to one target */
static m2_code_t publish(const char *word, const char *value, const char **ptext)
{
    const m2_json_t *claims = json(apr_pstrcat(pool, "{\"c\":", value, "}", NULL));
    apr_array_header_t *list;
    m2_code_t code;

    m2_err_init(&err, pool);
    code = m2_publish_collect(&list, pool, mapping_of("c", word, NULL), claims, &err);
    assert_int_equal(list->nelts, 1);
    *ptext = entry(list, 0)->value;
    return code;
}

static void test_target(void **state)
{
    m2_target_t t;

    (void)state;
    assert_int_equal(target(&t, "a.b", "query:client_id"), M2_OK);
    assert_string_equal(t.claim, "a.b");
    assert_string_equal(t.name, "client_id");
    assert_int_equal(t.place, M2_PLACE_QUERY);
    assert_int_equal(target(&t, "a", "HEADER:X-Client-Id"), M2_OK);
    assert_int_equal(t.place, M2_PLACE_HEADER);
    assert_int_equal(target(&t, "a", "Path:user-Id_1"), M2_OK);
    assert_int_equal(t.place, M2_PLACE_PATH);
    assert_int_equal(target(&t, "a", "form:a:b"), M2_OK);
    assert_int_equal(t.place, M2_PLACE_FORM);
    assert_string_equal(t.name, "a:b");
    assert_int_equal(target(&t, "a", "env:CLIENT_ID"), M2_OK);
    assert_int_equal(target(&t, "a", "env:X_HTTP_ID"), M2_OK);
    assert_int_equal(target(&t, "a", "env:HTTPSX"), M2_OK);
    assert_int_equal(target(&t, "a", "env:M2M"), M2_OK);
    assert_int_equal(t.place, M2_PLACE_ENV);
    assert_int_equal(target(&t, "https://example.org/claim", "query:x"), M2_OK);
}

static void test_target_refused(void **state)
{
    static const char *const words[] = {
        "",
        "query",
        "query:",
        ":x",
        "cookie:x",
        "que:x",
        "queryx:x",
        "query:[]",
        "query: ",
        "query:a\nb",
        "form:",
        "header:",
        "header:a b",
        "header:a:b",
        "header:a\r\nb",
        "header:\xc3\xa4",
        "path:",
        "path:a/b",
        "path:a.b",
        "path:{a}",
        "env:",
        "env:a=b",
        "env:a b",
        "env:M2M_VERIFIED",
        "env:m2m_decision",
        "env:M2M_CLAIM_x",
        "env:M2M-KID",
        "env:M2M_OWN",
        "env:HTTP_X_CLIENT_ID",
        "env:http-x",
        "env:Http.Host",
        "env:CONTENT_TYPE",
        "env:Content-Length",
        "env:request.uri",
        "env:REMOTE_USER",
        "env:SCRIPT_FILENAME",
        "env:DOCUMENT_ROOT",
        "env:HTTPS",
        "env:unique_id",
        "env:ssl-client-verify",
        "env:PATH_INFO",
        "env:REDIRECT_STATUS",
        NULL,
    };
    m2_target_t t;
    int i;

    (void)state;
    for (i = 0; words[i]; i++) {
        if (target(&t, "a", words[i]) != M2_E_CONFIG || !err.text) {
            fail_msg("target %s was not refused", words[i]);
        }
    }
    assert_int_equal(target(&t, "", "query:x"), M2_E_CONFIG);
}

static void test_header_forbidden(void **state)
{
    static const char *const bad[] = {
        "Connection", "keep-alive", "Proxy-Authorization", "Proxy-Connection", "TE",
        "Trailer", "Transfer-Encoding", "transfer_encoding", "Upgrade", "Content-Length",
        "HOST", "Expect", "HTTP2-Settings", "X-Ca-Request-Id", "x_ca_error_code",
        "X-Ca-Error-Message", "Proxy", "", "a b", "a:b", "a\n", "\xc3\xa4", NULL,
    };
    static const char *const good[] = {
        "Content-Type", "X-Client-Id", "X-Connection", "Tea", "WWW-Authenticate",
        "Authorization", "X-Ca-Other", "Retry-After", NULL,
    };
    int i;

    (void)state;
    for (i = 0; bad[i]; i++) {
        if (!m2_header_name_forbidden(bad[i])) {
            fail_msg("header %s may be set", bad[i]);
        }
    }
    for (i = 0; good[i]; i++) {
        if (m2_header_name_forbidden(good[i])) {
            fail_msg("header %s may not be set", good[i]);
        }
    }
}

static m2_code_t add(m2_mapping_t *mapping, const char *word)
{
    m2_target_t t;

    assert_int_equal(target(&t, "other", word), M2_OK);
    return m2_mapping_add(mapping, &t, &err);
}

static void test_mapping_collisions(void **state)
{
    m2_mapping_t *mapping =
        mapping_of("a", "query:client_id", "a", "header:X-Client-Id", "a", "path:id", "a",
                   "form:f", "a", "env:E_1", NULL);

    (void)state;
    assert_int_equal(add(mapping, "query:Client.Id"), M2_E_CONFIG);
    assert_int_equal(add(mapping, "query:client_id[x]"), M2_E_CONFIG);
    assert_int_equal(add(mapping, "header:x_client_id"), M2_E_CONFIG);
    assert_int_equal(add(mapping, "path:id"), M2_E_CONFIG);
    assert_int_equal(add(mapping, "form:F"), M2_E_CONFIG);
    assert_int_equal(add(mapping, "env:e-1"), M2_E_CONFIG);
    assert_int_equal(mapping->targets->nelts, 5);
    assert_int_equal(add(mapping, "form:client_id"), M2_OK);
    assert_int_equal(add(mapping, "query:id%20"), M2_OK);
    assert_int_equal(add(mapping, "path:ID"), M2_OK);
    assert_int_equal(add(mapping, "query:f"), M2_OK);
    assert_int_equal(mapping->targets->nelts, 9);
}

static void test_values(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        { "\"as it is\"", "as it is" }, { "17", "17" },
        { "-9007199254740993", "-9007199254740993" },
        { "true", "true" },             { "false", "false" },
        { "null", NULL },               { "[\"a\",\"b\"]", "a b" },
        { "[\"a\",\"x b\"]", "[\"a\",\"x\\u0020b\"]" },
        { "[]", "" },                   { "[1,\"a\"]", "[1,\"a\"]" },
        { "{\"a\":1}", "{\"a\":1}" },   { "\"\"", "" },
        { NULL, NULL },
    };
    const char *text;
    int i;

    (void)state;
    for (i = 0; rows[i].json; i++) {
        assert_int_equal(publish("query:x", rows[i].json, &text), M2_OK);
        assert_true(!text == !rows[i].text);
        if (text) {
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void test_collect(void **state)
{
    const m2_mapping_t *mapping = mapping_of("a.b", "query:one", "gone", "header:Two",
                                             "x.y", "env:THREE", NULL);
    const m2_json_t *claims = json("{\"a\":{\"b\":\"deep\"},\"x.y\":1,\"x\":{\"y\":2}}");
    apr_array_header_t *list;

    (void)state;
    assert_int_equal(m2_publish_collect(&list, pool, mapping, claims, &err), M2_OK);
    assert_int_equal(list->nelts, 3);
    assert_string_equal(entry(list, 0)->name, "one");
    assert_string_equal(entry(list, 0)->value, "deep");
    assert_int_equal(entry(list, 1)->place, M2_PLACE_HEADER);
    assert_null(entry(list, 1)->value);
    assert_string_equal(entry(list, 2)->value, "1"); /* the exact name before the walk */
}

static void test_collect_without_token(void **state)
{
    apr_array_header_t *list;

    (void)state;
    m2_err_init(&err, pool);
    assert_int_equal(
        m2_publish_collect(&list, pool, mapping_of("a", "query:q", NULL), NULL, &err),
        M2_OK);
    assert_int_equal(list->nelts, 1);
    assert_null(entry(list, 0)->value);
    assert_int_equal(
        m2_publish_collect(&list, pool, mapping_of("a", "path:p", NULL), NULL, &err),
        M2_E_CLAIM_MISSING_PATH);
    assert_int_equal(m2_publish_collect(&list, pool, NULL, NULL, &err), M2_OK);
    assert_int_equal(list->nelts, 0);
}

static void test_unsafe(void **state)
{
    static const struct {
        const char *word, *json;
        m2_code_t code;
    } rows[] = {
        { "query:x", "\"a\\r\\nb\"", M2_E_CLAIM_UNSAFE },
        { "form:x", "\"a\\nb\"", M2_E_CLAIM_UNSAFE },
        { "env:X", "\"a\\rb\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"a\\nb\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"a\\u0001b\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"a\\u007fb\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "[\"a\",\"b\\n\"]", M2_OK }, /* JSON, with an escape */
        { "header:X", "\" a\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"a \"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"a\\u00a0\"", M2_E_CLAIM_UNSAFE },
        { "header:X", "\"voil\\u00e0\"", M2_OK },
        { "query:x", "\" a \"", M2_OK },
        { "path:x", "\"..;x\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\".. \"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\";x\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\" \"", M2_E_CLAIM_UNSAFE },
        { "query:x", "\"a\\u0001b\"", M2_OK }, /* encoded where it goes */
        { "header:X", "\"\\u00e4 b\"", M2_OK },
        { "header:X", "{\"a\":\"b\\n\"}", M2_OK }, /* an escape inside JSON text */
        { "path:x", "\"\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\".\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"..\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"a/b\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"a\\\\b\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"a%2fb\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"a\\tb\"", M2_E_CLAIM_UNSAFE },
        { "path:x", "[]", M2_E_CLAIM_UNSAFE },
        { "path:x", "\"...\"", M2_OK },
        { "path:x", "\"a b?c#d;e\"", M2_OK }, /* percent-encoded later */
        { "path:x", "17", M2_OK },
        { NULL, NULL, M2_OK },
    };
    const char *text;
    int i;

    (void)state;
    for (i = 0; rows[i].word; i++) {
        m2_code_t code = publish(rows[i].word, rows[i].json, &text);

        if (code != rows[i].code || !text != !!code) {
            fail_msg("%s %s gave %d", rows[i].word, rows[i].json, code);
        }
    }
}

static m2_code_t read_line(m2_mapping_t *mapping, const char *line)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *state, *word = apr_strtok(apr_pstrdup(pool, line), " ", &state);

    for (; word; word = apr_strtok(NULL, " ", &state)) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    m2_err_init(&err, pool);
    return m2_mapping_read(mapping, words, &err);
}

static void test_encoding(void **state)
{
    m2_mapping_t *mapping = m2_mapping_make(pool);
    const m2_json_t *claims = json("{\"n\":\" \xc3\xa4\\n\",\"s\":\"a b\"}");
    apr_array_header_t *list;

    (void)state;
    assert_int_equal(read_line(mapping, "n header:X-N env:N encoding=base64url"), M2_OK);
    assert_int_equal(read_line(mapping, "s header:X-S Encoding=Percent"), M2_OK);
    assert_int_equal(read_line(mapping, "* header:X-All"), M2_OK);
    assert_int_equal(m2_publish_collect(&list, pool, mapping, claims, &err), M2_OK);
    assert_string_equal(entry(list, 0)->value, "IMOkCg");
    assert_string_equal(entry(list, 1)->value, "IMOkCg");
    assert_string_equal(entry(list, 2)->value, "a%20b");
    assert_string_equal(entry(list, 3)->value, m2_b64_encode(pool, m2_slice_z(
                            m2_json_dump(pool, claims))));
    assert_string_equal(m2_target_options(pool, &APR_ARRAY_IDX(mapping->targets, 0,
                                                               m2_target_t)),
                        " encoding=base64url");
    assert_int_equal(m2_publish_collect(&list, pool, mapping, NULL, &err), M2_OK);
    assert_null(entry(list, 3)->value);
}

static void test_encoding_refused(void **state)
{
    static const char *const lines[] = {
        "n query:n encoding=percent", "n header:X form:n encoding=base64url",
        "n header:X encoding=hex", "n encoding=percent", "* query:all", "* env:ALL",
        "* header:X encoding=percent", "n", "n header:X encoding=percent header:Y",
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(read_line(m2_mapping_make(pool), lines[i]), M2_E_CONFIG);
    }
}

/* one bad value must not leave the names behind it unscrubbed */
static void test_collect_goes_on(void **state)
{
    const m2_mapping_t *mapping = mapping_of("bad", "header:X", "good", "header:Y", NULL);
    apr_array_header_t *list;

    (void)state;
    m2_err_init(&err, pool);
    assert_int_equal(m2_publish_collect(&list, pool, mapping,
                                        json("{\"bad\":\"\\n\",\"good\":\"1\"}"), &err),
                     M2_E_CLAIM_UNSAFE);
    assert_int_equal(list->nelts, 2);
    assert_null(entry(list, 0)->value);
    assert_string_equal(entry(list, 1)->value, "1");
}

static void test_env_name(void **state)
{
    (void)state;
    assert_string_equal(m2_claim_env_name(pool, "client_id"), "M2M_CLAIM_client_id");
    assert_string_equal(m2_claim_env_name(pool, "https://a.b/c"),
                        "M2M_CLAIM_https___a_b_c");
    assert_string_equal(m2_claim_env_name(pool, "\xc3\xa4"), "M2M_CLAIM___");
}

static const char *env_of(const char *claims, const char *name)
{
    const apr_array_header_t *list = m2_publish_env(pool, json(claims));
    const char *value = NULL;
    int i;

    for (i = 0; i < list->nelts; i++) {
        assert_int_equal(entry(list, i)->place, M2_PLACE_ENV);
        if (m2_slice_is(m2_slice_z(entry(list, i)->name), name)) {
            assert_null(value); /* once */
            value = entry(list, i)->value;
        }
    }
    return value;
}

static void test_env(void **state)
{
    (void)state;
    assert_string_equal(env_of("{\"a\":\"1\",\"b\":[\"x\",\"y\"]}", "M2M_CLAIM_b"),
                        "x y");
    assert_string_equal(env_of("{\"a-b\":\"1\"}", "M2M_CLAIM_a_b"), "1");
    assert_null(env_of("{\"a\":{\"b\":1}}", "M2M_CLAIM_a_b"));
    assert_null(env_of("{\"a\":\"x\\ny\"}", "M2M_CLAIM_a"));
    assert_null(env_of("{}", "M2M_CLAIM_a"));
}

static void test_env_collisions(void **state)
{
    (void)state;
    /* the exact name wins, in either order */
    assert_string_equal(env_of("{\"a-b\":\"no\",\"a_b\":\"yes\"}", "M2M_CLAIM_a_b"),
                        "yes");
    assert_string_equal(env_of("{\"a_b\":\"yes\",\"a-b\":\"no\",\"a.b\":\"no\"}",
                               "M2M_CLAIM_a_b"), "yes");
    /* else nobody does */
    assert_null(env_of("{\"a-b\":\"1\",\"a.b\":\"2\"}", "M2M_CLAIM_a_b"));
    /* httpd cannot tell these apart, so neither is believed */
    assert_null(env_of("{\"scope\":\"1\",\"Scope\":\"2\"}", "M2M_CLAIM_scope"));
    assert_null(env_of("{\"scope\":\"1\",\"Scope\":\"2\"}", "M2M_CLAIM_Scope"));
    /* an exact name that cannot be shown does not make room for its imitation */
    assert_null(env_of("{\"a_b\":\"x\\n\",\"a-b\":\"no\"}", "M2M_CLAIM_a_b"));
}

/* whether the claim of this name comes to be a variable, said in another way */
static int is_shown(const char *const *names, int n, int i)
{
    const char *mine = m2_claim_env_name(pool, names[i]);
    const int exact = m2_slice_is(m2_slice_z(names[i]), mine + strlen("M2M_CLAIM_"));
    int k;

    for (k = 0; k < n; k++) {
        const char *other = m2_claim_env_name(pool, names[k]);
        const int other_exact =
            m2_slice_is(m2_slice_z(names[k]), other + strlen("M2M_CLAIM_"));

        if (k != i && (other_exact || !exact) && m2_slice_is_nocase(m2_slice_z(other), mine)) {
            return 0;
        }
    }
    return 1;
}

/* Every three different names of one or two characters, some of which fold to the same. */
static void test_env_of_any_three(void **state)
{
    static const char *const all[] = { "a", "A", "_", "-", "0", "aa", "aA", "a_", "a-", "-a",
                                       "_a", "_A", "Aa", "z9", "Z9", ".9" };
    const int n = (int)(sizeof(all) / sizeof(all[0]));
    int a, b, c, i;

    (void)state;
    for (i = 0; i < n * n * n; i++) {
        const char *three[] = { all[a = i % n], all[b = i / n % n], all[c = i / n / n] };
        const char *text = apr_psprintf(pool, "{\"%s\":\"0\",\"%s\":\"1\",\"%s\":\"2\"}",
                                        three[0], three[1], three[2]);
        const apr_array_header_t *list;
        int k, shown = 0;

        if (a == b || b == c || a == c) {
            continue;
        }
        list = m2_publish_env(pool, json(text));
        for (k = 0; k < 3; k++) {
            if (is_shown(three, 3, k)) {
                assert_true(shown < list->nelts);
                assert_string_equal(entry(list, shown)->name,
                                    m2_claim_env_name(pool, three[k]));
                assert_string_equal(entry(list, shown++)->value, apr_itoa(pool, k));
            }
        }
        assert_int_equal(list->nelts, shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_target_refused),
        cmocka_unit_test(test_header_forbidden),
        cmocka_unit_test(test_mapping_collisions),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_collect),
        cmocka_unit_test(test_collect_without_token),
        cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_encoding_refused),
        cmocka_unit_test(test_collect_goes_on),
        cmocka_unit_test(test_env_name),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_env_collisions),
        cmocka_unit_test(test_env_of_any_three),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
