/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON: what is refused and with which words, each limit from both sides, and the texts.
 */
#include "unit.h"

#include "text/m2_json.h"

static const m2_json_t *parse(const char *text)
{
    const m2_json_t *json;

    clean();
    return m2_json_parse(&json, pool, z(text), M2_E_TOKEN_MALFORMED, &err) == M2_OK ? json
                                                                                    : NULL;
}

/* n times open, then middle, then n times close */
static const char *nest(int n, const char *open, const char *middle, const char *shut)
{
    char *text = apr_pcalloc(pool, (apr_size_t)n * (strlen(open) + strlen(shut)) + 64);
    char *p = text;
    int i;

    for (i = 0; i < n; i++) {
        memcpy(p, open, strlen(open));
        p += strlen(open);
    }
    memcpy(p, middle, strlen(middle));
    p += strlen(middle);
    for (i = 0; i < n; i++) {
        memcpy(p, shut, strlen(shut));
        p += strlen(shut);
    }
    return text;
}

/* an object of n members, or an array of n elements */
static const char *wide(int n, int object)
{
    char *text = apr_palloc(pool, (apr_size_t)n * 12 + 3), *p = text;
    int i;

    *p++ = object ? '{' : '[';
    for (i = 0; i < n; i++) {
        p += apr_snprintf(p, 12, object ? "%s\"%d\":1" : "%s1", i ? "," : "", i);
    }
    *p++ = object ? '}' : ']';
    *p = '\0';
    return text;
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        { "{\"a\":1,\"a\":2}", "appears twice" },
        { "{\"a\":{\"b\":1,\"b\":1}}", "appears twice" },
        { "{\"a\":1,\"\\u0061\":2}", "appears twice" },
        { "{\"a\":1}x", "behind the value" },
        { "{\"a\":1}{}", "behind the value" },
        { "{\"a\":\"\\u0000\"}", "\\u0000" },
        { "{\"a\\u0000b\":1}", "\\u0000" },
        { "{\"a\":\"\xff\"}", "UTF-8" },
        { "{\"a\":\"\xc0\x80\"}", "UTF-8" },
        { "{\"a\":\"\xed\xa0\x80\"}", "UTF-8" },
        { "{\"a\":\"\\ud800\"}", "syntax" },
        { "{\"exp\":1e400}", "out of range" },
        { "{\"exp\":-1e400}", "out of range" },
        { "{\"exp\":12345678901234567890123456789012345678901}", "out of range" },
        { "{\"\\u0061\":-12345678901234567890123456789012345678901}", "out of range" },
        { "{\"exp\":012345678901234567890}", "syntax" },
        { "{\"exp\":12345678901234567890x}", "syntax" },
        { "{\"exp\":NaN}", "syntax" },
        { "{\"exp\":Infinity}", "syntax" },
        { "{\"exp\":01}", "syntax" },
        { "{\"exp\":+1}", "syntax" },
        { "{\"exp\":.5}", "syntax" },
        { "{\"exp\":1.}", "syntax" },
        { "{\"exp\":0x10}", "syntax" },
        { "{'a':1}", "syntax" },
        { "{\"a\":1,}", "syntax" },
        { "[1,]", "syntax" },
        { "{\"a\":1", "ends early" },
        { "{\"a", "ends early" },
        { "\"a\nb\"", "syntax" },
        { "\xef\xbb\xbf{}", "syntax" },
        { "/* */ {}", "syntax" },
        { "nul", "syntax" },
        { "", "empty" },
        { " ", "ends early" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i].text) || !strstr(err.text, bad[i].words)) {
            print_error("%s: %s\n", bad[i].text, err.text ? err.text : "accepted");
            fail();
        }
        assert_int_equal(err.code, M2_E_TOKEN_MALFORMED);
    }
}

