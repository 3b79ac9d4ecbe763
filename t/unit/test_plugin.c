/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Gateway plugin scripts: what a script becomes, and that everything that is not one
 * stops with the line and column an administrator has to look at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/m2_log.h"
#include "plugin/m2_plugin.h"

static apr_pool_t *pool;
static m2_err_t err;
static m2_plugin_jwt_t *jwt;
static m2_rules_t *rules;
static const char *key1, *key2, *unnamed; /* JWK texts */
static const char *logged;

static void keep_log(m2_level_t level, const char *text, void *baton)
{
    (void)baton;
    assert_int_equal(level, M2_LOG_NOTICE);
    logged = apr_pstrdup(pool, text);
}

static const char *make_key(const char *alg, const char *kid)
{
    m2_jwk_t *jwk = NULL;

    assert_int_equal(
        m2_jwk_generate(&jwk, pool, m2_alg_find(m2_slice_z(alg)), 0, kid, NULL), M2_OK);
    return m2_json_dump(pool, m2_jwk_to_json(pool, jwk, 0));
}

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_log_set(keep_log, NULL);
    key1 = make_key("RS256", "K1");
    key2 = make_key("ES256", "K2");
    unnamed = make_key("EdDSA", NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static m2_code_t read_jwt(const char *text)
{
    m2_err_init(&err, pool);
    logged = NULL;
    return m2_plugin_jwt(&jwt, pool, m2_slice_z(text), "jwt.yaml", &err);
}

static void jwt_ok(const char *text)
{
    if (read_jwt(text)) {
        fail_msg("%d:%d %s\n%s", err.line, err.column, err.text, text);
    }
}

/* refused at that place, for a reason that holds those words */
static void assert_fault(m2_code_t code, int line, int column, const char *words,
                         const char *text)
{
    if (code != M2_E_CONFIG || err.line != line || err.column != column || !err.text ||
        !strstr(err.text, words)) {
        fail_msg("%d:%d: %s, not %d:%d: ..%s..\n%s", err.line, err.column, err.text, line,
                 column, words, text);
    }
}

static void jwt_fault(int line, int column, const char *words, const char *text)
{
    m2_code_t code = read_jwt(text);

    assert_fault(code, line, column, words, text);
    assert_null(jwt);
}

/* a script that needs nothing but one more line to be whole */
static const char *with_key(const char *text)
{
    return apr_pstrcat(pool, text, "jwk: ", key1, "\n", NULL);
}

static const m2_token_source_t *source(void)
{
    assert_int_equal(jwt->tokens->nelts, 1);
    return &APR_ARRAY_IDX(jwt->tokens, 0, m2_token_source_t);
}

static const m2_target_t *mapped(int i)
{
    assert_true(i < jwt->mapping->targets->nelts);
    return &APR_ARRAY_IDX(jwt->mapping->targets, i, m2_target_t);
}

static void test_jwt_whole(void **state)
{
    (void)state;
    jwt_ok(
        with_key("---\n"
                 "parameter: id_token # where\n"
                 "parameterLocation: query\n"
                 "bypassEmptyToken: false\n"
                 "claimParameters:\n"
                 "- claimName: aud\n"
                 "  parameterName: audience\n"
                 "  location: query\n"
                 "- {claimName: client_id, parameterName: X-Client, location: header}\n"
                 "- claimName: \"a.b\"\n"
                 "  parameterName: 'user'\n"
                 "  location: formData\n"
                 "- {claimName: sub, parameterName: userId, location: path}\n"
                 "preventJtiReplay: true\n"
                 "ignoreExpirationCheck: no\n"
                 "#\n"));
    assert_int_equal(source()->place, M2_TOKEN_QUERY);
    assert_string_equal(source()->name, "id_token");
    assert_int_equal(jwt->mapping->targets->nelts, 4);
    assert_string_equal(mapped(0)->claim, "aud");
    assert_string_equal(mapped(0)->name, "audience");
    assert_int_equal(mapped(0)->place, M2_PLACE_QUERY);
    assert_int_equal(mapped(1)->place, M2_PLACE_HEADER);
    assert_int_equal(mapped(2)->place, M2_PLACE_FORM);
    assert_string_equal(mapped(2)->claim, "a.b");
    assert_int_equal(mapped(3)->place, M2_PLACE_PATH);
    assert_false(jwt->bypass_empty);
    assert_false(jwt->ignore_expiration);
    assert_true(jwt->prevent_replay);
    assert_int_equal(jwt->keys->keys->nelts, 1);
}

/* n and y are names of members, and no booleans */
static void test_jwt_key_as_block(void **state)
{
    const char *text = apr_pstrdup(pool, "parameter: Authorization\njwk:\n");
    const m2_json_t *json;
    const m2_member_t *it;

    (void)state;
    m2_json_parse(&json, pool, m2_slice_z(key2), M2_E_CONFIG, NULL);
    for (it = m2_json_iter(json); it; it = m2_json_iter_next(it)) {
        text = apr_pstrcat(pool, text, "  ", m2_json_iter_name(it), ": ",
                           m2_json_text(pool, m2_json_iter_value(it)), "\n", NULL);
    }
    jwt_ok(text);
    assert_string_equal(APR_ARRAY_IDX(jwt->keys->keys, 0, const m2_jwk_t *)->kid, "K2");
}

static void test_jwt_defaults(void **state)
{
    (void)state;
    jwt_ok(with_key("parameter: authorization\n"));
    assert_int_equal(source()->place, M2_TOKEN_HEADER);
    assert_string_equal(source()->name, "Authorization");
    assert_false(jwt->bypass_empty);
    assert_false(jwt->ignore_expiration);
    assert_false(jwt->prevent_replay);
    assert_int_equal(jwt->mapping->targets->nelts, 0);
}

static void test_jwt_json(void **state)
{
    (void)state;
    jwt_ok(apr_psprintf(
        pool,
        "{\"parameter\":\"X-Token\",\n\t\"parameterLocation\":\"header\","
        "\"bypassEmptyToken\":true,\"claimParameters\":[{\"claimName\":\"a\\/b\","
        "\"parameterName\":\"\\u0061\",\"location\":\"query\"}],\n\"jwk\":%s}\n",
        key1));
    assert_true(jwt->bypass_empty);
    assert_string_equal(mapped(0)->claim, "a/b");
    assert_string_equal(mapped(0)->name, "a");
    jwt_fault(1, 21, "must be true or false", "{\"bypassEmptyToken\":1}");
    jwt_fault(2, 15, "must be a text", "{\n \"parameter\": 7}");
}

static void test_locations(void **state)
{
    (void)state;
    jwt_ok(with_key("parameter: t\nparameterLocation: cookie\n"));
    assert_int_equal(source()->place, M2_TOKEN_COOKIE);
    jwt_ok(with_key("parameter: t\nparameterLocation: formData\n"));
    assert_int_equal(source()->place, M2_TOKEN_FORM);
    jwt_ok(with_key("parameter: t\nparameterLocation: Header\n"));
    assert_int_equal(source()->place, M2_TOKEN_HEADER);
    jwt_fault(1, 12, "parameterLocation is missing", with_key("parameter: t\n"));
    jwt_fault(1, 12, "only Authorization", with_key("parameter: Authorizatio\n"));
    jwt_fault(2, 20, "unknown location \"path\"",
              with_key("parameter: t\nparameterLocation: path\n"));
    jwt_fault(1, 12, "not a name of a header",
              with_key("parameter: a b\nparameterLocation: header\n"));
    jwt_fault(1, 12, "not a name of a header",
              with_key("parameter: Host\nparameterLocation: header\n"));
    jwt_fault(1, 12, "not a name of a cookie",
              with_key("parameter: a=b\nparameterLocation: cookie\n"));
    jwt_fault(1, 12, "not a name of a query",
              with_key("parameter: \"\"\nparameterLocation: query\n"));
}

static void test_booleans(void **state)
{
    static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "on",
                                       "On", "ON", "!!bool true", NULL };
    static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO", "off",
                                      "Off", "OFF", NULL };
    static const char *const bad[] = {"tRUE",   "y",         "n",          "1", "0",
                                      "'true'", "\"false\"", "null",       "~", "",
                                      "maybe",  "[]",        "!!str true", NULL};
    int i;

    (void)state;
    for (i = 0; yes[i]; i++) {
        jwt_ok(with_key(apr_psprintf(
            pool, "parameter: Authorization\nbypassEmptyToken: %s\n", yes[i])));
        assert_true(jwt->bypass_empty);
    }
    for (i = 0; no[i]; i++) {
        jwt_ok(with_key(apr_psprintf(
            pool, "parameter: Authorization\nbypassEmptyToken: %s\n", no[i])));
        assert_false(jwt->bypass_empty);
    }
    for (i = 0; bad[i]; i++) {
        m2_code_t code = read_jwt(with_key(apr_psprintf(
            pool, "parameter: Authorization\nbypassEmptyToken: %s\n", bad[i])));

        if (code != M2_E_CONFIG || err.line != 2 || !strstr(err.text, "true or false")) {
            fail_msg("bypassEmptyToken: %s gave %d %s", bad[i], code, err.text);
        }
    }
}

