/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * OpenAPI documents: what becomes an operation, what each needs, and where a fault lies.
 */
#include "unit.h"

#include "operation/m2_openapi.h"

static m2_operations_t *table;
static m2_openapi_t *api;
static m2_openapi_options_t options;

static m2_code_t read_text(const char *text)
{
    clean();
    table = m2_operations_make(pool);
    return m2_openapi_read(&api, table, pool, pool, z(text), &options, &err);
}

static void reads(const char *text)
{
    if (read_text(text)) {
        fail_msg("%d:%d: %s in\n%s", err.line, err.column, err.text, text);
    }
    m2_operations_finish(table, NULL);
}

/* a fault with its place */
static void faults(const char *text, int line, const char *why)
{
    assert_int_equal(read_text(text), M2_E_CONFIG);
    if (!strstr(err.text, why) || err.line != line) {
        fail_msg("%d:%d: \"%s\", wanted \"%s\" in line %d of\n%s", err.line, err.column,
                 err.text, why, line, text);
    }
}

/* the scopes of an operation: "a b|c", "public", "token" */
static const char *needs(const char *method, const char *path)
{
    m2_operation_match_t match;
    const char *text = "";
    const m2_code_t code = m2_operations_find(&match, table, method, z(path));
    int i, j;

    if (code != M2_OK) {
        return code == M2_E_METHOD_NOT_ALLOWED ? "405" : "unknown";
    }
    if (match.operation->is_public) {
        return "public";
    }
    for (i = 0; match.operation->alternatives && i < match.operation->alternatives->nelts; i++) {
        const apr_array_header_t *way = APR_ARRAY_IDX(match.operation->alternatives, i,
                                                      const apr_array_header_t *);

        text = apr_pstrcat(pool, text, i ? "|" : "", NULL);
        for (j = 0; j < way->nelts; j++) {
            text = apr_pstrcat(pool, text, j ? " " : "", APR_ARRAY_IDX(way, j, const char *),
                               NULL);
        }
    }
    return *text ? text : "token";
}

#define HEAD "openapi: 3.0.3\nservers: [{url: 'https://api.example.com/v1/'}]\n"
#define SCHEMES "components: {securitySchemes: {o: {type: oauth2}, k: {type: apiKey, in: " \
                "header, name: X-Key}, b: {type: http, scheme: Bearer}}}\n"

static void test_security(void **state)
{
    (void)state;
    reads(HEAD SCHEMES
          "security: [{o: [all]}]\n"
          "paths:\n"
          "  /default: {get: {}}\n"
          "  /own: {get: {security: [{o: [read, write]}, {b: []}]}}\n"
          "  /none: {get: {security: []}}\n"
          "  /maybe: {get: {security: [{o: [read]}, {}]}}\n"
          "  /foreign: {get: {security: [{k: []}]}}\n"
          "  /joined: {get: {security: [{o: [yes], k: [], b: [123]}]}}\n"
          "  /mixed: {get: {security: [{k: []}, {o: [read]}]}}\n");
    assert_string_equal(api->base, "/v1");
    assert_string_equal(needs("GET", "/v1/default"), "all");
    assert_string_equal(needs("GET", "/v1/own"), "read write|");
    assert_string_equal(needs("GET", "/v1/none"), "public");
    assert_string_equal(needs("GET", "/v1/maybe"), "public");
    assert_string_equal(needs("GET", "/v1/foreign"), "token");
    assert_string_equal(needs("GET", "/v1/joined"), "yes 123");
    assert_string_equal(needs("GET", "/v1/mixed"), "read");
    assert_string_equal(needs("GET", "/default"), "unknown");
    assert_int_equal(api->notices->nelts, 1); /* /foreign */
    options.schemes = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH((apr_array_header_t *)(void *)options.schemes, const char *) = "k";
    reads(HEAD SCHEMES "security: [{k: [a]}]\npaths: {/p: {get: {}}}\n");
    assert_string_equal(needs("GET", "/v1/p"), "a");
    faults(HEAD "paths: {/p: {get: {}}}\n", 1, "scheme=k");
    reads(HEAD "components: {securitySchemes: {k: {$ref: '#/x'}}}\npaths: {/p: {get: {security: "
          "[{k: [a]}]}}}\n");
    assert_string_equal(needs("GET", "/v1/p"), "a");
    assert_int_equal(api->notices->nelts, 0); /* no operation lacks a security of its own */
    options.schemes = NULL;
    faults(HEAD "components: {securitySchemes: {k: {$ref: '#/x'}}}\npaths: {/p: {get: {security: "
           "[{k: [a]}]}}}\n", 4, "is a reference");
    faults(HEAD SCHEMES "security: [{x: []}]\npaths: {/p: {get: {}}}\n", 4, "not defined");
    faults(HEAD SCHEMES "security:\npaths: {/p: {get: {}}}\n", 4, "security");
    faults(HEAD SCHEMES "paths: {/p: {get: {security: null}}}\n", 4, "security");
    faults(HEAD SCHEMES "paths: {/p: {get: {security: {o: []}}}}\n", 4, "security");
    faults(HEAD SCHEMES "paths: {/p: {get: {security: [{o: [a b]}]}}}\n", 4, "without blanks");
}

