/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a body may be to a backend, and charsets under which names are not their bytes.
 */
#include "request/m2_body.h"

#include "unit.h"

static void test_kind(void **state)
{
    static const struct { const char *type, *encoding; m2_body_kind_t kind; } rows[] = {
        { "application/x-www-form-urlencoded", NULL, M2_BODY_FORM },
        { "Application/X-WWW-Form-Urlencoded ; charset=utf-8", "identity", M2_BODY_FORM },
        { " application/x-www-form-urlencoded", "", M2_BODY_FORM },
        { NULL, NULL, M2_BODY_UNTYPED },
        { "", NULL, M2_BODY_UNTYPED },
        { "form", NULL, M2_BODY_UNTYPED },
        { "/", NULL, M2_BODY_UNTYPED },
        { "a/b/c", NULL, M2_BODY_UNTYPED },
        { "application/x-www-form-urlencoded, application/json", NULL, M2_BODY_UNTYPED },
        { "application/json, application/x-www-form-urlencoded", NULL, M2_BODY_UNTYPED },
        { "application/x-url-encoded", NULL, M2_BODY_UNTYPED },
        { "application/json; x=urlencoded", NULL, M2_BODY_UNTYPED },
        { "application/x-www-form-urlencodedx", NULL, M2_BODY_UNTYPED },
        { "multipart/form-data; boundary=x", NULL, M2_BODY_MULTIPART },
        { "application/json, Multipart/Mixed", NULL, M2_BODY_MULTIPART },
        { "text/plain;charset=utf-8", NULL, M2_BODY_PLAIN },
        { "application/json", NULL, M2_BODY_OTHER },
        { "application/vnd.api+json; charset=utf-8", NULL, M2_BODY_OTHER },
        { "text/xml", NULL, M2_BODY_OTHER },
        { "application/x-www-form-urlencoded", "gzip", M2_BODY_CODED },
        { "application/json", "br", M2_BODY_CODED },
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (m2_body_kind(rows[i].type, rows[i].encoding) != rows[i].kind) {
            fail_msg("%s is of kind %d", rows[i].type,
                     m2_body_kind(rows[i].type, rows[i].encoding));
        }
    }
}

static void test_charset(void **state)
{
    static const char *const plain[] = {
        "application/json", "text/html; charset=utf-8", "text/html;charset=\"UTF-8\"",
        "a/b; charset=utf8", "a/b; charset = us-ascii", "a/b; charset=ISO-8859-15",
        "a/b; charset=windows-1251; x=y", "a/b; charset=latin1", "a/b; charset='koi8-r'",
        "a/b; charset=koi8-u", "a/charset", "a/b; charset=utf-8, c/d",
    };
    static const char *const other[] = {
        "text/x; charset=utf-7", "a/b;charset=\"utf-7\"", "a/b; charset=", "a/b; charset=\"\"", "a/b; CHARSET=UTF-16",
        "a/b; charset=utf-8; charset=utf-7", "a/b; charset=ibm037", "a/b; charset=cp1252",
        "a/b; charset=iso-8859-", "a/b; charset=iso-8859-123", "a/b; charset=iso-2022-jp",
        "a/b; charset*=utf-8''utf-7", "a/b; charset*0=utf-; charset*1=7", "charset=utf-7",
        "a/b; charset=ut\\f-7", "a/b; charset=windows-12511", "a/b; charset=\"\"utf-7",
    };
    apr_size_t i;

    (void)state;
    assert_true(m2_body_charset_is_plain(NULL));
    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (!m2_body_charset_is_plain(plain[i])) {
            fail_msg("%s is refused", plain[i]);
        }
    }
    for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (m2_body_charset_is_plain(other[i])) {
            fail_msg("%s is not refused", other[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_kind),
        unit(test_charset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
