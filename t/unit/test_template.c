/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Templates: what is a placeholder, and that no value gets out of the place it was put in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules/m2_template.h"
#include "facts.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static apr_pool_t *pool;
static fact_list_t *list;

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

static int fresh(void **state)
{
    (void)state;
    list = fact_list_make(pool);
    fact_text(list, "a", "x");
    fact_text(list, "empty", "");
    fact_text(list, "mean", "\"'<&>\\/%{a}${a}");
    fact_add(list, "ctl", FACT_TEXT, m2_slice("a\r\nX: y\t\x01\x7f\0z", 12));
    fact_add(list, "none", FACT_NULL, m2_slice(NULL, 0));
    fact_add(list, "bad", FACT_ERROR, m2_slice_z("x"));
    fact_add(list, "claim", FACT_CLAIM, m2_slice_z("[\"r\",\"w\"]"));
    return 0;
}

static const m2_template_t *compiled(const char *text, m2_template_mark_t mark)
{
    const m2_template_t *template = NULL;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_template_compile(&template, pool, text, mark, list->params, &err)) {
        fail_msg("%s: %s", text, err.text);
    }
    return template;
}

static const char *render(const char *text, m2_escape_t escape)
{
    return m2_template_render(compiled(text, M2_MARK_PERCENT), pool, escape,
                              facts_of(list, pool));
}

static void assert_refused(const char *text, m2_template_mark_t mark, int column,
                           const char *words)
{
    const m2_template_t *template;
    m2_err_t err;

    m2_err_init(&err, pool);
    assert_int_equal(m2_template_compile(&template, pool, text, mark, list->params, &err),
                     M2_E_CONFIG);
    assert_null(template);
    assert_int_equal(err.column, column);
    if (!strstr(err.text, words)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, words);
    }
}

static void test_placeholders(void **state)
{
    (void)state;
    assert_string_equal(render("", M2_ESCAPE_TEXT), "");
    assert_string_equal(render("plain", M2_ESCAPE_TEXT), "plain");
    assert_string_equal(render("%{a}", M2_ESCAPE_TEXT), "x");
    assert_string_equal(render("<%{a}%{a}>", M2_ESCAPE_TEXT), "<xx>");
    assert_string_equal(render("/%{a}/y", M2_ESCAPE_TEXT), "/x/y");
    assert_string_equal(render("[%{empty}%{none}%{bad}]", M2_ESCAPE_TEXT), "[]");
    assert_string_equal(render("%{claim}", M2_ESCAPE_TEXT), "r w");
    assert_string_equal(render("%{CaStage}", M2_ESCAPE_TEXT), "CaStage");
    assert_string_equal(render("100% a $5 %a $a {a} ${a} %%{a} %", M2_ESCAPE_TEXT),
                        "100% a $5 %a $a {a} ${a} %x %");
}

static void test_dollar_mark(void **state)
{
    const m2_template_t *template = compiled("%{a} ${a} $a $ {a} $$", M2_MARK_DOLLAR);

    (void)state;
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_TEXT,
                                           facts_of(list, pool)), "%{a} x $a $ {a} $$");
}

static void test_refused(void **state)
{
    (void)state;
    assert_refused("%{nobody}", M2_MARK_PERCENT, 1, "nobody");
    assert_refused("%{a} %{A}", M2_MARK_PERCENT, 6, "A");
    assert_refused("ab ${nobody}", M2_MARK_DOLLAR, 4, "nobody");
    assert_refused("%{", M2_MARK_PERCENT, 1, "%{");
    assert_refused("x%{a", M2_MARK_PERCENT, 2, "%{");
    assert_refused("%{}", M2_MARK_PERCENT, 1, "name");
    assert_refused("%{a b}", M2_MARK_PERCENT, 1, "name");
    assert_refused("%{ a}", M2_MARK_PERCENT, 1, "name");
    assert_refused("%{a-b}", M2_MARK_PERCENT, 1, "name");
    assert_refused("%{%{a}}", M2_MARK_PERCENT, 1, "name");
    assert_refused("${", M2_MARK_DOLLAR, 1, "${");
    assert_refused("%{CaNothing}", M2_MARK_PERCENT, 1, "CaNothing");
}

/* what a value holds is not looked at for placeholders */
static void test_once_only(void **state)
{
    (void)state;
    assert_string_equal(render("%{mean}", M2_ESCAPE_TEXT), "\"'<&>\\/%{a}${a}");
}

