/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Token requests: form body and Basic header, read strictly, one method per request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "oauth/m2_oauth.h"

#include <apr_base64.h>

#define CC "grant_type=client_credentials&scope=a%7Cone"
#define JWT "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type" \
            "%3Ajwt-bearer"

static apr_pool_t *pool;
static m2_token_request_t request;
static const char *text;

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

/* exactly n + 1 bytes on the heap, so that ASan sees one too many */
static m2_oauth_error_t read_n(const char *body, apr_size_t n, const char *authorization)
{
    static char *copy;

    free(copy);
    copy = malloc(n + 1);
    memcpy(copy, body, n);
    copy[n] = '?';
    text = NULL;
    return m2_oauth_request(&request, pool, M2_OAUTH_FOR_TOKEN, copy, n, authorization, &text);
}

static m2_oauth_error_t read_z(const char *body, const char *authorization)
{
    return read_n(body, strlen(body), authorization);
}

static const char *basic(const char *id, const char *secret)
{
    const char *both = apr_pstrcat(pool, id, ":", secret, NULL);
    char *b64 = apr_palloc(pool, (apr_size_t)apr_base64_encode_len((int)strlen(both)));

    apr_base64_encode(b64, both, (int)strlen(both));
    return apr_pstrcat(pool, "Basic ", b64, NULL);
}

static void refused(m2_oauth_error_t got, m2_oauth_error_t expected)
{
    assert_int_equal(got, expected);
    assert_non_null(text);
    assert_null(strpbrk(text, "\"\\\r\n")); /* fits error_description */
}

static void post(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC "&client_id=app&client_secret=s%2B%20e+c%26", NULL),
                     M2_OAUTH_OK);
    assert_int_equal(request.method, M2_CLIENT_POST);
    assert_string_equal(request.client_id, "app");
    assert_string_equal(request.secret, "s+ e c&");
    assert_string_equal(request.scope, "a|one");
    assert_string_equal(request.grant_type, "client_credentials");
    assert_null(request.assertion);
    assert_int_equal(read_z("client%5Fid=app&client_secret=x&" CC, NULL), M2_OAUTH_OK);
    assert_string_equal(request.client_id, "app");
    assert_int_equal(read_z(CC "&client_id=app&client_secret=a=b;c", NULL), M2_OAUTH_OK);
    assert_string_equal(request.secret, "a=b;c");
}

static void basic_header(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC, basic("app", "secret")), M2_OAUTH_OK);
    assert_int_equal(request.method, M2_CLIENT_BASIC);
    assert_string_equal(request.client_id, "app");
    assert_string_equal(request.secret, "secret");
    /* RFC 6749 2.3.1: both halves are form-encoded */
    assert_int_equal(read_z(CC, basic("a%3Ab", "s%2Be+c%3a:%25")), M2_OAUTH_OK);
    assert_string_equal(request.client_id, "a:b");
    assert_string_equal(request.secret, "s+e c::%");
    assert_int_equal(read_z(CC, basic("app", "")), M2_OAUTH_OK);
    assert_string_equal(request.secret, "");
    assert_int_equal(read_z(CC, "bAsIc   YTpi"), M2_OAUTH_OK);
    assert_string_equal(request.client_id, "a");
    assert_int_equal(read_z(CC "&client_id=app", basic("app", "x")), M2_OAUTH_OK);
}

static void basic_malformed(void **state)
{
    static const char *const values[] = {
        "Bearer abc", "Basic", "Basic ", "Basic  ", "BasicYTpi", "Basic YTpi=", "Basic YTp",
        "Basic YWI=" /* no colon */, "Basic YTpi YTpi", "Basic YTpi, Basic YTpi",
        "Basic Y*pi", "Basic ====", "Basic Y===", "Basic =Tpi", "Basic YT=i", "Basic OmI="
        /* no id */, "Basic YTpi\n", "Basic YT\tpi", "Digest username=\"a\"", "",
    };
    apr_size_t i;

    (void)state;
    assert_int_equal(read_z(CC, "Basic YTpi"), M2_OAUTH_OK); /* control */
    for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
        refused(read_z(CC, values[i]), M2_OAUTH_INVALID_CLIENT);
    }
    refused(read_z(CC, basic("a%zz", "b")), M2_OAUTH_INVALID_CLIENT);
    refused(read_z(CC, basic("a", "b%4")), M2_OAUTH_INVALID_CLIENT);
    refused(read_z(CC, basic("a%00", "b")), M2_OAUTH_INVALID_CLIENT);
    refused(read_z(CC, "Basic YQA6Yg=="), M2_OAUTH_INVALID_CLIENT); /* a NUL : b */
}

