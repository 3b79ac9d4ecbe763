/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sets of keys: reading them strictly and leniently, and choosing, case by case.
 */
#include "unit.h"

#include "key/m2_keyring.h"
#include "key/m2_keyset.h"

#define VERIFY (M2_JWK_PUBLIC | M2_JWK_OCT)
#define ANY (~(m2_alg_mask_t)0)

/* keys of RFC 7515 A.3, RFC 8037 A.2, and two secrets; written with ' for " */
#define EC                                                                                  \
    "'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"           \
    "'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'"
#define ED "'kty':'OKP','crv':'Ed25519','x':'11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'"
#define S1 "'kty':'oct','k':'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'"
#define S2 "'kty':'oct','k':'HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'"

static m2_keyset_t *set;

static m2_code_t parse(const char *quoted, m2_keyset_mode_t mode)
{
    char *text = apr_pstrdup(pool, quoted), *p;

    clean();
    for (p = text; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    set = m2_keyset_make(pool);
    return m2_keyset_parse(set, z(text), "keys.json", VERIFY, mode, &err);
}

static const m2_jwk_t *chosen;

static m2_code_t choose(const char *kid, const char *alg)
{
    clean();
    return m2_keyset_choose(&chosen, set, z(kid), m2_alg_find(z(alg)), ANY, &err);
}

static void assert_kid(const char *kid)
{
    assert_non_null(chosen);
    if (kid) {
        assert_string_equal(chosen->kid, kid);
    }
    else {
        assert_null(chosen->kid);
    }
}

static void refused(const char *quoted, const char *words)
{
    if (parse(quoted, M2_KEYSET_STRICT) != M2_E_CONFIG || !strstr(err.text, words)) {
        print_error("%s: %s\n", quoted, err.text ? err.text : "accepted");
        fail();
    }
    assert_ptr_equal(strstr(err.text, "keys.json: "), err.text);
}

static void test_documents(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[{" EC ",'kid':'a'},{" ED "}]}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(set->keys->nelts, 2);
    assert_string_equal(m2_alg_mask_names(pool, set->algs), "ES256 EdDSA");
    assert_int_equal(parse("{" EC "}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    refused("{'keys':[]}", "no usable key");
    refused("{'keys':{}}", "no list");
    refused("{'keys':null}", "no list");
    refused("{}", "neither a key set nor a key");
    refused("[{" EC "}]", "neither a key set nor a key");
    refused("'text'", "neither a key set nor a key");
    refused("{'keys':[{" EC "}]", "bad JSON at 1:");
    refused("{'keys':[7]}", "key number 1: it is no JSON object");
    refused("{'keys':[{" EC "},{'kty':'EC','crv':'P-256'}]}", "key number 2: its member x");
    refused("{'keys':[{'kty':'oct','k':'AA','kid':'short'}]}", "key 'short': an oct key");
}

static void test_skipped(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[{" EC "},{'kty':'new','kid':'n'}]}", M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(last_level, M2_LOG_NOTICE);
    assert_string_equal(last_log, "keys.json: key 'n' is skipped: its kty is none of ours");
    assert_int_equal(parse("{'keys':[{" EC ",'use':'enc'}]}", M2_KEYSET_STRICT), M2_E_CONFIG);
    assert_int_equal(parse("{'keys':[{" EC ",'use':'enc'}]}", M2_KEYSET_LENIENT), M2_E_CONFIG);
}

static void test_lenient_skips_bad_keys(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[{'kty':'EC','crv':'P-256','kid':'bad'},7,{" ED "}]}",
                           M2_KEYSET_LENIENT),
                     M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(logged, 2);
    assert_int_equal(last_level, M2_LOG_WARNING);
    assert_int_equal(parse("{'keys':[7]}", M2_KEYSET_LENIENT), M2_E_CONFIG);
}