static void test_header(void **state)
{
    (void)state;
    assert_string_equal(render("v %{ctl}", M2_ESCAPE_HEADER), "v aX: yz");
    assert_string_equal(render("%{mean}", M2_ESCAPE_HEADER), "\"'<&>\\/%{a}${a}");
    /* not even the administrator's text splits a header */
    assert_string_equal(render("a\r\nb: c\n", M2_ESCAPE_HEADER), "ab: c");
}

static void test_text(void **state)
{
    (void)state;
    assert_string_equal(render("%{ctl}", M2_ESCAPE_TEXT), "a\r\nX: y\t\x01\x7fz");
    assert_string_equal(render("a\nb", M2_ESCAPE_TEXT), "a\nb");
}

static void test_json(void **state)
{
    (void)state;
    assert_string_equal(render("{\"a\": \"%{mean}\"}", M2_ESCAPE_JSON),
                        "{\"a\": \"\\\"'<&>\\\\/%{a}${a}\"}");
    assert_string_equal(render("%{ctl}", M2_ESCAPE_JSON),
                        "a\\u000d\\u000aX: y\\u0009\\u0001\\u007f\\u0000z");
}

static void test_xml(void **state)
{
    (void)state;
    assert_string_equal(render("<R a='%{mean}'/>", M2_ESCAPE_XML),
                        "<R a='&quot;&#39;&lt;&amp;&gt;\\/%{a}${a}'/>");
    assert_string_equal(render("%{ctl}", M2_ESCAPE_XML), "a&#13;&#10;X: y&#9;z");
}

#define FFFD "\xef\xbf\xbd"

/* RFC 3629: only what is well-formed stays; the bytes of a bad sequence go one by one, so
 * that none can swallow the quote behind it */
static void test_utf8(void **state)
{
    static const char *const rows[][2] = {
        { "\xc3\xa9", "\xc3\xa9" },
        { "\xe2\x82\xac", "\xe2\x82\xac" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
        { "\xed\x9f\xbf", "\xed\x9f\xbf" },
        { "\xff", FFFD },
        { "\x80", FFFD },
        { "\xc3\"", FFFD "\\\"" },
        { "\xc3", FFFD },
        { "\xe2\x82", FFFD FFFD },
        { "\xe2\x82\"", FFFD FFFD "\\\"" },
        { "\xc0\xa2", FFFD FFFD },                 /* overlong quote */
        { "\xc1\xbf", FFFD FFFD },
        { "\xe0\x80\xa2", FFFD FFFD FFFD },        /* likewise */
        { "\xf0\x80\x80\xa2", FFFD FFFD FFFD FFFD },
        { "\xed\xa0\x80", FFFD FFFD FFFD },        /* surrogate */
        { "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD }, /* behind U+10FFFF */
        { "\xf5\x80\x80\x80", FFFD FFFD FFFD FFFD },
        { "\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD },
    };
    const m2_template_t *template;
    apr_size_t i;

    (void)state;
    fact_text(list, "u", "");
    template = compiled("%{u}", M2_MARK_PERCENT);
    for (i = 0; i < COUNT(rows); i++) {
        fact_named(list, "u")->text = m2_slice_z(rows[i][0]);
        assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_JSON,
                                               facts_of(list, pool)), rows[i][1]);
    }
    fact_named(list, "u")->text = m2_slice_z("\xc3<");
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_XML,
                                           facts_of(list, pool)), FFFD "&lt;");
    fact_named(list, "u")->text = m2_slice_z("\xff");
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_TEXT,
                                           facts_of(list, pool)), "\xff");
}

static void test_redacted(void **state)
{
    m2_facts_t *facts = facts_of(list, pool);
    const m2_template_t *template;

    (void)state;
    fact_text(list, "auth", "Bearer aaa.bbb.ccc");
    fact_text(list, "half", "aaa.bbb.cc");
    facts = facts_of(list, pool);
    facts->secret = m2_slice_z("aaa.bbb.ccc");
    template = compiled("%{a} %{auth} %{half}", M2_MARK_PERCENT);
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_HEADER, facts),
                        "x [redacted] aaa.bbb.cc");
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_JSON, facts),
                        "x [redacted] aaa.bbb.cc");
    facts->secret = m2_slice("", 0); /* no token: nothing to hide */
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_TEXT, facts),
                        "x Bearer aaa.bbb.ccc aaa.bbb.cc");
}