static void test_fields(void **state)
{
    (void)state;
    jwt_fault(2, 1, "has no field \"bypass\"", with_key("parameter: Authorization\n"
                                                        "bypass: true\n"));
    jwt_fault(1, 1, "has no field \"Parameter\"", with_key("Parameter: Authorization\n"));
    jwt_fault(2, 1, "jwks; for a list of blocked tokens write M2MRevocation",
              with_key("parameter: Authorization\nblockByDataSet: jwts\n"));
    jwt_fault(2, 1, "\"parameter\" is there twice",
              with_key("parameter: Authorization\nparameter: Authorization\n"));
    jwt_fault(2, 1, "orAppAuth is a field of the gateway that is not supported",
              with_key("parameter: Authorization\norAppAuth: true\n"));
    jwt_fault(2, 1, "M2MJwks https",
              with_key("parameter: Authorization\nremoteJwks: {}\n"));
    jwt_fault(1, 1, "parameter is missing", with_key(""));
    jwt_fault(1, 12, "must be a text, not a list", with_key("parameter: [a]\n"));
    jwt_fault(1, 12, "put it in quotes", with_key("parameter: 12\n"));
    jwt_fault(1, 12, "put it in quotes", with_key("parameter: on\n"));
    jwt_fault(2, 18, "must be a list, not a mapping",
              with_key("parameter: Authorization\nclaimParameters: {}\n"));
    jwt_fault(1, 1, "must be a mapping, not a list", "- a\n");
    jwt_fault(1, 1, "must be a mapping, not a text", "just text\n");
}