static void test_versions_and_bases(void **state)
{
    (void)state;
    reads("{\"openapi\": \"3.1.0\", \"servers\": [{\"url\": \"/\"}], \"paths\": "
          "{\"/a\": {\"get\": {}}}}");
    assert_string_equal(api->base, "");
    assert_int_equal(api->notices->nelts, 1); /* no security anywhere */
    reads("swagger: 2.0\nbasePath: /api\nsecurityDefinitions: {o: {type: oauth2}}\n"
          "paths: {/a: {get: {security: [{o: [x]}]}}}\n");
    assert_string_equal(needs("GET", "/api/a"), "x");
    reads("openapi: 3.0.0\nservers: [{url: 'https://{host}/{v}', variables: {host: {default: "
          "h}, v: {default: v2}}}, {url: /other}]\npaths: {/a: {get: {}}}\n");
    assert_string_equal(api->base, "/v2");
    assert_int_equal(api->notices->nelts, 2);
    reads("openapi: 3.1\nservers: [{url: //h/v3/}]\nsecurity: []\npaths: {/a: {get: {}}}\n");
    assert_string_equal(api->base, "/v3");
    faults("openapi: 3.10.0\nservers: [{url: /}]\npaths: {/a: {get: {}}}\n", 1, "version \"3.10.0\"");
    options.base = "/mine/";
    reads("openapi: 3.0.0\npaths: {/a: {get: {operationId: 42}}}\n");
    assert_string_equal(needs("GET", "/mine/a"), "token");
    assert_string_equal(m2_operations_at(table, 0)->name, "42");
    options.base = NULL;
    faults("openapi: 3.0.0\npaths: {/a: {get: {}}}\n", 1, "base=");
    faults("openapi: 4.0.0\npaths: {}\n", 1, "version \"4.0.0\"");
    faults("swagger: '1.2'\npaths: {}\n", 1, "version \"1.2\"");
    faults("paths: {}\n", 1, "not an OpenAPI");
    faults("[]\n", 1, "not an OpenAPI");
    faults(HEAD "paths: {}\n", 1, "no operation");
    faults(HEAD "info: {}\n", 1, "no paths");
    faults("openapi: 3.0.0\nservers: [{url: 'https://h/{v}'}]\npaths: {/a: {get: {}}}\n", 2,
           "no default");
}

static void test_items(void **state)
{
    (void)state;
    reads(HEAD
          "webhooks: {w: {get: {}}}\n"
          "components: {pathItems: {p: {get: {operationId: shared}}}}\n"
          "paths:\n"
          "  x-mine: 1\n"
          "  /a/{id}: {parameters: [{style: simple}], get: {callbacks: {c: {}}}, head: {}}\n"
          "  /b: {$ref: '#/components/pathItems/p'}\n"
          "  /c: {$ref: '#/paths/~1a~1{id}'}\n"
          "  /any: {x-aliyun-apigateway-any-method: {}, x-aliyun-apigateway-fc: 1, get: {}}\n");
    assert_string_equal(needs("GET", "/v1/b"), "token");
    assert_string_equal(needs("GET", "/v1/c"), "token");
    assert_string_equal(needs("POST", "/v1/any"), "token");
    assert_int_equal(m2_operations_count(table), 7);
    assert_int_equal(api->ignored->nelts, 1);
    faults(HEAD "paths: {/a: {$ref: 'other.yaml#/x'}}\n", 3, "within the document");
    faults(HEAD "paths: {/a: {$ref: '#/x'}}\n", 3, "leads nowhere");
    reads(HEAD "security: []\npaths: {/a: {summary: x}, '/{x}': {get: {}}}\n");
    assert_string_equal(needs("GET", "/v1/a"), "405");
    assert_string_equal(needs("GET", "/v1/b"), "public");
    assert_int_equal(api->notices->nelts, 1);
    assert_non_null(strstr(APR_ARRAY_IDX(api->notices, 0, const char *), "/a has no operation"));
    faults(HEAD "paths: {'/{a}': {get: {}}, '/{b}': {}}\n", 3, "but for names of variables");
    faults(HEAD "paths: {/a: {get: {}}, '/a/../b': {}}\n", 3, "segments");
    faults(HEAD "paths: {/a: {$ref: '#/paths/%0'}}\n", 3, "leads nowhere");
    reads(HEAD "security: []\npaths:\n  /a/{id}: {get: {}}\n"
          "  /b: {$ref: '#/paths/~1a~1%7Bid%7d', put: {}}\n");
    assert_string_equal(needs("GET", "/v1/b"), "public");
    assert_int_equal(api->notices->nelts, 1);
    assert_non_null(strstr(APR_ARRAY_IDX(api->notices, 0, const char *), "beside a $ref"));
    faults(HEAD "paths:\n  /a: {$ref: '#/paths/~1b'}\n  /b: {$ref: '#/paths/~1a'}\n", 4,
           "circle");
    faults(HEAD "paths: {/a: {GET: {}}}\n", 3, "written \"get\"");
    faults(HEAD "paths: {/a: {get: {servers: []}}}\n", 3, "servers");
    faults(HEAD "paths: {/a: {parameters: [{style: matrix}], get: {}}}\n", 3, "matrix");
    faults(HEAD "components: {parameters: {p: {style: matrix}}}\npaths: {/a: {get: {}}}\n", 3,
           "matrix");
    faults(HEAD "paths:\n  /a/{b}: {get: {}}\n  /a/{c}: {post: {}}\n", 5, "but for names");
    faults(HEAD "paths:\n  /a: {get: {}}\n  /a: {get: {}}\n", 5, "there twice");
    faults(HEAD "paths: {/a: {get: []}}\n", 3, "GET");
    faults(HEAD "paths: {/a/../b: {get: {}}}\n", 3, "\"..\"");
}