static void basic_too_long(void **state)
{
    char *long_one = apr_palloc(pool, 6200);

    (void)state;
    memset(long_one, 'x', 6199);
    long_one[6199] = '\0';
    refused(read_z(CC, basic("a", long_one)), M2_OAUTH_INVALID_CLIENT);
    long_one[6000] = '\0';
    assert_int_equal(read_z(CC, basic("a", long_one)), M2_OAUTH_OK);
}

static void assertion(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC JWT "&client_assertion=a.b.c", NULL), M2_OAUTH_OK);
    assert_int_equal(request.method, M2_CLIENT_ASSERTION);
    assert_string_equal(request.assertion, "a.b.c");
    assert_null(request.client_id);
    assert_null(request.secret);
    assert_int_equal(read_z(CC JWT "&client_assertion=a&client_id=app", NULL), M2_OAUTH_OK);
    assert_string_equal(request.client_id, "app");
    refused(read_z(CC "&client_assertion=a.b.c", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC JWT, NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_assertion=a&client_assertion_type=x", NULL),
            M2_OAUTH_INVALID_CLIENT);
}

static void one_method(void **state)
{
    (void)state;
    refused(read_z(CC "&client_id=a&client_secret=b", basic("a", "b")),
            M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_secret=b", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC JWT "&client_assertion=a", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC JWT "&client_assertion=a&client_id=a&client_secret=b", NULL),
            M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=b", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=b", "Bearer x"), M2_OAUTH_INVALID_REQUEST);
    /* RFC 6749 3.2: an empty parameter is an absent one */
    assert_int_equal(read_z(CC "&client_secret=&client_id=", basic("a", "b")), M2_OAUTH_OK);
}

static void missing(void **state)
{
    (void)state;
    refused(read_z("", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z("scope=a", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z("grant_type=", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z("grant_type", basic("a", "b")), M2_OAUTH_INVALID_REQUEST);
    refused(read_z("grant_type=password", basic("a", "b")), M2_OAUTH_GRANT_TYPE);
    refused(read_z("grant_type=Client_Credentials", basic("a", "b")), M2_OAUTH_GRANT_TYPE);
    refused(read_z(CC, NULL), M2_OAUTH_INVALID_CLIENT);
    refused(read_z(CC "&client_secret=b", NULL), M2_OAUTH_INVALID_REQUEST);
    assert_int_equal(read_z("grant_type=client_credentials", basic("a", "b")), M2_OAUTH_OK);
    assert_null(request.scope); /* for the grants to refuse */
}

static void repeated(void **state)
{
    static const char *const again[] = {
        "grant_type=client_credentials", "scope=a", "client_id=a", "client_secret=b",
        "scope", "client_id=", "sco%70e=a", "s%63ope",
    };
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(again) / sizeof(*again); i++) {
        refused(read_z(apr_pstrcat(pool, CC "&client_id=a&client_secret=b&", again[i], NULL),
                       NULL), M2_OAUTH_INVALID_REQUEST);
    }
    /* what is not ours may be repeated (RFC 8707 resource) and is ignored */
    assert_int_equal(read_z(CC "&client_id=a&client_secret=b&resource=x&resource=y&&&x", NULL),
                     M2_OAUTH_OK);
    refused(read_z(CC JWT "&client_assertion=a&client_assertion=a", NULL),
            M2_OAUTH_INVALID_REQUEST);
}

static void encoding(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC "&client_id=a&client_secret=%C3%a9", NULL), M2_OAUTH_OK);
    assert_string_equal(request.secret, "\xc3\xa9");
    refused(read_z(CC "&client_id=a&client_secret=%", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=%4", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=%4&x=41", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=%g1", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=b%00c", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_z(CC "&client_id=a&client_secret=b&%zz=1", NULL), M2_OAUTH_INVALID_REQUEST);
    refused(read_n(CC "&client_id=a&client_secret=b\0c", sizeof(CC) + 29, NULL),
            M2_OAUTH_INVALID_REQUEST);
}

static void queries(void **state)
{
    (void)state;
    assert_false(m2_oauth_in_query(NULL));
    assert_false(m2_oauth_in_query(""));
    assert_false(m2_oauth_in_query("a=b&trace=1"));
    assert_true(m2_oauth_in_query("client_secret=x"));
    assert_true(m2_oauth_in_query("a&client%5Fsecret=x"));
    assert_true(m2_oauth_in_query("a=1&scope"));
    assert_true(m2_oauth_in_query("grant_type=client_credentials"));
}

static void forgetting(void **state)
{
    char body[] = CC "&client_id=a&client_secret=hidden";

    (void)state;
    assert_int_equal(m2_oauth_request(&request, pool, M2_OAUTH_FOR_TOKEN, body,
                                      sizeof(body) - 1, NULL, &text), M2_OAUTH_OK);
    assert_string_equal(request.secret, "hidden");
    m2_oauth_forget(&request);
    assert_null(request.secret);
    assert_int_equal(strlen(body + sizeof(body) - sizeof("hidden")), 0);
    m2_oauth_forget(&request); /* twice is once */
}

static void rows(void **state)
{
    (void)state;
    assert_int_equal(m2_oauth_row(M2_OAUTH_INVALID_CLIENT)->status, 401);
    assert_string_equal(m2_oauth_row(M2_OAUTH_INVALID_CLIENT)->name, "invalid_client");
    assert_int_equal(m2_oauth_row(M2_OAUTH_INVALID_SCOPE)->status, 400);
    assert_string_equal(m2_oauth_row(M2_OAUTH_GRANT_TYPE)->name, "unsupported_grant_type");
    assert_string_equal(m2_oauth_row(M2_OAUTH_METHOD)->name, "invalid_request");
    assert_int_equal(m2_oauth_row((m2_oauth_error_t)99)->status, 500);
}

static void about_tokens(void **state)
{
    char no_token[] = "client_id=a&client_secret=b&token=";
    char body[] = "token=t%2E1&token_type_hint=access_token&client_id=a&client_secret=b";
    char twice[] = "token=t&token=t&client_id=a&client_secret=b";

    (void)state;
    assert_int_equal(m2_oauth_request(&request, pool, M2_OAUTH_ABOUT_TOKEN, body,
                                      sizeof(body) - 1, NULL, &text), M2_OAUTH_OK);
    assert_string_equal(request.token, "t.1");
    assert_string_equal(request.client_id, "a");
    assert_int_equal(m2_oauth_request(&request, pool, M2_OAUTH_ABOUT_TOKEN, no_token,
                                      sizeof(no_token) - 1, NULL, &text),
                     M2_OAUTH_INVALID_REQUEST);
    assert_int_equal(m2_oauth_request(&request, pool, M2_OAUTH_ABOUT_TOKEN, twice,
                                      sizeof(twice) - 1, NULL, &text),
                     M2_OAUTH_INVALID_REQUEST);
}

static void resource_counted(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC "&client_id=a&client_secret=b&resource=api%3A%2F%2Fx", NULL),
                     M2_OAUTH_OK);
    assert_string_equal(request.resource, "api://x");
    assert_int_equal(request.resources, 1);
    assert_int_equal(read_z(CC "&client_id=a&client_secret=b&resource=x&resource=", NULL),
                     M2_OAUTH_OK);
    assert_int_equal(request.resources, 2);
    assert_int_equal(read_z(CC "&client_id=a&client_secret=b&resource=", NULL), M2_OAUTH_OK);
    assert_null(request.resource);
    assert_int_equal(request.resources, 1);
}