static void test_duplicate_kids(void **state)
{
    static const char two[] = "{'keys':[{" EC ",'kid':'a'},{" ED ",'kid':'a'},{" S1 "}]}";
    static const char same[] = "{'keys':[{" EC ",'kid':'a'},{" EC ",'kid':'a'}]}";
    static const char three[] =
        "{'keys':[{" EC ",'kid':'a'},{" EC ",'kid':'a'},{" ED ",'kid':'a'},{" EC
        ",'kid':'a'},{" S1 ",'kid':'b'}]}";

    (void)state;
    refused(two, "another key has this kid");
    refused(same, "another key has this kid");
    assert_int_equal(parse(two, M2_KEYSET_LENIENT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(choose("a", "HS256"), M2_OK); /* the only key without a kid */
    assert_kid(NULL);
    assert_int_equal(parse(same, M2_KEYSET_LENIENT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(parse(three, M2_KEYSET_LENIENT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(choose("a", "ES256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose("b", "HS256"), M2_OK);
}

static void test_one_key(void **state)
{
    (void)state;
    assert_int_equal(parse("{" EC ",'kid':'a'}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose(NULL, "ES256"), M2_OK);
    assert_kid("a");
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(choose("b", "ES256"), M2_E_KID_UNKNOWN);
    assert_null(chosen);
    assert_int_equal(choose("a", "HS256"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose(NULL, "HS256"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose("A", "ES256"), M2_E_KID_UNKNOWN);
    assert_int_equal(parse("{" EC "}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose("anything", "ES256"), M2_OK);
    assert_kid(NULL);
    assert_int_equal(choose(NULL, "ES256"), M2_OK);
}

static void test_several_keys(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[{" EC ",'kid':'a'},{" S1 ",'kid':'b'},{" S2 ",'kid':'c'}]}",
                           M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(choose("b", "HS256"), M2_OK);
    assert_kid("b");
    assert_int_equal(choose("c", "HS256"), M2_OK);
    assert_kid("c");
    assert_int_equal(choose("d", "HS256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose("b", "ES256"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose(NULL, "ES256"), M2_OK); /* exactly one key can do it */
    assert_kid("a");
    assert_int_equal(choose(NULL, "HS256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose(NULL, "RS256"), M2_E_ALG_NOT_ALLOWED);
}

static void test_unnamed_among_named(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[{" EC ",'kid':'a'},{" S1 "}]}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose("x", "HS256"), M2_OK);
    assert_kid(NULL);
    assert_int_equal(choose("x", "ES256"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(parse("{'keys':[{" EC ",'kid':'a'},{" S1 "},{" S2 "}]}", M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(choose("x", "HS256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose("a", "ES256"), M2_OK);
}

static void test_policy_narrows(void **state)
{
    const m2_alg_t *es256 = m2_alg_find(z("ES256"));

    (void)state;
    assert_int_equal(parse("{" EC "}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(m2_keyset_choose(&chosen, set, z(NULL), es256, es256->bit, &err), M2_OK);
    assert_int_equal(m2_keyset_choose(&chosen, set, z(NULL), es256, ANY & ~es256->bit, &err),
                     M2_E_ALG_NOT_ALLOWED);
    assert_null(chosen);
}

static void test_incomplete(void **state)
{
    (void)state;
    assert_int_equal(parse("{" EC ",'kid':'a'}", M2_KEYSET_STRICT), M2_OK);
    set->incomplete = 1;
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(choose("b", "ES256"), M2_E_KEYS_UNAVAILABLE);
    set = m2_keyset_make(pool);
    assert_int_equal(choose("b", "ES256"), M2_E_KEYS_UNAVAILABLE);
    assert_int_equal(choose(NULL, "ES256"), M2_E_KEYS_UNAVAILABLE);
}

static void test_hostile_kids(void **state)
{
    (void)state;
    assert_int_equal(parse("{" EC ",'kid':'a'}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose("../../../../etc/passwd", "ES256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose("a' OR '1'='1", "ES256"), M2_E_KID_UNKNOWN);
    assert_int_equal(m2_keyset_choose(&chosen, set, m2_slice("a\0b", 3), m2_alg_find(z("ES256")),
                                      ANY, &err),
                     M2_E_KID_UNKNOWN);
    assert_int_equal(m2_keyset_choose(&chosen, set, m2_slice("abc", 1), m2_alg_find(z("ES256")),
                                      ANY, &err),
                     M2_OK);
}

static void test_add_all(void **state)
{
    m2_keyset_t *first;

    (void)state;
    assert_int_equal(parse("{" EC ",'kid':'a'}", M2_KEYSET_STRICT), M2_OK);
    first = set;
    assert_int_equal(parse("{'keys':[{" ED ",'kid':'b'},{" S1 "}]}", M2_KEYSET_STRICT), M2_OK);
    assert_true(first->generation != set->generation);
    assert_int_equal(m2_keyset_add_all(set, first, &err), M2_OK);
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(m2_keyset_add_all(set, first, &err), M2_E_CONFIG);
    assert_string_equal(err.text, "two keys have the kid 'a'");
}

static void test_too_many_keys(void **state)
{
    apr_array_header_t *parts = apr_array_make(pool, 9000, sizeof(const char *));
    int i;

    (void)state;
    for (i = 0; i <= M2_MAX_KEYS; i++) {
        APR_ARRAY_PUSH(parts, const char *) = "{}";
    }
    refused(apr_pstrcat(pool, "{'keys':[", apr_array_pstrcat(pool, parts, ','), "]}", NULL),
            "more than 8192 keys");
    refused(apr_psprintf(pool, "%*s", M2_MAX_KEYSET_BYTES + 1, "{}"), "larger than");
}

static void test_ring(void **state)
{
    m2_keyring_t *ring;

    (void)state;
    assert_int_equal(parse("{" EC ",'kid':'a'}", M2_KEYSET_STRICT), M2_OK);
    ring = m2_keyring_make(pool, NULL);
    assert_null(m2_keyring_enter(ring));
    m2_keyring_leave(ring);
    m2_keyring_swap(ring, set);
    assert_ptr_equal(m2_keyring_enter(ring), set);
    m2_keyring_leave(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_documents),      unit(test_skipped),
        unit(test_lenient_skips_bad_keys),
        unit(test_duplicate_kids), unit(test_one_key),
        unit(test_several_keys),   unit(test_unnamed_among_named),
        unit(test_policy_narrows), unit(test_incomplete),
        unit(test_hostile_kids),   unit(test_add_all),
        unit(test_too_many_keys),  unit(test_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