static void test_nul_bytes(void **state)
{
    const m2_json_t *json;

    (void)state;
    assert_int_equal(m2_json_parse(&json, pool, m2_slice("{}\0", 3), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_json_parse(&json, pool, m2_slice("\"a\0b\"", 5), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_json_parse(&json, pool, m2_slice(NULL, 0), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_json_parse(&json, pool, m2_slice("{}x", 2), M2_E_CONFIG, &err), M2_OK);
}

static void test_errors_do_not_quote(void **state)
{
    (void)state;
    assert_null(parse("{\"secret-claim\": hunter2 }"));
    assert_null(strstr(err.text, "hunter"));
    assert_null(strstr(err.text, "secret"));
    assert_null(parse("{\n  \"a\": 1,\n  \"a\": 2\n}"));
    assert_int_equal(err.line, 3);
    assert_in_range(err.column, 1, 9);
    assert_non_null(strstr(err.text, "bad JSON at 3:"));
}

static void test_depth(void **state)
{
    (void)state;
    assert_non_null(parse(nest(16, "[", "1", "]")));
    assert_null(parse(nest(17, "[", "1", "]")));
    assert_non_null(strstr(err.text, "too deeply"));
    assert_non_null(parse(nest(16, "{\"a\":", "1", "}")));
    assert_null(parse(nest(17, "{\"a\":", "1", "}")));
    assert_null(parse(nest(200000, "[", "", "]")));
    assert_non_null(strstr(err.text, "too deeply"));
    assert_null(parse(nest(200000, "{\"a\":[", "", "")));
    /* brackets inside strings, also behind escaped quotes, nest nothing */
    assert_non_null(parse("[\"[[[[[[[[[[[[[[[[[[[[[\\\"[[[\\\\\"]"));
    assert_non_null(parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"));
}

static void test_width(void **state)
{
    (void)state;
    assert_non_null(parse(wide(256, 1)));
    assert_null(parse(wide(257, 1)));
    assert_non_null(strstr(err.text, "too many members"));
    assert_non_null(parse(wide(16384, 0)));
    assert_null(parse(wide(16385, 0)));
    assert_non_null(strstr(err.text, "too many elements"));
    assert_non_null(parse("{\"a\":[1,2,3],\"b\":\",,,,\"}"));
}

static void test_types(void **state)
{
    const m2_json_t *json =
        parse("{\"n\":null,\"b\":false,\"i\":-3,\"r\":0.5,\"s\":\"x\\ty\",\"a\":[1,\"two\"]}");
    int b = 7;

    (void)state;
    assert_int_equal(m2_json_type(json), M2_JSON_OBJECT);
    assert_int_equal(m2_json_length(json), 6);
    assert_int_equal(m2_json_type(m2_json_get(json, "n")), M2_JSON_NULL);
    assert_int_equal(m2_json_type(m2_json_get(json, "b")), M2_JSON_BOOL);
    assert_int_equal(m2_json_type(m2_json_get(json, "i")), M2_JSON_INT);
    assert_int_equal(m2_json_type(m2_json_get(json, "r")), M2_JSON_REAL);
    assert_int_equal(m2_json_type(m2_json_get(json, "a")), M2_JSON_ARRAY);
    assert_int_equal(m2_json_type(m2_json_get(json, "none")), M2_JSON_NONE);
    assert_int_equal(m2_json_type(m2_json_get(NULL, "none")), M2_JSON_NONE);
    assert_true(m2_slice_is(m2_json_string(m2_json_get(json, "s")), "x\ty"));
    assert_null(m2_json_string(m2_json_get(json, "i")).p);
    assert_true(m2_json_bool(m2_json_get(json, "b"), &b));
    assert_int_equal(b, 0);
    assert_false(m2_json_bool(m2_json_get(json, "n"), &b));
    assert_int_equal(m2_json_length(m2_json_get(json, "a")), 2);
    assert_true(m2_slice_is(m2_json_string(m2_json_at(m2_json_get(json, "a"), 1)), "two"));
    assert_null(m2_json_at(m2_json_get(json, "a"), 2));
    assert_int_equal(m2_json_type(parse("\"scalar\"")), M2_JSON_STRING);
}

static void test_path(void **state)
{
    const m2_json_t *json = parse("{\"a\":{\"b\":{\"c\":\"deep\"},\"\":\"blank\"},\"a.b\":\"exact\","
                                  "\"https://x.example/roles\":\"url\",\"s\":\"text\",\"\":1}");
    static const char *const pairs[][2] = { { "a.b.c", "deep" },
                                            { "a.b", "exact" },
                                            { "https://x.example/roles", "url" },
                                            { "a.", "blank" } };
    static const char *const absent[] = { "a.b.c.d", "s.x", "a.x", "x.a", ".", "..", "a..b",
                                          ".a", "a.b.", "b" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_true(m2_slice_is(m2_json_string(m2_json_path(json, pairs[i][0])), pairs[i][1]));
    }
    for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        assert_null(m2_json_string(m2_json_path(json, absent[i])).p);
    }
    json = parse("{\"a\":{\"b\":null,\"b.c\":1,\"b/c\":[{\"x\":\"p\"},\"q\"],\"~\":\"t\"},\"a.b\":null,"
                 "\"r\":{\"my.client\":{\"roles\":\"long\"},\"my\":{\"client\":{\"roles\":\"short\"}}},"
                 "\"n\":null}");
    assert_true(m2_slice_is(m2_json_string(m2_json_path(json, "r.my.client.roles")), "long"));
    assert_int_equal(m2_json_type(m2_json_path(json, "a.b.c")), M2_JSON_INT);
    assert_true(m2_slice_is(m2_json_string(m2_json_path(json, "/a/b~1c/0/x")), "p"));
    assert_true(m2_slice_is(m2_json_string(m2_json_path(json, "/a/b~1c/1")), "q"));
    assert_true(m2_slice_is(m2_json_string(m2_json_path(json, "/a/~0")), "t"));
    assert_null(m2_json_path(json, "/a/b~1c/01"));
    assert_null(m2_json_path(json, "/a/b~1c/2"));
    assert_null(m2_json_path(json, "/a/b"));
    assert_null(m2_json_path(json, "/n"));
    assert_null(m2_json_path(json, "n"));
    assert_null(m2_json_path(json, "a.b"));
    assert_null(m2_json_path(NULL, "a.b"));
    assert_null(m2_json_path(parse("[1]"), "a.b"));
}

static const char *at_path(const char *text, const char *path)
{
    const m2_json_t *found = m2_json_path(parse(text), path);

    return found ? m2_json_text(pool, found) : "(none)";
}

/* the names that providers give: dots in names, names between dots, null for nothing */
static void test_path_longest(void **state)
{
    static const char keycloak[] = "{\"resource_access\":{\"my.client\":{\"roles\":[\"admin\"]},"
                                   "\"my\":{\"client\":{\"roles\":[\"other\"]}}}}";
    static const char hasura[] = "{\"https://hasura.io/jwt/claims\":{\"x-hasura-role\":\"user\"}}";

    (void)state;
    assert_string_equal(at_path(keycloak, "resource_access.my.client.roles"), "admin");
    assert_string_equal(at_path(hasura, "https://hasura.io/jwt/claims.x-hasura-role"), "user");
    assert_string_equal(at_path("{\"a.b\":null,\"a\":{\"b\":7}}", "a.b"), "7");
    assert_string_equal(at_path("{\"a.b\":{\"d\":1},\"a\":{\"b\":{\"c\":2}}}", "a.b.c"), "2");
    assert_string_equal(at_path("{\"a.b\":\"x\",\"a\":{\"b.c\":3}}", "a.b.c"), "3");
    assert_string_equal(at_path("{\"a\":null}", "a"), "(none)");
    assert_string_equal(at_path("{\"a\":{\"b\":null}}", "a.b"), "(none)");
    assert_string_equal(at_path("{\"a\":[{\"b\":1}]}", "a.b"), "(none)");
}

static void test_pointer(void **state)
{
    static const char doc[] = "{\"a\":{\"b/c\":[\"x\",{\"d~e\":7}],\"\":\"e\"},\"/a/b\":8,"
                              "\"a.b\":9,\"n\":null}";
    static const char *const cases[][2] = {
        { "/a/b~1c/0", "x" },       { "/a/b~1c/1/d~0e", "7" }, { "/a/", "e" },
        { "/a.b", "9" },            { "/a/b~1c/00", "(none)" }, { "/a/b~1c/2", "(none)" },
        { "/a/b~1c/-", "(none)" },  { "/a/b", "(none)" },      { "/n", "(none)" },
        { "/n/x", "(none)" },       { "/", "(none)" },         { "/~1a~1b", "8" },
        { "/a/b~1c/1/d~0", "(none)" }, { "/a/b~1c/1/d~0ee", "(none)" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(at_path(doc, cases[i][0]), cases[i][1]);
    }
    assert_int_equal(m2_json_path_check("/a~1b/~0", &err), M2_OK);
    assert_int_equal(m2_json_path_check("a~b.c", &err), M2_OK);
    assert_int_equal(m2_json_path_check("/a~2", &err), M2_E_CONFIG);
    assert_int_equal(m2_json_path_check("/a~", &err), M2_E_CONFIG);
    assert_int_equal(m2_json_path_check("", &err), M2_E_CONFIG);
}

/* a number and a NUL behind it: two readers, one of which stops at the NUL */
static void test_nul_behind_a_number(void **state)
{
    static const char bad[] = "{\"exp\":1\0}", one[] = "1\0", real[] = "[1.5\0]";
    const m2_json_t *json;

    (void)state;
    assert_non_null(parse("{\"exp\":1}"));
    assert_int_equal(m2_json_parse(&json, pool, m2_slice(bad, sizeof(bad) - 1), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
    assert_non_null(strstr(err.text, "NUL"));
    assert_int_equal(m2_json_parse(&json, pool, m2_slice(one, sizeof(one) - 1), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
    assert_int_equal(m2_json_parse(&json, pool, m2_slice(real, sizeof(real) - 1), M2_E_CONFIG, &err),
                     M2_E_CONFIG);
}

/* what is beyond a machine's integers keeps its digits, also in a copy */
static void test_long_integers(void **state)
{
    const m2_json_t *json = parse("{\"uid\":18446744073709551615,\"l\":[1.5,20000000000000000000]}");
    apr_size_t size;
    m2_json_t *kept = m2_json_keep(json, &size);
    const m2_json_t *uid = m2_json_get(kept, "uid");

    (void)state;
    assert_int_equal(m2_json_type(uid), M2_JSON_INT);
    assert_string_equal(m2_json_text(pool, uid), "18446744073709551615");
    assert_true(m2_json_has(uid, z("18446744073709551615"), 0));
    assert_false(m2_json_has(uid, z("18446744073709551616"), 0));
    assert_true(m2_json_has(m2_json_get(kept, "l"), z("20000000000000000000"), 0));
    m2_json_drop(kept);
}

static void test_time(void **state)
{
    static const struct {
        const char *text;
        double seconds; /* negative: refused */
    } cases[] = { { "0", 0 }, { "-0", 0 }, { "-0.0", 0 }, { "1516239022", 1516239022 },
                  { "1.5", 1.5 }, { "1.7e9", 1.7e9 }, { "9007199254740992", 9007199254740992.0 },
                  { "9007199254740993", -1 }, { "9007199254740994", -1 }, { "1e16", -1 },
                  { "1e300", -1 }, { "-1", -1 }, { "-0.5", -1 }, { "9223372036854775807", -1 },
                  { "\"1516239022\"", -1 }, { "18446744073709551615", -1 },
                  { "-18446744073709551615", -1 }, { "true", -1 }, { "[1]", -1 },
                  { "{}", -1 } };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double seconds = -7;
        m2_code_t code = m2_json_time(parse(cases[i].text), &seconds);

        if (cases[i].seconds < 0 ? code != M2_E_CLAIM_INVALID || seconds != -7
                                 : code != M2_OK || seconds != cases[i].seconds) {
            print_error("%s: code %d, %f\n", cases[i].text, (int)code, seconds);
            fail();
        }
    }
    assert_int_equal(m2_json_time(NULL, NULL), M2_E_NOT_FOUND);
    assert_int_equal(m2_json_time(parse("null"), NULL), M2_E_NOT_FOUND);
}

static void test_text(void **state)
{
    static const char *const cases[][2] = {
        { "\"as it is \\\" \\u00e9\"", "as it is \" \xc3\xa9" },
        { "42", "42" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "true", "true" },
        { "false", "false" },
        { "null", "null" },
        { "[\"a\",\"b\",\"d\"]", "a b d" },
        { "[\"a\",\"b c\",\"d\"]", "[\"a\",\"b\\u0020c\",\"d\"]" },
        { "[\"a\\tb\"]", "[\"a\\tb\"]" },
        { "[\"a\\u00a0b\"]", "[\"a\xc2\xa0" "b\"]" },
        { "{\"a b\":\"c d\"}", "{\"a\\u0020b\":\"c\\u0020d\"}" },
        { "[\"one\"]", "one" },
        { "[]", "" },
        { "[\"\",\"\"]", "[\"\",\"\"]" },
        { "[\"a\",1]", "[\"a\",1]" },
        { "[[\"a\"]]", "[[\"a\"]]" },
        { "{ \"b\" : [ 1 , 0.1 ] , \"a\" : null }", "{\"b\":[1,0.1],\"a\":null}" },
        { "{\"q\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f/\xe2\x82\xac\"}",
          "{\"q\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f/\xe2\x82\xac\"}" },
        { "{\"k\\n\\\"\":{}}", "{\"k\\n\\\"\":{}}" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(m2_json_text(pool, parse(cases[i][0])), cases[i][1]);
    }
    assert_null(m2_json_text(pool, NULL));
}

static void test_reals(void **state)
{
    static const char *const cases[][2] = {
        { "0.1", "0.1" }, { "1.0", "1" }, { "-1.5", "-1.5" }, { "100000.0", "100000" },
        { "1e5", "100000" }, { "123456.789", "123456.789" }, { "1e17", "100000000000000000" }, { "1e20", "1e+20" },
        { "1e21", "1e+21" }, { "1.5e300", "1.5e+300" }, { "0.000001", "0.000001" },
        { "1e-7", "1e-7" }, { "5e-324", "5e-324" }, { "-0.0", "0" },
        { "1.7976931348623157e308", "1.7976931348623157e+308" }, { "0.3", "0.3" },
        { "2.5e-5", "0.000025" }, { "1516239022.123", "1516239022.123" },
        { "333333333.33333329", "333333333.3333333" }, { "1e-400", "0" } };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(m2_json_text(pool, parse(cases[i][0])), cases[i][1]);
    }
}

/* A container has its own text, and nothing that is longer, shorter or other. */
static void test_has_containers(void **state)
{
    const m2_json_t *json, *list;

    (void)state;
    assert_int_equal(m2_json_parse(&json, pool, z("{\"l\":[[1,\"a b\"],{\"k\":null},[\"c\",\"d\"]]}"),
                                   M2_E_CONFIG, &err), M2_OK);
    list = m2_json_get(json, "l");
    assert_true(m2_json_has(list, z("[1,\"a\\u0020b\"]"), 0));
    assert_true(m2_json_has(list, z("{\"k\":null}"), 0));
    assert_true(m2_json_has(list, z("c d"), 0));
    assert_false(m2_json_has(list, z("c"), 0));
    assert_false(m2_json_has(list, z("[1,\"a\\u0020b\"] "), 0));
    assert_false(m2_json_has(list, z("[1,\"a\\u0020b\""), 0));
    assert_false(m2_json_has(list, z("[1,\"a\\u0020c\"]"), 0));
    assert_false(m2_json_has(list, z("{\"k\":nul}"), 0));
    assert_false(m2_json_has(list, z(""), 0));
}

static void test_has(void **state)
{
    const m2_json_t *words = parse("\"user:read  user:write \"");

    (void)state;
    assert_true(m2_json_has(words, z("user:read"), 1));
    assert_true(m2_json_has(words, z("user:write"), 1));
    assert_true(m2_json_has(words, z("user:read  user:write "), 0));
    assert_false(m2_json_has(words, z("user:read"), 0));
    assert_false(m2_json_has(words, z("user"), 1));
    assert_false(m2_json_has(words, z("user:writ"), 1));
    assert_false(m2_json_has(words, z(""), 1));
    assert_true(m2_json_has(parse("[\"a\",2,true,1.5]"), z("a"), 0));
    assert_true(m2_json_has(parse("[\"a\",2,true,1.5]"), z("2"), 0));
    assert_true(m2_json_has(parse("[\"a\",2,true,1.5]"), z("1.5"), 0));
    assert_true(m2_json_has(parse("[\"a\",2,true,1.5]"), z("true"), 0));
    assert_false(m2_json_has(parse("[\"a b\"]"), z("a"), 1));
    assert_false(m2_json_has(parse("[\"a\",\"b\"]"), z("a b"), 1));
    assert_true(m2_json_has(parse("[[\"a\",\"b\"]]"), z("a b"), 0));
    assert_true(m2_json_has(parse("{\"a\":1}"), z("{\"a\":1}"), 0));
    assert_true(m2_json_has(parse("7"), z("7"), 0));
    assert_false(m2_json_has(parse("7"), z("70"), 0));
    assert_false(m2_json_has(parse("null"), z("null"), 0));
    assert_false(m2_json_has(NULL, z("a"), 1));
    assert_false(m2_json_has(parse("\"\""), m2_slice(NULL, 0), 1));
}

static void test_make(void **state)
{
    m2_json_t *json = m2_json_make(pool), *list = m2_json_make_array(pool);

    (void)state;
    m2_json_append_string(list, "x");
    m2_json_append(list, parse("{\"y\":2}"));
    m2_json_set_string(json, "s", "a\"b");
    m2_json_set_int(json, "i", -5);
    m2_json_set_bool(json, "b", 1);
    m2_json_set_json(json, "l", list);
    m2_json_set_string(json, "bad", "\xff");
    assert_string_equal(m2_json_dump(pool, json),
                        "{\"s\":\"a\\\"b\",\"i\":-5,\"b\":true,\"l\":[\"x\",{\"y\":2}]}");
    m2_json_set_int(json, "i", 6);
    assert_string_equal(m2_json_text(pool, m2_json_get(json, "i")), "6");
}

/* What JSON cannot hold is left out, as it was when jansson made documents. */
static void test_make_utf8(void **state)
{
    static const char *const good[] = { "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                        "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "" };
    static const char *const bad[] = { "\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff" };
    m2_json_t *json = m2_json_make(pool), *list = m2_json_make_array(pool);
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        m2_json_set_string(json, "x", good[i]);
        assert_true(m2_slice_is(m2_json_string(m2_json_get(json, "x")), good[i]));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        m2_json_set_string(json, "y", bad[i]);
        m2_json_set_int(json, bad[i], 1);
        m2_json_append_string(list, bad[i]);
    }
    m2_json_set_string(json, "z", NULL);
    assert_int_equal(m2_json_length(json), 1);
    assert_int_equal(m2_json_length(list), 0);
}

/* What string may stand, at every place of a text: eight bytes are looked at together. */
static void test_make_every_place(void **state)
{
    char text[24], escaped[64];
    int c, at, n;

    (void)state;
    for (c = 1; c < 256; c++) {
        for (at = 0; at < 20; at++) {
            m2_json_t *json = m2_json_make(pool);

            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            text[20] = '\0';
            m2_json_set_string(json, "s", text);
            m2_json_set_int(json, text, 1);
            if (c > 127) {
                assert_int_equal(m2_json_length(json), 0);
                continue;
            }
            n = c == '"' || c == '\\' ? sprintf(escaped, "\\%c", c)
                : c < ' ' && !strchr("\b\f\n\r\t", c) ? sprintf(escaped, "\\u%04x", (unsigned)c)
                : c < ' ' ? sprintf(escaped, "\\%c", "btn.fr"[c - '\b'])
                          : sprintf(escaped, "%c", c);
            assert_true(n > 0);
            assert_string_equal(m2_json_dump(pool, json),
                                apr_psprintf(pool, "{\"s\":\"%.*s%s%s\",\"%.*s%s%s\":1}", at, text,
                                             escaped, text + at + 1, at, text, escaped,
                                             text + at + 1));
        }
    }
}

/* Texts of any length grow as they are written, with nothing lost where they do. */
static void test_make_lengths(void **state)
{
    char text[1200];
    int i;

    (void)state;
    for (i = 0; i < (int)sizeof(text) - 1; i++) {
        m2_json_t *list = m2_json_make_array(pool);

        text[i] = (char)('a' + i % 26);
        text[i + 1] = '\0';
        m2_json_append_string(list, text);
        m2_json_append_string(list, "b");
        assert_string_equal(m2_json_dump(pool, list), apr_psprintf(pool, "[\"%s\",\"b\"]", text));
    }
}

static void test_iter(void **state)
{
    const m2_json_t *json = parse("{\"a\":1,\"b\":2}");
    int seen = 0;
    const m2_member_t *it;

    (void)state;
    for (it = m2_json_iter(json); it; it = m2_json_iter_next(it)) {
        assert_string_equal(m2_json_text(pool, m2_json_iter_value(it)),
                            m2_json_iter_name(it)[0] == 'a' ? "1" : "2");
        seen++;
    }
    assert_int_equal(seen, 2);
    assert_null(m2_json_iter(parse("[]")));
}

/* Common documents are read by a short reader, others by jansson: what is in the one or the
 * other reads the same. */
static void test_two_readers(void **state)
{
    static const struct {
        const char *text, *dump; /* NULL: refused */
    } docs[] = {
        { "{\"a\":1,\"b\":[true,false,null,\"x\"],\"c\":{}}",
          "{\"a\":1,\"b\":[true,false,null,\"x\"],\"c\":{}}" },
        { " \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n", "{\"a\":1,\"b\":[]}" },
        { "[999999999999999999]", "[999999999999999999]" },
        { "[9223372036854775807]", "[9223372036854775807]" },
        { "[-9223372036854775808]", "[-9223372036854775808]" },
        { "[9223372036854775808]", "[9223372036854775808]" },
        { "[-9223372036854775809,1]", "[-9223372036854775809,1]" },
        { "1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890" },
        { "[12345678901234567890123456789012345678901]", NULL },
        { "[1.5,{\"a\":18446744073709551615,\"b\":\"18446744073709551616\"},-7,1e2,"
          "-1234567890123456789012345678901234567890,3]",
          "[1.5,{\"a\":18446744073709551615,\"b\":\"18446744073709551616\"},-7,100,"
          "-1234567890123456789012345678901234567890,3]" },
        { "[\"\\u0041 12345678901234567890 \\\"\",12345678901234567890]",
          "[\"A 12345678901234567890 \\\"\",12345678901234567890]" },
        { "[18446744073709551615 5]", NULL },
        { "[1.5,18446744073709551615 5]", NULL },
        { "[1.5,-]", NULL },
        { "[0,-1,-0]", "[0,-1,0]" },
        { "[01]", NULL },
        { "[-01]", NULL },
        { "[-]", NULL },
        { "[1.5]", "[1.5]" },
        { "[1e2]", "[100]" },
        { "[1.]", NULL },
        { "[1 2]", NULL },
        { "[1,]", NULL },
        { "{\"a\":1,}", NULL },
        { "{\"a\" 1}", NULL },
        { "{a:1}", NULL },
        { "[truex]", NULL },
        { "[tru]", NULL },
        { "[nul", NULL },
        { "[\"a\\u0041\\n\"]", "[\"aA\\n\"]" },
        { "[\"\xc3\xa4\"]", "[\"\xc3\xa4\"]" },
        { "[\"\xc3\"]", NULL },
        { "[\"\t\"]", NULL },
        { "[\"\x7f\"]", "[\"\x7f\"]" },
        { "[\"a]", NULL },
        { "{\"a\":1,\"\\u0061\":2}", NULL },
        { "{\"\\u0061\":2,\"a\":1}", NULL },
        { "{\"\":1}", "{\"\":1}" },
        { "[1]]", NULL },
        { "[1] x", NULL },
    };
    char name[200];
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
        const m2_json_t *json = parse(docs[i].text);

        if (!docs[i].dump) {
            assert_null(json);
            continue;
        }
        assert_non_null(json);
        assert_string_equal(m2_json_dump(pool, json), docs[i].dump);
    }
    memset(name, 'n', sizeof(name));
    for (i = 120; i < 140; i++) { /* either side of the length the short reader takes */
        const char *text = apr_psprintf(pool, "{\"%.*s\":7}", (int)i, name);

        assert_string_equal(m2_json_dump(pool, parse(text)), text);
        assert_null(parse(apr_psprintf(pool, "{\"%.*s\":7,\"%.*s\":8}", (int)i, name, (int)i,
                                       name)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_has_containers),
        unit(test_refused),  unit(test_nul_bytes), unit(test_errors_do_not_quote),
        unit(test_depth),    unit(test_width),     unit(test_types),
        unit(test_path),     unit(test_time),      unit(test_text),
        unit(test_reals),    unit(test_has),       unit(test_make),
        unit(test_make_utf8), unit(test_path_longest), unit(test_pointer),
        unit(test_nul_behind_a_number), unit(test_long_integers),
        unit(test_iter),     unit(test_two_readers),
        unit(test_make_every_place), unit(test_make_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