/* who gives a name alone has a certificate, or nothing */
static void name_alone(void **state)
{
    (void)state;
    assert_int_equal(read_z(CC "&client_id=a", NULL), M2_OAUTH_OK);
    assert_int_equal(request.method, M2_CLIENT_NAMED);
    assert_null(request.secret);
    assert_int_equal(read_z(CC, NULL), M2_OAUTH_INVALID_CLIENT);
}

static const char *mask(const char *query)
{
    return m2_nameset_mask(pool, query, m2_oauth_secrets(pool), "[redacted]");
}

/* every spelling under which a careless reader finds a secret */
static void masking(void **state)
{
    static const char *const secret[][2] = {
        { "client_secret=S", "client_secret=[redacted]" },
        { "a=1&client_secret=S&b=2", "a=1&client_secret=[redacted]&b=2" },
        { "client_secret[]=S", "client_secret[]=[redacted]" },
        { "Client_Secret=S", "Client_Secret=[redacted]" },
        { "client%5fsecret=S", "client%5fsecret=[redacted]" },
        { "+client.secret=S;x=1", "+client.secret=[redacted];x=1" },
        { "client-secret=S&client_secret=T", "client-secret=[redacted]&client_secret=[redacted]" },
        { "CLIENT_ASSERTION=S", "CLIENT_ASSERTION=[redacted]" },
        { "token=S", "token=[redacted]" },
    };
    const char *plain = "a=b&client_secretary=1&client_secret&client_secret=";
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(secret) / sizeof(*secret); i++) {
        assert_string_equal(mask(secret[i][0]), secret[i][1]);
    }
    assert_ptr_equal(mask(plain), plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(post),       cmocka_unit_test(basic_header),
        cmocka_unit_test(basic_malformed), cmocka_unit_test(basic_too_long),
        cmocka_unit_test(assertion),  cmocka_unit_test(one_method),
        cmocka_unit_test(missing),    cmocka_unit_test(repeated),
        cmocka_unit_test(encoding),   cmocka_unit_test(queries),
        cmocka_unit_test(forgetting), cmocka_unit_test(rows),
        cmocka_unit_test(about_tokens), cmocka_unit_test(resource_counted),
        cmocka_unit_test(name_alone), cmocka_unit_test(masking),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