static void test_claims(void **state)
{
    const char *head = "parameter: Authorization\nclaimParameters:\n";

    (void)state;
    jwt_fault(3, 3, "needs claimName", with_key(apr_pstrcat(pool, head,
              "- claimName: a\n  location: query\n", NULL)));
    jwt_fault(3, 49, "unknown location \"env\"", with_key(apr_pstrcat(pool, head,
              "- {claimName: a, parameterName: B, location:    env}\n", NULL)));
    jwt_fault(3, 33, "\"Host\" is not a header name", with_key(apr_pstrcat(pool, head,
              "- {claimName: a, parameterName: Host, location: header}\n", NULL)));
    jwt_fault(4, 33, "is a target already", with_key(apr_pstrcat(pool, head,
              "- {claimName: a, parameterName: X-A, location: header}\n"
              "- {claimName: b, parameterName: x_a, location: header}\n", NULL)));
    jwt_fault(3, 4, "has no field \"claim\"", with_key(apr_pstrcat(pool, head,
              "- {claim: a}\n", NULL)));
    jwt_fault(3, 3, "must be a mapping, not a text", with_key(apr_pstrcat(pool, head,
              "- a\n", NULL)));
}

static void test_keys(void **state)
{
    const char *head = "parameter: Authorization\n";

    (void)state;
    jwt_ok(apr_psprintf(pool, "%sjwks:\n- %s\n- %s\n- %s\n", head, key1, key2, unnamed));
    assert_int_equal(jwt->keys->keys->nelts, 3);
    assert_null(APR_ARRAY_IDX(jwt->keys->keys, 2, const m2_jwk_t *)->kid);
    jwt_ok(apr_psprintf(pool, "%sjwks: {keys: [%s, %s], more: 1}\n", head, key1, key2));
    assert_int_equal(jwt->keys->keys->nelts, 2);
    jwt_ok(apr_psprintf(pool, "%sjwks:\n- {kty: new, kid: N}\n- %s\n", head, key1));
    assert_int_equal(jwt->keys->keys->nelts, 1);
    assert_non_null(strstr(logged, "jwt.yaml:3: key \"N\" is skipped"));
    jwt_ok(apr_pstrcat(pool, head, "jwk: {kty: oct, kid: 7, alg: HS256, k: "
                       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8}\n", NULL));
    assert_string_equal(APR_ARRAY_IDX(jwt->keys->keys, 0, const m2_jwk_t *)->kid, "7");
    /* null is no member; what no key has is not looked at */
    jwt_ok(apr_psprintf(pool, "%sjwk: {\"d\": null, \"x5c\": null, \"key_ops\": ~, \"oth\": , "
                        "\"more\": {\"a\": [1]}, \"others\": [1, null, {\"b\": [{}]}], %s\n",
                        head, key1 + 1));
    jwt_ok(apr_pstrcat(pool, head, "jwk: {kty: oct, kid: null, alg: ~, k: "
                       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8}\n", NULL));
    assert_null(APR_ARRAY_IDX(jwt->keys->keys, 0, const m2_jwk_t *)->kid);
}

static void test_keys_refused(void **state)
{
    const char *head = "parameter: Authorization\n";

    (void)state;
    jwt_fault(1, 1, "jwk is missing", head);
    jwt_fault(3, 7, "cannot both",
              apr_psprintf(pool, "%sjwk: %s\njwks: [%s]\n", head, key1, key2));
    jwt_fault(4, 3, "key \"K1\"", apr_psprintf(pool, "%sjwks:\n- %s\n- %s\n", head, key1,
                                                    make_key("RS256", "K1")));
    jwt_fault(2, 6, "key \"A\"", apr_psprintf(pool, "%sjwk: {kty: RSA, kid: A, n: AQAB, "
                                              "e: AQAB}\n", head));
    jwt_fault(4, 3, "key number 2",
              apr_psprintf(pool, "%sjwks:\n- %s\n- {kty: oct, k: AA}\n", head, key1));
    jwt_fault(2, 7, "no usable key", apr_pstrcat(pool, head, "jwks: []\n", NULL));
    jwt_fault(2, 6, "key_ops must hold strings",
              apr_psprintf(pool, "%sjwk: {\"key_ops\": [verify, 1], %s\n", head, key1 + 1));
    jwt_fault(2, 22, "kid must be a text, not a mapping",
              apr_pstrcat(pool, head, "jwk: {kty: RSA, kid: {}, n: AQAB, e: AQAB}\n", NULL));
    jwt_fault(2, 6, "more than two primes",
              apr_psprintf(pool, "%sjwk: {\"oth\": [{\"r\": a}], %s\n", head, key1 + 1));
    jwt_fault(2, 7, "no usable key",
              apr_pstrcat(pool, head, "jwks: [{kty: new}]\n", NULL));
    jwt_fault(2, 7, "with the member", apr_pstrcat(pool, head, "jwks: {}\n", NULL));
    jwt_fault(2, 14, "keys must be a list", apr_pstrcat(pool, head, "jwks: {keys: {}}\n",
                                                        NULL));
    jwt_fault(2, 8, "a key must be a mapping",
              apr_pstrcat(pool, head, "jwks: [a]\n", NULL));
    jwt_fault(2, 12, "kty must be", apr_pstrcat(pool, head, "jwk: {kty: {}}\n", NULL));
    jwt_fault(2, 6, "jwk must be a mapping", apr_pstrcat(pool, head, "jwk: 'x'\n", NULL));
}

static void test_private_key_refused(void **state)
{
    m2_jwk_t *jwk = NULL;
    const char *text;

    (void)state;
    m2_jwk_generate(&jwk, pool, m2_alg_find(m2_slice_z("ES256")), 0, "P", NULL);
    text = m2_json_dump(pool, m2_jwk_to_json(pool, jwk, 1));
    jwt_fault(2, 6, "key \"P\"", apr_psprintf(pool, "parameter: Authorization\njwk: %s\n",
                                              text));
}

/* what makes two readers see two documents */
static void test_yaml_refused(void **state)
{
    (void)state;
    jwt_fault(1, 1, "no document", "");
    jwt_fault(2, 1, "no document", "# only a comment\n");
    jwt_fault(2, 1, "second document", "parameter: a\n---\nparameter: b\n");
    jwt_fault(1, 12, "anchors", "parameter: &a b\n");
    jwt_fault(1, 12, "anchors", "parameter: *a\n");
    jwt_fault(1, 1, "anchors", "&a parameter: b\n");
    jwt_fault(1, 6, "anchors", "jwk: &a {kty: RSA}\n");
    jwt_fault(1, 7, "anchors", "jwks: &a [b]\n");
    jwt_fault(1, 1, "merge keys", "<<: {a: b}\n");
    jwt_fault(1, 12, "tags", "parameter: !own b\n");
    jwt_fault(1, 12, "tags", "parameter: !!binary aaaa\n");
    jwt_fault(1, 6, "tags", "jwk: !!omap {a: b}\n");
    jwt_fault(1, 19, "tags", "bypassEmptyToken: !!int true\n");
    jwt_fault(1, 3, "name of a field", "? [a]\n: b\n");
    jwt_fault(2, 3, "is there twice", "jwk: { a: 1,\n  a: 2 }\n");
    jwt_fault(1, 12, "NUL", "parameter: \"a\\0b\"\n");
    jwt_fault(2, 1, "found a tab", "parameter: b\n\tjwk: c\n");
    jwt_fault(3, 2, "a tab; YAML", "jwk: \xc3\xa4\njwks:\n-\tkty: x\n");
    jwt_fault(1, 13, "mapping values", "parameter: a: b\n");
    jwt_fault(1, 14, "UTF-8", "parameter: 'a\xff'\n");
    jwt_fault(2, 4, "control characters", "a: b\nc: \x01\n");
    jwt_fault(1, 17, "too deep", "[[[[[[[[[[[[[[[[[[[[[[[[");
}

/* nobody has to want to know */
static void test_without_err(void **state)
{
    (void)state;
    assert_int_equal(m2_plugin_jwt(&jwt, pool, m2_slice_z("parameter: [a]\n"), "x", NULL),
                     M2_E_CONFIG);
    assert_int_equal(m2_plugin_jwt(&jwt, pool, m2_slice_z("foo: [a]\n"), "x", NULL),
                     M2_E_CONFIG);
    assert_int_equal(m2_plugin_access(&rules, pool, m2_slice_z("{"), NULL, NULL),
                     M2_E_CONFIG);
    assert_int_equal(m2_plugin_jwt(&jwt, pool, m2_slice(NULL, 0), "x", NULL),
                     M2_E_CONFIG);
}

/* --- accessControl --- */

static m2_code_t read_access(const char *text, const char *path)
{
    const m2_path_template_t *compiled = NULL;

    m2_err_init(&err, pool);
    if (path) {
        assert_int_equal(m2_path_compile(&compiled, pool, path, &err), M2_OK);
    }
    return m2_plugin_access(&rules, pool, m2_slice_z(text), compiled, &err);
}

static void access_ok(const char *text)
{
    if (read_access(text, NULL)) {
        fail_msg("%d:%d %s\n%s", err.line, err.column, err.text, text);
    }
}

static void access_fault(int line, int column, const char *words, const char *text)
{
    m2_code_t code = read_access(text, NULL);

    assert_fault(code, line, column, words, text);
    assert_null(rules);
}

static const m2_rule_t *rule(int i)
{
    assert_true(i < rules->rules->nelts);
    return APR_ARRAY_IDX(rules->rules, i, const m2_rule_t *);
}

static m2_code_t look_up(m2_value_t *value, const m2_param_t *param, void *baton)
{
    (void)param;
    value->text = m2_slice_z(baton);
    return M2_OK;
}

static m2_refusal_t refusal;

/* decide with every parameter having that value */
static m2_code_t decide(const char *value)
{
    const m2_rule_t *by = NULL;
    m2_facts_t facts;
    m2_code_t code;

    memset(&facts, 0, sizeof(facts));
    memset(&refusal, 0, sizeof(refusal));
    facts.pool = pool;
    facts.lookup = look_up;
    facts.baton = apr_pstrdup(pool, value);
    facts.params = rules->params;
    code = m2_rules_decide(&by, NULL, rules, NULL, &facts, NULL);
    if (code == M2_E_RULE_DENIED) {
        m2_rule_refusal(&refusal, pool, by, &facts);
    }
    return code;
}

static const char *header(const char *name)
{
    int i;

    for (i = 0; refusal.headers && i < refusal.headers->nelts; i++) {
        const m2_publish_t *h = &APR_ARRAY_IDX(refusal.headers, i, m2_publish_t);

        if (m2_slice_is(m2_slice_z(h->name), name)) {
            return h->value;
        }
    }
    return NULL;
}

#define ACCESS \
    "---\n" \
    "parameters:\n" \
    "  scope: \"Token:scope\"\n" \
    "  clientId: \"Token:client_id\"\n" \
    "rules:\n" \
    "- name: checkScope\n" \
    "  condition: \"$clientId = 'app' or $scope like '%read%'\"\n" \
    "  ifFalse: \"DENY\"\n" \
    "  statusCode: 404\n" \
    "  errorMessage: \"No permission: ${clientId}\"\n" \
    "  responseHeaders:\n" \
    "    Content-Type: application/json\n" \
    "    X-Client: ${clientId}\n" \
    "    X-Retry: 5\n" \
    "  responseBody: |\n" \
    "    <Reason>${clientId}</Reason>\n"

static void test_access_whole(void **state)
{
    (void)state;
    access_ok(ACCESS);
    assert_int_equal(rules->rules->nelts, 1);
    assert_string_equal(rule(0)->name, "checkScope");
    assert_int_equal(rules->deny_duplicates, 0); /* the gateway takes the first value */
    assert_int_equal(rules->default_action, M2_ACTION_ALLOW);
    assert_int_equal(decide("app"), M2_OK);
    assert_int_equal(decide("x read y"), M2_OK);
    assert_int_equal(decide("a\"b"), M2_E_RULE_DENIED);
    assert_int_equal(refusal.status, 404);
    assert_string_equal(refusal.message, "No permission: a\"b");
    assert_string_equal(header("X-Client"), "a\"b");
    assert_string_equal(header("X-Retry"), "5");
    assert_string_equal(refusal.content_type, "application/json");
    assert_string_equal(refusal.body,
                        "<Reason>a\\\"b</Reason>\n"); /* block: newline stays */
}

static void test_access_json(void **state)
{
    (void)state;
    access_ok(
        "{\"parameters\":{\"m\":\"Method\"},\"rules\":[{\"name\":\"r\",\"condition\":"
        "\"$m = 'GET'\",\"ifTrue\":\"ALLOW\",\"ifFalse\":\"DENY\",\"statusCode\":405,"
        "\"responseBody\":\"a\\n\"}]}");
    assert_int_equal(decide("GET"), M2_OK);
    assert_int_equal(decide("PUT"), M2_E_RULE_DENIED);
    assert_int_equal(refusal.status, 405);
    assert_string_equal(refusal.body, "a\n");
}

static void test_access_order(void **state)
{
    (void)state;
    access_ok("parameters: {t: Token:t}\n"
              "rules:\n"
              "- {name: 1, condition: $t = 'a', ifTrue: ALLOW}\n"
              "- {name: 2, condition: $t = 'a', ifTrue: DENY}\n"
              "- {name: 3, condition: $t = 'b', ifTrue: DENY}\n");
    assert_string_equal(rule(0)->name, "1");
    assert_int_equal(decide("a"), M2_OK);
    assert_int_equal(decide("b"), M2_E_RULE_DENIED);
    assert_string_equal(refusal.message, "Access Control Forbidden by 3");
    assert_int_equal(decide("c"), M2_OK);
}

static void test_access_system_needs_no_declaration(void **state)
{
    (void)state;
    access_ok("rules:\n- name: net\n  condition: $CaClientIp in_cidr '10.0.0.0/8'\n"
              "  ifFalse: DENY\n");
    assert_int_equal(decide("10.1.2.3"), M2_OK);
    assert_int_equal(decide("11.1.2.3"), M2_E_RULE_DENIED);
}

static void test_access_path(void **state)
{
    const char *text = "parameters:\n  id: path:userId\nrules:\n"
                       "- {name: r, condition: $id = 'a', ifFalse: DENY}\n";

    (void)state;
    assert_int_equal(read_access(text, "/users/{userId}/*"), M2_OK);
    assert_non_null(rules->path);
    access_fault(2, 7, "needs an M2MPath with {userId}", text);
    assert_int_equal(read_access(text, "/users/{id}"), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "M2MPath"));
}

static void test_access_conditions(void **state)
{
    const char *head = "parameters: {a: Query:a}\nrules:\n- name: one\n  condition: ";

    (void)state;
    access_fault(4, 14, "rule one: condition: column 1: ",
                 apr_pstrcat(pool, head, "$b = 'x'\n  ifTrue: DENY\n", NULL));
    access_fault(4, 14, "rule one: condition: column 4: ",
                 apr_pstrcat(pool, head, "\"$a ~ 'x'\"\n  ifTrue: DENY\n", NULL));
    access_fault(4, 14, "condition must be a text",
                 apr_pstrcat(pool, head, "true\n  ifTrue: DENY\n", NULL));
}

static void test_access_rules_refused(void **state)
{
    const char *head = "parameters: {a: Query:a}\nrules:\n- name: one\n"
                       "  condition: $a = 'x'\n";

    (void)state;
    access_fault(3, 3, "needs ifTrue or ifFalse", head);
    access_fault(5, 11, "ALLOW or DENY",
                 apr_pstrcat(pool, head, "  ifTrue: PASS\n", NULL));
    access_fault(5, 11, "must be a text",
                 apr_pstrcat(pool, head, "  ifTrue: yes\n", NULL));
    access_fault(5, 15, "400 to 599",
                 apr_pstrcat(pool, head, "  statusCode: 200\n", NULL));
    access_fault(5, 15, "whole number", apr_pstrcat(pool, head, "  statusCode: \"403\"\n",
                                                    NULL));
    access_fault(5, 15, "whole number", apr_pstrcat(pool, head, "  statusCode: 403.0\n",
                                                    NULL));
    access_fault(5, 17, "errorMessage", apr_pstrcat(pool, head, "  errorMessage: ${b}\n",
                                                    NULL));
    access_fault(6, 5, "cannot set the header \"Connection\"", apr_pstrcat(pool, head,
                 "  responseHeaders:\n    Connection: close\n", NULL));
    access_fault(6, 10, "X-A", apr_pstrcat(pool, head,
                 "  responseHeaders:\n    X-A: ${nobody}\n", NULL));
    access_fault(6, 10, "X-A must be a text", apr_pstrcat(pool, head,
                 "  responseHeaders:\n    X-A: [1]\n", NULL));
    access_fault(3, 3, "a rule has a condition, or assertParameterName and assertInDataset",
                 apr_pstrcat(pool, head, "  assertInDataset: d\n", NULL));
    access_fault(3, 3, "a rule has a condition, or assertParameterName and assertInDataset",
                 apr_pstrcat(pool, head, "  assertParameterName: a\n", NULL));
    access_fault(5, 3, "has no field \"iftrue\"", apr_pstrcat(pool, head,
                 "  iftrue: DENY\n", NULL));
    access_fault(6, 9, "named one already", apr_pstrcat(pool, head, "  ifTrue: DENY\n"
                 "- name: one\n  condition: $a = 'x'\n  ifTrue: DENY\n", NULL));
}

static void test_access_shape_refused(void **state)
{
    (void)state;
    access_fault(1, 1, "there are no rules", "parameters: {}\n");
    access_fault(1, 8, "there are no rules", "rules: []\n");
    access_fault(1, 8, "must be a list", "rules: {}\n");
    access_fault(2, 3, "must be a mapping", "rules:\n- x\n");
    access_fault(2, 3, "name is missing", "rules:\n- condition: $a = 1\n");
    access_fault(2, 3, "condition is missing", "rules:\n- name: a\n");
    access_fault(1, 13, "must be a mapping", "parameters: []\nrules: []\n");
    access_fault(1, 17, "parameter a: ", "parameters: {a: Nowhere:b}\nrules: []\n");
    access_fault(1, 17, "parameter a: ", "parameters: {a: StatusCode}\nrules: []\n");
    access_fault(1, 17, "a must be a text", "parameters: {a: [b]}\nrules: []\n");
    access_fault(2, 5, "a must be a text", "parameters:\n  a:\nrules: []\n");
    access_fault(1, 18, "parameter 1a: ", "parameters: {1a: Query:b}\nrules: []\n");
}

static void test_kind(void **state)
{
    static const struct {
        const char *text;
        m2_plugin_kind_t kind;
    } rows[] = {
        { "parameter: a\njwk: {kty: RSA}\n", M2_PLUGIN_JWT },
        { "{\"jwks\": {\"keys\": []}}", M2_PLUGIN_JWT },
        { "rules: []\n", M2_PLUGIN_ACCESS },
        { "parameters: {}\n", M2_PLUGIN_ACCESS },
        { "{\"keys\": []}", M2_PLUGIN_KEYS },
        { "kty: RSA\n", M2_PLUGIN_KEYS },
        { "other: 1\n", M2_PLUGIN_UNKNOWN },
        { "[keys]\n", M2_PLUGIN_UNKNOWN },
    };
    m2_plugin_kind_t kind;
    apr_size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(m2_plugin_kind(&kind, pool, m2_slice_z(rows[i].text), NULL),
                         M2_OK);
        assert_int_equal(kind, rows[i].kind);
    }
    m2_err_init(&err, pool);
    assert_int_equal(m2_plugin_kind(&kind, pool, m2_slice_z("a: b: c"), &err),
                     M2_E_CONFIG);
    assert_int_equal(err.line, 1);
    assert_int_equal(kind, M2_PLUGIN_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jwt_whole),
        cmocka_unit_test(test_jwt_key_as_block),
        cmocka_unit_test(test_jwt_defaults),
        cmocka_unit_test(test_jwt_json),
        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_keys_refused),
        cmocka_unit_test(test_private_key_refused),
        cmocka_unit_test(test_yaml_refused),
        cmocka_unit_test(test_without_err),
        cmocka_unit_test(test_access_whole),
        cmocka_unit_test(test_access_json),
        cmocka_unit_test(test_access_order),
        cmocka_unit_test(test_access_system_needs_no_declaration),
        cmocka_unit_test(test_access_path),
        cmocka_unit_test(test_access_conditions),
        cmocka_unit_test(test_access_rules_refused),
        cmocka_unit_test(test_access_shape_refused),
        cmocka_unit_test(test_kind),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
