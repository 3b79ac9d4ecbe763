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
#define S64                                                                                 \
    "'kty':'oct','k':'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1" \
    "Njc4OTo7PD0-Pw'"
#define S2 "'kty':'oct','k':'HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'"

#define OTHER_ED "0nMCIvSquaH0pGTIKS6kAT1_vQ7W6Cd0tyOnqtWG9us"

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

static m2_candidates_t found;

static m2_code_t find(const m2_wanted_t *wanted)
{
    m2_code_t code;

    clean();
    code = m2_keyset_find(&found, set, wanted, &err);
    chosen = found.n ? found.keys[0] : NULL;
    return code;
}

static m2_code_t choose_within(m2_slice_t kid, const char *alg, m2_alg_mask_t allowed)
{
    const m2_wanted_t wanted = { .kid = kid, .alg = m2_alg_find(z(alg)), .allowed = allowed };

    return find(&wanted);
}

static m2_code_t choose(const char *kid, const char *alg)
{
    return choose_within(z(kid), alg, ANY);
}

static m2_code_t choose_for(const char *kid, const char *alg, const char *iss)
{
    const m2_wanted_t wanted = { .kid = z(kid), .alg = m2_alg_find(z(alg)), .iss = z(iss),
                                 .allowed = ANY };

    return find(&wanted);
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
    assert_string_equal(m2_alg_mask_names(pool, set->algs), "ES256 Ed25519");
    assert_int_equal(parse("{" EC "}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    refused("{'keys':[]}", "no usable key");
    refused("{'keys':{}}", "not a list");
    refused("{'keys':null}", "neither a key set nor a key");
    refused("{}", "empty object");
    refused("[{" EC "}]", "neither a key set nor a key");
    refused("'text'", "neither a key set nor a key");
    refused("{'keys':[{" EC "}]", "bad JSON at 1:");
    refused("{'keys':[7]}", "key number 1: it is not a JSON object");
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
    assert_string_equal(last_log, "keys.json: key 'n' is skipped: its kty is not supported");
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
    static const char differ[] =
        "{'keys':[{" S1 ",'kid':'a'},{" S2 ",'kid':'a'},{" EC ",'kid':'b'}]}";
    static const char three[] =
        "{'keys':[{" EC ",'kid':'a'},{" EC ",'kid':'a'},{" ED ",'kid':'a'},{" EC
        ",'kid':'a'},{" S1 ",'kid':'b'}]}";

    (void)state;
    assert_int_equal(parse(two, M2_KEYSET_STRICT), M2_OK); /* told apart by what they can do */
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_string_equal(chosen->kty, "EC");
    assert_int_equal(choose("a", "EdDSA"), M2_OK);
    assert_string_equal(chosen->kty, "OKP");
    assert_int_equal(choose("a", "HS256"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose("b", "HS256"), M2_OK); /* the only key without a kid */
    assert_kid(NULL);
    assert_int_equal(parse(same, M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(parse(three, M2_KEYSET_LENIENT), M2_OK);
    assert_int_equal(set->keys->nelts, 3);
    refused(differ, "a different key has this kid");
    assert_int_equal(parse(differ, M2_KEYSET_LENIENT), M2_OK);
    assert_int_equal(last_level, M2_LOG_WARNING);
    assert_int_equal(set->keys->nelts, 1);
    assert_int_equal(choose("a", "HS256"), M2_E_KID_UNKNOWN);
    assert_int_equal(choose("b", "ES256"), M2_OK);
}

/* one key, listed once for each of its algorithms */
static void test_same_key_told_apart(void **state)
{
    static const char twice[] = "{'keys':[{" S1 ",'kid':'a','alg':'HS256'},{" S64
                                ",'kid':'b','alg':'HS256'},{" S64 ",'kid':'b','alg':'HS512'}]}";
    int mode;

    (void)state;
    for (mode = 0; mode < 2; mode++) {
        assert_int_equal(parse(twice, mode ? M2_KEYSET_LENIENT : M2_KEYSET_STRICT), M2_OK);
        assert_int_equal(set->keys->nelts, 2);
        assert_int_equal(choose("b", "HS256"), M2_OK);
        assert_int_equal(choose("b", "HS512"), M2_OK);
        assert_int_equal(choose("b", "HS384"), M2_E_ALG_NOT_ALLOWED);
        assert_int_equal(choose("a", "HS512"), M2_E_ALG_NOT_ALLOWED);
        assert_int_equal(choose(NULL, "HS256"), M2_OK);
        assert_int_equal(found.n, 2);
        assert_int_equal(choose(NULL, "HS512"), M2_OK);
        assert_int_equal(found.n, 1);
    }
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
    assert_int_equal(choose(NULL, "HS256"), M2_OK); /* both are tried */
    assert_int_equal(found.n, 2);
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
    assert_int_equal(choose_within(z(NULL), "ES256", es256->bit), M2_OK);
    assert_int_equal(choose_within(z(NULL), "ES256", ANY & ~es256->bit),
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
    assert_int_equal(choose_within(m2_slice("a\0b", 3), "ES256", ANY),
                     M2_E_KID_UNKNOWN);
    assert_int_equal(choose_within(m2_slice("abc", 1), "ES256", ANY),
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
    assert_int_equal(m2_keyset_add_all(set, first, NULL, &err), M2_OK);
    assert_int_equal(choose("a", "ES256"), M2_OK);
    assert_int_equal(m2_keyset_add_all(set, first, NULL, &err), M2_OK); /* the same again */
    assert_int_equal(set->keys->nelts, 3);
    first = set;
    assert_int_equal(parse("{" S1 ",'kid':'b'}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(m2_keyset_add_all(set, first, NULL, &err), M2_OK);
    assert_int_equal(choose("b", "EdDSA"), M2_OK);
    assert_int_equal(parse("{'kty':'OKP','crv':'Ed25519','x':'" OTHER_ED "','kid':'b'}",
                           M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(m2_keyset_add_all(set, first, NULL, &err), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "two different keys have the kid 'b'"));
}

/* --- bound keys (RFC 8725 3.8) --- */

static void add_bound(const char *quoted, const char *issuer)
{
    m2_keyset_t *all = set;

    assert_int_equal(parse(quoted, M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(m2_keyset_add_all(all, set, issuer, &err), M2_OK);
    set = all;
}

static void test_bound(void **state)
{
    (void)state;
    set = m2_keyset_make(pool);
    assert_false(m2_keyset_is_bound(set));
    add_bound("{" EC ",'kid':'k'}", "https://one.example");
    add_bound("{" ED ",'kid':'k'}", "https://two.example");
    assert_true(m2_keyset_is_bound(set));
    assert_int_equal(choose_for("k", "ES256", "https://one.example"), M2_OK);
    assert_int_equal(choose_for("k", "EdDSA", "https://two.example"), M2_OK);
    /* each cannot sign for the other, nor for a stranger, nor for nobody */
    assert_int_equal(choose_for("k", "ES256", "https://two.example"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose_for("k", "ES256", "https://three.example"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(choose_for("k", "ES256", NULL), M2_E_CLAIM_MISSING);
    assert_int_equal(choose_for(NULL, "ES256", "https://one.example"), M2_OK);
    assert_int_equal(choose_for(NULL, "ES256", "https://two.example"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose_for(NULL, "ES256", "https://three.example"), M2_E_ISSUER_MISMATCH);
    assert_int_equal(choose_for("other", "ES256", "https://one.example"), M2_E_KID_UNKNOWN);
    add_bound("{'keys':[{" S1 ",'kid':'u'},{" S2 "}]}", NULL);
    assert_int_equal(choose_for("u", "HS256", "https://two.example"), M2_OK);
    assert_int_equal(choose_for("u", "HS256", NULL), M2_OK);
    assert_int_equal(choose_for("other", "HS256", "https://one.example"), M2_OK);
    assert_kid(NULL);
}

/* the same kid for two issuers is two keys; for one it is a contradiction */
static void test_kid_once_per_issuer(void **state)
{
    m2_keyset_t *all = m2_keyset_make(pool), *other;

    (void)state;
    set = all;
    add_bound("{" S1 ",'kid':'k'}", "https://one.example");
    add_bound("{" S2 ",'kid':'k'}", "https://two.example");
    add_bound("{" S1 ",'kid':'k'}", "https://three.example"); /* one key for two issuers */
    assert_int_equal(set->keys->nelts, 3);
    assert_int_equal(parse("{" S2 ",'kid':'k'}", M2_KEYSET_STRICT), M2_OK);
    other = set;
    assert_int_equal(m2_keyset_add_all(all, other, "https://one.example", &err), M2_E_CONFIG);
    assert_int_equal(m2_keyset_add_all(all, other, NULL, &err), M2_E_CONFIG);
    assert_int_equal(m2_keyset_add_all(all, other, "https://two.example", &err), M2_OK);
    assert_int_equal(all->keys->nelts, 3);
}

/* --- tokens without a kid --- */

static void test_thumbprints(void **state)
{
    m2_wanted_t wanted = { .alg = m2_alg_find(z("ES256")), .allowed = ANY };

    (void)state;
    assert_int_equal(parse("{'keys':[{" EC ",'x5t':'one'},{" ED ",'x5t#S256':'two'},{" S1 "}]}",
                           M2_KEYSET_STRICT),
                     M2_OK);
    wanted.x5t = z("one");
    assert_int_equal(find(&wanted), M2_OK);
    assert_string_equal(chosen->kty, "EC");
    wanted.alg = m2_alg_find(z("EdDSA"));
    assert_int_equal(find(&wanted), M2_E_ALG_NOT_ALLOWED); /* that key, and it cannot */
    wanted.x5t256 = z("two");
    assert_int_equal(find(&wanted), M2_OK);
    assert_string_equal(chosen->kty, "OKP");
    wanted.x5t = wanted.x5t256 = z("none");
    assert_int_equal(find(&wanted), M2_OK); /* no such certificate: what can do it is tried */
    assert_int_equal(found.n, 1);
}

/* The base64 of a PEM block in one line. */
static const char *body_of(m2_slice_t pem)
{
    const char *p = strstr(pem.p, "CERTIFICATE-----") + 16, *end = strstr(p, "-----END");
    char *text = apr_palloc(pool, (apr_size_t)(end - p) + 1), *out = text;

    for (; p < end; p++) {
        if (!apr_isspace(*p)) {
            *out++ = *p;
        }
    }
    *out = '\0';
    return text;
}

/* RFC 7517 4.7: the certificate of another key does not name this one. */
static void test_foreign_certificate(void **state)
{
    m2_slice_t pem = source_file("t/unit/data/certificate.pem");
    const char *x5c = body_of(pem);
    m2_wanted_t wanted = { .alg = m2_alg_find(z("RS256")), .allowed = ANY };
    m2_jwk_t *named;
    m2_json_t *json, *chain = m2_json_make_array(pool);

    (void)state;
    clean();
    assert_int_equal(m2_jwk_from_pem(&named, pool, pem, "own", NULL, VERIFY, &err), M2_OK);
    json = m2_jwk_to_json(pool, named, 0);
    m2_json_append_string(chain, x5c);
    m2_json_set_json(json, "x5c", chain);
    wanted.x5t256 = z(named->x5t256);
    assert_int_equal(parse(m2_json_dump(pool, json), M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(find(&wanted), M2_OK);
    assert_string_equal(chosen->kid, "own");
    assert_string_equal(chosen->x5t256, named->x5t256);
    assert_string_equal(chosen->x5t, named->x5t);

    assert_int_equal(parse(apr_psprintf(pool, "{'keys':[{" EC ",'kid':'e','x5c':['%s']},{" ED "}]}",
                                        x5c), M2_KEYSET_STRICT), M2_OK);
    assert_string_equal(last_log, "keys.json: key 'e': its x5c is the certificate of another key, "
                                  "and does not count");
    wanted.alg = m2_alg_find(z("EdDSA"));
    assert_int_equal(find(&wanted), M2_OK); /* no such certificate: what can do it is tried */
    assert_string_equal(chosen->kty, "OKP");
}

#define OCT(first, more) "{'kty':'oct','k':'" first "AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'" more "}"

/* Of two keys with one thumbprint either may have signed. */
static void test_one_certificate(void **state)
{
    m2_wanted_t wanted = { .alg = m2_alg_find(z("HS256")), .allowed = ANY };

    (void)state;
    wanted.x5t = z("one");
    assert_int_equal(parse("{'keys':[" OCT("A", ",'kid':'a','x5t':'one'") ","
                           OCT("B", ",'kid':'b','x5t':'one'") "," OCT("C", ",'kid':'c'") "]}",
                           M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(find(&wanted), M2_OK);
    assert_int_equal(found.n, 2);
    assert_false(m2_keyset_same_key(found.keys[0], found.keys[1]));
    assert_non_null(found.keys[0]->x5t);
    assert_non_null(found.keys[1]->x5t);
    assert_int_equal(parse("{'keys':[" OCT("A", ",'x5t':'one'") "," OCT("B", ",'x5t':'one'") ","
                           OCT("C", ",'x5t':'one'") "," OCT("D", ",'x5t':'one'") ","
                           OCT("E", ",'x5t':'one'") "]}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(find(&wanted), M2_E_KID_UNKNOWN);
    assert_int_equal(found.n, 0);
}

/* What is tried is keys: the same one under several names is one. */
static void test_same_key_again(void **state)
{
    (void)state;
    assert_int_equal(parse("{'keys':[" OCT("A", ",'kid':'1'") "," OCT("A", ",'kid':'2'") ","
                           OCT("A", ",'kid':'3'") "," OCT("A", ",'kid':'4'") ","
                           OCT("A", ",'kid':'5'") "," OCT("B", ",'kid':'6'") "]}",
                           M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose(NULL, "HS256"), M2_OK);
    assert_int_equal(found.n, 2);
    assert_int_equal(choose("4", "HS256"), M2_OK);
    assert_string_equal(chosen->kid, "4");
    assert_int_equal(parse("{'keys':[" OCT("A", "") "," OCT("A", "") "]}", M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(choose("of-nobody", "HS256"), M2_OK); /* the only one without a name */
    assert_int_equal(parse("{'keys':[" OCT("A", "") "," OCT("B", "") "]}", M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(choose("of-nobody", "HS256"), M2_E_KID_UNKNOWN);
}

static void test_tries_end(void **state)
{
    const char *keys = "";
    int i;

    (void)state;
    for (i = 0; i < M2_MAX_TRIES + 1; i++) {
        keys = apr_psprintf(pool, "%s%s{'kty':'oct','k':'%cAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw"
                            "dHh8','kid':'%d'}", keys, i ? "," : "", 'A' + i, i);
        assert_int_equal(parse(apr_psprintf(pool, "{'keys':[%s]}", keys), M2_KEYSET_STRICT), M2_OK);
        if (i < M2_MAX_TRIES) {
            assert_int_equal(choose(NULL, "HS256"), M2_OK);
            assert_int_equal(found.n, i + 1);
        }
    }
    assert_int_equal(choose(NULL, "HS256"), M2_E_KID_UNKNOWN);
    assert_int_equal(found.n > 0 && err.code == M2_OK, 0);
    assert_int_equal(choose("3", "HS256"), M2_OK);
}

static void test_curves_by_name(void **state)
{
    const m2_alg_mask_t ed25519 = m2_alg_find(z("Ed25519"))->bit;

    (void)state;
    assert_int_equal(parse("{" ED ",'alg':'EdDSA'}", M2_KEYSET_STRICT), M2_OK);
    assert_int_equal(choose(NULL, "EdDSA"), M2_OK);
    assert_int_equal(choose(NULL, "Ed25519"), M2_OK);
    assert_int_equal(choose(NULL, "Ed448"), M2_E_ALG_NOT_ALLOWED);
    assert_int_equal(choose_within(z(NULL), "EdDSA", ed25519), M2_OK);
    assert_int_equal(choose_within(z(NULL), "EdDSA", m2_alg_find(z("Ed448"))->bit),
                     M2_E_ALG_NOT_ALLOWED);
}

/* --- documents as they come --- */

static void test_spellings(void **state)
{
    m2_slice_t pem = source_file("t/unit/data/certificate.pem");
    m2_json_t *map = m2_json_make(pool);

    (void)state;
    assert_int_equal(parse("\xef\xbb\xbf{'keys':[{" EC "}]}", M2_KEYSET_STRICT), M2_OK);
    refused("\xef\xbb\xbf\xef\xbb\xbf{'keys':[{" EC "}]}", "bad JSON");
    m2_json_set_string(map, "g1", m2_slice_dup(pool, pem));
    clean();
    set = m2_keyset_make(pool);
    assert_int_equal(m2_keyset_parse(set, z(m2_json_dump(pool, map)), "keys.json", VERIFY,
                                     M2_KEYSET_STRICT, &err),
                     M2_OK);
    assert_int_equal(choose("g1", "RS256"), M2_OK);
    assert_non_null(chosen->x5t);
    refused("{'a':'-----BEGIN NONSENSE','b':'c'}", "neither a key set nor a key");
    refused("{'a':'-----BEGIN NONSENSE'}", "key 'a'");
    refused("<!DOCTYPE html>", "it is HTML");
    refused(" \n<html>", "it is HTML");
    refused("-----BEGIN PUBLIC KEY-----", "it is a PEM");
    refused("{'issuer':'https://a','jwks_uri':'https://a/k'}", "https://a/k");
}

static void test_odd_is_told(void **state)
{
    (void)state;
    assert_int_equal(parse("{'kty':'OKP','crv':'Ed25519','kid':'o','x':'" OTHER_ED "='}",
                           M2_KEYSET_STRICT),
                     M2_OK);
    assert_int_equal(last_level, M2_LOG_NOTICE);
    assert_string_equal(last_log, "keys.json: key 'o': its member x is base64 padded");
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
        unit(test_too_many_keys), unit(test_same_key_told_apart), unit(test_bound),
        unit(test_kid_once_per_issuer), unit(test_thumbprints), unit(test_tries_end),
        unit(test_foreign_certificate), unit(test_one_certificate), unit(test_same_key_again),
        unit(test_curves_by_name), unit(test_spellings), unit(test_odd_is_told),  unit(test_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
