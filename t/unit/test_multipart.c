/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Field names in multipart bodies, as different parsers find them.
 */
#include "request/m2_multipart.h"

#include "unit.h"

static int is_mapped(const void *names, m2_slice_t raw)
{
    return m2_nameset_find(names, raw) != NULL;
}

/* Whether a body of one part, whose header ends in parameters, is taken. */
static int taken(const char *parameters)
{
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);
    const char *body = apr_pstrcat(pool, "--b\r\nContent-Disposition: form-data; ", parameters,
                                   "\r\n\r\nvalue\r\n--b--\r\n", NULL);

    m2_nameset_add(names, "client_id");
    return m2_multipart_has(m2_slice_z(body), is_mapped, names);
}

static void test_spellings(void **state)
{
    static const char *const ours[] = {
        "name=\"client_id\"", "name=client_id", "NAME=\"Client-Id\"", "name = \"client_id\"",
        "name='client_id'", "name=\"client_id[]\"", "name=\"\\client_id\"",
        "name=\"client\\_id\"; filename=x", "name=client_id;x=y", "name=client_id, x",
        "name=\"client%5fid\"", "name*=utf-8''client_id", "name*0*=utf-8'en'client%5Fid",
        "name*0=client; name*1=_id", "name=\"=?utf-8?B?Y2xpZW50X2lk?=\"",
        "filename=\"a;b\";name=\"client_id\"", "name=\r\n \"client_id\"", "name=\" client_id\"",
        "name=x\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"client.id",
    };
    static const char *const others[] = {
        "name=\"file\"; filename=\"client_id\"", "name=\"client\"", "name=\"x\"\r\n\r\nclient_id=1",
        "name", "name=", "name=\"\"", "username=client_id", "name: client_id",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (!taken(ours[i])) {
            fail_msg("not taken: %s", ours[i]);
        }
    }
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (taken(others[i])) {
            fail_msg("taken: %s", others[i]);
        }
    }
}

/* A name that is too long to be read to its end is not known, and none costs more. */
static void test_length(void **state)
{
    char *blanks = apr_palloc(pool, 100001);

    (void)state;
    memset(blanks, ' ', 100000);
    blanks[100000] = '\0';
    assert_true(taken(apr_pstrcat(pool, "name=\"", blanks, "client_id\"", NULL)));
    assert_false(taken(apr_pstrcat(pool, "name=\"x\"\r\n\r\n", blanks, NULL)));
    assert_false(m2_multipart_has(m2_slice(NULL, 0), is_mapped, NULL));
    assert_false(m2_multipart_has(m2_slice_z("name"), is_mapped, NULL));
}

static m2_slice_t repeated(const char *part, apr_size_t n)
{
    const apr_size_t size = strlen(part);
    char *body = apr_palloc(pool, n);
    apr_size_t i;

    for (i = 0; i < n; i++) {
        body[i] = part[i % size];
    }
    return m2_slice(body, n);
}

/* Values within values are not read for ever: the body counts as one that holds the name. */
static void test_nested(void **state)
{
    static const char *const nested[] = { "name=", "name=c_", "name='", "name=\"", "name=%63",
                                          "name=name=name=name=c\"" };
    static const char *const files[] = {
        "<input name=\"user\" value=\"c\"><input name=c id='x'>", "this.name=name;x.name='c';\n",
        "https://example.org/?name=c&name=d&name=e&name=f\n", "name=\r\n", "name=c name=d\n",
    };
    m2_nameset_t *names = m2_nameset_make(pool, M2_READ_FORM);
    size_t i;

    (void)state;
    m2_nameset_add(names, "client_id");
    for (i = 0; i < sizeof(nested) / sizeof(nested[0]); i++) {
        if (!m2_multipart_has(repeated(nested[i], 65536), is_mapped, names)) {
            fail_msg("not taken: %s", nested[i]);
        }
    }
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (m2_multipart_has(repeated(files[i], 65536), is_mapped, names)) {
            fail_msg("taken: %s", files[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_spellings), unit(test_length),
                                        unit(test_nested) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