static void test_aliases(void **state)
{
    const char *text = HEAD "x: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    int i;

    (void)state;
    reads(HEAD SCHEMES "x-s: &s [{o: [read]}]\npaths: {/a: {get: {security: *s}}}\n");
    assert_string_equal(needs("GET", "/v1/a"), "read");
    for (i = 1; i < 12; i++) { /* ten to the power of twelve */
        text = apr_psprintf(pool, "%sx%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,"
                            "*a%d]\n", text, i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                            i - 1, i - 1, i - 1, i - 1);
    }
    assert_int_equal(read_text(apr_pstrcat(pool, text, "paths: {/a: {get: {}}}\n", NULL)),
                     M2_E_CONFIG);
    assert_non_null(strstr(err.text, "too much"));
    faults(HEAD "x: &a [*a]\n", 3, "not complete");
    faults(HEAD "x: *nobody\n", 3, "not complete");
    faults(HEAD "x: {<<: {a: 1}}\n", 3, "merge keys");
}

#define DOCUMENT \
    "{\"openapi\": \"3.0.0\", \"servers\": [{\"url\": \"/\"}], \"security\"\n: [], \"info\": " \
    "{\"title\": \"\\ud83D\\uDE00 \\\"\\\\\"}, \"paths\": {\"%s\"%s: {\"get\": " \
    "{\"operationId\": \"\\ud83d\\ude00\\u00e9\"}}}}"

/* JSON that libyaml alone does not read: long names, characters of two escapes */
static void test_json(void **state)
{
    char *name = apr_palloc(pool, 5000);

    (void)state;
    memset(name, 'a', 5000);
    name[0] = '/';
    name[M2_MAX_OPERATION_TEMPLATE] = '\0';
    reads(apr_psprintf(pool, DOCUMENT, name, ""));
    assert_string_equal(needs("GET", name), "public");
    assert_string_equal(m2_operations_at(table, 0)->name, "\xf0\x9f\x98\x80\xc3\xa9");
    reads(apr_psprintf(pool, DOCUMENT, "/b", "\n "));
    assert_string_equal(needs("GET", "/b"), "public");
    name[M2_MAX_OPERATION_TEMPLATE] = 'a';
    name[M2_MAX_OPERATION_TEMPLATE + 1] = '\0';
    faults(apr_psprintf(pool, DOCUMENT, name, ""), 2, "longer than 4096");
    faults(apr_psprintf(pool, DOCUMENT, "/\\ud83d\\u0041", ""), 2, "escape");
    faults(apr_psprintf(pool, DOCUMENT, "/\\", ""), 2, "");
}

static void test_depth(void **state)
{
    const char *deep = "";
    int i;

    (void)state;
    for (i = 0; i < 70; i++) {
        deep = apr_pstrcat(pool, deep, "[", NULL);
    }
    assert_int_equal(read_text(apr_pstrcat(pool, HEAD "x: ", deep, NULL)), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "too deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_security), unit(test_versions_and_bases), unit(test_items),
        unit(test_aliases),  unit(test_depth),            unit(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