static const char *filled(char c, apr_size_t n)
{
    char *out = apr_palloc(pool, n + 1);

    memset(out, c, n);
    out[n] = '\0';
    return out;
}

/* a value is cut, what stands around it is not */
static void test_cut(void **state)
{
    const char *out;

    (void)state;
    fact_text(list, "long", filled('a', M2_MAX_TEMPLATE + 10));
    fact_text(list, "quotes", filled('"', M2_MAX_TEMPLATE));
    out = render("{\"v\":\"%{long}\"}", M2_ESCAPE_JSON);
    assert_int_equal(strlen(out), M2_MAX_TEMPLATE);
    assert_string_equal(out + M2_MAX_TEMPLATE - 3, "a\"}");
    out = render("[%{quotes}%{long}]", M2_ESCAPE_JSON); /* never half an escape */
    assert_int_equal(strlen(out), M2_MAX_TEMPLATE);
    assert_string_equal(out + M2_MAX_TEMPLATE - 3, "\\\"]");
    out = render("[.%{quotes}%{a}]", M2_ESCAPE_JSON);
    assert_int_equal(strlen(out), M2_MAX_TEMPLATE - 1);
    assert_string_equal(out + M2_MAX_TEMPLATE - 4, "\\\"]");
    out = render(filled('z', M2_MAX_TEMPLATE), M2_ESCAPE_TEXT);
    assert_int_equal(strlen(out), M2_MAX_TEMPLATE);
    assert_refused(filled('z', M2_MAX_TEMPLATE + 1), M2_MARK_PERCENT, M2_MAX_TEMPLATE + 1,
                   "longer");
}

static void test_media_types(void **state)
{
    static const struct {
        const char *type;
        m2_escape_t escape;
    } rows[] = {
        { NULL, M2_ESCAPE_TEXT },
        { "", M2_ESCAPE_TEXT },
        { "text/plain", M2_ESCAPE_TEXT },
        { "text/plain; x=application/json", M2_ESCAPE_TEXT },
        { "application/octet-stream", M2_ESCAPE_TEXT },
        { "application/json", M2_ESCAPE_JSON },
        { "Application/JSON", M2_ESCAPE_JSON },
        { "application/json;charset=utf-8", M2_ESCAPE_JSON },
        { " application/json ; charset=utf-8", M2_ESCAPE_JSON },
        { "application/problem+json", M2_ESCAPE_JSON },
        { "application/vnd.x+JSON", M2_ESCAPE_JSON },
        { "application/jsonp", M2_ESCAPE_TEXT },
        { "xapplication/json", M2_ESCAPE_TEXT },
        { "application/xml", M2_ESCAPE_XML },
        { "text/xml", M2_ESCAPE_XML },
        { "text/html", M2_ESCAPE_XML },
        { "TEXT/HTML; charset=iso-8859-1", M2_ESCAPE_XML },
        { "application/xhtml+xml", M2_ESCAPE_XML },
        { "image/svg+xml", M2_ESCAPE_XML },
        { "text/htmlx", M2_ESCAPE_TEXT },
        { "application/xml-dtd", M2_ESCAPE_TEXT },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        assert_int_equal(m2_escape_for(rows[i].type), rows[i].escape);
    }
}

static void test_the_text_may_go(void **state)
{
    char text[] = "a%{a}b";
    const m2_template_t *template = compiled(text, M2_MARK_PERCENT);

    (void)state;
    memset(text, '#', sizeof(text) - 1);
    assert_string_equal(m2_template_render(template, pool, M2_ESCAPE_TEXT,
                                           facts_of(list, pool)), "axb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_placeholders, fresh),
        cmocka_unit_test_setup(test_dollar_mark, fresh),
        cmocka_unit_test_setup(test_refused, fresh),
        cmocka_unit_test_setup(test_once_only, fresh),
        cmocka_unit_test_setup(test_header, fresh),
        cmocka_unit_test_setup(test_text, fresh),
        cmocka_unit_test_setup(test_json, fresh),
        cmocka_unit_test_setup(test_xml, fresh),
        cmocka_unit_test_setup(test_utf8, fresh),
        cmocka_unit_test_setup(test_redacted, fresh),
        cmocka_unit_test_setup(test_cut, fresh),
        cmocka_unit_test_setup(test_media_types, fresh),
        cmocka_unit_test_setup(test_the_text_may_go, fresh),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
